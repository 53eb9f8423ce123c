"""The way to the objects that run parts of a batch."""

from collections.abc import AsyncGenerator
from typing import Any

from pyodide.ffi import to_js

from proxy.platform.streams import StreamReply

SILENT_SECONDS = 660.0
"""What an object may take until a result: longer than any request."""


class BatchesStub:
    """core.ports.Batches over the Durable Objects."""

    def __init__(self, namespace: Any) -> None:
        self._namespace = namespace

    async def start(self, name: str, chunk: bytes) -> AsyncGenerator[bytes, None]:
        """See core.ports.Batches."""
        stream = await self._namespace.getByName(name).run_chunk(to_js(chunk))
        return _lines(StreamReply(200, {}, stream, SILENT_SECONDS))


async def _lines(reply: StreamReply) -> AsyncGenerator[bytes, None]:
    try:
        begun: list[bytes] = []
        async for piece in reply.chunks():
            first, *others = piece.split(b"\n")
            begun.append(first)
            for other in others:
                yield b"".join(begun)
                begun = [other]
    finally:
        reply.abort()
