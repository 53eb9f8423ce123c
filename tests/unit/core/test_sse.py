"""The SSE parser against the standard's rules, and against any way of cutting the bytes."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.core.errors import Fault
from proxy.core.sse import Event, Parser, frame

STREAM = (
    b"\xef\xbb\xbfdata: first\n\n"
    b": a comment\r\n\r\n"
    b'event: delta\r\ndata: {"text": "\xc3\xa9"}\r\n\r\n'
    b"data:no space\rdata: second line\r\r"
    b"id: 7\nretry: 10\nunknown\n\n"
    b"event: named but empty\n\n"
    b"data\n\n"
    b"data: cut off"
)
EVENTS = [
    Event("", b"first"),
    Event("delta", b'{"text": "\xc3\xa9"}'),
    Event("", b"no space\nsecond line"),
    Event("", b""),
]


def parse(*pieces: bytes) -> list[Event]:
    parser = Parser()
    return [event for piece in pieces for event in parser.feed(piece)]


def test_follows_the_standard() -> None:
    assert parse(STREAM) == EVENTS


def test_every_byte_alone() -> None:
    assert parse(*(STREAM[i : i + 1] for i in range(len(STREAM)))) == EVENTS


@given(st.lists(st.integers(0, len(STREAM)), max_size=12))
def test_any_cut_gives_the_same_events(cuts: list[int]) -> None:
    edges = [0, *sorted(cuts), len(STREAM)]
    assert parse(*(STREAM[a:b] for a, b in pairwise(edges))) == EVENTS


@given(st.lists(st.binary(max_size=40)))
def test_any_bytes_are_parsed_alike_however_cut(pieces: list[bytes]) -> None:
    assert parse(*pieces) == parse(b"".join(pieces))


@given(st.text(), st.sampled_from(["", "delta", "done"]))
def test_what_is_framed_is_parsed_again(text: str, name: str) -> None:
    data = text.replace("\n", "").replace("\r", "").encode(errors="replace")
    assert parse(frame(data, name)) == [Event(name, data)]


@pytest.mark.parametrize(
    "pieces",
    [
        [b"data: " + b"x" * 100],
        [b"data: ", *[b"x" * 10] * 10],
        [b"data: " + b"x" * 40 + b"\n"] * 3,
    ],
    ids=["at once", "in pieces", "in lines"],
)
def test_an_event_over_the_limit_is_refused(pieces: list[bytes]) -> None:
    parser = Parser(limit=90)
    with pytest.raises(Fault, match="over 90 bytes"):
        for piece in pieces:
            parser.feed(piece)


def test_many_small_events_never_reach_the_limit() -> None:
    parser = Parser(limit=90)
    assert sum(len(parser.feed(b"data: 0123456789\n\n")) for _ in range(1000)) == 1000


def test_an_event_of_empty_lines_is_bounded() -> None:
    parser = Parser(limit=10_000)
    with pytest.raises(Fault):
        for _ in range(300):
            parser.feed(b"data: \n")  # each takes memory, though it says nothing
