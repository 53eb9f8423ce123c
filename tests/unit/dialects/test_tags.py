"""LiteLLM's tags of a request."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.dialects.tags import MOST_TAGS, read_tags


@pytest.mark.parametrize(
    ("tags", "header", "read"),
    [
        (None, None, ()),
        (["a", "jobID:2"], None, ("a", "jobID:2")),
        (None, "a, User-Agent: x/1.0 ,,b", ("a", "User-Agent: x/1.0", "b")),
        (["a", "b"], "b,c", ("b", "c", "a")),
        ([1, None, {}, "", " ", "a,b", "é", "x" * 65, "ok"], None, ("ok",)),
        ([f"{n}" for n in range(40)], None, tuple(f"{n}" for n in range(MOST_TAGS))),
    ],
)
def test_what_is_read(tags: list[object] | None, header: str | None, read: tuple[str, ...]) -> None:
    labels = {} if tags is None else {"tags": json.dumps(tags)}
    sent = {} if header is None else {"x-litellm-tags": header}
    assert read_tags(labels, sent) == read


@given(st.text(), st.text())
def test_whatever_is_sent(label: str, header: str) -> None:
    read = read_tags({"tags": label}, {"x-litellm-tags": header})
    assert len(read) <= MOST_TAGS
    assert all(tag.isascii() and tag.isprintable() and 1 <= len(tag) <= 64 for tag in read)
