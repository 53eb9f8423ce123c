"""The official SDK reads what this dialect writes: whole, streamed and broken."""

import json
from typing import Any

import httpx2
import openai as sdk
import pytest
from openai.types import CreateEmbeddingResponse, Model
from openai.types.chat import ChatCompletion, ChatCompletionChunk

from proxy.core.chat import Call, Chunk, Served, Usage
from proxy.core.collect import Collector
from proxy.core.embedding import Embeddings
from proxy.core.errors import (
    AuthenticationFailed,
    Cause,
    InvalidRequest,
    NotFound,
    PermissionDenied,
    ProviderError,
    ProxyError,
    RateLimitExceeded,
)
from proxy.core.messages import ToolCallDelta
from proxy.core.model_entry import ModelEntry
from proxy.core.sse import Parser
from proxy.dialects import openai

SERVED = Served(
    request_id="req_1", answer_id="1", provider="gemini", model="flash", created=1_700_000_000
)
MESSAGES: Any = [{"role": "user", "content": "hi"}]
CHUNKS = (
    Chunk(reasoning="Let me see. "),
    Chunk(text="It is "),
    Chunk(text="sunny."),
    Chunk(tool_calls=(ToolCallDelta(index=0, id="call_1", name="weather"),)),
    Chunk(tool_calls=(ToolCallDelta(index=0, arguments='{"city":'),)),
    Chunk(
        tool_calls=(
            ToolCallDelta(index=0, arguments='"Paris"}'),
            ToolCallDelta(index=1, id="call_2", name="time", arguments="{}"),
        )
    ),
    Chunk(
        finish_reason="tool_calls", usage=Usage(input=5, output=7, cached=2, reasoning=3), id="x"
    ),
)


def collected() -> Collector:
    collector = Collector()
    for chunk in CHUNKS:
        collector.add(chunk)
    return collector


def call(include_usage: bool = True) -> Call:
    return openai.parse_chat(
        json.dumps(
            {
                "model": "flash",
                "messages": MESSAGES,
                "stream": True,
                "stream_options": {"include_usage": include_usage},
            }
        ).encode()
    )


def streamed(error: ProxyError | None = None) -> bytes:
    writer = openai.writer(call(), SERVED)
    body = b"".join(map(writer.chunk, CHUNKS))
    if error:
        return body + writer.error(error, "req_1", 0)
    return body + writer.done(collected().answer(), SERVED)


def answering(body: bytes, status: int = 200) -> httpx2.MockTransport:
    kind = "application/json" if body.startswith(b"{") else "text/event-stream"
    headers = {"content-type": kind}
    return httpx2.MockTransport(
        lambda request: httpx2.Response(status, headers=headers, content=body)
    )


def client(body: bytes, status: int = 200) -> sdk.OpenAI:
    http = httpx2.Client(transport=answering(body, status))
    return sdk.OpenAI(api_key="k", base_url="http://proxy.test/v1", http_client=http, max_retries=0)


def async_client(body: bytes) -> sdk.AsyncOpenAI:
    http = httpx2.AsyncClient(transport=answering(body))
    return sdk.AsyncOpenAI(
        api_key="k", base_url="http://proxy.test/v1", http_client=http, max_retries=0
    )


def test_a_whole_answer_is_a_chat_completion() -> None:
    body = openai.answer(collected().answer(), call(), SERVED)
    completion = ChatCompletion.model_validate_json(body, strict=True)
    (choice,) = completion.choices
    assert choice.message.content == "It is sunny."
    assert choice.message.model_extra == {"reasoning_content": "Let me see. "}
    assert choice.finish_reason == "tool_calls"
    calls: list[Any] = choice.message.tool_calls or []
    first, second = calls
    assert first.type == second.type == "function"
    assert (first.id, first.function.name) == ("call_1", "weather")
    assert first.function.arguments == '{"city":"Paris"}'
    assert (second.id, second.function.name, second.function.arguments) == ("call_2", "time", "{}")
    assert completion.usage
    assert completion.usage.total_tokens == 12
    assert completion.usage.prompt_tokens_details
    assert completion.usage.prompt_tokens_details.cached_tokens == 2
    assert completion.usage.completion_tokens_details
    assert completion.usage.completion_tokens_details.reasoning_tokens == 3


def test_its_message_can_go_back() -> None:
    with client(openai.answer(collected().answer(), call(), SERVED)) as caller:
        completion = caller.chat.completions.create(model="flash", messages=MESSAGES)
    message = completion.choices[0].message.model_dump(exclude_none=True)
    again = openai.parse_chat(json.dumps({"messages": [*MESSAGES, message]}).encode())
    assert again.chat.messages[1].tool_calls == collected().answer().tool_calls
    assert again.chat.messages[1].reasoning_content == "Let me see. "


def test_every_event_is_a_chunk() -> None:
    events = [event.data for event in Parser().feed(streamed())]
    assert events.pop() == b"[DONE]"
    chunks = [ChatCompletionChunk.model_validate_json(event, strict=True) for event in events]
    assert [chunk.usage is not None for chunk in chunks] == [False] * (len(chunks) - 1) + [True]


def test_the_sdk_streams() -> None:
    collector = Collector()
    with client(streamed()) as caller:
        chunks = list(caller.chat.completions.create(model="flash", messages=MESSAGES, stream=True))
    assert chunks[0].choices[0].delta.role == "assistant"
    for chunk in chunks[:-1]:
        delta = chunk.choices[0].delta
        calls = [
            ToolCallDelta(
                index=piece.index,
                id=piece.id,
                name=piece.function.name if piece.function else None,
                arguments=(piece.function.arguments if piece.function else None) or "",
            )
            for piece in delta.tool_calls or ()
        ]
        collector.add(Chunk(text=delta.content or "", tool_calls=tuple(calls)))
    assert collector.answer().text == "It is sunny."
    assert collector.answer().tool_calls == collected().answer().tool_calls
    assert chunks[-2].choices[0].finish_reason == "tool_calls"
    assert chunks[-1].choices == []
    assert chunks[-1].usage
    assert chunks[-1].usage.total_tokens == 12


def test_the_sdks_own_collector_puts_a_stream_together() -> None:
    with (
        client(streamed()) as caller,
        caller.chat.completions.stream(model="flash", messages=MESSAGES) as stream,
    ):
        completion = stream.get_final_completion()
    message = completion.choices[0].message
    assert message.content == "It is sunny."
    assert [call.function.arguments for call in message.tool_calls or ()] == [
        '{"city":"Paris"}',
        "{}",
    ]
    assert completion.usage
    assert completion.usage.total_tokens == 12


BROKEN = ProviderError("The stream broke.", cause=Cause(source="provider"))


def test_the_sdk_raises_on_a_broken_stream() -> None:
    text = ""
    with client(streamed(BROKEN)) as caller, pytest.raises(sdk.APIError) as caught:
        for chunk in caller.chat.completions.create(model="f", messages=MESSAGES, stream=True):
            text += chunk.choices[0].delta.content or ""
    assert text == "It is sunny."
    assert caught.value.message == "The stream broke."
    assert (caught.value.type, caught.value.code) == ("server_error", "provider_error")


async def test_the_async_sdk_raises_on_a_broken_stream() -> None:
    text = ""
    async with async_client(streamed(BROKEN)) as caller:
        stream = await caller.chat.completions.create(model="f", messages=MESSAGES, stream=True)
        with pytest.raises(sdk.APIError, match=r"The stream broke\."):
            async for chunk in stream:
                text += chunk.choices[0].delta.content or ""
    assert text == "It is sunny."


@pytest.mark.parametrize(
    ("error", "raised", "code"),
    [
        (InvalidRequest("x", param="n"), sdk.BadRequestError, None),
        (AuthenticationFailed("x"), sdk.AuthenticationError, "invalid_api_key"),
        (PermissionDenied("x"), sdk.PermissionDeniedError, "permission_denied"),
        (NotFound("x", param="model"), sdk.NotFoundError, "model_not_found"),
        (InvalidRequest("x", cause=Cause(status=422)), sdk.UnprocessableEntityError, None),
        (RateLimitExceeded("x"), sdk.RateLimitError, "rate_limit_exceeded"),
        (ProviderError("x"), sdk.InternalServerError, "provider_error"),
    ],
)
def test_the_sdk_raises_its_own_exceptions(
    error: ProxyError, raised: type[sdk.APIStatusError], code: str | None
) -> None:
    body = openai.error(error, "req_1", 0)
    with client(body, error.status) as caller, pytest.raises(raised) as caught:
        caller.chat.completions.create(model="f", messages=MESSAGES)
    assert (caught.value.code, caught.value.param) == (code, error.param)


def test_the_sdk_reads_embeddings_and_models() -> None:
    body = openai.embeddings(Embeddings(vectors=((0.5,),), usage=Usage(input=1)), SERVED)
    assert CreateEmbeddingResponse.model_validate_json(body, strict=True).data[0].embedding == [0.5]
    packed = openai.embeddings(Embeddings(vectors=("AAAAPw==",)), SERVED)
    with client(packed) as caller:
        assert caller.embeddings.create(model="e", input="a").data[0].embedding == [0.5]
    entry = ModelEntry("groq/fast", "groq")
    assert Model.model_validate_json(openai.model(entry), strict=True).id == "groq/fast"
    with client(openai.models([entry])) as caller:
        assert [model.owned_by for model in caller.models.list()] == ["groq"]
