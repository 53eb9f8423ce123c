"""What is sent to providers of OpenAI's dialect: the caller's own bytes as far as they go, and
what the catalogue says of settings beyond."""

from typing import Any

import pytest
from msgspec import Raw, structs

from proxy.core.chat import ChatRequest
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
from proxy.providers import openai
from tests.unit.providers import replay
from tests.unit.providers.making_openai_request import BODY, as_called, sent, target

HELLO = (Message(role="user", content="Hello"),)


# The call


def test_the_call() -> None:
    outgoing = openai.build_request(
        target(headers={"x-title": "proxy"}), ChatRequest(messages=HELLO)
    )
    assert outgoing.method == "POST"
    assert outgoing.url == "https://acme.test/v1/chat/completions"
    assert outgoing.headers == {
        "authorization": "Bearer secret",
        "content-type": "application/json",
        "accept": "application/json",
        "x-title": "proxy",
    }
    expected = b'{"model":"model-1","messages":[{"role":"user","content":"Hello"}]}'
    assert outgoing.body == expected


def test_no_key_no_authorization() -> None:
    outgoing = openai.build_request(
        structs.replace(target(), key=None), ChatRequest(messages=HELLO)
    )
    assert "authorization" not in outgoing.headers


def test_a_stream_asks_for_its_usage() -> None:
    outgoing = openai.build_request(target(), ChatRequest(messages=HELLO, stream=True))
    assert outgoing.headers["accept"] == "text/event-stream"
    assert replay.decode_body(outgoing) == {
        "model": "model-1",
        "messages": [{"role": "user", "content": "Hello"}],
        "stream": True,
        "stream_options": {"include_usage": True},
    }


def test_everything_that_a_request_can_say() -> None:
    as_in_openai: dict[str, Any] = {
        "max_tokens": 5,
        "temperature": 0.5,
        "top_p": 0.9,
        "seed": 7,
        "frequency_penalty": 0.1,
        "presence_penalty": 0.2,
        "logprobs": True,
        "top_logprobs": 2,
        "parallel_tool_calls": False,
        "reasoning_effort": "low",
    }
    schema = JSONSchema(schema_={"type": "object"}, strict=True)
    chat = ChatRequest(
        messages=HELLO,
        stop=("a", "b"),
        tools=(Tool(function=Function(name="f", parameters={"type": "object"}, strict=True)),),
        tool_choice="function:f",
        response_format=ResponseFormat(type="json_schema", json_schema=schema),
        extra={"logit_bias": Raw(b'{"1": 2}'), "n": Raw(b"1")},
        **as_in_openai,
    )
    function = {"name": "f", "parameters": {"type": "object"}, "strict": True}
    assert sent(target(), chat) == as_in_openai | {
        "model": "model-1",
        "messages": [{"role": "user", "content": "Hello"}],
        "stop": ["a", "b"],
        "tools": [{"type": "function", "function": function}],
        "tool_choice": {"type": "function", "function": {"name": "f"}},
        "response_format": {
            "type": "json_schema",
            "json_schema": {"name": "answer", "schema": {"type": "object"}, "strict": True},
        },
        "logit_bias": {"1": 2},
        "n": 1,
    }


def test_messages_that_came_in_another_dialect() -> None:
    call = ToolCall(id="c1", function=FunctionCall("f"), extra_content={"google": {}})
    url = "data:image/png;base64,AA"
    image = Part(type="image_url", image_url=ImageURL(url, "low"))
    chat = ChatRequest(
        messages=(
            Message(role="user", content=(Part(type="text", text="See"), image), name="ann"),
            Message(role="assistant", tool_calls=(call,), reasoning_content="Hm."),
            Message(role="tool", content="done", tool_call_id="c1"),
        ),
        tool_choice="auto",
        response_format=ResponseFormat(type="json_object"),
    )
    parts = [
        {"type": "text", "text": "See"},
        {"type": "image_url", "image_url": {"url": url, "detail": "low"}},
    ]
    function = {"name": "f", "arguments": "{}"}
    sent_call = {"id": "c1", "type": "function", "function": function}
    sent_call["extra_content"] = {"google": {}}
    turn = {"role": "assistant", "content": None, "tool_calls": [sent_call]}
    assert sent(target(), chat) == {
        "model": "model-1",
        "messages": [
            {"role": "user", "content": parts, "name": "ann"},
            turn | {"reasoning_content": "Hm."},
            {"role": "tool", "content": "done", "tool_call_id": "c1"},
        ],
        "tool_choice": "auto",
        "response_format": {"type": "json_object"},
    }


# The caller's own bytes

ODD = b' {"content" : "Hi",  "role":"user", "surprise":1.10}'
TOOLS = b'[ {"type":"function", "function":{"name":"f"}} ]'


def test_what_needs_no_change_goes_on_as_the_very_bytes() -> None:
    assert openai.build_request(target(), as_called(BODY)).body is not None
    chat = as_called(BODY)
    assert openai.build_request(target(rename={"x": "y"}, drop=("z",)), chat).body is chat.body


def test_a_stream_that_asks_for_its_usage_needs_no_change() -> None:
    body = BODY[:-1] + b',"stream":true,"stream_options":{ "include_usage":true}}'
    chat = as_called(body)
    assert openai.build_request(target(), chat).body is chat.body


def test_another_model_leaves_the_messages_bytes_alone() -> None:
    body = b'{"messages":[%s],"model":"fast","tools":%s,"top_k":4}' % (ODD, TOOLS)
    outgoing = openai.build_request(target(), as_called(body)).body or b""
    expected = b'{"messages":[%s],"model":"model-1","tools":%s,"top_k":4}' % (ODD, TOOLS)
    assert outgoing == expected


def test_messages_and_tools_are_spliced_where_the_body_was_another() -> None:
    chat = ChatRequest(
        messages=HELLO, raw_messages=(Raw(ODD),), tools=(Tool(),), raw_tools=Raw(TOOLS)
    )
    outgoing = openai.build_request(target(), chat).body or b""
    assert outgoing == b'{"model":"model-1","messages":[%s],"tools":%s}' % (ODD, TOOLS)


def test_usage_is_asked_for_beside_other_options_of_the_stream() -> None:
    body = BODY[:-1] + b',"stream":true,"stream_options":{"include_obfuscation":false}}'
    options = {"include_obfuscation": False, "include_usage": True}
    assert sent(target(), as_called(body))["stream_options"] == options


def test_a_provider_that_knows_no_stream_options_gets_none() -> None:
    body = BODY[:-1] + b',"stream":true,"stream_options":{"include_usage":true}}'
    assert "stream_options" not in sent(target(stream_usage=False), as_called(body))


def test_whether_it_streams_is_the_requests_word_not_the_bodys() -> None:
    body = BODY[:-1] + b',"stream":true}'
    chat = structs.replace(as_called(body), stream=False)
    assert "stream" not in sent(target(), chat)


# What the catalogue says of settings


def test_fields_are_renamed_and_dropped() -> None:
    body = BODY[:-1] + b',"max_tokens":5,"logprobs":true,"seed":1}'
    to = target({"drop": ("seed",)}, rename={"max_tokens": "most"}, drop=("logprobs",))
    outgoing = openai.build_request(to, as_called(body))
    fields = replay.decode_body(outgoing)
    assert outgoing.dropped == ("logprobs", "seed")
    assert fields.keys() == {"model", "messages", "n", "most"}
    assert fields["most"] == 5


def test_a_field_that_stands_under_both_names_keeps_its_own() -> None:
    body = BODY[:-1] + b',"max_tokens":5,"most":6}'
    outgoing = sent(target({"rename": {"max_tokens": "most"}}), as_called(body))
    assert (outgoing.get("max_tokens"), outgoing["most"]) == (None, 6)


def test_unknown_fields_stay_out_where_they_are_refused() -> None:
    to = target({"send": {"top_k": 4}}, unknown_fields=False)
    outgoing = openai.build_request(to, as_called(BODY))
    assert outgoing.dropped == ("n",)
    assert replay.decode_body(outgoing).keys() == {"model", "messages", "top_k"}


def test_a_model_has_a_name_of_its_own_and_fields_of_its_own() -> None:
    thinking = {"type": "disabled"}
    to = target({"upstream": "wire-1", "send": {"thinking": thinking, "n": 9}})
    outgoing = sent(to, as_called(BODY))
    assert (outgoing["model"], outgoing["thinking"], outgoing["n"]) == ("wire-1", thinking, 1)


@pytest.mark.parametrize(
    ("requested", "expected"), [("minimal", "low"), ("max", "high"), ("medium", "medium")]
)
def test_efforts_become_those_that_the_model_knows(requested: str, expected: str) -> None:
    to = target({"efforts": {"max": "high"}}, efforts={"minimal": "low", "max": "low"})
    chat = ChatRequest(messages=HELLO, reasoning_effort=requested)
    assert sent(to, chat)["reasoning_effort"] == expected
