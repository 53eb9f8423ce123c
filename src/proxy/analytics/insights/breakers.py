"""The breakers' history: counted, not inferred."""

from collections import Counter, defaultdict

from proxy.analytics.insights.model import Amount, Insight, Opening, Seen, duration, moment

OPENED = 3
"""Openings of a breaker below which nothing is told of them,"""
LASTING = ("misconfigured", "not_found")
"""but for these reasons, which no time heals: one is enough."""


def history(seen: Seen) -> list[Insight]:
    """The breakers that opened often, or for a lasting reason."""
    begin = seen.now - seen.window * 1000
    by_name: defaultdict[str, list[Opening]] = defaultdict(list)
    for opening in seen.openings:
        if begin <= opening.at <= seen.now:
            by_name[opening.name].append(opening)
    found = []
    for name in sorted(by_name):
        openings = sorted(by_name[name], key=lambda one: (one.at, one.open_until))
        if len(openings) >= OPENED or any(one.reason in LASTING for one in openings):
            found.append(_told(name, openings, seen.now))
    return found


def _told(name: str, openings: list[Opening], now: int) -> Insight:
    reasons = Counter(one.reason or "unknown" for one in openings)
    often = min(reasons, key=lambda reason: (-reasons[reason], reason))
    first, last = openings[0], openings[-1]
    longest = sum(min(one.open_until, now) - one.at for one in openings)
    times = "once" if len(openings) == 1 else f"{len(openings):,} times"
    is_open = last.open_until > now
    lasting = any(one.reason in LASTING for one in openings)
    return Insight(
        id=f"breaker.opened:{name}",
        kind="breaker",
        severity="warning" if is_open or lasting else "notice",
        title=f"The breaker of {name} opened {times} from {moment(first.at)} to {moment(last.at)},"
        f" mostly as {often}: for up to {duration(longest / 1000)} it was asked for nothing.",
        amount=Amount(longest, "ms"),
        evidence={
            "name": name,
            "openings": len(openings),
            **dict(sorted(reasons.items())),
            "first": first.at,
            "last": last.at,
            "longestMs": longest,
            "level": max(one.level for one in openings),
            "openNow": int(is_open),
        },
    )
