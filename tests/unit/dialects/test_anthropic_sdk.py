"""The official SDK reads what this dialect writes: whole, streamed and broken."""

import json
from collections.abc import Sequence
from typing import Any

import anthropic as sdk
import httpx2
import pytest
from anthropic.types import Message, MessageTokensCount, ModelInfo

from proxy.cache.chunks import chunks_of
from proxy.core.chat import Answer, Chunk, Native, Usage
from proxy.core.errors import (
    AuthenticationFailed,
    BudgetExceeded,
    Cause,
    InvalidRequest,
    NoProviderAvailable,
    NotFound,
    PayloadTooLarge,
    PermissionDenied,
    ProviderError,
    ProviderTimeout,
    ProxyError,
    RateLimitExceeded,
)
from proxy.core.messages import FunctionCall, ToolCall, ToolCallDelta
from proxy.core.model_entry import ModelEntry
from proxy.dialects import anthropic
from tests.unit.dialects.making_anthropic import (
    NATIVE,
    SERVED,
    USER,
    collect,
    parse,
    streamed,
)

MESSAGES: Any = [USER]
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
    Chunk(finish_reason="tool_calls", usage=Usage(input=9, output=7, cached=2, reasoning=3)),
)


def client(body: bytes, status: int = 200, headers: dict[str, str] | None = None) -> sdk.Anthropic:
    kind = "application/json" if body.startswith(b"{") else "text/event-stream"
    sent = {"content-type": kind, **(headers or {})}
    transport = httpx2.MockTransport(
        lambda request: httpx2.Response(status, headers=sent, content=body)
    )
    http = httpx2.Client(transport=transport)
    return sdk.Anthropic(api_key="k", base_url="http://proxy.test", http_client=http, max_retries=0)


def async_client(body: bytes) -> sdk.AsyncAnthropic:
    headers = {"content-type": "text/event-stream"}
    transport = httpx2.MockTransport(
        lambda request: httpx2.Response(200, headers=headers, content=body)
    )
    http = httpx2.AsyncClient(transport=transport)
    return sdk.AsyncAnthropic(api_key="k", base_url="http://proxy.test", http_client=http)


def put_together(data: bytes) -> Message:
    with (
        client(data) as caller,
        caller.messages.stream(model="f", max_tokens=9, messages=MESSAGES) as stream,
    ):
        message = stream.get_final_message()
    return Message.model_validate(message.model_dump(), strict=True)


ANSWERS: Sequence[Answer] = (
    collect(CHUNKS),
    Answer(),
    Answer(text="x", usage=Usage(input=1, output=1)),
    Answer(refusal="No.", finish_reason="content_filter"),
    Answer(text="x", extra={"extra_content": {"google": {"thought_signature": "s"}}}),
    Answer(tool_calls=(ToolCall(id="", function=FunctionCall("a", "{")),), finish_reason="length"),
)


@pytest.mark.parametrize("answer", ANSWERS)
def test_a_whole_answer_is_a_message(answer: Answer) -> None:
    body = anthropic.answer(answer, parse(), SERVED)
    message = Message.model_validate_json(body, strict=True)
    with client(body, headers=anthropic.headers("req_1", None)) as caller:
        read = caller.messages.create(model="f", max_tokens=9, messages=MESSAGES)
    assert read.content == message.content
    assert read._request_id == "req_1"


@pytest.mark.parametrize("answer", [*ANSWERS[:-1]])
def test_its_stream_adds_up_to_the_same(answer: Answer) -> None:
    body = anthropic.answer(answer, parse(), SERVED)
    whole = Message.model_validate_json(body, strict=True)
    message = put_together(streamed(chunks_of(answer)))
    texts = [block.text for block in whole.content if block.type == "text"]
    assert [block.text for block in message.content if block.type == "text"] == texts
    assert (message.stop_reason, message.usage.output_tokens, message.id) == (
        whole.stop_reason, whole.usage.output_tokens, whole.id,
    )  # fmt: skip
    assert message.usage.input_tokens == whole.usage.input_tokens


def test_every_field_of_a_stream() -> None:
    message = put_together(streamed(CHUNKS))
    thinking, text, first, second = message.content
    assert thinking.type == "thinking"
    assert thinking.thinking == "Let me see. "
    assert text.type == "text"
    assert text.text == "It is sunny."
    assert first.type == second.type == "tool_use"
    assert (first.id, first.name, first.input) == ("call_1", "weather", {"city": "Paris"})
    assert (second.id, second.name, second.input) == ("call_2", "time", {})
    assert message.stop_reason == "tool_use"
    usage = message.usage
    assert (usage.input_tokens, usage.cache_read_input_tokens, usage.output_tokens) == (7, 2, 7)
    assert usage.output_tokens_details
    assert usage.output_tokens_details.thinking_tokens == 3


def test_its_message_can_go_back() -> None:
    content = put_together(streamed(CHUNKS)).model_dump(exclude_none=True)["content"]
    call = parse(messages=[USER, {"role": "assistant", "content": content}])
    turn = call.chat.messages[1]
    assert turn.reasoning_content == "Let me see. "
    assert turn.content == "It is sunny."
    assert turn.tool_calls
    assert [made.function.name for made in turn.tool_calls] == ["weather", "time"]
    assert call.chat.native_only == ""


def test_a_kept_message_streams_as_it_was() -> None:
    body = {
        "id": "msg_9", "type": "message", "role": "assistant", "model": "claude",
        "content": [
            {"type": "thinking", "thinking": "Hm.", "signature": "EqYC"},
            {"type": "redacted_thinking", "data": "Em8="},
            {"type": "server_tool_use", "id": "s1", "name": "web_search", "input": {"query": "x"},
             "caller": {"type": "direct"}},
            {"type": "text", "text": "It is.", "citations": [
                {"type": "char_location", "cited_text": "x", "document_index": 0,
                 "document_title": None, "start_char_index": 0, "end_char_index": 1,
                 "file_id": None}]},
            {"type": "tool_use", "id": "t1", "name": "a", "input": {"n": 1.5},
             "caller": {"type": "direct"}},
        ],
        "stop_reason": "tool_use", "stop_sequence": None,
        "usage": {"input_tokens": 5, "output_tokens": 7},
    }  # fmt: skip
    native = Native("messages", json.dumps(body).encode())
    message = put_together(streamed(chunks_of(Answer(text="It is.", native=native))))
    assert message == Message.model_validate(body, strict=True)
    raw = [Chunk(raw=event) for event in _list_events(streamed([Chunk(native=native)]))]
    assert put_together(streamed(raw, served=NATIVE)) == message


def _list_events(data: bytes) -> list[bytes]:
    return [event.partition(b"data: ")[2] for event in data.split(b"\n\n") if event]


BROKEN = ProviderError("The stream broke.", cause=Cause(source="provider"))


def broken() -> bytes:
    writer = anthropic.writer(parse(stream=True), SERVED)
    body = b"".join(map(writer.chunk, CHUNKS[:3])) + writer.ping()
    return body + writer.error(BROKEN, "req_1", 0)


def test_the_sdk_raises_on_a_broken_stream() -> None:
    text = ""
    with (
        client(broken()) as caller,
        caller.messages.stream(model="f", max_tokens=9, messages=MESSAGES) as stream,
        pytest.raises(sdk.APIStatusError, match="The stream broke") as caught,
    ):
        for piece in stream.text_stream:
            text += piece
    assert text == "It is sunny."
    assert isinstance(caught.value.body, dict)
    assert caught.value.body["error"]["type"] == "api_error"


async def test_the_async_sdk_reads_a_stream() -> None:
    async with (
        async_client(streamed(CHUNKS)) as caller,
        caller.messages.stream(model="f", max_tokens=9, messages=MESSAGES) as stream,
    ):
        assert (await stream.get_final_text()) == "It is sunny."


@pytest.mark.parametrize(
    ("error", "raised"),
    [
        (InvalidRequest("x", param="n"), sdk.BadRequestError),
        (AuthenticationFailed("x"), sdk.AuthenticationError),
        (BudgetExceeded("x"), sdk.APIStatusError),
        (PermissionDenied("x"), sdk.PermissionDeniedError),
        (NotFound("x", param="model"), sdk.NotFoundError),
        (PayloadTooLarge("x"), sdk.APIStatusError),
        (InvalidRequest("x", cause=Cause(status=422)), sdk.UnprocessableEntityError),
        (RateLimitExceeded("x"), sdk.RateLimitError),
        (ProviderError("x"), sdk.InternalServerError),
        (ProviderTimeout("x"), sdk.InternalServerError),
        (NoProviderAvailable("x"), sdk.InternalServerError),
    ],
)
def test_the_sdk_raises_its_own_exceptions(
    error: ProxyError, raised: type[sdk.APIStatusError]
) -> None:
    body = anthropic.error(error, "req_1", 0)
    headers = anthropic.headers("req_1", error)
    with (
        client(body, anthropic.status(error), headers) as caller,
        pytest.raises(raised, match="x") as caught,
    ):
        caller.messages.create(model="f", max_tokens=9, messages=MESSAGES)
    assert caught.value.request_id == "req_1"
    assert caught.value.status_code == anthropic.status(error)


def test_the_sdk_reads_models_and_counts() -> None:
    entry = ModelEntry("groq/fast", "groq")
    assert ModelInfo.model_validate_json(anthropic.model(entry), strict=True).id == "groq/fast"
    with client(anthropic.models([entry])) as caller:
        assert [model.id for model in caller.models.list()] == ["groq/fast"]
    count = anthropic.count_tokens(12)
    assert MessageTokensCount.model_validate_json(count, strict=True).input_tokens == 12
    with client(count) as caller:
        assert caller.messages.count_tokens(model="f", messages=MESSAGES).input_tokens == 12
