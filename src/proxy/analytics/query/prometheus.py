"""GET /metrics: the deployment's figures as Prometheus reads them.

Promise: counters only grow, whatever is folded, and the number of series is bounded: a user is
never a label, and of the pairs of provider and model at most PAIRS stand for themselves. The
others are `model="(other)"` of their provider. The catalogue's pairs come first, then the others
by name: a name that is new may push another one into `(other)` but takes nothing out of it.

Counters are the deployment's, of all isolates. Gauges of an isolate are of the one that happened
to answer.
"""

from collections.abc import Collection, Iterable, Mapping
from typing import NamedTuple, TypeAlias

from msgspec import Struct

from proxy.analytics.query.exposition import Exposition, Labels, clean_label
from proxy.analytics.store.messages import Dimension, Sums, SumsGroup
from proxy.analytics.store.sketch import Sketch, merge_into
from proxy.analytics.store.totals import Totals
from proxy.core.principal import OTHER

GROUPED_BY: tuple[Dimension, ...] = ("provider", "model", "endpoint", "status")
"""What the rows must be grouped by;"""
GROUPED_COARSELY: tuple[Dimension, ...] = ("provider", "endpoint", "status")
"""or by this, where there are too many groups: all models are OTHER then."""
PAIRS = 200
PHASES = ("closed", "open", "half_open")


class Gauges(Struct, frozen=True, kw_only=True):
    """What stands beside the roll-ups."""

    version: str
    environment: str
    breakers: Mapping[str, str] = {}
    """Phases by `provider` and `provider/model`."""
    configured: Mapping[str, bool] = {}
    """Whether each provider of the catalogue is configured."""
    heap_bytes: int | None = None
    """Of the isolate's Python; None: not known."""
    cache_entries: int = 0
    cache_bytes: int = 0
    pending_records: int = 0
    uptime: float = 0.0
    """Seconds since the isolate's start."""


class _Counters(NamedTuple):
    """A family of counters: fields of Totals, whole numbers of 10^-digits, by these dimensions."""

    name: str
    dimensions: tuple[Dimension, ...]
    fields: dict[str, Labels]
    """With the labels that tell them apart."""
    meaning: str
    digits: int = 0


_PATH: tuple[Dimension, ...] = ("endpoint",)
_PAIR: tuple[Dimension, ...] = ("provider", "model")
_CACHE: dict[str, Labels] = {
    field: (("result", result), ("tier", tier))
    for field, result, tier in (
        ("hits_memory", "hit", "memory"),
        ("hits_kv", "hit", "kv"),
        ("hits_r2", "hit", "r2"),
        ("hits_flight", "hit", "flight"),
        ("stale", "stale", ""),
        ("misses", "miss", ""),
        ("bypassed", "bypass", ""),
    )
}
_TOKENS: dict[str, Labels] = {
    kind: (("type", kind),) for kind in ("input", "output", "cached", "reasoning")
}
_COUNTERS = (
    _Counters(
        "proxy_requests_total",
        ("endpoint", "provider", "model", "status"),
        {"requests": ()},
        "Requests that were answered.",
    ),
    _Counters(
        "proxy_errors_total",
        (*_PATH, *_PAIR),
        {"errors": ()},
        "Requests answered with an error, and streams that broke, by who was asked last.",
    ),
    _Counters(
        "proxy_limited_requests_total",
        _PATH,
        {"limited": ()},
        "Requests refused by a limit or a budget.",
    ),
    _Counters(
        "proxy_client_gone_total",
        _PATH,
        {"gone": ()},
        "Callers that left before their stream's end.",
    ),
    _Counters(
        "proxy_cost_usd_total",
        _PAIR,
        {"cost": ()},
        "What answers cost in US dollars, where it is known.",
        digits=9,
    ),
    _Counters(
        "proxy_cost_saved_usd_total",
        _PAIR,
        {"saved": ()},
        "What the cache's answers had cost when they were made, in US dollars.",
        digits=9,
    ),
    _Counters(
        "proxy_unpriced_requests_total", _PAIR, {"unpriced": ()}, "Answers whose cost is not known."
    ),
    _Counters(
        "proxy_fallbacks_total",
        _PAIR,
        {"fallbacks": ()},
        "Answers of another provider or model than the first that was tried, by who answered.",
    ),
    _Counters(
        "proxy_attempts_total",
        (*_PATH, *_PAIR),
        {"attempts": ()},
        "Attempts that went out, by the provider and model that were tried.",
    ),
    _Counters(
        "proxy_failed_attempts_total",
        (*_PATH, *_PAIR),
        {"failed_attempts": ()},
        "Those of them at which the provider failed.",
    ),
    _Counters(
        "proxy_request_bytes_total", _PATH, {"bytes_in": ()}, "Bytes of the requests' bodies."
    ),
    _Counters(
        "proxy_response_bytes_total", _PATH, {"bytes_out": ()}, "Bytes of the answers' bodies."
    ),
    _Counters(
        "proxy_cache_requests_total",
        (),
        _CACHE,
        "Requests by what the cache had for them, and where.",
    ),
    _Counters(
        "proxy_tokens_total",
        _PAIR,
        _TOKENS,
        "Tokens that were used; cached ones are input, reasoning ones output too.",
    ),
)
_Groups: TypeAlias = list[tuple[dict[Dimension, str], Totals]]


def render_metrics(
    ever: Sums, gauges: Gauges, catalogue: Collection[tuple[str, str]] = ()
) -> bytes:
    """The page of metrics. ever: all that was ever counted, by GROUPED_BY; catalogue: the pairs of
    provider and model that it names."""
    groups = _fold_models(ever.groups, frozenset(catalogue))
    page = Exposition()
    for family in _COUNTERS:
        page.add_counters(family.name, family.meaning, _add_up(groups, family), family.digits)
    latency: dict[Labels, tuple[Sketch, int]] = {}
    first: dict[Labels, tuple[Sketch, int]] = {}
    for key, totals in groups:
        _merge(latency, _pick(key, _PATH), totals.latency, totals.ms)
        _merge(first, _pick(key, _PAIR), totals.first, totals.first_sum)
    page.add_histograms("proxy_request_duration_seconds", "Time until an answer's end.", latency)
    page.add_histograms(
        "proxy_time_to_first_token_seconds",
        "Time until a stream's first content; answers of the cache left out.",
        first,
    )
    page.add_counters(
        "proxy_analytics_lost_total",
        "Requests that were dropped before they were counted.",
        {(): ever.lost},
    )
    _add_gauges(page, gauges)
    return page.encode()


def _fold_models(ever: Iterable[SumsGroup], catalogue: frozenset[tuple[str, str]]) -> _Groups:
    """The groups with clean labels, and models beyond the bound as OTHER."""
    groups: _Groups = [
        ({name: clean_label(str(group.key.get(name, OTHER))) for name in GROUPED_BY}, group.totals)
        for group in ever
    ]
    pairs = {(key["provider"], key["model"]) for key, _ in groups}
    kept = set(sorted(pairs, key=lambda pair: (pair not in catalogue, pair))[:PAIRS])
    for key, _ in groups:
        if (key["provider"], key["model"]) not in kept:
            key["model"] = OTHER
    return groups


def _pick(key: Mapping[Dimension, str], names: Iterable[Dimension]) -> Labels:
    return tuple((name, key[name]) for name in names)


def _add_up(groups: _Groups, family: _Counters) -> dict[Labels, int]:
    sums: dict[Labels, int] = {}
    if not family.dimensions:  # there from the beginning
        sums = dict.fromkeys(family.fields.values(), 0)
    for key, totals in groups:
        labels = _pick(key, family.dimensions)
        for field, own in family.fields.items():
            sums[(*labels, *own)] = sums.get((*labels, *own), 0) + getattr(totals, field)
    return sums


def _merge(
    merged: dict[Labels, tuple[Sketch, int]], labels: Labels, sketch: Sketch, ms: int
) -> None:
    """Adds a sketch and its sum of ms, where anything was measured."""
    if sketch:
        whole, before = merged.get(labels, ({}, 0))
        merge_into(whole, sketch)
        merged[labels] = whole, before + ms


def _add_gauges(page: Exposition, gauges: Gauges) -> None:
    breakers: dict[Labels, float] = {
        (("breaker", clean_label(name)), ("state", phase)): int(phase == current)
        for name, current in gauges.breakers.items()
        for phase in PHASES
    }
    configured: dict[Labels, float] = {
        (("provider", name),): int(known) for name, known in gauges.configured.items()
    }
    version, environment = clean_label(gauges.version), clean_label(gauges.environment)
    build: dict[Labels, float] = {(("version", version), ("environment", environment)): 1}
    page.add_gauges("proxy_breaker_state", "1 for the phase in which each breaker is.", breakers)
    page.add_gauges("proxy_provider_configured", "1 for providers that may be asked.", configured)
    page.add_gauges("proxy_build_info", "Always 1: what is deployed.", build)
    for name, meaning, value in (
        ("proxy_isolate_heap_bytes", "Memory of the isolate that answers.", gauges.heap_bytes),
        ("proxy_cache_entries", "Entries in that isolate's memory cache.", gauges.cache_entries),
        ("proxy_cache_bytes", "Bytes of these.", gauges.cache_bytes),
        (
            "proxy_isolate_pending_events",
            "Requests that it has still to report.",
            gauges.pending_records,
        ),
        ("proxy_isolate_uptime_seconds", "Time since it started.", gauges.uptime),
    ):
        if value is not None:
            page.add_gauges(name, meaning, {(): value})
