"""What a provider does for a request: it answers a chat, whole or streamed, or embeds texts."""

import asyncio
from collections.abc import Awaitable, Callable, Iterator, Sequence
from typing import Generic, Protocol, TypeVar

from msgspec import Struct, structs

from proxy.core.body_memory import Hold
from proxy.core.chat import Answer, Call, ChatRequest, Usage
from proxy.core.embedding import EmbeddingRequest, Embeddings
from proxy.core.errors import Fault, FaultDetails, InvalidRequest, drop_frames
from proxy.core.permit import Permit
from proxy.core.ports import VECTORS_BYTES, Outgoing, Reply
from proxy.providers.garbage import garbage
from proxy.providers.registry import ADAPTERS
from proxy.providers.session import name_session
from proxy.providers.target import Target
from proxy.providers.vectors import VECTOR_VALUES
from proxy.routing.affinity import Conversation, list_owners
from proxy.routing.deadline import Allowance
from proxy.routing.images import fetch_images, has_remote_images, inline_images
from proxy.routing.needs import Needs
from proxy.routing.retry import RetryPolicy
from proxy.routing.sender import Sender
from proxy.routing.stream import Stream

T = TypeVar("T")
T_co = TypeVar("T_co", covariant=True)
R = TypeVar("R")

THINKING = "thinking"
"""What is dropped of a turn that carries the sealed state of another provider."""


class RunOptions(Struct, frozen=True):
    """What a request may set of its fallback run."""

    began: float | None = None
    """When its time began to count, if not now."""
    retry_policy: RetryPolicy | None = None
    """If not the deployment's."""
    hold: Hold | None = None
    """Counts the memory of images and of the answer."""
    needs: Needs | None = None
    """Those of the chat, where they are known."""
    passed_on: dict[str, str] = {}
    """Headers for the provider: the trace that the request belongs to."""
    native_headers: dict[str, str] = {}
    """Headers for a provider of the caller's own dialect, in the place of the catalogue's."""
    caller_keys: tuple[str, ...] = ()
    """The caller's own keys, which no error may show."""
    session: str = ""
    """The conversation that the request belongs to, as the request names it."""

    def hide_keys(self, target: Target) -> Target:
        """The target, of which no error shows the caller's keys either."""
        if not self.caller_keys:
            return target
        return structs.replace(target, secrets=(*target.secrets, *self.caller_keys))


class Operation(Protocol[T_co]):
    """Makes the call of a candidate and reads its answer."""

    needs: Needs

    def converse(self) -> Conversation | None:
        """What its request is a turn of; None: of nothing."""

    def aim(self, target: Target) -> Target:
        """A candidate, spoken to in the dialect that the request is best put in."""

    async def prepare(self, target: Target, allow: Callable[[], Allowance]) -> Outgoing:
        """A candidate's call, made within what `allow` gives. Raises Fault where this candidate
        can't be called so, ProxyError where none can, for a reason that is no provider's."""

    async def attempt(self, target: Target, outgoing: Outgoing, first_byte: Allowance) -> T_co:
        """Sends the call and reads its answer. Raises Fault."""

    def close(self) -> None:
        """Ends what no candidate waits for any more."""


async def read_answer(target: Target, reply: Reply) -> Answer:
    """Reads a chat's whole answer."""
    return ADAPTERS[target.wire].read_answer(target, await reply.read())


async def begin_stream(target: Target, reply: Reply) -> Stream:
    """Reads a chat's answer up to its first content."""
    plain = target.wire if target.endpoint.plain_streams else ""
    stream = Stream(reply, ADAPTERS[target.wire].make_decoder(target), plain)
    await stream.begin()
    return stream


class ChatOperation(Generic[T]):
    """A chat, with images by value for providers that fetch none."""

    def __init__(
        self,
        call: Call,
        permit: Permit,
        sender: Sender,
        options: RunOptions,
        read: Callable[[Target, Reply], Awaitable[T]],
    ) -> None:
        """read: reads the answer."""
        self.needs = options.needs or Needs.of(call.chat)
        self._call = call
        self._permit = permit
        self._sender = sender
        self._options = options
        self._read = read
        self._images: asyncio.Task[dict[str, str]] | None = None
        self._conversation: Conversation | None = None

    def converse(self) -> Conversation:
        """See Operation."""
        if self._conversation is None:
            call, user = self._call, self._call.user or self._permit.user
            self._conversation = Conversation(call.chat, self._options.session, user)
        return self._conversation

    def aim(self, target: Target) -> Target:
        """See Operation."""
        return target.speaking(target.choose_wire(self._call.chat))

    async def prepare(self, target: Target, allow: Callable[[], Allowance]) -> Outgoing:
        """The call, with the limit of the answer by which a budget reserves. Images are fetched
        once for all candidates."""
        chat = self._call.chat
        if chat.tools and not target.spec.custom_tools:
            chat = chat.with_functions_only()
        if not target.spec.fetches_images and has_remote_images(chat):
            chat = await self._inline_images(target, chat, allow().seconds)
        limit = self._permit.output_limit(target.offer)
        if limit is not None:
            chat = structs.replace(chat, max_tokens=limit)
        build = ADAPTERS[target.wire].build_request
        outgoing = _build(build, target, chat)
        if self._options.session:
            outgoing = name_session(outgoing, target, self._options.session)
        headers = self._options.passed_on | outgoing.headers
        if self._options.native_headers and target.wire == chat.dialect:
            headers |= self._options.native_headers
        dropped = outgoing.dropped
        if lost := self._list_dropped(target):
            dropped = tuple(dict.fromkeys((*dropped, *lost)))
        return structs.replace(outgoing, headers=headers, hold=self._options.hold, dropped=dropped)

    async def attempt(self, target: Target, outgoing: Outgoing, first_byte: Allowance) -> T:
        """See Operation."""
        streamed, permit = self.needs.streaming, self._permit
        target = self._options.hide_keys(target)
        reply = await self._sender.send(target, outgoing, permit, first_byte, streamed=streamed)
        try:
            return await self._read(target, reply)
        except Fault as fault:
            self._sender.keys.observe(target, permit, {}, fault)
            raise

    def close(self) -> None:
        """See Operation. A fetch of images ends, and neither they nor its error are kept."""
        images, self._images = self._images, None
        if images is None or images.cancel() or images.cancelled():
            return
        if isinstance(error := images.exception(), Exception):  # looked at, it is not logged
            drop_frames(error)

    def _list_dropped(self, target: Target) -> tuple[str, ...]:
        """What the call says beside its parameters and this provider is not sent: what another
        dialect can't take, and the thinking of other providers."""
        chat, wire, name = self._call.chat, target.wire, target.spec.name
        dropped = self._call.dropped if chat.dialect != wire else ()
        if chat.body is not None and chat.dialect == wire and wire != "chat":
            return dropped  # it goes on as it is
        owners = list_owners(chat.messages)
        if owners and owners != (name,):
            dropped += (THINKING,)
        return dropped

    async def _inline_images(
        self, target: Target, chat: ChatRequest, seconds: float
    ) -> ChatRequest:
        ports, hold = self._sender.ports, self._options.hold
        if self._images is None:
            fetching = fetch_images(chat, ports.upstream, ports.parse_url, seconds, hold)
            self._images = asyncio.ensure_future(fetching)
        images = await asyncio.shield(self._images)
        return inline_images(chat, images, raw=target.wire == "chat" and bool(chat.raw_messages))


class EmbeddingOperation:
    """Embeds texts, in parts at a provider that takes no more at once."""

    def __init__(
        self, request: EmbeddingRequest, permit: Permit, sender: Sender, options: RunOptions
    ) -> None:
        self.needs = Needs(embedding=True, vendors=request.vendors)
        self._request = request
        self._permit = permit
        self._sender = sender
        self._options = options

    def converse(self) -> None:
        """See Operation."""

    def aim(self, target: Target) -> Target:
        """See Operation."""
        return target

    async def prepare(self, target: Target, allow: Callable[[], Allowance]) -> Outgoing:
        """The call of the first part."""
        return self._build(target, next(_split(self._request, target.spec.embedding_inputs)))

    async def attempt(
        self, target: Target, outgoing: Outgoing, first_byte: Allowance
    ) -> Embeddings:
        """See Operation."""
        adapter, permit = ADAPTERS[target.wire], self._permit
        target = self._options.hide_keys(target)
        found: list[Embeddings] = []
        for part in _split(self._request, target.spec.embedding_inputs):
            if sum(len(vector) for each in found for vector in each.vectors) > VECTOR_VALUES:
                raise garbage(target, "It holds too many numbers", b"", blame="proxy")
            call = self._build(target, part) if found else outgoing
            reply = await self._sender.send(target, call, permit, first_byte)
            try:
                found.append(adapter.read_embeddings(target, part, await reply.read()))
            except Fault as fault:
                self._sender.keys.observe(target, permit, {}, fault)
                raise
        return _join(found)

    def close(self) -> None:
        """See Operation."""

    def _build(self, target: Target, part: EmbeddingRequest) -> Outgoing:
        build = ADAPTERS[target.wire].build_embedding_request
        outgoing = _build(build, target, part)
        headers, hold = self._options.passed_on | outgoing.headers, self._options.hold
        return structs.replace(outgoing, headers=headers, largest=VECTORS_BYTES, hold=hold)


def _build(build: Callable[[Target, R], Outgoing], target: Target, request: R) -> Outgoing:
    """The call. What this provider's dialect can't carry is a Fault: another's may."""
    try:
        return build(target, request)
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
