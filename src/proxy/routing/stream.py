"""A provider's streamed answer, from its first real content on."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import suppress

from proxy.core.chat import Chunk
from proxy.core.errors import ClientGone, Fault
from proxy.core.ports import Reply, Sink
from proxy.core.sse import EVENT_LIMIT
from proxy.providers.stream import StreamDecoder

HEAD_LIMIT = EVENT_LIMIT
"""Bytes of a stream that may come before its first content."""
GRACE = 2.0
"""Seconds for which usage is waited for after the finish reason."""
SETTLED = 0.5
"""Seconds for which an error is waited for after the finish reason and the usage."""
LINGER = 0.1
"""Seconds for which the end of the body is waited for after all has been said."""


class Stream:
    """An answer whose first content has come. `chunks` gives the rest as it arrives."""

    def __init__(self, reply: Reply, decoder: StreamDecoder, plain: str = "") -> None:
        """plain: the dialect in whose form the stream is known to be, empty where in none."""
        self.plain = plain
        """The same, as far as the stream has been read."""
        self._reply = reply
        self._decoder = decoder
        self._pieces = reply.chunks()
        self._head: list[Chunk] = []
        self._bytes: list[bytes] = []
        """What a plain stream has begun with, as it came."""
        self._begun = False
        self._lingers = True
        self._ended = False
        self._read_bytes = 0
        self._until: float | None = None
        self._counted = False
        """Whether usage has come with the finish reason or after it."""

    async def begin(self) -> None:
        """Reads up to the first real content, or to the end of an answer that has none. Raises
        Fault; the provider's connection is closed then."""
        try:
            while not self._begun and not self._ended:
                chunks = await self._next()
                self._head += chunks
                self._begun = any(chunk.has_content for chunk in chunks)
                if self._read_bytes > HEAD_LIMIT and not self._begun and self._head:
                    why = f"The stream held no content in {HEAD_LIMIT} bytes."
                    raise Fault("garbage", why, source="proxy", blame="proxy")
            if self._ended and not self._decoder.finished:
                raise _unfinished()
            if any(chunk.raw is None for chunk in self._head):
                self.plain = ""
        except BaseException:
            self.abort()
            raise

    async def chunks(self) -> AsyncIterator[list[Chunk]]:
        """The chunks from the first on, grouped as they arrived. Raises Fault when the stream
        breaks, stalls, reports an error or ends unfinished."""
        yield self._head
        while not self._ended:
            if chunks := await self._next():
                yield chunks
        if not self._decoder.finished:
            raise _unfinished()

    async def pass_on(
        self, take: Callable[[list[Chunk]], Awaitable[None]], limit: float | None
    ) -> None:
        """Hands the chunks to `take`, within `limit` seconds. Raises what `chunks` raises, and
        TimeoutError, unless only usage was still to come."""
        taken = False
        try:
            async with asyncio.timeout(limit):
                async for chunks in self.chunks():
                    taken = False
                    await take(chunks)
                    taken = self._decoder.finished
        except TimeoutError:
            if not taken:
                raise

    async def flow(self, sink: Sink, *, finish: bool) -> None:
        """Has a plain stream go to the caller as it comes; `chunks` then gives what has gone by.
        finish: see Reply.flow. A caller who has left shows in `chunks`, after what has come."""
        begun, self._bytes = b"".join(self._bytes), []
        await self._pieces.aclose()
        if not (self._ended or self._decoder.over):
            self._pieces = self._reply.flow(sink, begun, finish=finish)
            return
        with suppress(ClientGone):
            await sink.write(begun)

    def gather(self) -> None:
        """Has `chunks` give together what has come together."""
        self._reply.gather()

    async def hand_back(self) -> None:
        """Leaves the caller's stream to whoever writes to it next."""
        await self._pieces.aclose()
        self._lingers = False

    @property
    def is_closed(self) -> bool:
        """Whether the provider has sent the mark that ends a stream of its dialect."""
        return self._decoder.closed

    def abort(self) -> None:
        """Closes the connection to the provider."""
        self._reply.abort()

    async def linger(self) -> None:
        """Waits for a provider that has said all to end the answer by itself, LINGER seconds at
        most: a connection that is not cut can be used again."""
        if not self._lingers:
            return
        with suppress(Exception):  # whatever the tail is, the answer is whole
            async with asyncio.timeout(LINGER):
                while await anext(self._pieces, None) is not None:
                    pass

    async def _next(self) -> list[Chunk]:
        piece = None if self._decoder.over else await self._piece()
        if piece is not None:
            self._read_bytes += len(piece)
            if self.plain and not self._begun:
                self._bytes.append(piece)
            chunks = self._decoder.feed(piece)
            if self._decoder.finished:
                self._counted = self._counted or any(chunk.usage for chunk in chunks)
            return chunks
        self._ended = True
        return self._decoder.end()

    async def _piece(self) -> bytes | None:
        """The next piece, None at the end. After the finish reason only usage or an error is to
        come, for which it waits until GRACE is over; a connection that breaks is the end then."""
        if not self._decoder.finished:
            return await anext(self._pieces, None)
        now = asyncio.get_running_loop().time()
        self._until = self._until or now + GRACE
        if self._counted:
            self._until = min(self._until, now + SETTLED)
        with suppress(Exception):
            async with asyncio.timeout_at(self._until):
                return await anext(self._pieces, None)
        return None


def _unfinished() -> Fault:
    return Fault("network", "The stream ended without its finish reason.", blame="model")
