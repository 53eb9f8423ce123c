"""The breakers' history: counted, not inferred."""

from collections import Counter, defaultdict

from proxy.analytics.insights.model import Amount, Insight, Observations, OpenedBreaker
from proxy.analytics.insights.words import format_duration, format_period

OPENED = 3
"""Openings of a breaker below which there is no insight,"""
LASTING = ("misconfigured", "not_found")
"""but for these reasons, which no time heals: one is enough."""


def review_openings(window: Observations) -> list[Insight]:
    """The breakers that opened often, or for a lasting reason."""
    begin = window.now - window.seconds * 1000
    by_name: defaultdict[str, list[OpenedBreaker]] = defaultdict(list)
    for opening in sorted(window.openings, key=lambda o: (o.name, o.at, o.open_until)):
        if begin <= opening.at <= window.now:
            by_name[opening.name].append(opening)
    return [
        _describe(name, openings, window.now)
        for name, openings in by_name.items()
        if len(openings) >= OPENED or _is_lasting(openings)
    ]


def _is_lasting(openings: list[OpenedBreaker]) -> bool:
    return any(opening.reason in LASTING for opening in openings)


def _describe(name: str, openings: list[OpenedBreaker], now: int) -> Insight:
    reasons = Counter(opening.reason or "unknown" for opening in openings)
    often = min(reasons, key=lambda reason: (-reasons[reason], reason))
    first, last = openings[0], openings[-1]
    longest = sum(min(opening.open_until, now) - opening.at for opening in openings)
    times = "once" if len(openings) == 1 else f"{len(openings):,} times"
    period = format_period(first.at, last.at)
    is_open = last.open_until > now
    return Insight(
        id=f"breaker.opened:{name}",
        kind="breaker",
        severity="warning" if is_open or _is_lasting(openings) else "notice",
        title=f"The breaker of {name} opened {times} {period}, mostly as {often}: for up to"
        f" {format_duration(longest / 1000)} it was asked for nothing.",
        period=period,
        amount=Amount(longest, "ms"),
        evidence={
            "name": name,
            "openings": len(openings),
            **dict(sorted(reasons.items())),
            "first": first.at,
            "last": last.at,
            "longestMs": longest,
            "level": max(opening.level for opening in openings),
            "openNow": int(is_open),
        },
    )
