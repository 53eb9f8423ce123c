"""Which rows of the request log are found, and what looking for them costs."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import structs

from proxy.analytics.query.pages import read_log_query
from proxy.analytics.store import request_log
from proxy.analytics.store.messages import LogFilters, LogQuery
from proxy.analytics.store.request_log import KEPT, READ_MOST
from proxy.analytics.store.shard import Shard
from proxy.core.errors import InvalidRequest
from tests.unit.analytics.logs import read_whole
from tests.unit.analytics.making import NOW_MS, make_flush, make_record
from tests.unit.analytics.records import RECORDS
from tests.unit.analytics.shards import PlatformSQL

NOW = NOW_MS / 1000
SECOND = "2026-11-25T20:00:00Z"


def read_query(**params: str) -> LogQuery:
    return read_log_query({k.replace("_", "."): v for k, v in params.items()}, 100, NOW, None)


def find(shard: Shard, **params: str) -> list[str]:
    query = read_query(**params)
    return [row.record.id for row in read_whole(shard, query).rows]


def fill(*rows: dict[str, Any]) -> Shard:
    shard = Shard(PlatformSQL())
    for number, row in enumerate(rows, 1):
        record = make_record(**{"id": f"r{number}", "at": NOW_MS + number} | row)
        shard.add(make_flush("a", number, record), NOW_MS + number)
    return shard


@pytest.mark.parametrize(
    ("params", "row"),
    [
        ({"provider": "wänted"}, {"provider": "wänted"}),
        ({"model": "a/b"}, {"model": "a/b"}),
        ({"user": "wänted"}, {"user": "wänted"}),
        ({"endpoint": "/v1/batch"}, {"endpoint": "/v1/batch"}),
        ({"error": "provider_error"}, {"error": "provider_error"}),
        ({"cache": "hit"}, {"cache_status": "hit"}),
        ({"status": "429"}, {"status": 429}),
        ({"key": "key_1"}, {"key_id": "key_1"}),
        ({"team": "rëd"}, {"team": "rëd"}),
        ({"tag": 'a "b"'}, {"tags": ("c", 'a "b"')}),
        ({"id": "r2"}, {}),
        ({"status": "5xx"}, {"status": 502}),
        ({"label_stage": "t\\est\n"}, {"metadata": {"stage": "t\\est\n", "x": "y"}}),
        ({"session": "s-1", "status": "4xx"}, {"session": "s-1", "status": 429}),
    ],
)
def test_rows_are_found_by_what_a_person_looks_for(
    params: dict[str, str], row: dict[str, Any]
) -> None:
    others = {"session": "s-1", "tags": ("b",), "metadata": {"stage": "live", "y": "t\\est\n"}}
    assert find(fill(others, row, {}), **params) == ["r2"]


def test_rows_are_found_by_time() -> None:
    shard = fill(*({"at": NOW_MS + 1000 * second} for second in range(5)))
    begin, end = "2025-11-25T21:01:01Z", "2025-11-25T22:01:03+01:00"
    assert find(shard, **{"from": begin, "to": end}) == ["r3", "r2"]
    assert find(shard, **{"from": begin}) == ["r5", "r4", "r3", "r2"]
    assert find(shard, to="2025-11-25T21:01:01.001Z") == ["r2", "r1"]
    assert find(shard, to="2025-11-25T20:00:00Z") == []


def test_what_came_long_after_a_time_is_passed_by() -> None:
    shard = fill()
    for number in range(1, 30):
        record = make_record(id=f"r{number}", at=NOW_MS + number * 600_000)
        shard.add(make_flush("a", number, record), NOW_MS + number * 600_000)
    page = shard.read_page(LogQuery(limit=9, end=NOW_MS + 1_200_000))
    assert [row.record.id for row in page.rows] == ["r1"]


def test_what_took_long_is_found_by_when_it_came() -> None:
    shard = Shard(PlatformSQL())
    shard.add(make_flush("a", 1, make_record(id="r1")), NOW_MS + 1_200_000)
    assert len(shard.read_page(LogQuery(limit=9, end=NOW_MS + 1)).rows) == 1


@pytest.mark.parametrize(
    ("params", "name"),
    [
        ({"from": "yesterday"}, "from"),
        ({"from": "2026-11-25"}, "from"),
        ({"from": "2026-11-25T20:00:00"}, "from"),
        ({"to": "Wed, 25 Nov 2026 20:00:00 GMT"}, "to"),
        ({"to": ""}, "to"),
        ({"from": SECOND, "to": SECOND}, "to"),
        ({"status": "6xx"}, "status"),
        ({"status": "5XX"}, "status"),
        ({"tag": ""}, "tag"),
        ({"label_": "x"}, "label."),
        ({"label_a": ""}, "label.a"),
        ({f"label_{n}": "x" for n in range(9)}, "label.0"),
    ],
)
def test_a_wrong_filter_is_named(params: dict[str, str], name: str) -> None:
    with pytest.raises(InvalidRequest) as refused:
        read_query(**params)
    assert refused.value.param == name


@given(st.lists(RECORDS, min_size=1, max_size=6), st.data())
def test_no_row_is_passed_by_that_matches(records: list[Any], data: st.DataObject) -> None:
    """Whatever its texts: the needle is how msgspec writes them."""
    text = st.text(st.characters(exclude_categories=["Cs"]), max_size=9)
    records = [
        structs.replace(
            record,
            **{name: data.draw(text) for name in ("user", "model", "team", "session", "error")},
            id=f"r{n}",
            endpoint="/v1/generate",
            method="POST",
            provider="p",
            attempts=(),
            tags=tuple(data.draw(st.lists(text, max_size=2))),
            metadata=data.draw(st.dictionaries(text, text, max_size=2)),
            **dict.fromkeys(
                ("key_id", "requested_model", "strategy", "ended", "country", "colo"), ""
            ),
            cache_key="",
        )
        for n, record in enumerate(records)
    ]
    shard = Shard(PlatformSQL())
    for number, record in enumerate(records, 1):
        shard.add(make_flush("a", number, record), NOW_MS)
    wanted = data.draw(st.sampled_from(records))
    filters: dict[Any, Any] = {"user": wanted.user, "model": wanted.model, "team": wanted.team}
    filters |= {"session": wanted.session, "error": wanted.error, "status": wanted.status}
    if wanted.tags:
        filters["tag"] = wanted.tags[-1]
    chosen = data.draw(st.sets(st.sampled_from(sorted(filters))))
    query = LogQuery(limit=9, filters={n: filters[n] for n in chosen}, labels=wanted.metadata)
    assert wanted.id in [row.record.id for row in read_whole(shard, query).rows]


def test_what_matches_nothing_costs_one_call_that_parses_nothing(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    sql = PlatformSQL()
    shard = Shard(sql)
    for number in range(1, KEPT // 100 + 3):
        rows = [make_record(id=f"{number}.{n}", user=f"u{n}") for n in range(100)]
        shard.add(make_flush("a", number, *rows), NOW_MS)

    class Unused:
        def decode(self, _: object) -> None:
            raise AssertionError("nothing there may match")

    monkeypatch.setattr(request_log, "_RECORDS", Unused())
    sql.statements = 0
    wanted: list[LogFilters] = [{"user": "nobody"}, {"status": 5}, {"tag": "u"}, {"id": "1"}]
    for filters in wanted:
        page = shard.read_page(LogQuery(limit=50, filters=filters))
        assert (page.rows, page.has_more) == ([], False)
    assert sql.statements == 8


def test_what_matches_seldom_is_looked_for_in_bounds() -> None:
    """Each row of SQL holds one that may match: no call looks at more than READ_MOST."""
    sql = PlatformSQL()
    shard = Shard(sql)
    for number in range(1, 101):
        rows = [make_record(id=f"{number}.{n}", tags=("x",) * (n == 7)) for n in range(100)]
        shard.add(make_flush("a", number, *rows), NOW_MS)
    query = LogQuery(limit=500, filters={"tag": "x"})
    page = shard.read_page(query)
    assert (len(page.rows), page.has_more) == (READ_MOST // 100, True)
    assert len(read_whole(shard, query).rows) == 100
