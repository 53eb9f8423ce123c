"""What is measured: figures that fade with time, in whatever order they come."""

import itertools
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.routing.measures import (
    HALF_LIFE,
    NOTICED,
    PRIOR,
    AttemptSample,
    Figures,
    Measure,
    Measures,
)
from tests.unit.routing.making_measures import (
    HOUR,
    NOW,
    Timed,
    figures,
    same,
    sample,
    samples,
    timed,
)

# Figures


def test_nothing_seen_is_the_prior() -> None:
    assert Figures().read(NOW) == Measure() == Measure(0.95, None, None, 0.0, 0.0)


@pytest.mark.parametrize(
    ("oks", "success"),
    [([True], 0.96), ([False], 0.76), ([False] * 4, 0.475), ([True] * 396, 0.9995)],
)
def test_success_starts_from_the_prior(oks: list[bool], success: float) -> None:
    seen = figures(*((0, sample(ok=ok)) for ok in oks))
    assert seen.read(NOW).success == pytest.approx(success)


def test_a_sample_counts_half_after_the_half_life() -> None:
    seen = figures((0, sample(ok=False)))
    assert seen.read(NOW).weight == 1
    assert seen.read(NOW + HALF_LIFE).weight == pytest.approx(0.5)
    assert seen.read(NOW + HALF_LIFE).success == pytest.approx(3.8 / 4.5)
    assert seen.read(NOW + 3 * HALF_LIFE).first_weight == 0


def test_times_are_means_that_lean_to_the_latest() -> None:
    seen = figures(
        (0, sample(first_ms=100, total_ms=1000)),
        (HALF_LIFE, sample(first_ms=400, total_ms=4000)),
        (HALF_LIFE, sample()),
    )
    measure = seen.read(NOW + HALF_LIFE)
    assert measure.first_ms == pytest.approx(300)
    assert measure.total_ms == pytest.approx(3000)
    assert (measure.weight, measure.first_weight) == (2.5, 1.5)


def test_failing_fast_is_not_being_fast() -> None:
    seen = figures((0, sample(ok=False, first_ms=1, total_ms=2)))
    measure = seen.read(NOW)
    assert (measure.first_ms, measure.total_ms) == (None, None)


def test_what_only_a_clock_can_say_is_not_measured() -> None:
    seen = figures((0, sample(first_ms=-5, total_ms=-1)), (0, sample(total_ms=0)))
    measure = seen.read(NOW)
    assert (measure.first_ms, measure.total_ms) == (None, 0)


def test_an_outage_is_over_after_an_idle_night() -> None:
    seen = figures(*((i * 100, sample(ok=False)) for i in range(10_000)))
    assert seen.read(NOW + 1_000_000).success < 0.02
    morning = seen.read(NOW + 8 * HOUR)
    assert morning.success == pytest.approx(PRIOR, rel=0.01)
    assert morning.weight < 0.01


def test_after_a_night_only_what_is_new_counts() -> None:
    old = [(0, sample(ok=False)), (0, sample(first_ms=9000, total_ms=9000))] * 500
    seen = figures(*old, (8 * HOUR, sample(first_ms=100, total_ms=200)))
    fresh = figures((8 * HOUR, sample(first_ms=100, total_ms=200)))
    assert same(seen.read(NOW + 8 * HOUR), fresh.read(NOW + 8 * HOUR))


def test_old_times_are_no_longer_told() -> None:
    seen = figures((0, sample(first_ms=100, total_ms=100)))
    assert seen.read(NOW + 9 * HALF_LIFE).first_ms == pytest.approx(100)
    late = seen.read(NOW + 10 * HALF_LIFE)
    assert (late.first_ms, late.total_ms) == (None, None)


def test_years_are_borne() -> None:
    seen = figures((0, sample(first_ms=1)), (10**12, sample(ok=False)))
    assert seen.read(NOW + 10**12).success == pytest.approx(0.76)
    assert seen.read(NOW + 10**15).success == pytest.approx(PRIOR)


def test_a_clock_that_steps_back_makes_nothing_heavier() -> None:
    seen = figures((HOUR, sample(ok=False)))
    assert same(seen.read(NOW), seen.read(NOW + HOUR))


@given(st.lists(timed, max_size=20), st.lists(st.integers(0, 3 * HOUR), max_size=5))
def test_reading_changes_nothing(seen: list[Timed], reads: list[int]) -> None:
    quiet, read = Figures(), Figures()
    for after, one in seen:
        quiet.add(one, NOW + after)
        read.add(one, NOW + after)
        for when in reads:
            read.read(NOW + when)
    assert quiet == read


@given(st.lists(timed, max_size=12), st.randoms(use_true_random=False), st.data())
def test_order_and_grouping_do_not_matter(
    seen: list[Timed], random: Random, data: st.DataObject
) -> None:
    shuffled = list(seen)
    random.shuffle(shuffled)
    cuts = sorted(data.draw(st.lists(st.integers(0, len(seen)), max_size=3)))
    parts = [
        figures(*shuffled[low:high]) for low, high in itertools.pairwise([0, *cuts, len(seen)])
    ]
    merged = Figures()
    while parts:  # a random tree of merges
        part = parts.pop(random.randrange(len(parts)))
        if parts and random.random() < 0.5:
            part.merge(parts.pop())
            parts.append(part)
        else:
            merged.merge(part)
    assert same(merged.read(NOW + 2 * HOUR), figures(*seen).read(NOW + 2 * HOUR))


@given(st.lists(timed, max_size=20), st.integers(0, 100 * HOUR))
def test_measures_stay_within_what_was_seen(seen: list[Timed], later: int) -> None:
    measure = figures(*seen).read(NOW + later)
    assert 0 < measure.success < 1
    assert 0 <= measure.first_weight <= measure.weight <= len(seen)
    firsts = [one.first_ms for _, one in seen if one.ok and one.first_ms is not None]
    if measure.first_ms is not None:
        assert min(firsts) * 0.999 <= measure.first_ms <= max(firsts) * 1.001


# Versions


def alike(one: float | None, other: float | None) -> bool:
    """Whether they differ by at most twice what is noticed: each may be that far from what was."""
    if one is None or other is None:
        return one is other
    return one == pytest.approx(other, rel=2.1 * NOTICED)


@given(st.lists(st.tuples(samples, st.integers(1, 300)), max_size=30))
def test_while_the_version_stands_no_measure_has_changed_by_much(
    seen: list[tuple[AttemptSample, int]],
) -> None:
    measures, held = Measures("i"), dict[int, list[Measure]]()
    for each, times in seen:
        for _ in range(times):
            measures.add(each, NOW)
        known = [measures.of("p", model, NOW) for model in "ab"]
        for now, then in zip(
            known, held.setdefault(measures.find_version(NOW), known), strict=True
        ):
            assert alike(now.success, then.success)
            assert alike(now.first_ms, then.first_ms)
            assert alike(now.total_ms, then.total_ms)


def test_the_version_stands_where_many_samples_say_the_same() -> None:
    measures = Measures("i")
    for _ in range(300):
        measures.add(sample(first_ms=100, total_ms=200), NOW)
        before = measures.find_version(NOW)
    measures.add(sample(first_ms=110, total_ms=220), NOW)
    assert measures.find_version(NOW) == before
    measures.add(sample(first_ms=60_000), NOW)
    assert measures.find_version(NOW) > before
