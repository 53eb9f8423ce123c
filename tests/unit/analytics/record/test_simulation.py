"""Isolates and shards over a bad network, for days: isolates are killed and sleep, calls are lost,
late or never answered, shards forget. Recorders, reporters and shards are the real ones."""

import asyncio
import random
from collections.abc import Awaitable, Callable

import pytest
from msgspec import structs

from proxy.analytics.record.recorder import Recorder
from proxy.analytics.store.messages import Flush, LogQuery, SumsQuery
from proxy.analytics.store.shard import ADD, FORGET_MS
from proxy.core.settings import AnalyticsSettings
from tests.unit.analytics.making import make_record, read_sums
from tests.unit.doubles import FakeReply, LoopClock, in_no_time, ports
from tests.unit.memory_objects import MemoryObjects

FATES = ("", "", "", "", "lost", "unanswered", "late", "mute")
ACTIONS = (*["record"] * 5, "kill", "cut", "turn", "prune", "prune")
PAUSES = (0.02, 0.5, 0.5, 2, 2, 2, 10, 10, 10, 10, 3_600, FORGET_MS / 1000)
"""Seconds between two steps."""
STEPS = 250
SHARDS = 2


class Isolate:
    """A recorder, the requests that it holds open, and what it was to record."""

    def __init__(self, recorder: Recorder) -> None:
        self.recorder = recorder
        self.open: list[asyncio.Future[object]] = []
        self.recorded: list[str] = []

    def defer(self, work: Awaitable[object]) -> None:
        self.open.append(asyncio.ensure_future(work))


class Fleet:
    """Some isolates, and the shards that they report to."""

    def __init__(self, seed: int) -> None:
        self.chance = random.Random(seed)
        self.clock = LoopClock()
        self._outside = ports(lambda _: FakeReply(), clock=self.clock)
        assert isinstance(self._outside.objects, MemoryObjects)
        self.shards = self._outside.objects.statistics
        self.shards.wrap(ADD, self._meet)
        self.fates: tuple[str, ...] = FATES
        """What may become of a call; "": it is answered."""
        self.late: list[asyncio.Future[None]] = []
        self.count = 0
        self.may_miss: set[str] = set()
        """What went with an isolate that was killed."""
        self.isolates = [self._start() for _ in range(4)]

    def _start(self) -> Isolate:
        settings = AnalyticsSettings(enabled=True, shards=SHARDS)
        return Isolate(Recorder(settings, structs.replace(self._outside, points=None)))

    async def _meet(self, _: str, flush: Flush, answer: Callable[[], Awaitable[None]]) -> None:
        """What becomes of a call."""
        fate = self.chance.choice(self.fates)
        await asyncio.sleep(self.chance.uniform(0, 0.2))
        if fate == "late":  # it comes after its time-out, and perhaps after the next
            self.late.append(asyncio.ensure_future(self._answer_late(answer)))
        if fate in ("", "unanswered"):
            await answer()
        if fate in ("late", "mute"):
            await asyncio.sleep(1_000)
        if fate:
            raise RuntimeError("the object is unreachable")

    async def _answer_late(self, answer: Callable[[], Awaitable[None]]) -> None:
        await asyncio.sleep(self.chance.uniform(2, 30))
        await answer()

    async def step(self) -> None:
        """Has something happen, and time pass."""
        isolate = self.chance.choice(self.isolates)
        action = self.chance.choice(ACTIONS)
        if action == "record":
            for _ in range(self.chance.choice((1, 3, 60))):
                self.count += 1
                isolate.recorded.append(f"{self.count}")
                record = make_record(id=f"{self.count}", at=self.shards.now)
                isolate.recorder.record(record, isolate.defer, counted=True)
        elif action == "kill" and self.chance.random() < 0.2:
            for task in isolate.open:
                task.cancel()
            self.may_miss |= {*isolate.recorded} - {*self.list_counted()}
            self.isolates[self.isolates.index(isolate)] = self._start()
        elif action == "cut":
            for task in isolate.open[-1:]:
                task.cancel()
        elif action == "turn":  # an outage begins or ends
            self.fates = FATES if self.fates == ("lost",) else ("lost",)
        elif action == "prune":
            for shard in self.shards.held.values():
                shard.prune(self.shards.now)
        await asyncio.sleep(self.chance.choice(PAUSES))

    async def end(self) -> None:
        """Has all that is left arrive."""
        self.fates = ("",)
        await asyncio.gather(*self.late)
        for isolate in self.isolates:
            await asyncio.sleep(10)
            await isolate.recorder.flush()
            assert isolate.recorder.pending == 0

    def list_counted(self) -> list[str]:
        """The ids of the records that the shards have, as often as they have them."""
        pages = [shard.read_page(LogQuery(limit=9_000)) for shard in self.shards.held.values()]
        assert not any(page.has_more for page in pages)
        return [row.record.id for page in pages for row in page.rows]


@pytest.mark.parametrize("seed", range(6))
def test_nothing_is_counted_twice_and_what_is_lost_is_known(seed: int) -> None:
    @in_no_time
    async def play() -> None:
        fleet = Fleet(seed)
        for _ in range(STEPS):
            await fleet.step()
        await fleet.end()
        counted = fleet.list_counted()
        assert len(counted) == len({*counted})
        everything = SumsQuery(resolution="ever", models_only=False)
        sums = read_sums(everything, *fleet.shards.held.values())
        assert sum(group.totals.requests for group in sums.groups) == len(counted)
        missed = {f"{n}" for n in range(1, fleet.count + 1)} - {*counted} - fleet.may_miss
        assert len(missed) <= sums.lost
        assert len(counted) > 1_000

    play()
