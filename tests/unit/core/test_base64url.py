"""What is encoded is read again, and nothing else is taken for it."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.core import base64url


@given(st.binary(max_size=40))
def test_it_goes_there_and_back(data: bytes) -> None:
    text = base64url.encode(data)
    assert base64url.decode(text) == data
    assert not set(text) & set("+/=")


@pytest.mark.parametrize("text", ["a", "abcde", "ab\n", "ab c", "é", "ab=c", "ab!d", "=", "a==="])
def test_what_is_none_of_it_is_refused(text: str) -> None:
    with pytest.raises(ValueError):
        base64url.decode(text)
