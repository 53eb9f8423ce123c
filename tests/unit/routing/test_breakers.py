"""All breakers of an isolate: what an outcome opens, bounds, and what isolates pass on."""

from typing import Any, get_args

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.core.chat import Blame
from proxy.core.errors import BLAMED, CALLER_GONE, GIVEN_UP, OK, Fault, FaultKind, Outcome
from proxy.routing.breaker import Reason, Transition
from proxy.routing.breakers import LONGEST, MODELS, Breakers
from tests.unit.routing.making_breakers import (
    NETWORK,
    NOW,
    TIMEOUT,
    UNAUTHORIZED,
    lets_go,
    transitions,
)


def some_breakers() -> Breakers:
    return Breakers(lambda: 0.0, slow_ms=20_000)


def run(
    breakers: Breakers, outcome: Outcome, model: str = "m", provider: str = "p", times: int = 5
) -> None:
    for _ in range(times):
        breakers.report(breakers.begin(provider, model, NOW), outcome, NOW)


def reasons(breakers: Breakers) -> dict[str, Reason | None]:
    views = breakers.views(NOW)
    return {name: view.reason for name, view in views.items() if view.phase != "closed"}


PROVIDERS: dict[FaultKind, tuple[int, dict[str, Reason]]] = {
    "unauthorized": (1, {"p": "misconfigured"}),
    "not_found": (1, {"p": "not_found"}),
    "unavailable": (5, {"p": "failed"}),
    "garbage": (5, {"p": "failed"}),
    "network": (5, {"p": "failed"}),
    "timeout": (5, {"p": "failed", "p/m": "failed"}),
}
"""After how many faults of the provider's own what opens, and why."""
MODELS_OWN = {
    kind: (times, {"p/m": next(iter(opened.values()))})
    for kind, (times, opened) in PROVIDERS.items()
}


def expected(outcome: Outcome) -> tuple[int, dict[str, Reason]]:
    if outcome.kind == "ok" or outcome.kind == "gone":
        return 20, {}
    by_blame = {"provider": PROVIDERS, "model": MODELS_OWN}
    return by_blame.get(outcome.blame or "", {}).get(outcome.kind, (20, {}))


OUTCOMES = [
    *(Outcome(kind, blame) for kind in get_args(FaultKind) for blame in get_args(Blame)),
    OK,
    CALLER_GONE,
    GIVEN_UP,
]


@pytest.mark.parametrize("outcome", OUTCOMES, ids=lambda one: f"{one.kind}-{one.blame}")
def test_what_each_outcome_opens_and_after_how_many(outcome: Outcome) -> None:
    times, opened = expected(outcome)
    breakers = some_breakers()
    run(breakers, outcome, times=times - 1)
    assert reasons(breakers) == {}
    run(breakers, outcome, times=1)
    assert reasons(breakers) == opened
    assert lets_go(breakers, "p", "m", NOW) == (not opened)
    assert lets_go(breakers, "p", "other", NOW) == ("p" not in opened)
    assert lets_go(breakers, "other", "m", NOW)


def test_every_kind_of_fault_has_somebody_to_blame() -> None:
    blamed = {kind: Fault(kind, "down").outcome.blame for kind in get_args(FaultKind)}
    assert blamed == BLAMED
    assert Fault("timeout", "down", blame="caller").outcome == Outcome("timeout", "caller")


NEUTRAL = [one for one in OUTCOMES if one != OK and expected(one)[1] == {}]


@pytest.mark.parametrize("outcome", NEUTRAL, ids=lambda one: f"{one.kind}-{one.blame}")
def test_what_says_nothing_is_not_counted_and_closes_nothing(outcome: Outcome) -> None:
    breakers, now = some_breakers(), NOW + 10_000
    run(breakers, outcome)
    assert {view.calls for view in breakers.views(NOW).values()} == {0}
    run(breakers, TIMEOUT)
    breakers.report(breakers.begin("p", "m", now), outcome, now)
    assert {view.phase for view in breakers.views(now).values()} == {"half_open"}
    assert lets_go(breakers, "p", "m", now)


@pytest.mark.parametrize(("ms", "slow"), [(None, False), (19_999, False), (20_000, True)])
def test_slow_successes_open_the_model(ms: int | None, slow: bool) -> None:
    breakers = some_breakers()
    for _ in range(5):
        breakers.report(breakers.begin("p", "m", NOW), OK, NOW, ms=ms)
    assert reasons(breakers) == ({"p/m": "slow"} if slow else {})
    unlimited = Breakers(lambda: 0.0)
    for _ in range(5):
        unlimited.report(unlimited.begin("p", "m", NOW), OK, NOW, ms=ms)
    assert reasons(unlimited) == {}


def test_a_provider_that_is_due_lets_one_call_go_whatever_the_model() -> None:
    breakers, now = some_breakers(), NOW + 10_000
    run(breakers, Fault("network", "down").outcome)
    assert lets_go(breakers, "p", "a", now)
    probe = breakers.begin("p", "a", now)
    assert not lets_go(breakers, "p", "b", now)
    breakers.report(probe, OK, now)
    assert lets_go(breakers, "p", "b", now)


def test_the_least_bad_is_the_one_that_waits_least_and_is_not_misconfigured() -> None:
    breakers = some_breakers()
    run(breakers, UNAUTHORIZED, provider="key", times=1)
    run(breakers, Fault("network", "down").outcome, provider="net")
    run(breakers, Fault("network", "down").outcome, provider="probed")
    breakers.begin("probed", "m", NOW + 10_000)
    breakers.report(breakers.begin("net", "m", NOW + 10_000), NETWORK, NOW + 10_000)
    breakers.report(breakers.begin("key", "m", NOW + 10_000), UNAUTHORIZED, NOW + 10_000)
    order = sorted(
        ["key", "net", "probed", "well"], key=lambda p: breakers.openness(p, "m", NOW + 10_001)
    )
    assert order == ["well", "probed", "net", "key"]


def test_a_flood_of_names_leaves_what_is_open_and_what_is_in_use() -> None:
    breakers = some_breakers()
    run(breakers, Fault("unavailable", "down").outcome, "broken")
    run(breakers, Fault("unavailable", "down").outcome, "in use", times=1)
    for i in range(3 * MODELS):
        if i % 500 == 0:
            run(breakers, OK, "in use", times=1)
        run(breakers, OK, f"name {i}", times=1)
    assert reasons(breakers) == {"p/broken": "failed"}
    assert breakers.views(NOW)["p/in use"].failures == 1
    assert len(breakers.views(NOW)) == MODELS + 1


def test_where_all_are_open_the_oldest_gives_way() -> None:
    breakers = some_breakers()
    for i in range(MODELS + 5):
        run(breakers, Fault("not_found", "down").outcome, f"m{i}", times=1)
    views = breakers.views(NOW)
    assert len(views) == MODELS + 1
    assert "p/m4" not in views
    assert "p/m5" in views
    assert len(breakers.take_changes()) == MODELS
    assert breakers.open == views.keys() - {"p"}


def test_a_flood_that_is_adopted_is_bounded_too() -> None:
    breakers = some_breakers()
    flood = {f"p/{i}": Transition(NOW, NOW + 10_000, 1, "failed") for i in range(MODELS + 9)}
    breakers.adopt(flood, NOW)
    assert len(breakers.views(NOW)) == MODELS


def test_a_name_that_is_too_long_is_not_kept() -> None:
    breakers = some_breakers()
    run(breakers, Fault("not_found", "down").outcome, "x" * (LONGEST - 2))
    run(breakers, Fault("not_found", "down").outcome, "y" * (LONGEST - 1))
    assert list(reasons(breakers)) == ["p/" + "x" * (LONGEST - 2)]
    assert lets_go(breakers, "p", "y" * (LONGEST - 1), NOW)


def test_changes_are_told_once_and_adopted_elsewhere_without_an_echo() -> None:
    here, there = some_breakers(), some_breakers()
    run(here, TIMEOUT)
    transition = here.take_changes()
    assert set(transition) == {"p", "p/m"}
    assert here.take_changes() == {}
    there.adopt(transition, NOW)
    assert there.take_changes() == {}
    assert not lets_go(there, "p", "m", NOW + 9_999)
    probe = there.begin("p", "m", NOW + 10_000)
    there.report(probe, OK, NOW + 10_000)
    here.adopt(there.take_changes(), NOW + 10_000)
    assert lets_go(here, "p", "m", NOW + 10_000)
    assert here.take_changes() == {}


def test_an_own_change_that_is_overtaken_is_not_told() -> None:
    breakers = some_breakers()
    run(breakers, Fault("network", "down").outcome)
    breakers.adopt({"p": Transition(NOW + 1)}, NOW + 1)
    assert breakers.take_changes() == {}


def test_that_an_unknown_one_closed_is_no_news() -> None:
    breakers = some_breakers()
    breakers.adopt({"p": Transition(NOW), "p/m": Transition(NOW)}, NOW)
    assert breakers.views(NOW) == {}


@pytest.mark.parametrize(("provider", "left"), [("p", {"q", "pp"}), (None, set())])
def test_reset_closes_and_tells_the_others(provider: str | None, left: set[str]) -> None:
    here, there = some_breakers(), some_breakers()
    for name in ("p", "q", "pp"):
        run(here, UNAUTHORIZED, provider=name, times=1)
    run(here, Fault("unavailable", "down").outcome, "m/2", provider="p")
    there.adopt(here.take_changes(), NOW)
    there.reset(NOW, provider)
    assert set(reasons(there)) == left
    here.adopt(there.take_changes(), NOW)
    assert set(reasons(here)) == left
    assert here.views(NOW)["p"].calls == 0


def test_a_view_is_shown_in_the_proxys_own_spelling() -> None:
    breakers = some_breakers()
    run(breakers, Fault("network", "down").outcome)
    assert msgspec.to_builtins(breakers.views(NOW + 1)["p"]) == {
        "phase": "open",
        "reason": "failed",
        "calls": 0,
        "failures": 0,
        "slow": 0,
        "openUntil": NOW + 10_000,
        "opened": 1,
    }


changes = st.one_of(
    st.tuples(st.just("call"), st.sampled_from(OUTCOMES), st.sampled_from("pq")),
    st.tuples(st.just("adopt"), transitions(NOW), st.sampled_from(["p", "q", "p/m", "x" * 201])),
    st.tuples(st.just("reset"), st.none(), st.sampled_from(["p", None])),
)


@given(st.lists(changes, max_size=12))
def test_those_that_are_not_closed_are_known_by_name(steps: list[tuple[str, Any, Any]]) -> None:
    breakers = some_breakers()
    for kind, change, name in steps:
        match kind:
            case "call":
                run(breakers, change, provider=name)
            case "adopt":
                breakers.adopt({name: change}, NOW)
            case _:
                breakers.reset(NOW, name)
        views = breakers.views(NOW)
        assert breakers.open == {name for name, view in views.items() if view.phase != "closed"}
