"""The cache: whose hit rate is unlike the others', and what a longer TTL would have brought."""

from collections import Counter, defaultdict
from functools import partial
from typing import Literal

from msgspec import Struct

from proxy.analytics.insights.model import (
    Amount,
    Family,
    Insight,
    Seen,
    duration,
    percent,
    usd,
)
from proxy.analytics.insights.sampling import Log, Odd, Tally, odd_ones, spread
from proxy.analytics.record.request_record import RequestRecord
from proxy.analytics.store.figures import Group

LOOKED_UP = 200
"""Answers, hits and misses, below which no hit rate is told."""
LEAST_RATE = 0.1
"""How much a hit rate must differ from that of the rest."""
EXTRA_HITS = 30
"""Hits that a longer TTL must have brought, and their least share of what was looked up."""
EXTRA_SHARE = 0.02
TTLS = (6 * 3600, 86400, 7 * 86400, 30 * 86400)
"""Seconds that are tried, beside twice the TTL in use."""
MOST = 0.8
"""The share of the most that can be had, with which a shorter TTL is preferred."""

Dimension = Literal["model", "user"]


def families(seen: Seen, log: Log) -> list[Family]:
    """The hit rates by model and by user."""
    found = []
    for dimension in ("model", "user"):
        tallies = _tallies(seen, log, dimension)
        found.append(Family(len(tallies), partial(_odd_rates, tallies, dimension)))
    return found


def _tallies(seen: Seen, log: Log, dimension: Dimension) -> dict[str, Tally]:
    """Hits of all answers that were looked up."""
    hits: Counter[str] = Counter()
    looked_up: Counter[str] = Counter()
    for group in seen.groups:
        if name := _name(group, dimension):
            hits[name] += group.totals.hits
            looked_up[name] += group.totals.hits + group.totals.misses
    marks: defaultdict[str, list[tuple[int, bool]]] = defaultdict(list)
    for event in log.events:
        if event.model and event.cache_status in ("hit", "miss"):
            name = event.user if dimension == "user" else f"{event.provider}/{event.model}"
            marks[name].append((log.part(event), event.cache_status == "hit"))
    return {
        name: Tally(hits[name], size, scatter)
        for name, size in looked_up.items()
        if size >= LOOKED_UP and (scatter := spread(marks[name]))
    }


def _name(group: Group, dimension: Dimension) -> str:
    key = group.key
    if not key["model"]:
        return ""
    return str(key["user"]) if dimension == "user" else f"{key['provider']}/{key['model']}"


def _odd_rates(tallies: dict[str, Tally], dimension: Dimension, error: float) -> list[Insight]:
    return [_odd_rate(odd, dimension) for odd in odd_ones(tallies, LEAST_RATE, error, bad=-1)]


def _odd_rate(odd: Odd, dimension: Dimension) -> Insight:
    own, rest, gap = odd.tally, odd.rest, odd.difference
    word = "only " if gap.point < 0 else ""
    return Insight(
        id=f"cache.{dimension}:{odd.name}",
        kind="cache",
        severity="notice" if gap.point < 0 else "info",
        title=f"The cache gave {word}{percent(own.of / own.size)} of {own.size:,} answers for"
        f" {odd.name}, and {percent(rest.of / rest.size)} of {rest.size:,} for the others.",
        amount=Amount(round(100 * gap.point, 1), "%"),
        evidence={
            dimension: odd.name,
            "answers": own.size,
            "hits": own.of,
            "othersAnswers": rest.size,
            "othersHits": rest.of,
            "differenceLow": gap.low,
            "differenceHigh": gap.high,
        },
    )


# --- a longer TTL -----------------------------------------------------------------------------


class _Gain(Struct):
    """What another TTL would have changed."""

    hits: int = 0
    nano_usd: int = 0
    unpriced: int = 0


def longer_ttl(seen: Seen, log: Log) -> list[Insight]:
    """What a longer TTL would have brought: the log is played again with it."""
    asked: defaultdict[str, list[RequestRecord]] = defaultdict(list)
    looked_up = [e for e in log.events if e.cache_key and e.cache_status in ("hit", "miss")]
    for event in looked_up:
        asked[event.cache_key].append(event)
    span = (log.end - log.begin) / 1000
    ttls = sorted({t for t in (2 * seen.ttl, *TTLS) if seen.ttl < t <= span})
    gains = {ttl: _replayed(asked, seen.ttl * 1000, ttl * 1000) for ttl in ttls}
    most = max((gain.hits for gain in gains.values()), default=0)
    enough = max(EXTRA_HITS, EXTRA_SHARE * len(looked_up), MOST * most)
    ttl, gain = next(((t, g) for t, g in gains.items() if g.hits >= enough), (0, _Gain()))
    if not seen.ttl or not ttl:
        return []
    hits = sum(event.cache_status == "hit" for event in looked_up)
    dear = gain.nano_usd > 0
    saving = f", which cost {usd(gain.nano_usd)}" if dear else ""
    return [
        Insight(
            id="cache.longer_ttl",
            kind="cache",
            severity="notice",
            title=f"Had answers been kept for {duration(ttl)} instead of {duration(seen.ttl)},"
            f" {gain.hits:,} more of {len(looked_up):,} logged requests would have come from the"
            f" cache{saving}.",
            amount=Amount(gain.nano_usd / 1e9, "USD") if dear else Amount(gain.hits, "requests"),
            evidence={
                "ttl": seen.ttl,
                "longerTtl": ttl,
                "lookedUp": len(looked_up),
                "hits": hits,
                "extraHits": gain.hits,
                "saved": gain.nano_usd / 1e9,
                "unpriced": gain.unpriced,
                "repeatsOutsideTtl": _replayed(asked, seen.ttl * 1000, 1 << 60).hits,
                "loggedSeconds": round(span),
            },
        )
    ]


def _replayed(asked: dict[str, list[RequestRecord]], ttl: int, other: int) -> _Gain:
    """What changes with another TTL (both in ms). A miss on an answer that was fresh had another
    reason and stays one; what was a hit may become a miss, since the answer is an older one."""
    gain = _Gain()
    for events in asked.values():
        kept: int | None = None
        supposed: int | None = None
        for event in events:
            done = event.at + event.ms
            if event.cache_status == "hit":
                if supposed is not None and event.at - supposed >= other:
                    gain.hits -= 1
                    gain.nano_usd -= event.saved
                    supposed = done
                continue
            expired = kept is not None and event.at - kept >= ttl
            good = not event.failed and event.ended in ("", "ok")
            if good:
                kept = done
            if expired and supposed is not None and event.at - supposed < other:
                gain.hits += 1
                gain.nano_usd += event.cost or 0
                gain.unpriced += event.unpriced
            elif good:
                supposed = done
    return gain
