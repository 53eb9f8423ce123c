"""What a provider does for a request, each an Operation: a whole answer, a stream, embeddings."""

from collections.abc import Iterator, Sequence
from typing import Protocol, TypeVar

from msgspec import structs

from proxy.core.body_memory import Hold
from proxy.core.chat import Answer, EmbeddingRequest, Embeddings, Usage
from proxy.core.permit import Permit
from proxy.core.ports import VECTORS_BYTES, Outgoing
from proxy.core.receive import read_body
from proxy.core.settings import RoutingSettings
from proxy.providers.garbage import garbage
from proxy.providers.registry import ADAPTERS
from proxy.providers.target import Target
from proxy.providers.vectors import VECTOR_VALUES
from proxy.routing.calls import ChatCalls, build_call
from proxy.routing.deadline import Allowance
from proxy.routing.needs import Needs
from proxy.routing.sender import Sender, observing
from proxy.routing.stream import Stream

T = TypeVar("T", covariant=True)


class Operation(Protocol[T]):
    """Makes the call of a candidate and reads its answer."""

    needs: Needs

    async def prepare(self, target: Target, seconds: float) -> Outgoing:
        """A candidate's call, made within `seconds`. Raises Fault where this candidate can't be
        called so, ProxyError where none can, for a reason that is no provider's."""

    async def attempt(self, target: Target, outgoing: Outgoing, first_byte: Allowance) -> T:
        """Sends the call and reads its answer. Raises Fault."""


class Completion:
    """A whole answer to a chat request."""

    def __init__(self, calls: ChatCalls, sender: Sender) -> None:
        self.needs = calls.needs
        self.prepare = calls.prepare
        self._permit = calls.permit
        self._sender = sender

    async def attempt(self, target: Target, outgoing: Outgoing, first_byte: Allowance) -> Answer:
        """See Operation."""
        # Unstreamed, a provider may think for long between its headers and its answer.
        reply = await self._sender.send(target, outgoing, self._permit, first_byte)
        with observing(target, self._permit):
            return ADAPTERS[target.spec.dialect].read_answer(target, await read_body(reply))


class Streaming:
    """An answer that has begun, and the rest as it comes."""

    def __init__(self, calls: ChatCalls, sender: Sender, settings: RoutingSettings) -> None:
        self.needs = calls.needs
        self.prepare = calls.prepare
        self._permit = calls.permit
        self._sender = sender
        self._settings = settings

    async def attempt(self, target: Target, outgoing: Outgoing, first_byte: Allowance) -> Stream:
        """See Operation."""
        first_byte = first_byte.at_most(self._settings.first_byte_timeout_ms / 1000)
        idle = self._settings.idle_timeout_ms / 1000
        reply = await self._sender.send(target, outgoing, self._permit, first_byte, idle)
        stream = Stream(reply, ADAPTERS[target.spec.dialect].make_decoder(target))
        with observing(target, self._permit):
            await stream.begin()
        return stream


class Embedding:
    """Vectors for texts, which go in parts to a provider that takes no more at once."""

    def __init__(
        self, request: EmbeddingRequest, sender: Sender, permit: Permit, hold: Hold | None
    ) -> None:
        self.needs = Needs(embedding=True, vendors=request.vendors)
        self._request = request
        self._sender = sender
        self._permit = permit
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
        outgoing = build_call(build, target, part, self._request.passed_on)
        return structs.replace(outgoing, largest=VECTORS_BYTES, hold=self._hold)


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
