"""What the bench takes for a right answer."""

import pytest

from bench.answers import Expected, WrongAnswer, body_start, check, is_whole, join_chunks

WHOLE = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello"
STREAM = (
    b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n"
    b"9\r\ndata: a\n\n\r\n11\r\ndata: b\n\ndata: [D\r\n6\r\nONE]\n\n\r\n0\r\n\r\n"
)


@pytest.mark.parametrize("answer", [WHOLE, STREAM])
def test_an_answer_is_whole_at_its_last_byte(answer: bytes) -> None:
    start = body_start(answer)
    assert not any(is_whole(answer[:end], start) for end in range(start, len(answer)))
    assert is_whole(answer, start)


def test_events_are_counted_across_chunks() -> None:
    assert join_chunks(STREAM[body_start(STREAM) :]) == b"data: a\n\ndata: b\n\ndata: [DONE]\n\n"
    check(STREAM, Expected(b"transfer", 3, 3))
    check(STREAM, Expected(b"data: a", 1))


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        (WHOLE.replace(b"200", b"503"), Expected(b"hello")),
        (WHOLE, Expected(b"bye")),
        (STREAM, Expected(b"data: a", 4)),
        (STREAM, Expected(b"data: a", 0, 2)),
    ],
)
def test_a_wrong_answer_is_shown(answer: bytes, expected: Expected) -> None:
    with pytest.raises(WrongAnswer, match="HTTP"):
        check(answer, expected)
