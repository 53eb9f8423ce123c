"""What a request costs among many providers: it pays for its own candidates alone."""

import asyncio
from contextlib import closing
from typing import Any

import pytest

from tests.unit.doubles import Unlimited
from tests.unit.routing.making import call
from tests.unit.routing.making_many import make_manager
from tests.unit.work import count_steps


def count(providers: int, strategy: str, **routing: Any) -> int:
    """The steps of a request like those before it."""
    manager, permit = make_manager(providers, strategy), Unlimited()
    made = call(**routing)

    def repeat(times: int) -> None:
        for _ in range(times):
            loop.run_until_complete(manager.complete(made, permit))

    with closing(asyncio.new_event_loop()) as loop:
        repeat(200)
        return count_steps(lambda: repeat(1))


@pytest.mark.parametrize("strategy", ["priority", "cheapest", "balanced"])
def test_a_model_that_is_named_costs_as_much_among_many_as_among_few(strategy: str) -> None:
    few, many = (count(n, strategy, model="p0/m", fallback=False) for n in (2, 50))
    assert many <= 1.02 * few


@pytest.mark.parametrize(
    ("strategy", "most"),
    [("priority", 1.3), ("cheapest", 1.5), ("reliable", 1.6), ("balanced", 1.5), ("weighted", 1.5)],
)
def test_many_candidates_cost_little_more_than_few(strategy: str, most: float) -> None:
    few, many = (count(n, strategy, model="fast", fallback=None) for n in (2, 50))
    assert many <= most * few


def test_where_many_are_as_good_the_conversation_asks_each() -> None:
    few, many = (count(n, "fastest", model="fast", fallback=None) for n in (2, 50))
    assert many <= 2 * few
