"""What a provider does for a request: it answers a chat, whole or streamed, or embeds texts."""

import asyncio
from collections.abc import Awaitable, Callable, Iterator, Sequence
from typing import Generic, Protocol, TypeVar

from msgspec import structs

from proxy.core.body_memory import Hold
from proxy.core.chat import Answer, Call, ChatRequest, EmbeddingRequest, Embeddings, Usage
from proxy.core.errors import Fault, FaultDetails, InvalidRequest, drop_frames
from proxy.core.permit import Permit
from proxy.core.ports import VECTORS_BYTES, Outgoing, Reply
from proxy.core.receive import read_body
from proxy.providers.garbage import garbage
from proxy.providers.registry import ADAPTERS
from proxy.providers.target import Target
from proxy.providers.vectors import VECTOR_VALUES
from proxy.routing.deadline import Allowance
from proxy.routing.images import fetch_images, has_remote_images, inline_images
from proxy.routing.needs import Needs
from proxy.routing.sender import Sender, observing
from proxy.routing.stream import Stream

T = TypeVar("T")
T_co = TypeVar("T_co", covariant=True)
R = TypeVar("R")


class Operation(Protocol[T_co]):
    """Makes the call of a candidate and reads its answer."""

    needs: Needs

    async def prepare(self, target: Target, seconds: float) -> Outgoing:
        """A candidate's call, made within `seconds`. Raises Fault where this candidate can't be
        called so, ProxyError where none can, for a reason that is no provider's."""

    async def attempt(self, target: Target, outgoing: Outgoing, first_byte: Allowance) -> T_co:
        """Sends the call and reads its answer. Raises Fault."""


async def read_answer(target: Target, reply: Reply) -> Answer:
    """Reads a chat's whole answer."""
    return ADAPTERS[target.spec.dialect].read_answer(target, await read_body(reply))


async def begin_stream(target: Target, reply: Reply) -> Stream:
    """Reads a chat's answer up to its first content."""
    dialect = target.spec.dialect
    plain = dialect if target.spec.plain_streams else ""
    stream = Stream(reply, ADAPTERS[dialect].make_decoder(target), plain)
    await stream.begin()
    return stream


class ChatOperation(Generic[T]):
    """A chat, with images by value for providers that fetch none."""

    def __init__(
        self,
        call: Call,
        permit: Permit,
        sender: Sender,
        hold: Hold | None,
        read: Callable[[Target, Reply], Awaitable[T]],
    ) -> None:
        """hold: counts the memory of images and of the answer. read: reads that."""
        self.needs = Needs.of(call.chat)
        self._call = call
        self._permit = permit
        self._sender = sender
        self._hold = hold
        self._read = read
        self._images: asyncio.Task[dict[str, str]] | None = None

    async def prepare(self, target: Target, seconds: float) -> Outgoing:
        """The call, with the limit of the answer by which a budget reserves. Images are fetched
        once for all candidates."""
        chat = await self._chat_for(target, seconds)
        limit = self._permit.output_limit(target.offer)
        if limit is not None:
            chat = structs.replace(chat, max_tokens=limit)
        build = ADAPTERS[target.spec.dialect].build_request
        outgoing = _build(build, target, chat, self._call.passed_on)
        return structs.replace(outgoing, hold=self._hold)

    async def attempt(self, target: Target, outgoing: Outgoing, first_byte: Allowance) -> T:
        """See Operation."""
        streamed = self.needs.streaming
        reply = await self._sender.send(
            target, outgoing, self._permit, first_byte, streamed=streamed
        )
        with observing(target, self._permit):
            return await self._read(target, reply)

    def close(self) -> None:
        """Ends a fetch that no candidate waits for, and keeps neither images nor error."""
        images, self._images = self._images, None
        if images is None or images.cancel() or images.cancelled():
            return
        if isinstance(error := images.exception(), Exception):  # looked at, it is not logged
            drop_frames(error)

    async def _chat_for(self, target: Target, seconds: float) -> ChatRequest:
        chat, ports = self._call.chat, self._sender.ports
        if target.spec.fetches_images or not has_remote_images(chat):
            return chat
        if self._images is None:
            fetching = fetch_images(chat, ports.upstream, ports.parse_url, seconds, self._hold)
            self._images = asyncio.ensure_future(fetching)
        images = await asyncio.shield(self._images)
        return inline_images(chat, images, raw=target.spec.dialect == "openai")


class EmbeddingOperation:
    """Embeds texts, in parts at a provider that takes no more at once."""

    def __init__(
        self, request: EmbeddingRequest, permit: Permit, sender: Sender, hold: Hold | None
    ) -> None:
        self.needs = Needs(embedding=True, vendors=request.vendors)
        self._request = request
        self._permit = permit
        self._sender = sender
        self._hold = hold

    async def prepare(self, target: Target, seconds: float) -> Outgoing:
        """The call of the first part."""
        return self._build(target, next(_split(self._request, target.spec.embedding_inputs)))

    async def attempt(
        self, target: Target, outgoing: Outgoing, first_byte: Allowance
    ) -> Embeddings:
        """See Operation."""
        adapter = ADAPTERS[target.spec.dialect]
        found: list[Embeddings] = []
        for part in _split(self._request, target.spec.embedding_inputs):
            if sum(len(vector) for each in found for vector in each.vectors) > VECTOR_VALUES:
                raise garbage(target, "It holds too many numbers", b"", blame="proxy")
            call = self._build(target, part) if found else outgoing
            reply = await self._sender.send(target, call, self._permit, first_byte)
            with observing(target, self._permit):
                found.append(adapter.read_embeddings(target, part, await read_body(reply)))
        return _join(found)

    def _build(self, target: Target, part: EmbeddingRequest) -> Outgoing:
        build = ADAPTERS[target.spec.dialect].build_embedding_request
        outgoing = _build(build, target, part, self._request.passed_on)
        return structs.replace(outgoing, largest=VECTORS_BYTES, hold=self._hold)


def _build(
    build: Callable[[Target, R], Outgoing], target: Target, request: R, passed_on: dict[str, str]
) -> Outgoing:
    """The call. What this provider's dialect can't carry is a Fault: another's may."""
    try:
        outgoing = build(target, request)
        return structs.replace(outgoing, headers=passed_on | outgoing.headers)
    except InvalidRequest as error:
        raise Fault(
            "bad_request",
            error.message,
            source="proxy",
            details=FaultDetails(param=error.param, lacks=True),
        ) from error


def _split(request: EmbeddingRequest, most: int | None) -> Iterator[EmbeddingRequest]:
    """The request in parts of at most so many inputs."""
    size = most or len(request.input)
    for start in range(0, len(request.input), size):
        yield structs.replace(request, input=request.input[start : start + size])


def _join(parts: Sequence[Embeddings]) -> Embeddings:
    """The vectors of all parts in their order, and what they used together."""
    usages = [part.usage for part in parts if part.usage]
    total = Usage(input=sum(usage.input for usage in usages))
    return structs.replace(
        parts[0],
        vectors=tuple(vector for part in parts for vector in part.vectors),
        usage=(usages[0] if len(parts) == 1 else total) if len(usages) == len(parts) else None,
    )
