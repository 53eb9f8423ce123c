"""The way to the objects that run parts of a batch."""

import asyncio
from collections.abc import AsyncGenerator
from typing import Any

from pyodide.ffi import to_js

from proxy.edge.streams import StreamReply

START_SECONDS = 30.0
"""What an object may take to begin: it may be the first of its isolate."""
SILENT_SECONDS = 660.0
"""What it may take until a result: longer than any request."""


class BatchesStub:
    """core.ports.Batches over the Durable Objects."""

    def __init__(self, namespace: Any) -> None:
        self._namespace = namespace

    async def run(self, name: str, chunk: bytes) -> AsyncGenerator[bytes, None]:
        """See core.ports.Batches."""
        async with asyncio.timeout(START_SECONDS):
            stream = await self._namespace.getByName(name).run_chunk(to_js(chunk))
        reply = StreamReply(200, {}, stream, SILENT_SECONDS)
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
