"""What a recorder does with a request, and its data points."""

import asyncio
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from proxy.analytics.record.point_writer import POINTS
from tests.unit.analytics.record.isolate import Isolate
from tests.unit.doubles import in_no_time


@in_no_time
async def test_what_is_recorded_is_reported_within_a_second_by_one_request() -> None:
    isolate = Isolate()
    isolate.record(3)
    assert isolate.shards.accepted == []
    assert set(isolate.holders) == {1}
    await asyncio.sleep(1)
    assert isolate.shards.accepted == ["1", "2", "3"]
    isolate.record()
    await asyncio.sleep(1)
    assert isolate.shards.accepted == ["1", "2", "3", "4"]
    assert isolate.shards.calls == 2


@in_no_time
async def test_each_is_logged_and_a_data_point_but_what_does_not_count_is_logged_only() -> None:
    isolate = Isolate()
    isolate.record()
    isolate.record(counted=False)
    isolate.record(logged=False)
    assert [record for _, record, _ in isolate.log.lines] == ["request", "request"]
    await asyncio.sleep(1)
    assert len(isolate.points) == 2
    assert isolate.shards.accepted == ["1", "3"]


@in_no_time
async def test_data_points_are_written_25_together_or_within_a_second() -> None:
    isolate = Isolate()
    isolate.record(POINTS + 3)
    assert isolate.written == {POINTS: POINTS}
    await asyncio.sleep(1)
    assert isolate.written == {POINTS: POINTS, 1: 3}
    assert set(isolate.holders) == {1}
    isolate.record()
    await asyncio.sleep(1)
    assert isolate.written == {POINTS: POINTS, 1: 3, POINTS + 4: 1}


@in_no_time
async def test_data_points_wait_for_no_object_that_is_out_of_reach() -> None:
    isolate = Isolate()
    isolate.shards.fate = ["deaf"] * 4
    isolate.record()
    await asyncio.sleep(1)
    isolate.record()
    await asyncio.sleep(1)
    assert isolate.written == {1: 1, 2: 1}


@in_no_time
async def test_a_batch_writes_its_own_data_points_at_once_and_nobody_elses() -> None:
    isolate = Isolate()
    isolate.record_batch(3)
    assert isolate.written == {1: 4}
    isolate.record()
    isolate.record_batch(24)
    await asyncio.sleep(1)
    assert isolate.written == {1: 4, 5: 1, 6: 25}


@given(
    st.lists(
        st.integers(1, 30).map(lambda n: ("requests", n))
        | st.integers(1, 24).map(lambda n: ("batch", n))
        | st.sampled_from([0.0, 0.1, 1.0]).map(lambda s: ("sleep", s))
        | st.just(("deaf", 3)),
        max_size=30,
    )
)
@settings(max_examples=60, deadline=None)
def test_no_invocation_writes_more_data_points_than_it_may(steps: list[tuple[str, Any]]) -> None:
    @in_no_time
    async def play() -> None:
        isolate = Isolate()
        for action, amount in steps:
            if action == "requests":
                isolate.record(amount)
            elif action == "batch":
                isolate.record_batch(amount)
            elif action == "sleep":
                await asyncio.sleep(amount)
            else:
                isolate.shards.fate += ["deaf"] * amount
        await asyncio.sleep(1)
        assert len(isolate.points) == isolate.count
        assert max(isolate.written.values(), default=0) <= 25

    play()


@in_no_time
async def test_a_dataset_that_refuses_costs_a_line() -> None:
    isolate = Isolate()
    isolate.refuse = True
    isolate.record()
    await asyncio.sleep(1)
    assert [record for _, record, _ in isolate.log.lines] == ["request", "data points refused"]
    assert isolate.shards.accepted == ["1"]


@in_no_time
async def test_without_statistics_nothing_is_reported() -> None:
    isolate = Isolate(enabled=False)
    isolate.record()
    assert isolate.open == []
    await isolate.recorder.flush()


@pytest.mark.parametrize("enabled", [True, False])
def test_spans_go_out_with_a_request_that_is_held_open_for_them(enabled: bool) -> None:
    @in_no_time
    async def play() -> None:
        isolate = Isolate(enabled=enabled, traces=True)
        isolate.record(3)
        assert isolate.collector.sent == []
        assert isolate.holders == ([1, 1] if enabled else [1])  # and for data points
        await asyncio.sleep(1)
        assert len(isolate.collector.sent) == 1
        assert isolate.shards.accepted == (["1", "2", "3"] if enabled else [])

    play()
