"""Chat in every dialect, embeddings and batches."""

from proxy.batch.items import Batch, ItemResult
from proxy.dialects.anthropic_body import Body as MessagesBody
from proxy.dialects.native import _Response
from proxy.dialects.native_request import _NativeBody
from proxy.dialects.openai_request import _ChatBody, _EmbeddingBody
from proxy.dialects.responses_request import _Body as _ResponsesBody
from tools.openapi import answers, headers
from tools.openapi.errors import FINDS, LIMITED, OBJECTS, READS, SERVES
from tools.openapi.operation import INTEGER, Answer, Body, Operation, Parameter, listing, thing
from tools.openapi.schemas import Named, refer

_MODEL = headers.SERVED + headers.CACHED
_HELLO = [{"role": "user", "content": "Hello!"}]
_RESULTS = Named(
    "BatchAnswer",
    listing(
        "results",
        refer("BatchResult"),
        success={"const": True},
        summary=thing(
            *("total", "succeeded", "failed"), total=INTEGER, succeeded=INTEGER, failed=INTEGER
        ),
    ),
    (ItemResult,),
)
_STORED = headers.NO_STORE + _MODEL

OPERATIONS = {
    "POST /v1/generate": Operation(
        id="generate",
        tag="Native",
        summary="Answer a prompt or a conversation",
        detail="The proxy's own form: an unknown field is an error. Any model may answer.",
        bodies=(
            Body(
                schema=_NativeBody,
                example={"prompt": "What is the capital of France?", "model": "fast"},
            ),
        ),
        headers=headers.STEERED,
        answers={
            200: Answer(
                what="The answer.",
                schema=_Response,
                events="`delta` for each piece, then one `done` or `error`; data is JSON.",
                headers=_STORED,
            )
        },
        errors=READS + SERVES,
    ),
    "POST /v1/batch": Operation(
        id="runBatch",
        tag="Native",
        summary="Answer up to 100 native requests in one call",
        detail="Each result has the status and the answer that its request alone would have had.",
        bodies=(Body(schema=Batch, example={"requests": [{"prompt": "Name a fruit."}]}),),
        headers=headers.STEERED,
        answers={
            200: Answer(
                what="All results, in the order of the requests.",
                schema=_RESULTS,
                events="`result` for each as it comes, then one `done`; data is JSON.",
                headers=headers.NO_STORE,
            )
        },
        errors=READS,
    ),
    "POST /v1/chat/completions": Operation(
        id="createChatCompletion",
        tag="OpenAI",
        summary="Create a chat completion",
        detail="For OpenAI's SDKs. Fields that the proxy does not know go on to providers of this"
        " dialect.",
        bodies=(Body(schema=_ChatBody, example={"model": "auto", "messages": _HELLO}),),
        headers=headers.STEERED,
        answers={
            200: Answer(
                what="The completion; a provider of this dialect's own, byte for byte.",
                schema=answers.COMPLETION,
                events="Chunks as OpenAI sends them, then `[DONE]`.",
                headers=_STORED,
            )
        },
        errors=READS + SERVES,
    ),
    "POST /v1/embeddings": Operation(
        id="createEmbeddings",
        tag="OpenAI",
        summary="Make vectors of texts",
        detail="The vectors of two models are never mixed: only the first candidate's answers.",
        bodies=(Body(schema=_EmbeddingBody, example={"model": "auto", "input": ["a cat"]}),),
        headers=headers.RETRIED + headers.LABELLED,
        answers={
            200: Answer(what="The vectors.", schema=answers.EMBEDDINGS, headers=headers.SERVED)
        },
        errors=READS + SERVES,
    ),
    "POST /v1/messages": Operation(
        id="createMessage",
        tag="Anthropic",
        summary="Create a message",
        detail="For Claude Code and Anthropic's SDKs. `max_tokens` is required here.",
        bodies=(
            Body(
                schema=MessagesBody,
                example={"model": "auto", "max_tokens": 40, "messages": _HELLO},
            ),
        ),
        headers=headers.ANTHROPIC + headers.STEERED,
        answers={
            200: Answer(
                what="The message.",
                schema=answers.MESSAGE,
                events="Anthropic's events, from `message_start` to `message_stop` or `error`.",
                headers=_STORED,
            )
        },
        errors=READS + SERVES,
    ),
    "POST /v1/messages/count_tokens": Operation(
        id="countMessageTokens",
        tag="Anthropic",
        summary="Estimate the tokens of a message",
        detail="The proxy's own estimate; no provider is called.",
        bodies=(Body(schema=MessagesBody, example={"model": "auto", "messages": _HELLO}),),
        headers=headers.ANTHROPIC,
        answers={
            200: Answer(
                what="The estimate.", schema=answers.MESSAGE_TOKENS, headers=headers.ESTIMATED
            )
        },
        errors=READS + LIMITED + OBJECTS + FINDS,
    ),
    "POST /v1/responses": Operation(
        id="createResponse",
        tag="Responses",
        summary="Create a response",
        detail="For Codex and OpenAI's SDKs. It is kept for the key unless `store` is false.",
        bodies=(Body(schema=_ResponsesBody, example={"model": "fast", "input": "Hello!"}),),
        headers=headers.STEERED,
        answers={
            200: Answer(
                what="The response.",
                schema=answers.RESPONSE,
                events="OpenAI's events, to `response.completed`, `.incomplete` or `.failed`.",
                headers=_STORED,
            )
        },
        errors=READS + SERVES + FINDS,
    ),
    "POST /v1/responses/input_tokens": Operation(
        id="countResponseTokens",
        tag="Responses",
        summary="Estimate the tokens of a response's input",
        detail="The proxy's own estimate; no provider is called.",
        bodies=(Body(schema=_ResponsesBody, example={"model": "fast", "input": "Hello!"}),),
        answers={
            200: Answer(
                what="The estimate.", schema=answers.RESPONSE_TOKENS, headers=headers.ESTIMATED
            )
        },
        errors=READS + LIMITED + OBJECTS + FINDS,
    ),
    "GET /v1/responses/ID": Operation(
        id="getResponse",
        tag="Responses",
        summary="Show a kept response",
        answers={200: Answer(what="As it was answered.", schema=answers.RESPONSE)},
        errors=FINDS + OBJECTS,
    ),
    "DELETE /v1/responses/ID": Operation(
        id="deleteResponse",
        tag="Responses",
        summary="Forget a kept response",
        answers={200: Answer(what="It is forgotten.", schema=answers.DELETED_RESPONSE)},
        errors=FINDS + OBJECTS,
    ),
    "GET /v1/responses/ID/input_items": Operation(
        id="listInputItems",
        tag="Responses",
        summary="List what was sent to get a kept response",
        query={
            "limit": Parameter(
                "Items of a page.", {"type": "integer", "minimum": 1, "maximum": 100, "default": 20}
            ),
            "order": Parameter("By time.", {"enum": ["desc", "asc"], "default": "desc"}),
            "after": Parameter("The id of the item before the page.", {"type": "string"}),
        },
        answers={200: Answer(what="A page of items.", schema=answers.INPUT_ITEMS)},
        errors=FINDS + OBJECTS + READS[:1],
    ),
}
