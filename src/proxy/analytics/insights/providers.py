"""Providers compared: the same model or tier, like with like.

An attempt is the unit, not an answer: what a provider failed at, another has answered.
"""

import math
from collections import defaultdict
from functools import partial
from itertools import combinations
from typing import Literal

from msgspec import Struct

from proxy.analytics.insights.model import (
    Amount,
    Family,
    Insight,
    Market,
    Pair,
    Seen,
    Severity,
    percent,
    usd,
)
from proxy.analytics.insights.sampling import Interval, Log, Tally, median, spread
from proxy.analytics.record.request_record import RequestRecord, has_failed

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


class _Value(Struct, frozen=True):
    part: int
    value: int
    input: int | None
    output: int | None


class _Series(Struct, frozen=True):
    """Values in ascending order, and the median tokens of their requests."""

    ordered: list[int]
    spread: float
    input: int | None
    output: int | None

    @property
    def median(self) -> int:
        """As it was seen."""
        return self.ordered[(len(self.ordered) - 1) // 2]

    def logarithm(self, error: float) -> Interval:
        """That of the median: differences are ratios then."""
        seen = median(self.ordered, self.spread, error)
        bounds = (seen.point, seen.low, seen.high)
        return Interval(*(math.log(bound) if bound > 0 else -math.inf for bound in bounds))


class _Better(Struct, frozen=True):
    """One that did better than another, and by how much."""

    one: Pair
    other: Pair
    gap: Interval


def families(seen: Seen, log: Log) -> list[Family]:
    """Success, time to a stream's first content, time to an unstreamed answer, cost."""
    tries = _tries(log)
    pairs = _comparable(sorted(tries), seen.market)
    found = [Family(len(pairs), partial(_successes, tries, pairs))]
    for metric in METRICS:
        series = _series(log, metric)
        like = [p for p in _comparable(sorted(series), seen.market) if _alike(series, p, metric)]
        found.append(Family(len(like), partial(_medians, series, like, metric)))
    return found


def _comparable(models: list[Pair], market: Market) -> list[tuple[Pair, Pair]]:
    def same(one: Pair, other: Pair) -> bool:
        return one[1] == other[1] or other in market.alternatives(*one)

    return [(a, b) for a, b in combinations(models, 2) if same(a, b) or same(b, a)]


def _tries(log: Log) -> dict[Pair, Tally]:
    """For how many requests each was tried, and how many of them it answered to the end."""
    marks: defaultdict[Pair, list[tuple[int, bool]]] = defaultdict(list)
    for event in log.events:
        outcomes: dict[Pair, bool] = {}
        for attempt in event.sent:
            if attempt.outcome == "ok" or has_failed(attempt):
                outcomes[attempt.provider, attempt.model] = attempt.outcome == "ok"
        cut_off = event.failed and event.source == "proxy"  # by the caller's own deadline
        for pair, ok in outcomes.items():
            if not (ok and cut_off):
                marks[pair].append((log.part(event), ok and not event.failed))
    return {
        pair: Tally(sum(ok for _, ok in of), len(of), scatter)
        for pair, of in marks.items()
        if len(of) >= TRIED and (scatter := spread(of))
    }


def _series(log: Log, metric: Metric) -> dict[Pair, _Series]:
    values: defaultdict[Pair, list[_Value]] = defaultdict(list)
    for event in log.events:
        value = _value(event, metric)
        if value is not None:
            one = _Value(log.part(event), value, event.input, event.output)
            values[event.provider, event.model].append(one)
    found = {}
    for pair, of in values.items():
        ordered = sorted(one.value for one in of)
        middle = ordered[(len(ordered) - 1) // 2]
        scatter = spread((one.part, one.value <= middle) for one in of)
        if len(of) >= MEASURED and scatter:
            inputs = _middle([one.input for one in of])
            found[pair] = _Series(ordered, scatter, inputs, _middle([one.output for one in of]))
    return found


def _value(event: RequestRecord, metric: Metric) -> int | None:
    """Milliseconds of the attempt that answered, or nano-dollars."""
    answered = event.attempts[-1] if event.attempts else None
    if event.failed or answered is None or answered.outcome != "ok":
        return None
    if metric == "cost":
        return event.cost or None
    return max(1, answered.ms) if event.stream == (metric == "first_content") else None


def _middle(values: list[int | None]) -> int | None:
    """The median of what is known, None where most is not."""
    known = sorted(value for value in values if value is not None)
    return known[(len(known) - 1) // 2] if 2 * len(known) > len(values) else None


def _alike(series: dict[Pair, _Series], pair: tuple[Pair, Pair], metric: Metric) -> bool:
    """Whether both had questions of about one length, and answers where those take time."""
    one, other = (series[model] for model in pair)
    tokens = [(one.input, other.input)]
    if metric != "first_content":
        tokens.append((one.output, other.output))
    return all(
        a is not None and b is not None and max(a, b) <= ALIKE * max(1, min(a, b))
        for a, b in tokens
    )


def _best(found: list[_Better]) -> list[_Better]:
    """Of those that did better than one model the best: one claim for each that did worse."""
    best: dict[Pair, _Better] = {}
    for better in found:
        known = best.get(better.other)
        if known is None or better.gap.point > known.gap.point:
            best[better.other] = better
    return list(best.values())


def _successes(
    tries: dict[Pair, Tally], pairs: list[tuple[Pair, Pair]], error: float
) -> list[Insight]:
    found = []
    for one, other in (order for a, b in pairs for order in ((a, b), (b, a))):
        gap = tries[one].rate(error).minus(tries[other].rate(error))
        if gap.low > LEAST_RATE:
            found.append(_Better(one, other, gap))
    return [_success(better, tries) for better in _best(found)]


def _success(better: _Better, tries: dict[Pair, Tally]) -> Insight:
    good, bad = tries[better.one], tries[better.other]
    one, other = "/".join(better.one), "/".join(better.other)
    return Insight(
        id=f"provider.success:{other}<{one}",
        kind="provider",
        severity="warning" if better.gap.point >= 0.1 else "notice",
        title=f"{other} answered {percent(bad.of / bad.size)} of the {bad.size:,} requests that it"
        f" was tried for, {one} {percent(good.of / good.size)} of {good.size:,}.",
        amount=Amount(round(-100 * better.gap.point, 1), "%"),
        evidence={
            "model": other,
            "tried": bad.size,
            "answered": bad.of,
            "better": one,
            "betterTried": good.size,
            "betterAnswered": good.of,
            "differenceLow": better.gap.low,
            "differenceHigh": better.gap.high,
        },
    )


def _medians(
    series: dict[Pair, _Series], pairs: list[tuple[Pair, Pair]], metric: Metric, error: float
) -> list[Insight]:
    found = []
    for one, other in (order for a, b in pairs for order in ((a, b), (b, a))):
        gap = series[other].logarithm(error).minus(series[one].logarithm(error))
        apart = series[other].median - series[one].median
        if gap.low > math.log(LEAST_RATIO) and (metric == "cost" or apart >= LEAST_MS):
            found.append(_Better(one, other, gap))
    return [_slower(better, series, metric) for better in _best(found)]


def _slower(better: _Better, series: dict[Pair, _Series], metric: Metric) -> Insight:
    good, bad = series[better.one], series[better.other]
    low, high = good.median, bad.median
    one, other = "/".join(better.one), "/".join(better.other)
    what = {"first_content": "A stream's begin", "answer": "A whole answer", "cost": "An answer"}
    verb = "costs" if metric == "cost" else "takes"
    severity: Severity = "notice" if high >= 2 * low and metric != "cost" else "info"
    amount = Amount((high - low) / 1e9, "USD") if metric == "cost" else Amount(high - low, "ms")
    return Insight(
        id=f"provider.{metric}:{other}>{one}",
        kind="provider",
        severity=severity,
        title=f"{what[metric]} of {other} {verb} {_words(high, metric)} (median of"
        f" {len(bad.ordered):,}), one of {one} {_words(low, metric)} (of {len(good.ordered):,}).",
        amount=amount,
        evidence={
            "model": other,
            "answers": len(bad.ordered),
            "median": high,
            "better": one,
            "betterAnswers": len(good.ordered),
            "betterMedian": low,
            "ratioLow": math.exp(better.gap.low),
        },
    )


def _words(value: int, metric: Metric) -> str:
    return usd(value) if metric == "cost" else f"{value:,} ms"
