"""The cache: whose hit rate is unlike the others', and what a longer TTL would have brought."""

from collections import defaultdict
from collections.abc import Iterable
from functools import partial
from typing import Literal

from msgspec import Struct

from proxy.analytics.insights.model import (
    Amount,
    Family,
    Insight,
    Observations,
    model_of,
    sum_groups,
    user_of,
)
from proxy.analytics.insights.sampling import (
    Comparison,
    Mark,
    Tally,
    Timeline,
    build_tallies,
    find_outliers,
)
from proxy.analytics.insights.words import format_duration, format_percent
from proxy.analytics.record.request_record import RequestRecord
from proxy.core.money import format_dollars, to_dollars

LOOKED_UP = 200
"""Answers, hits and misses, below which no hit rate is compared."""
LEAST_RATE = 0.1
"""How much a hit rate must differ from that of the rest."""
EXTRA_HITS = 30
"""Hits that a longer TTL must have brought, and their least share of what was looked up."""
EXTRA_SHARE = 0.02
TTLS = (6 * 3600, 86400, 7 * 86400, 30 * 86400)
"""Seconds that are tried, beside twice the TTL in use."""
MOST = 0.8
"""The share of the most that can be had, with which a shorter TTL is preferred."""

Grouping = Literal["model", "user"]


def build_families(window: Observations, timeline: Timeline) -> list[Family]:
    """The hit rates by model and by user."""
    groupings: tuple[Grouping, ...] = ("model", "user")
    found = []
    for grouping in groupings:
        tallies = _tally_hits(window, timeline, grouping)
        found.append(Family(len(tallies), partial(_compare_rates, tallies, grouping)))
    return found


def _tally_hits(window: Observations, timeline: Timeline, grouping: Grouping) -> dict[str, Tally]:
    """Hits of all answers that were looked up; only requests for a model are."""
    by_user = grouping == "user"
    sums = sum_groups(window.tried, user_of) if by_user else sum_groups(window.models, model_of)
    marks: defaultdict[str, list[Mark]] = defaultdict(list)
    for part, record in timeline.placed:
        if record.model and record.cache_status in ("hit", "miss"):
            name = record.user if by_user else f"{record.provider}/{record.model}"
            marks[name].append((part, record.cache_status == "hit"))
    counts = {name: (totals.hits, totals.hits + totals.misses) for name, totals in sums.items()}
    return build_tallies(counts, marks, LOOKED_UP)


def _compare_rates(tallies: dict[str, Tally], grouping: Grouping, error: float) -> list[Insight]:
    found = find_outliers(tallies, LEAST_RATE, error, bad=-1)
    return [_describe_rate(outlier, grouping) for outlier in found]


def _describe_rate(outlier: Comparison, grouping: Grouping) -> Insight:
    own, others, gap = outlier.own, outlier.others, outlier.difference
    word = "only " if gap.point < 0 else ""
    return Insight(
        id=f"cache.{grouping}:{outlier.name}",
        kind="cache",
        severity="notice" if gap.point < 0 else "info",
        title=f"The cache gave {word}{format_percent(own.share)} of {own.size:,} answers for"
        f" {outlier.name}, and {format_percent(others.share)} of {others.size:,} for the others.",
        amount=Amount(round(100 * gap.point, 1), "%"),
        evidence={grouping: outlier.name, **outlier.list_evidence("answers", "hits")},
    )


class _Gain(Struct):
    """What another TTL would have changed."""

    ttl: int
    """Seconds."""
    hits: int = 0
    nano_usd: int = 0
    unpriced: int = 0


def suggest_ttl(window: Observations, timeline: Timeline) -> list[Insight]:
    """What a longer TTL would have brought: the log is played again with it."""
    by_key: defaultdict[str, list[RequestRecord]] = defaultdict(list)
    for record in timeline.records:
        if record.cache_key and record.cache_status in ("hit", "miss"):
            by_key[record.cache_key].append(record)
    looked_up = sum(map(len, by_key.values()))
    seconds = (timeline.end - timeline.begin) / 1000
    ttls = sorted({t for t in (2 * window.ttl, *TTLS) if window.ttl < t <= seconds})
    gains = [_replay(by_key.values(), window.ttl, ttl) for ttl in ttls]
    most = max((gain.hits for gain in gains), default=0)
    enough = max(EXTRA_HITS, EXTRA_SHARE * looked_up, MOST * most)
    gain = next((gain for gain in gains if gain.hits >= enough), None)
    if not window.ttl or gain is None:
        return []
    evidence = {
        "ttl": window.ttl,
        "longerTtl": gain.ttl,
        "lookedUp": looked_up,
        "hits": sum(r.cache_status == "hit" for records in by_key.values() for r in records),
        "extraHits": gain.hits,
        "saved": to_dollars(gain.nano_usd),
        "unpriced": gain.unpriced,
        "repeatsOutsideTtl": _replay(by_key.values(), window.ttl, 1 << 50).hits,
        "loggedSeconds": round(seconds),
    }
    return [_describe_gain(gain, evidence)]


def _describe_gain(gain: _Gain, evidence: dict[str, float]) -> Insight:
    dear = gain.nano_usd > 0
    saving = f", which cost {format_dollars(gain.nano_usd)}" if dear else ""
    return Insight(
        id="cache.longer_ttl",
        kind="cache",
        title=f"Had answers been kept for {format_duration(gain.ttl)} instead of"
        f" {format_duration(evidence['ttl'])}, {gain.hits:,} more of {evidence['lookedUp']:,}"
        f" logged requests would have come from the cache{saving}.",
        amount=Amount(to_dollars(gain.nano_usd), "USD") if dear else Amount(gain.hits, "requests"),
        evidence={**evidence},
    )


def _replay(by_key: Iterable[list[RequestRecord]], ttl: int, other: int) -> _Gain:
    """What changes with another TTL (both in seconds). A miss on an answer that was fresh had
    another reason and stays one; what was a hit may become a miss, since the answer is an older
    one."""
    gain = _Gain(other)
    for records in by_key:
        kept: int | None = None
        supposed: int | None = None
        for record in records:
            done = record.at + record.ms
            if record.cache_status == "hit":
                if supposed is not None and record.at - supposed >= other * 1000:
                    gain.hits -= 1
                    gain.nano_usd -= record.saved
                    supposed = done
                continue
            has_expired = kept is not None and record.at - kept >= ttl * 1000
            is_good = not record.has_failed and record.ended in ("", "ok")
            if is_good:
                kept = done
            if has_expired and supposed is not None and record.at - supposed < other * 1000:
                gain.hits += 1
                gain.nano_usd += record.cost or 0
                gain.unpriced += record.is_unpriced
            elif is_good:
                supposed = done
    return gain
