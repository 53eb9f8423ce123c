"""The request log of one shard: its last events, the newest first, a page at a time."""

from typing import Annotated, Literal, TypeAlias

import msgspec
from msgspec import Meta, Struct

from proxy.analytics.event import Event
from proxy.analytics.figures import Flush
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


class Row(Struct, frozen=True, kw_only=True):
    """One event of the log."""

    seq: int
    """Counts up from 1 for each shard, and never down again."""
    heard: int
    """When it came to the log, in ms since 1970."""
    event: Event


class Page(Struct, frozen=True, kw_only=True):
    """Rows, the newest first."""

    rows: list[Row]
    top: Position
    """Above the newest row that there was."""
    more: bool
    """Whether there are older ones."""


_CREATE = """
CREATE TABLE IF NOT EXISTS requests (
  seq INTEGER PRIMARY KEY, heard INTEGER NOT NULL, event TEXT NOT NULL
) STRICT"""
_ADD = """
INSERT INTO requests (heard, event)
SELECT CAST(? AS INTEGER), value FROM json_each(?, '$.events')"""
_EVENT = msgspec.json.Decoder(Event)


class RequestLog:
    """The last KEPT events of one shard."""

    def __init__(self, sql: SQL) -> None:
        self._sql = sql
        sql(_CREATE)

    def add(self, flush: Flush, flush_json: bytes, now: int) -> None:
        """Keeps the events of a flush, which goes to SQL as it came where all of it is kept.
        `now` is in ms."""
        kept = [event for event in flush.events if _is_kept(event)]
        if len(kept) < len(flush.events):
            flush_json = msgspec.json.encode({"events": kept})
        self._sql(_ADD, now, flush_json.decode())
        self._sql("DELETE FROM requests WHERE seq <= (SELECT max(seq) FROM requests) - ?", KEPT)

    def page(self, query: Query) -> Page:
        """The newest rows of those that are asked for."""
        top = self._sql("SELECT coalesce(max(seq), 0) + 1 FROM requests")[0][0]
        below = top if query.below is None else query.below
        terms = "".join(f" AND coalesce(event ->> '{name}', '') = ?" for name in query.only)
        rows = self._sql(
            f"SELECT seq, heard, event FROM requests WHERE seq < ?{terms}"
            " ORDER BY seq DESC LIMIT ?",
            below,
            *query.only.values(),
            query.limit + 1,
        )
        return Page(
            rows=[
                Row(seq=seq, heard=heard, event=_EVENT.decode(event))
                for seq, heard, event in rows[: query.limit]
            ],
            top=top,
            more=len(rows) > query.limit,
        )


def _is_kept(event: Event) -> bool:
    """Reading the figures leaves no trace: a dashboard that refreshes would soon push all else
    out."""
    reads = event.method in ("GET", "HEAD") and event.status < 400
    return event.logged and (event.endpoint.startswith("/v1/") or not reads)
