"""HTTP answers as they come over the wire."""

from typing import NamedTuple

_BLANK = b"\r\n\r\n"


class WrongAnswer(Exception):
    """An answer is not what the measurement is about; the message shows it."""


class Expected(NamedTuple):
    """What an answer must hold."""

    mark: bytes
    """What stands in it."""
    fewest: int = 0
    most: int = 1000
    """How many events it has."""


def body_start(received: bytes | bytearray) -> int:
    """Where the body begins, -1 while the head is not whole."""
    end = received.find(_BLANK)
    return -1 if end < 0 else end + len(_BLANK)


def is_whole(received: bytes | bytearray, start: int) -> bool:
    """Whether the body, which begins at `start`, has all come.

    A chunk that ends like the last one would be a mistake; what is measured sends none.
    """
    length = _length(received, start)
    if length is None:
        return received.endswith(b"0\r\n\r\n")
    return len(received) >= start + length


def check(received: bytes, expected: Expected) -> None:
    """Raises WrongAnswer unless the whole answer has status 200 and what is expected."""
    start = body_start(received)
    body = (
        received[start:] if _length(received, start) is not None else join_chunks(received[start:])
    )
    events = body.count(b"data: ") + body.count(b"data:{")
    is_right = received.startswith(b"HTTP/1.1 200") and expected.mark in received
    if not is_right or not expected.fewest <= events <= expected.most:
        raise WrongAnswer(f"{events} events in {received[:1500]!r} ... {received[-300:]!r}")


def join_chunks(body: bytes) -> bytes:
    """What a body in chunks holds."""
    parts: list[bytes] = []
    place = 0
    while True:
        end = body.index(b"\r\n", place)
        size = int(body[place:end].partition(b";")[0], 16)
        if not size:
            return b"".join(parts)
        parts.append(body[end + 2 : end + 2 + size])
        place = end + 2 + size + 2


def _length(received: bytes | bytearray, start: int) -> int | None:
    """The body's length, None where it comes in chunks."""
    _, found, rest = bytes(received[:start]).lower().partition(b"content-length:")
    return int(rest.split(b"\r\n", 1)[0]) if found else None
