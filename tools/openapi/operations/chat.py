"""Chat in every dialect, embeddings and batches."""

from proxy.batch.items import Batch, ItemResult
from proxy.dialects.anthropic_body import Body as MessagesBody
from proxy.dialects.native import _Response
from proxy.dialects.native_request import _NativeBody
from proxy.dialects.openai_request import _ChatBody, _EmbeddingBody
from proxy.dialects.responses_request import _Body as _ResponsesBody
from tools.openapi import answers, headers
from tools.openapi.errors import FINDS, LIMITED, OBJECTS, READS, SERVES
from tools.openapi.operation import Answer, Body, Operation, Parameter, listing
from tools.openapi.schemas import INTEGER, Named, full, refer

_MODEL = headers.SERVED + headers.CACHED
_HELLO = [{"role": "user", "content": "Hello!"}]
_RESULTS = Named(
    "BatchAnswer",
    listing(
        "results",
        refer("BatchResult"),
        success={"const": True},
        summary=full(total=INTEGER, succeeded=INTEGER, failed=INTEGER),
    ),
    (ItemResult,),
)
_STORED = headers.NO_STORE + _MODEL

OPERATIONS = {
    "POST /v1/generate": Operation(
        "generate",
        "Answer a prompt or a conversation",
        Answer(
            "The answer.",
            _Response,
            events="`delta` for each piece, then one `done` or `error`; data is JSON.",
            headers=_STORED,
        ),
        READS + SERVES,
        detail="The proxy's own form: an unknown field is an error. Any model may answer.",
        bodies=(Body(_NativeBody, {"prompt": "What is the capital of France?", "model": "fast"}),),
        headers=headers.STEERED,
    ),
    "POST /v1/batch": Operation(
        "runBatch",
        "Answer up to 100 native requests in one call",
        Answer(
            "All results, in the order of the requests.",
            _RESULTS,
            events="`result` for each as it comes, then one `done`; data is JSON.",
            headers=headers.NO_STORE,
        ),
        READS,
        detail="Each result has the status and the answer that its request alone would have had.",
        bodies=(Body(Batch, {"requests": [{"prompt": "Name a fruit."}]}),),
        headers=headers.STEERED,
    ),
    "POST /v1/chat/completions": Operation(
        "createChatCompletion",
        "Create a chat completion",
        Answer(
            "The completion; a provider of this dialect's own, byte for byte.",
            answers.COMPLETION,
            events="Chunks as OpenAI sends them, then `[DONE]`.",
            headers=_STORED,
        ),
        READS + SERVES,
        detail="For OpenAI's SDKs. Fields that the proxy does not know go on to providers of this"
        " dialect.",
        bodies=(Body(_ChatBody, {"model": "auto", "messages": _HELLO}),),
        headers=headers.STEERED,
    ),
    "POST /v1/embeddings": Operation(
        "createEmbeddings",
        "Make vectors of texts",
        Answer("The vectors.", answers.EMBEDDINGS, headers=headers.SERVED),
        READS + SERVES,
        detail="The vectors of two models are never mixed: only the first candidate's answers.",
        bodies=(Body(_EmbeddingBody, {"model": "auto", "input": ["a cat"]}),),
        headers=headers.RETRIED + headers.LABELLED,
    ),
    "POST /v1/messages": Operation(
        "createMessage",
        "Create a message",
        Answer(
            "The message.",
            answers.MESSAGE,
            events="Anthropic's events, from `message_start` to `message_stop` or `error`.",
            headers=_STORED,
        ),
        READS + SERVES,
        detail="For Claude Code and Anthropic's SDKs. `max_tokens` is required here.",
        bodies=(Body(MessagesBody, {"model": "auto", "max_tokens": 40, "messages": _HELLO}),),
        headers=headers.ANTHROPIC + headers.STEERED,
    ),
    "POST /v1/messages/count_tokens": Operation(
        "countMessageTokens",
        "Estimate the tokens of a message",
        Answer("The estimate.", answers.MESSAGE_TOKENS, headers=headers.ESTIMATED),
        READS + LIMITED + OBJECTS + FINDS,
        detail="The proxy's own estimate; no provider is called.",
        bodies=(Body(MessagesBody, {"model": "auto", "messages": _HELLO}),),
        headers=headers.ANTHROPIC,
    ),
    "POST /v1/responses": Operation(
        "createResponse",
        "Create a response",
        Answer(
            "The response.",
            answers.RESPONSE,
            events="OpenAI's events, to `response.completed`, `.incomplete` or `.failed`.",
            headers=_STORED,
        ),
        READS + SERVES + FINDS,
        detail="For Codex and OpenAI's SDKs. It is kept for the key unless `store` is false.",
        bodies=(Body(_ResponsesBody, {"model": "fast", "input": "Hello!"}),),
        headers=headers.STEERED,
    ),
    "POST /v1/responses/input_tokens": Operation(
        "countResponseTokens",
        "Estimate the tokens of a response's input",
        Answer("The estimate.", answers.RESPONSE_TOKENS, headers=headers.ESTIMATED),
        READS + LIMITED + OBJECTS + FINDS,
        detail="The proxy's own estimate; no provider is called.",
        bodies=(Body(_ResponsesBody, {"model": "fast", "input": "Hello!"}),),
    ),
    "GET /v1/responses/ID": Operation(
        "getResponse",
        "Show a kept response",
        Answer("As it was answered.", answers.RESPONSE),
        FINDS + OBJECTS,
    ),
    "DELETE /v1/responses/ID": Operation(
        "deleteResponse",
        "Forget a kept response",
        Answer("It is forgotten.", answers.DELETED_RESPONSE),
        FINDS + OBJECTS,
    ),
    "GET /v1/responses/ID/input_items": Operation(
        "listInputItems",
        "List what was sent to get a kept response",
        Answer("A page of items.", answers.INPUT_ITEMS),
        FINDS + OBJECTS + READS[:1],
        query={
            "limit": Parameter(
                "Items of a page.", {"type": "integer", "minimum": 1, "maximum": 100, "default": 20}
            ),
            "order": Parameter("By time.", {"enum": ["desc", "asc"], "default": "desc"}),
            "after": Parameter("The id of the item before the page.", {"type": "string"}),
        },
    ),
}
