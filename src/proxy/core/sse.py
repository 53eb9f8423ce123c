"""Server-Sent Events: an incremental parser for what providers send, a framer for what we send.

The parser follows the WHATWG algorithm (HTML, 9.2.6 "Interpreting an event stream"): CR, LF
and CRLF end lines, also across chunk borders; comments and unknown fields are ignored. It
promises never to hold more than `limit` bytes.
"""

from collections.abc import Callable
from typing import NamedTuple

from proxy.core.errors import Fault

EVENT_LIMIT = 12 * 1024 * 1024
"""Bytes of an event: above any image a provider streams, far below an isolate's memory."""

_LINE = 48
"""Bytes that another line of an event takes beside its own."""


class Event(NamedTuple):
    """An event; `name` is empty where none was given."""

    name: str
    data: bytes


class Parser:
    """Cuts a byte stream into events. An event that the stream's end cuts off is dropped."""

    def __init__(
        self, limit: int = EVENT_LIMIT, take: Callable[[bytes], bytes] | None = None
    ) -> None:
        """take: gets a text that begins with an event first, and gives back what it has not read
        of that, from the beginning of an event on."""
        self._limit = limit
        self._take = take
        self._pending: list[bytes] = []
        self._size = 0
        self._data: list[bytes] = []
        self._data_size = 0
        self._name = b""
        self._after_cr = False
        self._begun = False

    def feed(self, chunk: bytes) -> list[Event]:
        """The events that `chunk` completes. Raises Fault("garbage") beyond the limit."""
        if self._after_cr and chunk:
            chunk = chunk.removeprefix(b"\n")
            self._after_cr = False
        if not chunk:
            return []
        self._size += len(chunk)
        if b"\n" not in chunk and b"\r" not in chunk:
            self._check()
            self._pending.append(chunk)
            return []
        text = b"".join((*self._pending, chunk))
        self._pending.clear()
        is_between = self._begun and not self._data and not self._name
        if is_between and b"\r" not in text:
            events = self._plain(self._take(text) if self._take else text)
        else:
            events = self._lines(text)
        self._size = sum(map(len, self._pending)) + self._data_size
        self._check()
        return events

    def _plain(self, text: bytes) -> list[Event]:
        """The events of a text that begins with a new one; most are one line of data."""
        *blocks, rest = text.split(b"\n\n")
        events: list[Event] = []
        for block in blocks:
            if block.startswith(b"data: ") and b"\n" not in block:
                events.append(Event("", block[6:]))
            else:
                events += self._lines(block + b"\n\n")
        return events + self._lines(rest) if rest else events

    def _lines(self, text: bytes) -> list[Event]:
        lines = text.splitlines(keepends=True)
        last = lines[-1]
        if last.endswith(b"\r"):
            self._after_cr = True
        elif not last.endswith(b"\n"):
            self._pending.append(lines.pop())
        return [event for line in lines if (event := self._line(line.rstrip(b"\r\n")))]

    def _check(self) -> None:
        if self._size > self._limit:
            why = f"The stream held an event of over {self._limit} bytes."
            raise Fault("garbage", why, source="proxy", blame="proxy")

    def _line(self, line: bytes) -> Event | None:
        if not self._begun:
            self._begun = True
            line = line.removeprefix(b"\xef\xbb\xbf")
        if not line:
            return self._dispatch()
        field, _, value = line.partition(b":")
        value = value.removeprefix(b" ")
        if field == b"data":
            self._data_size += len(value) + (_LINE if self._data else 0)
            self._data.append(value)
        elif field == b"event":
            self._name = value
        return None

    def _dispatch(self) -> Event | None:
        if not self._data:
            self._name = b""
            return None
        event = Event(self._name.decode("utf-8", "replace"), b"\n".join(self._data))
        self._data.clear()
        self._data_size = 0
        self._name = b""
        return event


def frame(data: bytes, event: str = "") -> bytes:
    """An event as sent. `data` must hold no line break (JSON text never does)."""
    head = f"event: {event}\n".encode() if event else b""
    return head + b"data: " + data + b"\n\n"


DONE = frame(b"[DONE]")
"""The line that ends a stream of OpenAI's dialect."""
