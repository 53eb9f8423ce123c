"""The request log of one shard: its last requests, the newest first, a page at a time."""

from collections.abc import Iterator, Sequence

import msgspec
from msgspec import Raw, structs

from proxy.analytics.record.request_record import RequestRecord
from proxy.analytics.store.drawing import is_drawn, is_prompt_drawn
from proxy.analytics.store.messages import FLUSH_MOST, LogPage, LogQuery, LogRow
from proxy.core.ports import SQL

KEPT = 10_000
"""Requests that are kept."""
READ_MOST = 3_000
"""Requests that one call looks at, at most, so that none takes 50 ms."""

_CREATE = """
CREATE TABLE IF NOT EXISTS requests (
  first INTEGER PRIMARY KEY, count INTEGER NOT NULL, heard INTEGER NOT NULL, events TEXT NOT NULL
) STRICT"""
_ADD = """
INSERT INTO requests (first, count, heard, events)
SELECT coalesce((SELECT first + count FROM requests ORDER BY first DESC LIMIT 1), 1),
  CAST(? AS INTEGER), CAST(? AS INTEGER), ?"""
_TOP = "SELECT first + count FROM requests ORDER BY first DESC LIMIT 1"
_PRUNE = "DELETE FROM requests WHERE first < (SELECT max(first) FROM requests WHERE first <= ?)"
"""The row that holds the oldest request that is kept stays. All three go by the primary key."""
_READ = """
SELECT first, heard, events FROM requests WHERE first < ? AND first >= ?
ORDER BY first DESC LIMIT 20"""
_RECORDS = msgspec.json.Decoder(list[RequestRecord])


class RequestLog:
    """The last KEPT requests of one shard. A flush is one row of SQL, for rows are what costs; its
    requests are numbered from `first` on."""

    def __init__(self, sql: SQL) -> None:
        self._sql = sql
        sql(_CREATE)

    def add(self, records: Sequence[RequestRecord], records_json: Raw, now: int) -> None:
        """Keeps requests, which came at `now` (ms); records_json: the same ones."""
        kept = [record for record in records if _is_kept(record)]
        if kept:
            text = records_json if len(kept) == len(records) else msgspec.json.encode(kept)
            self._sql(_ADD, len(kept), now, bytes(text).decode())

    def prune(self) -> None:
        """Drops what is older than the last KEPT requests."""
        self._sql(_PRUNE, self._top() - KEPT)

    def read_page(self, query: LogQuery) -> LogPage:
        """The newest rows that match a query, as far as one call looks."""
        top = self._top()
        below = top if query.below is None else min(query.below, top)
        oldest = max(1, top - KEPT)
        end = max(oldest, below - READ_MOST)
        rows: list[LogRow] = []
        for row in self._read_newest(below, end):
            if row.logged_at < query.since:
                oldest = end = row.number
                break
            if _matches(row, query):
                rows.append(_strip(row) if query.bare else row)
                if len(rows) == query.limit:
                    end = row.number
                    break
        return LogPage(rows=rows, top=top, has_more=end > oldest, end=end)

    def _top(self) -> int:
        """The number of the next request."""
        newest = self._sql(_TOP)
        top: int = newest[0][0] if newest else 1
        return top

    def _read_newest(self, below: int, least: int) -> Iterator[LogRow]:
        """The rows from the one before `below` down to `least`."""
        end = below
        while end > least:
            found = self._sql(_READ, end, end - FLUSH_MOST)  # a row that begins there, at least
            for first, logged_at, records in found:
                for number, record in reversed([*enumerate(_RECORDS.decode(records), first)]):
                    if least <= number < below:
                        yield LogRow(number=number, logged_at=logged_at, record=record)
            end = found[-1][0] if found else end - FLUSH_MOST


def _matches(row: LogRow, query: LogQuery) -> bool:
    record = row.record
    if query.bare and not record.endpoint.startswith("/v1/"):
        return False
    if not (is_drawn(row.number, query.share) or is_prompt_drawn(record.cache_key, query.share)):
        return False
    return all(
        getattr(record, "cache_status" if column == "cache" else column) == value
        for column, value in query.filters.items()
    )


def _strip(row: LogRow) -> LogRow:
    """The row as a bare one."""
    attempts = tuple(structs.replace(attempt, message=None) for attempt in row.record.attempts)
    record = structs.replace(row.record, id="", metadata={}, trace="", attempts=attempts)
    return structs.replace(row, record=record)


def _is_kept(record: RequestRecord) -> bool:
    """Reading the figures leaves no trace: a dashboard that refreshes would soon push all else
    out."""
    only_reads = record.method in ("GET", "HEAD") and record.status < 400 and not record.provider
    return record.logged and (record.endpoint.startswith("/v1/") or not only_reads)
