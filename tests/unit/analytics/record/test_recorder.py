import asyncio
from collections import Counter
from collections.abc import Coroutine, Sequence
from contextvars import ContextVar
from typing import Any, TypeVar

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from proxy.analytics.record import recorder
from proxy.analytics.record.recorder import GIVE_UP_SECONDS, PENDING, POINTS, Recorder
from proxy.analytics.record.request_record import BATCH, ITEM, RequestRecord
from proxy.analytics.store.figures import FLUSH_MOST
from proxy.analytics.store.shard import ADD
from proxy.core.ports import DataPoint
from proxy.core.rpc import Method
from tests.unit.doubles import CountingRandom, Logbook, LoopClock, in_no_time

A = TypeVar("A")
R = TypeVar("R")
INVOCATION: ContextVar[int] = ContextVar("invocation", default=0)
"""The number of its first event; what it defers is its own."""


class Shards:
    """Hears flushes once each, as a shard does. `fate`: what becomes of the next calls."""

    def __init__(self) -> None:
        self.heard: list[str] = []
        self.lost = 0
        self.calls = 0
        self.last = 0
        self.sizes: list[int] = []
        self.fate: list[str] = []

    async def call(self, method: Method[A, R], name: str, argument: A) -> R:
        assert method.name == ADD.name
        data = method.argument.encode(argument)
        self.calls += 1
        self.sizes.append(len(data))
        fate = self.fate.pop(0) if self.fate else "heard"
        if fate == "deaf":
            await asyncio.sleep(0.02)
            raise RuntimeError("the object is unreachable")
        if fate == "mute":
            await asyncio.sleep(1_000)
        flush = ADD.argument.decode(data)
        await asyncio.sleep(0.02)
        if flush.number > self.last:
            self.last = flush.number
            events = msgspec.json.decode(flush.events, type=list[RequestRecord])
            self.heard += [event.id for event in events]
            self.lost += flush.lost
        if fate == "heard, not told":
            raise RuntimeError("the answer was lost")
        return method.answer.decode("null")


class Isolate:
    """A recorder, and the requests that it has held open."""

    def __init__(self) -> None:
        self.shards = Shards()
        self.log = Logbook()
        self.points: list[DataPoint] = []
        self.written: Counter[int] = Counter()
        """How many of them each invocation wrote."""
        self.clock = LoopClock()
        self.recorder = self.made()
        self.open: list[asyncio.Task[object]] = []
        self.holders: list[int] = []
        """Which invocations they are."""
        self.count = 0

    def made(self) -> Recorder:
        return Recorder(
            self.shards,
            4,
            self.write,
            None,
            self.clock,
            CountingRandom(),
            self.log,
        )

    def write(self, points: Sequence[DataPoint]) -> None:
        self.points += points
        self.written[INVOCATION.get()] += len(points)

    def defer(self, work: Coroutine[Any, Any, object]) -> None:
        self.open.append(asyncio.ensure_future(work))
        self.holders.append(INVOCATION.get())

    def record(self, times: int = 1, *, counted: bool = True, logged: bool = True) -> None:
        for _ in range(times):
            INVOCATION.set(self.count + 1)
            self.end("/v1/generate", counted=counted, logged=logged)

    def record_batch(self, items: int) -> None:
        INVOCATION.set(self.count + 1)
        for _ in range(items):
            self.end(ITEM)
        self.end(BATCH)

    def end(self, endpoint: str, *, counted: bool = True, logged: bool = True) -> None:
        self.count += 1
        event = RequestRecord(
            at=1, id=f"{self.count}", endpoint=endpoint, status=200, ms=1, logged=logged
        )
        self.recorder.record(event, self.defer, counted=counted)

    def recorded(self) -> list[str]:
        return [f"{n}" for n in range(1, self.count + 1)]


@in_no_time
async def test_what_is_recorded_is_told_within_a_second_by_one_request() -> None:
    isolate = Isolate()
    isolate.record(3)
    assert isolate.shards.heard == []
    assert set(isolate.holders) == {1}
    await asyncio.sleep(1)
    assert isolate.shards.heard == ["1", "2", "3"]
    isolate.record()
    await asyncio.sleep(1)
    assert isolate.shards.heard == ["1", "2", "3", "4"]
    assert isolate.shards.calls == 2


@in_no_time
async def test_fifty_are_told_at_once() -> None:
    isolate = Isolate()
    isolate.record(50)
    await asyncio.sleep(0.1)
    assert isolate.shards.heard == isolate.recorded()


@in_no_time
async def test_under_load_each_call_tells_many() -> None:
    """The object is called once or twice a second."""
    isolate = Isolate()
    for _ in range(10_000):
        isolate.record()
        await asyncio.sleep(0.001)
    await asyncio.sleep(1)
    assert isolate.shards.heard == isolate.recorded()
    assert isolate.shards.calls < 20
    assert len(isolate.open) < 40


@in_no_time
async def test_an_object_out_of_reach_is_asked_seldom_and_holds_few_requests_open() -> None:
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
async def test_more_than_a_call_can_tell_waits_for_no_second() -> None:
    isolate = Isolate()
    isolate.record(50)
    await asyncio.sleep(0.1)
    isolate.record(FLUSH_MOST - 1)
    await asyncio.sleep(0.1)
    assert isolate.shards.heard == isolate.recorded()[:50]
    isolate.record()
    await asyncio.sleep(0.1)
    assert isolate.shards.heard == isolate.recorded()


@in_no_time
async def test_each_is_logged_and_a_data_point_but_what_does_not_count_is_logged_only() -> None:
    isolate = Isolate()
    isolate.record()
    isolate.record(counted=False)
    isolate.record(logged=False)
    assert [event for _, event, _ in isolate.log.lines] == ["request", "request"]
    await asyncio.sleep(1)
    assert len(isolate.points) == 2
    assert isolate.shards.heard == ["1", "3"]


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

    def refuse(*_: object) -> None:
        raise ValueError("too long")

    isolate.recorder._points = refuse
    isolate.record()
    await asyncio.sleep(1)
    assert [event for _, event, _ in isolate.log.lines] == ["request", "data points refused"]
    assert isolate.shards.heard == ["1"]


@in_no_time
async def test_flush_tells_all_at_once_and_waits_for_a_call_under_way() -> None:
    isolate = Isolate()
    isolate.record(FLUSH_MOST + 10)
    flushing = asyncio.ensure_future(isolate.recorder.flush())
    await asyncio.sleep(0.01)
    await isolate.recorder.flush()
    assert isolate.shards.heard == isolate.recorded()
    assert isolate.recorder.pending == 0
    await flushing


@in_no_time
async def test_nobody_is_told_where_nobody_is_to_be() -> None:
    isolate = Isolate()
    isolate.recorder = Recorder(None, 1, None, None, isolate.clock, CountingRandom(), isolate.log)
    isolate.record()
    assert isolate.open == []
    await isolate.recorder.flush()


@in_no_time
async def test_beyond_what_can_wait_the_oldest_are_dropped_and_counted() -> None:
    isolate = Isolate()
    isolate.shards.fate = ["deaf"] * 1_000
    isolate.record(PENDING + 30)
    assert isolate.recorder.pending == PENDING
    isolate.shards.fate = []
    await isolate.recorder.flush()
    assert isolate.shards.heard == isolate.recorded()[30:]
    assert isolate.shards.lost == 30


@in_no_time
async def test_a_call_that_went_with_its_request_is_made_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The platform ends a request without a word: no timeout comes, not even a `finally`."""
    monkeypatch.setattr(recorder, "CALL_SECONDS", 10_000)
    isolate = Isolate()
    isolate.shards.fate = ["mute"]
    isolate.record()
    await asyncio.sleep(1)
    isolate.record()
    await asyncio.sleep(4)
    assert isolate.shards.heard == []
    await asyncio.sleep(3)
    isolate.record()
    await asyncio.sleep(1)
    assert isolate.shards.heard == ["1", "2", "3"]
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
    assert isolate.shards.heard == [f"{FLUSH_MOST + 1}"]
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
    assert isolate.shards.heard == isolate.recorded()


@in_no_time
async def test_what_was_not_heard_is_told_again_though_nobody_comes() -> None:
    isolate = Isolate()
    isolate.shards.fate = ["deaf", "mute", "deaf"]
    isolate.record(3)
    await asyncio.sleep(25)
    assert isolate.shards.heard == isolate.recorded()


@in_no_time
async def test_a_call_tells_no_more_than_a_row_may_hold() -> None:
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
    assert isolate.shards.heard == isolate.recorded()
    assert max(isolate.shards.sizes) <= 2_000_000


ACTIONS = st.one_of(
    st.tuples(st.just("record"), st.integers(1, 60)),
    st.tuples(st.just("pass"), st.integers(1, 8_000)),
    st.tuples(st.just("kill"), st.integers(0, 5)),
    st.tuples(st.just("flush"), st.just(0)),
    st.tuples(st.sampled_from(["deaf", "mute", "heard, not told"]), st.just(0)),
)


@settings(deadline=None)
@given(st.lists(ACTIONS, max_size=30))
def test_whatever_happens_each_event_is_counted_once_and_in_order(
    actions: list[tuple[str, int]],
) -> None:
    """Requests are killed while they tell, calls are lost on the way there or back."""

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
        assert isolate.shards.heard == isolate.recorded()

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
        assert isolate.shards.heard == ["1", "2"]

    play()
