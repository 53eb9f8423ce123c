"""Runs the requests of a batch: here, or where an invocation can't hold them, in chunks, each in
an invocation of its own."""

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from contextlib import aclosing

from msgspec import Raw, Struct, structs

from proxy.analytics.record.request_record import ITEM
from proxy.batch.capacity import Capacity
from proxy.batch.chunks import LINE, BatchChunkBegun, BatchChunkItem, encode_chunk, split_items
from proxy.batch.items import Item, ItemResult
from proxy.core.chat import Call
from proxy.core.circuit import Circuit
from proxy.core.errors import ClientGone, InternalError, InvalidRequest, drop_frames
from proxy.core.ports import Ports
from proxy.core.web import Response
from proxy.dialects import native
from proxy.serving.aliasing import Aliasing
from proxy.serving.chat import Chat
from proxy.serving.closing import Closer
from proxy.serving.context import RequestContext
from proxy.serving.guarding import Guard
from proxy.serving.noting import Notes
from proxy.serving.refusal import refuse

AT_ONCE = 6
"""Requests under way at a time: the platform lets so many connections wait for their headers."""
START_SECONDS = 30.0
"""What a runner may take to begin: it may be the first of its isolate."""
LOST = "This part of the batch could not be run. Ask for it again."

ReportResults = Callable[[list[ItemResult]], Awaitable[None]]
"""Takes the results of one request, one for each of its places."""
Announce = Callable[[tuple[int, ...]], Awaitable[None]]
"""Says that the request of these places is begun, before it is."""


class BatchServices(Struct, frozen=True):
    """What the batches of an isolate share."""

    chat: Chat
    aliasing: Aliasing
    closer: Closer
    capacity: Capacity
    ports: Ports
    guard: Guard | None = None
    notes: Notes | None = None


class BatchRun:
    """The run of one batch, or of one chunk."""

    def __init__(
        self,
        services: BatchServices,
        context: RequestContext,
        runner: str,
        report: ReportResults,
        announce: Announce | None = None,
    ) -> None:
        """context: the batch's; runner: the name of the object that gets the chunks; report,
        announce: what they raise ends the run."""
        self._services = services
        self._context = context
        self._runner = runner
        self._report = report
        self._announce = announce
        self._circuit = Circuit(context.clock)

    async def run(self, items: list[Item]) -> None:
        """Runs all requests, AT_ONCE at a time."""
        capacity, context = self._services.capacity, self._context
        calls = [item.call for item in items if isinstance(item.call, Call)]
        routings = [call.routing for call in calls]
        targets = await self._services.aliasing.count_targets(context, routings)
        held = capacity.count_requests(calls, context.request.headers, targets)
        del calls  # they are the workers' alone
        if len(items) <= held:
            left = iter(items)
            workers = [self._run_here(left) for _ in items[:AT_ONCE]]
        else:
            size = capacity.chunk_size(len(items), held)
            chunks = iter(split_items(items, size))
            items.clear()  # the runner of a chunk reads it anew
            workers = [self._run_elsewhere(chunks) for _ in range(max(1, AT_ONCE // size))]
        try:
            async with asyncio.TaskGroup() as group:
                for worker in workers:
                    group.create_task(worker)
        except ExceptionGroup as errors:
            for error in (errors, *errors.exceptions):  # a frame of TaskGroup's holds the group
                drop_frames(error)
            raise

    async def _run_here(self, left: Iterator[Item]) -> None:
        for item in left:
            if self._announce:
                await self._announce(item.places)
            context = self._fork(item.places[0])
            if self._services.notes:
                self._services.notes.take_request(context, bytes(item.raw))
            try:
                response = await self._answer(context, item)
            except asyncio.CancelledError:  # the batch's caller has left
                context.record.ended = "client_gone"
                self._services.closer.close(context, 200, 0)
                raise
            await self._send(item.places, context, response)

    async def _answer(self, context: RequestContext, item: Item) -> Response:
        log = self._services.ports.log
        if isinstance(item.call, InvalidRequest):
            return refuse(context, item.call, log)
        try:
            return await self._services.chat.answer(context, item.call)
        except Exception as error:
            return refuse(context, error, log)

    async def _send(
        self, places: tuple[int, ...], context: RequestContext, response: Response
    ) -> None:
        self._services.closer.close(context, response.status, len(response.body), response.body)
        await self._report_at(places, response.status, Raw(response.body))

    async def _report_at(self, places: tuple[int, ...], status: int, body: Raw) -> None:
        await self._report([ItemResult(place, status, body) for place in places])

    async def _run_elsewhere(self, chunks: Iterator[list[BatchChunkItem]]) -> None:
        """Has chunks run by the object, one after another. A request that is left without an
        answer gets an error, at once after the object has hung."""
        for items in chunks:
            missing = {item.places: False for item in items}
            try:
                if self._announce:
                    for places in missing:
                        await self._announce(places)
                await self._collect(items, missing)
            except ClientGone:
                raise
            except Exception as error:
                self._services.ports.log(
                    "error",
                    "batch runner lost",
                    request_id=self._context.id,
                    error=repr(error)[:500],
                )
            for places, is_begun in missing.items():
                context = self._fork(places[0])
                lost = refuse(context, InternalError(LOST), self._services.ports.log)
                if is_begun:  # the runner has recorded what it came to and cost, under the same id
                    await self._report_at(places, lost.status, Raw(lost.body))
                else:
                    await self._send(places, context, lost)

    async def _collect(
        self, items: list[BatchChunkItem], missing: dict[tuple[int, ...], bool]
    ) -> None:
        """Reports the results of a chunk, and takes them out of `missing`, which says whether they
        are begun."""
        chunk = encode_chunk(self._context, self._runner, items)
        start = self._services.ports.batches.start(self._runner, chunk)
        lines = await self._circuit.call(self._runner, start, START_SECONDS)
        async with aclosing(lines):
            async for line in lines:
                result = LINE.decode(line)
                if isinstance(result, BatchChunkBegun):
                    missing[result.places] = True
                    continue
                del missing[result.places]
                await self._report_at(result.places, result.status, result.response)

    def _fork(self, index: int) -> RequestContext:
        """The context of one request of the batch: an id and a record of its own."""
        batch, ports = self._context, self._services.ports
        headers = batch.request.headers | {"x-request-id": f"{batch.id}-{index}"}
        headers.pop("content-length", None)
        request = structs.replace(batch.request, headers=headers, hold=None)
        context = RequestContext(request, ITEM, native, ports.clock, ports.random)
        context.hold = batch.hold and batch.hold.fork()
        context.admit(batch.principal)
        if batch.trace:
            span = batch.record.span
            trace = structs.replace(
                batch.trace, span=ports.random.token(8), parent=span or batch.trace.parent
            )
            context.join_trace(trace, recorded=bool(span))
        return context
