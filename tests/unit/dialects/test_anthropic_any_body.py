"""Whatever the bytes are, a Messages body is parsed or refused; what it says is kept."""

import json
from typing import Any

from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from proxy.cache.key import KeyParts, cache_key
from proxy.core.chat import Call, ChatRequest
from proxy.core.errors import InvalidRequest
from proxy.core.messages import Message
from proxy.dialects import anthropic
from proxy.limits.estimate import count_input_tokens, count_most_input_tokens
from tests.unit.dialects.making_anthropic import IMAGE, PNG, raw

WORDS = st.sampled_from([
    *("user", "assistant", "system", "text", "image", "document", "search_result", "thinking"),
    *("redacted_thinking", "tool_use", "tool_result", "server_tool_use", "base64", "url", "file"),
    *("content", "auto", "any", "tool", "custom", "json_schema", "enabled", "continue", PNG),
])  # fmt: skip
KEYS = st.sampled_from([
    *("model", "max_tokens", "messages", "system", "tools", "tool_choice", "thinking", "metadata"),
    *("output_config", "output_format", "stop_sequences", "cache_control", "mcp_servers", "thread"),
    *("role", "content", "type", "text", "source", "title", "context", "citations", "id", "name"),
    *("input", "tool_use_id", "is_error", "signature", "data", "media_type", "url", "file_id"),
    *("input_schema", "description", "strict", "input_examples", "allowed_callers", "user_id"),
    *("budget_tokens", "display", "effort", "format", "schema", "enabled", "provider", "cache"),
])  # fmt: skip
SCALARS = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8) | WORDS
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=5),
    max_leaves=20,
)
BLOCKS = st.lists(
    st.builds(lambda kind, rest: {**rest, "type": kind}, WORDS, st.dictionaries(KEYS, VALUES)),
    max_size=3,
)
TURNS = st.builds(
    lambda role, content: {"role": role, "content": content},
    st.sampled_from(["user", "assistant", "system"]),
    BLOCKS,
)
BODIES = st.builds(
    lambda body, turns: {"model": "m", "max_tokens": 1, "messages": turns, **body},
    st.dictionaries(KEYS, VALUES, max_size=4),
    st.lists(TURNS, max_size=3),
)


def never_raises_anything_else(body: bytes) -> None:
    try:
        call = anthropic.parse_chat(body)
    except InvalidRequest as error:
        assert error.message
        assert len(error.message) < 500
    else:
        assert isinstance(call, Call)
        assert len(call.chat.native_only) < 600
        assert count_input_tokens(call.chat)
        assert count_most_input_tokens(call.chat)
        assert cache_key(KeyParts(chat=call.chat))


@settings(deadline=None)
@given(st.binary())
@example(raw(messages=[{"role": "user", "content": "x"}])[:-1] + b', "odd": 1e999}')
@example(raw(messages=[{"role": "user", "content": "x"}])[:-1] + b', "odd": "\\udfff"}')
@example(b'{"model": "m", "max_tokens": 1, "messages": [{"role": "user", "content": "\\ud800"}]}')
@example(b"[" * 1_000_000)
def test_any_bytes(body: bytes) -> None:
    never_raises_anything_else(body)


@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(VALUES | BODIES)
def test_any_json(value: Any) -> None:
    never_raises_anything_else(json.dumps(value).encode())


TEXTS = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=20)
MARKS: st.SearchStrategy[Any] = st.just({}) | st.just({"cache_control": {"type": "ephemeral"}})
TEXT = st.builds(lambda text, mark: {"type": "text", "text": text, **mark}, TEXTS, MARKS)
RESULT = st.builds(
    lambda id_, content, bad: {
        "type": "tool_result", "tool_use_id": id_, "content": content, "is_error": bad,
    },
    TEXTS, st.lists(TEXT, min_size=1, max_size=2), st.booleans(),
)  # fmt: skip
THINKING = st.builds(
    lambda text, seal: {"type": "thinking", "thinking": text, "signature": seal}, TEXTS, TEXTS
)
CALL = st.builds(
    lambda id_, given: {"type": "tool_use", "id": id_, "name": "f", "input": given},
    TEXTS, st.dictionaries(TEXTS, st.integers() | TEXTS, max_size=2),
)  # fmt: skip


def listed(blocks: Any) -> Any:
    return st.lists(blocks, max_size=2)


USERS: st.SearchStrategy[Any] = st.tuples(
    listed(RESULT), listed(TEXT | st.just(IMAGE)), st.just([])
)
ANSWERS = st.tuples(listed(THINKING), listed(TEXT), listed(CALL))
CONVERSATIONS = st.lists(
    st.tuples(st.just("user"), USERS) | st.tuples(st.just("assistant"), ANSWERS), max_size=4
)


def render(messages: tuple[Message, ...]) -> list[tuple[str, list[Any]]]:
    """The messages as turns of Messages: results join what the user says after them."""
    turns: list[tuple[str, list[Any]]] = []
    for message in messages:
        content = [_render_part(part) for part in message.parts]
        extra = (message.extra_content or {}).get("anthropic", {})
        if message.role == "tool":
            head = {"type": "tool_result", "tool_use_id": message.tool_call_id}
            content = [{**head, "content": content, "is_error": message.is_error}]
        calls = [
            {
                "type": "tool_use", "id": call.id, "name": call.function.name,
                "input": json.loads(call.function.arguments or ""),
            }
            for call in message.tool_calls or ()
        ]  # fmt: skip
        content = [*extra.get("thinking_blocks", ()), *content, *calls]
        turns.append(("assistant" if message.role == "assistant" else "user", content))
    return _merge(turns)


def _render_part(part: Any) -> Any:
    if part.image_url:
        return IMAGE
    mark = {"cache_control": part.cache_control} if part.cache_control else {}
    return {"type": "text", "text": part.text, **mark}


def _merge(turns: list[tuple[str, list[Any]]]) -> list[tuple[str, list[Any]]]:
    """Neighbours of one role as one turn, as Anthropic takes them; none that holds nothing."""
    merged: list[tuple[str, list[Any]]] = []
    for role, content in turns:
        if content and merged and merged[-1][0] == role:
            merged[-1][1].extend(content)
        elif content:
            merged.append((role, list(content)))
    return merged


@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(CONVERSATIONS)
def test_a_conversation_loses_nothing_on_its_way(drawn: Any) -> None:
    turns = [(role, [block for blocks in kinds for block in blocks]) for role, kinds in drawn]
    messages = [{"role": role, "content": content} for role, content in turns]
    first = {"role": "user", "content": "Begin."}
    chat: ChatRequest = anthropic.parse_chat(raw(messages=[first, *messages])).chat
    assert chat.native_only == ""
    expected = [("user", [{"type": "text", "text": "Begin."}]), *turns]
    assert render(chat.messages) == _merge(expected)
