"""Sums of the request log: figures by what the roll-ups leave out, as far back as the log goes."""

from collections import defaultdict
from collections.abc import Sequence
from typing import cast

from proxy.analytics.record.request_record import RequestRecord
from proxy.analytics.store.messages import (
    Dimension,
    GroupKey,
    LogFilters,
    LogPage,
    LogQuery,
    Sums,
    SumsGroup,
    SumsQuery,
)
from proxy.analytics.store.totals import Totals, count_attempts
from proxy.core.errors import invalid

OF_LOG: frozenset[Dimension] = frozenset({"session", "key", "team", "tag"})
"""What only the log knows of."""
MOST_SUMMED = 5_000
"""Requests of a shard that are looked at for an answer, and that it sends, at most."""

_FIELDS = {"key": "key_id"}


def wants_log(query: SumsQuery) -> bool:
    """Whether only the log can answer."""
    return not OF_LOG.isdisjoint((*query.group_by, *query.filters))


def choose_page(query: SumsQuery) -> LogQuery:
    """What a shard's log is read for."""
    return LogQuery(
        limit=MOST_SUMMED,
        filters=cast(LogFilters, query.filters),
        bare=query.models_only,
        since=query.begin * 1000,
    )


def sum_pages(query: SumsQuery, pages: Sequence[LogPage]) -> Sums:
    """The sums of the rows. Raises InvalidRequest where there are more."""
    if any(page.has_more for page in pages):
        raise invalid(
            "window", f"It holds more than {MOST_SUMMED} requests: take a shorter one, or filter"
        )
    records: defaultdict[tuple[int | None, tuple[str | int, ...]], list[RequestRecord]]
    records = defaultdict(list)
    for page in pages:
        for row in page.rows:
            at = row.record.at // 1000
            if query.begin <= at < query.end:
                values = tuple(
                    getattr(row.record, _FIELDS.get(name, name)) for name in query.group_by
                )
                records[_find_step(query, at), values].append(row.record)
    groups = []
    for (step, values), some in records.items():
        key: GroupKey = dict(zip(query.group_by, values, strict=True))
        groups.append(SumsGroup(key=key, at=step, totals=_count(some)))
    return Sums(groups=groups)


def _find_step(query: SumsQuery, at: int) -> int | None:
    return None if query.step is None else at - (at - query.begin) % query.step


def _count(records: Sequence[RequestRecord]) -> Totals:
    """The totals of some requests; their attempts are theirs, wherever they went."""
    totals = Totals()
    totals.count(records)
    for tried in count_attempts(records).values():
        totals.add(tried)
    return totals
