"""The intervals hold what they promise, also where requests come in clusters."""

import math
from collections import Counter
from collections.abc import Callable
from random import Random
from statistics import NormalDist

import pytest

from proxy.analytics.insights.sampling import (
    LEAST_PARTS,
    PARTS,
    Interval,
    Tally,
    Timeline,
    estimate_median,
    estimate_rate,
    find_design_effect,
    find_deviations,
    find_dispersion,
    find_outliers,
    pool_tallies,
)
from proxy.analytics.record.request_record import RequestRecord

TRIALS = 1_000


@pytest.mark.parametrize("error", [1.0, 0.3, 0.05, 0.001, 1e-6, 1e-9])
def test_deviations_are_those_of_the_normal_distribution(error: float) -> None:
    assert find_deviations(error) == pytest.approx(-NormalDist().inv_cdf(error / 2), abs=1e-6)


@pytest.mark.parametrize(
    ("of", "size", "low", "high"),
    [(81, 263, 0.2553, 0.3662), (15, 148, 0.0624, 0.1605), (0, 20, 0.0, 0.1611)],
)
def test_rates_are_as_published(of: int, size: int, low: float, high: float) -> None:
    """Newcombe, Statistics in Medicine 17 (1998) 857: Wilson's without continuity correction."""
    seen = estimate_rate(of, size, 0.05)
    assert (seen.point, seen.low, seen.high) == pytest.approx((of / size, low, high), abs=5e-5)
    assert estimate_rate(size - of, size, 0.05).high == pytest.approx(1 - low, abs=5e-5)


def test_a_difference_is_as_published() -> None:
    """Newcombe, Statistics in Medicine 17 (1998) 873, method 10 on 56/70 and 48/80."""
    gap = estimate_rate(56, 70, 0.05).minus(estimate_rate(48, 80, 0.05))
    assert (gap.point, gap.low, gap.high) == pytest.approx((0.2, 0.0524, 0.3339), abs=5e-5)


def missed(holds: Callable[[Random], bool]) -> float:
    random = Random(1)
    return sum(not holds(random) for _ in range(TRIALS)) / TRIALS


@pytest.mark.parametrize("size", [60, 400])
def test_a_median_is_missed_no_more_than_promised(size: int) -> None:
    def holds(random: Random) -> bool:
        seen = estimate_median(sorted(random.lognormvariate(0, 1) for _ in range(size)), 1.0, 0.05)
        return seen.low <= 1.0 <= seen.high

    assert 0.005 < missed(holds) < 0.065


def test_a_median_of_few_has_no_bound_where_there_is_none() -> None:
    seen = estimate_median([1.0, 2.0, 3.0], 1.0, 0.001)
    assert (seen.point, seen.high) == (2.0, math.inf)
    assert estimate_median([1.0], 1.0, 0.05).low == -math.inf


def clustered(random: Random) -> list[tuple[int, bool]]:
    """A rate of 0.2, which each part has its own form of."""
    marks = []
    for part in range(PARTS):
        own = random.betavariate(2, 8)
        marks += [(part, random.random() < own) for _ in range(40)]
    return marks


def test_clusters_widen_an_interval_until_it_holds() -> None:
    def holds(random: Random, *, plain: bool = False) -> bool:
        marks = clustered(random)
        effect = 1.0 if plain else find_design_effect(marks)
        assert effect
        seen = Tally(sum(m for _, m in marks), len(marks), effect).estimate(0.05)
        return seen.low <= 0.2 <= seen.high

    assert missed(holds) < 0.09
    assert missed(lambda random: holds(random, plain=True)) > 0.2  # the effect is what does it


def test_what_is_not_clustered_keeps_its_worth() -> None:
    random = Random(2)
    effects = [
        find_design_effect([(n % PARTS, random.random() < 0.3) for n in range(960)])
        for _ in range(200)
    ]
    assert sorted(s or 0 for s in effects)[100] < 1.15
    assert find_design_effect([(part, True) for part in range(PARTS)]) == 1.0


def test_what_is_in_too_few_parts_says_nothing() -> None:
    few = [(n % (LEAST_PARTS - 1), n % 2 == 0) for n in range(999)]
    assert find_design_effect(few) is None
    assert find_design_effect([*few, (PARTS - 1, True)]) is not None
    everyone = Counter(part for part, _ in few)
    assert find_dispersion(everyone.keys(), everyone) is None


def test_bunching_is_about_the_rhythm_of_everyone() -> None:
    day = Counter({part: 20 * part for part in range(1, PARTS)})
    with_all = [part for part in day for _ in range(day[part] // 10)]
    in_one = [*range(1, 7), *[20] * 200]
    assert find_dispersion(with_all, day) == 1.0
    assert (find_dispersion(in_one, day) or 0) > 20


@pytest.mark.parametrize("size", [200, 2_000])
def test_a_difference_that_is_just_the_least_is_not_claimed_more_than_promised(size: int) -> None:
    def claimed(random: Random) -> bool:
        some = sum(random.random() < 0.95 for _ in range(size))
        other = sum(random.random() < 0.92 for _ in range(size))
        gap = Tally(some, size, 1.0).estimate(0.05).minus(Tally(other, size, 1.0).estimate(0.05))
        return gap.clearance(0.03) > 0

    assert missed(lambda random: not claimed(random)) < 0.065


def tallies(**shares: float) -> dict[str, Tally]:
    return {name: Tally(round(share * 1000), 1000, 1.0) for name, share in shares.items()}


def names(found: dict[str, Tally], bad: int = 1) -> list[str]:
    return [outlier.name for outlier in find_outliers(found, 0.05, 0.05, bad)]


def test_one_odd_member_does_not_make_the_others_odd() -> None:
    assert names(tallies(a=0.9, b=0.5, c=0.5, d=0.5)) == ["a"]
    assert names(tallies(a=0.5, b=0.5, c=0.5, d=0.1)) == ["d"]
    assert names(tallies(a=0.5, b=0.5, c=0.5)) == []


def test_several_odd_members_are_found_one_after_the_other() -> None:
    assert names(tallies(a=0.1, b=0.5, c=0.5, d=0.5, e=0.9)) == ["e", "a"]


@pytest.mark.parametrize(("bad", "name"), [(1, "b"), (-1, "a")])
def test_of_two_the_one_that_does_worse_is_odd(bad: int, name: str) -> None:
    assert names(tallies(a=0.2, b=0.6), bad) == [name]
    assert names({}, bad) == names(tallies(a=1), bad) == []


def test_a_whole_without_a_part_is_the_rest() -> None:
    part, other = Tally(10, 100, 1.0), Tally(50, 300, 4.0)
    rest = pool_tallies([part, other]).without(part)
    assert (rest.of, rest.size) == (50, 300)
    assert rest.effect == pytest.approx(4.0)


def test_the_clearance_is_to_the_nearer_end() -> None:
    assert Interval(0.3, 0.2, 0.4).clearance(0.1) == pytest.approx(0.1)
    assert Interval(-0.3, -0.4, -0.2).clearance(0.1) == pytest.approx(0.1)
    assert Interval(0.1, -0.2, 0.4).clearance(0.1) < 0


def test_the_log_is_in_parts_of_one_length() -> None:
    def make_record(at: int) -> RequestRecord:
        return RequestRecord(at=at, id="", endpoint="/v1/chat", status=200, ms=1)

    timeline = Timeline([make_record(1_000 + n) for n in range(PARTS * 10)])
    assert Counter(map(timeline.find_part, timeline.records)) == dict.fromkeys(range(PARTS), 10)
    assert Timeline([make_record(5)]).find_part(make_record(5)) == 0
    assert Timeline([]).records == []
