"""What is measured: fading with time, shared between isolates, and never counted twice."""

import itertools
from collections.abc import Sequence
from random import Random

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.routing.measures import (
    FORGET,
    HALF_LIFE,
    ISOLATES,
    LONGEST,
    MODELS,
    OVERTAKEN,
    PRIOR,
    Figures,
    Measure,
    Measures,
    Picture,
    Sample,
)

NOW = 1_700_000_000_000
HOUR = 3_600_000

Timed = tuple[int, Sample]
"""Milliseconds after NOW, and what was seen then."""

times = st.none() | st.integers(0, 120_000)
samples = st.builds(
    Sample,
    provider=st.just("p"),
    model=st.sampled_from(["a", "b"]),
    ok=st.booleans(),
    first_ms=times,
    total_ms=times,
    tokens=st.none() | st.integers(0, 10_000),
)
timed = st.tuples(st.integers(0, 2 * HOUR), samples)


def sample(model: str = "m", ok: bool = True, **figures: int) -> Sample:
    return Sample(provider="p", model=model, ok=ok, **figures)


def figures(*seen: Timed) -> Figures:
    result = Figures()
    for after, one in seen:
        result.add(one, NOW + after)
    return result


def same(one: Measure, other: Measure) -> bool:
    return all(
        a == b if a is None or b is None else a == pytest.approx(b, rel=1e-6, abs=1e-9)
        for a, b in zip(msgspec.structs.astuple(one), msgspec.structs.astuple(other), strict=True)
    )


def exchange(isolate: Measures, picture: Picture, now: int = NOW) -> None:
    isolate.adopt(picture.report(isolate.take_delta(), now))


# Figures


def test_nothing_seen_is_the_prior() -> None:
    assert Figures().read(NOW) == Measure() == Measure(0.95, None, None, None, 0.0, 0.0)


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
        (0, sample(first_ms=100, total_ms=1000, tokens=50)),
        (HALF_LIFE, sample(first_ms=400, total_ms=4000, tokens=50)),
        (HALF_LIFE, sample()),
    )
    measure = seen.read(NOW + HALF_LIFE)
    assert measure.first_ms == pytest.approx(300)
    assert measure.total_ms == pytest.approx(3000)
    assert measure.tokens_per_second == pytest.approx(75_000 / 4500)
    assert (measure.weight, measure.first_weight) == (2.5, 1.5)


def test_failing_fast_is_not_being_fast() -> None:
    seen = figures((0, sample(ok=False, first_ms=1, total_ms=2, tokens=9)))
    measure = seen.read(NOW)
    assert (measure.first_ms, measure.total_ms, measure.tokens_per_second) == (None, None, None)


def test_what_only_a_clock_can_say_is_not_measured() -> None:
    seen = figures(
        (0, sample(first_ms=-5, total_ms=-1, tokens=9)), (0, sample(total_ms=0, tokens=9))
    )
    measure = seen.read(NOW)
    assert (measure.first_ms, measure.total_ms, measure.tokens_per_second) == (None, 0, None)


def test_tokens_that_are_not_told_do_not_slow_it_down() -> None:
    seen = figures((0, sample(total_ms=1000, tokens=80)), (0, sample(total_ms=9000)))
    assert seen.read(NOW).tokens_per_second == pytest.approx(80)


def test_an_outage_is_over_after_an_idle_night() -> None:
    seen = figures(*((i * 100, sample(ok=False)) for i in range(10_000)))
    assert seen.read(NOW + 1_000_000).success < 0.02
    morning = seen.read(NOW + 8 * HOUR)
    assert morning.success == pytest.approx(PRIOR, rel=0.01)
    assert morning.weight < 0.01


def test_after_a_night_only_what_is_new_counts() -> None:
    old = [(0, sample(ok=False)), (0, sample(first_ms=9000, total_ms=9000, tokens=1))] * 500
    seen = figures(*old, (8 * HOUR, sample(first_ms=100, total_ms=200, tokens=10)))
    fresh = figures((8 * HOUR, sample(first_ms=100, total_ms=200, tokens=10)))
    assert same(seen.read(NOW + 8 * HOUR), fresh.read(NOW + 8 * HOUR))


def test_old_times_are_no_longer_told() -> None:
    seen = figures((0, sample(first_ms=100, total_ms=100, tokens=5)))
    assert seen.read(NOW + 9 * HALF_LIFE).first_ms == pytest.approx(100)
    late = seen.read(NOW + 10 * HALF_LIFE)
    assert (late.first_ms, late.total_ms, late.tokens_per_second) == (None, None, None)


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


# Isolates and the picture


def of(isolate: Measures, model: str = "m", now: int = NOW) -> Measure:
    return isolate.of("p", model, now)


def test_an_isolates_own_samples_count_at_once() -> None:
    isolate = Measures("a")
    isolate.add(sample(ok=False, first_ms=1), NOW)
    assert of(isolate).success == pytest.approx(0.76)
    assert of(isolate, "other") == Measure()
    assert isolate.take_delta()
    assert of(isolate).weight == 1


def test_a_new_isolate_starts_from_the_shared_picture() -> None:
    picture, old, new = Picture(), Measures("a"), Measures("b")
    old.add(sample(first_ms=70, total_ms=90, tokens=9), NOW)
    exchange(old, picture)
    assert new.take_delta() is None
    exchange(new, picture)
    assert same(of(new), of(old))
    assert of(new).first_ms == 70


def test_a_sample_counts_once_before_and_after_it_is_told() -> None:
    picture, isolate = Picture(), Measures("a")
    isolate.add(sample(ok=False), NOW)
    exchange(isolate, picture)
    assert of(isolate).weight == 1
    assert isolate.take_delta() is None
    isolate.add(sample(), NOW)
    assert of(isolate).weight == 2
    exchange(isolate, picture)
    assert of(isolate).weight == 2


def test_a_batch_that_was_lost_is_sent_again() -> None:
    picture, isolate = Picture(), Measures("a")
    isolate.add(sample(), NOW)
    isolate.take_delta()
    isolate.add(sample(), NOW)
    exchange(isolate, picture)
    assert of(isolate).weight == 2
    exchange(isolate, picture)
    assert of(isolate).weight == 2
    assert isolate.take_delta() is None


def test_a_batch_whose_answer_was_lost_counts_once() -> None:
    picture, isolate, other = Picture(), Measures("a"), Measures("b")
    isolate.add(sample(ok=False), NOW)
    for _ in range(3):
        picture.report(isolate.take_delta(), NOW)
    exchange(isolate, picture)
    exchange(other, picture)
    assert of(isolate).weight == of(other).weight == 1


def test_a_batch_that_was_overtaken_counts_once() -> None:
    picture, isolate = Picture(), Measures("a")
    isolate.add(sample(), NOW)
    first = isolate.take_delta()
    exchange(isolate, picture)
    isolate.add(sample(), NOW)
    exchange(isolate, picture)
    picture.report(first, NOW)
    exchange(isolate, picture)
    assert of(isolate).weight == 2


def test_a_picture_that_was_only_asked_for_acknowledges_nothing() -> None:
    picture, isolate = Picture(), Measures("a")
    isolate.add(sample(), NOW)
    isolate.take_delta()
    isolate.adopt(picture.report(None, NOW))
    assert of(isolate).weight == 1
    assert isolate.take_delta()


def test_a_picture_that_comes_late_is_ignored() -> None:
    picture, isolate = Picture(), Measures("a")
    early = picture.report(None, NOW)
    isolate.add(sample(), NOW)
    exchange(isolate, picture, NOW + 1)
    isolate.adopt(early)
    assert of(isolate).weight == 1


def test_a_picture_of_a_clock_that_was_set_back_is_adopted() -> None:
    picture, isolate = Picture(), Measures("a")
    isolate.add(sample(), NOW)
    exchange(isolate, picture, NOW)
    isolate.adopt(Picture().report(None, NOW - OVERTAKEN))
    assert of(isolate) == Measure()


def test_a_clock_ahead_does_not_age_what_others_tell() -> None:
    picture, ahead, isolate = Picture(), Measures("a"), Measures("b")
    ahead.add(sample(), NOW + HOUR)
    isolate.add(sample(), NOW)
    exchange(isolate, picture)
    exchange(ahead, picture)
    exchange(isolate, picture)
    assert of(isolate).weight == 2


def test_a_clock_that_is_set_back_takes_the_picture_with_it() -> None:
    picture, isolate = Picture(), Measures("a")
    isolate.add(sample(ok=False), NOW + 8 * HOUR)
    picture.report(isolate.take_delta(), NOW + 8 * HOUR)
    exchange(isolate, picture, NOW)
    isolate.add(sample(ok=False), NOW)
    assert of(isolate).weight == 2
    assert of(isolate, now=NOW + HALF_LIFE).weight == pytest.approx(1)


def test_the_state_brings_everything_back() -> None:
    picture, isolate, other = Picture(), Measures("a"), Measures("b")
    isolate.add(sample(first_ms=3, total_ms=7, tokens=2), NOW)
    batch = isolate.take_delta()
    picture.report(batch, NOW)
    again = Picture(picture.state())
    assert again.report(None, NOW) == picture.report(None, NOW)
    again.report(batch, NOW)
    exchange(other, again)
    assert of(other).weight == 1


def test_models_unheard_of_are_forgotten() -> None:
    picture, isolate = Picture(), Measures("a")
    isolate.add(sample("old"), NOW)
    exchange(isolate, picture)
    assert b"p/old" in picture.report(None, NOW + FORGET)
    assert b"p/old" not in picture.report(None, NOW + FORGET + 1)
    assert b"p/old" not in picture.state()
    isolate.add(sample("late"), NOW)
    assert b"p/late" not in picture.report(isolate.take_delta(), NOW + FORGET + 1)


def test_isolates_are_remembered_within_bounds() -> None:
    picture = Picture()
    batches = []
    for number in range(ISOLATES + 5):
        isolate = Measures(f"isolate-{number}")
        isolate.add(sample(), NOW)
        batches.append(isolate.take_delta())
        picture.report(batches[-1], NOW)
    heard = msgspec.json.decode(picture.state())["heard"]
    assert len(heard) == ISOLATES
    assert f"isolate-{ISOLATES + 4}" in heard
    assert "isolate-4" not in heard
    picture.report(None, NOW + FORGET + 1)
    assert msgspec.json.decode(picture.state()) == {"models": {}, "heard": {}}


def test_an_isolate_in_use_is_not_forgotten_for_new_ones() -> None:
    picture, old = Picture(), Measures("old")
    old.add(sample(), NOW)
    batch = old.take_delta()
    for number in range(ISOLATES + 5):
        picture.report(batch, NOW)
        new = Measures(f"isolate-{number}")
        new.add(sample("other"), NOW)
        picture.report(new.take_delta(), NOW)
    exchange(old, picture)
    assert of(old).weight == 1


def test_a_flood_of_names_passes_by_those_in_use() -> None:
    picture, isolate = Picture(), Measures("a")
    for _ in range(3):
        isolate.add(sample("used"), NOW)
    for number in range(MODELS + 200):
        isolate.add(sample(f"invented-{number}"), NOW + number)
    picture.report(isolate.take_delta(), NOW + 2000)
    other = Measures("b")
    for number in range(300):
        other.add(sample(f"more-{number}"), NOW + 2000)
    exchange(other, picture, NOW + 2000)
    models = msgspec.json.decode(picture.state())["models"]
    assert len(models) == MODELS
    assert of(other, "used", NOW + 2000).weight == pytest.approx(3, rel=0.01)
    assert "p/more-299" in models  # the faintest go first


def test_an_isolate_has_no_more_untold_models_than_the_picture_takes() -> None:
    isolate = Measures("a")
    for number in range(MODELS + 5):
        isolate.add(sample(f"invented-{number}"), NOW)
    assert len(msgspec.json.decode(isolate.take_delta() or b"")["models"]) == MODELS


def test_the_faintest_is_forgotten_and_not_the_rarest() -> None:
    """Two samples of an hour ago are worth less than one of now."""
    isolate = Measures("a")
    for number in range(2 * MODELS):
        isolate.add(sample(f"old-{number // 2}"), NOW)
    isolate.add(sample("new"), NOW + HOUR)
    assert of(isolate, "new", NOW + HOUR).weight == 1


def test_a_name_that_is_too_long_is_not_measured() -> None:
    isolate = Measures("a")
    isolate.add(sample("m" * (LONGEST - 1)), NOW)
    assert isolate.take_delta() is None
    isolate.add(sample("m" * (LONGEST - 2)), NOW)
    assert isolate.take_delta()


@pytest.mark.parametrize(
    "text", [b"", b"no", b"{}", b'{"isolate":"a","batch":1,"models":{"p/m":[1,-1]}}']
)
def test_what_is_no_batch_is_refused_and_counts_nothing(text: bytes) -> None:
    picture, isolate = Picture(), Measures("a")
    isolate.add(sample(), NOW)
    exchange(isolate, picture)
    before = picture.state()
    with pytest.raises(ValueError, match=r"."):
        picture.report(text, NOW)
    with pytest.raises(ValueError, match=r"."):
        isolate.adopt(text)
    with pytest.raises(ValueError, match=r"."):
        Picture(text)
    assert picture.state() == before
    assert of(isolate).weight == 1


@given(
    st.lists(st.tuples(st.sampled_from("xyz"), timed), max_size=30),
    st.randoms(use_true_random=False),
)
def test_isolates_over_a_bad_network_agree_on_all_samples(
    seen: Sequence[tuple[str, Timed]], random: Random
) -> None:
    """Messages are lost, doubled or late in either direction; in the end all know the same."""
    picture, now = Picture(), NOW + 2 * HOUR
    isolates = {name: Measures(name) for name in "xyz"}
    stray: list[bytes] = []
    for name, (after, one) in seen:
        # Samples are told at `now`, old as they may be: nothing is forgotten by FORGET here.
        isolates[name].add(one, now - after % FORGET)
        delta = isolates[name].take_delta()
        if random.random() < 0.5 and delta:
            stray.append(delta)
        if random.random() < 0.5 and stray:
            picture.report(random.choice(stray), now)
        if random.random() < 0.5:
            isolates[name].adopt(picture.report(delta, now))
        if random.random() < 0.2:
            picture = Picture(picture.state())
    for isolate in [*isolates.values()] * 3:  # what was sent, what waited, what the others told
        exchange(isolate, picture, now)
    for model in ("a", "b"):
        mine = [(-(t % FORGET) + 2 * HOUR, one) for _, (t, one) in seen if one.model == model]
        expected = figures(*mine).read(now)
        for isolate in isolates.values():
            assert same(isolate.of("p", model, now), expected)
