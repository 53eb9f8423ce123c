"""A body that goes to the caller by the platform's own pipe, while Python looks at a copy of it.

The pipe takes one branch of the body, the copy is the other. What has gone by gathers in the copy
until Python looks, so that a stream costs a handful of crossings, however many chunks it has.
"""

import asyncio
from collections.abc import AsyncGenerator
from typing import Any

import js

from proxy.platform.convert import to_js_object
from proxy.platform.streams import CallerStream

FIRST_LOOK = 0.1
"""Seconds until the first look at what has gone by; from one to the next they double."""
LAST_LOOK = 0.5
MOST = 32 * 1024
"""Bytes of one read."""
_BYTES = {"mode": "byob"}
_END = 0.1
"""Seconds for which a pipe may end by itself: a connection that is not cut can be used again."""


class Drain:
    """A body that gathers while nobody reads it: the platform runs one branch of it dry, and what
    that draws waits in the other."""

    def __init__(self, stream: Any) -> None:
        """stream: a ReadableStream that nobody has locked."""
        self._own = js.AbortController.new()
        branch, rest = stream.tee()
        self.reader = rest.getReader(to_js_object(_BYTES))
        options = to_js_object({}, signal=self._own.signal)
        running = asyncio.ensure_future(branch.pipeTo(js.WritableStream.new(), options))
        running.add_done_callback(_look_at)

    def read(self) -> Any:
        """The promise of what has gathered."""
        return self.reader.read(js.Uint8Array.new(MOST))

    def stop(self) -> None:
        """Has the body come as it is read again."""
        self._own.abort()


class Flow:
    """One body on its way."""

    def __init__(self, stream: Any, sink: CallerStream, idle: float) -> None:
        """stream: a ReadableStream that nobody has locked; idle: see replies.Bounds."""
        self._sink = sink
        self._idle = idle
        self._own = js.AbortController.new()
        branch, self._copy = stream.tee()
        self._pipe = asyncio.ensure_future(sink.take(branch, self._own.signal))
        self.is_over = False
        """Whether the copy has been read to its end."""
        self._reader: Any = None
        self._reading: asyncio.Future[Any] | None = None

    async def pieces(self) -> AsyncGenerator[bytes]:
        """What has gone by since the last look, as long as the pipe goes. Raises TimeoutError after
        silence; it is noticed a look late at the most."""
        now = asyncio.get_running_loop().time
        heard, pause = now(), FIRST_LOOK
        while True:
            if pause:
                await asyncio.wait((self._pipe,), timeout=min(pause, self._idle / 4))
            if self._pipe.done():
                return
            reading = self._read()
            left = heard + self._idle - now()
            await asyncio.wait(
                (self._pipe, reading), timeout=left, return_when=asyncio.FIRST_COMPLETED
            )
            if reading.done():
                heard = now()
                piece = self._take(reading)
                pause = min(pause * 2 or FIRST_LOOK, LAST_LOOK) if len(piece) < MOST else 0
                if piece:
                    yield piece
            elif not self._pipe.done():
                raise TimeoutError

    def failed(self) -> bool:
        """Whether the pipe has ended before the body: its connection broke, or the caller left."""
        return self._pipe.done() and self._pipe.exception() is not None

    async def is_left(self) -> bool:
        """Whether the pipe has failed because the caller left: the body itself has not."""
        if not self.failed():
            return False
        reading = self._read()
        await asyncio.wait((reading,), timeout=_END)
        return not (reading.done() and reading.exception())

    async def rest(self) -> AsyncGenerator[bytes]:
        """What the looks have left of a body. Raises JsException where it breaks, TimeoutError
        after silence."""
        if self._reader is None and not self.failed():
            data: bytes = (await js.Response.new(self._copy).arrayBuffer()).to_bytes()
            self.is_over = True
            yield data
            return
        while True:
            reading = self._read()
            await asyncio.wait((reading,), timeout=self._idle)
            if not reading.done():
                raise TimeoutError
            if not (piece := self._take(reading)):
                return
            yield piece

    async def stop(self) -> None:
        """Ends the pipe, so that the caller can be written to."""
        if not self._pipe.done():
            await asyncio.wait((self._pipe,), timeout=_END)
        if not self._pipe.done():
            self._own.abort()
            await asyncio.wait((self._pipe,))
        self._pipe.exception()  # looked at, it is not logged
        self._sink.take_back()

    def _read(self) -> "asyncio.Future[Any]":
        """The read that waits, or a new one."""
        if self._reader is None:
            self._reader = self._copy.getReader(to_js_object(_BYTES))
        if self._reading is None:
            reading = self._reader.read(js.Uint8Array.new(MOST))
            self._reading = asyncio.ensure_future(reading)
            self._reading.add_done_callback(_look_at)
        return self._reading

    def _take(self, reading: "asyncio.Future[Any]") -> bytes:
        """What a read has brought; nothing at the end."""
        self._reading = None
        step = reading.result()
        return b"" if step.done else step.value.to_bytes()


def _look_at(reading: "asyncio.Future[Any]") -> None:
    """Looks at the error of a read, which would be logged if nobody did."""
    if not reading.cancelled():
        reading.exception()
