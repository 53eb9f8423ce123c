"""The native dialect: requests into the house's words, answers out of them."""

import json
from typing import Any

import pytest
from msgspec import structs

from proxy.core.cache_control import CacheControl
from proxy.core.chat import Answer, Attempt, Call, Chunk, Cost, Routing, Served, Usage
from proxy.core.errors import Cause, InvalidRequest, ProxyError, RateLimitExceeded
from proxy.core.messages import (
    Function,
    FunctionCall,
    JSONSchema,
    Message,
    ResponseFormat,
    Tool,
    ToolCall,
    ToolCallDelta,
)
from proxy.core.sse import Parser
from proxy.dialects import native, native_request
from proxy.dialects.contract import Dialect

DIALECT: Dialect = native

BARE = Served(request_id="r", answer_id="1", provider="p", model="m")
SERVED = Served(
    request_id="req_1",
    answer_id="1",
    provider="gemini",
    model="gemini-2.5-flash",
    attempts=(
        Attempt(provider="groq", model="m", outcome="rate_limited", ms=9, status=429, message="No"),
        Attempt(provider="gemini", model="gemini-2.5-flash", outcome="ok", ms=116),
    ),
    cost=Cost(200_000, "computed"),
    ms=125,
)
METADATA: dict[str, Any] = {
    "responseTime": 125,
    "cacheStatus": "miss",
    "cost": 0.0002,
    "costOrigin": "computed",
    "requestId": "req_1",
    "cacheTier": None,
    "finishReason": "stop",
    "attempts": [
        {
            "provider": "groq",
            "model": "m",
            "outcome": "rate_limited",
            "ms": 9,
            "status": 429,
            "message": "No",
        },
        {"provider": "gemini", "model": "gemini-2.5-flash", "outcome": "ok", "ms": 116},
    ],
    "source": "provider",
}


def parse(**body: Any) -> Call:
    return native.parse_chat(json.dumps(body).encode())


def answered(answer: Answer, served: Served = SERVED) -> Any:
    return json.loads(native.answer(answer, parse(prompt="Hi"), served))


def events(data: bytes) -> list[tuple[str, Any]]:
    return [(event.name, json.loads(event.data)) for event in Parser().feed(data)]


def test_a_prompt() -> None:
    call = parse(prompt="Hi")
    assert call.chat.messages == (Message("user", "Hi"),)
    assert call.chat.raw_messages == ()
    assert call.routing == Routing(model="auto", fallback=True)
    assert call.cache == CacheControl()
    assert (call.chat.stream, call.chat.body, call.user, call.metadata) == (False, None, None, {})


def test_a_system_prompt_comes_first() -> None:
    assert parse(prompt="Hi", system="Be brief.").chat.messages == (
        Message("system", "Be brief."),
        Message("user", "Hi"),
    )
    assert parse(prompt="Hi", system="").chat.messages == (Message("user", "Hi"),)


def test_messages_keep_their_bytes() -> None:
    user = b'{ "content":"h\\u00e9",  "role":"user","cache_control":{"type":"ephemeral"} }'
    reply = b'{"role":"assistant", "content":null}'
    body = b'{"system":"Be brief.","messages":[%b , %b]}' % (user, reply)
    chat = native.parse_chat(body).chat
    assert [bytes(raw) for raw in chat.raw_messages] == [
        b'{"role":"system","content":"Be brief."}',
        user,
        reply,
    ]
    assert [message.role for message in chat.messages] == ["system", "user", "assistant"]
    assert chat.messages[1].content == "hé"


def test_everything_that_can_be_said() -> None:
    tool = {"type": "function", "function": {"name": "f", "parameters": {"type": "object"}}}
    schema = {"name": "a", "schema": {"type": "object"}, "strict": True}
    call = parse(
        prompt="Hi",
        provider="groq",
        model="groq/fast",
        maxTokens=9,
        temperature=1,
        topP=0.5,
        stop="END",
        seed=-7,
        stream=True,
        tools=[tool],
        toolChoice={"type": "function", "function": {"name": "f"}},
        responseFormat={"type": "json_schema", "json_schema": schema},
        strategy="cheapest",
        fallback=["openai", "gemini"],
        cache={"ttl": 60, "mode": "refresh"},
        user="ann",
        metadata={"team": "red"},
        timeout=5000,
    )
    chat = call.chat
    assert (chat.max_tokens, chat.temperature, chat.top_p, chat.seed) == (9, 1.0, 0.5, -7)
    assert (chat.stop, chat.stream, chat.tool_choice) == (("END",), True, "function:f")
    assert chat.tools == (Tool("function", Function("f", parameters={"type": "object"})),)
    assert json.loads(bytes(chat.raw_tools or b"")) == [tool]
    assert chat.response_format == ResponseFormat(
        "json_schema", JSONSchema("a", {"type": "object"}, True)
    )
    assert call.routing == Routing(
        model="groq/fast",
        provider="groq",
        strategy="cheapest",
        fallback=("openai", "gemini"),
        timeout_ms=5000,
    )
    assert call.cache == CacheControl(ttl=60, mode="refresh")
    assert (call.user, call.metadata) == ("ann", {"team": "red"})


def test_null_is_not_said() -> None:
    names = native_request._NativeBody.__struct_encode_fields__
    assert parse(**{**dict.fromkeys(names), "prompt": "Hi"}) == parse(prompt="Hi")
    assert parse(prompt="Hi", user="", tools=[]) == parse(prompt="Hi")


@pytest.mark.parametrize("fallback", [True, False])
def test_fallback_by_yes_or_no(fallback: bool) -> None:
    assert parse(prompt="Hi", fallback=fallback).routing.fallback is fallback


@pytest.mark.parametrize("choice", ["auto", "none"])
def test_a_tool_choice_by_word(choice: str) -> None:
    assert parse(prompt="Hi", toolChoice=choice).chat.tool_choice == choice


def test_parts_that_only_openai_knows_pass() -> None:
    audio = {"type": "input_audio", "input_audio": {"data": "", "format": "wav"}}
    chat = parse(messages=[{"role": "user", "content": [audio]}]).chat
    [part] = chat.messages[0].parts
    assert part.type == "input_audio"
    assert json.loads(bytes(part.input_audio)) == audio["input_audio"]
    assert json.loads(bytes(chat.raw_messages[0]))["content"] == [audio]


def test_an_answer() -> None:
    usage = Usage(input=25, output=150)
    assert answered(Answer(text="Hello.", usage=usage)) == {
        "success": True,
        "data": "Hello.",
        "provider": "gemini",
        "model": "gemini-2.5-flash",
        "usage": {"inputTokens": 25, "outputTokens": 150, "totalTokens": 175},
        "metadata": METADATA,
    }


def test_an_answer_with_all_there_is() -> None:
    call = ToolCall("call_1", FunctionCall("f", '{"a":1}'), extra_content={"google": {"s": "x"}})
    body = answered(
        Answer(
            reasoning="Hm.",
            refusal="I can't.",
            tool_calls=(call,),
            finish_reason="tool_calls",
            usage=Usage(input=2, output=3, cached=0, cache_write=1, reasoning=1),
        ),
        structs.replace(BARE, dropped=("seed",)),
    )
    assert body["data"] == ""
    assert body["reasoning"] == "Hm."
    assert body["refusal"] == "I can't."
    assert body["toolCalls"] == [
        {
            "id": "call_1",
            "type": "function",
            "function": {"name": "f", "arguments": '{"a":1}'},
            "extra_content": {"google": {"s": "x"}},
        }
    ]
    assert body["usage"] == {
        "inputTokens": 2,
        "outputTokens": 3,
        "totalTokens": 5,
        "cachedTokens": 0,
        "cacheWriteTokens": 1,
        "reasoningTokens": 1,
    }
    assert body["metadata"]["cost"] is None
    assert body["metadata"]["costOrigin"] is None
    assert body["metadata"]["dropped"] == ["seed"]
    assert body["metadata"]["finishReason"] == "tool_calls"


DETAILS = [{"type": "reasoning.text", "text": "Hm.", "signature": "c2ln", "index": 0}]
CITED = [{"type": "url_citation", "url_citation": {"url": "https://a.test"}}]


def test_what_goes_back_and_what_is_cited_has_its_place() -> None:
    extra = {"reasoning_details": DETAILS, "annotations": CITED, "extra_content": {"google": {}}}
    answer = Answer(text="Hi.", extra=extra)
    event = native.NativeWriter().done(answer, BARE).partition(b"data: ")[2]
    for body in (answered(answer, BARE), json.loads(event)):
        assert body["reasoningDetails"] == DETAILS
        assert body["annotations"] == CITED
        assert body["extra"] == {"extra_content": {"google": {}}}
    assert not {"reasoningDetails", "annotations", "extra"} & answered(Answer(), BARE).keys()


@pytest.mark.parametrize("name", ["reasoningDetails", "reasoning_details"])
def test_reasoning_goes_back_under_either_name(name: str) -> None:
    turn = {"role": "assistant", "content": "Hi.", name: DETAILS, "x": 1}
    question = {"role": "user", "content": "reasoningDetails"}
    chat = native.parse_chat(json.dumps({"messages": [question, turn]}).encode()).chat
    assert bytes(chat.raw_messages[0]) == json.dumps(question).encode()
    sent = json.loads(bytes(chat.raw_messages[1]))
    assert sent == {"role": "assistant", "content": "Hi.", "reasoning_details": DETAILS, "x": 1}


def test_tool_calls_can_go_back_as_they_are() -> None:
    calls = answered(Answer(tool_calls=(ToolCall("c", FunctionCall("f")),)))["toolCalls"]
    turn = {"role": "assistant", "content": None, "tool_calls": calls}
    result = {"role": "tool", "tool_call_id": "c", "content": "1"}
    messages = parse(messages=[{"role": "user", "content": "x"}, turn, result]).chat.messages
    assert messages[1].tool_calls == (ToolCall("c", FunctionCall("f")),)


@pytest.mark.parametrize("status", ["hit", "stale"])
def test_what_the_cache_answers_costs_nothing(status: Any) -> None:
    cost = Cost(9, "computed")
    served = structs.replace(BARE, cost=cost, cache_status=status, cache_tier="kv")
    body = answered(Answer(text="Hi"), served)
    assert body["usage"] is None
    assert body["metadata"]["cost"] == 0
    assert body["metadata"]["costOrigin"] is None
    assert (body["metadata"]["cacheStatus"], body["metadata"]["cacheTier"]) == (status, "kv")


def test_an_error() -> None:
    error = RateLimitExceeded("Rate limit exceeded. Try again later.", retry_after=3599.1)
    assert json.loads(native.error(error, "req_1", 1705314600.9)) == {
        "success": False,
        "error": {
            "type": "rate_limit_exceeded",
            "message": "Rate limit exceeded. Try again later.",
            "code": 429,
            "source": "proxy",
            "retryAfter": 3600,
        },
        "metadata": {"requestId": "req_1", "timestamp": "2024-01-15T10:30:00Z"},
    }


def test_an_error_of_a_provider() -> None:
    error = InvalidRequest(
        "Too hot.",
        param="temperature",
        cause=Cause(source="provider", status=422, attempts=SERVED.attempts[:1]),
    )
    body = json.loads(native.error(error, "req_1", 0))
    assert body["error"] == {
        "type": "invalid_request",
        "message": "Too hot.",
        "code": 422,
        "source": "provider",
        "param": "temperature",
    }
    assert body["metadata"]["attempts"] == METADATA["attempts"][:1]


def test_a_stream() -> None:
    writer = native.writer(parse(prompt="Hi"), SERVED)
    named = ToolCallDelta(index=1, id="c", name="f")
    more = ToolCallDelta(index=1, arguments='{"a":1}')
    assert writer.chunk(Chunk()) == b""
    assert writer.chunk(Chunk(text="Hi\n")) == b'event: delta\ndata: {"text":"Hi\\n"}\n\n'
    assert events(
        writer.chunk(Chunk(text="A", reasoning="B", refusal="C", tool_calls=(named, more)))
    ) == [
        ("delta", {"reasoning": "B"}),
        ("delta", {"text": "A"}),
        ("delta", {"refusal": "C"}),
        ("delta", {"toolCall": {"index": 1, "id": "c", "name": "f", "arguments": ""}}),
        ("delta", {"toolCall": {"index": 1, "arguments": '{"a":1}'}}),
    ]
    answer = Answer(text="Hi", reasoning="B", usage=Usage(input=1, output=2))
    whole = answered(answer)
    del whole["data"]
    assert events(writer.done(answer, SERVED)) == [("done", whole)]


def test_a_stream_that_breaks() -> None:
    writer = native.writer(parse(prompt="Hi"), SERVED)
    error = ProxyError("It broke.")
    assert events(writer.error(error, "req_1", 0)) == [
        ("error", json.loads(native.error(error, "req_1", 0)))
    ]
