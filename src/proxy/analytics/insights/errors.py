"""Errors that come in clusters: of one sort at one place, at a time or all the time."""

import math
from collections import defaultdict
from functools import partial
from typing import NamedTuple

from msgspec import Struct

from proxy.analytics.insights.model import (
    Amount,
    Family,
    Insight,
    Pair,
    Seen,
    moment,
    percent,
)
from proxy.analytics.insights.sampling import Interval, Log, Tally, spread
from proxy.analytics.record.request_record import RequestRecord

FAILED = 20
"""Failures below which no cluster is told,"""
ASKED = 100
"""and requests that could have failed so."""
LEAST_RISE = 0.2
"""How much more often requests must fail within a burst than outside,"""
LEAST_RATE = 0.05
"""and how often where it is steady."""
DOUBT = 0.05
"""A burst goes on unless what came since would be less probable than this if it did."""


class Sort(NamedTuple):
    """What failures of a cluster have in common. Empty: no provider was asked."""

    status: int
    error: str
    provider: str
    model: str
    endpoint: str

    @property
    def words(self) -> str:
        """For people."""
        where = f" at {self.provider}/{self.model}" if self.provider else ""
        return f"{self.status} {self.error}{where} on {self.endpoint}"


class _Burst(Struct, frozen=True):
    """Failures that are close together. `doubt`: the probability that chance brings so many so
    close anywhere in the log is at most that."""

    events: list[RequestRecord]
    failed: int
    outside: int
    outside_failed: int
    since: int
    """Requests after it."""
    doubt: float


def families(_: Seen, log: Log) -> list[Family]:
    """The bursts, and what fails steadily."""
    failures: defaultdict[Sort, list[RequestRecord]] = defaultdict(list)
    exposed: defaultdict[tuple[str, str, str], list[RequestRecord]] = defaultdict(list)
    for event in log.events:
        exposed["", "", event.endpoint].append(event)
        for provider, model in set(_asked(event)):
            exposed[provider, model, event.endpoint].append(event)
        if event.failed and not _limited(event):
            failures[_sort(event)].append(event)
    bursts: dict[Sort, list[_Burst]] = {}
    steady: dict[Sort, Tally] = {}
    for sort in sorted(failures):
        asked = exposed[sort.provider, sort.model, sort.endpoint]
        if len(failures[sort]) < FAILED or len(asked) < ASKED:
            continue
        bad = [event.failed and _sort(event) == sort for event in asked]
        bursts[sort] = _bursts(asked, bad, len(asked))
        marks = [(log.part(e), b) for e, b in zip(asked, bad, strict=True)]
        if scatter := spread(marks):
            steady[sort] = Tally(sum(bad), len(asked), scatter)
    return [
        Family(len(failures), partial(_burst_claims, bursts)),
        Family(len(failures), partial(_steady_claims, steady, bursts)),
    ]


def _asked(event: RequestRecord) -> list[Pair]:
    """Who was asked, in turn."""
    return [(attempt.provider, attempt.model) for attempt in event.sent]


def _limited(event: RequestRecord) -> bool:
    """Whether a limit of the proxy's own refused it: that is told of the user."""
    return event.status in (402, 429) and event.source != "provider"


def _sort(event: RequestRecord) -> Sort:
    who = (_asked(event) or [("", "")])[-1]
    return Sort(event.status, event.error, *who, event.endpoint)


# --- bursts -----------------------------------------------------------------------------------


def _bursts(events: list[RequestRecord], bad: list[bool], whole: int) -> list[_Burst]:
    """The likeliest burst of a stretch of the log, and those before and after it."""
    size, failed = len(events), sum(bad)
    if not FAILED <= failed < size:
        return []
    first, end = _likeliest(bad)
    inside = sum(bad[first:end])
    outside = size - (end - first)
    share, rest = inside / (end - first), (failed - inside) / max(1, outside)
    if inside < FAILED or not outside or share - rest < LEAST_RISE:
        return []
    burst = _Burst(
        events=events[first:end],
        failed=inside,
        outside=outside,
        outside_failed=failed - inside,
        since=size - end,
        doubt=_doubt(inside, end - first, failed / size, whole),
    )
    before = _bursts(events[:first], bad[:first], whole)
    return [*before, burst, *_bursts(events[end:], bad[end:], whole)]


def _likeliest(bad: list[bool]) -> tuple[int, int]:
    """The stretch that speaks most for failing half-way between the overall rate and always
    (the greatest sum of log-likelihood ratios, Kadane's way), from its begin to before its end."""
    rate = sum(bad) / len(bad)
    up, down = math.log((1 + rate) / (2 * rate)), math.log(0.5)
    best, found = 0.0, (0, 0)
    height, begin = 0.0, 0
    for place, failed in enumerate(bad):
        if height <= 0:
            height, begin = 0.0, place
        height += up if failed else down
        if height > best:
            best, found = height, (begin, place + 1)
    return found


def _doubt(inside: int, size: int, rate: float, whole: int) -> float:
    """Hoeffding's bound (1963, also for draws without replacement) on so many failures among
    `size`, times the number of stretches that a log of `whole` requests has."""
    share = inside / size
    divergence = share * math.log(share / rate)
    if share < 1:
        divergence += (1 - share) * math.log((1 - share) / (1 - rate))
    return whole * (whole + 1) / 2 * math.exp(-size * divergence)


def _burst_claims(bursts: dict[Sort, list[_Burst]], error: float) -> list[Insight]:
    return [
        _burst(sort, burst)
        for sort, found in bursts.items()
        for burst in found
        if burst.doubt <= error
    ]


def _burst(sort: Sort, burst: _Burst) -> Insight:
    size = len(burst.events)
    begin, end = burst.events[0].at, burst.events[-1].at
    share = burst.failed / size
    goes_on = (1 - share) ** burst.since >= DOUBT
    until = "and goes on" if goes_on else f"until {moment(end)}"
    return Insight(
        id=f"error.burst:{sort.words}@{begin}",
        kind="error",
        severity="warning" if goes_on else "notice",
        title=f"From {moment(begin)} {until}, {burst.failed:,} of {size:,} requests"
        f" ({percent(share)}) failed with {sort.words}; of the {burst.outside:,} others in the log,"
        f" {burst.outside_failed:,} did.",
        amount=Amount(burst.failed, "requests"),
        evidence={
            "status": sort.status,
            "failed": burst.failed,
            "requests": size,
            "othersFailed": burst.outside_failed,
            "othersRequests": burst.outside,
            "begin": begin,
            "end": end,
            "goesOn": int(goes_on),
            "users": len({event.user for event in burst.events if event.failed}),
        },
    )


# --- steady -----------------------------------------------------------------------------------


def _steady_claims(
    steady: dict[Sort, Tally], bursts: dict[Sort, list[_Burst]], error: float
) -> list[Insight]:
    found = []
    for sort, tally in steady.items():
        failing = tally.rate(error)
        in_bursts = any(burst.doubt <= error for burst in bursts[sort])
        if failing.low > LEAST_RATE and not in_bursts:
            found.append(_steady(sort, tally, failing))
    return found


def _steady(sort: Sort, tally: Tally, failing: Interval) -> Insight:
    return Insight(
        id=f"error.steady:{sort.words}",
        kind="error",
        severity="notice",
        title=f"{percent(failing.point)} of {tally.size:,} requests failed with {sort.words}, all"
        " the time.",
        amount=Amount(tally.of, "requests"),
        evidence={
            "status": sort.status,
            "failed": tally.of,
            "requests": tally.size,
            "shareLow": failing.low,
            "shareHigh": failing.high,
        },
    )
