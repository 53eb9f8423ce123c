"""What tests of synthetic traffic read of insights, and what they plant."""

from collections.abc import Callable
from typing import Any

from proxy.analytics.insights import find_insights
from proxy.analytics.insights.model import Insight, Observations, Pair
from proxy.routing.board import BreakerOpening
from tests.unit.analytics.traffic import NOW, B

HOUR = 3_600_000


def only(window: Observations) -> Insight:
    """The only insight that there is."""
    (insight,) = find_insights(window)
    return insight


def ids(window: Observations) -> set[str]:
    return {insight.id for insight in find_insights(window)}


def evidence(insight: Insight, *names: str) -> list[Any]:
    return [insight.evidence[name] for name in names]


def outage(begin: float, end: float) -> Callable[[Pair, float], float]:
    return lambda pair, when: 0.9 if pair == B and begin <= when < end else 0.01


def openings(name: str, *hours_ago: int, reason: Any = None) -> list[BreakerOpening]:
    begins = [NOW - HOUR * hours for hours in hours_ago]
    return [
        BreakerOpening(name=name, at=at, open_until=at + 60_000, level=level, reason=reason)
        for level, at in enumerate(begins, 1)
    ]
