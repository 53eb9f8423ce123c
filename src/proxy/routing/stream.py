"""A provider's streamed answer, from its first real content on."""

from collections.abc import AsyncIterator

from proxy.core.chat import Chunk
from proxy.core.errors import Fault
from proxy.core.ports import Reply
from proxy.core.sse import EVENT_LIMIT
from proxy.providers.adapter import Decoder

HEAD_LIMIT = EVENT_LIMIT
"""Bytes of a stream that may come before its first content."""


class Stream:
    """An answer whose first content has come. `chunks` gives the rest as it arrives."""

    def __init__(self, reply: Reply, decoder: Decoder) -> None:
        self._reply = reply
        self._decoder = decoder
        self._pieces = reply.chunks()
        self._head: list[Chunk] = []
        self._ended = False
        self._read_bytes = 0

    async def begin(self) -> None:
        """Reads up to the first real content, or to the end of an answer that has none.

        Raises Fault; the provider's connection is closed then.
        """
        try:
            begun = False
            while not begun and not self._ended:
                chunks = await self._next()
                self._head += chunks
                begun = any(chunk.has_content for chunk in chunks)
                if self._read_bytes > HEAD_LIMIT and not begun and self._head:
                    raise Fault("garbage", f"The stream held no content in {HEAD_LIMIT} bytes.")
            if self._ended and not self._decoder.finished:
                raise _unfinished()
        except BaseException:
            self.abort()
            raise

    async def chunks(self) -> AsyncIterator[list[Chunk]]:
        """The chunks from the first on, grouped as they arrived.

        Raises Fault when the stream breaks, stalls, tells an error or ends unfinished.
        """
        yield self._head
        while not self._ended:
            if chunks := await self._next():
                yield chunks
        if not self._decoder.finished:
            raise _unfinished()

    def abort(self) -> None:
        """Closes the connection to the provider."""
        self._reply.abort()

    async def _next(self) -> list[Chunk]:
        piece = await anext(self._pieces, None)
        if piece is not None:
            self._read_bytes += len(piece)
            return self._decoder.feed(piece)
        self._ended = True
        return self._decoder.end()


def _unfinished() -> Fault:
    return Fault("network", "The stream ended without its finish reason.", blame="model")
