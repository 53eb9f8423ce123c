"""Fields of a body are exchanged, and nothing else of it."""

import json
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import Raw

from proxy.providers.body_fields import exchange_fields
from tests.unit.providers.making_anthropic import join

FIELDS = msgspec.json.Decoder(dict[str, Raw])
JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-9, 9) | st.text(max_size=9),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner),
    max_leaves=9,
)


def exchange(body: bytes, **changes: Any) -> bytes:
    new = {name: Raw(msgspec.json.encode(value)) for name, value in changes.items()}
    return join(exchange_fields(body, FIELDS.decode(body), new))


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        (b'{"model":"a","x":1}', b'{"model":"new","x":1}'),
        (
            b' { "x" : {"model": "a"} ,\n"model" :\t"a" } ',
            b' { "x" : {"model": "a"} ,\n"model" :\t"new" } ',
        ),
        (b'{"x":"\\"model\\":1,"}', b'{"x":"\\"model\\":1,","model":"new"}'),
        (b'{"\\"{,":[1, 2.50] , "model":null}', b'{"\\"{,":[1, 2.50] , "model":"new"}'),
        (b"{}", b'{"model":"new"}'),
        (b'{"model":"a","model":"b","x": 1}', b'{"model":"new","x":1}'),
    ],
)
def test_every_other_byte_stays(body: bytes, expected: bytes) -> None:
    assert exchange(body, model="new") == expected


def test_a_body_that_needs_no_change_is_the_same_object() -> None:
    body = b'{"model": "new"}'
    assert exchange_fields(body, FIELDS.decode(body), {"model": Raw(b'"new"')}) is body


def test_a_large_field_is_not_copied() -> None:
    body = b'{"x":"' + b"a" * 1_000_000 + b'","model":"a"}'
    parts = exchange_fields(body, FIELDS.decode(body), {"model": Raw(b'"b"')})
    views = [part for part in parts if isinstance(part, memoryview)]
    assert views and all(view.obj is body for view in views)


@given(st.dictionaries(st.text(max_size=6), JSON), JSON, st.integers(0, 3), st.booleans())
def test_whatever_the_body_is(fields: Any, new: Any, indent: int, ascii_only: bool) -> None:
    body = json.dumps({**fields, "a": 1}, indent=indent or None, ensure_ascii=ascii_only).encode()
    assert json.loads(exchange(body, a=new, b=new)) == {**fields, "a": new, "b": new}


@pytest.mark.parametrize(
    "body",
    [
        b'{"b":[],":":{"{":{"b":1,"m":"x"},"b":{"a":"","}":1234567},"m":[]},"m":1234567,"b":[{},12]}',
        b'{":":{},"m":[{"{\\"m\\":1":"xxxxxx","a":"x",",":12},[]],":":"xxxxxx","a":{},"}":"xxxxxx"}',
    ],
)
def test_a_field_that_stands_twice_hides_no_other(body: bytes) -> None:
    assert json.loads(exchange(body, m=77)) == {**json.loads(body), "m": 77}
