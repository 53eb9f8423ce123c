"""What is wrong with a body is named by the field's path, in either dialect."""

from typing import Any

import pytest

from tests.unit.dialects.making_invalid import CHAT, EMBED, NATIVE, USER, Parse, refused


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


@pytest.mark.parametrize("parse", [NATIVE, CHAT])
@pytest.mark.parametrize(("fields", "param", "reason"), SHARED)
def test_a_wrong_field_is_named(
    parse: Parse, fields: dict[str, Any], param: str, reason: str
) -> None:
    error = refused(parse, {"messages": [USER], **fields})
    assert (error.message, error.param) == (f"{param}: {reason}", param)


def test_a_long_value_is_not_repeated_whole() -> None:
    error = refused(NATIVE, {"prompt": "hi", "strategy": "x" * 100_000})
    assert len(error.message) < 250
