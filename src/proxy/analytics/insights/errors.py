"""Errors that come in clusters: of one sort at one place, at a time or all the time."""

import math
from collections import defaultdict
from functools import partial
from typing import NamedTuple

from msgspec import Struct

from proxy.analytics.insights.model import Amount, Family, Insight, Observations
from proxy.analytics.insights.sampling import Interval, Mark, Tally, Timeline, build_tallies
from proxy.analytics.insights.words import format_moment, format_percent, format_period
from proxy.analytics.record.request_record import RequestRecord

FAILED = 20
"""Failures below which there is no cluster,"""
EXPOSED = 100
"""and requests that could have failed so."""
LEAST_RISE = 0.2
"""How much more often requests must fail within a burst than outside,"""
LEAST_RATE = 0.05
"""and how often where it is steady."""
DOUBT = 0.05
"""A burst goes on unless what came since would be less probable than this if it did."""


class FailureKind(NamedTuple):
    """What failures of a cluster have in common. Empty: no provider was tried."""

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

    records: list[RequestRecord]
    failed: int
    outside: int
    outside_failed: int
    since: int
    """Requests after it."""
    doubt: float


def build_families(_: Observations, timeline: Timeline) -> list[Family]:
    """The bursts, and what fails steadily."""
    kinds, exposed = _sort_failures(timeline)
    bursts: dict[FailureKind, list[_Burst]] = {}
    marks: dict[FailureKind, list[Mark]] = {}
    for kind in sorted(kinds):
        records = exposed[kind.provider, kind.model, kind.endpoint]
        if kinds[kind] >= FAILED and len(records) >= EXPOSED:
            failed = [r.has_failed and _find_kind(r) == kind for r in records]
            bursts[kind] = _find_bursts(records, failed, len(records))
            parts = map(timeline.find_part, records)
            marks[kind] = [*zip(parts, failed, strict=True)]
    counts = {kind: (sum(f for _, f in of), len(of)) for kind, of in marks.items()}
    steady = build_tallies(counts, marks, EXPOSED)
    return [
        Family(len(kinds), partial(_claim_bursts, bursts)),
        Family(len(kinds), partial(_claim_steady, steady, bursts)),
    ]


def _sort_failures(
    timeline: Timeline,
) -> tuple[dict[FailureKind, int], dict[tuple[str, str, str], list[RequestRecord]]]:
    """How many failures of each kind there are, and all requests by provider, model and endpoint,
    of which those without provider and model are all of the endpoint."""
    kinds: defaultdict[FailureKind, int] = defaultdict(int)
    exposed: defaultdict[tuple[str, str, str], list[RequestRecord]] = defaultdict(list)
    for record in timeline.records:
        exposed["", "", record.endpoint].append(record)
        for provider, model in {(a.provider, a.model) for a in record.sent_attempts}:
            exposed[provider, model, record.endpoint].append(record)
        # A limit of the proxy's own is an insight about the user.
        is_limited = record.status in (402, 429) and record.source != "provider"
        if record.has_failed and not is_limited:
            kinds[_find_kind(record)] += 1
    return kinds, exposed


def _find_kind(record: RequestRecord) -> FailureKind:
    sent = record.sent_attempts
    last = (sent[-1].provider, sent[-1].model) if sent else ("", "")
    return FailureKind(record.status, record.error, *last, record.endpoint)


def _find_bursts(records: list[RequestRecord], marks: list[bool], whole: int) -> list[_Burst]:
    """The likeliest burst of a stretch of the log, and those before and after it. marks: which
    requests failed."""
    size, failed = len(records), sum(marks)
    if not FAILED <= failed < size:
        return []
    first, end = _find_likeliest(marks)
    inside = sum(marks[first:end])
    outside = size - (end - first)
    share, rest = inside / (end - first), (failed - inside) / max(1, outside)
    if inside < FAILED or not outside or share - rest < LEAST_RISE:
        return []
    burst = _Burst(
        records=records[first:end],
        failed=inside,
        outside=outside,
        outside_failed=failed - inside,
        since=size - end,
        doubt=_bound_doubt(inside, end - first, failed / size, whole),
    )
    before = _find_bursts(records[:first], marks[:first], whole)
    return [*before, burst, *_find_bursts(records[end:], marks[end:], whole)]


def _find_likeliest(failed: list[bool]) -> tuple[int, int]:
    """The stretch that speaks most for failing half-way between the overall rate and always
    (the greatest sum of log-likelihood ratios, Kadane's way), from its begin to before its end."""
    rate = sum(failed) / len(failed)
    up, down = math.log((1 + rate) / (2 * rate)), math.log(0.5)
    best, found = 0.0, (0, 0)
    height, begin = 0.0, 0
    for place, has_failed in enumerate(failed):
        if height <= 0:
            height, begin = 0.0, place
        height += up if has_failed else down
        if height > best:
            best, found = height, (begin, place + 1)
    return found


def _bound_doubt(inside: int, size: int, rate: float, whole: int) -> float:
    """Hoeffding's bound (1963, also for draws without replacement) on so many failures among
    `size`, times the number of stretches that a log of `whole` requests has."""
    share = inside / size
    divergence = share * math.log(share / rate)
    if share < 1:
        divergence += (1 - share) * math.log((1 - share) / (1 - rate))
    return whole * (whole + 1) / 2 * math.exp(-size * divergence)


def _claim_bursts(bursts: dict[FailureKind, list[_Burst]], error: float) -> list[Insight]:
    return [
        _describe_burst(kind, burst)
        for kind, found in bursts.items()
        for burst in found
        if burst.doubt <= error
    ]


def _describe_burst(kind: FailureKind, burst: _Burst) -> Insight:
    size = len(burst.records)
    begin, end = burst.records[0].at, burst.records[-1].at
    share = burst.failed / size
    goes_on = (1 - share) ** burst.since >= DOUBT
    period = format_period(begin, end)
    if goes_on:
        period = f"since {format_moment(begin)}, and it goes on"
    return Insight(
        id=f"error.burst:{kind.words}@{begin}",
        kind="error",
        severity="warning" if goes_on else "notice",
        title=f"{period[0].upper()}{period[1:]}, {burst.failed:,} of {size:,} requests"
        f" ({format_percent(share)}) failed with {kind.words}; of the {burst.outside:,} others in"
        f" the log, {burst.outside_failed:,} did.",
        period=period,
        amount=Amount(burst.failed, "requests"),
        evidence={
            "status": kind.status,
            "provider": kind.provider,
            "failed": burst.failed,
            "requests": size,
            "othersFailed": burst.outside_failed,
            "othersRequests": burst.outside,
            "begin": begin,
            "end": end,
            "goesOn": int(goes_on),
            "users": len({record.user for record in burst.records if record.has_failed}),
        },
    )


def _claim_steady(
    steady: dict[FailureKind, Tally], bursts: dict[FailureKind, list[_Burst]], error: float
) -> list[Insight]:
    found = []
    for kind, tally in steady.items():
        failing = tally.estimate(error)
        in_bursts = any(burst.doubt <= error for burst in bursts[kind])
        if failing.low > LEAST_RATE and not in_bursts:
            found.append(_describe_steady(kind, tally, failing))
    return found


def _describe_steady(kind: FailureKind, tally: Tally, failing: Interval) -> Insight:
    return Insight(
        id=f"error.steady:{kind.words}",
        kind="error",
        title=f"{format_percent(failing.point)} of {tally.size:,} requests failed with"
        f" {kind.words}, all the time.",
        amount=Amount(tally.of, "requests"),
        evidence={
            "status": kind.status,
            "provider": kind.provider,
            "failed": tally.of,
            "requests": tally.size,
            "shareLow": failing.low,
            "shareHigh": failing.high,
        },
    )
