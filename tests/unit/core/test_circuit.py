"""An object that hangs costs a single caller its time, then none for some seconds."""

import asyncio
from collections.abc import Callable, Coroutine
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from proxy.core.circuit import NAMES, REST_SECONDS, SEVERAL, Circuit, Unreachable
from tests.unit.doubles import JumpingLoop, LoopClock, in_no_time

SECONDS = 1.0


class Objects:
    """A namespace of objects of which some hang and some fail."""

    def __init__(self) -> None:
        self.clock = LoopClock()
        self.circuit = Circuit(self.clock)
        self.hanging: set[str] = set()
        self.failing: set[str] = set()
        self.calls = 0

    async def _answer(self, name: str) -> str:
        self.calls += 1
        if name in self.hanging:
            await asyncio.sleep(10_000)
        if name in self.failing:
            raise RuntimeError("overloaded")
        return name

    async def call(self, name: str) -> float:
        """Seconds that a call took, whatever came of it."""
        began = asyncio.get_running_loop().time()
        with suppress(Unreachable, RuntimeError):
            assert await self.circuit.call(name, self._answer(name), SECONDS) == name
        return asyncio.get_running_loop().time() - began


@in_no_time
async def test_an_object_that_hangs_is_waited_for_once_and_then_tried_by_one() -> None:
    objects = Objects()
    objects.hanging = {"a"}
    assert [await objects.call("a") for _ in range(20)] == [SECONDS] + [0.0] * 19
    await asyncio.sleep(REST_SECONDS)
    took = await asyncio.gather(*(objects.call("a") for _ in range(20)))
    assert sorted(took) == [0.0] * 19 + [SECONDS]
    assert objects.calls == 2


@in_no_time
async def test_it_is_asked_again_as_soon_as_it_has_answered() -> None:
    objects = Objects()
    objects.hanging = {"a"}
    await objects.call("a")
    objects.hanging = set()
    await asyncio.sleep(REST_SECONDS)
    for _ in range(5):
        await objects.call("a")
    assert objects.calls == 6


@in_no_time
async def test_one_that_answers_with_errors_is_asked_each_time() -> None:
    objects = Objects()
    objects.failing = {"a"}
    for _ in range(5):
        await objects.call("a")
    assert objects.calls == 5


@in_no_time
async def test_a_users_hanging_objects_take_no_others_with_them() -> None:
    objects = Objects()
    objects.hanging = {f"hung {number}" for number in range(50)}
    for name in sorted(objects.hanging):
        await objects.call(name)
        before = objects.calls
        assert await objects.call("fine") == 0.0
        assert objects.calls == before + 1


@in_no_time
async def test_where_several_hang_and_none_answers_all_are_left_alone() -> None:
    objects = Objects()
    objects.hanging = {f"{number}" for number in range(100)}
    took = [await objects.call(f"{number}") for number in range(100)]
    assert took == [SECONDS] * SEVERAL + [0.0] * (100 - SEVERAL)
    await asyncio.sleep(REST_SECONDS)
    objects.hanging = set()
    await objects.call("50")
    assert [await objects.call("51"), objects.calls] == [0.0, SEVERAL + 2]


@in_no_time
async def test_a_trial_that_is_cancelled_is_followed_by_another() -> None:
    objects = Objects()
    objects.hanging = {"a"}
    await objects.call("a")
    await asyncio.sleep(REST_SECONDS)
    trial = asyncio.ensure_future(objects.call("a"))
    await asyncio.sleep(SECONDS / 2)
    trial.cancel()
    objects.hanging = set()
    assert (await objects.call("a"), objects.calls) == (0.0, 2)
    await asyncio.sleep(REST_SECONDS)
    await objects.call("a")
    assert objects.calls == 3


@in_no_time
async def test_a_callers_own_time_out_is_no_silence_of_the_object() -> None:
    objects = Objects()
    objects.hanging = {"a"}
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(SECONDS / 10):
            await objects.call("a")
    assert await objects.call("a") == SECONDS


@in_no_time
async def test_a_clock_that_steps_back_leaves_nothing_alone_for_longer() -> None:
    objects = Objects()
    objects.hanging = {"a"}
    await objects.call("a")
    objects.clock.time -= 3600
    assert await objects.call("a") == SECONDS


@in_no_time
async def test_what_is_remembered_is_bounded() -> None:
    objects = Objects()
    for number in range(NAMES + 50):
        objects.hanging = {f"{number}"}
        await objects.call(f"{number}")
        await objects.call("fine")
    assert len(objects.circuit._hung) == NAMES


def run(test: Callable[[], Coroutine[Any, Any, None]]) -> None:
    with asyncio.Runner(loop_factory=JumpingLoop) as runner:
        runner.run(test())


@settings(deadline=None, max_examples=60)
@given(
    st.lists(
        st.tuples(st.sampled_from("abcd"), st.booleans(), st.sampled_from([0.0, 0.5, 4.0, 5.0])),
        max_size=40,
    )
)
def test_no_name_costs_its_time_twice_within_the_rest(
    steps: list[tuple[str, bool, float]],
) -> None:
    async def check() -> None:
        objects, cost = Objects(), dict[str, float]()
        for name, hangs, pause in steps:
            objects.hanging = {name} if hangs else set()
            took = await objects.call(name)
            now = asyncio.get_running_loop().time()
            if took:
                assert took == SECONDS
                assert now - cost.get(name, -100.0) >= REST_SECONDS
                cost[name] = now
            await asyncio.sleep(pause)

    run(check)
