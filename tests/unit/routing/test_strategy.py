"""Strategies: which candidate is tried first, and that the scores say why."""

from random import Random

import pytest

from proxy.routing.scores import MEASURED, Preferences
from proxy.routing.strategy import EXPLORE, EXPLORING, Scored
from tests.unit.routing.making_strategy import (
    candidate,
    draws,
    first,
    names,
    notes,
    order,
    ordered,
    scores,
    within,
)

# Each strategy


def test_priority_keeps_the_given_order() -> None:
    result = ordered([candidate("b", 9, success=0.1), candidate("a", 1, success=0.9)], "priority")
    assert names(result) == "b a"
    assert result.scores[0] == Scored(
        "b", "m", None, {"cost_usd": 9e-9, "first_ms": None, "success": 0.1}
    )
    assert (result.strategy, result.explored) == ("priority", False)


def test_cheapest_goes_by_cost_and_puts_unknown_prices_last() -> None:
    some = [candidate("x"), candidate("b", 99), candidate("y"), candidate("a", 98)]
    result = ordered([*some, candidate("free", 0)], "cheapest")
    assert names(result) == "free a b x y"
    assert scores(result) == {"free": 0, "a": 98e-9, "b": 99e-9, "x": None, "y": None}
    assert notes(result) == dict.fromkeys("ab") | {"free": None, "x": "no price", "y": "no price"}


def test_fastest_goes_by_the_time_to_the_first_token() -> None:
    result = ordered(
        [candidate("b", first_ms=500.0), candidate("a", first_ms=200.0)],
        "fastest",
    )
    assert names(result) == "a b"
    assert scores(result)["a"] == pytest.approx(200)
    assert result.scores[1].parts["first_ms"] == 500


def test_fastest_takes_who_is_not_measured_for_the_median() -> None:
    some = [
        candidate("slow", first_ms=900.0),
        candidate("new"),
        candidate("usual", first_ms=400.0),
        candidate("quick", first_ms=100.0),
    ]
    result = ordered(some, "fastest")
    assert names(result) == "quick new usual slow"
    assert scores(result)["new"] == 400
    assert notes(result)["new"] == "not measured"


def test_fastest_believes_few_samples_only_in_part() -> None:
    lucky = candidate("lucky", first_ms=100.0, weight=1.0, first_weight=1.0)
    usual = [candidate("usual", first_ms=500.0), candidate("other", first_ms=300.0)]
    assert scores(ordered([*usual, lucky], "fastest"))["lucky"] == pytest.approx(250)
    proven = candidate("lucky", first_ms=100.0)
    assert scores(ordered([*usual, proven], "fastest"))["lucky"] < 110


def test_unstreamed_samples_say_nothing_of_the_first_token() -> None:
    rare = candidate("rare", first_ms=100.0, first_weight=0.2)
    result = ordered([candidate("usual", first_ms=840.0), rare], "fastest")
    assert scores(result)["rare"] == pytest.approx(793.75)
    assert notes(result) == {"usual": None, "rare": "not measured"}


def test_the_median_is_that_of_the_samples() -> None:
    """A single odd sample moves nobody."""
    odd = candidate("odd", first_ms=1.0, weight=1.0, first_weight=1.0)
    result = ordered([candidate("a", first_ms=500.0), odd, candidate("new")], "fastest")
    assert scores(result)["new"] == 500


def test_fastest_goes_by_whole_answers_where_nobody_has_streamed() -> None:
    whole = [candidate("slow", total_ms=900.0), candidate("new"), candidate("quick", total_ms=90.0)]
    assert names(ordered(whole, "fastest")) == "new quick slow"
    streamed = candidate("streamed", first_ms=500.0, total_ms=9000.0)
    assert names(ordered([*whole, streamed], "fastest")) == "slow new quick streamed"


def test_fastest_without_any_measurement_keeps_the_given_order() -> None:
    result = ordered([candidate("b"), candidate("a", weight=9.0)], "fastest")
    assert names(result) == "b a"
    assert scores(result) == {"b": None, "a": None}


def test_reliable_goes_by_success() -> None:
    some = [candidate("b", success=0.5), candidate("new"), candidate("a", success=0.99)]
    result = ordered(some, "reliable")
    assert names(result) == "a new b"
    assert notes(result) == {"a": None, "new": "not measured", "b": None}


@pytest.mark.parametrize(
    ("strategy", "close", "apart"),
    [
        ("fastest", {"first_ms": 104.0}, {"first_ms": 107.0}),
        ("reliable", {"success": 0.96}, {"success": 0.93}),
        ("balanced", {"first_ms": 100.2}, {"first_ms": 104.0}),
    ],
)
def test_what_is_close_to_the_best_keeps_its_place(
    strategy: str, close: dict[str, float], apart: dict[str, float]
) -> None:
    usual = {"first_ms": 100.0, "success": 0.97}
    best = candidate("best", 1, **usual)
    kept = ordered([candidate("chain", 1, **(usual | close)), best], strategy)
    assert names(kept) == "chain best"
    assert notes(kept) == {"chain": "close to the best", "best": None}
    left = ordered([candidate("chain", 1, **(usual | apart)), best], strategy)
    assert names(left) == "best chain"


def test_what_costs_less_is_cheaper_however_little() -> None:
    assert names(ordered([candidate("b", 1000), candidate("a", 999)], "cheapest")) == "a b"


def test_balanced_weighs_cost_time_and_success() -> None:
    some = [
        candidate("cheap", 100, first_ms=1000.0, success=0.8),
        candidate("quick", 900, first_ms=100.0, success=0.9),
        candidate("sound", 500, first_ms=550.0, success=1.0),
    ]

    def best(**weights: float) -> str:
        return first(ordered(some, "balanced", weights))

    assert best(cost=1) == "cheap"
    assert best(latency=1) == "quick"
    assert best(success=1) == "sound"
    result = ordered(some, "balanced", {"cost": 2, "latency": 1, "success": 1})
    assert scores(result) == pytest.approx(
        {"cheap": 0.5, "quick": 0.5 + 0.125, "sound": 0.25 + 0.125}, abs=0.02
    )
    assert names(result) == "sound cheap quick"


def test_balanced_knows_no_difference_where_there_is_none() -> None:
    same = [candidate(name, 5, first_ms=100.0, success=0.9) for name in "cab"]
    result = ordered(same, "balanced")
    assert names(result) == "c a b"
    assert set(scores(result).values()) == {0}


def test_balanced_takes_what_is_free() -> None:
    free = [candidate("b", 0, first_ms=0.0, success=0.0), candidate("a", 0, success=0.0)]
    assert names(ordered(free, "balanced")) == "b a"


def test_balanced_does_not_blow_up_a_small_spread() -> None:
    """1 % slower and 1 % dearer is not the worst case against somewhat less reliable."""
    some = [
        candidate("sound", 101, first_ms=505.0, success=0.99),
        candidate("shaky", 100, first_ms=500.0, success=0.9),
    ]
    assert names(ordered(some, "balanced")) == "sound shaky"


def test_balanced_takes_an_unknown_price_for_the_worst() -> None:
    some = [candidate("x"), candidate("a", 5)]
    result = ordered(some, "balanced", {"cost": 1})
    assert scores(result) == {"a": 0, "x": 1}
    assert notes(result)["x"] == "no price, not measured"
    assert set(scores(ordered([candidate("x"), candidate("y")], "balanced")).values()) == {0}


@pytest.mark.parametrize("weights", [{}, {"cost": 0.0, "latency": 0.0, "success": 0.0}])
def test_balanced_without_weights_keeps_the_given_order(weights: dict[str, float]) -> None:
    assert names(ordered([candidate("b", 9), candidate("a", 1)], "balanced", weights)) == "b a"


def test_there_are_no_other_strategies() -> None:
    with pytest.raises(ValueError, match="no strategy 'best'"):
        ordered([candidate("a")], "best")


# Exploration


PAIR = [candidate("known", first_ms=100.0, success=0.99), candidate("new"), candidate("newer")]


@pytest.mark.parametrize("strategy", EXPLORING)
def test_now_and_then_who_is_not_measured_goes_first(strategy: str) -> None:
    explored = ordered(PAIR, strategy, random=draws(EXPLORE * 0.99, 0.4))
    assert names(explored) == "new known newer"
    assert explored.explored
    assert (notes(explored)["new"] or "").startswith("explored")
    assert names(ordered(PAIR, strategy, random=draws(0.0, 0.6))) == "newer known new"
    kept = ordered(PAIR, strategy, random=draws(EXPLORE))
    assert first(kept) == "known"
    assert not kept.explored


@pytest.mark.parametrize("strategy", ["priority", "cheapest", "weighted"])
def test_strategies_that_do_not_measure_explore_nothing(strategy: str) -> None:
    some = [candidate("known", 1, first_ms=1.0), candidate("new", 2)]
    preferences = Preferences(strategy, shares={"known": 1}, sticky="u")
    result = order(some, preferences, lambda: 0.0)
    assert names(result) == "known new"
    assert not result.explored


def test_who_is_measured_is_not_explored() -> None:
    some = [candidate("a", first_ms=1.0), candidate("b", first_ms=9.0, weight=MEASURED)]
    assert names(ordered(some, "fastest", random=draws())) == "a b"


def test_the_first_needs_no_exploring() -> None:
    result = ordered([candidate("new"), candidate("b", success=0.5)], "reliable", random=draws())
    assert not result.explored


def test_exploration_is_as_rare_as_it_says() -> None:
    random, n = Random(3).random, 20_000
    explored = sum(ordered(PAIR, "fastest", random=random).explored for _ in range(n))
    assert within(explored, n, EXPLORE)
