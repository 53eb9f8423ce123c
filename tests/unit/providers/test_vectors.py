"""Vectors come in the form that the request wants."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.core.chat import Routing
from proxy.core.embedding import EmbeddingRequest
from proxy.core.errors import Fault
from proxy.providers.vectors import convert_vectors
from tests.unit.providers import replay

TO = replay.target("openai")


def wanting(count: int, base64: bool) -> EmbeddingRequest:
    return EmbeddingRequest(input=("x",) * count, routing=Routing(), base64=base64)


def test_vectors_come_in_the_form_that_was_asked_for() -> None:
    floats, text = (0.5, -0.25, 1.0), "AAAAPwAAgL4AAIA/"
    for vector in (floats, text):
        assert convert_vectors(TO, wanting(1, base64=False), [vector], b"") == (floats,)
        assert convert_vectors(TO, wanting(1, base64=True), [vector], b"") == (text,)


@given(st.lists(st.floats(width=32, allow_nan=False), max_size=8))
def test_packed_vectors_unpack_to_themselves(floats: list[float]) -> None:
    (packed,) = convert_vectors(TO, wanting(1, base64=True), [tuple(floats)], b"")
    assert convert_vectors(TO, wanting(1, base64=False), [packed], b"") == (tuple(floats),)


@pytest.mark.parametrize("vectors", [[], ["AAAAPw==", "AAAAPw=="], ["no base64!"], ["AAA="]])
def test_a_missing_or_broken_vector_is_garbage(vectors: list[str]) -> None:
    with pytest.raises(Fault) as raised:
        convert_vectors(TO, wanting(1, base64=False), vectors, b"the body")
    assert raised.value.kind == "garbage"
    assert raised.value.message.endswith(": the body")
