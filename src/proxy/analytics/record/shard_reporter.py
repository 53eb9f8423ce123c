"""Reports an isolate's requests to its shard of the statistics.

Promise: the isolate sends a flush again, with the same number, until the shard has accepted it, so
that the shard counts it once. What an object that is out of reach for long costs beyond PENDING
requests is counted.
"""

import asyncio

import msgspec
from msgspec import Raw

from proxy.analytics.record.request_record import RequestRecord
from proxy.analytics.store.messages import FLUSH_MOST, Flush
from proxy.analytics.store.shard import ADD, FORGET_MS, shard_name
from proxy.core.ports import Ports
from proxy.core.time import is_recent

FLUSH_SECONDS = 0.9
"""For how long a request waits at most."""
FLUSH_RECORDS = 50
"""So many don't wait, unless a call began within FLUSH_SECONDS: then it takes FLUSH_MOST. Under
load it is the calls that cost, more than what they send."""
FLUSH_BYTES = 1_000_000
"""What one call sends at most: it must stay under SQLite's 2 MB."""
GIVE_UP_SECONDS = 300.0
"""After how long a batch is given up: one that the object can't count must not stop the others."""
RESEND_SECONDS = FORGET_MS / 2000
"""For how long a batch may be sent again: half as long as the shard knows for sure that it has it.
"""
PENDING = 2_000
"""Requests that wait at most; the oldest are dropped for newer ones."""
CALL_SECONDS = 3.0
"""What a call of the object may take."""
LOST_SECONDS = 5.0
"""After how long a call that has not ended is taken for gone with the request that made it."""


class ShardReporter:
    """What one isolate still has to report."""

    def __init__(self, shards: int, ports: Ports) -> None:
        self._objects = ports.objects
        self._clock = ports.clock
        self._log = ports.log
        self._isolate = ports.random.token(8)
        self._shard = shard_name(int(self._isolate, 16) % shards)
        self._waiting: list[RequestRecord] = []
        self._taken = 0
        """Requests that were ever added, those that were dropped too."""
        self._dropped = 0
        self._batch: Flush | None = None
        self._batch_size = 0
        """Its requests."""
        self._batched = 0.0
        """When it was put together."""
        self._number = 0
        self._failed: float | None = None
        """Since when the batch under way is sent in vain."""
        self._refused: float | None = None
        """When a call last failed; None: the last one succeeded."""
        self._called: float | None = None
        """When a call last began."""
        self._calling: float | None = None
        """Since when a call is under way."""

    @property
    def pending(self) -> int:
        """Requests that the shard has not accepted yet."""
        return len(self._waiting) + (self._batch_size if self._batch else 0)

    @property
    def is_refused(self) -> bool:
        """Whether the last call failed."""
        return self._refused is not None

    def is_due(self, now: float) -> bool:
        """Whether so many wait that a call should begin at once."""
        if len(self._waiting) < FLUSH_RECORDS:
            return False
        is_resting = is_recent(self._called, FLUSH_SECONDS, now) and len(self._waiting) < FLUSH_MOST
        return not (
            is_resting
            or is_recent(self._calling, LOST_SECONDS, now)
            or is_recent(self._refused, FLUSH_SECONDS, now)
        )

    def add(self, record: RequestRecord) -> None:
        """Keeps a request until it is reported."""
        self._waiting.append(record)
        self._taken += 1
        if len(self._waiting) > PENDING:
            del self._waiting[0]
            self._dropped += 1

    async def flush(self) -> None:
        """Reports all that waits now, and not what comes meanwhile: it would go out in drops.
        Comes back after CALL_SECONDS for each batch at most."""
        goal = self._taken
        while self._taken - self.pending < goal:
            if is_recent(self._calling, LOST_SECONDS, self._clock.now()):
                await asyncio.sleep(0.01)  # another request's call: it can't be waited for
            elif not await self._send():
                return

    async def _send(self) -> bool:
        """Sends the batch under way, or the next one. False: the call failed."""
        now = self._clock.now()
        if self._batch and now - self._batched >= RESEND_SECONDS:
            self._give_up(self._batch)  # counted twice it would be worse than lost
        if self._batch is None:
            self._batch, self._batched = self._take_batch(), now
        batch = self._batch
        self._called = self._calling = now
        try:
            async with asyncio.timeout(CALL_SECONDS):
                await self._objects.call(ADD, self._shard, batch)
        except Exception as error:
            self._log("error", "statistics unreachable", error=repr(error)[:500])
            self._note_failure(batch)
            return False
        finally:
            self._calling = None
        self._failed = self._refused = None
        if self._batch is batch:
            self._batch = None
        return True

    def _note_failure(self, batch: Flush) -> None:
        self._refused = self._clock.now()
        self._failed = self._refused if self._failed is None else self._failed
        is_old = not is_recent(self._failed, GIVE_UP_SECONDS, self._refused)
        if is_old and self._batch is batch:
            self._give_up(batch)

    def _give_up(self, batch: Flush) -> None:
        """Counts the batch under way as lost."""
        self._batch = self._failed = None
        self._dropped += self._batch_size + batch.lost

    def _take_batch(self) -> Flush:
        """What waits, as much as one call may send."""
        size = min(FLUSH_MOST, len(self._waiting))
        records = msgspec.json.encode(self._waiting[:size])
        while size > 1 and len(records) > FLUSH_BYTES:
            size //= 2
            records = msgspec.json.encode(self._waiting[:size])
        self._waiting = self._waiting[size:]
        self._batch_size = size
        self._number += 1
        lost, self._dropped = self._dropped, 0
        return Flush(isolate=self._isolate, number=self._number, records=Raw(records), lost=lost)
