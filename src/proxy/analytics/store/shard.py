"""One shard of the statistics: what a Durable Object keeps, JSON in and JSON out.

Promise: a flush that is told again and again until it was heard is counted exactly once.
"""

import msgspec

from proxy.analytics.record.request_record import RequestRecord
from proxy.analytics.store import figures
from proxy.analytics.store import request_log as requests
from proxy.analytics.store.figures import Flush
from proxy.analytics.store.request_log import RequestLog
from proxy.analytics.store.rollup import Rollup
from proxy.core.ports import SQL

FORGET_MS = 3_600_000
"""For how long an isolate that is silent is known: it tells no flush again after so long."""
PRUNED_EVERY = 20
"""Flushes of an isolate after which the log is."""

_HEAR = """
INSERT INTO heard (isolate, number, at) VALUES (?, ?, ?)
ON CONFLICT DO UPDATE SET number = excluded.number, at = excluded.at
WHERE excluded.number > number RETURNING number"""
"""Gives no row for what was heard before."""
_FLUSH = msgspec.json.Decoder(Flush)
_EVENTS = msgspec.json.Decoder(list[RequestRecord])
_QUERY = msgspec.json.Decoder(figures.Query)
_PAGE_QUERY = msgspec.json.Decoder(requests.Query)


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

    def add(self, flush_json: bytes, now: int) -> None:
        """Counts a figures.Flush, unless it or a later one of its isolate was heard."""
        flush = _FLUSH.decode(flush_json)
        if not self._sql(_HEAR, flush.isolate, flush.number, now):
            return
        if flush.lost:
            self._sql(
                "INSERT INTO lost (id, events) VALUES (1, ?)"
                " ON CONFLICT DO UPDATE SET events = events + excluded.events",
                flush.lost,
            )
        if events := _EVENTS.decode(flush.events):
            self._rollup.add(events, now)
            self._log.add(events, flush.events, now)
        if flush.number % PRUNED_EVERY == 0:  # the cron trigger's comes too seldom under load
            self._log.prune()

    def figures(self, query_json: str) -> str:
        """The figures.Sums that a figures.Query asks for."""
        sums = self._rollup.figures(_QUERY.decode(query_json))
        lost = self._sql("SELECT coalesce(sum(events), 0) FROM lost")[0][0]
        return msgspec.json.encode(msgspec.structs.replace(sums, lost=lost)).decode()

    def requests(self, query_json: str) -> str:
        """The requests.Page that a requests.Query asks for."""
        return msgspec.json.encode(self._log.page(_PAGE_QUERY.decode(query_json))).decode()

    def prune(self, now: int) -> None:
        """Drops what is older than it is kept."""
        self._rollup.prune(now)
        self._log.prune()
        self._sql("DELETE FROM heard WHERE at < ?", now - FORGET_MS)
