"""What the catalogue says of messages for providers of OpenAI's dialect."""

import json

import pytest

from proxy.core.chat import ChatRequest
from proxy.core.messages import Message, Part
from proxy.providers import openai
from tests.unit.providers import replay
from tests.unit.providers.making_openai_request import BODY, as_called, sent, target

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
    [outgoing] = sent(target(text_parts=False), chat)["messages"]
    assert outgoing == message | {"content": "sunny\nwarm"}


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
    outgoing = sent(to, as_called(body))
    hello = {"role": "user", "content": "Hé"}
    if taken:
        assert (outgoing["response_format"], outgoing["messages"]) == (SCHEMA, [hello])
    else:
        assert outgoing["response_format"] == {"type": "json_object"}
        assert outgoing["messages"] == [{"role": "system", "content": PROMPT}, hello]
