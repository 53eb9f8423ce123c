"""What reaches the shard, whatever becomes of calls and requests."""

import asyncio

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from proxy.analytics.record import shard_reporter
from proxy.analytics.record.recorder import PAUSES
from proxy.analytics.record.request_record import RequestRecord
from proxy.analytics.record.shard_reporter import GIVE_UP_SECONDS, PENDING
from proxy.analytics.store.messages import FLUSH_MOST
from proxy.analytics.store.shard import FORGET_MS
from tests.unit.analytics.record.isolate import Isolate
from tests.unit.doubles import in_no_time


@in_no_time
async def test_fifty_are_reported_at_once() -> None:
    isolate = Isolate()
    isolate.record(50)
    await asyncio.sleep(0.1)
    assert isolate.shards.accepted == isolate.recorded()


@in_no_time
async def test_under_load_each_call_reports_many() -> None:
    """The object is called once or twice a second."""
    isolate = Isolate()
    for _ in range(10_000):
        isolate.record()
        await asyncio.sleep(0.001)
    await asyncio.sleep(1)
    assert isolate.shards.accepted == isolate.recorded()
    assert isolate.shards.calls < 20
    assert len(isolate.open) < 40


@in_no_time
async def test_an_object_out_of_reach_is_called_seldom_and_holds_few_requests_open() -> None:
    isolate = Isolate()
    isolate.shards.fate = ["deaf"] * 10_000
    for _ in range(3_000):
        isolate.record()
        await asyncio.sleep(0.02)
    assert isolate.shards.calls < 90
    assert sum(not task.done() for task in isolate.open) < 10
    isolate.shards.fate = []
    await asyncio.sleep(20)
    assert isolate.recorder.pending == 0


@in_no_time
async def test_more_than_a_call_can_send_waits_for_no_second() -> None:
    isolate = Isolate()
    isolate.record(50)
    await asyncio.sleep(0.1)
    isolate.record(FLUSH_MOST - 1)
    await asyncio.sleep(0.1)
    assert isolate.shards.accepted == isolate.recorded()[:50]
    isolate.record()
    await asyncio.sleep(0.1)
    assert isolate.shards.accepted == isolate.recorded()


@in_no_time
async def test_flush_reports_all_at_once_and_waits_for_a_call_under_way() -> None:
    isolate = Isolate()
    isolate.record(FLUSH_MOST + 10)
    flushing = asyncio.ensure_future(isolate.recorder.flush())
    await asyncio.sleep(0.01)
    await isolate.recorder.flush()
    assert isolate.shards.accepted == isolate.recorded()
    assert isolate.recorder.pending == 0
    await flushing


@in_no_time
async def test_beyond_what_can_wait_the_oldest_are_dropped_and_counted() -> None:
    isolate = Isolate()
    isolate.shards.fate = ["deaf"] * 1_000
    isolate.record(PENDING + 30)
    assert isolate.recorder.pending == PENDING
    isolate.shards.fate = []
    await isolate.recorder.flush()
    assert isolate.shards.accepted == isolate.recorded()[30:]
    assert isolate.shards.lost == 30


@in_no_time
async def test_a_call_that_went_with_its_request_is_made_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The platform ends a request without a word: no timeout comes, not even a `finally`."""
    monkeypatch.setattr(shard_reporter, "CALL_SECONDS", 10_000)
    isolate = Isolate()
    isolate.shards.fate = ["mute"]
    isolate.record()
    await asyncio.sleep(1)
    isolate.record()
    await asyncio.sleep(4)
    assert isolate.shards.accepted == []
    await asyncio.sleep(3)
    isolate.record()
    await asyncio.sleep(1)
    assert isolate.shards.accepted == ["1", "2", "3"]
    for task in isolate.open:
        task.cancel()


@in_no_time
async def test_a_batch_that_is_never_taken_is_given_up_and_counted() -> None:
    isolate = Isolate()
    isolate.shards.fate = ["deaf"] * 1_000
    isolate.record(FLUSH_MOST + 1)
    await isolate.recorder.flush()
    await asyncio.sleep(GIVE_UP_SECONDS / 2)
    await isolate.recorder.flush()
    assert isolate.recorder.pending == FLUSH_MOST + 1
    await asyncio.sleep(GIVE_UP_SECONDS / 2)
    await isolate.recorder.flush()
    assert isolate.recorder.pending == 1
    isolate.shards.fate = []
    await isolate.recorder.flush()
    assert isolate.shards.accepted == [f"{FLUSH_MOST + 1}"]
    assert isolate.shards.lost == FLUSH_MOST


@in_no_time
async def test_an_object_that_refuses_is_left_alone_for_a_while() -> None:
    isolate = Isolate()
    isolate.shards.fate = ["deaf"] * 10_000
    for _ in range(1_500):
        isolate.record()
        await asyncio.sleep(0.001)
    assert isolate.shards.calls <= 5
    assert isolate.recorder.pending == 1_500
    isolate.shards.fate = []
    await asyncio.sleep(20)
    assert isolate.shards.accepted == isolate.recorded()


@in_no_time
async def test_what_was_not_accepted_is_sent_again_though_nobody_comes() -> None:
    isolate = Isolate()
    isolate.shards.fate = ["deaf", "mute", "deaf"]
    isolate.record(3)
    await asyncio.sleep(25)
    assert isolate.shards.accepted == isolate.recorded()


@in_no_time
async def test_what_comes_while_a_call_is_made_again_waits_for_no_other_request() -> None:
    isolate = Isolate()
    isolate.shards.fate = ["deaf"]
    isolate.record()
    await asyncio.sleep(sum(PAUSES[:2]) + 0.03)
    assert (isolate.shards.calls, isolate.shards.accepted) == (2, [])
    isolate.record()
    await asyncio.sleep(3)
    assert isolate.shards.accepted == ["1", "2"]


@in_no_time
async def test_what_comes_after_the_last_try_waits_for_no_other_request() -> None:
    isolate = Isolate()
    isolate.shards.fate = ["deaf"] * len(PAUSES)
    isolate.record()
    await asyncio.gather(*isolate.open)
    isolate.record()
    await asyncio.sleep(3)
    assert isolate.shards.accepted == ["1", "2"]


@in_no_time
async def test_what_the_shard_may_have_forgotten_is_not_sent_again() -> None:
    """The isolate sleeps after a flush that was accepted, though it never heard so."""
    isolate = Isolate()
    isolate.shards.fate = ["unanswered"] * len(PAUSES)
    isolate.record(3)
    await asyncio.sleep(FORGET_MS / 1000)
    isolate.shards.last = 0
    isolate.record()
    await asyncio.sleep(1)
    assert isolate.shards.accepted == ["1", "2", "3", "4"]
    assert isolate.shards.lost == 3
    assert isolate.recorder.pending == 0


@in_no_time
async def test_an_isolate_that_sleeps_through_an_outage_has_lost_nothing() -> None:
    isolate = Isolate()
    isolate.shards.fate = ["deaf"] * len(PAUSES)
    isolate.record(3)
    await asyncio.sleep(10 * 3600)
    isolate.record()
    await asyncio.sleep(1)
    assert isolate.shards.accepted == isolate.recorded()
    assert isolate.shards.lost == 0


@in_no_time
async def test_a_call_sends_no_more_than_a_row_may_hold() -> None:
    isolate = Isolate()
    for _ in range(60):
        isolate.count += 1
        big = RequestRecord(
            at=1,
            id=f"{isolate.count}",
            endpoint="/v1/x",
            status=200,
            ms=1,
            requested_model="x" * 100_000,
        )
        isolate.recorder.record(big, isolate.defer, counted=True)
    await isolate.recorder.flush()
    assert isolate.shards.accepted == isolate.recorded()
    assert max(isolate.shards.sizes) <= 2_000_000


ACTIONS = st.one_of(
    st.tuples(st.just("record"), st.integers(1, 60)),
    st.tuples(st.just("pass"), st.integers(1, 8_000)),
    st.tuples(st.just("kill"), st.integers(0, 5)),
    st.tuples(st.just("flush"), st.just(0)),
    st.tuples(st.sampled_from(["deaf", "mute", "unanswered"]), st.just(0)),
)


@settings(deadline=None)
@given(st.lists(ACTIONS, max_size=30))
def test_whatever_happens_each_request_is_counted_once_and_in_order(
    actions: list[tuple[str, int]],
) -> None:
    """Requests are killed while they report, calls are lost on the way there or back."""

    @in_no_time
    async def play() -> None:
        isolate = Isolate()
        for action, amount in actions:
            if action == "record":
                isolate.record(amount)
            elif action == "pass":
                await asyncio.sleep(amount / 1000)
            elif action == "kill":
                for task in isolate.open[-amount:]:
                    task.cancel()
            elif action == "flush":
                await isolate.recorder.flush()
            else:
                isolate.shards.fate.append(action)
        isolate.shards.fate = []
        await asyncio.sleep(10)
        await isolate.recorder.flush()
        assert isolate.shards.accepted == isolate.recorded()

    play()


@pytest.mark.parametrize("seconds", [-3600, 3600])
def test_a_clock_that_steps_keeps_nothing_back(seconds: int) -> None:
    @in_no_time
    async def play() -> None:
        isolate = Isolate()
        isolate.record()
        for task in isolate.open:
            task.cancel()
        isolate.clock.time += seconds
        isolate.record()
        await asyncio.sleep(1)
        assert isolate.shards.accepted == ["1", "2"]

    play()
