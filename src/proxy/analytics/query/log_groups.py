"""GET /analytics/sessions and /analytics/tags: what each has cost, as far back as the log goes."""

from collections.abc import Iterable, Mapping
from typing import Literal

import msgspec
from msgspec import Struct, structs

from proxy.analytics.query import parameters
from proxy.analytics.query.pages import CLOCKS_APART, OF_ROWS, read_log_query
from proxy.analytics.store.messages import LogGroup, LogGroupsQuery
from proxy.core.errors import invalid
from proxy.core.money import to_dollars
from proxy.core.time import format_time_ms

LIMIT = "100"
"""Groups of an answer, where the request names no limit."""


class GroupsQuery(Struct, frozen=True):
    """Sums that a caller asks for."""

    limit: int
    sums: LogGroupsQuery


def read_groups_query(
    params: Mapping[str, str], by: Literal["session", "tag"], now: float, user: str | None
) -> GroupsQuery:
    """Reads the query parameters: those of the request log that say which rows, `window` in the
    place of `from` and `to`, and `limit`.

    now: seconds since 1970; user: the only one whose requests the caller may see. Raises
    InvalidRequest naming the parameter, PermissionDenied.
    """
    parameters.check_names(params, ("window", "limit", *OF_ROWS), has_labels=True)
    limit = parameters.read_limit(params.get("limit", LIMIT))
    rows = read_log_query(params, limit, now, user)
    if "window" in params:
        if "from" in params or "to" in params:
            raise invalid("window", "Must not stand beside `from` or `to`")
        begin = round((now - parameters.read_duration("window", params["window"])) * 1000)
        rows = structs.replace(rows, begin=begin, since=max(0, begin - CLOCKS_APART))
    return GroupsQuery(limit, LogGroupsQuery(by=by, rows=rows))


def merge_groups(parts: Iterable[Iterable[LogGroup]]) -> list[LogGroup]:
    """The groups of all parts as one, those that cost most first."""
    merged: dict[tuple[str, str], LogGroup] = {}
    for part in parts:
        for group in part:
            known = merged.setdefault((group.name, group.user), group)
            if known is not group:
                for field in ("requests", "errors", "input", "output", "cost"):
                    setattr(known, field, getattr(known, field) + getattr(group, field))
                known.first = min(known.first, group.first)
                known.last = max(known.last, group.last)
    return sorted(merged.values(), key=lambda g: (-g.cost, -g.requests, g.name, g.user))


def render_groups(query: GroupsQuery, groups: list[LogGroup]) -> bytes:
    """The body of the answer."""
    by = query.sums.by
    shown = [
        {by: group.name}
        | ({"user": group.user or None} if by == "session" else {})
        | _show_figures(group)
        for group in groups[: query.limit]
    ]
    return msgspec.json.encode({f"{by}s": shown, "hasMore": len(groups) > query.limit})


def _show_figures(group: LogGroup) -> dict[str, object]:
    return {
        "requests": group.requests,
        "errors": group.errors,
        "inputTokens": group.input,
        "outputTokens": group.output,
        "cost": to_dollars(group.cost),
        "first": format_time_ms(group.first),
        "last": format_time_ms(group.last),
    }
