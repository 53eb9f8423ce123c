"""What comes back sealed is what was sealed, and nothing that harms."""

from base64 import urlsafe_b64encode
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.dialects.seal import MARK, ProviderState, seal, unseal

JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-9, 9) | st.text(max_size=9),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner),
    max_leaves=9,
)
OBJECTS = st.dictionaries(st.text(max_size=5), JSON, max_size=3)


@given(OBJECTS, st.dictionaries(st.text(max_size=5), OBJECTS, max_size=3))
def test_it_comes_back(message: Any, calls: Any) -> None:
    state = ProviderState(message, calls)
    assert unseal(seal(state)) == state


@pytest.mark.parametrize(
    "state",
    [
        b'{"message":{"a":' + b"[" * 5000 + b"]" * 5000 + b"}}",
        b'{"message":{"a":[' + b"[]," * 600_000 + b"[]]}}",
        b'{"message":[]}',
        b"{",
        b"\xff",
    ],
    ids=["deep", "many", "form", "json", "utf-8"],
)
def test_what_a_caller_has_made_up_is_no_state(state: bytes) -> None:
    assert unseal(MARK + urlsafe_b64encode(state).decode()) is None


@pytest.mark.parametrize("text", ["", "other", MARK + "é", MARK + "\ud800", MARK + "a"])
def test_another_text_is_none(text: str) -> None:
    assert unseal(text) is None
