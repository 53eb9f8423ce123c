"""One shard of the statistics: what a Durable Object keeps.

Promise: a flush that is sent again and again until it was accepted is counted exactly once.
"""

import msgspec
from msgspec import structs

from proxy.analytics.record.request_record import RequestRecord
from proxy.analytics.store.log_sums import read_groups
from proxy.analytics.store.messages import (
    Flush,
    LogGroups,
    LogGroupsQuery,
    LogPage,
    LogQuery,
    Sums,
    SumsQuery,
)
from proxy.analytics.store.request_log import RequestLog
from proxy.analytics.store.rollup import Rollup
from proxy.core.ports import SQL
from proxy.core.rpc import NOTHING, Method, as_bytes, as_text

FORGET_MS = 86_400_000
"""For how long a silent isolate is known: it sends no flush again after so long."""
PRUNED_EVERY = 20
"""Flushes of an isolate after which the log is."""

_ACCEPT = """
INSERT INTO heard (isolate, number, at) VALUES (?, ?, ?)
ON CONFLICT DO UPDATE SET number = excluded.number, at = excluded.at
WHERE excluded.number > number RETURNING number"""
"""Gives no row for a flush that was accepted before."""
_RECORDS = msgspec.json.Decoder(list[RequestRecord])

ADD = Method("STATISTICS", "add", as_bytes(Flush), NOTHING)
FIGURES = Method("STATISTICS", "figures", as_text(SumsQuery), as_text(Sums))
FIGURES_TOGETHER = Method(
    "STATISTICS", "figures_together", as_text(tuple[SumsQuery, ...]), as_text(tuple[Sums, ...])
)
REQUESTS = Method("STATISTICS", "requests", as_text(LogQuery), as_text(LogPage))
LOG_GROUPS = Method("STATISTICS", "log_groups", as_text(LogGroupsQuery), as_text(LogGroups))
PRUNE = Method("STATISTICS", "prune", NOTHING, NOTHING)


def shard_name(number: int) -> str:
    """The name of a shard's object."""
    return f"shard-{number}"


class Shard:
    """The roll-ups and the request log of one shard. `now` is in ms since 1970.

    What a call writes must be kept together or not at all.
    """

    def __init__(self, sql: SQL) -> None:
        self._sql = sql
        sql(
            "CREATE TABLE IF NOT EXISTS heard"
            " (isolate TEXT PRIMARY KEY, number INTEGER, at INTEGER) STRICT"
        )
        sql("CREATE TABLE IF NOT EXISTS lost (id INTEGER PRIMARY KEY, events INTEGER) STRICT")
        self._rollup = Rollup(sql)
        self._log = RequestLog(sql)

    def add(self, flush: Flush, now: int) -> None:
        """Counts requests, unless their flush or a later one of its isolate was accepted."""
        if not self._sql(_ACCEPT, flush.isolate, flush.number, now):
            return
        if flush.lost:
            self._sql(
                "INSERT INTO lost (id, events) VALUES (1, ?)"
                " ON CONFLICT DO UPDATE SET events = events + excluded.events",
                flush.lost,
            )
        if records := _RECORDS.decode(flush.records):
            self._rollup.add(records, now)
            self._log.add(records, flush.records, now)
        if flush.number % PRUNED_EVERY == 0:  # the cron trigger's comes too seldom under load
            self._log.prune()

    def read_sums(self, query: SumsQuery) -> Sums:
        """Sums of the roll-ups."""
        lost = self._sql("SELECT coalesce(sum(events), 0) FROM lost")[0][0]
        return structs.replace(self._rollup.read_sums(query), lost=lost)

    def read_page(self, query: LogQuery) -> LogPage:
        """A page of the request log."""
        return self._log.read_page(query)

    def read_groups(self, query: LogGroupsQuery) -> LogGroups:
        """Sums of the request log."""
        return read_groups(self._log, query)

    def prune(self, now: int) -> None:
        """Drops what is older than it is kept."""
        self._rollup.prune(now)
        self._log.prune()
        self._sql("DELETE FROM heard WHERE at < ?", now - FORGET_MS)
