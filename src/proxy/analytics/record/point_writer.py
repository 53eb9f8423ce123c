"""Writes an isolate's data points, as many together as the platform allows."""

import asyncio
from collections.abc import Sequence

from proxy.analytics.record.data_point import build_data_point
from proxy.analytics.record.request_record import BATCH, ITEM, RequestRecord
from proxy.analytics.record.shard_reporter import FLUSH_SECONDS, LOST_SECONDS
from proxy.core.ports import Defer, Log, Points
from proxy.core.time import is_recent

POINTS = 25
"""Data points that are written together, as many as an invocation may write: a request writes them
with the 25th, or what waits, less than 25, as the one that is held open, never both."""
ALONE = (BATCH, ITEM)
"""Endpoints whose data points are written at once and alone: a batch has up to 25."""


class PointWriter:
    """The requests whose data points still have to be written."""

    def __init__(self, points: Points, log: Log) -> None:
        self._points = points
        self._log = log
        self._waiting: list[RequestRecord] = []
        self._carried: float | None = None
        """Since when a request is held open to write them."""

    def add(self, record: RequestRecord, defer: Defer, now: float) -> None:
        """Writes a request's data point, at once or with those of others."""
        if record.endpoint in ALONE:
            self._write([record])
            return
        self._waiting.append(record)
        if len(self._waiting) >= POINTS:
            self._write_waiting()
        elif not is_recent(self._carried, FLUSH_SECONDS + LOST_SECONDS, now):
            self._carried = now
            defer(self._write_later())

    async def _write_later(self) -> None:
        await asyncio.sleep(FLUSH_SECONDS)
        self._carried = None
        self._write_waiting()

    def _write_waiting(self) -> None:
        waiting, self._waiting = self._waiting, []
        if waiting:
            self._write(waiting)

    def _write(self, records: Sequence[RequestRecord]) -> None:
        try:
            self._points([build_data_point(record) for record in records])
        except Exception as error:  # numbers are lost, not the request
            self._log("error", "data points refused", error=repr(error)[:500])
