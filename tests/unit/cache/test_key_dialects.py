"""Requests of OpenAI's Responses have the keys of chat completions that mean the same."""

import json
from typing import Any

import pytest

from proxy.cache.key import KeyParts, cache_key
from proxy.dialects import openai, responses

PLAIN: dict[str, Any] = {"model": "m", "input": "hi"}
TOOL = {"type": "function", "name": "f", "parameters": {"type": "object"}, "strict": False}
ALIKE: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "text": ({}, {}),
    "instructions": ({"instructions": "Be brief."}, {}),
    "settings": (
        {"temperature": 0.5, "max_output_tokens": 9, "text": {"verbosity": "low"}},
        {"temperature": 0.5, "max_tokens": 9, "verbosity": "low"},
    ),
    "format": (
        {"text": {"format": {"type": "json_schema", "name": "a", "schema": {"type": "object"}}}},
        {
            "response_format": {
                "type": "json_schema",
                "json_schema": {"name": "a", "schema": {"type": "object"}},
            }
        },
    ),
    "tools": (
        {"tools": [TOOL], "tool_choice": {"type": "function", "name": "f"}},
        {
            "tools": [
                {
                    "type": "function",
                    "function": {n: v for n, v in TOOL.items() if n != "type"},
                }
            ],
            "tool_choice": {"type": "function", "function": {"name": "f"}},
        },
    ),
    "labels": ({"user": "u", "prompt_cache_key": "k", "store": False, "metadata": {"a": "b"}}, {}),
}
DIFFERENT: dict[str, dict[str, Any]] = {
    "a hosted tool": {"tools": [{"type": "web_search"}]},
    "another setting of it": {"tools": [{"type": "web_search", "search_context_size": "low"}]},
    "an unknown field": {"top_k": 3},
    "a summary": {"reasoning": {"effort": "low", "summary": "auto"}},
    "what is included": {"include": ["reasoning.encrypted_content"]},
    "what a hosted tool found before": {
        "input": [
            {"type": "web_search_call", "id": "ws_1", "status": "completed"},
            {"role": "user", "content": "hi"},
        ]
    },
    "what a hosted tool found": {
        "input": [
            {"role": "user", "content": "hi"},
            {"type": "web_search_call", "id": "ws_1", "status": "completed"},
        ]
    },
}


def responses_key(**fields: Any) -> str:
    body = json.dumps({**PLAIN, **fields}).encode()
    return cache_key(KeyParts(chat=responses.parse_chat(body).chat))


def chat_key(messages: list[dict[str, Any]], **fields: Any) -> str:
    body = json.dumps({"model": "m", "messages": messages, **fields}).encode()
    return cache_key(KeyParts(chat=openai.parse_chat(body).chat))


@pytest.mark.parametrize("name", ALIKE)
def test_the_same_meaning_has_the_same_key(name: str) -> None:
    given, as_chat = ALIKE[name]
    messages = [{"role": "user", "content": "hi"}]
    if system := given.get("instructions"):
        messages.insert(0, {"role": "system", "content": system})
    assert responses_key(**given) == chat_key(messages, **as_chat)


def test_a_file_is_part_of_the_key() -> None:
    def key(data: str) -> str:
        part = {"type": "input_file", "file_data": f"data:text/plain;base64,{data}"}
        return responses_key(input=[{"role": "user", "content": [part]}])

    assert key("AAAA") == key("AAAA") != key("AAAB")


def test_what_only_the_body_holds_is_part_of_the_key() -> None:
    keys = [responses_key(), *(responses_key(**fields) for fields in DIFFERENT.values())]
    assert len({*keys}) == len(keys)
