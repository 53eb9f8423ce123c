"""What is wrong with a body is told by the field's path, whatever the bytes are."""

import json
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from proxy.core.chat import Call, EmbeddingRequest
from proxy.core.errors import InvalidRequest
from proxy.dialects import native, openai
from proxy.dialects.messages import IMAGE_BYTES

Parse = Callable[[bytes], Call | EmbeddingRequest]

NATIVE, CHAT, EMBED = native.parse_chat, openai.parse_chat, openai.parse_embeddings
USER = {"role": "user", "content": "hi"}
PNG = "data:image/png;base64,iVBORw0KGgo="


def refused(parse: Parse, body: bytes | dict[str, Any]) -> InvalidRequest:
    with pytest.raises(InvalidRequest) as caught:
        parse(body if isinstance(body, bytes) else json.dumps(body).encode())
    assert caught.value.status == 400
    assert caught.value.source == "proxy"
    return caught.value


@pytest.mark.parametrize("parse", [NATIVE, CHAT, EMBED])
@pytest.mark.parametrize(
    ("body", "message"),
    [
        (b"", "The body is empty; it must be a JSON object."),
        (b" \r\n", "The body is empty; it must be a JSON object."),
        (b"[]", "The body: Expected object, got array"),
        (b"null", "The body: Expected object, got null"),
        (b'"{}"', "The body: Expected object, got str"),
        (b"{", "The body is not valid JSON: Input data was truncated."),
        (
            b"{]",
            "The body is not valid JSON: JSON is malformed: object keys must be strings (byte 1).",
        ),
        (
            b"\xef\xbb\xbf{}",
            "The body is not valid JSON: JSON is malformed: invalid character (byte 0).",
        ),
        (b'{"a": "\xff"}', "The body is not valid JSON: no UTF-8 (byte 7)."),
        (b"[" * 65 + b"]" * 65, "The body is refused: it is nested deeper than 64 levels."),
        (b'{"a":' * 99_999, "The body is refused: it is nested deeper than 64 levels."),
        (b"[" * 65 + b'"', "The body is refused: it is nested deeper than 64 levels."),
    ],
)
def test_no_json_object(parse: Parse, body: bytes, message: str) -> None:
    error = refused(parse, body)
    assert (error.message, error.param) == (message, None)


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (b'{"prompt": "a"} x', "JSON is malformed: trailing characters (byte 17)"),
        (b'{"temperature": NaN}', "JSON is malformed: invalid character (byte 16)"),
        (b'{"prompt": "a",}', "JSON is malformed: trailing comma in object (byte 15)"),
        (b'{"prompt": "a\nb"}', "JSON is malformed: invalid character (byte 13)"),
    ],
)
def test_nearly_json(body: bytes, message: str) -> None:
    assert refused(NATIVE, body).message == f"The body is not valid JSON: {message}."


SHARED: list[tuple[dict[str, Any], str, str]] = [
    ({"temperature": 2.1}, "temperature", "Expected float <= 2.0"),
    ({"temperature": -1}, "temperature", "Expected float >= 0.0"),
    ({"temperature": "hot"}, "temperature", "Expected float | null, got str"),
    ({"stop": ["a"] * 17}, "stop", "Expected array of length <= 16"),
    ({"stop": ""}, "stop", "Expected str of length >= 1"),
    ({"stop": ["a", ""]}, "stop[1]", "Expected str of length >= 1"),
    ({"stop": 1}, "stop", "Expected str | array | null, got int"),
    ({"seed": 2**63}, "seed", "Expected int <= 9223372036854775807"),
    ({"seed": -(10**400)}, "seed", "Expected int >= -9223372036854775808"),
    ({"seed": 1.5}, "seed", "Expected int | null, got float"),
    ({"stream": "yes"}, "stream", "Expected bool | null, got str"),
    ({"timeout": 0}, "timeout", "Expected int >= 1"),
    ({"timeout": 600_001}, "timeout", "Expected int <= 600000"),
    ({"strategy": "luckiest"}, "strategy", "Invalid enum value 'luckiest'"),
    ({"fallback": 1}, "fallback", "Expected bool | array | null, got int"),
    ({"fallback": ["a", 2]}, "fallback[1]", "Expected str, got int"),
    ({"provider": ""}, "provider", "Expected str of length >= 1"),
    ({"model": "m" * 257}, "model", "Expected str of length <= 256"),
    ({"model": "a\nb"}, "model", "Must not hold control characters or line breaks"),
    ({"user": "u" * 257}, "user", "Expected str of length <= 256"),
    ({"user": "x\r\nset-cookie: a=b"}, "user", "Must not hold control characters or line breaks"),
    ({"user": "x\n"}, "user", "Must not hold control characters or line breaks"),
    ({"user": "\u2028"}, "user", "Must not hold control characters or line breaks"),
    ({"metadata": {str(n): "" for n in range(17)}}, "metadata", "Expected object of length <= 16"),
    ({"metadata": {"a": "x" * 513}}, "metadata[...]", "Expected str of length <= 512"),
    ({"metadata": {"tags": ["x" * 510]}}, "metadata.tags", "Expected JSON of length <= 512"),
    ({"metadata": ["a"]}, "metadata", "Expected object | null, got array"),
    ({"metadata": {"k" * 65: "x"}}, "metadata", "Expected str of length <= 64"),
    ({"cache": {"ttl": "long"}}, "cache.ttl", "Expected int | null, got str"),
    ({"cache": {"ttl": 0}}, "cache.ttl", "Expected int >= 1"),
    ({"cache": {"tll": 1}}, "cache.tll", "Unknown field"),
    ({"tools": {}}, "tools", "Expected array | null, got object"),
    ({"tools": [{"type": "function"}]}, "tools[0].function", "Missing"),
    ({"tools": [{"function": {}}]}, "tools[0].function.name", "Missing"),
    (
        {"tools": [{"type": "function", "function": {"name": "a b"}}]},
        "tools[0].function.name",
        "Expected 1 to 64 of a-z, A-Z, 0-9, _ and -",
    ),
    (
        {"tools": [{"function": {"name": "f\n"}}]},
        "tools[0].function.name",
        "Expected 1 to 64 of a-z, A-Z, 0-9, _ and -",
    ),
    (
        {"tools": [{"type": "web_search"}, *[{"function": {"name": "f"}}] * 2]},
        "tools[2].function.name",
        "There are two tools called f",
    ),
    ({"tools": [{"type": "custom"}]}, "tools[0].custom", "Missing"),
    ({"tools": [{"type": "custom", "custom": {}}]}, "tools[0].custom.name", "Missing"),
    (
        {"tools": [{"type": "custom", "custom": {"name": ""}}]},
        "tools[0].custom.name",
        "Expected 1 to 64 of a-z, A-Z, 0-9, _ and -",
    ),
    (
        {"tools": [{"function": {"name": "f"}}, {"type": "custom", "custom": {"name": "f"}}]},
        "tools[1].custom.name",
        "There are two tools called f",
    ),
]

MESSAGES: list[tuple[Any, str, str]] = [
    ([], "messages", "Expected array of length >= 1"),
    ([USER] * 2049, "messages", "Expected array of length <= 2048"),
    ([{}], "messages[0].role", "Missing"),
    ([USER, "hi"], "messages[1]", "Expected object, got str"),
    ([{"role": "robot", "content": "x"}], "messages[0].role", "Invalid enum value 'robot'"),
    ([{"role": "user"}], "messages[0].content", "Missing"),
    ([{"role": "user", "content": None}], "messages[0].content", "Missing"),
    (
        [{"role": "user", "content": 1}],
        "messages[0].content",
        "Expected str | array | null, got int",
    ),
    ([{"role": "user", "content": ""}, {"role": "assistant"}], "messages", "All are empty"),
    (
        [USER, {"role": "tool", "content": "x"}],
        "messages[1].tool_call_id",
        "Missing; it says which tool call this message answers",
    ),
    (
        [{"role": "assistant", "tool_calls": [{"id": "a", "function": {"arguments": "{}"}}]}],
        "messages[0].tool_calls[0].function.name",
        "Missing",
    ),
    (
        [{"role": "assistant", "tool_calls": [{"id": "a", "type": "custom"}]}],
        "messages[0].tool_calls[0].custom",
        "Missing",
    ),
    (
        [{"role": "assistant", "tool_calls": [{"id": "a", "custom": {"name": "f"}}]}],
        "messages[0].tool_calls[0].custom.input",
        "Missing",
    ),
]

PARTS: list[tuple[Any, str, str]] = [
    ({"text": "x"}, ".type", "Missing"),
    ({"type": "text"}, ".text", "Missing"),
    ({"type": "image_url"}, ".image_url", "Missing"),
    ({"type": "image_url", "image_url": 1}, ".image_url", "Expected object | null, got int"),
    ({"type": "image_url", "image_url": {}}, ".image_url.url", "Missing"),
]

BAD_URLS = [
    "http://a.test/x.png",
    "HTTPS://a.test/x.png",
    "https://",
    "https:///etc/passwd",
    "https://a.test/x y",
    "https://a.test/x\r\nhost: b",
    "https://a.test/" + "x" * 9000,
    "file:///etc/passwd",
    "javascript:alert(1)",
    "//a.test/x.png",
    "",
    "data:text/html;base64,aGkhaGkh",
    "data:image/png,rawbytes",
    "data:image/png;base64,",
    "data:image/png;base64,aGk",
    "data:image/png" + ";a" * 500_000 + ";base64,iVBORw0KGgo=",
    "data:image/png;base64,<svg onload=x>",
]


@pytest.mark.parametrize("parse", [NATIVE, CHAT])
@pytest.mark.parametrize(("fields", "param", "reason"), SHARED)
def test_a_wrong_field_is_named(
    parse: Parse, fields: dict[str, Any], param: str, reason: str
) -> None:
    error = refused(parse, {"messages": [USER], **fields})
    assert (error.message, error.param) == (f"{param}: {reason}", param)


@pytest.mark.parametrize("parse", [NATIVE, CHAT])
@pytest.mark.parametrize(("messages", "param", "reason"), MESSAGES)
def test_wrong_messages(parse: Parse, messages: Any, param: str, reason: str) -> None:
    error = refused(parse, {"messages": messages})
    assert (error.message, error.param) == (f"{param}: {reason}", param)


@pytest.mark.parametrize("parse", [NATIVE, CHAT])
@pytest.mark.parametrize(("part", "below", "reason"), PARTS)
def test_wrong_parts(parse: Parse, part: Any, below: str, reason: str) -> None:
    content = [{"type": "text", "text": "What is this?"}, part]
    error = refused(parse, {"messages": [USER, {"role": "user", "content": content}]})
    param = f"messages[1].content[1]{below}"
    assert (error.message, error.param) == (f"{param}: {reason}", param)


@pytest.mark.parametrize("url", BAD_URLS)
def test_wrong_image_urls(url: str) -> None:
    content = [{"type": "image_url", "image_url": {"url": url}}]
    error = refused(NATIVE, {"messages": [{"role": "user", "content": content}]})
    assert error.param == "messages[0].content[0].image_url.url"
    assert error.message == (
        "messages[0].content[0].image_url.url:"
        " Expected an https:// URL or data:image/…;base64,… with data"
    )


@pytest.mark.parametrize(
    "url",
    [
        PNG,
        "data:image/svg+xml;charset=utf-8;base64,PHN2Zz4=",
        "https://a.test/x.png?size=1#top",
        "https://a.test",
    ],
)
def test_right_image_urls(url: str) -> None:
    content = [{"type": "image_url", "image_url": {"url": url, "detail": "low"}}]
    call = native.parse_chat(
        json.dumps({"messages": [{"role": "user", "content": content}]}).encode()
    )
    assert call.chat.messages[0].parts[0].image_url is not None
    assert call.chat.messages[0].parts[0].image_url.url == url
    assert call.chat.wants_vision


def test_images_are_counted_together() -> None:
    half = "data:image/png;base64," + "A" * (IMAGE_BYTES // 2 * 4 // 3)
    image = {"type": "image_url", "image_url": {"url": half}}
    turn = {"role": "user", "content": [image]}
    native.parse_chat(json.dumps({"messages": [turn, turn]}).encode())
    error = refused(
        NATIVE,
        {
            "messages": [
                turn,
                turn,
                {"role": "user", "content": [{"type": "image_url", "image_url": {"url": PNG}}]},
            ]
        },
    )
    assert error.message == (
        "messages[2].content[0].image_url.url: The images are over 20 MB together"
    )


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


def test_messages_are_needed() -> None:
    assert refused(CHAT, {"model": "gpt-4o"}).message == "messages: Missing"


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


def test_a_long_value_is_not_told_whole() -> None:
    error = refused(NATIVE, {"prompt": "hi", "strategy": "x" * 100_000})
    assert len(error.message) < 250


# --- whatever the bytes are -----------------------------------------------------------------

SCALARS = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=8)
    | st.sampled_from(["user", "tool", "assistant", "function", "text", "image_url", "auto", PNG])
)
KEYS = st.sampled_from(
    sorted(
        {
            *("prompt", "role", "content", "type", "text", "image_url", "url", "tool_calls", "id"),
            *("function", "name", "arguments", "schema", "json_schema", "odd", "include_usage"),
            *("encoding_format", "maxTokens", "topP", "toolChoice", "responseFormat", "input"),
            *("model", "messages", "stream", "stream_options", "max_tokens", "stop", "seed", "n"),
            *("tools", "tool_choice", "response_format", "provider", "models", "fallback", "cache"),
            *("ttl", "mode", "no-store", "s-maxage", "sort", "order", "user", "metadata", "store"),
        }
    )
)
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=5),
    max_leaves=20,
)
BODIES = st.dictionaries(KEYS, VALUES, max_size=6).map(
    lambda body: {"messages": [USER], "input": "a", **body}
)


def never_raises_anything_else(body: bytes) -> None:
    for parse in (NATIVE, CHAT, EMBED):
        try:
            assert isinstance(parse(body), Call | EmbeddingRequest)
        except InvalidRequest as error:
            assert error.message
            assert len(error.message) < 500


@settings(deadline=None)
@given(st.binary())
@example(b'{"\xff": 1}')
@example(b'{"messages": [{"role": "user", "content": "\\ud800"}]}')
@example(b'{"messages": [{"role": "user", "content": "x", "\xed\xa0\x80": 1}]}')
@example(b'{"messages": [{"role": "user", "content": "x"}], "odd": "\\udfff"}')
@example(b'{"messages": [{"role": "user", "content": "x"}], "odd": ' + b"9" * 5000 + b"}")
@example(b'{"input": [' + b"9" * 5000 + b"]}")
@example(b'{"input": 1e-999999999}')
@example(b"[" * 1_000_000)
def test_any_bytes(body: bytes) -> None:
    never_raises_anything_else(body)


@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(VALUES | BODIES)
def test_any_json(value: Any) -> None:
    never_raises_anything_else(json.dumps(value).encode())


@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(BODIES, st.data())
def test_any_damaged_json(value: Any, data: st.DataObject) -> None:
    body = bytearray(json.dumps(value).encode())
    position = data.draw(st.integers(0, len(body) - 1))
    body[position : position + data.draw(st.integers(0, 3))] = data.draw(st.binary(max_size=3))
    never_raises_anything_else(bytes(body))
