"""Sends metrics to an OpenTelemetry collector.

Promise: a request never waits for it and never fails by it: it is counted off the path of any. What
the collector can't take for now is added to what comes next; what it may have taken is not sent
again, so nothing is counted twice.
"""

from collections.abc import Collection

from proxy.analytics.record.collector import REFUSED, Collector
from proxy.analytics.record.metric_sums import MetricSums
from proxy.analytics.record.request_record import RequestRecord
from proxy.core.ports import Ports
from proxy.core.principal import OTHER
from proxy.core.settings import TraceSettings

QUEUE_SIZE = 2_000
"""Requests that may wait to be counted."""
OTHERS = 100
"""Models that are named beside the catalogue's: callers could name more than can be looked at."""


class MetricExporter:
    """The metrics of one isolate that still have to be sent."""

    def __init__(
        self,
        settings: TraceSettings,
        resource: dict[str, str],
        ports: Ports,
        listed: Collection[tuple[str, str]],
    ) -> None:
        """resource: the attributes of the deployment beside the service's name; listed: the
        catalogue's models, by provider and id."""
        self._collector = Collector(settings, "metrics", ports)
        # Each isolate is a writer of its own (OpenTelemetry, Metrics Data Model, Single-Writer).
        instance = {"service.instance.id": ports.random.token(8)}
        self._resource = {"service.name": settings.service_name, **resource, **instance}
        self._clock = ports.clock
        self._listed = listed
        self._others: set[tuple[str, str]] = set()
        self._waiting: list[RequestRecord] = []
        self._sums = self._begin()

    def add(self, record: RequestRecord) -> None:
        """Keeps a request until the next flush."""
        if len(self._waiting) < QUEUE_SIZE:
            self._waiting.append(record)
        else:
            self._collector.count_lost(1)

    async def flush(self) -> None:
        """Sends what was counted since the last time. Nothing is raised but a cancellation."""
        waiting, self._waiting = self._waiting, []
        sums, self._sums = self._sums, self._begin()
        for record in waiting:
            sums.add(record)
        if not sums.requests:
            return
        trouble = await self._collector.send(sums.encode(self._resource, self._clock.now()))
        if trouble is None:
            return
        if trouble in REFUSED:
            self._sums.merge(sums)
        else:
            self._collector.count_lost(sums.requests)
        self._collector.log_trouble(trouble)

    def _begin(self) -> MetricSums:
        return MetricSums(self._clock.now(), self._name_model)

    def _name_model(self, provider: str, model: str, answered: bool) -> str:
        pair = (provider, model)
        if not model or pair in self._listed or pair in self._others:
            return model
        if answered and len(self._others) < OTHERS:
            self._others.add(pair)
            return model
        return OTHER
