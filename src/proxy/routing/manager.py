"""Takes a request to a provider and, when that one fails, to the next.

One deadline covers all attempts. A stream may fall over until its first real content is
there, never after. What each attempt met is kept, and told whatever the end.
"""

import asyncio
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from typing import TypeVar

from msgspec import Struct, structs

from proxy.core.body_memory import Hold
from proxy.core.chat import (
    Answer,
    Attempt,
    Call,
    ChatRequest,
    Cost,
    EmbeddingRequest,
    Embeddings,
    Routing,
    Usage,
)
from proxy.core.errors import OK, Fault, FaultDetails, InvalidRequest
from proxy.core.permit import Permit, Reservation
from proxy.core.ports import VECTORS_BYTES, Outgoing, Ports, Reply
from proxy.core.receive import read_body, read_head
from proxy.core.settings import RoutingSettings
from proxy.providers.adapter import Adapter
from proxy.providers.garbage import garbage
from proxy.providers.registry import ADAPTERS
from proxy.providers.target import Target
from proxy.providers.vectors import VECTOR_VALUES
from proxy.routing.allowance import Allowance
from proxy.routing.attempts import Run, Terms
from proxy.routing.images import Fitting
from proxy.routing.needs import Needs
from proxy.routing.plan import Plan, roomy
from proxy.routing.refused_fields import RefusedFields, named_in, without
from proxy.routing.retry import Retrying
from proxy.routing.selection import Selection
from proxy.routing.strategy import Candidate, Order, order
from proxy.routing.stream import Stream
from proxy.routing.watch import Call as Watched
from proxy.routing.watch import Watch

T = TypeVar("T")
A = TypeVar("A")


class Done(Struct, frozen=True):
    """A whole result with the way to it."""

    target: Target
    attempts: tuple[Attempt, ...]
    dropped: tuple[str, ...]
    call: Watched
    """Has to be ended when the answer has."""
    reservation: Reservation
    """Has to be settled by what the answer used."""
    explain: Callable[[], list[Order]] = list
    """How the candidates were ordered, group by group, for who asks."""

    def cost(self, usage: Usage, *, estimated: bool) -> Cost:
        """What the answer cost, by the model that gave it. estimated: whether the provider has
        not reported what it used."""
        cost = self.target.model.prices.cost(usage)
        return Cost(cost.nano_usd, "estimated") if estimated and cost.origin else cost


class Manager:
    """Runs requests against their candidates, in order."""

    def __init__(
        self, settings: RoutingSettings, selection: Selection, watch: Watch, ports: Ports
    ) -> None:
        self._settings = settings
        self._selection = selection
        self._watch = watch
        self._upstream = ports.upstream
        self._parse_url = ports.parse_url
        self._clock = ports.clock
        self._random = ports.random
        self._providers = len(selection.configured)
        self._refused = RefusedFields()
        self.retrying = Retrying(settings.retry_attempts, settings.retry_delay_ms)
        """What the deployment wants; a request may want another."""

    async def complete(
        self,
        call: Call,
        permit: Permit,
        began: float | None = None,
        retrying: Retrying | None = None,
        hold: Hold | None = None,
    ) -> tuple[Answer, Done]:
        """A whole answer. began: when its time began to count, if not now; retrying: if not as
        the deployment wants it; hold: counts the memory of images and of the answer. Raises
        ProxyError."""

        async def attempt(target: Target, outgoing: Outgoing, first_byte: Allowance) -> Answer:
            adapter = ADAPTERS[target.spec.dialect]
            # Unstreamed, a provider may think for long between its headers and its answer.
            reply = await self._send(adapter, target, outgoing, permit, first_byte)
            with _observed(target, permit):
                return adapter.read_answer(target, await read_body(reply))

        asked = _Asked.of(call, began, retrying)
        answer, done = await self._run_chat(call, asked, permit, attempt, hold)
        done.call.end(OK, answer.usage)
        return answer, done

    async def stream(
        self,
        call: Call,
        permit: Permit,
        began: float | None = None,
        retrying: Retrying | None = None,
        hold: Hold | None = None,
    ) -> tuple[Stream, Done]:
        """An answer that has begun; the rest as in `complete`. Who takes it has to end
        `Done.call`. Raises ProxyError."""

        async def attempt(target: Target, outgoing: Outgoing, first_byte: Allowance) -> Stream:
            adapter = ADAPTERS[target.spec.dialect]
            first_byte = first_byte.at_most(self._settings.first_byte_timeout_ms / 1000)
            idle = self._settings.idle_timeout_ms / 1000
            reply = await self._send(adapter, target, outgoing, permit, first_byte, idle)
            stream = Stream(reply, adapter.make_decoder(target))
            with _observed(target, permit):
                await stream.begin()
            return stream

        asked = _Asked.of(call, began, retrying)
        return await self._run_chat(call, asked, permit, attempt, hold, Stream.abort)

    async def _run_chat(
        self,
        call: Call,
        asked: "_Asked",
        permit: Permit,
        attempt: Callable[[Target, Outgoing, Allowance], Awaitable[T]],
        hold: Hold | None,
        discard: Callable[[T], None] = lambda _: None,
    ) -> tuple[T, Done]:
        """Runs a chat request, whose images are fetched for candidates that fetch none."""
        fitting = Fitting(call.chat, self._upstream, self._parse_url, hold)

        async def prepare(target: Target, seconds: float) -> Outgoing:
            await fitting.prepare(target, seconds)
            chat = _limited(fitting.chat_for(target), permit, target)
            build = ADAPTERS[target.spec.dialect].build_request
            return structs.replace(_outgoing(build, target, chat, call.passed_on), hold=hold)

        try:
            return await self._run(asked, permit, prepare, attempt, discard)
        finally:
            fitting.close()

    async def embed(
        self,
        ask: EmbeddingRequest,
        permit: Permit,
        began: float | None = None,
        retrying: Retrying | None = None,
        hold: Hold | None = None,
    ) -> tuple[Embeddings, Done]:
        """Vectors for texts; the rest as in `complete`. Raises ProxyError."""

        def built(target: Target, part: EmbeddingRequest) -> Outgoing:
            build = ADAPTERS[target.spec.dialect].build_embedding_request
            outgoing = _outgoing(build, target, part, ask.passed_on)
            return structs.replace(outgoing, largest=VECTORS_BYTES, hold=hold)

        async def prepare(target: Target, _: float) -> Outgoing:
            return built(target, next(_parts(ask, target.spec.embedding_inputs)))

        async def attempt(target: Target, outgoing: Outgoing, first_byte: Allowance) -> Embeddings:
            adapter = ADAPTERS[target.spec.dialect]
            found: list[Embeddings] = []
            for part in _parts(ask, target.spec.embedding_inputs):
                if sum(len(vector) for each in found for vector in each.vectors) > VECTOR_VALUES:
                    raise garbage(target, "It holds too many numbers", b"", blame="proxy")
                request = built(target, part) if found else outgoing
                reply = await self._send(adapter, target, request, permit, first_byte)
                with _observed(target, permit):
                    found.append(adapter.read_embeddings(target, part, await read_body(reply)))
            return _joined(found)

        needs = Needs(embedding=True, vendors=ask.vendors)
        asked = _Asked(ask.routing, needs, ask.user, ask.caller_key, began, retrying)
        vectors, done = await self._run(asked, permit, prepare, attempt)
        done.call.end(OK)
        return vectors, done

    async def _run(
        self,
        asked: "_Asked",
        permit: Permit,
        prepare: Callable[[Target, float], Awaitable[Outgoing]],
        attempt: Callable[[Target, Outgoing, Allowance], Awaitable[T]],
        discard: Callable[[T], None] = lambda _: None,
    ) -> tuple[T, Done]:
        """Tries the candidates until one answers."""
        plan = self._selection.plan(asked.routing, asked.needs, permit.grant)
        await self._watch.start(permit.defer)
        targets, explain = self._ordered(plan, asked, permit)
        targets = tuple(
            structs.replace(target, secrets=(*target.secrets, asked.caller_key))
            for target in targets
        )
        began = self._clock.now() if asked.began is None else asked.began
        own = self._settings.timeout_ms / 1000
        terms = Terms(
            deadline=began + self.timeout(asked.routing),
            own_deadline=began + own,
            least=own / min(len(targets), self._providers) / 2,
            providers=self._providers,
            retrying=asked.retrying or self.retrying,
            hedge_after=self._settings.hedge_after_ms / 1000,
            streamed=asked.needs.streaming,
        )
        run = Run(
            targets,
            terms,
            permit,
            self._watch,
            self._clock,
            self._random,
            prepare,
            attempt,
            discard,
        )
        won = await run.won()
        attempts = tuple(run.attempts)
        done = Done(won.target, attempts, won.dropped, won.call, won.reservation, explain)
        return won.result, done

    def _ordered(
        self, plan: Plan, asked: "_Asked", permit: Permit
    ) -> tuple[tuple[Target, ...], Callable[[], list[Order]]]:
        """The candidates by the strategy, without those whose context is too short. Raises
        InvalidRequest where every context is."""
        routing, orders = asked.routing, list[Order]()
        default = "priority" if routing.order else self._settings.strategy
        ordered = partial(self._order, routing.strategy or default, asked, permit)

        def best_first(targets: tuple[Target, ...]) -> tuple[Target, ...]:
            orders.append(ordered(targets))
            return orders[-1].targets

        def explain() -> list[Order]:
            return orders or [ordered(group.targets) for group in plan.groups]

        # The configured order needs no scores, unless somebody asks for them.
        by_priority = (routing.strategy or default) == "priority"
        targets = plan.in_order(None if by_priority else best_first)
        if not asked.needs.embedding:  # of texts to embed each has the context for itself
            targets = roomy(targets, permit.expected(0).input, plan.excluded)
        return targets, explain

    def _order(
        self, strategy: str, asked: "_Asked", permit: Permit, targets: tuple[Target, ...]
    ) -> Order:
        settings = self._settings
        return order(
            [self._candidate(target, permit) for target in targets],
            strategy,
            weights=settings.balance,
            shares=settings.weights,
            sticky=asked.user or permit.user if settings.sticky else None,
            random=self._random.fraction,
        )

    def _candidate(self, target: Target, permit: Permit) -> Candidate:
        cost = target.model.prices.cost(permit.expected(target.model.max_output))
        return Candidate(target, self._watch.measure(target), cost.nano_usd)

    def timeout(self, routing: Routing) -> float:
        """Seconds that a request has, up to a stream's first content."""
        return (routing.timeout_ms or self._settings.timeout_ms) / 1000

    async def _send(
        self,
        adapter: Adapter,
        target: Target,
        outgoing: Outgoing,
        permit: Permit,
        first_byte: Allowance,
        idle: float | None = None,
    ) -> Reply:
        """Sends, once more without fields of the proxy's own that are refused. Raises the Fault
        that an answer of another status than 2xx means. idle: seconds of silence that are borne
        later, if not as long as the deployment would wait for the first byte."""
        idle = idle or max(first_byte.seconds, first_byte.own)
        provider, model, refused = target.spec.name, target.model.id, frozenset[str]()
        outgoing = self._refused.left_out(provider, outgoing)
        while True:
            try:
                async with asyncio.timeout(first_byte.seconds):
                    reply = await self._upstream.send(outgoing, idle=idle)
            except TimeoutError:
                raise first_byte.run_out() from None
            if 200 <= reply.status < 300:
                permit.observe(provider, model, reply.headers)
                if refused:
                    self._refused.remember(provider, refused)
                return reply
            body = await read_head(reply)
            fault = adapter.read_fault(target, reply.status, reply.headers, body, self._clock.now())
            permit.observe(provider, model, reply.headers, fault)
            if refused or fault.kind != "bad_request":
                raise fault
            refused = named_in(body, outgoing)
            if not refused:
                raise fault
            outgoing = without(outgoing, refused)


@contextmanager
def _observed(target: Target, permit: Permit) -> Iterator[None]:
    """Has the limits take note of a refusal that comes in an answer of status 200."""
    try:
        yield
    except Fault as fault:
        permit.observe(target.spec.name, target.model.id, {}, fault)
        raise


class _Asked(Struct, frozen=True):
    """What the choice of a candidate goes by."""

    routing: Routing
    needs: Needs
    user: str | None
    caller_key: str
    began: float | None = None
    retrying: Retrying | None = None

    @classmethod
    def of(cls, call: Call, began: float | None, retrying: Retrying | None) -> "_Asked":
        """What a chat request's choice goes by."""
        needs = Needs.of(call.chat)
        return cls(call.routing, needs, call.user, call.caller_key, began, retrying)


def _limited(chat: ChatRequest, permit: Permit, target: Target) -> ChatRequest:
    """The request with the limit of the answer by which a budget reserves."""
    limit = permit.output_limit(target.offer)
    return chat if limit is None else structs.replace(chat, max_tokens=limit)


def _parts(ask: EmbeddingRequest, most: int | None) -> Iterator[EmbeddingRequest]:
    """A request for embeddings in parts of at most so many inputs."""
    size = most or len(ask.input)
    for start in range(0, len(ask.input), size):
        yield structs.replace(ask, input=ask.input[start : start + size])


def _joined(parts: Sequence[Embeddings]) -> Embeddings:
    """The vectors of all parts in their order, and what they used together."""
    usages = [part.usage for part in parts if part.usage]
    counted = Usage(input=sum(usage.input for usage in usages))
    return structs.replace(
        parts[0],
        vectors=tuple(vector for part in parts for vector in part.vectors),
        usage=(usages[0] if len(parts) == 1 else counted) if len(usages) == len(parts) else None,
    )


def _outgoing(
    build: Callable[[Target, A], Outgoing], target: Target, asked: A, passed_on: dict[str, str]
) -> Outgoing:
    """The call. What this provider's dialect can't carry is a Fault: another's may."""
    try:
        outgoing = build(target, asked)
        return structs.replace(outgoing, headers=passed_on | outgoing.headers)
    except InvalidRequest as error:
        raise Fault(
            "bad_request",
            error.message,
            source="proxy",
            details=FaultDetails(param=error.param, lacks=True),
        ) from error
