"""Users: their share, what changed against their own past, what fails, what limits refuse."""

import math
from collections import Counter, defaultdict
from collections.abc import Callable, Sequence
from functools import partial

from msgspec import Struct

from proxy.analytics.insights.model import Amount, Family, Insight, Seen, percent, usd
from proxy.analytics.insights.sampling import (
    Interval,
    Log,
    Odd,
    Tally,
    bunching,
    odd_ones,
    rate,
    spread,
)
from proxy.analytics.record.request_record import RequestRecord
from proxy.analytics.store.figures import Group

SHARED = 200
"""Requests of all below which no share is told,"""
SHARERS = 3
"""and users."""
LEAST_SHARE = 0.6
PAST = 50
"""Requests in each of both windows below which no change is told."""
LEAST_RATIO = 1.5
"""The factor by which requests must have changed, also against those of the others."""
REQUESTS = 100
"""Requests of a user below which neither errors nor limits are told."""
LEAST_ERRORS = 0.05
"""How much more of a user's requests must fail than of the others'."""
LEAST_LIMITED = 0.05
"""The least share that limits refuse,"""
LIMITED = 20
"""and the least number."""


class _Sums(Struct):
    requests: int = 0
    failed: int = 0
    """Without those that limits refused."""
    limited: int = 0
    cost: int = 0


class _Change(Struct, frozen=True):
    """A user's requests now and in the past, and those of the others."""

    now: int
    past: int
    others_now: int
    others_past: int
    bunching: float

    def ratio(self, error: float) -> Interval:
        """By what factor they changed, as a logarithm."""
        return _ratio(self.now, self.past, self.bunching, error)

    def against_others(self, error: float) -> Interval:
        """The same as a part of what the others' changed by, where they are enough."""
        if min(self.others_now, self.others_past) < PAST:
            return self.ratio(error)
        others = _ratio(self.others_now, self.others_past, self.bunching, error)
        return self.ratio(error).minus(others)


def families(seen: Seen, log: Log) -> list[Family]:
    """What may be chance: errors, limits, changes."""
    users = _by_user(seen.groups)
    failed = {user: (sums.failed, sums.requests) for user, sums in users.items()}
    limited = {user: (sums.limited, sums.requests) for user, sums in users.items()}
    errors = _tallies(failed, log, lambda event: event.failed and not _refused(event))
    limits = _tallies(limited, log, _refused)
    changes = _changes(users, _by_user(seen.past), log)
    return [
        Family(len(errors), partial(_errors, errors)),
        Family(len(limits), partial(_limits, limits)),
        Family(len(changes), partial(_changed, changes)),
    ]


def shares(seen: Seen) -> list[Insight]:
    """Who makes most of the requests, or of the cost."""
    users = _by_user(seen.groups)
    requests = sum(sums.requests for sums in users.values())
    cost = sum(sums.cost for sums in users.values())
    if requests < SHARED or len(users) < SHARERS:
        return []
    return [
        Insight(
            id=f"user.share:{user}",
            kind="user",
            severity="info",
            title=f"{user} made {percent(sums.requests / requests)} of the {requests:,} requests"
            f" of {len(users):,} users and {percent(sums.cost / max(1, cost))} of the cost of"
            f" {usd(cost)}.",
            amount=Amount(round(100 * sums.requests / requests, 1), "%"),
            evidence={
                "user": user,
                "requests": sums.requests,
                "allRequests": requests,
                "users": len(users),
                "cost": sums.cost / 1e9,
                "allCost": cost / 1e9,
            },
        )
        for user, sums in users.items()
        if sums.requests >= LEAST_SHARE * requests or sums.cost >= LEAST_SHARE * max(1, cost)
    ]


def _by_user(groups: Sequence[Group]) -> dict[str, _Sums]:
    """The sums of those who were let in."""
    found: defaultdict[str, _Sums] = defaultdict(_Sums)
    for group in groups:
        if user := str(group.key["user"]):
            sums, totals = found[user], group.totals
            sums.requests += totals.requests
            sums.failed += totals.errors - totals.limited
            sums.limited += totals.limited
            sums.cost += totals.cost
    return {user: found[user] for user in sorted(found)}


def _refused(event: RequestRecord) -> bool:
    """As Totals counts what is limited."""
    return event.status in (402, 429)


def _tallies(
    counts: dict[str, tuple[int, int]], log: Log, marked: Callable[[RequestRecord], bool]
) -> dict[str, Tally]:
    marks: defaultdict[str, list[tuple[int, bool]]] = defaultdict(list)
    for event in log.events:
        marks[event.user].append((log.part(event), marked(event)))
    return {
        user: Tally(of, size, scatter)
        for user, (of, size) in counts.items()
        if size >= REQUESTS and (scatter := spread(marks[user]))
    }


def _errors(tallies: dict[str, Tally], error: float) -> list[Insight]:
    odd = odd_ones(tallies, LEAST_ERRORS, error, bad=1)
    return [_failing(one) for one in odd if one.difference.point > 0]


def _failing(odd: Odd) -> Insight:
    own, rest = odd.tally, odd.rest
    return Insight(
        id=f"user.errors:{odd.name}",
        kind="user",
        severity="notice",
        title=f"{percent(own.of / own.size)} of {own.size:,} requests of {odd.name} failed, and"
        f" {percent(rest.of / rest.size)} of {rest.size:,} of the others.",
        amount=Amount(own.of, "requests"),
        evidence={
            "user": odd.name,
            "requests": own.size,
            "failed": own.of,
            "othersRequests": rest.size,
            "othersFailed": rest.of,
            "differenceLow": odd.difference.low,
            "differenceHigh": odd.difference.high,
        },
    )


def _limits(tallies: dict[str, Tally], error: float) -> list[Insight]:
    found = []
    for user, tally in tallies.items():
        refused = tally.rate(error)
        if tally.of >= LIMITED and refused.low > LEAST_LIMITED:
            found.append(
                Insight(
                    id=f"user.limits:{user}",
                    kind="user",
                    severity="notice",
                    title=f"Limits or budgets refused {tally.of:,} of {tally.size:,} requests of"
                    f" {user} ({percent(refused.point)}).",
                    amount=Amount(tally.of, "requests"),
                    evidence={
                        "user": user,
                        "requests": tally.size,
                        "refused": tally.of,
                        "shareLow": refused.low,
                        "shareHigh": refused.high,
                    },
                )
            )
    return found


def _changes(users: dict[str, _Sums], past: dict[str, _Sums], log: Log) -> dict[str, _Change]:
    everyone = Counter(log.part(event) for event in log.events)
    parts: defaultdict[str, list[int]] = defaultdict(list)
    for event in log.events:
        parts[event.user].append(log.part(event))
    all_now = sum(sums.requests for sums in users.values())
    all_past = sum(sums.requests for sums in past.values())
    found = {}
    for user in sorted(users.keys() & past.keys()):
        now, before = users[user].requests, past[user].requests
        if min(now, before) >= PAST and (scatter := bunching(parts[user], everyone)):
            found[user] = _Change(now, before, all_now - now, all_past - before, scatter)
    return found


def _ratio(now: int, past: int, scatter: float, error: float) -> Interval:
    """The factor between two counts, from the share that one has in both; neither is 0."""
    share = rate(now / scatter, (now + past) / scatter, error)
    return Interval(*(math.log(s / (1 - s)) for s in (share.point, share.low, share.high)))


def _changed(changes: dict[str, _Change], error: float) -> list[Insight]:
    least = math.log(LEAST_RATIO)
    found = []
    for user, change in changes.items():
        own, relative = change.ratio(error), change.against_others(error)
        if min(own.clearance(least), relative.clearance(least)) <= 0:
            continue
        if own.point * relative.point < 0:
            continue  # it rose, but less than all others, or the other way round
        grown = own.point > 0
        found.append(
            Insight(
                id=f"user.change:{user}",
                kind="user",
                severity="notice" if grown else "info",
                title=f"{user} made {change.now:,} requests, {'up' if grown else 'down'} from"
                f" {change.past:,} in the window before (the others: {change.others_now:,} from"
                f" {change.others_past:,}).",
                amount=Amount(change.now - change.past, "requests"),
                evidence={
                    "user": user,
                    "requests": change.now,
                    "past": change.past,
                    "othersRequests": change.others_now,
                    "othersPast": change.others_past,
                    "factorLow": math.exp(own.low),
                    "factorHigh": math.exp(own.high),
                },
            )
        )
    return found
