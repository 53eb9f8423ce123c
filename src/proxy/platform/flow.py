"""A body that the platform itself moves, while Python looks at a copy of it.

The platform's pipe takes one branch of the body, the copy is the other. What has gone by gathers in
the copy until Python looks, so that a stream costs a handful of crossings, however many chunks it
has.
"""

import asyncio
from collections.abc import Callable
from typing import Any

import js

from proxy.platform.convert import byob_mode, find_function, ignore_failure, to_js_object
from proxy.platform.streams import CallerStream

FIRST_LOOK = 0.1
"""Seconds until the first look at what has gone by; from one to the next they double."""
LAST_LOOK = 0.5
MOST = 32 * 1024
"""Bytes of one read."""
_END = 0.1
"""Seconds for which a pipe may end by itself: a connection that is not cut can be used again."""


class Drain:
    """A body that gathers while nobody reads it: the platform runs one branch of it dry, and what
    that draws waits in the other."""

    def __init__(self, stream: Any) -> None:
        """stream: a ReadableStream that nobody has locked."""
        self._own = find_function("AbortController", "new")()
        branch, self.rest = stream.tee()
        self.reader = self.rest.getReader(byob_mode())
        # A sink of JavaScript's own would cost a turn of it for each chunk: the platform reads this
        # pipe whole instead, so it keeps what has gone by.
        pipe = find_function("IdentityTransformStream", "new")()
        options = to_js_object({}, signal=self._own.signal)
        ignore_failure(branch.pipeTo(pipe.writable, options))
        ignore_failure(find_function("Response", "new")(pipe.readable).arrayBuffer())

    def read(self) -> Any:
        """The promise of what has gathered."""
        return self.reader.read(js.Uint8Array.new(MOST))

    def stop(self) -> None:
        """Has the body come as it is read again."""
        self._own.abort()


class Flow:
    """One body on its way to the caller."""

    def __init__(
        self,
        stream: Any,
        sink: CallerStream,
        begun: bytes,
        idle: float,
        give_up: Callable[[], None] | None,
    ) -> None:
        """stream: a ReadableStream that nobody has locked; begun: what goes before it; idle: see
        replies.Bounds; give_up: called where the pipe has failed, before the rest is read."""
        self._sink = sink
        self._idle = idle
        self._give_up = give_up
        self._own = find_function("AbortController", "new")()
        branch, self._copy = stream.tee()
        self._pipe = asyncio.ensure_future(sink.take(begun, branch, self._own.signal))
        self._pause = FIRST_LOOK
        self._heard = asyncio.get_running_loop().time()
        self._reader: Any = None
        self._reading: asyncio.Future[Any] | None = None
        self.is_over = False
        """Whether the copy has been read to its end."""

    async def read(self) -> bytes:
        """What has gone by since the last look, nothing at the body's end. Raises JsException where
        that breaks; TimeoutError after silence, which is noticed a look late at the most."""
        while not self._pipe.done():
            if self._pause:
                pause = min(self._pause, self._idle / 4)
                await asyncio.wait((self._pipe,), timeout=pause)
            if not self._pipe.done() and (piece := await self._look()):
                return piece
        if self._give_up and self.failed():
            self._give_up()
            self._give_up = None
        return await self._read_rest()

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

    async def stop(self) -> None:
        """Ends the pipe, so that the caller can be written to."""
        if not self._pipe.done():
            await asyncio.wait((self._pipe,), timeout=_END)
        if not self._pipe.done():
            self._own.abort()
            await asyncio.wait((self._pipe,))
        self._pipe.exception()  # looked at, it is not logged
        self._sink.take_back()

    async def _look(self) -> bytes:
        """What has gone by, nothing where the pipe has ended first."""
        now = asyncio.get_running_loop().time
        reading, left = self._read(), self._heard + self._idle - now()
        first = asyncio.FIRST_COMPLETED
        await asyncio.wait((self._pipe, reading), timeout=left, return_when=first)
        if not reading.done():
            if self._pipe.done():
                return b""
            raise TimeoutError
        self._heard = now()
        piece = self._take(reading)
        is_small = len(piece) < MOST
        self._pause = min(self._pause * 2 or FIRST_LOOK, LAST_LOOK) if is_small else 0
        return piece

    async def _read_rest(self) -> bytes:
        """What the looks have left."""
        if self.is_over:
            return b""
        if self._reader is None and not self.failed():
            self.is_over = True
            whole = find_function("Response", "new")(self._copy)
            data: bytes = (await whole.arrayBuffer()).to_bytes()
            return data
        reading = self._read()
        await asyncio.wait((reading,), timeout=self._idle)
        if not reading.done():
            raise TimeoutError
        return self._take(reading)

    def _read(self) -> "asyncio.Future[Any]":
        """The read that waits, or a new one."""
        if self._reader is None:
            self._reader = self._copy.getReader(byob_mode())
        if self._reading is None:
            reading = self._reader.read(js.Uint8Array.new(MOST))
            self._reading = asyncio.ensure_future(reading)
            ignore_failure(self._reading)
        return self._reading

    def _take(self, reading: "asyncio.Future[Any]") -> bytes:
        """What a read has brought; nothing at the end."""
        self._reading = None
        step = reading.result()
        return b"" if step.done else step.value.to_bytes()
