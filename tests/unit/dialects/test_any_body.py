"""Whatever the bytes are, a body is parsed or refused."""

import json
from typing import Any

from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from proxy.core.chat import Call
from proxy.core.embedding import EmbeddingRequest
from proxy.core.errors import InvalidRequest
from tests.unit.dialects.making_invalid import CHAT, EMBED, NATIVE, PNG, USER

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
