"""Many native requests in one call."""

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from functools import partial
from typing import Annotated

import msgspec
from msgspec import Meta, Raw, Struct, structs

from proxy.analytics.event import ITEM
from proxy.core.chat import Call, ChatRequest
from proxy.core.errors import ClientGone, InternalError, InvalidRequest, ProxyError
from proxy.core.ports import Write
from proxy.core.sse import frame
from proxy.core.web import Response
from proxy.dialects import native, reading
from proxy.exchange import EVENTS, JSON, Exchange
from proxy.serve import Chat

AT_ONCE = 6
"""Requests under way at a time: the platform lets so many connections wait for their headers."""


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


class Work(Struct, frozen=True):
    """A request that is made once, and the places in the batch where it stands."""

    call: Call
    places: tuple[int, ...]


async def answer(exchange: Exchange, chat: Chat, body: bytes) -> Response:
    """POST /v1/batch. Every request has its own success or error. Raises InvalidRequest where
    the batch itself is wrong."""
    reading.check(body)
    batch = reading.decode(_BATCH, body)
    done, works = _parsed(exchange, batch.requests)
    if batch.stream:
        return Response(
            headers=dict(EVENTS),
            stream=partial(_stream, exchange, chat, done, works),
        )
    results = list(done)

    async def collect(items: list[_Item]) -> None:
        results.extend(items)

    await _run(exchange, chat, works, collect)
    results.sort(key=lambda item: item.index)
    told = {"success": True, "results": results, "summary": _summary(results)}
    return Response(headers=dict(JSON), body=msgspec.json.encode(told))


async def _stream(
    exchange: Exchange, chat: Chat, done: list[_Item], works: list[Work], write: Write
) -> None:
    """Results as they come, then the summary. When the caller is gone nothing more is begun."""
    results: list[_Item] = []
    ended, size = "ok", 0

    async def send(data: bytes) -> None:
        nonlocal size
        await write(data)
        size += len(data)

    async def tell(items: list[_Item]) -> None:
        results.extend(items)
        await send(b"".join(frame(msgspec.json.encode(item), "result") for item in items))

    try:
        if done:
            await tell(done)
        await _run(exchange, chat, works, tell)
        await send(frame(msgspec.json.encode({"summary": _summary(results)}), "done"))
    except* ClientGone:
        ended = "client_gone"
    finally:
        exchange.facts.update(stream=True, ended=ended)
        exchange.end(200, size)


async def _run(
    exchange: Exchange,
    chat: Chat,
    works: list[Work],
    tell: Callable[[list[_Item]], Awaitable[None]],
) -> None:
    """Has the work done, AT_ONCE at a time; what `tell` raises ends it."""
    left = iter(works)
    async with asyncio.TaskGroup() as group:
        for _ in range(min(AT_ONCE, len(works))):
            group.create_task(_worker(exchange, chat, left, tell))


async def _worker(
    exchange: Exchange,
    chat: Chat,
    left: Iterator[Work],
    tell: Callable[[list[_Item]], Awaitable[None]],
) -> None:
    for work in left:
        own = _own(exchange, work.places[0])
        try:
            response = await chat.answer(own, work.call)
            own.end(response.status, len(response.body))
        except Exception as error:
            response = _refusal(own, error)
        body = Raw(response.body)
        await tell([_Item(place, response.status, body) for place in work.places])


def _parsed(exchange: Exchange, requests: tuple[Raw, ...]) -> tuple[list[_Item], list[Work]]:
    """The errors of requests that are wrong, and the work: identical ones once, unless they
    want an answer of their own."""
    wrong: list[_Item] = []
    places: dict[bytes, list[int]] = {}
    calls: dict[bytes, Call] = {}
    for index, raw in enumerate(requests):
        try:
            call = native.parse_chat(bytes(raw))
            if call.chat.stream:
                raise reading.invalid("stream", "A request of a batch can't stream; the batch can")
        except InvalidRequest as error:
            refused = _refusal(_own(exchange, index), error)
            wrong.append(_Item(index, refused.status, Raw(refused.body)))
            continue
        alone = b"" if call.cache.mode == "default" else b"%d" % index
        asked = msgspec.msgpack.encode(structs.replace(call, chat=_plain(call)))
        places.setdefault(asked + alone, []).append(index)
        calls[asked + alone] = call
    return wrong, [Work(calls[asked], tuple(where)) for asked, where in places.items()]


def _plain(call: Call) -> ChatRequest:
    """What is asked, without the bytes that it came in."""
    return structs.replace(call.chat, raw_messages=(), raw_tools=None, body=None)


def _own(exchange: Exchange, index: int) -> Exchange:
    """The exchange of one request of the batch: an id and a line in the log of its own."""
    headers = exchange.request.headers | {"x-request-id": f"{exchange.id}-{index}"}
    headers.pop("content-length", None)
    request = structs.replace(exchange.request, headers=headers)
    own = Exchange(request, exchange.ports, exchange.record, ITEM, native)
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


def _summary(results: list[_Item]) -> dict[str, int]:
    succeeded = sum(item.status == 200 for item in results)
    return {
        "total": len(results),
        "succeeded": succeeded,
        "failed": len(results) - succeeded,
    }
