"""Providers compared: the same model or tier, like with like.

An attempt is the unit, not an answer: what a provider failed at, another has answered.
"""

import math
from collections import defaultdict
from collections.abc import Callable
from functools import partial
from itertools import permutations
from typing import Literal, NamedTuple

from msgspec import Struct

from proxy.analytics.insights.model import (
    Amount,
    Family,
    Insight,
    Market,
    Observations,
    Pair,
    Severity,
)
from proxy.analytics.insights.sampling import (
    Comparison,
    Interval,
    Mark,
    Tally,
    Timeline,
    build_tallies,
    estimate_median,
    find_design_effect,
)
from proxy.analytics.insights.words import format_percent
from proxy.analytics.record.request_record import has_provider_failed
from proxy.core.money import format_dollars, to_dollars

Metric = Literal["first_content", "answer", "cost"]
METRICS: tuple[Metric, ...] = ("first_content", "answer", "cost")

TRIED = 100
"""Requests that each must have been tried for, below which no success is compared."""
MEASURED = 60
"""Answers of each, below which no median is."""
LEAST_RATE = 0.03
"""How much success must differ,"""
LEAST_RATIO = 1.25
"""and by what factor medians,"""
LEAST_MS = 50
"""and those of times by how many milliseconds."""
ALIKE = 1.5
"""The factor within which the traffic of both must be alike, in median tokens."""


class _Value(NamedTuple):
    part: int
    value: int
    input: int | None
    output: int | None


class _Series(Struct, frozen=True):
    """Values in ascending order, and the median tokens of their requests."""

    ordered: list[int]
    effect: float
    input: int | None
    output: int | None

    @property
    def median(self) -> int:
        """As it was measured."""
        return self.ordered[(len(self.ordered) - 1) // 2]

    def logarithm(self, error: float) -> Interval:
        """That of the median: differences are ratios then."""
        median = estimate_median(self.ordered, self.effect, error)
        bounds = (median.point, median.low, median.high)
        return Interval(*(math.log(bound) if bound > 0 else -math.inf for bound in bounds))


class _Better(Struct, frozen=True):
    """A model that did better than another, and by how much."""

    model: Pair
    other: Pair
    gap: Interval


def build_families(window: Observations, timeline: Timeline) -> list[Family]:
    """Success, time to a stream's first content, time to an unstreamed answer, cost."""
    tries = _tally_tries(timeline)
    orders = _compare(sorted(tries), window.market)
    found = [Family(len(orders) // 2, partial(_claim_success, tries, orders))]
    values = _measure(timeline)
    for metric in METRICS:
        series = _order_values(values[metric])
        orders = _compare(sorted(series), window.market)
        alike = [(a, b) for a, b in orders if _is_alike(series[a], series[b], metric)]
        found.append(Family(len(alike) // 2, partial(_claim_medians, series, alike, metric)))
    return found


def _compare(models: list[Pair], market: Market) -> list[tuple[Pair, Pair]]:
    """The models that may be compared, each two in both orders."""

    def is_like(model: Pair, other: Pair) -> bool:
        return model[1] == other[1] or other in market.alternatives(*model)

    return [(a, b) for a, b in permutations(models, 2) if is_like(a, b) or is_like(b, a)]


def _tally_tries(timeline: Timeline) -> dict[Pair, Tally]:
    """For how many requests each was tried, and how many of them it answered to the end."""
    marks: defaultdict[Pair, list[Mark]] = defaultdict(list)
    for part, record in timeline.placed:
        outcomes: dict[Pair, bool] = {}
        for attempt in record.sent_attempts:
            if attempt.outcome == "ok" or has_provider_failed(attempt):
                outcomes[attempt.provider, attempt.model] = attempt.outcome == "ok"
        is_cut_off = record.has_failed and record.source == "proxy"  # by the caller's own deadline
        for pair, ok in outcomes.items():
            if not (ok and is_cut_off):
                marks[pair].append((part, ok and not record.has_failed))
    counts = {pair: (sum(ok for _, ok in of), len(of)) for pair, of in marks.items()}
    return build_tallies(counts, marks, TRIED)


def _measure(timeline: Timeline) -> dict[Metric, dict[Pair, list[_Value]]]:
    """Milliseconds of the attempts that answered, and nano-dollars."""
    found: dict[Metric, defaultdict[Pair, list[_Value]]]
    found = {metric: defaultdict(list) for metric in METRICS}
    for part, record in timeline.placed:
        answered = record.attempts[-1] if record.attempts else None
        if answered is None or answered.outcome != "ok" or record.has_failed:
            continue
        pair, tokens = (record.provider, record.model), (record.input, record.output)
        times = found["first_content" if record.stream else "answer"]
        times[pair].append(_Value(part, max(1, answered.ms), *tokens))
        if record.cost:
            found["cost"][pair].append(_Value(part, record.cost, *tokens))
    return {**found}


def _order_values(values: dict[Pair, list[_Value]]) -> dict[Pair, _Series]:
    found = {}
    for pair, of in values.items():
        ordered = sorted(v.value for v in of)
        middle = ordered[(len(ordered) - 1) // 2]
        effect = find_design_effect((v.part, v.value <= middle) for v in of)
        if len(of) >= MEASURED and effect:
            inputs, outputs = _middle([v.input for v in of]), _middle([v.output for v in of])
            found[pair] = _Series(ordered, effect, inputs, outputs)
    return found


def _middle(values: list[int | None]) -> int | None:
    """The median of what is known, None where most is not."""
    known = sorted(value for value in values if value is not None)
    return known[(len(known) - 1) // 2] if 2 * len(known) > len(values) else None


def _is_alike(series: _Series, other: _Series, metric: Metric) -> bool:
    """Whether both had questions of about one length, and answers where those take time."""
    tokens = [(series.input, other.input)]
    if metric != "first_content":
        tokens.append((series.output, other.output))
    return all(
        a is not None and b is not None and max(a, b) <= ALIKE * max(1, min(a, b))
        for a, b in tokens
    )


def _find_best(
    orders: list[tuple[Pair, Pair]], beats: Callable[[Pair, Pair], Interval | None]
) -> list[_Better]:
    """Of the models that did better than another the best: one claim for each that did worse.
    beats: by how much the first did better than the second; None: not enough."""
    best: dict[Pair, _Better] = {}
    for model, other in orders:
        gap = beats(model, other)
        known = best.get(other)
        if gap and (known is None or gap.point > known.gap.point):
            best[other] = _Better(model, other, gap)
    return list(best.values())


def _claim_success(
    tries: dict[Pair, Tally], orders: list[tuple[Pair, Pair]], error: float
) -> list[Insight]:
    def beats(model: Pair, other: Pair) -> Interval | None:
        gap = tries[model].estimate(error).minus(tries[other].estimate(error))
        return gap if gap.low > LEAST_RATE else None

    return [_describe_success(better, tries) for better in _find_best(orders, beats)]


def _describe_success(better: _Better, tries: dict[Pair, Tally]) -> Insight:
    good, bad = tries[better.model], tries[better.other]
    model, other = "/".join(better.model), "/".join(better.other)
    compared = Comparison(other, bad, good, better.gap)
    return Insight(
        id=f"provider.success:{other}<{model}",
        kind="provider",
        severity="warning" if better.gap.point >= 0.1 else "notice",
        title=f"{other} answered {format_percent(bad.share)} of the {bad.size:,} requests that it"
        f" was tried for, {model} {format_percent(good.share)} of {good.size:,}.",
        amount=Amount(round(-100 * better.gap.point, 1), "%"),
        evidence={
            "model": other,
            "better": model,
            **compared.list_evidence("tried", "answered", others="better"),
        },
    )


def _claim_medians(
    series: dict[Pair, _Series], orders: list[tuple[Pair, Pair]], metric: Metric, error: float
) -> list[Insight]:
    def beats(model: Pair, other: Pair) -> Interval | None:
        gap = series[other].logarithm(error).minus(series[model].logarithm(error))
        apart = series[other].median - series[model].median
        is_wide = metric == "cost" or apart >= LEAST_MS
        return gap if is_wide and gap.low > math.log(LEAST_RATIO) else None

    return [_describe_median(better, series, metric) for better in _find_best(orders, beats)]


def _describe_median(better: _Better, series: dict[Pair, _Series], metric: Metric) -> Insight:
    good, bad = series[better.model], series[better.other]
    low, high = good.median, bad.median
    model, other = "/".join(better.model), "/".join(better.other)
    what = {"first_content": "A stream's begin", "answer": "A whole answer", "cost": "An answer"}
    verb = "costs" if metric == "cost" else "takes"
    severity: Severity = "notice" if high >= 2 * low and metric != "cost" else "info"
    apart = high - low
    return Insight(
        id=f"provider.{metric}:{other}>{model}",
        kind="provider",
        severity=severity,
        title=f"{what[metric]} of {other} {verb} {_format_value(high, metric)} (median of"
        f" {len(bad.ordered):,}), one of {model} {_format_value(low, metric)} (of"
        f" {len(good.ordered):,}).",
        amount=Amount(to_dollars(apart), "USD") if metric == "cost" else Amount(apart, "ms"),
        evidence={
            "model": other,
            "answers": len(bad.ordered),
            "median": high,
            "better": model,
            "betterAnswers": len(good.ordered),
            "betterMedian": low,
            "ratioLow": math.exp(better.gap.low),
        },
    )


def _format_value(value: int, metric: Metric) -> str:
    return format_dollars(value) if metric == "cost" else f"{value:,} ms"
