"""Plays a slice of a deployment: some of its isolates with their part of the traffic.

The isolates' own machines run, on a clock that jumps: key cache, answer cache with the purge view,
limiter with its leases, watch, recorder with its shard reporter. What the isolates share is in
proportion: a bucket of the slice has its part of the burst and the rate. So a shared object gets in
the deployment as many times the calls as the deployment is larger.
"""

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from random import Random

from msgspec import structs

from bench.scaling_load import (
    BURST,
    COUNTED,
    KEY_SKEW,
    PER_HOUR,
    PROMPT_SKEW,
    PROMPTS,
    PROVIDERS,
    UNIQUE,
    WARM,
    Load,
    SliceObjects,
    Tally,
    accumulate_zipf,
    shares_of_zipf,
)
from proxy.access.key_cache import KeyCache
from proxy.analytics.record.recorder import Recorder
from proxy.analytics.record.request_record import RequestRecord
from proxy.cache.answers import AnswerCache
from proxy.cache.directives import Directives
from proxy.cache.entry import CacheEntry, encode
from proxy.cache.lru import MemoryCache
from proxy.cache.purge import PurgeView
from proxy.cache.tiers import LowerTiers
from proxy.core.chat import Answer
from proxy.core.ports import Ports
from proxy.core.principal import Principal
from proxy.core.settings import Settings, read_settings
from proxy.limits.account_messages import AccountLimits, ReservationRequest, Settlement
from proxy.limits.limiter import Limiter
from proxy.routing.watch import Watch
from tests.unit.doubles import FakeReply, JumpingLoop, LoopClock, ports

TICK = 0.01
"""Seconds; requests come at its multiples."""
MISS = "miss"


class _KV:
    """A stand-in for KV that has held `keys` for long. R2 holds nothing: no answer is too large."""

    def __init__(self, keys: set[str], entry: bytes, tally: Tally) -> None:
        self.counts = False
        self._keys = keys
        self._entry = entry
        self._tally = tally

    async def get(self, key: str) -> bytes | None:
        self._count("KV read")
        return self._entry if key in self._keys else None

    async def put(
        self, key: str, data: bytes, lifetime: int, failed: Callable[[Exception], object]
    ) -> None:
        self._count("KV write")
        self._keys.add(key)

    async def delete(self, key: str) -> None:
        self._keys.discard(key)

    def _count(self, operation: str) -> None:
        if self.counts:
            self._tally.operations[operation] += 1


class _Isolate:
    """What one isolate holds, and the way of a request through it."""

    def __init__(self, settings: Settings, outside: Ports, entry: CacheEntry) -> None:
        clock, log, objects = outside.clock, outside.log, outside.objects
        self._clock = clock
        self._entry = entry
        self._ttl = settings.cache.ttl
        self._keys = KeyCache(objects, clock, log)
        memory = MemoryCache(clock, settings.cache.memory_entries, settings.cache.memory_bytes)
        lower = LowerTiers(outside.kv, outside.r2, 1.0, clock, log)
        self._cache = AnswerCache(memory, lower, PurgeView(objects, clock), clock, log)
        self._limiter = Limiter(settings.limits, outside)
        self._watch = Watch(settings.routing, objects, clock, outside.random, log)
        self._recorder = Recorder(settings.analytics, outside)
        self._deferred: set[asyncio.Task[object]] = set()

    async def serve(self, digest: str, provider: str, prompt: str) -> str:
        """Serves a request; gives the tier that answered, or MISS."""
        principal = self._keys.peek(digest) or await self._keys.lookup(digest, "192.0.2.1")
        directives = Directives(read=True, store=True, ttl=self._ttl)
        hit = await self._cache.find(prompt, directives, self._defer)
        if hit is None:
            await self._call_provider(principal, provider)
            self._cache.keep(prompt, self._entry, self._defer)
        self._recorder.record(
            RequestRecord(
                at=round(self._clock.now() * 1000),
                id=prompt,
                endpoint="/v1/chat/completions",
                status=200,
                ms=1,
                user=principal.user,
                provider=provider,
                model="model",
                logged=False,
            ),
            self._defer,
            counted=True,
        )
        return hit.tier or MISS if hit else MISS

    async def _call_provider(self, principal: Principal, provider: str) -> None:
        """An attempt that succeeds, as limits.meter and routing.manager go about it."""
        limiter, key_id = self._limiter, principal.key_id or ""
        await self._watch.start(self._defer)
        ticket = limiter.make_ticket()
        limits = AccountLimits(day=principal.budget.day)
        request = ReservationRequest(id=ticket, tokens=1, nano_usd=1, limits=limits, lifetime=1)
        refusal, _ = await limiter.reserve(key_id, request)
        bucket = limiter.find_bucket(principal, provider, "model")
        if refusal or await limiter.take_token(bucket, self._defer):
            raise RuntimeError("a limit refused a request")
        self._defer(limiter.settle(key_id, (Settlement(ticket, 1, 1),)))

    def _defer(self, work: Awaitable[object]) -> None:
        task = asyncio.ensure_future(work)
        self._deferred.add(task)
        task.add_done_callback(self._deferred.discard)


def play(load: Load) -> Tally:
    """Plays a slice: WARM seconds, then the COUNTED ones. The same load gives the same tally."""
    with asyncio.Runner(loop_factory=JumpingLoop) as runner:
        return runner.run(_play(load))


async def _play(load: Load) -> Tally:
    tally, clock, chance = Tally(load), LoopClock(0.0), Random(load.seed)
    settings = _read_settings(load)
    entry = _make_entry(settings.cache.ttl, settings.cache.grace)
    kv = _KV(_draw_held(load, settings.cache.ttl, chance), encode(entry), tally)
    outside = structs.replace(
        ports(lambda _: FakeReply(), clock=clock),
        objects=SliceObjects(clock, tally),
        kv=kv,
        r2=None,
        log=_raise_logged,
    )
    isolates = [_Isolate(settings, outside, entry) for _ in range(load.played)]
    for number, requests in enumerate(_draw_requests(load, chance), 1):
        kv.counts = clock.now() >= WARM
        for at, digest, provider, prompt in requests:
            path = await isolates[at].serve(digest, provider, prompt)
            tally.paths[path] += kv.counts
        await asyncio.sleep(max(0.0, number * TICK - clock.now()))
    return tally


def _draw_requests(load: Load, chance: Random) -> Iterator[list[tuple[int, str, str, str]]]:
    """The requests of each tick: isolate, key's digest, provider, prompt."""
    keys, prompts = range(1, load.keys + 1), range(PROMPTS)
    by_key = accumulate_zipf(load.keys, KEY_SKEW)
    by_prompt = accumulate_zipf(PROMPTS, PROMPT_SKEW)
    by_provider = accumulate_zipf(len(PROVIDERS), KEY_SKEW)
    each = load.rate / load.scale * TICK
    for tick in range(round((WARM + COUNTED) / TICK)):
        count = int((tick + 1) * each) - int(tick * each)
        drawn = zip(
            chance.choices(range(load.played), k=count),
            chance.choices(keys, cum_weights=by_key, k=count),
            chance.choices(PROVIDERS, cum_weights=by_provider, k=count),
            chance.choices(prompts, cum_weights=by_prompt, k=count),
            strict=True,
        )
        yield [
            (
                at,
                f"{key:064x}",
                provider,
                f"{tick} {n}" if chance.random() < UNIQUE else f"{prompt}",
            )
            for n, (at, key, provider, prompt) in enumerate(drawn)
        ]


def _draw_held(load: Load, ttl: int, chance: Random) -> set[str]:
    """The prompts whose answers the deployment holds after a long time: a prompt that comes `n`
    times in a lifetime is held for n / (n + 1) of the time."""
    repeated = load.rate * (1 - UNIQUE) * ttl
    often = (repeated * share for share in shares_of_zipf(PROMPTS, PROMPT_SKEW))
    return {str(prompt) for prompt, n in enumerate(often) if chance.random() < n / (n + 1)}


def _read_settings(load: Load) -> Settings:
    part = load.scale
    env = {
        "RATE_LIMIT_BURST": f"{max(1, int(BURST / part))}",
        "RATE_LIMIT_PER_HOUR": f"{int(PER_HOUR / part)}",
        "RATE_LIMIT_LEASE": f"{load.lease}",
    }
    return read_settings(env, PROVIDERS)


def _make_entry(ttl: int, grace: int) -> CacheEntry:
    answer = Answer(text="An answer.")
    return CacheEntry(
        answer=answer, provider="openai", model="model", born=1, stored=1, ttl=ttl, grace=grace
    )


def _raise_logged(level: str, event: str, **fields: object) -> None:
    """Nothing goes wrong in a slice, so nothing is logged."""
    raise RuntimeError(f"{level}: {event} {fields}")
