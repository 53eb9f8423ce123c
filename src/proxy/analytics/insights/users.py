"""Users: their share, what changed against their own past, what fails, what limits refuse."""

import math
from collections import Counter, defaultdict
from collections.abc import Callable
from functools import partial

from msgspec import Struct

from proxy.analytics.insights.model import (
    Amount,
    Family,
    Insight,
    Observations,
    sum_groups,
    user_of,
)
from proxy.analytics.insights.sampling import (
    Comparison,
    Interval,
    Mark,
    Tally,
    Timeline,
    build_tallies,
    estimate_rate,
    find_dispersion,
    find_outliers,
)
from proxy.analytics.insights.words import format_percent
from proxy.analytics.record.request_record import RequestRecord
from proxy.analytics.store.totals import Totals
from proxy.core.money import format_dollars, to_dollars

SHARED = 200
"""Requests of all below which no share is an insight,"""
SHARERS = 3
"""and users."""
LEAST_SHARE = 0.6
PAST = 50
"""Requests in each of both windows below which no change is."""
LEAST_RATIO = 1.5
"""The factor by which requests must have changed, also against those of the others."""
REQUESTS = 100
"""Requests of a user below which neither errors nor limits are."""
LEAST_ERRORS = 0.05
"""How much more of a user's requests must fail than of the others'."""
LEAST_LIMITED = 0.05
"""The least share that limits refuse,"""
LIMITED = 20
"""and the least number."""


class _Change(Struct, frozen=True):
    """A user's requests now and in the past, and those of the others."""

    now: int
    past: int
    others_now: int
    others_past: int
    dispersion: float

    def estimate(self, error: float) -> Interval:
        """By what factor they changed, as a logarithm."""
        return self._compare(self.now, self.past, error)

    def against_others(self, error: float) -> Interval:
        """The same as a part of what the others' changed by, where they are enough."""
        if min(self.others_now, self.others_past) < PAST:
            return self.estimate(error)
        return self.estimate(error).minus(self._compare(self.others_now, self.others_past, error))

    def _compare(self, now: int, past: int, error: float) -> Interval:
        """The factor between two counts, from the share that one has in both; neither is 0."""
        share = estimate_rate(now / self.dispersion, (now + past) / self.dispersion, error)
        return Interval(*(math.log(s / (1 - s)) for s in (share.point, share.low, share.high)))


def build_families(window: Observations, timeline: Timeline) -> list[Family]:
    """What may be chance: errors, limits, changes."""
    users = sum_groups(window.users, user_of)
    failed = {user: (t.errors - t.limited, t.requests) for user, t in users.items()}
    limited = {user: (t.limited, t.requests) for user, t in users.items()}
    errors = build_tallies(failed, _mark(timeline, _has_failed), REQUESTS)
    limits = build_tallies(limited, _mark(timeline, _is_limited), REQUESTS)
    changes = _find_changes(users, sum_groups(window.past, user_of), timeline)
    return [
        Family(len(errors), partial(_claim_errors, errors)),
        Family(len(limits), partial(_claim_limits, limits)),
        Family(len(changes), partial(_claim_changes, changes)),
    ]


def find_shares(window: Observations) -> list[Insight]:
    """The users with most of the requests, or of the cost."""
    users = sum_groups(window.users, user_of)
    requests = sum(totals.requests for totals in users.values())
    cost = sum(totals.cost for totals in users.values())
    if requests < SHARED or len(users) < SHARERS:
        return []
    return [
        Insight(
            id=f"user.share:{user}",
            kind="user",
            severity="info",
            title=f"{user} made {format_percent(totals.requests / requests)} of the {requests:,}"
            f" requests of {len(users):,} users and {format_percent(totals.cost / max(1, cost))} of"
            f" the cost of {format_dollars(cost)}.",
            amount=Amount(round(100 * totals.requests / requests, 1), "%"),
            evidence={
                "user": user,
                "requests": totals.requests,
                "allRequests": requests,
                "users": len(users),
                "cost": to_dollars(totals.cost),
                "allCost": to_dollars(cost),
            },
        )
        for user, totals in users.items()
        if totals.requests >= LEAST_SHARE * requests or totals.cost >= LEAST_SHARE * max(1, cost)
    ]


def _is_limited(record: RequestRecord) -> bool:
    """As Totals counts it."""
    return record.status in (402, 429)


def _has_failed(record: RequestRecord) -> bool:
    return record.has_failed and not _is_limited(record)


def _mark(timeline: Timeline, is_marked: Callable[[RequestRecord], bool]) -> dict[str, list[Mark]]:
    marks: defaultdict[str, list[Mark]] = defaultdict(list)
    for part, record in timeline.placed:
        marks[record.user].append((part, is_marked(record)))
    return marks


def _claim_errors(tallies: dict[str, Tally], error: float) -> list[Insight]:
    found = find_outliers(tallies, LEAST_ERRORS, error, bad=1)
    return [_describe_errors(outlier) for outlier in found if outlier.difference.point > 0]


def _describe_errors(outlier: Comparison) -> Insight:
    own, others = outlier.own, outlier.others
    return Insight(
        id=f"user.errors:{outlier.name}",
        kind="user",
        title=f"{format_percent(own.share)} of {own.size:,} requests of {outlier.name} failed, and"
        f" {format_percent(others.share)} of {others.size:,} of the others.",
        amount=Amount(own.of, "requests"),
        evidence={"user": outlier.name, **outlier.list_evidence("requests", "failed")},
    )


def _claim_limits(tallies: dict[str, Tally], error: float) -> list[Insight]:
    found = []
    for user, tally in tallies.items():
        refused = tally.estimate(error)
        if tally.of >= LIMITED and refused.low > LEAST_LIMITED:
            found.append(_describe_limits(user, tally, refused))
    return found


def _describe_limits(user: str, tally: Tally, refused: Interval) -> Insight:
    return Insight(
        id=f"user.limits:{user}",
        kind="user",
        title=f"Limits or budgets refused {tally.of:,} of {tally.size:,} requests of {user}"
        f" ({format_percent(refused.point)}).",
        amount=Amount(tally.of, "requests"),
        evidence={
            "user": user,
            "requests": tally.size,
            "refused": tally.of,
            "shareLow": refused.low,
            "shareHigh": refused.high,
        },
    )


def _find_changes(
    users: dict[str, Totals], past: dict[str, Totals], timeline: Timeline
) -> dict[str, _Change]:
    everyone = Counter(part for part, _ in timeline.placed)
    parts: defaultdict[str, list[int]] = defaultdict(list)
    for part, record in timeline.placed:
        parts[record.user].append(part)
    all_now = sum(totals.requests for totals in users.values())
    all_past = sum(totals.requests for totals in past.values())
    found = {}
    for user in sorted(users.keys() & past.keys()):
        now, before = users[user].requests, past[user].requests
        if min(now, before) >= PAST and (dispersion := find_dispersion(parts[user], everyone)):
            found[user] = _Change(now, before, all_now - now, all_past - before, dispersion)
    return found


def _claim_changes(changes: dict[str, _Change], error: float) -> list[Insight]:
    least = math.log(LEAST_RATIO)
    found = []
    for user, change in changes.items():
        own, relative = change.estimate(error), change.against_others(error)
        is_clear = min(own.clearance(least), relative.clearance(least)) > 0
        # The signs differ where it rose, but less than all others, or the other way round.
        if is_clear and own.point * relative.point >= 0:
            found.append(_describe_change(user, change, own))
    return found


def _describe_change(user: str, change: _Change, factor: Interval) -> Insight:
    has_grown = factor.point > 0
    return Insight(
        id=f"user.change:{user}",
        kind="user",
        severity="notice" if has_grown else "info",
        title=f"{user} made {change.now:,} requests, {'up' if has_grown else 'down'} from"
        f" {change.past:,} in the window before (the others: {change.others_now:,} from"
        f" {change.others_past:,}).",
        amount=Amount(change.now - change.past, "requests"),
        evidence={
            "user": user,
            "requests": change.now,
            "past": change.past,
            "othersRequests": change.others_now,
            "othersPast": change.others_past,
            "factorLow": math.exp(factor.low),
            "factorHigh": math.exp(factor.high),
        },
    )
