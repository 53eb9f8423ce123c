"""Time-outs that share a timer: each wait has its own time, and hardly a timer is armed."""

import asyncio
import math
from collections.abc import Iterator

import pytest

from proxy.core.patience import Patience, within
from tests.unit.doubles import in_no_time


def now() -> float:
    return asyncio.get_running_loop().time()


@pytest.fixture
def armed(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[float]]:
    """The seconds of each timer that is armed."""
    seconds: list[float] = []
    arm = Patience.arm

    def note(self: Patience, at: float, after: float) -> None:
        seconds.append(after)
        arm(self, at, after)

    monkeypatch.setattr(Patience, "arm", note)
    yield seconds


@in_no_time
async def test_a_wait_that_takes_too_long_ends() -> None:
    with pytest.raises(TimeoutError), within(2):
        await asyncio.sleep(10)
    assert now() == pytest.approx(2)
    await asyncio.sleep(10)  # what comes after is not cancelled
    assert asyncio.current_task().cancelling() == 0  # type: ignore[union-attr]


@in_no_time
async def test_each_of_several_waits_has_all_its_time() -> None:
    with within(math.inf):
        for _ in range(4):
            with within(2):
                await asyncio.sleep(1.9)
        with pytest.raises(TimeoutError), within(2):
            await asyncio.sleep(10)
        with within(2):
            await asyncio.sleep(1.9)
    assert now() == pytest.approx(4 * 1.9 + 2 + 1.9)


@in_no_time
async def test_short_waits_share_one_timer(armed: list[float]) -> None:
    with within(9, shortest=3):
        with within(3):
            await asyncio.sleep(0.1)
        await asyncio.sleep(0.1)
        with within(3):
            await asyncio.sleep(0.1)
    assert armed == [3]


@in_no_time
async def test_an_endless_wait_keeps_the_timer_from_one_wait_to_the_next(
    armed: list[float],
) -> None:
    with within(math.inf):
        for _ in range(3):
            with within(3):
                await asyncio.sleep(0.1)
        with pytest.raises(TimeoutError), within(2):
            await asyncio.sleep(10)
    assert now() == pytest.approx(2.3)
    assert [seconds for seconds in armed if seconds < math.inf] == [3, 2]


@in_no_time
async def test_a_task_that_another_begins_waits_by_itself() -> None:
    async def wait(seconds: float) -> float:
        with pytest.raises(TimeoutError), within(seconds):
            await asyncio.sleep(10)
        return now()

    with within(5):
        tasks = [asyncio.create_task(wait(seconds)) for seconds in (1, 2)]
        assert await asyncio.gather(*tasks) == pytest.approx([1, 2])
        with pytest.raises(TimeoutError), within(1):
            await asyncio.sleep(10)
    assert now() == pytest.approx(3)


@in_no_time
async def test_the_inner_wait_ends_without_the_outer_which_still_ends() -> None:
    with pytest.raises(TimeoutError), within(3, shortest=1):
        with pytest.raises(TimeoutError), within(1):
            await asyncio.sleep(10)
        assert now() == pytest.approx(1)
        await asyncio.sleep(10)
    assert now() == pytest.approx(3)


@in_no_time
async def test_the_outer_wait_ends_within_the_inner() -> None:
    has_inner_ended = False
    with pytest.raises(TimeoutError), within(1):
        try:
            with within(3):
                await asyncio.sleep(10)
        except TimeoutError:
            has_inner_ended = True
    assert not has_inner_ended
    assert now() == pytest.approx(1)


@in_no_time
async def test_a_shorter_wait_is_not_kept_waiting_for_the_timer_of_a_longer() -> None:
    with within(9):
        with pytest.raises(TimeoutError), within(1):
            await asyncio.sleep(10)
        assert now() == pytest.approx(1)


@in_no_time
async def test_a_cancellation_from_outside_is_none_of_its_own() -> None:
    async def wait() -> None:
        with within(2):
            await asyncio.sleep(10)

    task = asyncio.ensure_future(wait())
    await asyncio.sleep(1)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert now() == pytest.approx(1)


@in_no_time
async def test_nothing_rings_once_it_is_over() -> None:
    with within(2):
        await asyncio.sleep(1)
    await asyncio.sleep(10)


@in_no_time
async def test_of_waits_that_end_at_once_the_outer_ends() -> None:
    has_inner_ended = False
    with pytest.raises(TimeoutError), within(1):
        try:
            with within(1):
                await asyncio.sleep(10)
        except TimeoutError:
            has_inner_ended = True
    assert not has_inner_ended
    task = asyncio.current_task()
    assert task
    assert task.cancelling() == 0


@in_no_time
async def test_a_wait_that_is_over_is_ended_once_however_long_its_cleaning_up_takes() -> None:
    was_cleaned_up = False
    with within(5):
        with pytest.raises(TimeoutError), within(1):
            try:
                await asyncio.sleep(10)
            finally:
                with within(1):
                    await asyncio.sleep(0.5)
                with pytest.raises(TimeoutError), within(1):
                    await asyncio.sleep(10)
                was_cleaned_up = True
        await asyncio.sleep(1)
    assert was_cleaned_up
    task = asyncio.current_task()
    assert task
    assert task.cancelling() == 0
