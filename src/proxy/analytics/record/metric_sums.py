"""Requests as OpenTelemetry's metrics, in OTLP's JSON: the body that a collector takes at
/v1/metrics.

The names, units, attributes and bounds of `gen_ai.…` are those of the semantic conventions for
generative AI (open-telemetry/semantic-conventions-genai, docs/gen-ai/gen-ai-metrics.md, still in
development). The proxy is a client of each provider that it tries, and a server to its callers.
`proxy.…` are what they have no name for, called so that Prometheus has them under the names and
labels of GET /metrics.

Sums are deltas: an isolate gets no warning before it goes and never comes back, so cumulative ones
would be a series for each isolate, most of them ended.
"""

from bisect import bisect_left
from collections.abc import Callable, Mapping
from typing import TypeAlias

from msgspec import Struct

from proxy.analytics.record.log_line import OPERATIONS, name_provider
from proxy.analytics.record.otlp import (
    Value,
    encode_export,
    find_fault,
    list_attributes,
    time_attempts,
    to_nanos,
)
from proxy.analytics.record.request_record import RequestRecord
from proxy.core.money import NANO

DELTA = 1
"""opentelemetry.proto.metrics.v1.AggregationTemporality."""
SERIES = 500
"""Sets of attributes of a metric that are counted apart; the others are one, as in OpenTelemetry's
SDKs (Metrics SDK, Cardinality limits)."""
OVERFLOW = (("otel.metric.overflow", True),)

Key: TypeAlias = tuple[tuple[str, Value], ...]
NameModel: TypeAlias = Callable[[str, str, bool], str]
"""What the model of a provider is called; whether it has answered."""


class Metric(Struct, frozen=True, eq=False):
    """A histogram with bounds, or a sum that only grows, without."""

    name: str
    unit: str
    what: str
    bounds: tuple[float, ...] = ()


_SECONDS = (
    *(0.01, 0.02, 0.04, 0.08, 0.16, 0.32, 0.64),
    *(1.28, 2.56, 5.12, 10.24, 20.48, 40.96, 81.92),
)
_FIRST = (
    *(0.001, 0.005, 0.01, 0.02, 0.04, 0.06, 0.08, 0.1),
    *(0.25, 0.5, 0.75, 1.0, 2.5, 5.0, 7.5, 10.0),
)
_TOKENS = tuple(4.0**n for n in range(14))
OPERATION = Metric("gen_ai.client.operation.duration", "s", "GenAI operation duration.", _SECONDS)
FIRST_CHUNK = Metric(
    "gen_ai.client.operation.time_to_first_chunk", "s", "Time to receive the first chunk.", _SECONDS
)
TOKENS = Metric(
    "gen_ai.client.token.usage", "{token}", "Number of input and output tokens used.", _TOKENS
)
REQUEST = Metric(
    "gen_ai.server.request.duration", "s", "Time until the answer's end at the caller.", _SECONDS
)
FIRST_TOKEN = Metric(
    "gen_ai.server.time_to_first_token", "s", "Time until a stream's first content.", _FIRST
)
CACHE = Metric("proxy.cache.requests", "{request}", "Requests by what the cache had for them.")
COST = Metric("proxy.cost.usd", "{USD}", "What answers cost, where it is known.")
SAVED = Metric("proxy.cost.saved_usd", "{USD}", "What the cache's answers had cost.")
LIMITED = Metric("proxy.limited.requests", "{request}", "Requests refused by a limit or a budget.")


class _Point(Struct):
    """What was counted with one set of attributes."""

    count: int = 0
    total: float = 0.0
    least: float = 0.0
    most: float = 0.0
    buckets: list[int] = []

    def add(self, value: float, metric: Metric) -> None:
        self.least = min(self.least, value) if self.count else value
        self.most = max(self.most, value) if self.count else value
        self.count += 1
        self.total += value
        if metric.bounds:
            self.buckets = self.buckets or [0] * (len(metric.bounds) + 1)
            self.buckets[bisect_left(metric.bounds, value)] += 1  # a bound belongs to its bucket

    def merge(self, other: "_Point") -> None:
        if not self.count:
            self.least, self.most = other.least, other.most
        self.least, self.most = min(self.least, other.least), max(self.most, other.most)
        self.count += other.count
        self.total += other.total
        pairs = zip(self.buckets or [0] * len(other.buckets), other.buckets, strict=True)
        self.buckets = [mine + its for mine, its in pairs]


class MetricSums:
    """What was counted since a moment."""

    def __init__(self, since: float, name_model: NameModel) -> None:
        """since: seconds since 1970."""
        self.requests = 0
        self._since = since
        self._name_model = name_model
        self._points: dict[Metric, dict[Key, _Point]] = {}

    def add(self, record: RequestRecord) -> None:
        """Counts a request."""
        self.requests += 1
        if record.status in (402, 429) and record.source != "provider":
            self._count(LIMITED, (("endpoint", record.endpoint[:200]),))
        operation = OPERATIONS.get(record.endpoint)
        if operation is None:
            return
        model = self._name_model(record.provider, record.model, record.status < 400)
        self._count_request(record, _name(operation, record.provider, model), model)
        self._count_attempts(record, operation)
        self._count_own(record, model)

    def merge(self, other: "MetricSums") -> None:
        """Adds what was counted before."""
        self._since = min(self._since, other._since)
        self.requests += other.requests
        for metric, points in other._points.items():
            for key, point in points.items():
                self._find(metric, key).merge(point)

    def encode(self, resource: Mapping[str, str], now: float) -> bytes:
        """An ExportMetricsServiceRequest."""
        begin, end = to_nanos(round(self._since * 1000)), to_nanos(round(now * 1000))
        metrics = [_show(metric, points, begin, end) for metric, points in self._points.items()]
        return encode_export("metrics", metrics, resource)

    def _count_request(self, record: RequestRecord, named: Key, model: str) -> None:
        """The proxy's side as a server."""
        answered: Key = (("gen_ai.response.model", model),) if model else ()
        failed: Key = (("error.type", record.error or f"{record.status}"),)
        if record.has_failed:
            self._count(REQUEST, (*named, *failed), record.ms / 1000)
            return
        self._count(REQUEST, (*named, *answered), record.ms / 1000)
        if record.first_ms is not None:
            self._count(FIRST_TOKEN, (*named, *answered), record.first_ms / 1000)

    def _count_attempts(self, record: RequestRecord, operation: str) -> None:
        """The proxy's side as a client."""
        for timed in time_attempts(record):
            attempt, fault = timed.attempt, find_fault(record, timed)
            model = self._name_model(attempt.provider, attempt.model, attempt.outcome == "ok")
            named = _name(operation, attempt.provider, model)
            if fault:
                key: Key = (*named, ("error.type", fault))
            else:
                key = (*named, ("gen_ai.response.model", model))
            self._count(OPERATION, key, max(0, timed.end - timed.start) / 1000)
            if timed.is_answer:
                if record.first_ms is not None:
                    self._count(FIRST_CHUNK, named, attempt.ms / 1000)
                self._count_tokens(record, (*named, ("gen_ai.response.model", model)))

    def _count_tokens(self, record: RequestRecord, key: Key) -> None:
        """What the provider reported; what was estimated must not be told for it."""
        if record.cost_origin == "estimated":
            return
        for kind, tokens in (("input", record.input), ("output", record.output)):
            if tokens is not None:
                self._count(TOKENS, (*key, ("gen_ai.token.type", kind)), tokens)

    def _count_own(self, record: RequestRecord, model: str) -> None:
        """What the conventions have no name for."""
        cache = record.cache_status
        if cache:
            tier = (record.cache_tier or "flight") if cache == "hit" else ""
            self._count(CACHE, (("result", cache), ("tier", tier)))
        key: Key = (("provider", record.provider), ("model", model))
        if record.cost:
            self._count(COST, key, record.cost / NANO)
        if record.saved:
            self._count(SAVED, key, record.saved / NANO)

    def _count(self, metric: Metric, key: Key, value: float = 1.0) -> None:
        self._find(metric, key).add(value, metric)

    def _find(self, metric: Metric, key: Key) -> _Point:
        points = self._points.setdefault(metric, {})
        if key not in points and len(points) >= SERIES:
            key = OVERFLOW
        return points.setdefault(key, _Point())


def _name(operation: str, provider: str, model: str) -> Key:
    """The attributes that each metric of the conventions has, as far as they are known."""
    named: list[tuple[str, Value]] = [("gen_ai.operation.name", operation)]
    if provider:
        named.append(("gen_ai.provider.name", name_provider(provider)))
    if model:
        named.append(("gen_ai.request.model", model))
    return tuple(named)


def _show(metric: Metric, points: Mapping[Key, _Point], begin: str, end: str) -> dict[str, object]:
    shown: list[dict[str, object]] = []
    for key, point in points.items():
        common = {
            "attributes": list_attributes(dict(key)),
            "startTimeUnixNano": begin,
            "timeUnixNano": end,
        }
        shown.append(common | (_show_buckets(point, metric) if metric.bounds else _show_sum(point)))
    data: dict[str, object] = {"aggregationTemporality": DELTA, "dataPoints": shown}
    kind = {"histogram": data} if metric.bounds else {"sum": data | {"isMonotonic": True}}
    return {"name": metric.name, "unit": metric.unit, "description": metric.what, **kind}


def _show_buckets(point: _Point, metric: Metric) -> dict[str, object]:
    return {
        "count": f"{point.count}",
        "sum": point.total,
        "min": point.least,
        "max": point.most,
        "bucketCounts": [f"{count}" for count in point.buckets],
        "explicitBounds": metric.bounds,
    }


def _show_sum(point: _Point) -> dict[str, object]:
    return {"asDouble": point.total}
