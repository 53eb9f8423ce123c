"""The request log of one shard: its last events, the newest first, a page at a time."""

from collections.abc import Iterator, Sequence
from itertools import islice
from typing import Annotated, Literal, TypeAlias

import msgspec
from msgspec import Meta, Raw, Struct, structs

from proxy.analytics.record.request_record import RequestRecord
from proxy.analytics.store.figures import FLUSH_MOST
from proxy.core.ports import SQL

KEPT = 10_000
"""Events that are kept."""
Column = Literal["provider", "model", "user", "endpoint", "status", "error", "cache"]
Filters: TypeAlias = dict[Column, str | int]
"""What rows must have; `status` is a number."""
Position = Annotated[int, Meta(ge=0, lt=2**53)]
"""Only rows with a smaller `seq` are still to come."""


class Query(Struct, frozen=True, kw_only=True):
    """A page of one shard."""

    limit: int
    below: Position | None = None
    """None: from the newest on."""
    only: Filters = {}
    bare: bool = False
    """Without what only people read: ids, labels, messages. It may be most of a row."""


class Row(Struct, frozen=True, kw_only=True):
    """One event of the log."""

    seq: int
    """Counts up from 1 for each shard, and never down again."""
    heard: int
    """When it came to the log, in ms since 1970."""
    event: RequestRecord


class Page(Struct, frozen=True, kw_only=True):
    """Rows, the newest first."""

    rows: list[Row]
    top: Position
    """Above the newest row that there was."""
    more: bool
    """Whether there are older ones."""


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
"""The row that holds the oldest event that is kept stays. All three go by the primary key."""
_READ = """
SELECT first, heard, events FROM requests WHERE first < ? AND first >= ?
ORDER BY first DESC LIMIT 20"""
_EVENTS = msgspec.json.Decoder(list[RequestRecord])


class RequestLog:
    """The last KEPT events of one shard. What is told at once is one row: rows are what costs.
    Its events are numbered from `first` on."""

    def __init__(self, sql: SQL) -> None:
        self._sql = sql
        sql(_CREATE)

    def add(self, events: Sequence[RequestRecord], events_json: bytes | Raw, now: int) -> None:
        """Keeps events, which came at `now` (ms); events_json: the same ones."""
        kept = [event for event in events if _is_kept(event)]
        if kept:
            told = events_json if len(kept) == len(events) else msgspec.json.encode(kept)
            self._sql(_ADD, len(kept), now, bytes(told).decode())

    def prune(self) -> None:
        """Drops what is older than the last KEPT events."""
        self._sql(_PRUNE, self._top() - KEPT)

    def page(self, query: Query) -> Page:
        """The newest rows of those that are asked for."""
        top = self._top()
        below = top if query.below is None else min(query.below, top)
        found = (
            row for row in self._newest(below, max(1, top - KEPT)) if _has(row.event, query.only)
        )
        rows = list(islice(found, query.limit + 1))
        more = len(rows) > query.limit
        rows = rows[: query.limit]
        return Page(rows=[*map(_bare, rows)] if query.bare else rows, top=top, more=more)

    def _top(self) -> int:
        """The number of the next event."""
        newest = self._sql(_TOP)
        top: int = newest[0][0] if newest else 1
        return top

    def _newest(self, below: int, least: int) -> Iterator[Row]:
        """The rows from the one before `below` down to `least`."""
        end = below
        while end > least:
            told = self._sql(_READ, end, end - FLUSH_MOST)  # a row that begins there, at least
            for first, heard, events in told:
                for seq, event in reversed([*enumerate(_EVENTS.decode(events), first)]):
                    if least <= seq < below:
                        yield Row(seq=seq, heard=heard, event=event)
            end = told[-1][0] if told else end - FLUSH_MOST


def _has(event: RequestRecord, only: Filters) -> bool:
    return all(
        getattr(event, "cache_status" if column == "cache" else column) == value
        for column, value in only.items()
    )


def _bare(row: Row) -> Row:
    attempts = tuple(structs.replace(attempt, message=None) for attempt in row.event.attempts)
    event = structs.replace(row.event, id="", metadata={}, trace="", attempts=attempts)
    return structs.replace(row, event=event)


def _is_kept(event: RequestRecord) -> bool:
    """Reading the figures leaves no trace: a dashboard that refreshes would soon push all else
    out."""
    reads = event.method in ("GET", "HEAD") and event.status < 400
    return event.logged and (event.endpoint.startswith("/v1/") or not reads)
