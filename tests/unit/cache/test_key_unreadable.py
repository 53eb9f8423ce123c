"""Keys of requests with what no decoder takes: a number of 5,000 digits in an unknown field."""

import json
from base64 import b64encode
from typing import Any

import pytest

from proxy.cache.key import LONG, KeyParts, cache_key
from proxy.dialects import openai

ODD = "an odd value"
TEXTS = {"short": "hi", "long": "a" * (2 * LONG)}


def key(body: dict[str, Any], odd: str) -> str:
    """The key of a body in which `odd` stands, as JSON, in the place of ODD."""
    text = json.dumps(body).replace(json.dumps(ODD), odd)
    return cache_key(KeyParts(chat=openai.parse_chat(text.encode()).chat))


def with_odd_part(text: str, part: dict[str, Any]) -> dict[str, Any]:
    return {"messages": [{"role": "user", "content": [{"type": "text", "text": text}, part]}]}


def bodies(text: str) -> dict[str, dict[str, Any]]:
    """Bodies with an odd value, by its place; text: makes them short or long."""
    part = {"type": "text", "text": "b", "x": ODD}
    image = {"type": "image_url", "image_url": {"url": "https://a/1", "x": ODD}}
    call = {"id": "1", "function": {"name": "f", "arguments": "{}"}, "x": ODD}
    called = {"role": "assistant", "content": text, "tool_calls": [call]}
    tools = [
        {"function": {"name": "f", "description": text}},
        {"function": {"name": "g", "x": ODD}},
    ]
    return {
        "part": with_odd_part(text, part),
        "image": with_odd_part(text, image),
        "call": {"messages": [called, {"role": "tool", "tool_call_id": "1", "content": "ok"}]},
        "tool": {"messages": [{"role": "user", "content": "hi"}], "tools": tools},
        "message": {"messages": [{"role": "user", "content": text, "x": ODD}]},
    }


@pytest.mark.parametrize("length", TEXTS)
@pytest.mark.parametrize("place", bodies(""))
def test_it_counts_wherever_it_stands(place: str, length: str) -> None:
    body = bodies(TEXTS[length])[place]
    assert key(body, "1" * 5000) == key(body, "1" * 5000) != key(body, "2" * 5000)


@pytest.mark.parametrize("place", bodies(""))
def test_no_text_has_its_key(place: str) -> None:
    body, digits = bodies(TEXTS["long"])[place], "1" * 5000
    encoded = b64encode(digits.encode()).decode()
    assert key(body, digits) != key(body, json.dumps(encoded))
