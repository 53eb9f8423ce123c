"""OpenAI's dialect: requests into the house's words, answers out of them."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.core.chat import (
    Answer,
    Attempt,
    CacheControl,
    Call,
    Chunk,
    EmbeddingRequest,
    Embeddings,
    ModelEntry,
    Routing,
    Served,
    Usage,
)
from proxy.core.errors import (
    AuthenticationFailed,
    BudgetExceeded,
    Cause,
    InternalError,
    InvalidRequest,
    MethodNotAllowed,
    NoProviderAvailable,
    NotFound,
    PayloadTooLarge,
    PermissionDenied,
    ProviderError,
    ProviderTimeout,
    ProxyError,
    RateLimitExceeded,
    UnsupportedMediaType,
)
from proxy.core.messages import FunctionCall, Message, ToolCall, ToolCallDelta
from proxy.core.sse import DONE, Parser, frame
from proxy.dialects import native, openai
from proxy.dialects.contract import Dialect

DIALECT: Dialect = openai

USER = {"role": "user", "content": "hi"}
TOOL = {"type": "function", "function": {"name": "f"}}
SERVED = Served(request_id="req_1", provider="gemini", model="flash", created=1_700_000_000)
HEAD = {
    "id": "chatcmpl-req_1",
    "object": "chat.completion.chunk",
    "created": 1_700_000_000,
    "model": "flash",
}


def raw(**body: Any) -> bytes:
    return json.dumps({"messages": [USER], **body}).encode()


def parse(**body: Any) -> Call:
    return openai.parse_chat(raw(**body))


def answered(answer: Answer, served: Served = SERVED) -> Any:
    return json.loads(openai.answer(answer, served))


def events(data: bytes) -> list[Any]:
    return [json.loads(event.data) for event in Parser().feed(data) if event.data != b"[DONE]"]


def delta(fields: dict[str, Any], finish: str | None = None, **more: Any) -> dict[str, Any]:
    choice = {"index": 0, "delta": fields, "logprobs": None, "finish_reason": finish}
    return {**HEAD, "choices": [choice], **more}


def writer(include_usage: bool = False) -> openai.Writer:
    options = {"include_usage": include_usage}
    return openai.writer(parse(stream=True, stream_options=options), SERVED)


# --- requests -------------------------------------------------------------------------------


def test_a_body_of_openais_own_goes_on_unchanged() -> None:
    body = raw(model="gpt-4o", n=1, user="ann", logit_bias={"1": -1}, verbosity="low")
    call = openai.parse_chat(body)
    assert call.chat.body is body
    assert call.chat.messages == (Message("user", "hi"),)
    assert call.routing == Routing(model="gpt-4o")
    assert call.user == "ann"
    assert {name: bytes(value) for name, value in call.chat.extra.items()} == {
        "logit_bias": b'{"1": -1}',
        "verbosity": b'"low"',
    }


@pytest.mark.parametrize(
    "own",
    [
        {"provider": "groq"},
        {"provider": None},
        {"models": ["a"]},
        {"fallback": False},
        {"strategy": "fastest"},
        {"cache": {}},
        {"timeout": 5},
        {"metadata": {"team": "red"}},
    ],
)
def test_the_proxys_fields_go_no_further(own: dict[str, Any]) -> None:
    chat = parse(model="gpt-4o", **own).chat
    assert chat.body is None
    assert chat.extra == {}


LABELS = {
    "team": "red",
    "tags": ["a", "b c"],
    "retries": 3,
    "share": 0.5,
    "beta": True,
    "none": None,
    "trace": {"id": "é", "at": [1, {}]},
}


@pytest.mark.parametrize("read", [openai.parse_chat, native.parse_chat])
def test_metadata_of_any_json_becomes_labels(read: Any) -> None:
    messages = [{"role": "user", "content": "hi"}]
    call = read(json.dumps({"messages": messages, "metadata": LABELS}).encode())
    assert call.metadata == {
        "team": "red",
        "tags": '["a","b c"]',
        "retries": "3",
        "share": "0.5",
        "beta": "true",
        "none": "null",
        "trace": '{"id":"é","at":[1,{}]}',
    }


def test_metadata_of_embeddings_stays_here() -> None:
    ask = openai.parse_embeddings(b'{"input":"a","metadata":{"tags":["x"]}}')
    assert (ask.metadata, ask.extra) == ({"tags": '["x"]'}, {})


@given(
    st.dictionaries(
        st.text(max_size=64),
        st.recursive(
            st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
            lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
        ),
        max_size=18,
    )
)
def test_whatever_metadata_is_its_labels_are_bounded(metadata: dict[str, Any]) -> None:
    body = {"messages": [{"role": "user", "content": "hi"}], "metadata": metadata}
    try:
        call = openai.parse_chat(json.dumps(body).encode("utf-8", "surrogatepass"))
    except InvalidRequest:
        return
    assert call.metadata.keys() == metadata.keys()
    assert all(len(label) <= 512 for label in call.metadata.values())
    assert len(call.metadata) <= 16


def test_metadata_of_what_openai_stores_goes_to_openai() -> None:
    body = raw(store=True, metadata={"a": "b"})
    call = openai.parse_chat(body)
    assert call.chat.body is body
    assert bytes(call.chat.extra["metadata"]) == b'{"a": "b"}'
    assert call.metadata == {"a": "b"}
    assert parse(store=False, metadata={"a": "b"}).chat.body is None


def test_messages_and_tools_keep_their_bytes() -> None:
    messages = [
        b'{"role":"developer","content":"Be brief."}',
        b'{ "content":"h\\u00e9", "role":"user", "cache_control":{"type":"ephemeral"} }',
    ]
    tools = b'[ {"function":{"name":"f"},"type":"function","odd":1.0} ]'
    body = b'{"messages":[%b],"tools":%b}' % (b" , ".join(messages), tools)
    chat = openai.parse_chat(body).chat
    assert [bytes(message) for message in chat.raw_messages] == messages
    assert bytes(chat.raw_tools or b"") == tools
    assert [message.role for message in chat.messages] == ["developer", "user"]


def test_settings() -> None:
    call = parse(
        max_tokens=5,
        temperature=0,
        top_p=1,
        stop=["a", "b"],
        seed=1,
        frequency_penalty=-2,
        presence_penalty=2,
        logprobs=True,
        top_logprobs=20,
        tools=[TOOL],
        tool_choice="required",
        parallel_tool_calls=False,
        response_format={"type": "json_object"},
        reasoning_effort="low",
        stream=True,
        stream_options={"include_usage": True},
    )
    chat = call.chat
    assert (chat.max_tokens, chat.temperature, chat.top_p, chat.seed) == (5, 0.0, 1.0, 1)
    assert (chat.frequency_penalty, chat.presence_penalty) == (-2.0, 2.0)
    assert (chat.logprobs, chat.top_logprobs, chat.stop) == (True, 20, ("a", "b"))
    assert (chat.tool_choice, chat.parallel_tool_calls) == ("required", False)
    assert chat.response_format
    assert chat.response_format.type == "json_object"
    assert (chat.reasoning_effort, chat.stream, call.include_usage) == ("low", True, True)


def test_null_is_not_said() -> None:
    names = ("max_tokens", "stop", "tools", "stream_options", "n", "metadata", "stream", "model")
    nothing = parse()
    call = parse(**dict.fromkeys(names))
    assert (call.routing, call.metadata, call.include_usage) == (nothing.routing, {}, False)
    assert (call.chat.tools, call.chat.raw_tools, call.chat.stop) == ((), None, ())


def test_both_names_of_max_tokens() -> None:
    assert parse(max_tokens=6).chat.max_tokens == 6
    assert parse(max_completion_tokens=6).chat.max_tokens == 6
    assert parse(max_tokens=6, max_completion_tokens=6).chat.max_tokens == 6
    with pytest.raises(InvalidRequest, match="max_tokens: Differs from max_completion_tokens"):
        parse(max_tokens=5, max_completion_tokens=6)


def test_tool_choices() -> None:
    named = {"type": "function", "function": {"name": "f"}}
    assert parse(tools=[TOOL], tool_choice=named).chat.tool_choice == "function:f"
    allowed = {"type": "allowed_tools", "allowed_tools": {"mode": "auto", "tools": []}}
    chat = parse(tools=[TOOL], tool_choice=allowed).chat
    assert chat.tool_choice is None
    assert json.loads(bytes(chat.extra["tool_choice"])) == allowed


@pytest.mark.parametrize(
    ("cache", "expected"),
    [
        ({}, CacheControl()),
        ({"ttl": 60, "mode": "off"}, CacheControl(ttl=60, mode="off")),
        ({"no-cache": True}, CacheControl(mode="refresh")),
        ({"no-cache": True, "mode": "off"}, CacheControl(mode="off")),
        ({"no-store": True}, CacheControl(store=False)),
        ({"no-cache": False, "no-store": False}, CacheControl()),
        ({"s-maxage": 9, "namespace": "x"}, CacheControl(max_age=9, namespace="x")),
    ],
)
def test_cache(cache: dict[str, Any], expected: CacheControl) -> None:
    assert parse(cache=cache).cache == expected


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({}, Routing()),
        ({"provider": "groq", "timeout": 9}, Routing(provider="groq", timeout_ms=9)),
        (
            {"fallback": ["a"], "strategy": "reliable"},
            Routing(fallback=("a",), strategy="reliable"),
        ),
        ({"models": ["a", "b", "a"]}, Routing(model="a", models=("b",))),
        ({"model": "b", "models": ["a", "b"]}, Routing(model="b", models=("a",))),
        ({"models": []}, Routing()),
        (
            {"provider": {"order": ["a"], "only": ["a", "b"], "ignore": ["c"]}},
            Routing(order=("a",), only=("a", "b"), ignore=("c",)),
        ),
        ({"provider": {"sort": "price"}}, Routing(strategy="cheapest")),
        ({"provider": {"sort": "throughput"}}, Routing(strategy="fastest")),
        ({"provider": {"sort": "latency"}}, Routing(strategy="fastest")),
        ({"provider": {"sort": "price"}, "strategy": "balanced"}, Routing(strategy="balanced")),
        ({"provider": {"allow_fallbacks": False}, "fallback": True}, Routing(fallback=False)),
        ({"provider": {"allow_fallbacks": True}}, Routing()),
    ],
)
def test_routing(fields: dict[str, Any], expected: Routing) -> None:
    assert parse(**fields).routing == expected
    embed = json.dumps({"input": "a", **fields}).encode()
    assert openai.parse_embeddings(embed).routing == expected


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ("a", ("a",)),
        (["a", "b"], ("a", "b")),
        ([1, 2], ((1, 2),)),
        ([0] * 3000, ((0,) * 3000,)),
        ([[1], [2, 3]], ((1,), (2, 3))),
    ],
)
def test_inputs(given: Any, expected: Any) -> None:
    assert openai.parse_embeddings(json.dumps({"input": given}).encode()).input == expected


@pytest.mark.parametrize(
    ("provider", "vendors"),
    [
        ("groq", None),
        ({"order": ["a"], "only": [], "zdr": None}, None),
        ({"zdr": True, "data_collection": "deny"}, '{"data_collection":"deny","zdr":true}'),
        ({"order": ["a"], "sort": {"by": "price"}}, '{"sort":{"by":"price"}}'),
    ],
)
def test_what_is_for_openrouter_alone(provider: Any, vendors: str | None) -> None:
    assert parse(provider=provider).chat.vendors == vendors
    embed = json.dumps({"input": "a", "provider": provider}).encode()
    assert openai.parse_embeddings(embed).vendors == vendors


@pytest.mark.parametrize(
    ("inputs", "listed"),
    [("a", False), (["a"], True), ([1, 2], False), ([[1, 2]], True), (["a", "b"], True)],
)
def test_the_form_of_inputs_is_kept_in_mind(inputs: Any, listed: bool) -> None:
    assert openai.parse_embeddings(json.dumps({"input": inputs}).encode()).listed == listed


def test_embeddings_settings() -> None:
    body = b'{"input":"a","model":"e","dimensions":3,"encoding_format":"base64","user":"u","x":1 }'
    ask = openai.parse_embeddings(body)
    assert {name: bytes(value) for name, value in ask.extra.items()} == {"x": b"1"}
    assert (ask.input, ask.routing, ask.dimensions, ask.base64, ask.user) == (
        ("a",),
        Routing(model="e"),
        3,
        True,
        "u",
    )
    assert openai.parse_embeddings(b'{"input":"a"}') == EmbeddingRequest(
        input=("a",), routing=Routing()
    )


# --- answers --------------------------------------------------------------------------------


def test_a_providers_own_bytes_go_on() -> None:
    body = b'{"odd": 1}'
    assert openai.answer(Answer(text="x", raw=body), SERVED) is body


def test_an_answer() -> None:
    usage = Usage(input=3, output=4, cached=0, reasoning=2)
    assert answered(Answer(text="Hi", usage=usage, logprobs={"content": []})) == {
        "id": "chatcmpl-req_1",
        "object": "chat.completion",
        "created": 1_700_000_000,
        "model": "flash",
        "choices": [
            {
                "index": 0,
                "message": {"role": "assistant", "content": "Hi", "refusal": None},
                "logprobs": {"content": []},
                "finish_reason": "stop",
            }
        ],
        "usage": {
            "prompt_tokens": 3,
            "completion_tokens": 4,
            "total_tokens": 7,
            "prompt_tokens_details": {"cached_tokens": 0},
            "completion_tokens_details": {"reasoning_tokens": 2},
        },
    }


def test_an_answer_with_all_there_is() -> None:
    call = ToolCall("c", FunctionCall("f", "{}"), extra_content={"google": {}})
    body = answered(
        Answer(
            reasoning="Hm.",
            refusal="No.",
            tool_calls=(call,),
            finish_reason="tool_calls",
            id="x",
            created=5,
            model="flash-001",
            extra={"annotations": [1], "role": "robot"},
        )
    )
    assert (body["id"], body["created"], body["model"]) == ("x", 5, "flash-001")
    assert "usage" not in body
    assert body["choices"][0]["finish_reason"] == "tool_calls"
    assert body["choices"][0]["message"] == {
        "role": "assistant",
        "content": None,
        "refusal": "No.",
        "reasoning_content": "Hm.",
        "annotations": [1],
        "tool_calls": [
            {
                "id": "c",
                "type": "function",
                "function": {"name": "f", "arguments": "{}"},
                "extra_content": {"google": {}},
            }
        ],
    }


def test_embeddings() -> None:
    found = Embeddings(vectors=((0.5, 1.0), "AAAA"), model="e", usage=Usage(input=4))
    assert json.loads(openai.embeddings(found, SERVED)) == {
        "object": "list",
        "data": [
            {"object": "embedding", "index": 0, "embedding": [0.5, 1.0]},
            {"object": "embedding", "index": 1, "embedding": "AAAA"},
        ],
        "model": "e",
        "usage": {"prompt_tokens": 4, "total_tokens": 4},
    }
    bare = json.loads(openai.embeddings(Embeddings(vectors=()), SERVED))
    assert (bare["model"], bare["usage"]["total_tokens"]) == ("flash", 0)


def test_models() -> None:
    entry = ModelEntry("groq/fast", "groq")
    told = {"id": "groq/fast", "object": "model", "created": 0, "owned_by": "groq"}
    assert json.loads(openai.model(entry)) == told
    assert json.loads(openai.models([entry])) == {"object": "list", "data": [told]}


# --- errors ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("error", "type_", "code"),
    [
        (InvalidRequest("x"), "invalid_request_error", None),
        (AuthenticationFailed("x"), "invalid_request_error", "invalid_api_key"),
        (BudgetExceeded("x"), "insufficient_quota", "insufficient_quota"),
        (PermissionDenied("x"), "permission_error", "permission_denied"),
        (NotFound("x"), "invalid_request_error", "not_found"),
        (NotFound("x", param="model"), "invalid_request_error", "model_not_found"),
        (NotFound("x", cause=Cause(source="provider")), "invalid_request_error", "model_not_found"),
        (MethodNotAllowed("x", allow=("GET",)), "invalid_request_error", "method_not_allowed"),
        (PayloadTooLarge("x"), "invalid_request_error", "payload_too_large"),
        (UnsupportedMediaType("x"), "invalid_request_error", "unsupported_media_type"),
        (RateLimitExceeded("x"), "rate_limit_error", "rate_limit_exceeded"),
        (
            RateLimitExceeded("x", code="insufficient_quota"),
            "rate_limit_error",
            "insufficient_quota",
        ),
        (InternalError("x"), "server_error", "internal_error"),
        (ProviderError("x"), "server_error", "provider_error"),
        (NoProviderAvailable("x"), "server_error", "no_provider_available"),
        (ProviderTimeout("x"), "server_error", "provider_timeout"),
    ],
)
def test_errors_in_openais_words(error: ProxyError, type_: str, code: str | None) -> None:
    assert json.loads(openai.error(error, "req_1", 0)) == {
        "error": {
            "message": "x",
            "type": type_,
            "param": error.param,
            "code": code,
            "error_type": error.type,
            "source": error.source,
            "request_id": "req_1",
        }
    }


def test_an_error_tells_the_attempts() -> None:
    attempt = Attempt(provider="groq", model="m", outcome="timeout", ms=9)
    body = json.loads(
        openai.error(ProviderError("x", cause=Cause(attempts=(attempt,))), "req_1", 0)
    )
    assert body["error"]["attempts"] == [
        {"provider": "groq", "model": "m", "outcome": "timeout", "ms": 9}
    ]


# --- streams --------------------------------------------------------------------------------


def test_a_stream_is_rendered() -> None:
    out = writer()
    assert out.chunk(Chunk(usage=Usage(input=1))) == b""
    assert events(out.chunk(Chunk(text="Hi"))) == [delta({"role": "assistant", "content": "Hi"})]
    assert events(out.chunk(Chunk(reasoning="Hm"))) == [delta({"reasoning_content": "Hm"})]
    assert events(out.chunk(Chunk(refusal="No"))) == [delta({"refusal": "No"})]
    assert events(out.chunk(Chunk(extra={"annotations": [1]}))) == [delta({"annotations": [1]})]
    assert events(out.chunk(Chunk(finish_reason="length"))) == [delta({}, "length")]
    assert out.done(Answer(usage=Usage(input=1)), SERVED) == DONE


def test_ids_models_and_logprobs_of_chunks() -> None:
    out = writer()
    out.chunk(Chunk(text="a", id="x", model="m"))
    (event,) = events(out.chunk(Chunk(logprobs={"content": []})))
    assert (event["id"], event["model"]) == ("x", "m")
    assert event["choices"][0]["logprobs"] == {"content": []}


def test_tool_calls_are_streamed_in_openais_form() -> None:
    out = writer()
    first = ToolCallDelta(index=0, id="c", name="f", extra_content={"google": {}})
    (event,) = events(out.chunk(Chunk(tool_calls=(first,))))
    assert event["choices"][0]["delta"] == {
        "role": "assistant",
        "tool_calls": [
            {
                "index": 0,
                "id": "c",
                "type": "function",
                "function": {"name": "f", "arguments": ""},
                "extra_content": {"google": {}},
            }
        ],
    }
    (event,) = events(out.chunk(Chunk(tool_calls=(ToolCallDelta(arguments='{"a"'),))))
    assert event["choices"][0]["delta"] == {
        "tool_calls": [{"index": 0, "function": {"arguments": '{"a"'}}]
    }


def test_usage_is_rendered_once_when_asked_for() -> None:
    out = writer(include_usage=True)
    (event,) = events(out.chunk(Chunk(text="Hi", usage=Usage(input=1))))
    assert event["usage"] is None
    assert out.chunk(Chunk(usage=Usage(input=1, output=1), usage_only=True)) == b""
    end = out.done(Answer(usage=Usage(input=1, output=2)), SERVED)
    assert end.endswith(DONE)
    usage = {"prompt_tokens": 1, "completion_tokens": 2, "total_tokens": 3}
    assert events(end) == [{**HEAD, "choices": [], "usage": usage}]


def test_unknown_usage_is_not_invented() -> None:
    assert writer(include_usage=True).done(Answer(), SERVED) == DONE


CONTENT = b'{"id":"x","choices":[{"delta":{"content":"Hi"}}]}'
FINISH = b'{"id":"x","choices":[{"delta":{},"finish_reason":"stop"}],"usage":{"total_tokens":3}}'
CLOSING = b'{"id":"x","choices":[],"usage":{"total_tokens":3,"cost":0.1}}'
THREE = Usage(input=1, output=2)


def test_a_providers_own_chunks_go_on() -> None:
    out = writer()
    assert out.chunk(Chunk(text="Hi", raw=CONTENT)) == frame(CONTENT)
    assert out.chunk(Chunk(usage=THREE, raw=FINISH)) == frame(FINISH)
    assert out.chunk(Chunk(usage=THREE, raw=CLOSING, usage_only=True)) == b""
    assert out.done(Answer(usage=THREE), SERVED) == DONE


def test_a_providers_closing_chunk_goes_on_once() -> None:
    out = writer(include_usage=True)
    assert out.chunk(Chunk(text="Hi", raw=CONTENT)) == frame(CONTENT)
    (event,) = events(out.chunk(Chunk(finish_reason="stop", usage=THREE, raw=FINISH)))
    assert event["usage"] is None
    assert event["choices"][0]["finish_reason"] == "stop"
    assert out.chunk(Chunk(usage=THREE, raw=CLOSING, usage_only=True)) == b""
    assert out.chunk(Chunk(usage=Usage(), raw=b'{"usage":{"a":0}}', usage_only=True)) == b""
    assert out.done(Answer(usage=THREE), SERVED) == frame(CLOSING) + DONE


def test_usage_told_beside_a_choice_gets_a_chunk_of_its_own() -> None:
    out = writer(include_usage=True)
    out.chunk(Chunk(finish_reason="stop", usage=THREE, raw=FINISH))
    end = out.done(Answer(usage=THREE), SERVED)
    assert events(end) == [{"id": "x", "choices": [], "usage": {"total_tokens": 3}}]


def test_usage_under_a_providers_own_name_gets_a_chunk_too() -> None:
    groq = b'{"id":"x","choices":[{"delta":{}}],"x_groq":{"usage":{"total_tokens":3}}}'
    out = writer(include_usage=True)
    assert out.chunk(Chunk(usage=THREE, raw=groq, id="x")) == frame(groq)
    (event,) = events(out.done(Answer(usage=THREE), SERVED))
    assert (event["id"], event["usage"]["total_tokens"]) == ("x", 3)


def test_a_broken_stream_ends_in_an_error_chunk() -> None:
    error = ProviderError("It broke.", cause=Cause(source="provider"))
    (event,) = events(writer().error(error, "req_1", 0))
    assert event == delta({}, "error", error=json.loads(openai.error(error, "req_1", 0))["error"])
    assert b"[DONE]" not in writer().error(error, "req_1", 0)
