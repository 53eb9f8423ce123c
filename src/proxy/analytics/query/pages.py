"""GET /analytics/requests: pages of the shards' request logs as one log.

The newest first by when the log got them. A cursor says for each shard how far it was read; pages
that are read one after the other neither repeat nor skip a row that was there when the first one
was read, while rows arrive.
"""

from collections.abc import Mapping, Sequence
from typing import get_args

import msgspec
from msgspec import Struct, structs

from proxy.analytics.query import parameters
from proxy.analytics.record.request_record import RequestRecord
from proxy.analytics.store.messages import LogColumn, LogPage, LogQuery, LogRow
from proxy.core.errors import invalid
from proxy.core.money import to_dollars
from proxy.core.time import format_time_ms

LIMIT = "50"
"""Rows of a page that names no limit."""
CLOCKS_APART = 3_600_000
"""Milliseconds. A request came to the log after it came, by clocks that may differ."""
COLUMNS: tuple[LogColumn, ...] = get_args(LogColumn)
OF_ROWS = ("from", "to", *COLUMNS)
"""Parameters that say which rows are wanted."""
PARAMETERS = ("limit", "cursor", "format", *OF_ROWS)


class PageQuery(Struct, frozen=True, kw_only=True):
    """A page that a caller asks for."""

    rows: LogQuery
    """Which rows, and how many of them."""
    positions: tuple[int, ...] | None = None
    """How far each shard was read; None: not at all."""
    is_csv: bool = False
    """Whether all rows are wanted, as CSV."""

    def of_shard(self, shard: int) -> LogQuery:
        """The part of one shard."""
        below = None if self.positions is None else self.positions[shard]
        return structs.replace(self.rows, below=below)


def read_page_query(
    params: Mapping[str, str], shards: int, now: float, user: str | None = None
) -> PageQuery:
    """Reads the query parameters. now: seconds since 1970; user: the only one whose rows the caller
    may see.

    Raises InvalidRequest naming the parameter, PermissionDenied.
    """
    parameters.check_names(params, PARAMETERS, has_labels=True)
    is_csv = parameters.read_format(params) == "csv"
    cursor = params.get("cursor")
    limit = params.get("limit", str(parameters.MOST_ROWS) if is_csv else LIMIT)
    return PageQuery(
        rows=read_log_query(params, parameters.read_limit(limit), now, user),
        positions=None if cursor is None else parameters.read_cursor(cursor, shards),
        is_csv=is_csv,
    )


def read_log_query(params: Mapping[str, str], limit: int, now: float, user: str | None) -> LogQuery:
    """The rows that the parameters OF_ROWS and the labels name. Raises like read_page_query."""
    begin, end = (parameters.read_moment(params, name, now) for name in ("from", "to"))
    if begin is not None and end is not None and begin >= end:
        raise invalid("to", "Must be later than `from`")
    return LogQuery(
        limit=limit,
        filters=parameters.read_filters(params, COLUMNS, user),
        labels=parameters.read_labels(params),
        begin=begin or 0,
        end=end,
        since=max(0, (begin or 0) - CLOCKS_APART),
    )


def render_page(query: PageQuery, pages: Sequence[LogPage]) -> bytes:
    """The body of the answer, from the page of each shard in their order."""
    records, after = merge_pages(query, pages)
    return msgspec.json.encode(
        {
            "requests": [show_record(record) for record in records],
            "next": None if after is None else parameters.encode_cursor(after),
        }
    )


def merge_pages(
    query: PageQuery, pages: Sequence[LogPage]
) -> tuple[list[RequestRecord], list[int] | None]:
    """The records of the page of all shards, and how far each is read with them; None: to its
    end."""
    rows, positions = _merge(query, pages)
    has_more = any(p.has_more for p in pages) or len(rows) < sum(len(p.rows) for p in pages)
    return [row.record for row in rows], positions if has_more else None


def show_record(record: RequestRecord) -> dict[str, object]:
    """A record as callers see it: null for what is unknown, money in dollars, times in ms."""
    return {
        "at": format_time_ms(record.at),
        "requestId": record.id,
        "endpoint": record.endpoint,
        "method": record.method,
        "dialect": record.dialect,
        "status": record.status,
        "user": record.user or None,
        "keyId": record.key_id or None,
        "team": record.team or None,
        "tags": record.tags,
        "provider": record.provider or None,
        "model": record.model or None,
        "asked": record.requested_model or None,
        "strategy": record.strategy or None,
        "attempts": record.attempts,
        "error": record.error or None,
        "source": record.source or None,
        "cache": record.cache_status or None,
        "tier": record.cache_tier or None,
        "stream": record.stream,
        "ended": record.ended or None,
        "ms": record.ms,
        "firstMs": record.first_ms,
        "usage": _show_usage(record),
        "cost": to_dollars(record.cost),
        "costOrigin": record.cost_origin or None,
        "costSaved": to_dollars(record.saved),
        "bytesIn": record.bytes_in,
        "bytesOut": record.bytes_out,
        "country": record.country or None,
        "colo": record.colo or None,
        "session": record.session or None,
        "metadata": record.metadata,
        "traceId": record.trace or None,
    }


def _show_usage(record: RequestRecord) -> dict[str, int] | None:
    if record.input is None and record.output is None:
        return None
    input_, output = record.input or 0, record.output or 0
    usage = {"inputTokens": input_, "outputTokens": output, "totalTokens": input_ + output}
    if record.cached is not None:
        usage["cachedTokens"] = record.cached
    if record.reasoning is not None:
        usage["reasoningTokens"] = record.reasoning
    return usage


def _merge(query: PageQuery, pages: Sequence[LogPage]) -> tuple[list[LogRow], list[int]]:
    """The newest rows of all, and how far each shard is read with them.

    The order of one shard is never changed, so what is left of it is all below a position.
    """
    positions = [*(query.positions or (page.top for page in pages))]
    read = [0] * len(pages)
    rows: list[LogRow] = []
    while len(rows) < query.rows.limit:
        left = [shard for shard, page in enumerate(pages) if read[shard] < len(page.rows)]
        if not left:
            break
        newest = max(left, key=lambda shard: pages[shard].rows[read[shard]].logged_at)
        row = pages[newest].rows[read[newest]]
        rows.append(row)
        read[newest] += 1
        positions[newest] = row.number
    return rows, positions
