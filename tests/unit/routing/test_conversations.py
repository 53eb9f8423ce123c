"""What a conversation decides in the strategies, whatever the candidates are."""

from collections import Counter
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.routing.scores import Candidate, Preferences
from proxy.routing.strategy import Order
from tests.unit.routing.making_strategy import (
    EVENLY,
    STRATEGIES,
    candidate,
    first,
    names,
    notes,
    order,
    seldom,
    within,
)

SHARES = {"a": 3.0, "b": 2.0, "c": 1.0}
MEASURED = ("fastest", "reliable", "balanced")


def ordered(
    some: list[Candidate], strategy: str, talk: str | None, random: Any = seldom, **more: str
) -> Order:
    preferences = Preferences(strategy, EVENLY, SHARES, talk, conversation=talk, **more)
    return order(some, preferences, random)


def alike(*providers: str) -> list[Candidate]:
    return [candidate(name, 100, first_ms=100.0, total_ms=200.0) for name in providers]


CANDIDATES = st.lists(
    st.builds(
        candidate,
        st.sampled_from("abcdefg"),
        st.none() | st.sampled_from([100, 101, 200]),
        first_ms=st.sampled_from([100.0, 103.0, 500.0]),
        success=st.sampled_from([0.9, 0.91, 0.99]),
    ),
    min_size=1,
    max_size=7,
    unique_by=lambda each: each.name,
)


@given(CANDIDATES, st.sampled_from(STRATEGIES), st.text(), st.randoms(use_true_random=False))
def test_the_first_is_the_same_in_every_isolate(
    some: list[Candidate], strategy: str, talk: str, random: Any
) -> None:
    there = ordered(some, strategy, talk)
    assert {each.name for each in some} == {ranked.candidate.name for ranked in there.ranked}
    again = ordered(some, strategy, talk, lambda: max(0.02, random.random()))
    assert names(again) == names(there)
    others = random.sample(some, len(some))
    is_tied = strategy == "priority" or next(there.ranked).score is None
    assert is_tied or first(ordered(others, strategy, talk)) == first(there)


@given(CANDIDATES.map(lambda some: some[:1]), st.sampled_from(STRATEGIES), st.text())
def test_of_one_nothing_changes(some: list[Candidate], strategy: str, talk: str) -> None:
    for home in ("", some[0].target.spec.name, "z"):
        with_talk = ordered(some, strategy, talk, home=home, first=home)
        assert with_talk.targets == ordered(some, strategy, None).targets


@given(CANDIDATES, st.sampled_from(MEASURED), st.text())
def test_who_is_worse_than_the_best_does_not_come_first(
    some: list[Candidate], strategy: str, talk: str
) -> None:
    plain, chosen = ordered(some, strategy, None), ordered(some, strategy, talk)
    scores = [ranked.score for ranked in plain.ranked if ranked.score is not None]
    best = max(scores) if strategy == "reliable" else min(scores)
    as_good = [r.candidate for r in plain.ranked if r.score == best or r.note]
    assert next(chosen.ranked).candidate in as_good
    rest = [r.candidate.name for r in plain.ranked if r.candidate not in as_good]
    assert [r.candidate.name for r in chosen.ranked][len(as_good) :] == rest


@pytest.mark.parametrize("strategy", [*MEASURED, "cheapest"])
def test_conversations_spread_over_those_that_are_alike(strategy: str) -> None:
    some, n = alike("a", "b", "c", "d"), 2_000
    met = Counter(first(ordered(some, strategy, f"talk-{i}")) for i in range(n))
    assert all(within(met[name], n, 0.25) for name in "abcd")
    assert first(ordered(some, strategy, None)) == "a"


@pytest.mark.parametrize("strategy", [*MEASURED, "cheapest"])
def test_one_that_is_gone_moves_its_conversations_only(strategy: str) -> None:
    some = alike("a", "b", "c", "d")
    for i in range(200):
        before = first(ordered(some, strategy, f"talk-{i}"))
        after = first(ordered(some[:3], strategy, f"talk-{i}"))
        assert after == before or before == "d"


@pytest.mark.parametrize("strategy", [*MEASURED, "cheapest"])
def test_a_home_goes_first_of_those_that_are_alike(strategy: str) -> None:
    some = alike("a", "b", "c", "d")
    assert {first(ordered(some, strategy, f"t{i}", home="c")) for i in range(50)} == {"c"}


def test_a_home_may_be_somewhat_slower() -> None:
    def home(ms: float) -> str:
        return first(ordered([candidate("a", first_ms=100.0), candidate("b", first_ms=ms)],
                             "fastest", "t", home="b"))  # fmt: skip

    assert [home(ms) for ms in (104.0, 115.0, 130.0)] == ["b", "b", "a"]


@pytest.mark.parametrize("strategy", MEASURED)
def test_a_conversation_with_a_home_explores_nothing(strategy: str) -> None:
    some = [*alike("a"), candidate("b")]
    lucky = iter([0.0, 0.0] * 2).__next__
    explored = ordered(some, strategy, "t", lucky)
    assert (first(explored), explored.explored) == ("b", True)
    stays = ordered(some, strategy, "t", lucky, home="a")
    assert (first(stays), stays.explored) == ("a", False)


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_what_must_go_first_does(strategy: str) -> None:
    slow = [*alike("a", "b"), candidate("c", 9_000, first_ms=9_000.0, success=0.1)]
    result = ordered(slow, strategy, "t", iter([0.0, 0.0]).__next__, first="c")
    assert first(result) == "c"
    assert notes(result)["c"] == "home"
    assert not result.explored
    assert ordered(slow, strategy, "t", first="z").targets == ordered(slow, strategy, "t").targets
