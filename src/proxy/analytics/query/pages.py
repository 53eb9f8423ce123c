"""GET /analytics/requests: pages of the shards' request logs as one log.

The newest first by when the log heard of them. A cursor says for each shard how far it was read;
pages that are read one after the other neither repeat nor skip a row that was there when the first
one was read, while rows arrive.
"""

import binascii
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Mapping, Sequence
from typing import Any, cast, get_args

import msgspec
from msgspec import Struct

from proxy.analytics.query import parameters
from proxy.analytics.query.report import NANO
from proxy.analytics.record.request_record import RequestRecord
from proxy.analytics.store.request_log import Column, Filters, Page, Position, Query, Row

LIMIT = 50
MOST = 500
"""Rows of a page."""
COLUMNS: tuple[Column, ...] = get_args(Column)
PARAMETERS = ("limit", "cursor", *COLUMNS)
LONGEST_CURSOR = 2_000

_POSITIONS = msgspec.json.Decoder(tuple[Position, ...])


class PageQuery(Struct, frozen=True, kw_only=True):
    """A page that is asked for."""

    limit: int
    only: Filters
    positions: tuple[int, ...] | None
    """How far each shard was read; None: not at all."""

    def of_shard(self, shard: int) -> Query:
        """What to ask a shard for, in the order of shards."""
        below = None if self.positions is None else self.positions[shard]
        return Query(limit=self.limit, below=below, only=self.only)


def read(params: Mapping[str, str], shards: int, only: Filters | None = None) -> PageQuery:
    """What is asked for. `only`: what the caller may see.

    Raises InvalidRequest naming the parameter, PermissionDenied.
    """
    parameters.check_names(params, PARAMETERS)
    cursor = params.get("cursor")
    return PageQuery(
        limit=limit_of(params.get("limit", str(LIMIT))),
        only=cast(Filters, parameters.filters(params, COLUMNS, only or {})),
        positions=None if cursor is None else positions_of(cursor, shards),
    )


def render(asked: PageQuery, pages: Sequence[Page]) -> bytes:
    """The body of the answer, from the Page of each shard in their order."""
    rows, positions = _merged(asked, pages)
    more = any(page.more for page in pages) or len(rows) < sum(len(page.rows) for page in pages)
    return msgspec.json.encode(
        {
            "requests": [shown(row.event) for row in rows],
            "next": cursor_of(positions) if more else None,
        }
    )


def cursor_of(positions: Sequence[int]) -> str:
    """The cursor for what follows."""
    return urlsafe_b64encode(msgspec.json.encode(positions)).rstrip(b"=").decode()


def shown(event: RequestRecord) -> dict[str, Any]:
    """An event as it is told: nothing unknown but null, money in dollars, times in ms."""
    whole, rest = divmod(event.at, 1000)
    return {
        "at": f"{parameters.moment(whole)[:-1]}.{rest:03d}Z",
        "requestId": event.id,
        "endpoint": event.endpoint,
        "method": event.method,
        "dialect": event.dialect,
        "status": event.status,
        "user": event.user or None,
        "keyId": event.key_id or None,
        "provider": event.provider or None,
        "model": event.model or None,
        "asked": event.requested_model or None,
        "strategy": event.strategy or None,
        "attempts": event.attempts,
        "error": event.error or None,
        "source": event.source or None,
        "cache": event.cache_status or None,
        "tier": event.cache_tier or None,
        "stream": event.stream,
        "ended": event.ended or None,
        "ms": event.ms,
        "firstMs": event.first_ms,
        "usage": _usage(event),
        "cost": None if event.cost is None else event.cost / NANO,
        "costOrigin": event.cost_origin or None,
        "costSaved": event.saved / NANO,
        "bytesIn": event.bytes_in,
        "bytesOut": event.bytes_out,
        "country": event.country or None,
        "colo": event.colo or None,
        "metadata": event.metadata,
        "traceId": event.trace or None,
    }


def _usage(event: RequestRecord) -> dict[str, int] | None:
    if event.input is None and event.output is None:
        return None
    given, made = event.input or 0, event.output or 0
    usage = {"inputTokens": given, "outputTokens": made, "totalTokens": given + made}
    if event.cached is not None:
        usage["cachedTokens"] = event.cached
    if event.reasoning is not None:
        usage["reasoningTokens"] = event.reasoning
    return usage


def _merged(asked: PageQuery, pages: Sequence[Page]) -> tuple[list[Row], list[int]]:
    """The newest rows of all, and how far each shard is read with them.

    The order of one shard is never changed, so what is left of it is all below a position.
    """
    positions = [*(asked.positions or (page.top for page in pages))]
    read = [0] * len(pages)
    rows: list[Row] = []
    while len(rows) < asked.limit:
        left = [shard for shard, page in enumerate(pages) if read[shard] < len(page.rows)]
        if not left:
            break
        newest = max(left, key=lambda shard: pages[shard].rows[read[shard]].heard)
        row = pages[newest].rows[read[newest]]
        rows.append(row)
        read[newest] += 1
        positions[newest] = row.seq
    return rows, positions


def limit_of(text: str) -> int:
    """How many rows a page has, from the parameter `limit`. Raises InvalidRequest."""
    if not (text.isascii() and text.isdecimal() and len(text) < 5 and 1 <= int(text) <= MOST):
        raise parameters.invalid("limit", f"Must be a whole number from 1 to {MOST}")
    return int(text)


def positions_of(cursor: str, shards: int) -> tuple[int, ...]:
    """How far each shard was read, from the parameter `cursor`. Raises InvalidRequest for what is
    no cursor of so many shards."""
    try:
        if len(cursor) > LONGEST_CURSOR:
            raise ValueError("too long")
        positions = _POSITIONS.decode(urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)))
        if cursor_of(positions) != cursor or len(positions) != shards:
            raise ValueError("another's")
    except (ValueError, binascii.Error, msgspec.DecodeError) as error:
        raise parameters.invalid("cursor", "Must be `next` of the page before") from error
    return positions
