"""The Durable Object of the statistics' shards."""

from functools import partial
from typing import Any

from proxy.analytics.store.messages import (
    Flush,
    LogGroups,
    LogGroupsQuery,
    LogPage,
    LogQuery,
    Sums,
    SumsQuery,
)
from proxy.analytics.store.shard import (
    ADD,
    FIGURES,
    FIGURES_TOGETHER,
    LOG_GROUPS,
    PRUNE,
    REQUESTS,
    Shard,
)
from proxy.objects.edge_object import EdgeObject
from proxy.objects.rpc import serves
from proxy.platform.clock import now_ms
from proxy.platform.sql import RawSQL


class Analytics(EdgeObject):
    """One shard of the roll-ups and of the request log. What a call writes is kept together, or
    nothing of it where it fails. See analytics.store.shard."""

    def __init__(self, ctx: Any, env: Any) -> None:
        super().__init__(ctx, env)
        self._storage = ctx._ctx.storage
        self._shard = Shard(RawSQL(self._storage))

    @serves(ADD)
    def add(self, flush: Flush) -> None:
        """Counts an isolate's requests."""
        self._storage.transactionSync(partial(self._shard.add, flush, now_ms()))

    @serves(FIGURES)
    def figures(self, query: SumsQuery) -> Sums:
        """Sums of the roll-ups."""
        return self._shard.read_sums(query)

    @serves(FIGURES_TOGETHER)
    def figures_together(self, queries: tuple[SumsQuery, ...]) -> tuple[Sums, ...]:
        """The sums of several queries."""
        return tuple(map(self._shard.read_sums, queries))

    @serves(REQUESTS)
    def requests(self, query: LogQuery) -> LogPage:
        """A page of the request log."""
        return self._shard.read_page(query)

    @serves(LOG_GROUPS)
    def log_groups(self, query: LogGroupsQuery) -> LogGroups:
        """Sums of the request log."""
        return self._shard.read_groups(query)

    @serves(PRUNE)
    def prune(self, _: None) -> None:
        """Drops what is older than it is kept."""
        self._storage.transactionSync(partial(self._shard.prune, now_ms()))
