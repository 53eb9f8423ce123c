"""Answers a batch: all results together, or each as it comes."""

from collections.abc import Awaitable, Callable

import msgspec
from msgspec import Raw, structs

from proxy.batch.chunks import BatchChunk, BatchChunkBegun, BatchChunkResult
from proxy.batch.items import Item, ItemResult, read_batch, read_items, read_request, summarize
from proxy.batch.run import BatchRun, BatchServices, ReportResults
from proxy.core.body_memory import RETRY_SECONDS
from proxy.core.errors import ClientGone, InternalError, Unavailable
from proxy.core.ports import Sink, Write
from proxy.core.sse import frame
from proxy.core.web import EVENTS, JSON, Response
from proxy.dialects import cloudflare, native
from proxy.privacy.restoring import Restoring
from proxy.serving.context import RequestContext

FULL = "The answers of this batch are too large to be held together. Let the batch stream."


async def answer_batch(services: BatchServices, context: RequestContext, body: bytes) -> Response:
    """Answers a batch, every request of which has its own success or error. Raises InvalidRequest
    where the batch itself is wrong, or a header that holds for all of it."""
    batch = read_batch(body)
    cloudflare.check(context.request.headers)
    # The id alone is the caller's choice: others may have chosen it too.
    runner = f"{context.id}.{services.ports.random.token(8)}"
    requests, guard, restorings = batch.requests, services.guard, dict[int, Restoring]()
    if guard:
        requests, restorings = await guard.screen_items(requests)
    items = await read_items(requests, guard)

    async def run(report: ReportResults) -> None:
        async def restore(results: list[ItemResult]) -> None:
            for result in results:
                await report([_restore(result, restorings)])

        await BatchRun(services, context, runner, restore if restorings else report).run(items)

    if not batch.stream:
        return await _answer_whole(context, run)

    async def stream(sink: Sink) -> None:
        await _stream(context, run, sink.write)

    return Response(headers=dict(EVENTS), stream=stream)


def _restore(result: ItemResult, restorings: dict[int, Restoring]) -> ItemResult:
    """A result with what was masked in its request."""
    restoring = restorings.get(result.index)
    if restoring is None:
        return result
    return structs.replace(result, response=Raw(restoring.restore_json(bytes(result.response))))


async def answer_chunk(
    services: BatchServices, context: RequestContext, chunk: BatchChunk, write: Write
) -> None:
    """Runs a chunk in the runner's invocation and writes each result as it comes. When the batch
    is gone nothing more is begun. context: the batch's."""
    guard = services.guard
    items = [
        Item(await read_request(part.raw, guard), part.raw, part.places) for part in chunk.parts
    ]

    async def report(results: list[ItemResult]) -> None:
        places = tuple(result.index for result in results)
        line = BatchChunkResult(places, results[0].status, results[0].response)
        await write(msgspec.json.encode(line) + b"\n")

    async def announce(places: tuple[int, ...]) -> None:
        await write(msgspec.json.encode(BatchChunkBegun(places)) + b"\n")

    runner = f"{chunk.runner}.{items[0].places[0]}"
    try:
        await BatchRun(services, context, runner, report, announce).run(items)
    except* ClientGone:
        pass  # no caller is left for the results


async def _answer_whole(
    context: RequestContext, run: Callable[[ReportResults], Awaitable[None]]
) -> Response:
    results: list[ItemResult] = []

    async def collect(new: list[ItemResult]) -> None:
        hold = context.hold
        for result in new:  # the body of the whole has it at each of its places
            if hold and not hold.keeps(hold.size + len(memoryview(result.response))):
                full = Unavailable(FULL, code="overloaded", retry_after=RETRY_SECONDS)
                body = Raw(native.error(full, context.id, context.clock.now()))
                result = ItemResult(result.index, full.status, body)
            results.append(result)

    await run(collect)
    results.sort(key=lambda result: result.index)
    summary = summarize([result.status for result in results])
    body = {"success": True, "results": results, "summary": summary}
    return Response(headers=dict(JSON), body=msgspec.json.encode(body))


async def _stream(
    context: RequestContext, run: Callable[[ReportResults], Awaitable[None]], write: Write
) -> None:
    """Writes results as they come, then the summary. When the caller is gone nothing more is
    begun."""
    statuses: list[int] = []
    record = context.record
    record.stream, record.ended = True, "broken"

    async def report(results: list[ItemResult]) -> None:
        statuses.extend(result.status for result in results)
        for result in results:  # one at a time: each has a copy of the answer
            await write(frame(msgspec.json.encode(result), "result"))

    try:
        await run(report)
        await write(frame(msgspec.json.encode({"summary": summarize(statuses)}), "done"))
        record.ended = "ok"
    except* ClientGone:
        record.ended = "client_gone"
    finally:
        if record.ended == "broken":
            record.error, record.source = InternalError.type, "proxy"
