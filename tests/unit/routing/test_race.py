"""The race of two attempts, by itself."""

import asyncio

import pytest

from proxy.core.errors import NotFound
from proxy.routing.hedge import race
from tests.unit.doubles import in_no_time


async def after(seconds: float, result: str | Exception | None) -> str | None:
    await asyncio.sleep(seconds)
    if isinstance(result, Exception):
        raise result
    return result


class Race:
    """A race whose second begins after a second."""

    def __init__(self) -> None:
        self.begun = 0
        self.discarded: list[str] = []

    async def run(
        self,
        first: tuple[float, str | Exception | None],
        second: tuple[float, str | Exception | None],
    ) -> str | None:
        async def begin() -> str | None:
            self.begun += 1
            return await after(*second)

        return await race(after(*first), begin, 1.0, self.discarded.append)


@in_no_time
async def test_a_first_that_is_quick_runs_alone() -> None:
    for result in ("one", None):
        runs = Race()
        assert await runs.run((0.5, result), (0.0, "two")) == result
        assert runs.begun == 0


@in_no_time
async def test_the_sooner_result_is_taken_and_the_other_ends() -> None:
    runs = Race()
    assert await runs.run((9.0, "one"), (1.0, "two")) == "two"
    assert await runs.run((1.5, "one"), (1.0, "two")) == "one"
    assert asyncio.get_running_loop().time() == pytest.approx(3.5)
    assert runs.discarded == []


@in_no_time
async def test_a_result_that_comes_at_the_same_moment_is_discarded() -> None:
    runs = Race()
    assert {await runs.run((2.0, "one"), (1.0, "two")), *runs.discarded} == {"one", "two"}


@in_no_time
async def test_one_without_a_result_leaves_it_to_the_other() -> None:
    for loss in (None, NotFound("gone")):
        assert await Race().run((1.5, loss), (3.0, "two")) == "two"
        assert await Race().run((3.0, "one"), (1.0, loss)) == "one"
    assert await Race().run((1.5, None), (1.0, None)) is None


@in_no_time
async def test_an_error_is_raised_where_neither_has_a_result() -> None:
    with pytest.raises(NotFound):
        await Race().run((1.5, NotFound("gone")), (1.0, None))
    with pytest.raises(NotFound):
        await Race().run((0.5, NotFound("gone")), (1.0, "two"))


@in_no_time
async def test_a_race_that_is_called_off_ends_both() -> None:
    runs = Race()
    running = asyncio.ensure_future(runs.run((9.0, "one"), (9.0, "two")))
    await asyncio.sleep(2)
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    assert (runs.begun, runs.discarded) == (1, [])
    assert len(asyncio.all_tasks()) == 1
