"""What bench.scaling assumes of the traffic, and the Durable Objects of a played slice.

Each name in capitals is an assumption or a choice of the bench: change it here.
"""

from collections import Counter
from itertools import accumulate
from typing import Any

import msgspec
from msgspec import Struct

from proxy.access.keys import LOOKUP, FoundKey, Key
from proxy.analytics.record.request_record import RequestRecord
from proxy.analytics.store.messages import Flush
from proxy.analytics.store.shard import ADD
from proxy.cache.purge import READ_PURGES
from proxy.core.ports import Clock
from proxy.core.principal import Budget
from proxy.core.rpc import Method
from proxy.limits.account_messages import RESERVE, ReservationAnswer
from proxy.limits.capacity import REPORT_MS
from proxy.limits.lease_messages import GIVE_BACK, TAKE
from proxy.limits.lease_server import LeaseServer
from proxy.routing.board import EXCHANGE, BoardView
from proxy.routing.measures import SharedPicture

PLAYED = 10
"""Isolates that are played, at most."""
WARM, COUNTED = 30, 30
"""Seconds before calls are counted, and seconds in which they are."""
KEY_SKEW = 1.0
"""The n-th key sends n^-KEY_SKEW times as much as the first. The same holds of the providers."""
PROVIDERS = ("openai", "gemini", "groq", "deepseek")
UNIQUE = 0.5
"""The share of requests that no other repeats. The others are drawn from PROMPTS."""
PROMPTS = 100_000
PROMPT_SKEW = 1.1
BURST, PER_HOUR = 1_000_000, 10_000_000
"""RATE_LIMIT_BURST and RATE_LIMIT_PER_HOUR: their highest, so that no limit refuses."""


class Load(Struct, frozen=True, kw_only=True):
    """What a deployment bears, and how it is set."""

    rate: int
    """Requests a second."""
    isolate_rate: int = 100
    """Requests a second that an isolate serves before the platform starts another."""
    keys_per_rate: float = 1.0
    """Issued keys for each request a second. Each has a user of its own and a budget."""
    lease: int = 256
    """RATE_LIMIT_LEASE."""
    seed: int = 1

    @property
    def isolates(self) -> int:
        """Isolates of the deployment."""
        return max(1, self.rate // self.isolate_rate)

    @property
    def played(self) -> int:
        """Isolates of the slice."""
        return min(PLAYED, self.isolates)

    @property
    def scale(self) -> float:
        """How many times the slice the deployment is."""
        return self.isolates / self.played

    @property
    def keys(self) -> int:
        """Issued keys."""
        return max(1, round(self.rate * self.keys_per_rate))


class Tally(Struct):
    """What was counted in a slice. calls: by method and object."""

    load: Load
    calls: Counter[tuple[str, str]] = msgspec.field(default_factory=Counter)
    paths: Counter[str] = msgspec.field(default_factory=Counter)
    """Requests by what answered them."""
    operations: Counter[str] = msgspec.field(default_factory=Counter)
    """Operations of KV."""
    records: int = 0
    groups: int = 0
    """Records that flushes brought, and how many groups their shards made of each flush's."""

    @property
    def requests(self) -> int:
        """Requests of the slice."""
        return sum(self.paths.values())

    def count_calls(self, method: Method[Any, Any]) -> int:
        """Calls of all objects in the slice."""
        return sum(n for (called, _), n in self.calls.items() if called == method.name)

    def busiest(self, *methods: Method[Any, Any]) -> tuple[str, float]:
        """The object that these methods are called of the most, and its calls a second in the
        deployment."""
        names = {method.name for method in methods}
        by_object: Counter[str] = Counter()
        for (method, name), n in self.calls.items():
            if method in names:
                by_object[name] += n
        name, n = by_object.most_common(1)[0]
        return name, n * self.load.scale / COUNTED


class SliceObjects:
    """core.ports.Objects of a slice. Buckets are real; the others answer as if all were well."""

    def __init__(self, clock: Clock, tally: Tally) -> None:
        self._clock = clock
        self._tally = tally
        self._buckets: dict[str, LeaseServer] = {}

    async def call(self, method: Method[Any, Any], name: str, argument: Any) -> Any:
        """See core.ports.Objects."""
        now = round(self._clock.now() * 1000)
        if now >= WARM * 1000:
            self._count(method, name, argument)
        if method is TAKE or method is GIVE_BACK:
            bucket = self._buckets.get(name) or self._buckets.setdefault(name, LeaseServer(now))
            return bucket.take(argument, now) if method is TAKE else bucket.give_back(argument, now)
        if method is LOOKUP:
            return _find_key(argument.digest)
        if method is EXCHANGE:
            return BoardView({}, SharedPicture(now, 0, {}))
        if method is RESERVE:
            return ReservationAnswer(limit=None, wait=0, left=0, quota=0, resets_at=0)
        return () if method is READ_PURGES else None

    def _count(self, method: Method[Any, Any], name: str, argument: Any) -> None:
        self._tally.calls[method.name, name] += 1
        if method is ADD:
            records = read_records(argument)
            self._tally.records += len(records)
            self._tally.groups += len({(r.provider, r.status, r.user, r.model) for r in records})


_RECORDS = msgspec.json.Decoder(list[RequestRecord])


def read_records(flush: Flush) -> list[RequestRecord]:
    """A flush's records."""
    return _RECORDS.decode(flush.records)


def _find_key(digest: str) -> FoundKey:
    user = digest.lstrip("0") or "0"
    key = Key(id=f"key-{user}", user=f"user-{user}", created_at=0, budget=Budget(day=10**15))
    return FoundKey(key=key)


def accumulate_zipf(count: int, skew: float) -> list[float]:
    """The first n terms of n^-skew summed up, for each n up to `count`."""
    return list(accumulate(rank**-skew for rank in range(1, count + 1)))


def shares_of_zipf(count: int, skew: float) -> list[float]:
    """What share each of `count` has."""
    total = accumulate_zipf(count, skew)[-1]
    return [rank**-skew / total for rank in range(1, count + 1)]


def count_pool_reports(load: Load, misses: float) -> float:
    """Calls a second of the busiest provider's pool. A bucket reports with a token that it grants,
    no more often than every REPORT_MS: so one that grants n tokens a second reports every
    REPORT_MS + 1 / n seconds. A slice can't show it, since it sees too little of rare users.
    misses: the share of requests that reach a provider.
    """
    to_provider = load.rate * misses * shares_of_zipf(len(PROVIDERS), KEY_SKEW)[0]
    rates = (to_provider * share for share in shares_of_zipf(load.keys, KEY_SKEW))
    return sum(1 / (REPORT_MS / 1000 + 1 / rate) for rate in rates)
