"""Outcomes of flights as bytes: an answer and an error come back whole."""

from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.cache.entry import ForeignEntry, Unstorable, encode
from proxy.cache.flight import JOIN, Joined
from proxy.cache.outcome import encode_answer, encode_failure, read_outcome
from proxy.core.chat import Answer, Attempt
from proxy.core.errors import (
    Cause,
    InternalError,
    InvalidRequest,
    MethodNotAllowed,
    ProviderError,
    ProxyError,
    RateLimitExceeded,
)
from tests.unit.cache.making import make_entry


@pytest.mark.parametrize(
    "joined",
    [Joined("leader", ticket=2**40), Joined("alone"), Joined("follower", outcome=b"\0\xff")],
)
def test_what_the_object_answers_crosses_whole(joined: Joined) -> None:
    assert JOIN.answer.decode(JOIN.answer.encode(joined)) == joined


def test_an_answer_comes_back_with_its_bytes() -> None:
    entry = make_entry("word " * 1000)
    assert read_outcome(encode_answer(entry)) == (entry, encode(entry))


def test_an_answer_that_cannot_be_written_is_an_error() -> None:
    with pytest.raises(Unstorable):
        encode_answer(make_entry(answer=Answer(extra={"n": 2**70})))


KINDS = [kind for kind in ProxyError.__subclasses__() if kind is not MethodNotAllowed]
TEXT = st.text(max_size=50)
ATTEMPTS = st.builds(
    Attempt,
    provider=TEXT,
    model=TEXT,
    outcome=TEXT,
    ms=st.integers(0, 2**40),
    status=st.none() | st.integers(100, 599),
    message=st.none() | TEXT,
)


@given(
    kind=st.sampled_from(KINDS),
    message=TEXT,
    fields=st.fixed_dictionaries(
        {
            "param": st.none() | TEXT,
            "code": st.none() | TEXT,
            "retry_after": st.none() | st.floats(0, 1e6) | st.integers(0, 10**6),
            "cause": st.builds(
                Cause,
                source=st.sampled_from(["proxy", "provider"]),
                status=st.none() | st.integers(400, 599),
                attempts=st.lists(ATTEMPTS, max_size=3).map(tuple),
            ),
        }
    ),
)
def test_an_error_comes_back_with_all_its_fields(
    kind: type[ProxyError], message: str, fields: dict[str, Any]
) -> None:
    error = kind(message, **fields)
    with pytest.raises(ProxyError) as caught:
        read_outcome(encode_failure(error))
    assert type(caught.value) is kind
    assert vars(caught.value) == vars(error) | {"status": error.status}
    assert str(caught.value) == message


def test_every_field_of_an_error_is_published() -> None:
    """A new field must be passed on too; an error of the leader's own limits never is."""
    names = vars(RateLimitExceeded("m", cause=Cause(status=429))).keys()
    assert names == {
        *(
            "message",
            "param",
            "code",
            "retry_after",
            "source",
            "status",
            "attempts",
            "limit",
            "native",
        ),
    }


def test_a_method_that_is_not_allowed_is_no_matter_of_flights_but_survives_one() -> None:
    with pytest.raises(ProxyError) as caught:
        read_outcome(encode_failure(MethodNotAllowed("m", allow=("GET",))))
    assert caught.value.status == 405


def test_each_type_is_told_from_the_others() -> None:
    assert len({kind.type for kind in KINDS}) == len(KINDS)
    assert {InvalidRequest, InternalError, ProviderError} <= {*KINDS}


WHOLE = encode_answer(make_entry())
FOREIGN = [b"", b"X", WHOLE[1:], b"A", WHOLE[:-1], b"A" + bytes(100)]
BROKEN = [
    b"E",
    b"E\xc1",
    b"E" + msgspec.msgpack.encode({"type": "provider_error"}),
    encode_failure(ProviderError("m"))[:-1],
]


@pytest.mark.parametrize("outcome", FOREIGN)
def test_what_is_no_outcome_is_refused(outcome: bytes) -> None:
    with pytest.raises(ForeignEntry):
        read_outcome(outcome)


@pytest.mark.parametrize("outcome", BROKEN, ids=["empty", "garbage", "incomplete", "cut"])
def test_what_is_no_error_is_refused(outcome: bytes) -> None:
    with pytest.raises(ForeignEntry):
        read_outcome(outcome)
