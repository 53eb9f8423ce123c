"""Conclusions from the records of requests, each with its evidence: docs/insights.md says how each
is drawn.

Promises: a pure function of what it is given, in whatever order that is; nothing is claimed below
its minimum sample; and what is inferred holds all together with the level that it claims, however
many comparisons were made (Bonferroni's correction over all of a report).
"""

import msgspec
from msgspec import structs

from proxy.analytics.insights import breakers, cache, cost, errors, providers, users
from proxy.analytics.insights.actions import advise
from proxy.analytics.insights.model import Insight, Kind, Observations, Severity
from proxy.analytics.insights.sampling import Timeline
from proxy.analytics.insights.words import format_percent, format_window

LEVELS = (0.95, 0.99, 0.999)
"""What is claimed holds at the first; an insight has the greatest at which it does."""
SEVERITIES: tuple[Severity, ...] = ("warning", "notice", "info")
KINDS: tuple[Kind, ...] = ("breaker", "error", "provider", "user", "cost", "cache")
"""Their order in a report, among those as severe."""
FROM_LOG = (
    *("cache.longer_ttl", "error.burst", "error.steady"),
    *("provider.success", "provider.first_content", "provider.answer", "provider.cost"),
)
"""The rules whose numbers are counted in the log."""


def find_insights(window: Observations) -> list[Insight]:
    """The conclusions, the most important first."""
    timeline = Timeline(window.records)
    rooms = (errors, providers, users, cache)
    families = [family for room in rooms for family in room.build_families(window, timeline)]
    comparisons = max(1, sum(family.comparisons for family in families))
    found: dict[str, Insight] = {}
    for level in LEVELS:
        error = (1 - level) / comparisons
        claims = {claim.id: claim for family in families for claim in family.claims(error)}
        if level == LEVELS[0]:
            found = claims
        for id_ in claims.keys() & found.keys():
            found[id_] = structs.replace(found[id_], confidence=level)
    counted = (
        breakers.review_openings(window)
        + users.find_shares(window)
        + cost.compare_prices(window)
        + cache.suggest_ttl(window, Timeline(window.repeats))
    )
    both = (*found.values(), *counted)
    whole = format_window(window.seconds, window.now)
    complete = (
        structs.replace(insight, period=insight.period or whole, action=advise(insight))
        for insight in both
    )
    return sorted((_state_share(insight, window.share) for insight in complete), key=_rank)


def render_insights(window: Observations, insights: list[Insight], text: str) -> bytes:
    """The body of the answer. text: the window as the caller wrote it."""
    requests = sum(group.totals.requests for group in window.users)
    logged = sum(record.endpoint.startswith("/v1/") for record in window.records)
    sample = {"requests": requests, "logged": logged, "share": window.share}
    return msgspec.json.encode({"window": text, "sample": sample, "insights": insights})


def _state_share(insight: Insight, share: float) -> Insight:
    """What was counted in a sample says so."""
    if share == 1 or insight.id.partition(":")[0] not in FROM_LOG:
        return insight
    return structs.replace(
        insight,
        title=f"{insight.title} (Counted in a sample of {format_percent(share)} of the log.)",
        evidence=insight.evidence | {"sampleShare": share},
    )


def _rank(insight: Insight) -> tuple[int, int, float, str]:
    amount = abs(insight.amount.value) if insight.amount else 0.0
    severity, kind = SEVERITIES.index(insight.severity), KINDS.index(insight.kind)
    return severity, kind, -amount, insight.id
