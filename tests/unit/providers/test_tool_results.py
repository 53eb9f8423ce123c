"""Images in the results of tools, for providers that take texts alone there."""

import json
from typing import Any

import pytest

from proxy.core.chat import ChatRequest
from proxy.core.messages import FunctionCall, ImageURL, Message, Part, ToolCall
from proxy.dialects import openai
from proxy.providers.registry import ADAPTERS
from tests.unit.providers import replay

URL = "data:image/png;base64,iVBO"
IMAGE = Part("image_url", image_url=ImageURL(URL))
SHOWN = {"type": "image_url", "image_url": {"url": URL}}
CALLS = Message(
    "assistant", tool_calls=tuple(ToolCall(id_, FunctionCall("look")) for id_ in ("c1", "c2"))
)
MIXED = Message("tool", (Part("text", "A cat:"), IMAGE), tool_call_id="c1")
BARE = Message("tool", (IMAGE,), tool_call_id="c2")


def told(text: str) -> dict[str, Any]:
    return {"type": "text", "text": text}


MOVED = [told("This belongs to the result of c1:"), SHOWN]
MOVED += [told("This belongs to the result of c2:"), SHOWN]


def sent(provider: str, *messages: Message) -> Any:
    target = replay.target(provider)
    chat = ChatRequest(messages=messages, dialect="messages")
    return replay.decode_body(ADAPTERS[target.wire].build_request(target, chat))["messages"]


@pytest.mark.parametrize("provider", ["openai", "deepseek", "local", "workers-ai"])
def test_images_follow_in_the_users_message(provider: str) -> None:
    [_, first, second, user] = sent(provider, CALLS, MIXED, BARE, Message("user", "Well?"))
    assert (first["role"], first["content"]) == ("tool", "A cat:")
    assert second["content"] == "The result follows in the next message."
    assert [first["tool_call_id"], second["tool_call_id"]] == ["c1", "c2"]
    assert user == {"role": "user", "content": [*MOVED, told("Well?")]}


@pytest.mark.parametrize("after", [[], [Message("assistant", "A cat.")]])
def test_images_have_a_message_of_their_own_where_the_user_says_nothing(
    after: list[Message],
) -> None:
    [_, _, _, user, *rest] = sent("openai", CALLS, MIXED, BARE, *after)
    assert user == {"role": "user", "content": MOVED}
    assert [message["role"] for message in rest] == [message.role for message in after]


def test_a_mark_for_the_cache_stays() -> None:
    parts = (Part("text", "A cat:", cache_control={"type": "ephemeral"}), IMAGE)
    [_, result, _] = sent("openrouter", CALLS, Message("tool", parts, tool_call_id="c1"))
    assert result["content"] == [told("A cat:") | {"cache_control": {"type": "ephemeral"}}]


def test_a_caller_of_chat_completions_has_it_as_its_body_says() -> None:
    result = {"role": "tool", "tool_call_id": "c1", "content": [SHOWN]}
    call = {"id": "c1", "type": "function", "function": {"name": "f", "arguments": "{}"}}
    turn = {"role": "assistant", "content": None, "tool_calls": [call]}
    body = {"model": "m", "messages": [{"role": "user", "content": "x"}, turn, result]}
    chat = openai.parse_chat(json.dumps(body).encode()).chat
    outgoing = ADAPTERS["chat"].build_request(replay.target("openai"), chat)
    assert replay.decode_body(outgoing)["messages"] == body["messages"]
