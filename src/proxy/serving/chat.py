"""Answers chat requests: from the cache, from another's flight, or from a provider.

The order is SPEC.md's: look into the cache, ask the providers, keep what came, and when every
provider fails give a stale answer rather than none.
"""

from contextlib import suppress
from functools import partial

from msgspec import Struct, structs

from proxy.cache.answers import AnswerCache, Tier
from proxy.cache.directives import Directives, directives
from proxy.cache.entry import CacheEntry, ForeignEntry, Unstorable, replay
from proxy.cache.flight import (
    NOTHING,
    Boarder,
    Leader,
    Terms,
    Uncovered,
    crashed,
    is_own,
    landed,
    outcome_entry,
)
from proxy.cache.key import cache_key, named_key
from proxy.cache.lru import MemoryCache
from proxy.cache.purge import PurgeView
from proxy.cache.tiers import Lower, LowerTiers
from proxy.core.body_memory import STEP, Hold
from proxy.core.chat import Answer, Call, ChatRequest, Chunk, Cost, Served, Usage
from proxy.core.collect import Collector
from proxy.core.config import Config
from proxy.core.errors import (
    CALLER_GONE,
    GIVEN_UP,
    OK,
    ClientGone,
    Fault,
    InternalError,
    NoProviderAvailable,
    Outcome,
    ProviderError,
    ProviderTimeout,
    ProxyError,
    RateLimitExceeded,
)
from proxy.core.ports import BlobStore, Ports, Write
from proxy.core.web import Response
from proxy.limits.estimate import Estimate
from proxy.limits.limiter import Limiter, Meter
from proxy.routing.allowance import out_of_time
from proxy.routing.failure import as_proxy_error
from proxy.routing.manager import Done, Manager
from proxy.routing.needs import Needs
from proxy.routing.retry import Retrying, retrying
from proxy.routing.selection import Question, Selection
from proxy.routing.stream import Stream
from proxy.serving.asking import (
    admitted,
    characters,
    estimated_usage,
    log_prompt,
    note_call,
    served_by,
    terms_of,
    timed,
)
from proxy.serving.context import EVENTS, JSON, Exchange, bounded

OUTAGE = (ProviderError, ProviderTimeout, RateLimitExceeded, NoProviderAvailable)
"""The errors in whose place a stale answer is given."""
KEPT = ("stop", "length", "tool_calls")
"""The finish reasons of answers that are kept; what a filter cut off is no answer."""


def build_cache(config: Config, ports: Ports) -> AnswerCache:
    """The cache of an isolate, with the tiers that the deployment has."""
    stores: dict[Lower, BlobStore] = {}
    if ports.kv:
        stores["kv"] = ports.kv
    if ports.r2:
        stores["r2"] = ports.r2
    memory = MemoryCache(ports.clock, config.cache_memory_entries, config.cache_memory_bytes)
    lower = LowerTiers(stores, config.cache_timeout_ms / 1000, ports.clock, ports.log)
    return AnswerCache(memory, lower, PurgeView(ports.purges, ports.clock), ports.clock, ports.log)


class Asked(Struct, frozen=True):
    """A request with what the cache needs to know of it."""

    exchange: Exchange
    call: Call
    wanted: Directives
    question: Question
    meter: Meter
    estimate: Estimate
    retrying: Retrying
    scope: str
    found_stale: bool = False
    """Whether the cache has an answer that is too old."""
    known_key: str | None = None
    """The key of the answer, where what was asked is not there any more."""

    def without_body(self, key: str) -> "Asked":
        """The same without the caller's texts and bytes."""
        chat = self.call.chat
        chat = ChatRequest(messages=(), stream=chat.stream, max_tokens=chat.max_tokens)
        return structs.replace(self, call=structs.replace(self.call, chat=chat), known_key=key)

    def key(self, done: Done | None = None) -> str:
        """The key of the answer; `done`: who gave it, where that is known."""
        wanted, question = self.wanted, self.question
        if self.known_key is not None:
            return self.known_key
        if wanted.key:
            return named_key(wanted.key, self.scope, wanted.namespace)
        if done and question.by_name:
            question = Question.about(done.target)
        return cache_key(
            self.call.chat,
            question=question.words(),
            defaults=question.defaults,
            scope=self.scope,
            namespace=wanted.namespace,
        )


class Chat:
    """Answers chat requests of every dialect."""

    def __init__(
        self,
        config: Config,
        selection: Selection,
        manager: Manager,
        cache: AnswerCache,
        limiter: Limiter,
        ports: Ports,
    ) -> None:
        self._limiter = limiter
        self._config = config
        self._selection = selection
        self._manager = manager
        self._cache = cache
        self._flights = ports.flights
        self._boarder = Boarder(ports.flights, ports.clock, ports.log)

    async def answer(self, exchange: Exchange, call: Call) -> Response:
        """The response to a chat request. Raises ProxyError."""
        note_call(exchange, call)
        call = structs.replace(
            call,
            routing=timed(call.routing, exchange.request.headers),
            passed_on=exchange.passed_on,
            caller_key=exchange.caller_key,
        )
        exchange.lap("parse")
        meter = await admitted(exchange, self._limiter)
        exchange.lap("limit")
        if self._config.log_prompts:
            log_prompt(exchange, call)
        meter.estimate = estimate = Estimate(call.chat)
        principal = meter.principal
        question = self._selection.question(call.routing, Needs.of(call.chat), meter.grant)
        shared = (principal.cache_scope or self._config.cache_scope) == "shared"
        asked = Asked(
            exchange=exchange,
            call=call,
            wanted=directives(call.cache, exchange.request.headers, self._config.cache_ttl),
            question=question,
            scope="" if shared else principal.user,
            meter=meter,
            estimate=estimate,
            retrying=retrying(exchange.request.headers, self._manager.retrying),
        )
        key = asked.key() if asked.wanted.read or asked.wanted.store else ""
        exchange.facts["cache_key"] = key[:16]
        hit = None
        if asked.wanted.read:
            hit = await self._cache.find(key, asked.wanted, exchange.request.defer)
        exchange.lap("cache")
        if hit and hit.fresh:
            return self._replayed(asked, key, hit.entry, hit.tier)
        asked = structs.replace(asked, found_stale=hit is not None)
        if asked.wanted.only_if_cached:
            raise ProviderTimeout(
                "The answer is not in the cache (only-if-cached).", source="proxy"
            )
        try:
            return await self._flown(asked, key)
        except OUTAGE as error:
            if hit is None:
                raise
            exchange.attempted(error.attempts)
            return self._replayed(asked, key, hit.entry, hit.tier, stale=True)

    # --- one flight -----------------------------------------------------------------------

    async def _flown(self, asked: Asked, key: str) -> Response:
        """The answer of a provider, asked by us or by another request for the same."""
        wanted = asked.wanted
        if not (self._config.cache_coalesce and wanted.read and wanted.store):
            return await self._asked_of_provider(asked, None)
        routing = asked.call.routing
        plan = self._selection.plan(routing, Needs.of(asked.call.chat), asked.meter.grant)
        terms = terms_of(plan, routing, asked.retrying, self._manager.timeout(routing))
        try:
            return await self._joined(asked, key, key, terms)
        except Uncovered:  # by a leader with less time, say: those who have as much fly together
            return await self._joined(asked, key, terms.flight(key), terms)

    async def _joined(self, asked: Asked, key: str, flight: str, terms: Terms) -> Response:
        """The answer by a flight of that name. Raises Uncovered."""
        exchange = asked.exchange
        boarding = await self._boarder.board(flight, lambda: terms.timeout - exchange.ms / 1000)
        if boarding.part == "outcome":
            exchange.follows = True
            try:
                if response := self._landed(asked, key, boarding.outcome, terms):
                    return response
            except Uncovered:
                exchange.follows = False
                raise
            exchange.follows = False
        if boarding.part != "lead":
            return await self._asked_of_provider(asked, None)
        return await self._led(asked, Leader(self._flights, flight, boarding.ticket), terms)

    async def _led(self, asked: Asked, leader: Leader, terms: Terms) -> Response:
        """A provider's answer, whose end is reported to those who wait for it."""
        try:
            return await self._asked_of_provider(asked, leader)
        except ProxyError as error:
            own = is_own(error, terms.timeout - asked.exchange.ms / 1000, terms)
            self._hand_over(asked, leader, None if own else crashed(error, terms))
            raise
        except BaseException:
            self._hand_over(asked, leader, None)
            raise

    def _landed(self, asked: Asked, key: str, outcome: bytes, terms: Terms) -> Response | None:
        """The leader's answer, None where it can't be used. Raises the leader's error, or
        Uncovered."""
        if outcome == NOTHING:
            return None
        try:
            entry, data = outcome_entry(outcome, terms)
        except ForeignEntry as error:
            asked.exchange.ports.log("warning", "flight unreadable", key=key, why=str(error))
            return None
        if not self._cache.admits(key, entry, asked.wanted):
            return None
        question = asked.question
        if not question.by_name or f"{entry.provider}/{entry.model}" == question.names[0]:
            self._cache.remember(key, entry, data)
        return self._replayed(asked, key, entry, None)

    def _hand_over(self, asked: Asked, leader: Leader | None, outcome: bytes | None) -> None:
        """Has the leader's outcome reported, after the answer; None: it has none."""
        if leader:
            asked.exchange.request.defer(self._land(asked, leader, outcome))

    async def _land(self, asked: Asked, leader: Leader, outcome: bytes | None) -> None:
        try:
            await leader.land(outcome)
        except Exception as error:
            asked.exchange.ports.log("error", "flight unreachable", error=repr(error)[:500])

    # --- from a provider ------------------------------------------------------------------

    async def _asked_of_provider(self, asked: Asked, leader: Leader | None) -> Response:
        try:
            return await self._asked(asked, leader)
        except BaseException:
            asked.meter.close()
            raise

    async def _asked(self, asked: Asked, leader: Leader | None) -> Response:
        exchange, call = asked.exchange, asked.call
        if call.chat.stream:
            stream, done = await self._manager.stream(
                call, asked.meter, exchange.began, asked.retrying, exchange.hold
            )
            exchange.facts["first_ms"] = exchange.ms
            served = self._served(asked, done, Cost(None))
            # Nobody else is asked any more: what was asked is not kept while the answer comes.
            begun = asked.without_body(asked.key(done) if asked.wanted.store else "")
            asked.estimate.drop_texts()
            exchange.release()
            return Response(
                headers=EVENTS | exchange.tell(served) | self._status(asked),
                stream=partial(self._relay, begun, stream, done, leader),
            )
        answer, done = await self._manager.complete(
            call, asked.meter, exchange.began, asked.retrying, exchange.hold
        )
        served = self._settled(asked, done, answer.usage, characters(answer))
        self._keep(asked, answer, served.cost, done, leader)
        return Response(
            headers=JSON | exchange.tell(served) | self._status(asked),
            body=exchange.dialect.answer(answer, served),
        )

    async def _relay(
        self, asked: Asked, stream: Stream, done: Done, leader: Leader | None, write: Write
    ) -> None:
        """Passes a stream on as it comes, and tells its end: done, or the error that broke it."""
        exchange, call = asked.exchange, asked.call
        writer = exchange.dialect.writer(call, self._served(asked, done, Cost(None)))
        collector = Collector()
        outcome, ended = GIVEN_UP, "client_gone"
        gone = False
        size = 0

        async def send(data: bytes) -> None:
            nonlocal gone, size
            try:
                if not gone:
                    await write(data)
                    size += len(data)
            except ClientGone:
                if self._config.on_client_gone == "abort":
                    raise
                gone = True

        async def pass_on(chunks: list[Chunk]) -> None:
            for chunk in chunks:
                collector.add(chunk)
            if not _fits(exchange.hold, collector):
                collector.overflow()
                exchange.release()
            await send(b"".join(map(writer.chunk, chunks)))

        limit = self._manager.timeout(call.routing) - exchange.ms / 1000
        try:
            await stream.pass_on(pass_on, limit if call.routing.timeout_ms else None)
            answer = collector.answer()
            served = self._settled(asked, done, collector.usage, collector.characters)
            last = writer.done(answer, served)
            outcome, ended = OK, "ok"
            try:  # the caller's last event goes first, and what is complete is kept all the same
                await send(last)
            finally:
                self._keep(asked, answer, served.cost, done, leader)
                leader = None
            await stream.linger()
        except ClientGone:
            outcome, gone = CALLER_GONE, True
        except Exception as error:
            complete = ended == "ok"
            outcome, ended, refusal = self._broken(exchange, done, error)
            if not complete:  # nothing is sent after the last event
                with suppress(ClientGone):
                    await send(writer.error(refusal, exchange.id, exchange.ports.clock.now()))
        finally:
            stream.abort()
            done.call.end(outcome, collector.usage)
            exchange.note(self._settled(asked, done, collector.usage, collector.characters))
            exchange.facts["ended"] = "client_gone" if gone else ended
            exchange.end(200, size)
            self._hand_over(asked, leader, None)

    def _broken(
        self, exchange: Exchange, done: Done, error: Exception
    ) -> tuple[Outcome, str, ProxyError]:
        """What ended a stream before its end: who caused it, what is recorded of it, and the
        caller's error."""
        outcome = GIVEN_UP
        refusal: ProxyError
        if isinstance(error, TimeoutError):
            error = out_of_time()
        if isinstance(error, Fault):
            outcome = error.outcome
            refusal = as_proxy_error(error, done.attempts, begun=True)
            ended: str = error.kind
        else:
            exchange.ports.log("error", "bug", request_id=exchange.id, error=repr(error)[:500])
            message = "The proxy made a mistake; it has been logged."
            refusal = InternalError(message, attempts=done.attempts)
            ended = refusal.type
        exchange.blame(refusal)
        return outcome, ended, refusal

    def _keep(
        self, asked: Asked, answer: Answer, cost: Cost, done: Done, leader: Leader | None
    ) -> None:
        """Stores a complete answer and reports it to those who wait for it, after the answer.
        One that a budget's limit has cut off is not what was asked for."""
        exchange, wanted = asked.exchange, asked.wanted
        said = answer.text or answer.tool_calls or answer.refusal or answer.extra.get("images")
        limit = asked.meter.output_limit(done.target.offer)
        own_limit = limit is not None and limit != asked.call.chat.max_tokens
        cut_off = own_limit and answer.finish_reason == "length"
        if not wanted.store or answer.finish_reason not in KEPT or not said or cut_off:
            self._hand_over(asked, leader, NOTHING)
            return
        entry = CacheEntry(
            answer=structs.replace(answer, raw=None),
            provider=done.target.spec.name,
            model=done.target.model.id,
            cost=cost,
            born=exchange.began,
            stored=exchange.ports.clock.now(),
            ttl=wanted.ttl,
            grace=self._config.cache_grace,
            user=exchange.principal.user if exchange.principal else None,
        )
        exchange.request.defer(self._cache.keep(asked.key(done), entry))
        if leader:
            exchange.request.defer(self._report(asked, leader, entry))

    async def _report(self, asked: Asked, leader: Leader, entry: CacheEntry) -> None:
        try:
            outcome = landed(entry)
        except Unstorable:
            outcome = NOTHING
        await self._land(asked, leader, outcome)

    def _settled(self, asked: Asked, done: Done, told: Usage | None, length: int) -> Served:
        """Counts what an answer used: `told` by the provider, or estimated by its length in
        characters."""
        limit = asked.meter.output_limit(done.target.offer) or asked.call.chat.max_tokens
        usage = told or estimated_usage(asked.meter, length, limit)
        cost = done.cost(usage, estimated=told is None)
        done.reservation.settle(usage, cost)
        asked.meter.close()
        asked.exchange.used(usage)
        return self._served(asked, done, cost)

    def _served(self, asked: Asked, done: Done, cost: Cost) -> Served:
        kept = asked.wanted.read or asked.wanted.store
        served = served_by(asked.exchange, done, cost, "miss" if kept else "bypass")
        return structs.replace(served, functions=asked.call.functions)

    def _status(self, asked: Asked) -> dict[str, str]:
        """The cache's headers of an answer that a provider gave (RFC 9211)."""
        wanted = asked.wanted
        found = "stale" if asked.found_stale else "miss"
        why = found if wanted.read else "request" if wanted.store else "bypass"
        told = "BYPASS" if why == "bypass" else "MISS"
        return {"cache-status": f"proxy-memory; fwd={why}", "cf-aig-cache-status": told}

    # --- from the cache -------------------------------------------------------------------

    def _replayed(
        self,
        asked: Asked,
        key: str,
        entry: CacheEntry,
        tier: Tier | None,
        *,
        stale: bool = False,
    ) -> Response:
        """A kept answer in the caller's dialect; without a tier: that of the flight's leader."""
        exchange, dialect, call = asked.exchange, asked.exchange.dialect, asked.call
        now = exchange.ports.clock.now()
        served = Served(
            request_id=exchange.id,
            provider=entry.provider,
            model=entry.model,
            cost=Cost(0),
            cache_status="stale" if stale else "hit",
            cache_tier=tier,
            ms=exchange.ms,
            created=int(entry.stored),
            functions=call.functions,
        )
        exchange.used(Usage())
        exchange.facts["saved"] = bounded(entry.cost.nano_usd) or 0
        told = f"proxy-{tier}; hit; ttl={entry.remaining(now)}"
        if tier is None:
            told = "proxy-memory; fwd=miss; collapsed"
        elif stale:
            told += "; detail=stale-if-error"
        headers = exchange.tell(served) | {
            "cache-status": told,
            "age": str(entry.age(now)),
            "cf-aig-cache-status": "HIT",
            "x-proxy-cache-key": key,
        }
        if not call.chat.stream:
            return Response(headers=JSON | headers, body=dialect.answer(entry.answer, served))
        writer = dialect.writer(call, served)
        chunks = b"".join(map(writer.chunk, replay(entry.answer)))
        return Response(headers=EVENTS | headers, body=chunks + writer.done(entry.answer, served))


def _fits(hold: Hold | None, collector: Collector) -> bool:
    """Whether there is room for what is kept of a stream, which is held from then on."""
    if hold is None or collector.size <= hold.size + STEP:
        return True
    return hold.keeps(collector.size)
