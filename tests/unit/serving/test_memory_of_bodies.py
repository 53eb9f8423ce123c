"""What a body takes of the memory on its way to the provider."""

import json
import tracemalloc
from typing import Any

import msgspec
import pytest

from proxy.cache.key import KeyParts, cache_key
from proxy.core.chat import Call
from proxy.dialects import anthropic, native, openai, responses
from proxy.limits.estimate import count_input_tokens
from proxy.providers.registry import ADAPTERS
from tests.unit.providers import replay

SIZE = 1_000_000
URL = f"data:image/png;base64,{'A' * SIZE}"
IMAGE = {"type": "image_url", "image_url": {"url": URL}}
MESSAGES = [
    {"role": "system", "content": "Look."},
    {"role": "user", "content": [{"type": "text", "text": "hi"}, IMAGE]},
    {"role": "assistant", "content": "Nice."},
    {"role": "user", "content": "And?"},
]
TEXT = [{"role": "user", "content": "é" * SIZE}]
OLDER = [
    {"role": "user", "content": [{"type": "image_url", "image_url": URL}]},
    {"role": "assistant", "content": None, "function_call": {"name": "f", "arguments": "{}"}},
    {"role": "function", "name": "f", "content": "1"},
]
FUNCTIONS = [{"name": "f", "parameters": {"type": "object"}}]
SMALL_PART = {"type": "text", "text": 'a "word"\n é'}
PARTS = [{"role": "user", "content": [SMALL_PART, {"type": "text", "text": "a" * SIZE}]}]
PROVIDERS = ("openai", "gemini", "workers-ai", "deepseek")


def sent(provider: str, call: Call) -> Any:
    target = replay.target(provider)
    body = ADAPTERS[target.wire].build_request(target, call.chat).body
    assert body
    return body if isinstance(body, bytes) else b"".join(body)


@pytest.mark.parametrize("provider", PROVIDERS)
@pytest.mark.parametrize(
    ("dialect", "fields"),
    [
        (openai, {"model": "m", "messages": MESSAGES}),
        (native, {"messages": MESSAGES}),
        (openai, {"model": "m", "messages": TEXT}),
        (native, {"messages": PARTS}),
        (native, {"prompt": "a" * SIZE}),
        (openai, {"model": "m", "messages": OLDER, "functions": FUNCTIONS}),
        (native, {"messages": OLDER}),
    ],
    ids=["image", "native image", "text", "native text", "prompt", "older", "native older"],
)
def test_a_body_takes_three_times_its_size_at_the_most(
    dialect: Any, fields: dict[str, Any], provider: str
) -> None:
    target = replay.target(provider)
    body = json.dumps(fields, ensure_ascii=False).encode()
    size = len(body)
    tracemalloc.start()
    body = bytes(bytearray(body))
    tracemalloc.reset_peak()
    call = dialect.parse_chat(body)
    del body
    cache_key(KeyParts(chat=call.chat))
    count_input_tokens(call.chat)
    outgoing = ADAPTERS[target.wire].build_request(target, call.chat)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert outgoing.body
    assert peak <= 3.1 * size


@pytest.mark.parametrize("provider", PROVIDERS)
@pytest.mark.parametrize("messages", [MESSAGES, TEXT, PARTS], ids=["image", "text", "parts"])
def test_what_is_spliced_is_what_would_be_encoded(
    provider: str, messages: list[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    bodies = []
    for small in (64 * 1024, 10 * SIZE):
        monkeypatch.setattr("proxy.core.splice.SMALL", small)
        body = json.dumps({"model": "m", "messages": messages}).encode()
        bodies.append(json.loads(sent(provider, openai.parse_chat(body))))
    assert bodies[0] == bodies[1]


@pytest.mark.parametrize("provider", PROVIDERS)
@pytest.mark.parametrize("content", [{}, {"content": None}, {"content": ""}, {"content": []}])
def test_a_large_call_of_a_tool_needs_no_text_beside_it(
    provider: str, content: dict[str, Any]
) -> None:
    arguments = json.dumps({"x": "y" * 100_000})
    call = {"id": "c1", "type": "function", "function": {"name": "f", "arguments": arguments}}
    messages = [
        {"role": "user", "content": "hi"},
        {"role": "assistant", "tool_calls": [call], **content},
        {"role": "tool", "tool_call_id": "c1", "content": "done"},
    ]
    body = json.dumps({"model": "m", "messages": messages}).encode()
    assert b"y" * 100_000 in sent(provider, openai.parse_chat(body))


def test_a_zero_byte_in_a_body_is_no_mark() -> None:
    raw = (
        b'{"messages": [{"role": "user", "content": [{"type": "x", "y": "\\u0000"}, %s]}], "n": 1}'
    )
    call = openai.parse_chat(raw % msgspec.json.encode(IMAGE))
    assert json.loads(sent("openai", call))["messages"][0]["content"][0]["y"] == "\0"


AGENTS = (
    (anthropic, {"model": "m", "max_tokens": 5, "messages": PARTS}),
    (responses, {"model": "m", "input": "a" * SIZE}),
)


@pytest.mark.parametrize("provider", ["openai", "gemini", "anthropic"])
@pytest.mark.parametrize(("dialect", "fields"), AGENTS, ids=["messages", "responses"])
def test_a_body_of_an_agent_takes_half_as_much_again(
    dialect: Any, fields: dict[str, Any], provider: str
) -> None:
    """Which is what it counts for, see api.body."""
    target = replay.target(provider)
    body = json.dumps(fields, ensure_ascii=False).encode()
    tracemalloc.start()
    call = dialect.parse_chat(body)
    cache_key(KeyParts(chat=call.chat))
    read = tracemalloc.get_traced_memory()[1]
    target = target.speaking(target.choose_wire(call.chat))
    ADAPTERS[target.wire].build_request(target, call.chat)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert read + len(body) <= 3.1 * len(body)
    assert peak + len(body) <= 4.6 * len(body)
