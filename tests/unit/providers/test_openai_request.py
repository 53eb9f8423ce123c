"""What is sent to providers of OpenAI's dialect: the caller's own bytes as far as they go, and
what the catalogue says of provider and model beyond."""

import json
from typing import Any

import msgspec
import pytest
from msgspec import Raw, structs

from proxy.core.chat import (
    ChatRequest,
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
from proxy.providers.specs import Model, ProviderSpec
from proxy.providers.target import Target
from tests.unit.providers import replay

HELLO = (Message(role="user", content="Hello"),)


def target(model: dict[str, Any] | None = None, **spec: Any) -> Target:
    return Target(
        spec=ProviderSpec(name="acme", dialect="openai", **spec),
        model=Model(provider="acme", id="model-1", **(model or {})),
        base_url="https://acme.test/v1/",
        key="secret",
    )


def sent(to: Target, chat: ChatRequest) -> Any:
    return json.loads(openai.build_request(to, chat).body or b"")


def as_called(body: bytes) -> ChatRequest:
    """The request that a caller of OpenAI's dialect makes, as far as these tests need it."""
    told = json.loads(body)
    raws = msgspec.json.decode(body, type=dict[str, Raw])
    messages = msgspec.convert(told["messages"], tuple[Message, ...])
    return ChatRequest(
        messages=messages,
        raw_messages=tuple(msgspec.json.decode(raws["messages"], type=list[Raw])),
        stream=told.get("stream", False),
        tools=tuple(Tool() for _ in told.get("tools", ())),
        response_format=msgspec.convert(told.get("response_format"), ResponseFormat | None),
        body=body,
    )


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
    assert json.loads(outgoing.body or b"") == {
        "model": "model-1",
        "messages": [{"role": "user", "content": "Hello"}],
        "stream": True,
        "stream_options": {"include_usage": True},
    }


def test_everything_that_a_request_can_say() -> None:
    chat = ChatRequest(
        messages=HELLO,
        max_tokens=5,
        temperature=0.5,
        top_p=0.9,
        stop=("a", "b"),
        seed=7,
        frequency_penalty=0.1,
        presence_penalty=0.2,
        logprobs=True,
        top_logprobs=2,
        tools=(Tool(function=Function(name="f", parameters={"type": "object"}, strict=True)),),
        tool_choice="function:f",
        parallel_tool_calls=False,
        response_format=ResponseFormat(
            type="json_schema", json_schema=JSONSchema(schema_={"type": "object"}, strict=True)
        ),
        reasoning_effort="low",
        extra={"logit_bias": Raw(b'{"1": 2}'), "n": Raw(b"1")},
    )
    assert sent(target(), chat) == {
        "model": "model-1",
        "messages": [{"role": "user", "content": "Hello"}],
        "max_tokens": 5,
        "temperature": 0.5,
        "top_p": 0.9,
        "stop": ["a", "b"],
        "seed": 7,
        "frequency_penalty": 0.1,
        "presence_penalty": 0.2,
        "logprobs": True,
        "top_logprobs": 2,
        "tools": [
            {
                "type": "function",
                "function": {"name": "f", "parameters": {"type": "object"}, "strict": True},
            }
        ],
        "tool_choice": {"type": "function", "function": {"name": "f"}},
        "parallel_tool_calls": False,
        "response_format": {
            "type": "json_schema",
            "json_schema": {"name": "answer", "schema": {"type": "object"}, "strict": True},
        },
        "reasoning_effort": "low",
        "logit_bias": {"1": 2},
        "n": 1,
    }


def test_messages_that_came_in_another_dialect() -> None:
    call = ToolCall(id="c1", function=FunctionCall("f"), extra_content={"google": {}})
    image = Part(type="image_url", image_url=ImageURL("data:image/png;base64,AA", "low"))
    chat = ChatRequest(
        messages=(
            Message(role="user", content=(Part(type="text", text="See"), image), name="ann"),
            Message(role="assistant", tool_calls=(call,), reasoning_content="Hm."),
            Message(role="tool", content="done", tool_call_id="c1"),
        ),
        tool_choice="auto",
        response_format=ResponseFormat(type="json_object"),
    )
    assert sent(target(), chat) == {
        "model": "model-1",
        "messages": [
            {
                "role": "user",
                "content": [
                    {"type": "text", "text": "See"},
                    {
                        "type": "image_url",
                        "image_url": {"url": "data:image/png;base64,AA", "detail": "low"},
                    },
                ],
                "name": "ann",
            },
            {
                "role": "assistant",
                "content": None,
                "tool_calls": [
                    {
                        "id": "c1",
                        "type": "function",
                        "function": {"name": "f", "arguments": "{}"},
                        "extra_content": {"google": {}},
                    }
                ],
                "reasoning_content": "Hm.",
            },
            {"role": "tool", "content": "done", "tool_call_id": "c1"},
        ],
        "tool_choice": "auto",
        "response_format": {"type": "json_object"},
    }


# The caller's own bytes

BODY = b'{ "model":"model-1", "messages":[ {"role":"user", "content":"H\\u00e9"} ],"n":1 }'
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
    told = openai.build_request(target(), as_called(body)).body or b""
    expected = b'{"messages":[%s],"model":"model-1","tools":%s,"top_k":4}' % (ODD, TOOLS)
    assert told == expected


def test_messages_and_tools_are_spliced_where_the_body_was_another() -> None:
    chat = ChatRequest(
        messages=HELLO, raw_messages=(Raw(ODD),), tools=(Tool(),), raw_tools=Raw(TOOLS)
    )
    told = openai.build_request(target(), chat).body or b""
    assert told == b'{"model":"model-1","messages":[%s],"tools":%s}' % (ODD, TOOLS)


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
    told = json.loads(outgoing.body or b"")
    assert outgoing.dropped == ("logprobs", "seed")
    assert told.keys() == {"model", "messages", "n", "most"}
    assert told["most"] == 5


def test_a_field_that_stands_under_both_names_keeps_its_own() -> None:
    body = BODY[:-1] + b',"max_tokens":5,"most":6}'
    told = sent(target({"rename": {"max_tokens": "most"}}), as_called(body))
    assert (told.get("max_tokens"), told["most"]) == (None, 6)


def test_unknown_fields_stay_out_where_they_are_refused() -> None:
    to = target({"send": {"top_k": 4}}, unknown_fields=False)
    outgoing = openai.build_request(to, as_called(BODY))
    assert outgoing.dropped == ("n",)
    assert json.loads(outgoing.body or b"").keys() == {"model", "messages", "top_k"}


def test_a_model_has_a_name_of_its_own_and_fields_of_its_own() -> None:
    thinking = {"type": "disabled"}
    to = target({"upstream": "wire-1", "send": {"thinking": thinking, "n": 9}})
    told = sent(to, as_called(BODY))
    assert (told["model"], told["thinking"], told["n"]) == ("wire-1", thinking, 1)


@pytest.mark.parametrize(("tools", "effort"), [((), "high"), ((Tool(),), "none")])
def test_fields_that_a_model_needs_with_tools(tools: tuple[Tool, ...], effort: str) -> None:
    to = target({"with_tools": {"reasoning_effort": "none"}})
    chat = ChatRequest(messages=HELLO, reasoning_effort="high", tools=tools, raw_tools=Raw(TOOLS))
    assert sent(to, chat)["reasoning_effort"] == effort


@pytest.mark.parametrize(
    ("asked", "told"), [("minimal", "low"), ("max", "high"), ("medium", "medium")]
)
def test_efforts_become_those_that_the_model_knows(asked: str, told: str) -> None:
    to = target({"efforts": {"max": "high"}}, efforts={"minimal": "low", "max": "low"})
    chat = ChatRequest(messages=HELLO, reasoning_effort=asked)
    assert sent(to, chat)["reasoning_effort"] == told


# What the catalogue says of messages

LONG = "call_" + "0123456789" * 5
HISTORY = json.dumps(
    {
        "model": "model-1",
        "messages": [
            {"role": "developer", "content": "Be brief."},
            {"role": "user", "content": "Weather?", "annotations": []},
            {
                "role": "assistant",
                "content": None,
                "reasoning_content": "Hm.",
                "tool_calls": [
                    {
                        "id": LONG,
                        "type": "function",
                        "function": {"name": "f", "arguments": "{}"},
                        "extra_content": {"google": {"thought_signature": "s"}},
                    },
                    {"id": "short", "type": "function", "function": {"name": "f"}},
                ],
            },
            {"role": "tool", "tool_call_id": LONG, "content": "sunny"},
            {"role": "tool", "tool_call_id": "short", "content": "rain"},
            {"role": "assistant", "content": "Sunny.", "reasoning_content": "So."},
        ],
    }
).encode()


def test_a_history_that_needs_no_change_keeps_its_bytes() -> None:
    chat = as_called(HISTORY)
    to = target(
        roles={"function": "tool"},
        message_drop=("audio",),
        tool_id_limit=64,
        tool_turn={"reasoning_content": ""},
    )
    assert openai.build_request(to, chat).body is chat.body


def test_roles_that_a_provider_does_not_know() -> None:
    messages = sent(target(roles={"developer": "system"}), as_called(HISTORY))["messages"]
    assert messages[0] == {"role": "system", "content": "Be brief."}
    assert messages[1:] == json.loads(HISTORY)["messages"][1:]


def test_fields_of_messages_that_a_provider_refuses() -> None:
    to = target({"message_drop": ("reasoning_content",)}, message_drop=("extra_content",))
    messages = sent(to, as_called(HISTORY))["messages"]
    assert messages[2].keys() == {"role", "content", "tool_calls"}
    assert [call.keys() for call in messages[2]["tool_calls"]] == [{"id", "type", "function"}] * 2
    assert messages[5] == {"role": "assistant", "content": "Sunny."}


def test_a_call_whose_arguments_are_null_has_an_empty_object() -> None:
    body = HISTORY.replace(b'"arguments": "{}"', b'"arguments": null')
    chat = as_called(body)
    assert chat.messages[2].tool_calls
    assert chat.messages[2].tool_calls[0].function.arguments == "{}"
    messages = sent(target(), chat)["messages"]
    assert messages == json.loads(HISTORY)["messages"]


TEXTS = [{"type": "text", "text": "sunny"}, {"type": "text", "text": "warm"}]
IMAGE = {"type": "image_url", "image_url": {"url": "data:image/png;base64,AAAA"}}


@pytest.mark.parametrize("role", ["tool", "user", "system", "assistant"])
def test_texts_in_parts_become_one_where_a_provider_takes_no_parts(role: str) -> None:
    message = {"role": role, "content": TEXTS, "x_new": 1}
    chat = as_called(json.dumps({"model": "model-1", "messages": [message]}).encode())
    assert sent(target(), chat)["messages"] == [message]
    [told] = sent(target(text_parts=False), chat)["messages"]
    assert told == message | {"content": "sunny\nwarm"}


def test_parts_with_an_image_stay_parts() -> None:
    message = {"role": "user", "content": [*TEXTS, IMAGE]}
    chat = as_called(json.dumps({"model": "model-1", "messages": [message]}).encode())
    assert sent(target(text_parts=False), chat)["messages"] == [message]


def test_deepseek_takes_no_parts() -> None:
    message = Message(role="tool", tool_call_id="c", content=(Part("text", "a"), Part("text", "b")))
    to = replay.target("deepseek")
    assert sent(to, ChatRequest(messages=(message,)))["messages"][0]["content"] == "a\nb"


def test_ids_that_are_too_long_become_the_same_short_one() -> None:
    messages = sent(target(tool_id_limit=40), as_called(HISTORY))["messages"]
    ids = [call["id"] for call in messages[2]["tool_calls"]]
    assert ids == ["call_33e972596e9dc2e652326beacab4e388ff6", "short"]
    assert [messages[n]["tool_call_id"] for n in (3, 4)] == ids
    assert messages[2]["tool_calls"][0]["extra_content"]


def test_fields_that_a_provider_wants_on_a_turn_with_tools() -> None:
    to = target({"message_drop": ("reasoning_content",)}, tool_turn={"reasoning_content": ""})
    messages = sent(to, as_called(HISTORY))["messages"]
    assert messages[2]["reasoning_content"] == ""
    assert "reasoning_content" not in messages[5]


SCHEMA = {"type": "json_schema", "json_schema": {"name": "city", "schema": {"type": "object"}}}
PROMPT = 'Answer with JSON only, and let it follow this JSON Schema: {"type":"object"}'


@pytest.mark.parametrize(
    ("of_model", "of_provider", "taken"),
    [(None, True, True), (None, False, False), (False, True, False), (True, False, True)],
)
def test_a_schema_goes_into_a_message_where_it_is_not_taken(
    of_model: bool | None, of_provider: bool, taken: bool
) -> None:
    body = BODY[:-1] + b',"response_format":' + json.dumps(SCHEMA).encode() + b"}"
    to = target({"json_schema": of_model}, json_schema=of_provider)
    told = sent(to, as_called(body))
    hello = {"role": "user", "content": "Hé"}
    if taken:
        assert (told["response_format"], told["messages"]) == (SCHEMA, [hello])
    else:
        assert told["response_format"] == {"type": "json_object"}
        assert told["messages"] == [{"role": "system", "content": PROMPT}, hello]
