"""Every claim about the cache at its minimum sample, and silence just below it."""

from typing import Any

import pytest
from msgspec import structs

from proxy.analytics.insights import (
    cache,
    find_insights,
)
from proxy.analytics.insights.sampling import LEAST_PARTS, PARTS
from proxy.analytics.record.request_record import RequestRecord
from tests.unit.analytics.insights.making import by, rules, spread_out, window_of
from tests.unit.analytics.traffic import DAY, NOW, TTL, A


def cached(user: str, count: int, hits: bool, parts: int = PARTS) -> list[RequestRecord]:
    """All hits or all misses of a user."""
    kept = {"provider": "p", "model": "m", "user": user, "cache_status": "hit" if hits else "miss"}
    return spread_out(count, lambda n: {**kept, "id": f"{user}{n}"}, parts)


@pytest.mark.parametrize(
    ("count", "parts", "claimed"),
    [
        (cache.LOOKED_UP, LEAST_PARTS, True),
        (cache.LOOKED_UP - 1, PARTS, False),
        (cache.LOOKED_UP, LEAST_PARTS - 1, False),
    ],
)
def test_hit_rates(count: int, parts: int, claimed: bool) -> None:
    found = rules(window_of(cached("ann", count, False, parts), cached("bob", 400, True)))
    assert ("cache.user" in found) is claimed


@pytest.mark.parametrize("missing", [0, 1])
def test_hits_of_a_longer_ttl(missing: int) -> None:
    def pairs(n: int) -> dict[str, Any]:
        at = NOW - DAY * 1000 + n // 2 * 60_000 + n % 2 * 2 * TTL * 1000
        return {**by(A, cost=5, output=1, cache_status="miss"), "cache_key": f"{n // 2}", "at": at}

    found = rules(window_of(spread_out(2 * (cache.EXTRA_HITS - missing), pairs)))
    assert ("cache.longer_ttl" in found) == (not missing)


def questions(*ages: tuple[str, float]) -> list[RequestRecord]:
    """Forty questions, each sent so many hours after the day's begin, with what became of it."""

    def question(n: int) -> dict[str, Any]:
        status, hour = ages[n // 40]
        at = NOW - DAY * 1000 + round(hour * 3_600_000) + n % 40
        more = {"cost": 0, "saved": 5} if status == "hit" else {"cost": 5}
        return {**by(A, output=1, cache_status=status, **more), "cache_key": f"{n % 40}", "at": at}

    return spread_out(40 * len(ages), question)


def longer(*ages: tuple[str, float]) -> list[Any]:
    found = {insight.id: insight for insight in find_insights(window_of(questions(*ages)))}
    insight = found.get("cache.longer_ttl")
    return [insight.evidence[name] for name in ("longerTtl", "extraHits")] if insight else []


def test_a_miss_within_the_ttl_has_another_reason() -> None:
    assert longer(("miss", 1), ("miss", 1.9)) == []
    assert longer(("miss", 1), ("miss", 2.1)) == [7200, 40]


def test_an_answer_that_stays_longer_is_older_later() -> None:
    """At 2.5 h it would be the answer of 1 h, at 3.4 h one that is too old for 2 h."""
    shown = ("miss", 1), ("miss", 2.5), ("hit", 3.4)
    assert longer(*shown) == [6 * 3600, 40]
    assert longer(("miss", 1), ("miss", 2.5), ("hit", 2.9)) == [7200, 40]


def test_what_failed_or_broke_off_is_not_kept() -> None:
    records = questions(("miss", 1), ("miss", 3))
    first = [record for record in records if record.at < NOW - DAY * 1000 + 2 * 3_600_000]
    rest = [record for record in records if record not in first]
    for change in ({"status": 502}, {"ended": "client_gone"}):
        broken = [structs.replace(record, **change) for record in first]
        assert rules(window_of(broken, rest)) & {"cache.longer_ttl"} == set()


def test_the_shortest_ttl_that_brings_most_is_told() -> None:
    several = [("miss", 1.0), ("miss", 2.5), ("miss", 4.0), ("miss", 5.5)]
    # kept 2 h: two of them are hits; kept 6 h: three
    assert longer(*several) == [6 * 3600, 120]
    # another that only a day brings is too few to wait a day for
    late = [*several, ("miss", 6.8), ("miss", 13.0)]
    assert longer(*late) == [6 * 3600, 160]
