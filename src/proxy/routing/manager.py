"""Takes a request to a provider and, when that one fails, to the next.

One deadline covers all attempts. A stream may fall over until its first real content is
there, never after. What each attempt met is kept, and told whatever the end.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import TypeVar

from msgspec import Struct

from proxy.core.chat import (
    Answer,
    Attempt,
    Call,
    ChatRequest,
    Chunk,
    Cost,
    EmbeddingRequest,
    Embeddings,
    Routing,
    Usage,
)
from proxy.core.config import Config
from proxy.core.errors import Fault, FaultKind, InvalidRequest
from proxy.core.nesting import MAX_VALUES, excess
from proxy.core.permit import Permit, Refusal
from proxy.core.ports import Clock, Outgoing, Reply, Upstream
from proxy.providers.adapter import Adapter, Decoder, Target
from proxy.providers.registry import ADAPTERS
from proxy.routing.failure import as_proxy_error, limited, refused, told
from proxy.routing.images import with_inline_images
from proxy.routing.selection import Needs, Selection

T = TypeVar("T")
A = TypeVar("A")

PROVIDER_WIDE: frozenset[FaultKind] = frozenset({"unauthorized", "timeout", "network"})
"""Faults after which no other model of the same provider is tried for this request."""
VECTOR_VALUES = 1_500_000
"""Numbers in an answer of embeddings: each takes some 30 bytes of an isolate's 128 MB."""


class Done(Struct, frozen=True):
    """A whole result with the way to it."""

    target: Target
    attempts: tuple[Attempt, ...]
    dropped: tuple[str, ...]

    def cost(self, usage: Usage | None) -> Cost:
        """What the answer cost, by the model that gave it."""
        return self.target.model.cost(usage)


class Stream:
    """An answer whose first content has come. `chunks` gives the rest as it arrives."""

    def __init__(self, reply: Reply, decoder: Decoder) -> None:
        self._reply = reply
        self._decoder = decoder
        self._pieces = reply.chunks()
        self._head: list[Chunk] = []
        self._ended = False

    async def begin(self) -> None:
        """Reads up to the first real content, or to the end of an answer that has none.

        Raises Fault; the provider's connection is closed then.
        """
        try:
            while not any(chunk.has_content for chunk in self._head) and not self._ended:
                self._head += await self._next()
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
            return self._decoder.feed(piece)
        self._ended = True
        return self._decoder.end()


class Manager:
    """Runs requests against their candidates, in order."""

    def __init__(
        self, config: Config, selection: Selection, upstream: Upstream, clock: Clock
    ) -> None:
        self._config = config
        self._selection = selection
        self._upstream = upstream
        self._clock = clock

    async def complete(
        self, call: Call, permit: Permit, began: float | None = None
    ) -> tuple[Answer, Done]:
        """A whole answer. began: when its time began to count, if not now. Raises ProxyError."""
        fitting = _Fitting(call.chat, self._upstream)

        async def attempt(target: Target, first_byte: float) -> tuple[Answer, Outgoing]:
            adapter = ADAPTERS[target.spec.dialect]
            outgoing = _outgoing(adapter.request, target, await fitting.chat_for(target))
            # Unstreamed, a provider may think for long between its headers and its answer.
            reply = await self._send(adapter, target, outgoing, permit, first_byte)
            return adapter.answer(target, await _read(reply)), outgoing

        return await self._run(call.routing, Needs.of(call.chat), permit, attempt, began)

    async def stream(
        self, call: Call, permit: Permit, began: float | None = None
    ) -> tuple[Stream, Done]:
        """An answer that has begun; began as in `complete`. Raises ProxyError."""
        fitting = _Fitting(call.chat, self._upstream)

        async def attempt(target: Target, first_byte: float) -> tuple[Stream, Outgoing]:
            adapter = ADAPTERS[target.spec.dialect]
            outgoing = _outgoing(adapter.request, target, await fitting.chat_for(target))
            first_byte = min(first_byte, self._config.first_byte_timeout_ms / 1000)
            idle = self._config.idle_timeout_ms / 1000
            reply = await self._send(adapter, target, outgoing, permit, first_byte, idle)
            stream = Stream(reply, adapter.decoder(target))
            await stream.begin()
            return stream, outgoing

        return await self._run(call.routing, Needs.of(call.chat), permit, attempt, began)

    async def embed(self, ask: EmbeddingRequest, permit: Permit) -> tuple[Embeddings, Done]:
        """Vectors for texts. Raises ProxyError."""

        async def attempt(target: Target, first_byte: float) -> tuple[Embeddings, Outgoing]:
            adapter = ADAPTERS[target.spec.dialect]
            outgoing = _outgoing(adapter.embedding_request, target, ask)
            reply = await self._send(adapter, target, outgoing, permit, first_byte)
            return adapter.embeddings(target, ask, await _read(reply, VECTOR_VALUES)), outgoing

        return await self._run(ask.routing, Needs(embedding=True), permit, attempt)

    async def _run(
        self,
        routing: Routing,
        needs: Needs,
        permit: Permit,
        attempt: Callable[[Target, float], Awaitable[tuple[T, Outgoing]]],
        began: float | None = None,
    ) -> tuple[T, Done]:
        """Tries the candidates in order until one answers. The first byte of each must come
        within the time left divided by the candidates left."""
        candidates = self._selection.candidates(routing, needs, permit.grant)
        began = self._clock.now() if began is None else began
        deadline = began + self.timeout(routing)
        attempts: list[Attempt] = []
        refusals: list[Refusal] = []
        fault = Fault("timeout", "No time was left for an attempt.")
        while candidates:
            target = candidates[0]
            start = self._clock.now()
            left = deadline - start
            if left <= 0:
                break
            model = target.model
            if refusal := await permit.charge(target.spec.name, model.cost, model.max_output):
                refusals.append(refusal)
                attempts.append(limited(target, refusal))
                candidates = candidates[1:]
                continue
            try:
                async with asyncio.timeout(left):
                    result, outgoing = await attempt(target, left / len(candidates))
            except TimeoutError:
                fault = Fault("timeout", "The answer did not come in time.")
            except Fault as error:
                fault = error
            else:
                attempts.append(told(target, None, start, self._clock.now()))
                return result, Done(target, tuple(attempts), outgoing.dropped)
            attempts.append(told(target, fault, start, self._clock.now()))
            if not fault.falls_over:
                break
            given_up = target.spec.name if fault.kind in PROVIDER_WIDE else None
            candidates = tuple(c for c in candidates[1:] if c.spec.name != given_up)
        if attempts and len(refusals) == len(attempts):
            raise refused(refusals, tuple(attempts))
        raise as_proxy_error(fault, tuple(attempts))

    def timeout(self, routing: Routing) -> float:
        """Seconds that a request has, up to a stream's first content."""
        return (routing.timeout_ms or self._config.request_timeout_ms) / 1000

    async def _send(
        self,
        adapter: Adapter,
        target: Target,
        outgoing: Outgoing,
        permit: Permit,
        first_byte: float,
        idle: float | None = None,
    ) -> Reply:
        """Sends, and raises the Fault that an answer of another status than 2xx means. idle:
        seconds of silence that are borne later, if not `first_byte`."""
        async with asyncio.timeout(first_byte):
            reply = await self._upstream.send(outgoing, idle=idle or first_byte)
        permit.observe(target.spec.name, reply.status, reply.headers)
        if 200 <= reply.status < 300:
            return reply
        try:
            body = await _read(reply)
        except Fault:
            body = b""  # the status alone tells enough
        raise adapter.fault(target, reply.status, reply.headers, body)


def _unfinished() -> Fault:
    return Fault("network", "The stream ended without its finish reason.")


class _Fitting:
    """A chat request as each provider can take it: images by value for those who fetch none.
    They are fetched once, whoever wants them."""

    def __init__(self, chat: ChatRequest, upstream: Upstream) -> None:
        self._chat = chat
        self._upstream = upstream
        self._inlined: ChatRequest | None = None

    async def chat_for(self, target: Target) -> ChatRequest:
        """Raises InvalidRequest for an image that can't be had; no other provider shall try."""
        if target.spec.fetches_images or not self._chat.wants_vision:
            return self._chat
        if self._inlined is None:
            self._inlined = await with_inline_images(self._chat, self._upstream)
        return self._inlined


def _outgoing(build: Callable[[Target, A], Outgoing], target: Target, asked: A) -> Outgoing:
    """The call. What this provider's dialect can't carry is a Fault: another's may."""
    try:
        return build(target, asked)
    except InvalidRequest as error:
        raise Fault(
            "bad_request", error.message, param=error.param, lacks=True, source="proxy"
        ) from error


async def _read(reply: Reply, max_values: int = MAX_VALUES) -> bytes:
    """The whole body. Raises Fault, also for JSON that would take the isolate down."""
    body = await reply.read()
    if why := excess(body, max_values):
        raise Fault("garbage", f"The answer cannot be read: {why}.")
    return body
