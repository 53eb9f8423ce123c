"""Pools in use: a day at a provider that is short by day, and hours of bursts."""

from functools import cache

import pytest

from proxy.limits.token_bucket import Rate
from tests.unit.limits import day, spells
from tests.unit.limits.making import HOUR, USUAL


def count_429s(groups: dict[str, day.Tally]) -> float:
    """429s for each request that was sent."""
    tallies = groups.values()
    return sum(tally.limited for tally in tallies) / sum(tally.sent for tally in tallies)


def test_a_day_that_the_provider_is_short_on() -> None:
    without = day.run(range(9, 10), adaptive=False)
    assert without["quiet"].got < 0.7 * without["quiet"].sent
    for telling, hours in ((False, 2), (True, 1)):
        groups = day.run(range(9, 9 + hours), adaptive=True, telling=telling)
        heavy, interactive, quiet = groups["heavy"], groups["interactive"], groups["quiet"]
        assert quiet.got >= (0.99 if telling else 0.98) * quiet.sent
        assert interactive.got >= 0.99 * interactive.sent
        assert heavy.got < 0.5 * heavy.sent
        assert count_429s(groups) < count_429s(without) / (500 if telling else 50)
        assert sum(tally.got for tally in groups.values()) >= 0.97 * hours * day.LITTLE.per_hour


@cache
def count_healthy(users: int, rate: Rate) -> int:
    """What a provider answers that never says 429."""
    bursts = spells.run(spells.Spells(users=users, rate=rate), spells.Provider())
    return sum(burst.got for burst in bursts)


@pytest.mark.parametrize("lone", [(1,), (5,), (15,), (100,), (1, 2, 3)])
@pytest.mark.parametrize("rate", [Rate(1000, 100_000), USUAL])
@pytest.mark.parametrize("users", [1, 3, 20])
def test_lone_429s_cost_a_healthy_provider_nothing(
    lone: tuple[int, ...], rate: Rate, users: int
) -> None:
    bursts = spells.run(spells.Spells(users=users, rate=rate), spells.Provider(lone=lone, storm=3))
    sent = sum(burst.got + burst.limited for burst in bursts)
    assert sent >= 0.99 * count_healthy(users, rate)


@pytest.mark.parametrize(("users", "least"), [(1, 0.9), (3, 0.95), (20, 0.99)])
def test_429s_now_and_then_cost_a_healthy_provider_little(users: int, least: float) -> None:
    provider = spells.Provider(lone=(1, 20, 40, 60, 80, 100), storm=3)
    demand = spells.Spells(users=users)
    bursts = spells.run(demand, provider)
    assert sum(burst.got for burst in bursts) >= least * count_healthy(users, demand.rate)


@pytest.mark.parametrize("bears", [Rate(100, 6000), Rate(20, 600), Rate(1, 60)])
def test_429s_that_go_on_get_the_pool_down_to_what_the_provider_bears(bears: Rate) -> None:
    demand = spells.Spells(quiet=(5000, 20_000), count=60)
    bursts = spells.run(demand, spells.Provider(bears=bears))
    late = bursts[10:]
    refused, got = (sum(getattr(burst, what) for burst in late) for what in ("limited", "got"))
    assert refused < 0.05 * sum(burst.sent for burst in late)
    hours = (late[-1].ended - bursts[9].ended) / HOUR
    assert got >= 0.6 * bears.per_hour * hours
