"""The Durable Object that runs parts of a batch.

It stores nothing: it is there for the limits of an invocation, of which each call has its own.
"""

import asyncio
from collections.abc import Awaitable
from typing import Any

from proxy.api.batch import run_chunk
from proxy.core.ports import Sink
from proxy.host.isolate import begin
from proxy.objects.edge_object import EdgeObject
from proxy.platform.streams import open_stream


class BatchRunner(EdgeObject):
    """The runner of one batch's chunks. See api.batch.run_chunk."""

    def __init__(self, ctx: Any, env: Any) -> None:
        super().__init__(ctx, env)
        self._raw = env._env
        self._tasks: set[asyncio.Future[object]] = set()

    async def run_chunk(self, chunk: Any) -> Any:
        """core.ports.Batches.run, as a ReadableStream. What is put off goes on in the object,
        after the stream's end too."""
        services = (await begin(self._raw)).services

        async def run(sink: Sink) -> None:
            await run_chunk(services, bytes(chunk), self._defer, sink.write)

        lines, writing = open_stream(run)
        self._defer(writing)
        return lines

    def _defer(self, work: Awaitable[object]) -> None:
        task = asyncio.ensure_future(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
