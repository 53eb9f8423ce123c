"""An isolate whose recorder reports to a scripted shard."""

import asyncio
from collections import Counter
from collections.abc import Awaitable, Sequence
from contextvars import ContextVar
from typing import TypeVar

import msgspec
from msgspec import structs

from proxy.analytics.record.exporter import Exporter
from proxy.analytics.record.recorder import Recorder
from proxy.analytics.record.request_record import BATCH, ITEM, RequestRecord
from proxy.analytics.store.shard import ADD
from proxy.core.ports import DataPoint
from proxy.core.rpc import Method
from proxy.core.settings import AnalyticsSettings, TraceSettings
from tests.unit.doubles import FakeReply, FakeUpstream, Logbook, LoopClock, ports

A = TypeVar("A")
R = TypeVar("R")
INVOCATION: ContextVar[int] = ContextVar("invocation", default=0)
"""The number of its first record; what it defers is its own."""


class Shards:
    """Accepts flushes once each, as a shard does. `fate`: what becomes of the next calls."""

    def __init__(self) -> None:
        self.accepted: list[str] = []
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
        fate = self.fate.pop(0) if self.fate else "accepted"
        if fate == "deaf":
            await asyncio.sleep(0.02)
            raise RuntimeError("the object is unreachable")
        if fate == "mute":
            await asyncio.sleep(1_000)
        flush = ADD.argument.decode(data)
        await asyncio.sleep(0.02)
        if flush.number > self.last:
            self.last = flush.number
            records = msgspec.json.decode(flush.records, type=list[RequestRecord])
            self.accepted += [record.id for record in records]
            self.lost += flush.lost
        if fate == "unanswered":
            raise RuntimeError("the answer was lost")
        return method.answer.decode("null")


class Isolate:
    """A recorder, and the requests that it has held open."""

    def __init__(self, *, enabled: bool = True, traces: bool = False) -> None:
        self.shards = Shards()
        self.log = Logbook()
        self.points: list[DataPoint] = []
        self.written: Counter[int] = Counter()
        """How many of them each invocation wrote."""
        self.clock = LoopClock()
        self.collector = FakeUpstream(lambda _: FakeReply(b"{}"))
        self.recorder = self._build(enabled, traces)
        self.open: list[asyncio.Task[object]] = []
        self.holders: list[int] = []
        """Which invocations they are."""
        self.count = 0
        self.refuse = False
        """Whether the dataset takes no data points."""

    def _build(self, enabled: bool, traces: bool) -> Recorder:
        outside = structs.replace(
            ports(lambda _: FakeReply(b"")),
            upstream=self.collector,
            objects=self.shards,
            points=self.write,
            clock=self.clock,
            log=self.log,
        )
        to = TraceSettings(endpoint="https://collector.example", headers={}, service_name="proxy")
        exporter = Exporter(to, {}, outside) if traces else None
        return Recorder(AnalyticsSettings(enabled=enabled, shards=4), outside, exporter)

    def write(self, points: Sequence[DataPoint]) -> None:
        if self.refuse:
            raise ValueError("too long")
        self.points += points
        self.written[INVOCATION.get()] += len(points)

    def defer(self, work: Awaitable[object]) -> None:
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
        record = RequestRecord(
            at=1,
            id=f"{self.count}",
            endpoint=endpoint,
            status=200,
            ms=0,
            logged=logged,
            trace="ab" * 16,
            span="cd" * 8,
        )
        self.recorder.record(record, self.defer, counted=counted)

    def recorded(self) -> list[str]:
        return [f"{n}" for n in range(1, self.count + 1)]
