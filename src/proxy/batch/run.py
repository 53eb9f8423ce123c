"""Many native requests in one call: here, or where an invocation can't hold them, in chunks,
each in an invocation of its own (core.ports.Batches)."""

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from contextlib import aclosing
from functools import partial
from typing import Annotated

import msgspec
from msgspec import Meta, Raw, Struct, structs

from proxy.analytics.record.request_record import BATCH, ITEM
from proxy.batch.capacity import Room
from proxy.cache.key import cache_key
from proxy.core.body_memory import RETRY_SECONDS
from proxy.core.chat import Call, ChatRequest
from proxy.core.circuit import Circuit
from proxy.core.errors import ClientGone, InternalError, InvalidRequest, ProxyError, without_frames
from proxy.core.ports import Defer, Write
from proxy.core.principal import Principal
from proxy.core.sse import frame
from proxy.core.web import Request, Response
from proxy.dialects import native, reading
from proxy.serving.chat import Chat
from proxy.serving.context import EVENTS, JSON, Exchange

AT_ONCE = 6
"""Requests under way at a time: the platform lets so many connections wait for their headers."""
CHUNK_BYTES = 2 * 1024 * 1024
"""Bytes of a chunk that holds more than one request: it is in memory beside the batch."""
FULL = "The answers of this batch are too large to be held together. Let the batch stream."
START_SECONDS = 30.0
"""What a runner may take to begin: it may be the first of its isolate."""
CREDENTIALS = frozenset({"authorization", "x-api-key", "api-key", "cookie"})
"""The headers that a runner is not told."""


class _Batch(Struct, frozen=True, forbid_unknown_fields=True):
    """The body of POST /v1/batch."""

    requests: Annotated[tuple[Raw, ...], Meta(min_length=1, max_length=100)]
    stream: bool = False


_BATCH = msgspec.json.Decoder(_Batch)


class _Item(Struct, frozen=True):
    """A result as it is told: where in the batch its request stood, and the native answer."""

    index: int
    status: int
    response: Raw


Tell = Callable[[list[_Item]], Awaitable[None]]


class Work(Struct, frozen=True):
    """A request that is made once, and the places in the batch where it stands."""

    call: Call | InvalidRequest
    """What is wrong with it, where that is so."""
    raw: Raw
    places: tuple[int, ...]


class _Part(Struct, frozen=True):
    """A request of a chunk."""

    raw: Raw
    places: tuple[int, ...]


class Chunk(Struct, frozen=True):
    """A part of a batch, as a runner is told it."""

    runner: str
    """The name of the object that is told."""
    id: str
    """The batch's."""
    headers: dict[str, str]
    principal: Principal
    parts: tuple[_Part, ...]

    def request(self, defer: Defer) -> Request:
        """The batch, as far as its requests go by it."""
        headers = self.headers | {"x-request-id": self.id}
        return Request("POST", BATCH, {}, headers, _nothing, defer)


class _Done(Struct, frozen=True):
    """A result as a runner tells it, on a line."""

    places: tuple[int, ...]
    status: int
    response: Raw


_CHUNK = msgspec.json.Decoder(Chunk)
_DONE = msgspec.json.Decoder(_Done)


async def answer(exchange: Exchange, chat: Chat, room: Room, body: bytes) -> Response:
    """POST /v1/batch. Every request has its own success or error. Raises InvalidRequest where
    the batch itself is wrong."""
    reading.check(body)
    batch = reading.decode(_BATCH, body)
    # The id alone is the caller's choice: others may have chosen it too.
    runner = f"{exchange.id}.{exchange.ports.random.token(8)}"
    run = partial(_run, exchange, chat, room, _works(batch.requests), runner)
    if batch.stream:
        return Response(headers=dict(EVENTS), stream=partial(_stream, exchange, run))
    results: list[_Item] = []

    async def collect(items: list[_Item]) -> None:
        hold, size = exchange.hold, len(memoryview(items[0].response))
        if hold and not hold.keeps(hold.size + size):
            full = InternalError(FULL, status=503, code="overloaded", retry_after=RETRY_SECONDS)
            body = Raw(native.error(full, exchange.id, exchange.ports.clock.now()))
            items = [_Item(item.index, full.status, body) for item in items]
        results.extend(items)

    await run(collect)
    results.sort(key=lambda item: item.index)
    statuses = [item.status for item in results]
    told = {"success": True, "results": results, "summary": _summary(statuses)}
    return Response(headers=dict(JSON), body=msgspec.json.encode(told))


def read_chunk(told: bytes) -> Chunk:
    """What a runner is told. Raises ValueError for what is no chunk."""
    return _CHUNK.decode(told)


async def run_chunk(exchange: Exchange, chat: Chat, room: Room, chunk: Chunk, write: Write) -> None:
    """A runner's work: does a chunk and writes each result as it comes. When who asked for it is
    gone nothing more is begun. exchange: the batch's."""
    works = [Work(_read(part.raw), part.raw, part.places) for part in chunk.parts]

    async def tell(items: list[_Item]) -> None:
        places = tuple(item.index for item in items)
        done = _Done(places, items[0].status, items[0].response)
        await write(msgspec.json.encode(done) + b"\n")

    runner = f"{chunk.runner}.{works[0].places[0]}"
    try:
        await _run(exchange, chat, room, works, runner, tell)
    except* ClientGone:
        pass  # what is done is told nobody


async def _nothing(limit: int) -> bytes:
    return b""


async def _stream(exchange: Exchange, run: Callable[[Tell], Awaitable[None]], write: Write) -> None:
    """Results as they come, then the summary. When the caller is gone nothing more is begun."""
    statuses: list[int] = []
    ended, size = "broken", 0

    async def send(data: bytes) -> None:
        nonlocal size
        await write(data)
        size += len(data)

    async def tell(items: list[_Item]) -> None:
        statuses.extend(item.status for item in items)
        await send(b"".join(frame(msgspec.json.encode(item), "result") for item in items))

    try:
        await run(tell)
        await send(frame(msgspec.json.encode({"summary": _summary(statuses)}), "done"))
        ended = "ok"
    except* ClientGone:
        ended = "client_gone"
    finally:
        exchange.facts.update(stream=True, ended=ended)
        if ended == "broken":
            exchange.facts.update(error=InternalError.type, source="proxy")
        exchange.end(200, size)


async def _run(
    exchange: Exchange, chat: Chat, room: Room, works: list[Work], runner: str, tell: Tell
) -> None:
    """Has the work done, AT_ONCE at a time, here if it fits; what `tell` raises ends it. runner:
    the name of the object that gets the chunks if not."""
    held = room.requests(
        (work.call for work in works if isinstance(work.call, Call)), exchange.request.headers
    )
    if len(works) <= held:
        left = iter(works)
        workers = [_worker(exchange, chat, left, tell) for _ in works[:AT_ONCE]]
    else:
        size = room.chunk(len(works), held)
        chunks = iter(_chunks(works, size))
        works.clear()  # a chunk is read anew by who gets it
        count = max(1, AT_ONCE // size)
        circuit = Circuit(exchange.ports.clock)
        workers = [_overseer(exchange, chunks, runner, tell, circuit) for _ in range(count)]
    try:
        async with asyncio.TaskGroup() as group:
            for worker in workers:
                group.create_task(worker)
    except ExceptionGroup as errors:
        for error in (errors, *errors.exceptions):  # a frame of TaskGroup's holds the group itself
            without_frames(error)
        raise


def _chunks(works: list[Work], most: int) -> list[list[_Part]]:
    """The work in chunks of at most `most` requests, and of CHUNK_BYTES if it is more than one."""
    chunks: list[list[_Part]] = []
    size = 0
    for work in works:
        own = len(memoryview(work.raw))
        if not chunks or len(chunks[-1]) == most or size + own > CHUNK_BYTES:
            chunks.append([])
            size = 0
        chunks[-1].append(_Part(work.raw, work.places))
        size += own
    return chunks


async def _overseer(
    exchange: Exchange, chunks: Iterator[list[_Part]], runner: str, tell: Tell, circuit: Circuit
) -> None:
    """Has chunks done elsewhere, one after another. What is left without an answer gets an
    error, at once after the runner has hung."""
    for parts in chunks:
        missing = {part.places: part for part in parts}
        try:
            told = _told(exchange, parts, runner)
            start = exchange.ports.batches.start(runner, told)
            async with aclosing(await circuit.call(runner, start, START_SECONDS)) as lines:
                async for line in lines:
                    done = _DONE.decode(line)
                    del missing[done.places]
                    await tell([_Item(at, done.status, done.response) for at in done.places])
        except ClientGone:
            raise
        except Exception as error:
            exchange.ports.log(
                "error", "batch runner lost", request_id=exchange.id, error=repr(error)[:500]
            )
        for places in missing:
            lost = InternalError("This part of the batch could not be run. Ask for it again.")
            refused = _refusal(_own(exchange, places[0]), lost)
            await tell([_Item(at, refused.status, Raw(refused.body)) for at in places])


def _told(exchange: Exchange, parts: list[_Part], runner: str) -> bytes:
    assert exchange.principal  # no batch is public
    headers = exchange.request.headers
    chunk = Chunk(
        runner=runner,
        id=exchange.id,
        headers={name: headers[name] for name in headers.keys() - CREDENTIALS} | exchange.passed_on,
        principal=exchange.principal,
        parts=tuple(parts),
    )
    return msgspec.json.encode(chunk)


async def _worker(exchange: Exchange, chat: Chat, left: Iterator[Work], tell: Tell) -> None:
    for work in left:
        own = _own(exchange, work.places[0])
        try:
            if isinstance(work.call, InvalidRequest):
                raise work.call
            response = await chat.answer(own, work.call)
            own.end(response.status, len(response.body))
        except asyncio.CancelledError:  # the batch's caller has left
            own.facts["ended"] = "client_gone"
            own.end(200, 0)
            raise
        except Exception as error:
            response = _refusal(own, error)
        body = Raw(response.body)
        await tell([_Item(place, response.status, body) for place in work.places])


def _works(requests: tuple[Raw, ...]) -> list[Work]:
    """The work: first what is wrong, then identical requests once, unless they want an answer
    of their own."""
    wrong: list[Work] = []
    places: dict[bytes, list[int]] = {}
    read: dict[bytes, tuple[Call, Raw]] = {}
    for index, raw in enumerate(requests):
        call = _read(raw)
        if isinstance(call, InvalidRequest):
            wrong.append(Work(call, raw, (index,)))
            continue
        alone = b"" if call.cache.mode == "default" else b"%d" % index
        asked = _meaning(call) + alone
        places.setdefault(asked, []).append(index)
        read[asked] = call, raw
    return wrong + [Work(*read[asked], tuple(where)) for asked, where in places.items()]


def _read(raw: Raw) -> Call | InvalidRequest:
    try:
        call = native.parse_chat(raw)
        if call.chat.stream:
            raise reading.invalid("stream", "A request of a batch can't stream; the batch can")
    except InvalidRequest as error:
        return without_frames(error)
    return call


def _meaning(call: Call) -> bytes:
    """The same for what is asked in the same way; short, as a copy of it would be memory. In
    JSON, since msgpack has no whole numbers beyond 64 bits."""
    key = cache_key(call.chat, question=(), defaults={}, scope="", namespace=None)
    beside = structs.replace(call, chat=ChatRequest(messages=()))
    return msgspec.json.encode((key, beside))


def _own(exchange: Exchange, index: int) -> Exchange:
    """The exchange of one request of the batch: an id and a line in the log of its own."""
    headers = exchange.request.headers | {"x-request-id": f"{exchange.id}-{index}"}
    headers.pop("content-length", None)
    request = structs.replace(exchange.request, headers=headers, hold=None)
    own = Exchange(request, exchange.ports, exchange.record, ITEM, native)
    own.hold = exchange.hold and exchange.hold.fork()
    own.principal = exchange.principal
    if exchange.trace:
        span = exchange.facts["span"]
        parent, new = span or exchange.trace.parent, exchange.ports.random.token(8)
        own.join(structs.replace(exchange.trace, span=new, parent=parent), recorded=bool(span))
    return own


def _refusal(own: Exchange, error: Exception) -> Response:
    if not isinstance(error, ProxyError):
        own.ports.log("error", "bug", request_id=own.id, error=repr(error)[:500])
        error = InternalError("The proxy made a mistake; it has been logged.")
    response = own.refusal(error)
    own.end(response.status, len(response.body))
    return response


def _summary(statuses: list[int]) -> dict[str, int]:
    succeeded = statuses.count(200)
    return {
        "total": len(statuses),
        "succeeded": succeeded,
        "failed": len(statuses) - succeeded,
    }
