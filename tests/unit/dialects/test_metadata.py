"""Metadata of a request becomes labels."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.core.errors import InvalidRequest
from proxy.dialects import native, openai
from tests.unit.dialects.making_openai import parse, raw

LABELS = {
    "team": "red",
    "tags": ["a", "b c"],
    "retries": 3,
    "share": 0.5,
    "beta": True,
    "none": None,
    "trace": {"id": "é", "at": [1, {}]},
}


@pytest.mark.parametrize("read", [openai.parse_chat, native.parse_chat])
def test_metadata_of_any_json_becomes_labels(read: Any) -> None:
    messages = [{"role": "user", "content": "hi"}]
    call = read(json.dumps({"messages": messages, "metadata": LABELS}).encode())
    assert call.metadata == {
        "team": "red",
        "tags": '["a","b c"]',
        "retries": "3",
        "share": "0.5",
        "beta": "true",
        "none": "null",
        "trace": '{"id":"é","at":[1,{}]}',
    }


def test_metadata_of_embeddings_stays_here() -> None:
    embedding = openai.parse_embeddings(b'{"input":"a","metadata":{"tags":["x"]}}')
    assert (embedding.metadata, embedding.extra) == ({"tags": '["x"]'}, {})


@given(
    st.dictionaries(
        st.text(max_size=64),
        st.recursive(
            st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
            lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
            max_leaves=10,
        ),
        max_size=18,
    )
)
def test_whatever_metadata_is_its_labels_are_bounded(metadata: dict[str, Any]) -> None:
    body = {"messages": [{"role": "user", "content": "hi"}], "metadata": metadata}
    try:
        call = openai.parse_chat(json.dumps(body).encode("utf-8", "surrogatepass"))
    except InvalidRequest:
        return
    assert call.metadata.keys() == metadata.keys()
    assert all(len(label) <= 512 for label in call.metadata.values())
    assert len(call.metadata) <= 16


def test_metadata_of_what_openai_stores_goes_to_openai() -> None:
    body = raw(store=True, metadata={"a": "b"})
    call = openai.parse_chat(body)
    assert call.chat.body is body
    assert bytes(call.chat.extra["metadata"]) == b'{"a": "b"}'
    assert call.metadata == {"a": "b"}
    assert parse(store=False, metadata={"a": "b"}).chat.body is None
