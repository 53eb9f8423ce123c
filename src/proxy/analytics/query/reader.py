"""Reads what the shards keep, as of this very moment: what this isolate has not reported yet is
reported first, so that a caller sees its last second too."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import TypeVar

from msgspec import structs

from proxy.analytics.query import prometheus
from proxy.analytics.query.log_sums import choose_page, sum_pages, wants_log
from proxy.analytics.query.report import merge_sums
from proxy.analytics.query.sample import Sample, choose_share, find_limit, take_sample
from proxy.analytics.record.recorder import Recorder
from proxy.analytics.store.messages import (
    LogGroup,
    LogGroupsQuery,
    LogPage,
    LogQuery,
    Sums,
    SumsQuery,
)
from proxy.analytics.store.shard import (
    FIGURES,
    FIGURES_TOGETHER,
    LOG_GROUPS,
    PRUNE,
    REQUESTS,
    shard_name,
)
from proxy.core.circuit import Circuit
from proxy.core.errors import InternalError, InvalidRequest, NotFound
from proxy.core.ports import Ports
from proxy.core.rpc import Method
from proxy.core.settings import AnalyticsSettings

A = TypeVar("A")
R = TypeVar("R")
P = TypeVar("P")

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
        """The sums of all shards. Raises InvalidRequest where there are too many groups, or
        requests to look at."""
        if wants_log(query):
            pages = await self.read_pages(lambda _: choose_page(query))
            return sum_pages(query, pages)
        return merge_sums(query, await self._call_all(FIGURES, lambda _: query))

    async def read_together(self, queries: Sequence[SumsQuery]) -> list[Sums | InvalidRequest]:
        """The sums of several queries in one call of each shard; those of which only the log can
        answer ask for the same requests, which are read once. An InvalidRequest in the place of
        those that `read_sums` would refuse."""
        rolled = [query for query in queries if not wants_log(query)]
        logged = [query for query in queries if wants_log(query)]
        sums, pages = await asyncio.gather(self._read_rolled(rolled), self._read_logged(logged))
        answers = iter(sums)
        return [
            _catch(sum_pages, query, pages)
            if wants_log(query)
            else _catch(merge_sums, query, next(answers))
            for query in queries
        ]

    async def _read_rolled(self, queries: Sequence[SumsQuery]) -> list[tuple[Sums, ...]]:
        """For each query the answers of the shards."""
        if not queries:
            return []
        asked = tuple(queries)
        if self._settings.shards > 1:  # the top of all may be at the top of none
            asked = tuple([structs.replace(query, top=None) for query in queries])
        return [*zip(*await self._call_all(FIGURES_TOGETHER, lambda _: asked), strict=True)]

    async def _read_logged(self, queries: Sequence[SumsQuery]) -> list[LogPage]:
        return await self.read_pages(lambda _: choose_page(queries[0])) if queries else []

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

        async def read(shard: int) -> LogPage:
            return await read_page(
                query_of_shard(shard),
                lambda query: self._objects.call(REQUESTS, shard_name(shard), query),
            )

        return await self._of_all(read)

    async def read_groups(self, query: LogGroupsQuery) -> list[list[LogGroup]]:
        """The sums of the parts of all shards' request logs."""

        async def read(shard: int) -> list[LogGroup]:
            groups: list[LogGroup] = []
            rows, has_more = query.rows, True
            while has_more:
                asked = structs.replace(query, rows=rows)
                part = await self._objects.call(LOG_GROUPS, shard_name(shard), asked)
                groups += part.groups
                rows, has_more = structs.replace(rows, below=part.end), part.has_more
            return groups

        return await self._of_all(read)

    async def read_sample(self, since: int, user: str | None, requests: int) -> Sample:
        """The requests of the log that came after a moment (ms since 1970), bare, or a sample of
        them. user: whose; None: all. requests: how many came, as far as is known."""
        shards = self._settings.shards
        share = choose_share(requests, shards)
        query = LogQuery(
            limit=find_limit(shards),
            filters={} if user is None else {"user": user},
            bare=True,
            since=since,
            share=share,
        )
        pages = await self.read_pages(lambda _: query)
        return take_sample((row for page in pages for row in page.rows), since, share)

    async def prune(self) -> None:
        """Drops what is older than it is kept, in all shards."""
        await self._call_all(PRUNE, lambda _: None)

    async def _call_all(self, method: Method[A, R], argument: Callable[[int], A]) -> list[R]:
        call = self._objects.call
        return await self._of_all(lambda n: call(method, shard_name(n), argument(n)))

    async def _of_all(self, read_shard: Callable[[int], Awaitable[R]]) -> list[R]:
        if not self._settings.enabled:
            raise NotFound("Nothing is counted here: ANALYTICS is off.")
        shards = range(self._settings.shards)

        async def read() -> list[R]:
            await self._recorder.flush()
            return await asyncio.gather(*map(read_shard, shards))

        try:
            return await self._circuit.call("statistics", read(), SECONDS)
        except Exception as error:
            self._log("error", "statistics unreachable", error=repr(error)[:500])
            raise InternalError(
                "The figures are out of reach. Try again.", code="statistics_unreachable"
            ) from error


def _catch(
    combine: Callable[[SumsQuery, P], Sums], query: SumsQuery, parts: P
) -> Sums | InvalidRequest:
    try:
        return combine(query, parts)
    except InvalidRequest as error:
        return error


async def read_page(query: LogQuery, ask: Callable[[LogQuery], Awaitable[LogPage]]) -> LogPage:
    """A whole page of a shard's log, which answers in parts where there is much to look at. ask:
    gives the shard's answer."""
    first = page = await ask(structs.replace(query, limit=query.limit + 1))
    rows = page.rows
    while page.has_more and len(rows) <= query.limit:
        rest = structs.replace(query, limit=query.limit + 1 - len(rows), below=page.end)
        page = await ask(rest)
        rows += page.rows
    more = len(rows) > query.limit
    return structs.replace(first, rows=rows[: query.limit], has_more=more)
