"""What reading a long request log costs."""

from typing import Any

import msgspec
import pytest
from msgspec import structs

from proxy.analytics.record.request_record import RequestRecord
from proxy.analytics.store import request_log
from proxy.analytics.store.messages import FLUSH_MOST, LogPage, LogQuery, LogRow
from proxy.analytics.store.request_log import READ_MOST
from proxy.analytics.store.shard import Shard
from tests.unit.analytics.logs import read_whole
from tests.unit.analytics.making import NOW_MS, make_flush, make_record
from tests.unit.analytics.shards import PlatformSQL


def test_no_call_looks_at_more_than_it_has_time_for(monkeypatch: pytest.MonkeyPatch) -> None:
    """However few rows are wanted and found, and however many there are."""
    sql = PlatformSQL()
    shard = Shard(sql)
    for number in range(1, 101):
        many = [make_record(id=f"{number}.{n}", user=f"{n % 50}") for n in range(100)]
        shard.add(make_flush("a", number, *many), NOW_MS)
    looked_at: list[int] = []

    def look(record: RequestRecord) -> RequestRecord:
        looked_at[-1] += 1
        return record

    def ask(query: LogQuery) -> LogPage:
        looked_at.append(0)
        return shard.read_page(query)

    monkeypatch.setattr(
        request_log, "LogRow", lambda record, **more: LogRow(record=look(record), **more)
    )
    query = LogQuery(limit=150, filters={"user": "7"})
    page = ask(query)
    assert page.has_more
    found = [row.record.id for row in page.rows]
    while page.has_more:
        page = ask(structs.replace(query, below=page.end))
        found += [row.record.id for row in page.rows]
    assert found == [f"{n}.{m}" for n in range(100, 0, -1) for m in (57, 7)]
    assert max(looked_at) <= READ_MOST
    assert len(looked_at) <= 10_000 / READ_MOST + 2
    whole = read_whole(shard, query)
    assert [row.record.id for row in whole.rows] == found[:150]
    assert whole.has_more
    assert not read_whole(shard, structs.replace(query, limit=200)).has_more


class MeasuredSQL(PlatformSQL):
    """Counts the characters that cross from SQLite to Python."""

    def __init__(self) -> None:
        super().__init__()
        self.crossed = 0

    def __call__(self, query: str, /, *bindings: str | float) -> list[tuple[Any, ...]]:
        rows = super().__call__(query, *bindings)
        self.crossed += sum(len(value) for row in rows for value in row if isinstance(value, str))
        return rows


@pytest.mark.parametrize(("limit", "flushes"), [(50, 1), (READ_MOST, READ_MOST / FLUSH_MOST + 1)])
def test_of_a_busy_isolates_log_no_more_is_read_than_is_looked_at(
    limit: int, flushes: float
) -> None:
    sql = MeasuredSQL()
    shard = Shard(sql)
    many = [make_record(id=f"{n:04}") for n in range(FLUSH_MOST)]
    for number in range(1, 11):
        shard.add(make_flush("a", number, *many), NOW_MS)
    assert len(shard.read_page(LogQuery(limit=limit)).rows) == limit
    assert sql.crossed <= 1.01 * flushes * len(msgspec.json.encode(many))


def test_a_page_takes_as_long_in_a_long_log_as_in_a_short_one() -> None:
    def count(flushes: int) -> int:
        sql = PlatformSQL()
        shard = Shard(sql)
        for number in range(1, flushes + 1):
            many = [make_record(id=f"{number}.{n}") for n in range(50)]
            shard.add(make_flush("a", number, *many), NOW_MS)
        with sql.counting() as steps:
            page = shard.read_page(LogQuery(limit=50))
        assert len(page.rows) == 50
        return len(steps)

    assert count(400) <= 1.1 * count(20)
