"""Requests of Anthropic's Messages: the same key as in another dialect, or as no other request."""

import json
from typing import Any

import pytest

from proxy.cache.key import LONG, KeyParts, cache_key
from proxy.dialects import anthropic, openai

USER = {"role": "user", "content": "hi"}
SCHEMA = {"type": "object", "properties": {"a": {"type": "string"}}}
PDF = {"type": "base64", "media_type": "application/pdf"}


def key(**body: Any) -> str:
    given = {"model": "m", "max_tokens": 9, "messages": [USER], **body}
    return cache_key(KeyParts(chat=anthropic.parse_chat(json.dumps(given).encode()).chat))


def chat_key(**body: Any) -> str:
    given = {"model": "m", "max_tokens": 9, "messages": [USER], **body}
    return cache_key(KeyParts(chat=openai.parse_chat(json.dumps(given).encode()).chat))


def shown(*blocks: Any) -> Any:
    return {"messages": [USER, {"role": "user", "content": blocks}]}


@pytest.mark.parametrize("length", [1, 2 * LONG])
def test_the_same_as_in_openais_dialect(length: int) -> None:
    text, data = "a\n" * length, "aaaa" * length
    image = {"type": "base64", "media_type": "image/png", "data": data}
    blocks = [{"type": "text", "text": text}, {"type": "image", "source": image}]
    url = {"url": f"data:image/png;base64,{data}"}
    parts = [{"type": "text", "text": text}, {"type": "image_url", "image_url": url}]
    first = {"role": "system", "content": text}
    function = {"name": "f", "parameters": SCHEMA}
    assert key(
        system=text, **shown(*blocks), temperature=0.5, stop_sequences=["x"],
        tools=[{"name": "f", "input_schema": SCHEMA}], tool_choice={"type": "any"},
    ) == chat_key(
        messages=[first, USER, {"role": "user", "content": parts}], temperature=0.5, stop="x",
        tools=[{"type": "function", "function": function}], tool_choice="required",
    )  # fmt: skip


def test_the_form_of_the_answer() -> None:
    form = {"type": "json_schema", "schema": SCHEMA}
    schema = {"schema": SCHEMA, "strict": True}
    wanted = {"type": "json_schema", "json_schema": schema}
    assert key(output_config={"format": form}) == chat_key(response_format=wanted) != key()


DIFFERENT: list[tuple[Any, Any]] = [
    ({"top_k": 5}, {"top_k": 6}),
    (
        {"thinking": {"type": "enabled", "budget_tokens": 5000}},
        {"thinking": {"type": "enabled", "budget_tokens": 6000}},
    ),
    ({"mcp_servers": [{"url": "a"}]}, {"mcp_servers": [{"url": "b"}]}),
    (
        {"tools": [{"type": "bash_20250124", "name": "bash", "a": 1}]},
        {"tools": [{"type": "bash_20250124", "name": "bash", "a": 2}]},
    ),
    (
        shown({"type": "document", "source": {**PDF, "data": "aaaa"}}),
        shown({"type": "document", "source": {**PDF, "data": "bbbb"}}),
    ),
    (
        shown({"type": "document", "source": {**PDF, "data": "aaaa"}}),
        shown({
            "type": "document", "source": {**PDF, "data": "aaaa"}, "citations": {"enabled": True},
        }),
    ),
    (
        shown({"type": "document", "source": {**PDF, "data": "a" * LONG + "aaaa"}}),
        shown({"type": "document", "source": {**PDF, "data": "a" * LONG + "bbbb"}}),
    ),
    (shown({"type": "odd", "a": 1}), shown({"type": "odd", "a": 2})),
]  # fmt: skip


@pytest.mark.parametrize(("first", "second"), DIFFERENT)
def test_what_only_anthropic_knows_counts(first: Any, second: Any) -> None:
    assert key(**first) == key(**first) != key(**second) != key()


@pytest.mark.parametrize("fields", [{"mcp_servers": [{"url": "a"}]}, {"top_k": 5}])
def test_its_fields_are_none_of_another_dialect(fields: Any) -> None:
    assert key(**fields) != chat_key(**fields)


def test_a_result_that_failed_is_another() -> None:
    result = {"type": "tool_result", "tool_use_id": "t", "content": "x"}
    assert key(**shown(result)) != key(**shown({**result, "is_error": True}))
