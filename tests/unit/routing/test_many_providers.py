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
        repeat(3)
        return count_steps(lambda: repeat(1))


@pytest.mark.parametrize("strategy", ["priority", "cheapest", "balanced"])
def test_a_model_that_is_named_costs_as_much_among_many_as_among_few(strategy: str) -> None:
    few, many = (count(n, strategy, model="p0/m", fallback=False) for n in (2, 50))
    assert many <= 1.02 * few


@pytest.mark.parametrize("strategy", ["priority", "cheapest", "balanced"])
def test_each_candidate_costs_as_much_among_many_as_among_few(strategy: str) -> None:
    two, some, many = (count(n, strategy, model="fast", fallback=None) for n in (2, 26, 50))
    assert many - some <= 1.1 * (some - two)


def test_the_configured_order_costs_next_to_nothing() -> None:
    few, many = (count(n, "priority", model="fast", fallback=None) for n in (2, 50))
    assert many <= 2 * few
