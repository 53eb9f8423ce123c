"""Sums of a part of the request log, by what may have more names than roll-ups can keep."""

from collections.abc import Iterable

from msgspec import structs

from proxy.analytics.record.request_record import RequestRecord
from proxy.analytics.store.messages import LogGroup, LogGroups, LogGroupsQuery
from proxy.analytics.store.request_log import READ_MOST, RequestLog


def read_groups(log: RequestLog, query: LogGroupsQuery) -> LogGroups:
    """The sums of the newest rows that match, as far as one call looks."""
    page = log.read_page(structs.replace(query.rows, limit=READ_MOST))
    groups: dict[tuple[str, str], LogGroup] = {}
    for row in page.rows:
        for name, user in _list_names(row.record, query):
            at = row.record.at
            group = groups.setdefault(
                (name, user), LogGroup(name=name, user=user, first=at, last=at)
            )
            _count(group, row.record)
    return LogGroups(groups=[*groups.values()], has_more=page.has_more, end=page.end)


def _list_names(record: RequestRecord, query: LogGroupsQuery) -> Iterable[tuple[str, str]]:
    """The groups that a request counts in. One tag that is asked for stands alone."""
    if query.by == "session":
        return [(record.session, record.user)] if record.session else []
    wanted = query.rows.filters.get("tag")
    return [(tag, "") for tag in record.tags if wanted in (None, tag)]


def _count(group: LogGroup, record: RequestRecord) -> None:
    group.requests += 1
    group.errors += record.has_failed
    group.input += record.input or 0
    group.output += record.output or 0
    group.cost += record.cost or 0
    group.first, group.last = min(group.first, record.at), max(group.last, record.at)
