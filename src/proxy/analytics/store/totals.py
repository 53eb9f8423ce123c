"""What a number of requests came to: counters, and sketches of their latencies."""

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from operator import attrgetter

from msgspec import Struct, structs

from proxy.analytics.record.request_record import RequestRecord
from proxy.analytics.store.sketch import Sketch, add_value, merge_into

_SUMS = ("input", "output", "cached", "reasoning", "cost", "saved", "bytes_in", "bytes_out", "ms")
_SUMMED: dict[str, Callable[[RequestRecord], int | None]] = {n: attrgetter(n) for n in _SUMS}
"""The counters that are sums of a record's field of the same name."""
_KIND: Callable[[RequestRecord], tuple[int, str, str, str, str]] = attrgetter(
    "status", "error", "ended", "cache_status", "cache_tier"
)
_ATTEMPTS = attrgetter("attempts")
_IS_UNPRICED: Callable[[RequestRecord], bool] = attrgetter("is_unpriced")
_MS: Callable[[RequestRecord], int] = attrgetter("ms")
_FROM_CACHE = ("hit", "stale")
_COUNTER_OF_STATUS = {"stale": "stale", "miss": "misses", "bypass": "bypassed"}
"""The counters of the cache statuses but `hit`, which has one a tier."""


class Totals(Struct, kw_only=True, omit_defaults=True):
    """The sums of some requests. Money in whole nano-dollars."""

    requests: int = 0
    errors: int = 0
    limited: int = 0
    """Of the errors: refused by a limit or a budget (429, 402)."""
    gone: int = 0
    """Callers that left before their stream's end."""
    hits_memory: int = 0
    hits_kv: int = 0
    hits_r2: int = 0
    hits_flight: int = 0
    """Answers that another request's flight brought."""
    stale: int = 0
    misses: int = 0
    bypassed: int = 0
    fallbacks: int = 0
    """Answers of another provider or model than the first that was tried."""
    attempts: int = 0
    """Attempts that went out, counted where the provider and model stand that were tried."""
    failed_attempts: int = 0
    input: int = 0
    output: int = 0
    cached: int = 0
    reasoning: int = 0
    cost: int = 0
    unpriced: int = 0
    """Answers of providers whose cost is not known: `cost` leaves them out."""
    saved: int = 0
    bytes_in: int = 0
    bytes_out: int = 0
    ms: int = 0
    """The sum of all durations."""
    first_sum: int = 0
    """The sum of the times in `first`."""
    latency: Sketch = {}
    """Durations of all requests, in ms."""
    first: Sketch = {}
    """Times to a stream's first content, in ms; answers of the cache left out."""

    @property
    def hits(self) -> int:
        """Fresh answers that reached no provider."""
        return self.hits_memory + self.hits_kv + self.hits_r2 + self.hits_flight

    def count(self, records: Sequence[RequestRecord]) -> None:
        """Adds requests, column by column: so most of it is done in C."""
        self.requests += len(records)
        for name, column in _SUMMED.items():
            self._raise(name, sum(filter(None, map(column, records))))
        for (status, error, ended, cache, tier), n in Counter(map(_KIND, records)).items():
            if status >= 400 or error:  # as RequestRecord.has_failed
                self.errors += n
                self.limited += n * (status in (402, 429))
            if ended == "client_gone":
                self.gone += n
            if cache:
                self._raise(_COUNTER_OF_STATUS.get(cache) or f"hits_{tier or 'flight'}", n)
        self.unpriced += sum(map(_IS_UNPRICED, records))
        for record in filter(_ATTEMPTS, records):
            self.fallbacks += record.has_fallen_back and not record.has_failed
        for ms, n in Counter(map(_MS, records)).items():
            add_value(self.latency, ms, n)
        for record in records:
            if record.first_ms is not None and record.cache_status not in _FROM_CACHE:
                self.first_sum += record.first_ms
                add_value(self.first, record.first_ms)

    def add(self, other: "Totals") -> None:
        """Adds another's sums."""
        for name in COUNTERS:
            self._raise(name, getattr(other, name))
        merge_into(self.latency, other.latency)
        merge_into(self.first, other.first)

    def _raise(self, name: str, more: int) -> None:
        if more:
            setattr(self, name, getattr(self, name) + more)


COUNTERS = tuple(f.name for f in structs.fields(Totals) if f.name not in ("latency", "first"))
"""The fields that are numbers: the first ones, in this order."""


def count_attempts(records: Iterable[RequestRecord]) -> dict[tuple[str, str], Totals]:
    """The attempts of some requests by the provider and model that were tried: a request that
    fell back counts one at each."""
    tried: dict[tuple[str, str], Totals] = {}
    for record in filter(_ATTEMPTS, records):
        for attempt in record.sent_attempts:
            totals = tried.setdefault((attempt.provider, attempt.model), Totals())
            totals.attempts += 1
            totals.failed_attempts += record.has_failed_at(attempt)
    return tried


def add_up(parts: Iterable[Totals]) -> Totals:
    """All of them together."""
    whole = Totals()
    for part in parts:
        whole.add(part)
    return whole
