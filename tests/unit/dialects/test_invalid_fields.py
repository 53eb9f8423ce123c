"""What is wrong with fields that one dialect has."""

from typing import Any

import pytest

from tests.unit.dialects.making_invalid import CHAT, EMBED, NATIVE, USER, refused

NATIVE_ONLY: list[tuple[dict[str, Any], str | None, str]] = [
    ({}, "prompt", "prompt: Missing; give prompt or messages"),
    ({"prompt": None}, "prompt", "prompt: Missing; give prompt or messages"),
    ({"prompt": ""}, "prompt", "prompt: Must not be empty"),
    ({"prompt": " \n"}, "prompt", "prompt: Must not be empty"),
    ({"prompt": ["hi"]}, "prompt", "prompt: Expected str | null, got array"),
    (
        {"prompt": "hi", "messages": [USER]},
        "prompt",
        "prompt, messages: Give one of them, not both",
    ),
    ({"prompt": "hi", "temprature": 1}, "temprature", "temprature: Unknown field"),
    ({"prompt": "hi", "x" * 999: 1}, "x" * 200, "x" * 200 + ": Unknown field"),
    ({"prompt": "hi", "a - at `$.b`": 1}, None, ""),
    ({"prompt": "hi", "max_tokens": 1}, "max_tokens", "max_tokens: Unknown field"),
    ({"prompt": "hi", "maxTokens": 0}, "maxTokens", "maxTokens: Expected int >= 1"),
    ({"prompt": "hi", "topP": 1.1}, "topP", "topP: Expected float <= 1.0"),
    (
        {"prompt": "hi", "cache": {"mode": "on"}},
        "cache.mode",
        "cache.mode: Invalid enum value 'on'",
    ),
    (
        {"prompt": "hi", "cache": {"no-store": True}},
        "cache.no-store",
        "cache.no-store: Unknown field",
    ),
    (
        {"prompt": "hi", "toolChoice": "any"},
        "toolChoice",
        "toolChoice: There are no tools to choose from",
    ),
    (
        {"prompt": "hi", "toolChoice": "required"},
        "toolChoice",
        "toolChoice: There are no tools to choose from",
    ),
    (
        {"prompt": "hi", "toolChoice": {"type": "function", "function": {"name": "f"}}},
        "toolChoice.function.name",
        "toolChoice.function.name: No tool is called f",
    ),
    (
        {"prompt": "hi", "toolChoice": {"type": "function"}},
        "toolChoice.function",
        "toolChoice.function: Missing",
    ),
    (
        {"prompt": "hi", "toolChoice": {"type": "allowed_tools"}},
        "toolChoice.type",
        "toolChoice.type: Expected function or custom",
    ),
    (
        {"prompt": "hi", "responseFormat": {"type": "xml"}},
        "responseFormat.type",
        "responseFormat.type: There is no 'xml';"
        " use json_schema with a schema, json_object or text",
    ),
    (
        {"prompt": "hi", "responseFormat": {"type": "json_schema"}},
        "responseFormat.json_schema",
        "responseFormat.json_schema: Missing",
    ),
    (
        {"prompt": "hi", "responseFormat": {"type": "json_schema", "json_schema": {"name": "a"}}},
        "responseFormat.json_schema.schema",
        "responseFormat.json_schema.schema: Missing",
    ),
]


@pytest.mark.parametrize(("body", "param", "message"), NATIVE_ONLY)
def test_wrong_in_the_native_dialect(body: dict[str, Any], param: str | None, message: str) -> None:
    error = refused(NATIVE, body)
    if param is not None:
        assert (error.message, error.param) == (message, param)


OLDER = "Older names of tools and tool_choice; give one or the other"
OPENAI_ONLY: list[tuple[dict[str, Any], str, str]] = [
    ({"messages": None}, "messages", "Expected array, got null"),
    ({"max_tokens": 0}, "max_tokens", "Expected int >= 1"),
    ({"max_completion_tokens": 0}, "max_completion_tokens", "Expected int >= 1"),
    ({"top_p": -0.1}, "top_p", "Expected float >= 0.0"),
    ({"presence_penalty": 3}, "presence_penalty", "Expected float <= 2.0"),
    ({"top_logprobs": 21}, "top_logprobs", "Expected int <= 20"),
    ({"n": 2}, "n", "Only 1 is supported; send the request as often as you want answers"),
    ({"n": 0}, "n", "Only 1 is supported; send the request as often as you want answers"),
    ({"functions": {"name": "f"}}, "functions", "Expected array"),
    ({"functions": [1]}, "functions[0]", "Expected object | null, got int"),
    ({"functions": [{}]}, "functions[0].name", "Missing"),
    ({"functions": [{"name": "f"}] * 513}, "functions", "Expected array of length <= 512"),
    (
        {"functions": [{"name": "f"}], "function_call": {"name": "g"}},
        "function_call.name",
        "No tool is called g",
    ),
    (
        {
            "functions": [{"name": "f"}],
            "messages": [{"role": "assistant", "function_call": {"name": "f", "arguments": {}}}],
        },
        "messages[0].function_call.arguments",
        "Expected str | null, got object",
    ),
    (
        {"tools": [], "tool_choice": "required"},
        "tool_choice",
        "There are no tools to choose from",
    ),
    ({"functions": [{"name": "f"}], "tools": [{}]}, "functions", OLDER),
    ({"functions": [{"name": "f"}], "tool_choice": "auto"}, "functions", OLDER),
    ({"function_call": {"name": "f"}}, "function_call", "There are no functions to choose from"),
    ({"tool_choice": "any"}, "tool_choice", "There are no tools to choose from"),
    ({"tool_choice": "some"}, "tool_choice", "Invalid enum value 'some'"),
    ({"tool_choice": {"type": "custom"}}, "tool_choice.custom", "Missing"),
    (
        {
            "tools": [{"type": "function", "function": {"name": "f"}}],
            "tool_choice": {"type": "custom", "custom": {"name": "f"}},
        },
        "tool_choice.custom.name",
        "No tool is called f",
    ),
    (
        {"response_format": {"type": "json", "value": {}}},
        "response_format.type",
        "There is no 'json'; use json_schema with a schema, json_object or text",
    ),
    (
        {"messages": [{"role": "function", "name": "f", "content": "1"}]},
        "messages[0].name",
        "No earlier message calls that function",
    ),
    (
        {"response_format": {"type": "json_schema", "json_schema": {"name": "a"}}},
        "response_format.json_schema.schema",
        "Missing",
    ),
    ({"stream_options": []}, "stream_options", "Expected object | null, got array"),
    (
        {"provider": {"quantizations": ["x" * 4000]}},
        "provider",
        "Expected fields of at most 4000 characters",
    ),
    ({"provider": {"sort": "beauty"}}, "provider.sort", "Invalid enum value 'beauty'"),
    ({"provider": 1}, "provider", "Expected str | object | null, got int"),
    ({"models": "gpt-4"}, "models", "Expected array | null, got str"),
    ({"cache": {"s-maxage": -1}}, "cache.s-maxage", "Expected int >= 1"),
    ({"cache": {"no-cache": 1}}, "cache.no-cache", "Expected bool | null, got int"),
]


@pytest.mark.parametrize(("fields", "param", "reason"), OPENAI_ONLY)
def test_wrong_in_openais_dialect(fields: dict[str, Any], param: str, reason: str) -> None:
    error = refused(CHAT, {"messages": [USER], **fields})
    assert (error.message, error.param) == (f"{param}: {reason}", param)


def test_an_unknown_field_must_be_decodable() -> None:
    error = refused(CHAT, b'{"messages": [{"role": "user", "content": "x"}], "odd": [1, 1e999]}')
    assert (error.message, error.param) == ("odd[1]: Number out of range", "odd[1]")


EMBEDDINGS: list[tuple[dict[str, Any], str, str]] = [
    ({}, "input", "Missing"),
    ({"input": ""}, "input", "Must not be empty"),
    ({"input": []}, "input", "Must not be empty"),
    ({"input": ["a", ""]}, "input[1]", "Must not be empty"),
    ({"input": [[1], []]}, "input[1]", "Must not be empty"),
    ({"input": [[]]}, "input", "Must not be empty"),
    ({"input": 1}, "input", "Expected str | array, got int"),
    ({"input": [1.5]}, "input[0]", "Expected int | str | array, got float"),
    ({"input": [-1]}, "input[0]", "Expected int >= 0"),
    ({"input": [[1, "a"]]}, "input[0][1]", "Expected int, got str"),
    ({"input": ["a", 1]}, "input", "Expected only strings, only tokens or only lists of tokens"),
    ({"input": [1, [1]]}, "input", "Expected only strings, only tokens or only lists of tokens"),
    ({"input": ["a"] * 2049}, "input", "Expected array of length <= 2048"),
    ({"input": "a", "dimensions": 0}, "dimensions", "Expected int >= 1"),
    ({"input": "a", "encoding_format": "hex"}, "encoding_format", "Invalid enum value 'hex'"),
    ({"input": "a", "user": "\t"}, "user", "Must not hold control characters or line breaks"),
]


@pytest.mark.parametrize(("body", "param", "reason"), EMBEDDINGS)
def test_wrong_requests_for_embeddings(body: dict[str, Any], param: str, reason: str) -> None:
    error = refused(EMBED, body)
    assert (error.message, error.param) == (f"{param}: {reason}", param)
