"""The isolate's side of the figures: takes events, and has the roll-ups told of them.

Promises: a request waits for nothing here, and nothing here fails one. What is recorded is told
within a second, the first 50 events after a pause at once, by a request that is still held open
for it: an isolate gets no warning before it goes. It is told until it is heard, with the same
number, so that the shard counts it once. What is lost with an isolate is at most its last second;
what an object that is out of reach for long costs beyond PENDING events is counted.
"""

import asyncio
from collections.abc import Sequence

import msgspec
from msgspec import Raw

from proxy.analytics.record.data_point import data_point
from proxy.analytics.record.exporter import Exporter
from proxy.analytics.record.log_line import level, line
from proxy.analytics.record.request_record import BATCH, ITEM, RequestRecord
from proxy.analytics.store.figures import FLUSH_MOST, Flush
from proxy.analytics.store.shard import ADD, shard_name
from proxy.core.ports import Clock, Defer, Log, Objects, Points, Random

FLUSH_SECONDS = 0.9
"""For how long an event waits at most."""
FLUSH_EVENTS = 50
"""So many don't wait, unless a call began within FLUSH_SECONDS: then it takes FLUSH_MOST. Under
load it is the calls that cost, more than what they tell."""
FLUSH_BYTES = 1_000_000
"""What one call tells at most: it must stay under SQLite's 2 MB."""
POINTS = 25
"""Data points that are written together, as many as an invocation may write: a request writes them
with the 25th, or what waits, less than 25, as the one that is held open, never both."""
ALONE = (BATCH, ITEM)
"""Whose data points are written at once, and nobody else's with them: a batch has up to 25."""
PAUSES = (FLUSH_SECONDS, 2.0, 4.0, 8.0)
"""Seconds before the tries of a request that is held open; the platform holds none over 30."""
GIVE_UP_SECONDS = 300.0
"""After how long a batch is given up: one that the object can't count must not stop the others."""
PENDING = 2_000
"""Events that wait at most; the oldest are dropped for newer ones."""
CALL_SECONDS = 3.0
"""What a call of the object may take."""
LOST_SECONDS = 5.0
"""After how long a call that has not ended is taken for gone with the request that made it."""


class Recorder:
    """What one isolate records."""

    def __init__(
        self,
        objects: Objects | None,
        shards: int,
        points: Points | None,
        exporter: Exporter | None,
        clock: Clock,
        random: Random,
        log: Log,
    ) -> None:
        """objects, points, exporter: None where nobody is to be told."""
        self._objects = objects
        self._points = points
        self._exporter = exporter
        self._clock = clock
        self._log = log
        self._isolate = random.token(8)
        self._shard = shard_name(int(self._isolate, 16) % shards)
        self._waiting: list[RequestRecord] = []
        self._taken = 0
        """Events that were ever to be told, those that were dropped too."""
        self._dropped = 0
        self._batch: Flush | None = None
        self._batch_size = 0
        """Its events."""
        self._number = 0
        self._failed: float | None = None
        """Since when the batch under way is told in vain."""
        self._refused: float | None = None
        """When a call last failed."""
        self._called: float | None = None
        """When a call last began."""
        self._calling: float | None = None
        """Since when a call is under way."""
        self._carried: float | None = None
        """Since when a request is held open to tell what waits."""
        self._points_waiting: list[RequestRecord] = []
        self._points_carried: float | None = None
        """Since when a request is held open to write them."""

    @property
    def pending(self) -> int:
        """Events that nobody has heard of yet."""
        return len(self._waiting) + (self._batch_size if self._batch else 0)

    def record(self, event: RequestRecord, defer: Defer, *, counted: bool) -> None:
        """Takes a request's event. counted: whether it belongs into the figures, and not only
        into the log."""
        if event.logged:
            self._log(level(event), "request", line(event))
        if not counted:
            return
        if self._exporter:
            self._exporter.add(event)
        if self._objects:
            self._wait(event)
        if self._points:
            self._point(self._points, event, defer)
        if self._objects or self._exporter:
            self._carry(defer)

    async def flush(self) -> None:
        """Has all told that waits now, and not what comes meanwhile: it would be told in drops.
        Comes back after CALL_SECONDS for each batch at most."""
        goal = self._taken
        while self._objects and self._taken - self.pending < goal:
            if _since(self._calling, LOST_SECONDS, self._clock.now()):
                await asyncio.sleep(0.01)  # another request's call: it can't be waited for
            elif not await self._tell(self._objects):
                return

    def _point(self, points: Points, event: RequestRecord, defer: Defer) -> None:
        if event.endpoint in ALONE:
            self._write(points, [event])
            return
        self._points_waiting.append(event)
        now = self._clock.now()
        if len(self._points_waiting) >= POINTS:
            self._write_waiting(points)
        elif not _since(self._points_carried, FLUSH_SECONDS + LOST_SECONDS, now):
            self._points_carried = now
            defer(self._write_later(points))

    async def _write_later(self, points: Points) -> None:
        await asyncio.sleep(FLUSH_SECONDS)
        self._points_carried = None
        self._write_waiting(points)

    def _write_waiting(self, points: Points) -> None:
        waiting, self._points_waiting = self._points_waiting, []
        if waiting:
            self._write(points, waiting)

    def _write(self, points: Points, events: Sequence[RequestRecord]) -> None:
        try:
            points([data_point(event) for event in events])
        except Exception as error:  # numbers are lost, not the request
            self._log("error", "data points refused", error=repr(error)[:500])

    def _wait(self, event: RequestRecord) -> None:
        self._waiting.append(event)
        self._taken += 1
        if len(self._waiting) > PENDING:
            del self._waiting[0]
            self._dropped += 1

    def _carry(self, defer: Defer) -> None:
        """Sees to it that a request is held open until what waits is told."""
        now = self._clock.now()
        if not _since(self._carried, FLUSH_SECONDS + LOST_SECONDS, now):
            self._carried = now
            defer(self._deliver_later())
        elif len(self._waiting) >= FLUSH_EVENTS:
            busy = _since(self._calling, LOST_SECONDS, now)
            rests = _since(self._called, FLUSH_SECONDS, now) and len(self._waiting) < FLUSH_MOST
            if not busy and not rests and not _since(self._refused, FLUSH_SECONDS, now):
                defer(self._deliver())

    async def _deliver_later(self) -> None:
        for pause in PAUSES:
            await asyncio.sleep(pause)
            refused = self._refused
            if refused is None:
                self._carried = None  # who comes meanwhile carries the next
            await self._deliver()
            if self._refused is None:
                if refused is not None:
                    self._carried = None
                return
            self._carried = self._clock.now()

    async def _deliver(self) -> None:
        await self.flush()
        if self._exporter:
            await self._exporter.flush()

    async def _tell(self, objects: Objects) -> bool:
        """Tells the batch under way, or the next one. False: it was not heard."""
        if self._batch is None:
            self._batch = self._next()
        batch = self._batch
        self._called = self._calling = self._clock.now()
        try:
            async with asyncio.timeout(CALL_SECONDS):
                await objects.call(ADD, self._shard, batch)
        except Exception as error:
            self._log("error", "statistics unreachable", error=repr(error)[:500])
            self._refused = self._clock.now()
            self._failed = self._refused if self._failed is None else self._failed
            old = not _since(self._failed, GIVE_UP_SECONDS, self._refused)
            if old and self._batch is batch:
                self._batch = self._failed = None
                self._dropped += self._batch_size + batch.lost
            return False
        finally:
            self._calling = None
        self._failed = self._refused = None
        if self._batch is batch:
            self._batch = None
        return True

    def _next(self) -> Flush:
        """What waits, as much as one call may tell."""
        size = min(FLUSH_MOST, len(self._waiting))
        events = msgspec.json.encode(self._waiting[:size])
        while size > 1 and len(events) > FLUSH_BYTES:
            size //= 2
            events = msgspec.json.encode(self._waiting[:size])
        self._waiting = self._waiting[size:]
        self._batch_size = size
        self._number += 1
        lost, self._dropped = self._dropped, 0
        return Flush(isolate=self._isolate, number=self._number, events=Raw(events), lost=lost)


def _since(moment: float | None, seconds: float, now: float) -> bool:
    """Whether something began, and less than `seconds` ago: the clock may step."""
    return moment is not None and 0 <= now - moment < seconds
