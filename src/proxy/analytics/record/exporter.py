"""Sends spans to an OpenTelemetry collector.

Promise: a request never waits for it and never fails by it. The queue is bounded, the oldest are
dropped; a batch that can't be sent is lost after one more try, and counted.
"""

from collections import deque

from proxy.analytics.record.collector import Collector
from proxy.analytics.record.otlp import encode_spans
from proxy.analytics.record.request_record import RequestRecord
from proxy.core.ports import Ports
from proxy.core.settings import TraceSettings

BATCH_SIZE = 50
"""Requests whose spans are sent at once."""
QUEUE_SIZE = 500
"""Requests that may wait."""


class Exporter:
    """The spans of one isolate that still have to be sent."""

    def __init__(self, settings: TraceSettings, resource: dict[str, str], ports: Ports) -> None:
        """resource: the attributes of the deployment beside the service's name."""
        self._collector = Collector(settings, "traces", ports)
        self._resource = {"service.name": settings.service_name, **resource}
        self._random = ports.random
        self._waiting: deque[RequestRecord] = deque()

    @property
    def pending(self) -> int:
        """How many requests wait."""
        return len(self._waiting)

    def add(self, record: RequestRecord) -> None:
        """Keeps a request until the next flush, unless it belongs to no trace."""
        if not (record.trace and record.span):
            return
        if len(self._waiting) >= QUEUE_SIZE:
            self._waiting.popleft()
            self._collector.count_lost(1)
        self._waiting.append(record)

    async def flush(self) -> None:
        """Sends what waits. Nothing is raised but a cancellation."""
        while self._waiting:
            batch = [self._waiting.popleft() for _ in range(min(BATCH_SIZE, len(self._waiting)))]
            trouble = await self._collector.send(encode_spans(batch, self._resource, self._random))
            if trouble is not None:
                self._collector.count_lost(len(batch))
                self._collector.log_trouble(trouble)
                return  # the collector is ill: the others wait for the next flush
