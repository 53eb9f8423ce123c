"""Sums of events: counters, and latencies as mergeable histograms.

The histogram is DDSketch's (Masson, Rim, Lee: DDSketch, VLDB 2019): buckets whose bounds grow by
a constant factor. Promise: a quantile is within 5 % of the true one, whatever was merged in
whichever order.
"""

import math
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from operator import attrgetter

from msgspec import Struct, structs

from proxy.analytics.record.request_record import RequestRecord

ERROR = 0.045
"""The relative error of a bucket's middle; what is left to 5 % covers rounding to whole ms."""
GAMMA = (1 + ERROR) / (1 - ERROR)
_SCALE = 1 / math.log(GAMMA)

_SUMMED: dict[str, Callable[[RequestRecord], int | None]] = {
    name: attrgetter(name)
    for name in (
        "input",
        "output",
        "cached",
        "reasoning",
        "cost",
        "saved",
        "bytes_in",
        "bytes_out",
        "ms",
    )
}
"""The counters that are sums of what events tell under the same name."""
_KIND: Callable[[RequestRecord], tuple[int, str, str, str, str]] = attrgetter(
    "status", "error", "ended", "cache_status", "cache_tier"
)
_ATTEMPTS = attrgetter("attempts")
_UNPRICED: Callable[[RequestRecord], bool] = attrgetter("unpriced")
_MS: Callable[[RequestRecord], int] = attrgetter("ms")
_KEPT = ("hit", "stale")
"""Answers of the cache."""
_CACHED = {"stale": "stale", "miss": "misses", "bypass": "bypassed"}
"""The counters of what is no hit."""

Sketch = dict[int, int]
"""How many values fell into which bucket: bucket 0 holds 0, bucket n values up to GAMMA^(n-1)."""


def bucket(ms: int) -> int:
    """The bucket of a value >= 0."""
    return math.ceil(math.log(ms) * _SCALE) + 1 if ms > 0 else 0


def bound(index: int) -> float:
    """The greatest value of a bucket."""
    return GAMMA ** (index - 1) if index else 0.0


def add_to(sketch: Sketch, ms: int, count: int = 1) -> None:
    """Counts a value `count` times."""
    index = bucket(ms)
    sketch[index] = sketch.get(index, 0) + count


def merge_into(sketch: Sketch, other: Sketch) -> None:
    """Adds another's counts."""
    for index, count in other.items():
        sketch[index] = sketch.get(index, 0) + count


def quantile(sketch: Sketch, q: float) -> float | None:
    """What a share q in [0, 1] of the values does not exceed, None where there is none: within 5 %
    of the value whose rank is q count, rounded up (the nearest-rank definition)."""
    count = sum(sketch.values())
    if not count:
        return None
    left = max(0, math.ceil(q * count) - 1)
    for index in sorted(sketch):
        left -= sketch[index]
        if left < 0:
            return 2 * bound(index) / (1 + GAMMA)
    raise AssertionError("a rank below the count is in some bucket")


class Totals(Struct, kw_only=True, omit_defaults=True):
    """What a number of requests came to. Money in whole nano-dollars."""

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

    def count(self, events: Sequence[RequestRecord]) -> None:
        """Adds events, column by column: so most of it is done in C."""
        self.requests += len(events)
        for name, column in _SUMMED.items():
            if more := sum(filter(None, map(column, events))):
                setattr(self, name, getattr(self, name) + more)
        for (status, error, ended, cache, tier), n in Counter(map(_KIND, events)).items():
            if status >= 400 or error:  # as RequestRecord.failed
                self.errors += n
                self.limited += n * (status in (402, 429))
            if ended == "client_gone":
                self.gone += n
            if cache:
                name = _CACHED.get(cache) or f"hits_{tier or 'flight'}"
                setattr(self, name, getattr(self, name) + n)
        self.unpriced += sum(map(_UNPRICED, events))
        for event in filter(_ATTEMPTS, events):
            self.fallbacks += event.fell_back and not event.failed
        for ms, n in Counter(map(_MS, events)).items():
            add_to(self.latency, ms, n)
        for ms in [
            e.first_ms for e in events if e.first_ms is not None and e.cache_status not in _KEPT
        ]:
            self.first_sum += ms
            add_to(self.first, ms)

    def add(self, other: "Totals") -> None:
        """Adds another's sums."""
        for name in COUNTERS:
            if more := getattr(other, name):
                setattr(self, name, getattr(self, name) + more)
        merge_into(self.latency, other.latency)
        merge_into(self.first, other.first)


def count_attempts(events: Iterable[RequestRecord]) -> dict[tuple[str, str], Totals]:
    """The attempts of some requests by the provider and model that were tried: a request that
    fell back counts one at each."""
    tried: dict[tuple[str, str], Totals] = {}
    for event in filter(_ATTEMPTS, events):
        for attempt in event.sent:
            totals = tried.setdefault((attempt.provider, attempt.model), Totals())
            totals.attempts += 1
            totals.failed_attempts += event.has_failed_at(attempt)
    return tried


COUNTERS = tuple(f.name for f in structs.fields(Totals) if f.name not in ("latency", "first"))
"""The fields that are numbers: the first ones, in this order."""


def total(many: Iterable[Totals]) -> Totals:
    """All together."""
    whole = Totals()
    for one in many:
        whole.add(one)
    return whole
