"""Records what became of requests: in the log, the statistics, data points, traces and metrics.

Promises: a request waits for nothing here, and nothing here fails one. What is recorded is reported
within a second, the first 50 requests after a pause at once, by a request that is still held open
for it: an isolate gets no warning before it goes. So at most its last second is lost with it.
"""

import asyncio

from proxy.analytics.record.exporter import Exporter
from proxy.analytics.record.log_line import build_line, choose_level
from proxy.analytics.record.metric_exporter import MetricExporter
from proxy.analytics.record.point_writer import PointWriter
from proxy.analytics.record.request_record import RequestRecord
from proxy.analytics.record.shard_reporter import FLUSH_SECONDS, LOST_SECONDS, ShardReporter
from proxy.core.ports import Defer, Ports
from proxy.core.settings import AnalyticsSettings
from proxy.core.time import is_recent

PAUSES = (FLUSH_SECONDS, 2.0, 4.0, 8.0)
"""Seconds before the tries of a request that is held open; the platform holds none over 30."""


class Recorder:
    """What one isolate records. Where ANALYTICS is off it only logs and exports."""

    def __init__(
        self,
        settings: AnalyticsSettings,
        ports: Ports,
        exporter: Exporter | None = None,
        metrics: MetricExporter | None = None,
    ) -> None:
        enabled, points = settings.enabled, ports.points
        self._reporter = ShardReporter(settings.shards, ports) if enabled else None
        self._points = PointWriter(points, ports.log) if enabled and points else None
        self._exporters = [each for each in (exporter, metrics) if each]
        self._clock = ports.clock
        self._log = ports.log
        self._carried: float | None = None
        """Since when a request is held open to report what waits."""

    @property
    def pending(self) -> int:
        """Requests that the statistics do not know yet."""
        return self._reporter.pending if self._reporter else 0

    def record(self, record: RequestRecord, defer: Defer, *, counted: bool) -> None:
        """Records a request. counted: whether it belongs into the figures, and not only into the
        log."""
        if record.logged:
            self._log(choose_level(record), "request", build_line(record))
        if not counted:
            return
        now = self._clock.now()
        for exporter in self._exporters:
            exporter.add(record)
        if self._reporter:
            self._reporter.add(record)
        if self._points:
            self._points.add(record, defer, now)
        if self._reporter or self._exporters:
            self._carry(defer, now)

    async def flush(self) -> None:
        """Reports to the statistics what waits."""
        if self._reporter:
            await self._reporter.flush()

    def _carry(self, defer: Defer, now: float) -> None:
        """Sees to it that a request is held open until what waits is reported."""
        if not is_recent(self._carried, FLUSH_SECONDS + LOST_SECONDS, now):
            self._carried = now
            defer(self._deliver_later())
        elif self._reporter and self._reporter.is_due(now):
            defer(self._deliver())

    async def _deliver_later(self) -> None:
        for pause in PAUSES:
            await asyncio.sleep(pause)
            was_refused = self._is_refused
            if not was_refused:
                self._carried = None  # a request that comes meanwhile carries the next
            await self._deliver()
            if not self._is_refused:
                if was_refused:
                    self._carried = None
                    await self._deliver()  # what came meanwhile, which nobody carries
                return
            self._carried = self._clock.now()
        self._carried = None  # the next request carries what waits

    @property
    def _is_refused(self) -> bool:
        return self._reporter is not None and self._reporter.is_refused

    async def _deliver(self) -> None:
        await self.flush()
        for exporter in self._exporters:
            await exporter.flush()
