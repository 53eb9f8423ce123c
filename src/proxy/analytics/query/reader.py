"""Reads what the shards keep, as of this very moment: what this isolate has not reported yet is
reported first, so that a caller sees its last second too."""

import asyncio
from collections.abc import Callable
from typing import TypeVar

from msgspec import structs

from proxy.analytics.query import prometheus
from proxy.analytics.query.report import merge_sums
from proxy.analytics.record.recorder import Recorder
from proxy.analytics.record.request_record import RequestRecord
from proxy.analytics.store.messages import LogFilters, LogPage, LogQuery, Sums, SumsQuery
from proxy.analytics.store.request_log import KEPT
from proxy.analytics.store.shard import FIGURES, PRUNE, REQUESTS, shard_name
from proxy.core.circuit import Circuit
from proxy.core.errors import InternalError, InvalidRequest, NotFound
from proxy.core.ports import Ports
from proxy.core.rpc import Method
from proxy.core.settings import AnalyticsSettings

A = TypeVar("A")
R = TypeVar("R")

SECONDS = 10.0
"""What the shards may take to answer."""


class StatisticsReader:
    """The shards as one isolate reads them. All methods raise NotFound where ANALYTICS is off, and
    InternalError where the shards are out of reach."""

    def __init__(self, settings: AnalyticsSettings, ports: Ports, recorder: Recorder) -> None:
        self._settings = settings
        self._objects = ports.objects
        self._log = ports.log
        self._circuit = Circuit(ports.clock)
        self._recorder = recorder

    async def read_sums(self, query: SumsQuery) -> Sums:
        """The sums of all shards. Raises InvalidRequest where there are too many groups."""
        return merge_sums(query, await self._call_all(FIGURES, lambda _: query))

    async def read_counters(self) -> Sums:
        """All that was ever counted, by prometheus.GROUPED_BY; coarser where that is too much."""
        query = SumsQuery(resolution="ever", group_by=prometheus.GROUPED_BY, models_only=False)
        try:
            return await self.read_sums(query)
        except InvalidRequest:
            coarse = structs.replace(query, group_by=prometheus.GROUPED_COARSELY)
            return await self.read_sums(coarse)

    async def read_pages(self, query_of_shard: Callable[[int], LogQuery]) -> list[LogPage]:
        """A page of each shard's request log, in the order of shards."""
        return await self._call_all(REQUESTS, query_of_shard)

    async def read_records(self, since: int, user: str | None) -> list[RequestRecord]:
        """The newest requests of the log, bare, that came after a moment (ms since 1970). user:
        whose; None: all."""
        filters: LogFilters = {} if user is None else {"user": user}
        limit = KEPT // self._settings.shards
        query = LogQuery(limit=limit, filters=filters, bare=True)
        pages = await self.read_pages(lambda _: query)
        return [row.record for page in pages for row in page.rows if row.record.at >= since]

    async def prune(self) -> None:
        """Drops what is older than it is kept, in all shards."""
        await self._call_all(PRUNE, lambda _: None)

    async def _call_all(self, method: Method[A, R], argument: Callable[[int], A]) -> list[R]:
        if not self._settings.enabled:
            raise NotFound("Nothing is counted here: ANALYTICS is off.")
        shards = range(self._settings.shards)

        async def read() -> list[R]:
            await self._recorder.flush()
            call = self._objects.call
            return await asyncio.gather(*(call(method, shard_name(n), argument(n)) for n in shards))

        try:
            return await self._circuit.call("statistics", read(), SECONDS)
        except Exception as error:
            self._log("error", "statistics unreachable", error=repr(error)[:500])
            raise InternalError(
                "The figures are out of reach. Try again.", code="statistics_unreachable"
            ) from error
