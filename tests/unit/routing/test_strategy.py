"""Strategies: who is tried first, and that the scores say why."""

import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from itertools import pairwise
from math import isfinite, sqrt
from random import Random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.providers.specs import Model, ProviderSpec
from proxy.providers.target import Target
from proxy.routing.measures import Measure
from proxy.routing.strategy import EXPLORE, EXPLORING, MEASURED, Candidate, Order, Scored, order

STRATEGIES = ("priority", "cheapest", "fastest", "reliable", "balanced", "weighted")
EVENLY = {"cost": 1.0, "latency": 1.0, "success": 1.0}
MANY = 100.0


def seldom() -> float:
    """A draw that explores nothing."""
    return 0.999


def draws(*values: float) -> Callable[[], float]:
    return iter(values).__next__


def candidate(name: str, cost: int | None = None, **measure: Any) -> Candidate:
    """`provider/model`; what has times has many samples, unless told otherwise."""
    provider, _, model = name.partition("/")
    samples = MANY if measure else 0.0
    measure = {
        "weight": samples,
        "first_weight": samples if "first_ms" in measure else 0.0,
    } | measure
    spec = ProviderSpec(name=provider, dialect="openai")
    target = Target(spec, Model(provider=provider, id=model or "m"), "https://p.test")
    return Candidate(target, Measure(**measure), cost)


def ordered(
    candidates: Iterable[Candidate],
    strategy: str,
    weights: Mapping[str, float] = EVENLY,
    shares: Mapping[str, float] | None = None,
    sticky: str | None = None,
    random: Callable[[], float] = seldom,
) -> Order:
    return order(
        [*candidates],
        strategy,
        weights=weights,
        shares=shares or {},
        sticky=sticky,
        random=random,
    )


def names(result: Order) -> str:
    return " ".join(target.spec.name for target in result.targets)


def first(result: Order) -> str:
    return result.targets[0].spec.name


def notes(result: Order) -> dict[str, str | None]:
    return {scored.provider: scored.note for scored in result.scores}


def scores(result: Order) -> dict[str, Any]:
    return {scored.provider: scored.score for scored in result.scores}


# Each strategy


def test_priority_keeps_the_given_order() -> None:
    result = ordered([candidate("b", 9, success=0.1), candidate("a", 1, success=0.9)], "priority")
    assert names(result) == "b a"
    assert result.scores[0] == Scored(
        "b", "m", None, {"cost_usd": 9e-9, "first_ms": None, "success": 0.1}
    )
    assert (result.strategy, result.explored) == ("priority", False)


def test_cheapest_goes_by_cost_and_puts_unknown_prices_last() -> None:
    given_ = [candidate("x"), candidate("b", 99), candidate("y"), candidate("a", 98)]
    result = ordered([*given_, candidate("free", 0)], "cheapest")
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
    given_ = [
        candidate("slow", first_ms=900.0),
        candidate("new"),
        candidate("usual", first_ms=400.0),
        candidate("quick", first_ms=100.0),
    ]
    result = ordered(given_, "fastest")
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
    given_ = [candidate("b", success=0.5), candidate("new"), candidate("a", success=0.99)]
    result = ordered(given_, "reliable")
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
    given_ = [
        candidate("cheap", 100, first_ms=1000.0, success=0.8),
        candidate("quick", 900, first_ms=100.0, success=0.9),
        candidate("sound", 500, first_ms=550.0, success=1.0),
    ]

    def best(**weights: float) -> str:
        return first(ordered(given_, "balanced", weights))

    assert best(cost=1) == "cheap"
    assert best(latency=1) == "quick"
    assert best(success=1) == "sound"
    result = ordered(given_, "balanced", {"cost": 2, "latency": 1, "success": 1})
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
    given_ = [
        candidate("sound", 101, first_ms=505.0, success=0.99),
        candidate("shaky", 100, first_ms=500.0, success=0.9),
    ]
    assert names(ordered(given_, "balanced")) == "sound shaky"


def test_balanced_takes_an_unknown_price_for_the_worst() -> None:
    given_ = [candidate("x"), candidate("a", 5)]
    result = ordered(given_, "balanced", {"cost": 1})
    assert scores(result) == {"a": 0, "x": 1}
    assert notes(result)["x"] == "no price, not measured"
    assert set(scores(ordered([candidate("x"), candidate("y")], "balanced")).values()) == {0}


@pytest.mark.parametrize("weights", [{}, {"cost": 0.0, "latency": 0.0, "success": 0.0}])
def test_balanced_without_weights_keeps_the_given_order(weights: dict[str, float]) -> None:
    assert names(ordered([candidate("b", 9), candidate("a", 1)], "balanced", weights)) == "b a"


def test_there_are_no_other_strategies() -> None:
    with pytest.raises(ValueError, match="no strategy 'best'"):
        ordered([candidate("a")], "best")


# Canaries


TRIO = [candidate("a"), candidate("b"), candidate("c")]


def within(count: int, of: int, share: float) -> bool:
    """Five standard deviations."""
    return abs(count - of * share) <= 5 * sqrt(of * share * (1 - share))


@pytest.mark.parametrize("sticky", [False, True])
def test_shares_hold(sticky: bool) -> None:
    random, n = Random(7).random, 20_000
    shares = {"a": 45.0, "b": 4.5, "c": 0.5}
    seen = Counter(
        first(
            ordered(
                TRIO,
                "weighted",
                shares=shares,
                sticky=f"user-{i}" if sticky else None,
                random=random,
            )
        )
        for i in range(n)
    )
    assert within(seen["a"], n, 0.9)
    assert within(seen["b"], n, 0.09)
    assert within(seen["c"], n, 0.01)


def test_the_rest_follows_by_share() -> None:
    shares = {"b": 1.0, "d": 60.0, "c": 39.0}
    given_ = [candidate(name) for name in "abcde"]
    for i in range(50):
        result = ordered(given_, "weighted", shares=shares, sticky=str(i))
        rest = [name for name in "dcbae" if name != first(result)]
        assert names(result).split()[1:] == rest
        assert scores(result) == {"b": 0.01, "d": 0.6, "c": 0.39, "a": None, "e": None}
        told = notes(result)
        assert told.pop(first(result)) == "drawn"
        assert all(note == ("no share" if name in "ae" else None) for name, note in told.items())


def test_a_user_stays_where_he_is() -> None:
    shares = {"a": 50.0, "b": 50.0}
    for i in range(100):
        user = f"user-{i}"
        there = first(ordered(TRIO, "weighted", shares=shares, sticky=user))
        again = ordered(TRIO[::-1], "weighted", shares=shares, sticky=user, random=draws())
        assert first(again) == there


def test_a_user_stays_in_another_process() -> None:
    code = (
        "from tests.unit.routing.test_strategy import TRIO, first, ordered\n"
        "for i in range(40):\n"
        "    print(first(ordered(TRIO, 'weighted', shares=dict(a=1, b=1), sticky=f'ü{i}')))"
    )
    run = [sys.executable, "-c", f"import sys; sys.path[:0] = {sys.path!r}\n{code}"]
    told = subprocess.run(run, capture_output=True, text=True, check=True, timeout=60)
    here = [
        first(ordered(TRIO, "weighted", shares={"a": 1, "b": 1}, sticky=f"ü{i}")) for i in range(40)
    ]
    assert told.stdout.split() == here
    assert set(here) == {"a", "b"}


def test_any_text_may_be_a_user() -> None:
    for user in ("", "\0", "\ud800", "ü" * 1000):
        assert ordered(TRIO, "weighted", shares={"b": 1}, sticky=user).targets[0].spec.name == "b"


def test_users_move_only_to_the_share_that_grew() -> None:
    def sides(**shares: float) -> list[str]:
        return [
            first(ordered(TRIO, "weighted", shares=shares, sticky=f"u{i}")) for i in range(5000)
        ]

    before, after = sides(a=60, b=40), sides(a=60, b=40, c=25)
    moved = [(old, new) for old, new in zip(before, after, strict=True) if old != new]
    assert {new for _, new in moved} == {"c"}
    assert within(len(moved), 5000, 0.2)
    back = sides(a=60, b=30, c=25)
    assert {old for old, new in zip(after, back, strict=True) if old != new} == {"b"}


def test_a_user_stays_on_a_providers_side_with_any_model() -> None:
    def side(user: str, *given_: str) -> str:
        made = [candidate(name) for name in given_]
        return first(ordered(made, "weighted", shares={"a": 1, "b": 1}, sticky=user))

    users = [f"u{i}" for i in range(100)]
    assert [side(u, "a/x", "b/y") for u in users] == [side(u, "b/z", "a/w") for u in users]


def test_a_share_of_one_model_goes_before_its_providers() -> None:
    given_ = [candidate("a/x"), candidate("a/y"), candidate("a/z"), candidate("b/x")]
    result = ordered(given_, "weighted", shares={"a": 30, "a/x": 10, "b": 60}, sticky="u")
    told = {f"{s.provider}/{s.model}": s.score for s in result.scores}
    assert told == {"a/x": 0.1, "a/y": 0.3, "a/z": None, "b/x": 0.6}


def test_a_share_of_nothing_is_never_drawn() -> None:
    for chance in (0.0, 0.5, 1 - 2**-53):
        result = ordered(
            TRIO, "weighted", shares={"a": 0, "b": 1, "other": 9}, random=lambda c=chance: c
        )
        assert names(result) == "b a c"
        assert scores(result)["b"] == 1


def test_without_shares_the_given_order_holds() -> None:
    result = ordered(TRIO, "weighted", shares={"a": 0.0})
    assert names(result) == "a b c"
    assert not result.explored
    assert set(notes(result).values()) == {"no share"}


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
    given_ = [candidate("known", 1, first_ms=1.0), candidate("new", 2)]
    result = ordered(given_, strategy, shares={"known": 1}, sticky="u", random=lambda: 0.0)
    assert names(result) == "known new"
    assert not result.explored


def test_who_is_measured_is_not_explored() -> None:
    given_ = [candidate("a", first_ms=1.0), candidate("b", first_ms=9.0, weight=MEASURED)]
    assert names(ordered(given_, "fastest", random=draws())) == "a b"


def test_the_first_needs_no_exploring() -> None:
    result = ordered([candidate("new"), candidate("b", success=0.5)], "reliable", random=draws())
    assert not result.explored


def test_exploration_is_as_rare_as_it_says() -> None:
    random, n = Random(3).random, 20_000
    explored = sum(ordered(PAIR, "fastest", random=random).explored for _ in range(n))
    assert within(explored, n, EXPLORE)


# Whatever comes


finite = st.floats(0, 1e9)
measures = st.builds(
    Measure,
    success=st.floats(0, 1),
    first_ms=st.none() | finite,
    weight=finite,
    first_weight=finite,
)
candidates = st.lists(
    st.builds(
        lambda name, cost, measure: Candidate(candidate(name).target, measure, cost),
        st.sampled_from(["a/x", "a/y", "b/x", "c/x", "d/x", "e/x"]),
        st.none() | st.integers(0, 10**12),
        measures,
    ),
    max_size=6,
    unique_by=lambda made: made.name,
)
settings = st.fixed_dictionaries(
    {
        "strategy": st.sampled_from(STRATEGIES),
        "weights": st.dictionaries(st.sampled_from(["cost", "latency", "success"]), finite),
        "shares": st.dictionaries(st.sampled_from(["a", "a/x", "b", "c/x", "z"]), finite),
        "sticky": st.none() | st.text(st.characters(), max_size=5),
    }
)


@given(candidates, settings, st.integers())
def test_all_stay_and_the_same_draws_give_the_same_order(
    given_: list[Candidate], asked: dict[str, Any], seed: int
) -> None:
    result = ordered(given_, **asked, random=Random(seed).random)
    assert sorted(map(id, result.targets)) == sorted(id(made.target) for made in given_)
    assert [(t.spec.name, t.model.id) for t in result.targets] == [
        (scored.provider, scored.model) for scored in result.scores
    ]
    assert result == ordered(given_, **asked, random=Random(seed).random)


@given(candidates, settings, st.sampled_from([0.0, 0.01, 0.5, 1 - 2**-53]))
def test_every_number_is_one(given_: list[Candidate], asked: dict[str, Any], chance: float) -> None:
    for scored in ordered(given_, **asked, random=lambda: chance).scores:
        told = [scored.score, *scored.parts.values()]
        assert all(value is None or isfinite(value) for value in told)


@given(candidates, settings, st.sampled_from([0.0, 0.01, 0.5]))
def test_the_scores_explain_the_order(
    given_: list[Candidate], asked: dict[str, Any], chance: float
) -> None:
    """Sorted by score, those without one last, but for what a note says."""
    result = ordered(given_, **asked, random=lambda: chance)
    told = [s for s in result.scores if not (s.note or "").startswith(("explored", "drawn"))]
    known = [s for s in told if s.score is not None]
    assert known == told[: len(known)]
    sign = -1 if asked["strategy"] in ("reliable", "weighted") else 1
    best = min((sign * (s.score or 0.0) for s in known), default=0.0)
    by = [best if (s.note or "").startswith("close") else sign * (s.score or 0.0) for s in known]
    assert all(one <= other for one, other in pairwise(by))
    assert result.explored == any((s.note or "").startswith("explored") for s in result.scores)
    place = {id(made.target): i for i, made in enumerate(given_)}
    targets = dict(zip(map(id, result.scores), result.targets, strict=True))
    for (one, s), (other, t) in pairwise(zip(by, known, strict=True)):
        if one == other:
            assert place[id(targets[id(s)])] < place[id(targets[id(t)])]


@given(candidates, st.data())
def test_a_better_measure_never_ranks_lower(given_: list[Candidate], data: st.DataObject) -> None:
    if not given_:
        return
    i = data.draw(st.integers(0, len(given_) - 1))
    old = given_[i]
    better = Measure(success=1.0, weight=old.measure.weight)
    changed = [*given_[:i], Candidate(old.target, better, 0), *given_[i + 1 :]]
    for strategy in ("cheapest", "reliable"):
        before = ordered(given_, strategy).targets.index(old.target)
        assert ordered(changed, strategy).targets.index(old.target) <= before
