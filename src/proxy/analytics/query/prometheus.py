"""The figures as Prometheus reads them: its text format 0.0.4.

Promise: counters only grow, whatever is folded, and the number of series is bounded: a user is
never a label, and of the pairs of provider and model at most PAIRS stand for themselves. The
others are `model="(other)"` of their provider. The catalogue's pairs come first, then the others
by name: a name that is new may push another one into `(other)` but takes nothing out of it.

Counters are the deployment's, of all isolates. Gauges of an isolate are of the one that happened
to answer.
"""

from collections.abc import Callable, Collection, Iterable, Mapping
from typing import NamedTuple, TypeAlias

from msgspec import Struct

from proxy.analytics.store.figures import Dimension, Group
from proxy.analytics.store.totals import ERROR, Sketch, Totals, bound, merge_into

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
GROUPED_BY: tuple[Dimension, ...] = ("provider", "model", "endpoint", "status")
"""What the rows must be grouped by;"""
GROUPED_COARSELY: tuple[Dimension, ...] = ("provider", "endpoint", "status")
"""or by this, where there are too many groups: all models are OTHER then."""
PAIRS = 200
OTHER = "(other)"
PHASES = ("closed", "open", "half_open")
BOUNDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 120.0, 300.0)
"""Of the histograms' buckets, in seconds. A value counts where the middle of its sketch's bucket
does, which is within 5 % of it."""

Labels: TypeAlias = tuple[tuple[str, str], ...]


class State(Struct, frozen=True, kw_only=True):
    """What stands beside the roll-ups."""

    version: str
    environment: str
    breakers: Mapping[str, str] = {}
    """Phases by `provider` and `provider/model`."""
    configured: Mapping[str, bool] = {}
    """Whether each provider of the catalogue is configured."""
    lost: int = 0
    """Events that were dropped before they were counted, ever."""
    heap_bytes: int | None = None
    """Of the isolate's Python; None: not known."""
    cache_entries: int = 0
    cache_bytes: int = 0
    pending_events: int = 0
    uptime: float = 0.0
    """Seconds since the isolate's start."""


class _Counter(NamedTuple):
    """A family of counters; what is read is a whole number of 10^-digits."""

    name: str
    meaning: str
    labels: tuple[Dimension, ...]
    read: Callable[[Totals], int]
    digits: int = 0


_PAIR: tuple[Dimension, ...] = ("provider", "model")
_COUNTERS = (
    _Counter(
        "proxy_requests_total",
        "Requests that were answered.",
        ("endpoint", "provider", "model", "status"),
        lambda t: t.requests,
    ),
    _Counter(
        "proxy_errors_total",
        "Requests answered with an error, and streams that broke, by who was asked last.",
        ("endpoint", "provider", "model"),
        lambda t: t.errors,
    ),
    _Counter(
        "proxy_limited_requests_total",
        "Requests refused by a limit or a budget.",
        ("endpoint",),
        lambda t: t.limited,
    ),
    _Counter(
        "proxy_client_gone_total",
        "Callers that left before their stream's end.",
        ("endpoint",),
        lambda t: t.gone,
    ),
    _Counter(
        "proxy_cost_usd_total",
        "What answers cost in US dollars, where it is known.",
        _PAIR,
        lambda t: t.cost,
        9,
    ),
    _Counter(
        "proxy_cost_saved_usd_total",
        "What the cache's answers had cost when they were made, in US dollars.",
        _PAIR,
        lambda t: t.saved,
        9,
    ),
    _Counter(
        "proxy_unpriced_requests_total",
        "Answers whose cost is not known.",
        _PAIR,
        lambda t: t.unpriced,
    ),
    _Counter(
        "proxy_fallbacks_total",
        "Answers of another provider or model than the first that was tried, by who answered.",
        _PAIR,
        lambda t: t.fallbacks,
    ),
    _Counter(
        "proxy_attempts_total",
        "Attempts that went out, by the provider and model that were tried.",
        ("endpoint", *_PAIR),
        lambda t: t.attempts,
    ),
    _Counter(
        "proxy_failed_attempts_total",
        "Those of them at which the provider failed.",
        ("endpoint", *_PAIR),
        lambda t: t.failed_attempts,
    ),
    _Counter(
        "proxy_request_bytes_total",
        "Bytes of the requests' bodies.",
        ("endpoint",),
        lambda t: t.bytes_in,
    ),
    _Counter(
        "proxy_response_bytes_total",
        "Bytes of the answers' bodies.",
        ("endpoint",),
        lambda t: t.bytes_out,
    ),
)
_TOKENS: tuple[tuple[str, Callable[[Totals], int]], ...] = (
    ("input", lambda t: t.input),
    ("output", lambda t: t.output),
    ("cached", lambda t: t.cached),
    ("reasoning", lambda t: t.reasoning),
)
_CACHE: tuple[tuple[str, str, Callable[[Totals], int]], ...] = (
    ("hit", "memory", lambda t: t.hits_memory),
    ("hit", "kv", lambda t: t.hits_kv),
    ("hit", "r2", lambda t: t.hits_r2),
    ("hit", "flight", lambda t: t.hits_flight),
    ("stale", "", lambda t: t.stale),
    ("miss", "", lambda t: t.misses),
    ("bypass", "", lambda t: t.bypassed),
)


def render(
    ever: Iterable[Group], state: State, catalogue: Collection[tuple[str, str]] = ()
) -> bytes:
    """The page of metrics. ever: all that was ever counted, by GROUPED_BY; catalogue: the pairs
    of provider and model that it names."""
    groups = _folded(ever, frozenset(catalogue))
    page = _Page()
    for counter in _COUNTERS:
        sums: dict[Labels, int] = {}
        for key, totals in groups:
            labels = _some(key, counter.labels)
            sums[labels] = sums.get(labels, 0) + counter.read(totals)
        page.family(counter.name, "counter", counter.meaning)
        for labels in sorted(sums):
            page.sample(counter.name, labels, _decimal(sums[labels], counter.digits))
    _cache(page, groups)
    _tokens(page, groups)
    _histogram(
        page,
        "proxy_request_duration_seconds",
        "Time until an answer's end.",
        _merged(groups, ("endpoint",), lambda t: (t.latency, t.ms)),
    )
    _histogram(
        page,
        "proxy_time_to_first_token_seconds",
        "Time until a stream's first content; answers of the cache left out.",
        _merged(groups, _PAIR, lambda t: (t.first, t.first_sum)),
    )
    _state(page, state)
    return page.done()


_Groups: TypeAlias = list[tuple[dict[Dimension, str], Totals]]


def _folded(ever: Iterable[Group], catalogue: frozenset[tuple[str, str]]) -> _Groups:
    """The groups with clean labels, and models beyond the bound as OTHER."""
    groups: _Groups = [
        ({name: _clean(str(group.key.get(name, OTHER))) for name in GROUPED_BY}, group.totals)
        for group in ever
    ]
    pairs = {(key["provider"], key["model"]) for key, _ in groups}
    kept = set(sorted(pairs, key=lambda pair: (pair not in catalogue, pair))[:PAIRS])
    for key, _ in groups:
        if (key["provider"], key["model"]) not in kept:
            key["model"] = OTHER
    return groups


def _clean(text: str) -> str:
    """A label that can be sent, and that is not endless; what becomes the same is one."""
    return text[:200].encode("utf-8", "replace").decode()


def _some(key: Mapping[Dimension, str], names: Iterable[Dimension]) -> Labels:
    return tuple((name, key[name]) for name in names)


def _cache(page: "_Page", groups: _Groups) -> None:
    name = "proxy_cache_requests_total"
    page.family(name, "counter", "Requests by what the cache had for them, and where.")
    for result, tier, read in _CACHE:
        count = sum(read(totals) for _, totals in groups)
        page.sample(name, (("result", result), ("tier", tier)), str(count))


def _tokens(page: "_Page", groups: _Groups) -> None:
    name = "proxy_tokens_total"
    sums: dict[Labels, int] = {}
    for key, totals in groups:
        for kind, read in _TOKENS:
            labels = (*_some(key, _PAIR), ("type", kind))
            sums[labels] = sums.get(labels, 0) + read(totals)
    page.family(
        name, "counter", "Tokens that were used; cached ones are input, reasoning ones output too."
    )
    for labels in sorted(sums):
        page.sample(name, labels, str(sums[labels]))


_Sums: TypeAlias = dict[Labels, tuple[Sketch, int]]


def _merged(
    groups: _Groups, names: tuple[Dimension, ...], read: Callable[[Totals], tuple[Sketch, int]]
) -> _Sums:
    """Sketches and sums of ms by some labels, where anything was measured."""
    merged: _Sums = {}
    for key, totals in groups:
        sketch, ms = read(totals)
        if sketch:
            labels = _some(key, names)
            whole, before = merged.get(labels, ({}, 0))
            merge_into(whole, sketch)
            merged[labels] = whole, before + ms
    return merged


def _histogram(page: "_Page", name: str, meaning: str, sums: _Sums) -> None:
    page.family(name, "histogram", meaning)
    for labels in sorted(sums):
        sketch, ms = sums[labels]
        buckets = sorted(sketch.items())
        count, at = 0, 0
        for limit in BOUNDS:
            while at < len(buckets) and bound(buckets[at][0]) * (1 - ERROR) <= limit * 1000:
                count += buckets[at][1]
                at += 1
            page.sample(f"{name}_bucket", (*labels, ("le", str(limit))), str(count))
        count = sum(sketch.values())
        page.sample(f"{name}_bucket", (*labels, ("le", "+Inf")), str(count))
        page.sample(f"{name}_sum", labels, _decimal(ms, 3))
        page.sample(f"{name}_count", labels, str(count))


def _state(page: "_Page", state: State) -> None:
    page.family("proxy_breaker_state", "gauge", "1 for the phase in which each breaker is.")
    breakers = {_clean(name): phase for name, phase in state.breakers.items()}
    for breaker, phase in sorted(breakers.items()):
        for each in PHASES:
            labels = (("breaker", breaker), ("state", each))
            page.sample("proxy_breaker_state", labels, str(int(phase == each)))
    page.family("proxy_provider_configured", "gauge", "1 for providers that may be asked.")
    for provider, configured in sorted(state.configured.items()):
        one = (("provider", provider),)
        page.sample("proxy_provider_configured", one, str(int(configured)))
    page.family("proxy_build_info", "gauge", "Always 1: what is deployed.")
    told = (("version", _clean(state.version)), ("environment", _clean(state.environment)))
    page.sample("proxy_build_info", told, "1")
    page.single(
        "proxy_analytics_lost_total",
        "counter",
        "Requests that were dropped before they were counted.",
        state.lost,
    )
    for name, meaning, value in (
        ("proxy_isolate_heap_bytes", "Memory of the isolate that answers.", state.heap_bytes),
        ("proxy_cache_entries", "Entries in that isolate's memory cache.", state.cache_entries),
        ("proxy_cache_bytes", "Bytes of these.", state.cache_bytes),
        (
            "proxy_isolate_pending_events",
            "Requests that it has still to report.",
            state.pending_events,
        ),
        ("proxy_isolate_uptime_seconds", "Time since it started.", state.uptime),
    ):
        if value is not None:
            page.single(name, "gauge", meaning, value)


class _Page:
    """The text that grows."""

    def __init__(self) -> None:
        self._lines: list[str] = []

    def family(self, name: str, kind: str, meaning: str) -> None:
        self._lines += (f"# HELP {name} {meaning}", f"# TYPE {name} {kind}")

    def sample(self, name: str, labels: Labels, value: str) -> None:
        told = ",".join(f'{label}="{_escaped(text)}"' for label, text in labels)
        self._lines.append(f"{name}{{{told}}} {value}" if told else f"{name} {value}")

    def single(self, name: str, kind: str, meaning: str, value: float) -> None:
        self.family(name, kind, meaning)
        self.sample(name, (), str(value))

    def done(self) -> bytes:
        return ("\n".join(self._lines) + "\n").encode()


def _escaped(text: str) -> str:
    return text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")


def _decimal(number: int, digits: int) -> str:
    """A whole number >= 0 of 10^-digits, written exactly."""
    if not digits:
        return str(number)
    whole, part = divmod(number, 10**digits)
    return f"{whole}.{part:0{digits}d}".rstrip("0").rstrip(".")
