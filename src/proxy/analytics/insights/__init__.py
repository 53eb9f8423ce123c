"""Conclusions from what was seen, each with its evidence: docs/insights.md says how each is drawn.

Promises: a pure function of what it is given, in whatever order that is; nothing is claimed below
its minimum sample; and what is inferred holds all together with the level that it tells, however
many comparisons were made (Bonferroni's correction over all of a report).
"""

import msgspec
from msgspec import Struct, structs

from proxy.analytics.insights import breakers, cache, cost, errors, providers, users
from proxy.analytics.insights.model import Insight, Kind, Seen, Severity
from proxy.analytics.insights.sampling import Log

LEVELS = (0.95, 0.99, 0.999)
"""What is claimed holds at the first; the greatest at which it does is told."""
SEVERITIES: tuple[Severity, ...] = ("warning", "notice", "info")
KINDS: tuple[Kind, ...] = ("breaker", "error", "provider", "user", "cost", "cache")
"""Their order in a report, among those as severe."""


class Sample(Struct, frozen=True):
    """What a report rests on: requests of the window, and those of them in the log."""

    requests: int
    logged: int


class Report(Struct, frozen=True):
    """The answer of /analytics/insights."""

    window: str
    sample: Sample
    insights: list[Insight]


def insights(seen: Seen) -> list[Insight]:
    """The conclusions, the most important first."""
    log = Log(seen.events)
    rooms = (errors, providers, users, cache)
    families = [family for room in rooms for family in room.families(seen, log)]
    comparisons = max(1, sum(family.comparisons for family in families))
    found: dict[str, Insight] = {}
    for level in LEVELS:
        error = (1 - level) / comparisons
        claims = {one.id: one for family in families for one in family.claims(error)}
        if level == LEVELS[0]:
            found = claims
        for id_ in claims.keys() & found.keys():
            found[id_] = structs.replace(found[id_], confidence=level)
    counted = (
        breakers.history(seen)
        + users.shares(seen)
        + cost.elsewhere(seen)
        + cache.longer_ttl(seen, log)
    )
    return sorted([*found.values(), *counted], key=_rank)


def render(seen: Seen, found: list[Insight], window: str) -> bytes:
    """The body of the answer. window: as it was asked for."""
    requests = sum(group.totals.requests for group in seen.groups)
    return msgspec.json.encode(
        Report(window, Sample(requests, len(Log(seen.events).events)), found)
    )


def _rank(one: Insight) -> tuple[int, int, float, str]:
    amount = abs(one.amount.value) if one.amount else 0.0
    return SEVERITIES.index(one.severity), KINDS.index(one.kind), -amount, one.id
