"""What is measured, shared between isolates: no sample is lost, and none counted twice."""

from collections.abc import Sequence
from random import Random
from typing import TypeVar

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.routing.board import EXCHANGE
from proxy.routing.measures import (
    FORGET,
    HALF_LIFE,
    ISOLATES,
    LONGEST,
    MODELS,
    OVERTAKEN,
    Measure,
    Measures,
    Picture,
    SampleBatch,
    StoredPicture,
)
from tests.unit.routing.making_measures import HOUR, NOW, Timed, figures, same, sample, timed

T = TypeVar("T")


def crossed(value: T) -> T:
    """The value on the other side of the object's border."""
    return msgspec.json.decode(msgspec.json.encode(value), type=type(value))


def exchange(isolate: Measures, picture: Picture, now: int = NOW) -> None:
    isolate.adopt(crossed(picture.report(crossed(isolate.take_batch()), now)))


# Isolates and the picture


def of(isolate: Measures, model: str = "m", now: int = NOW) -> Measure:
    return isolate.of("p", model, now)


def test_an_isolates_own_samples_count_at_once() -> None:
    isolate = Measures("a")
    isolate.add(sample(ok=False, first_ms=1), NOW)
    assert of(isolate).success == pytest.approx(0.76)
    assert of(isolate, "other") == Measure()
    assert isolate.take_batch()
    assert of(isolate).weight == 1


def test_a_new_isolate_starts_from_the_shared_picture() -> None:
    picture, old, new = Picture(), Measures("a"), Measures("b")
    old.add(sample(first_ms=70, total_ms=90), NOW)
    exchange(old, picture)
    assert new.take_batch() is None
    exchange(new, picture)
    assert same(of(new), of(old))
    assert of(new).first_ms == 70


def test_a_sample_counts_once_before_and_after_it_is_told() -> None:
    picture, isolate = Picture(), Measures("a")
    isolate.add(sample(ok=False), NOW)
    exchange(isolate, picture)
    assert of(isolate).weight == 1
    assert isolate.take_batch() is None
    isolate.add(sample(), NOW)
    assert of(isolate).weight == 2
    exchange(isolate, picture)
    assert of(isolate).weight == 2


def test_a_batch_that_was_lost_is_sent_again() -> None:
    picture, isolate = Picture(), Measures("a")
    isolate.add(sample(), NOW)
    isolate.take_batch()
    isolate.add(sample(), NOW)
    exchange(isolate, picture)
    assert of(isolate).weight == 2
    exchange(isolate, picture)
    assert of(isolate).weight == 2
    assert isolate.take_batch() is None


def test_a_batch_whose_answer_was_lost_counts_once() -> None:
    picture, isolate, other = Picture(), Measures("a"), Measures("b")
    isolate.add(sample(ok=False), NOW)
    for _ in range(3):
        picture.report(crossed(isolate.take_batch()), NOW)
    exchange(isolate, picture)
    exchange(other, picture)
    assert of(isolate).weight == of(other).weight == 1


def test_a_batch_that_was_overtaken_counts_once() -> None:
    picture, isolate = Picture(), Measures("a")
    isolate.add(sample(), NOW)
    first = isolate.take_batch()
    exchange(isolate, picture)
    isolate.add(sample(), NOW)
    exchange(isolate, picture)
    picture.report(crossed(first), NOW)
    exchange(isolate, picture)
    assert of(isolate).weight == 2


def test_a_picture_that_was_only_asked_for_acknowledges_nothing() -> None:
    picture, isolate = Picture(), Measures("a")
    isolate.add(sample(), NOW)
    isolate.take_batch()
    isolate.adopt(crossed(picture.report(None, NOW)))
    assert of(isolate).weight == 1
    assert isolate.take_batch()


def test_a_picture_that_comes_late_is_ignored() -> None:
    picture, isolate = Picture(), Measures("a")
    early = crossed(picture.report(None, NOW))
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
    picture.report(crossed(isolate.take_batch()), NOW + 8 * HOUR)
    exchange(isolate, picture, NOW)
    isolate.add(sample(ok=False), NOW)
    assert of(isolate).weight == 2
    assert of(isolate, now=NOW + HALF_LIFE).weight == pytest.approx(1)


def test_the_state_brings_everything_back() -> None:
    picture, isolate, other = Picture(), Measures("a"), Measures("b")
    isolate.add(sample(first_ms=3, total_ms=7), NOW)
    batch = isolate.take_batch()
    picture.report(crossed(batch), NOW)
    again = Picture(crossed(picture.stored()))
    assert again.report(None, NOW) == picture.report(None, NOW)
    again.report(crossed(batch), NOW)
    exchange(other, again)
    assert of(other).weight == 1


def test_models_unheard_of_are_forgotten() -> None:
    picture, isolate = Picture(), Measures("a")
    isolate.add(sample("old"), NOW)
    exchange(isolate, picture)
    assert "p/old" in picture.report(None, NOW + FORGET).models
    assert "p/old" not in picture.report(None, NOW + FORGET + 1).models
    assert "p/old" not in picture.stored().models
    isolate.add(sample("late"), NOW)
    assert "p/late" not in picture.report(crossed(isolate.take_batch()), NOW + FORGET + 1).models


def test_isolates_are_remembered_within_bounds() -> None:
    picture = Picture()
    batches = []
    for number in range(ISOLATES + 5):
        isolate = Measures(f"isolate-{number}")
        isolate.add(sample(), NOW)
        batches.append(isolate.take_batch())
        picture.report(crossed(batches[-1]), NOW)
    heard = picture.stored().heard
    assert len(heard) == ISOLATES
    assert f"isolate-{ISOLATES + 4}" in heard
    assert "isolate-4" not in heard
    picture.report(None, NOW + FORGET + 1)
    assert picture.stored() == StoredPicture({}, {})


def test_an_isolate_in_use_is_not_forgotten_for_new_ones() -> None:
    picture, old = Picture(), Measures("old")
    old.add(sample(), NOW)
    batch = old.take_batch()
    for number in range(ISOLATES + 5):
        picture.report(crossed(batch), NOW)
        new = Measures(f"isolate-{number}")
        new.add(sample("other"), NOW)
        picture.report(crossed(new.take_batch()), NOW)
    exchange(old, picture)
    assert of(old).weight == 1


def test_a_flood_of_names_passes_by_those_in_use() -> None:
    picture, isolate = Picture(), Measures("a")
    for _ in range(3):
        isolate.add(sample("used"), NOW)
    for number in range(MODELS + 200):
        isolate.add(sample(f"invented-{number}"), NOW + number)
    picture.report(crossed(isolate.take_batch()), NOW + 2000)
    other = Measures("b")
    for number in range(300):
        other.add(sample(f"more-{number}"), NOW + 2000)
    exchange(other, picture, NOW + 2000)
    models = picture.stored().models
    assert len(models) == MODELS
    assert of(other, "used", NOW + 2000).weight == pytest.approx(3, rel=0.01)
    assert "p/more-299" in models  # the faintest go first


def test_an_isolate_has_no_more_untold_models_than_the_picture_takes() -> None:
    isolate = Measures("a")
    for number in range(MODELS + 5):
        isolate.add(sample(f"invented-{number}"), NOW)
    batch = isolate.take_batch()
    assert batch
    assert len(batch.models) == MODELS


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
    assert isolate.take_batch() is None
    isolate.add(sample("m" * (LONGEST - 2)), NOW)
    assert isolate.take_batch()


@pytest.mark.parametrize(
    "text", ["", "no", "{}", '{"isolate":"a","batch":1,"models":{"p/m":[1,-1]}}']
)
def test_what_is_no_batch_never_gets_there(text: str) -> None:
    for codec in (EXCHANGE.argument, EXCHANGE.answer):
        with pytest.raises(ValueError, match=r"."):
            codec.decode(f'{{"transitions": {{}}, "measures": {text}}}')


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
    stray: list[SampleBatch] = []
    for name, (after, one) in seen:
        # Samples are sent at `now`, old as they may be: nothing is forgotten by FORGET here.
        isolates[name].add(one, now - after % FORGET)
        batch = isolates[name].take_batch()
        if random.random() < 0.5 and batch:
            stray.append(crossed(batch))
        if random.random() < 0.5 and stray:
            picture.report(crossed(random.choice(stray)), now)
        if random.random() < 0.5:
            isolates[name].adopt(crossed(picture.report(crossed(batch), now)))
        if random.random() < 0.2:
            picture = Picture(crossed(picture.stored()))
    for isolate in [*isolates.values()] * 3:  # what was sent, what waited, what the others sent
        exchange(isolate, picture, now)
    for model in ("a", "b"):
        mine = [(-(t % FORGET) + 2 * HOUR, one) for _, (t, one) in seen if one.model == model]
        expected = figures(*mine).read(now)
        for isolate in isolates.values():
            assert same(isolate.of("p", model, now), expected)
