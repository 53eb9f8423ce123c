"""The request log of one shard: its last requests, the newest first, a page at a time."""

from collections.abc import Iterator, Sequence

import msgspec
from msgspec import Raw, structs

from proxy.analytics.record.request_record import RequestRecord
from proxy.analytics.store.drawing import is_drawn, is_prompt_drawn
from proxy.analytics.store.messages import FLUSH_MOST, LogColumn, LogPage, LogQuery, LogRow
from proxy.core.ports import SQL

KEPT = 10_000
"""Requests that are kept."""
STRANGERS = 1
"""Requests of a flush that are kept of those whose caller was not let in: who has no key may send
as many as they like, and would soon push all else out."""
ROWS_READ = 20
"""Rows of SQL that are read at once, at most: one of a busy isolate holds FLUSH_MOST requests."""
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
SELECT first, count, heard, events FROM requests WHERE first < ? AND first >= ?{terms}
ORDER BY first DESC LIMIT {limit}"""
_HOLDS = " AND instr(events, ?)"
_LONGEST_MS = 3_600_000
"""For how long no request lasts and waits for its log."""
_STORED = {"key": "key_id"}
_FIELDS = {"cache": "cache_status", "key": "key_id", "tag": "tags"}
"""What columns are called in a row's text, and in a record, where that differs."""
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
        strangers = [record for record in kept if not record.user and record.status >= 400]
        if left_out := {id(record) for record in strangers[STRANGERS:]}:
            kept = [record for record in kept if id(record) not in left_out]
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
        rows: list[LogRow] = []
        looked_at, end = 0, below
        for first, count, logged_at, records in self._read_newest(query, below, oldest):
            if logged_at < query.since:
                break
            looked_at += count
            if looked_at > READ_MOST:
                return LogPage(rows=rows, top=top, has_more=True, end=end)
            end = max(oldest, first)
            there = [*enumerate(_RECORDS.decode(records), first)]
            for number, record in reversed(there):
                if oldest <= number < below and _matches(number, record, query):
                    record = _strip(record) if query.bare else record
                    rows.append(LogRow(number=number, logged_at=logged_at, record=record))
                    if len(rows) == query.limit:
                        return LogPage(rows=rows, top=top, has_more=number > oldest, end=number)
        return LogPage(rows=rows, top=top, has_more=False, end=oldest)

    def _top(self) -> int:
        """The number of the next request."""
        newest = self._sql(_TOP)
        top: int = newest[0][0] if newest else 1
        return top

    def _read_newest(
        self, query: LogQuery, below: int, oldest: int
    ) -> Iterator[tuple[int, int, int, str]]:
        """The rows of SQL that may hold what matches, from the one before `below` down: their first
        number, how many records they hold, when these came, and their text. SQLite passes the
        others by, unparsed."""
        needles = _find_needles(query)
        terms = _HOLDS * len(needles)
        if query.end is not None:
            terms += f" AND heard < {query.end + _LONGEST_MS}"
        limit = 1
        while below > oldest:
            found = self._sql(
                _READ.format(terms=terms, limit=limit), below, oldest - FLUSH_MOST, *needles
            )
            for first, count, logged_at, records in found:
                if first + count > oldest:
                    yield first, count, logged_at, records
            below = oldest
            if len(found) == limit:
                _, count, _, _ = found[-1]
                below, limit = found[-1][0], min(2 * limit, ROWS_READ, max(1, FLUSH_MOST // count))


def _find_needles(query: LogQuery) -> list[str]:
    """What the text of a row must hold if any of its records is to match."""
    needles = []
    for column, value in query.filters.items():
        text = msgspec.json.encode(value).decode()
        if column == "tag":
            needles.append(text)
        elif value != "":  # which a record leaves out
            needles.append(f'"{_STORED.get(column, column)}":{text}')
    return needles + [
        msgspec.json.encode({name: text}).decode()[1:-1] for name, text in query.labels.items()
    ]


def _matches(number: int, record: RequestRecord, query: LogQuery) -> bool:
    if query.bare and not record.endpoint.startswith("/v1/"):
        return False
    if not (is_drawn(number, query.share) or is_prompt_drawn(record.cache_key, query.share)):
        return False
    if record.at < query.begin or (query.end is not None and record.at >= query.end):
        return False
    if any(record.metadata.get(name) != text for name, text in query.labels.items()):
        return False
    return all(_has(record, column, value) for column, value in query.filters.items())


def _has(record: RequestRecord, column: LogColumn, value: str | int) -> bool:
    found = getattr(record, _FIELDS.get(column, column))
    if column == "tag":
        return value in found
    if column == "status" and isinstance(value, int) and value < 10:
        return bool(found // 100 == value)
    return bool(found == value)


def _strip(record: RequestRecord) -> RequestRecord:
    """The record as a bare one."""
    attempts = tuple(structs.replace(attempt, message=None) for attempt in record.attempts)
    return structs.replace(record, id="", metadata={}, trace="", body="", attempts=attempts)


def _is_kept(record: RequestRecord) -> bool:
    """Reading the figures leaves no trace: a dashboard that refreshes would soon push all else
    out."""
    only_reads = record.method in ("GET", "HEAD") and record.status < 400 and not record.provider
    return record.logged and (record.endpoint.startswith("/v1/") or not only_reads)
