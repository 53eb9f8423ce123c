"""Workers AI's adapter: inputs for the binding, answers and streams in both forms, codes."""

import json
from typing import Any

import pytest
from msgspec import Raw, structs

from proxy.core.chat import ChatRequest, Routing
from proxy.core.embedding import EmbeddingRequest
from proxy.core.errors import Fault, InvalidRequest
from proxy.core.messages import (
    Function,
    FunctionCall,
    ImageURL,
    JSONSchema,
    Message,
    Part,
    ResponseFormat,
    Tool,
    ToolCall,
)
from proxy.providers import workers_ai
from proxy.providers.specs import Endpoint, Model, ProviderSpec
from proxy.providers.target import Target
from tests.unit.providers import replay

HELLO = Message(role="user", content="Hello")
PNG = Part(type="image_url", image_url=ImageURL("data:image/png;base64,iVBO"))


def target(model: dict[str, Any] | None = None, **spec: Any) -> Target:
    return Target(
        spec=ProviderSpec(
            name="workers-ai", endpoints={"workers-ai": Endpoint()}, keyless=True, **spec
        ),
        model=Model(provider="workers-ai", id="@cf/acme/m-1", **(model or {})),
        base_url="",
        wire="workers-ai",
    )


TO = target()


def sent(*messages: Message, to: Target = TO, **fields: Any) -> Any:
    chat = ChatRequest(messages=messages or (HELLO,), **fields)
    return replay.decode_body(workers_ai.build_request(to, chat))


# The inputs


@pytest.mark.parametrize(
    "name",
    [
        "../x",
        "@cf/../../x",
        "@cf/%2e%2e/x",
        "@cf/x?y",
        "@cf/x#y",
        "@cf//x",
        "@cf/模",
        "a b",
        ".",
        "a\\b",
    ],
)
def test_what_would_not_stay_a_name_is_no_model(name: str) -> None:
    to = structs.replace(TO, model=Model(provider="workers-ai", id=name))
    with pytest.raises(InvalidRequest, match="is no model of Workers AI") as refused:
        workers_ai.build_request(to, ChatRequest(messages=(HELLO,)))
    assert refused.value.param == "model"
    with pytest.raises(InvalidRequest, match="is no model of Workers AI"):
        workers_ai.build_embedding_request(to, ASK)


def test_the_call() -> None:
    outgoing = workers_ai.build_request(TO, ChatRequest(messages=(HELLO,), stream=True))
    assert (outgoing.url, outgoing.headers) == ("ai:@cf/acme/m-1", {})
    assert outgoing.body == b'{"messages":[{"role":"user","content":"Hello"}],"stream":true}'


def test_messages_as_the_binding_wants_them() -> None:
    call = ToolCall(id="c1", function=FunctionCall("f", '{"a":1}'), extra_content={"google": {}})
    texts = (Part(type="text", text="One"), Part(type="text", text="Two"))
    outgoing = sent(
        Message(role="developer", content="Be brief."),
        Message(role="user", content=texts),
        Message(role="user", content=(*texts, PNG)),
        Message(role="assistant", tool_calls=(call,), reasoning_content="Hm."),
        Message(role="tool", tool_call_id="c1", content="sunny"),
        Message(role="tool", tool_call_id="c0", content="old"),
        to=target(roles={"developer": "system"}),
    )
    assert outgoing["messages"] == [
        {"role": "system", "content": "Be brief."},
        {"role": "user", "content": "One\nTwo"},
        {
            "role": "user",
            "content": [
                {"type": "text", "text": "One"},
                {"type": "text", "text": "Two"},
                {"type": "image_url", "image_url": {"url": "data:image/png;base64,iVBO"}},
            ],
        },
        {
            "role": "assistant",
            "content": "",
            "reasoning": "Hm.",
            "tool_calls": [
                {"id": "c1", "type": "function", "function": {"name": "f", "arguments": '{"a":1}'}}
            ],
        },
        {"role": "tool", "content": "sunny", "tool_call_id": "c1", "name": "f"},
        {"role": "tool", "content": "old", "tool_call_id": "c0"},
    ]


@pytest.mark.parametrize(
    "part", [Part(type="input_audio"), Part(type="image_url", image_url=ImageURL("https://x"))]
)
def test_parts_that_it_cannot_carry(part: Part) -> None:
    with pytest.raises(InvalidRequest) as raised:
        sent(Message(role="user", content=(PNG, part)))
    assert raised.value.param == "messages[0].content[1]"


def test_settings() -> None:
    to = target(
        {"send": {"top_k": 4}, "drop": ("seed",)},
        drop=("stop",),
        rename={"frequency_penalty": "repetition_penalty"},
        efforts={"minimal": "low"},
        unknown_fields=False,
    )
    chat = ChatRequest(
        messages=(HELLO,),
        max_tokens=5,
        temperature=0,
        stop=("x",),
        seed=1,
        frequency_penalty=0.5,
        reasoning_effort="minimal",
        tools=(Tool(function=Function(name="f", description="Does it.")),),
        tool_choice="function:f",
        extra={"n": Raw(b"1")},
    )
    outgoing = workers_ai.build_request(to, chat)
    assert outgoing.dropped == ("stop", "seed", "n")
    assert replay.decode_body(outgoing) == {
        "messages": [{"role": "user", "content": "Hello"}],
        "tools": [{"type": "function", "function": {"name": "f", "description": "Does it."}}],
        "tool_choice": {"type": "function", "function": {"name": "f"}},
        "max_tokens": 5,
        "temperature": 0,
        "reasoning_effort": "low",
        "top_k": 4,
        "repetition_penalty": 0.5,
    }


@pytest.mark.parametrize(
    ("requested", "expected"),
    [
        (ResponseFormat(type="json_object"), {"type": "json_object"}),
        (
            ResponseFormat(
                type="json_schema",
                json_schema=JSONSchema(name="city", schema_={"type": "object", "title": "C"}),
            ),
            {"type": "json_schema", "json_schema": {"type": "object", "title": "C"}},
        ),
        (
            ResponseFormat(
                type="json_schema", json_schema=JSONSchema(name="city", description="One.")
            ),
            {"type": "json_schema", "json_schema": {"title": "city", "description": "One."}},
        ),
    ],
)
def test_the_schema_stands_bare(requested: ResponseFormat, expected: Any) -> None:
    assert sent(response_format=requested)["response_format"] == expected


# Answers


@pytest.mark.parametrize(
    ("inner", "expected"),
    [
        ({"response": "<think>a</think>x"}, "'x' stop thought='a'"),
        ({"response": None, "tool_calls": []}, "None stop"),
        ({"tool_calls": [{"name": "f"}]}, "None tool_calls f({})#call_dae5902720e94b8dc7da0705"),
        ({"response": [1]}, "'[1]' stop"),
    ],
)
def test_native_answers(inner: Any, expected: str) -> None:
    assert (
        replay.describe(workers_ai.read_answer(TO, json.dumps(inner).encode()))
        == f"{expected} tokens=?"
    )


def test_answers_in_openais_form_are_not_passed_on() -> None:
    answer = workers_ai.read_answer(TO, replay.load("workers-ai", "openai-shape").body)
    assert (answer.text, answer.raw) == ("Hello there!", None)


@pytest.mark.parametrize(
    ("body", "kind", "message"),
    [
        (b"Oops", "garbage", "JSON is malformed: invalid character (byte 0): Oops"),
        (b"{}", "garbage", "It has no response: {}"),
        (b'{"choices":[]}', "garbage", 'It has no choices: {"choices":[]}'),
        (b'{"errors":[{"code":3040,"message":"Full"}]}', "rate_limited", "Full"),
        (b'{"error":"AiError: 5007: None"}', "not_found", "None"),
    ],
)
def test_answers_that_are_none(body: bytes, kind: str, message: str) -> None:
    with pytest.raises(Fault) as raised:
        workers_ai.read_answer(TO, body)
    assert raised.value.kind == kind
    assert raised.value.message.endswith(message)


# Streams


def played(*events: str) -> tuple[str, bool]:
    decoder = workers_ai.make_decoder(TO)
    chunks = replay.decode(decoder, [f"data: {event}\n\n".encode() for event in events])
    assert all(chunk.raw is None for chunk in chunks)
    return replay.describe(replay.collect(chunks)), decoder.finished


def test_done_finishes_what_knows_no_finish_reason() -> None:
    assert played('{"response":"Hi"}') == ("'Hi' stop tokens=?", False)
    assert played('{"response":"Hi"}', "[DONE]") == ("'Hi' stop tokens=?", True)
    call = '{"tool_calls":[{"name":"f","arguments":{}}]}'
    expected = "None tool_calls f({})#call_dae5902720e94b8dc7da0705 tokens=?"
    assert played(call, "[DONE]") == (expected, True)


def test_done_without_its_last_line_end_finishes_too() -> None:
    decoder = workers_ai.make_decoder(TO)
    chunks = replay.decode(decoder, [b'data: {"response":"Hi"}\n\ndata: [DONE]'])
    assert (replay.collect(chunks).text, decoder.finished) == ("Hi", True)


def test_thinking_in_native_pieces() -> None:
    pieces = ['{"response":"<thi"}', '{"response":"nk>a</think>"}', '{"response":"b <"}', "[DONE]"]
    assert played(*pieces) == ("'b <' stop thought='a' tokens=?", True)


@pytest.mark.parametrize("name", ["", "event: error\n"])
def test_an_error_in_a_stream(name: str) -> None:
    decoder = workers_ai.make_decoder(TO)
    with pytest.raises(Fault) as raised:
        decoder.feed(f'{name}data: {{"errors":[{{"code":3007,"message":"Late"}}]}}\n\n'.encode())
    assert replay.describe_fault(raised.value) == "FAULT timeout 408 code=3007 'Late'"


# Codes


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ("3040: Full", "rate_limited 429 code=3040 'Full'"),
        ("InferenceUpstreamError: 3040: Full", "rate_limited 429 code=3040 'Full'"),
        ("AiError: AiError: 3006: Big", "too_large 413 code=3006 'Big'"),
        ("4006: Used up", "rate_limited 429 code=4006 'Used up'"),
        ("5007: No such model", "not_found 404 code=5007 'No such model'"),
        ("3046: Late", "timeout 408 code=3046 'Late'"),
        ("5004: Bad", "bad_request 400 code=5004 'Bad'"),
        ("5005: LoRA is not supported", "bad_request 400 code=5005 lacks 'LoRA is not supported'"),
        ("10000: Authentication error", "unauthorized 401 code=10000 'Authentication error'"),
        ("9999: What?", "unavailable 500 '9999: What?'"),
        ("Network lost", "unavailable 500 'Network lost'"),
        ('{"internalCode":3042,"message":"None"}', "not_found 404 code=3042 'None'"),
    ],
)
def test_what_the_binding_throws(body: str, expected: str) -> None:
    assert (
        replay.describe_fault(workers_ai.read_fault(TO, 500, {}, body.encode()))
        == f"FAULT {expected}"
    )


def test_a_status_of_its_own_is_heard_without_a_code() -> None:
    fault = workers_ai.read_fault(TO, 429, {"retry-after": "2"}, b"Slow down")
    assert replay.describe_fault(fault) == "FAULT rate_limited 429 retry_after=2.0 'Slow down'"


# Embeddings and the probe

ASK = EmbeddingRequest(input=("red", "green"), routing=Routing())


def test_the_call_for_embeddings() -> None:
    outgoing = workers_ai.build_embedding_request(target({"send": {"pooling": "cls"}}), ASK)
    assert outgoing.url == "ai:@cf/acme/m-1"
    assert outgoing.body == b'{"pooling":"cls","text":["red","green"]}'


@pytest.mark.parametrize(("field", "value"), [("input", ((1,),)), ("dimensions", 4)])
def test_embeddings_that_the_models_do_not_make(field: str, value: Any) -> None:
    with pytest.raises(InvalidRequest) as raised:
        workers_ai.build_embedding_request(TO, structs.replace(ASK, **{field: value}))
    assert raised.value.param == field


@pytest.mark.parametrize(
    ("case", "count", "expected"),
    [("embeddings", 2, "tokens=?"), ("embeddings-usage", 1, "tokens=3+0 cached=0")],
)
def test_vectors(case: str, count: int, expected: str) -> None:
    request = structs.replace(ASK, input=("x",) * count)
    found = workers_ai.read_embeddings(TO, request, replay.load("workers-ai", case).body)
    assert found.vectors[0] == (0.0125, -0.25, 0.5, 0.0625)
    assert (len(found.vectors), found.model) == (count, "@cf/acme/m-1")
    assert replay.describe_usage(found.usage) == expected


@pytest.mark.parametrize("body", [b"Oops", b"{}", b'{"data":[[1.0]]}'])
def test_vectors_that_are_none(body: bytes) -> None:
    with pytest.raises(Fault) as raised:
        workers_ai.read_embeddings(TO, ASK, body)
    assert raised.value.kind == "garbage"


def test_the_probe_lists_the_bindings_models() -> None:
    outgoing = workers_ai.build_probe(TO)
    assert (outgoing.method, outgoing.url, outgoing.body) == ("GET", "ai:", None)
