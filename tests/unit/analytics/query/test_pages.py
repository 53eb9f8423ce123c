"""The request log: pages over shards while rows arrive."""

import base64
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.analytics.query.pages import read_page_query, render_page
from proxy.analytics.query.parameters import encode_cursor
from proxy.analytics.store.messages import LogQuery
from proxy.analytics.store.request_log import RequestLog
from proxy.analytics.store.shard import Shard
from proxy.core.chat import Attempt
from proxy.core.errors import InvalidRequest, PermissionDenied
from tests.unit.analytics.logs import read_whole
from tests.unit.analytics.making import NOW_MS, make_flush, make_record
from tests.unit.analytics.shards import PlatformSQL


class Log:
    """Some shards that get one request after the other."""

    def __init__(self, shards: int) -> None:
        self.shards = [Shard(PlatformSQL()) for _ in range(shards)]
        self.now = NOW_MS
        self.count = 0

    def arrive(self, shard: int, after: int = 1, **fields: Any) -> str:
        self.now += after
        self.count += 1
        record = make_record(id=f"r{self.count}", at=self.now, **fields)
        self.shards[shard].add(make_flush("a", self.count, record), self.now)
        return record.id

    def read(self, visible: str | None = None, **params: str) -> tuple[list[str], str | None]:
        body = self.body(visible, **params)
        return [row["requestId"] for row in body["requests"]], body["next"]

    def body(self, visible: str | None = None, **params: str) -> dict[str, Any]:
        query = read_page_query(params, len(self.shards), self.now / 1000, visible)
        pages = [read_whole(shard, query.of_shard(n)) for n, shard in enumerate(self.shards)]
        body: dict[str, Any] = json.loads(render_page(query, pages))
        return body


arrivals = st.lists(st.tuples(st.integers(0, 2), st.integers(-3, 5), st.booleans()), max_size=25)


@given(
    arrivals,
    st.lists(arrivals.map(lambda some: some[:4]), max_size=30),
    st.integers(1, 7),
    st.booleans(),
)
def test_pages_neither_repeat_nor_skip_a_row_while_rows_arrive(
    before: list[tuple[int, int, bool]],
    between: list[list[tuple[int, int, bool]]],
    limit: int,
    filtered: bool,
) -> None:
    """Even where the shards' clocks step back."""
    log = Log(3)

    def arrive(some: list[tuple[int, int, bool]]) -> list[str]:
        users = ["ann" if mine else "bob" for _, _, mine in some]
        ids = [
            log.arrive(shard, after, user=user)
            for (shard, after, _), user in zip(some, users, strict=True)
        ]
        return [id_ for id_, user in zip(ids, users, strict=True) if user == "ann" or not filtered]

    there = arrive(before)
    read: list[str] = []
    cursor: str | None = None
    while True:
        params = {"limit": str(limit)} | ({"cursor": cursor} if cursor else {})
        ids, cursor = log.read("ann" if filtered else None, **params)
        assert len(ids) == limit or cursor is None
        read += ids
        assert len(read) <= len(there)
        if cursor is None:
            break
        if between:
            arrive(between.pop())
    assert sorted(read) == sorted(there)


def test_the_newest_of_all_shards_comes_first() -> None:
    log = Log(2)
    ids = [log.arrive(shard) for shard in (0, 1, 1, 0, 1, 0, 0)]
    read, cursor = log.read(limit="3")
    assert cursor
    more, last = log.read(limit="4", cursor=cursor)
    assert read + more == ids[::-1]
    assert last is None


def test_the_log_keeps_the_last_10000_rows() -> None:
    sql = PlatformSQL()
    shard = Shard(sql)
    for number in range(1, 12):
        many = [make_record(id=f"{number}.{n}", error="x" * (n % 2)) for n in range(1000)]
        shard.add(make_flush("a", number, *many), NOW_MS)
    shard.prune(NOW_MS)
    assert sql("SELECT sum(count), min(first), max(first + count) - 1 FROM requests") == [
        (10_000, 1001, 11_000)
    ]
    page = RequestLog(sql).read_page(LogQuery(limit=500, below=1101, filters={"error": ""}))
    assert [row.record.id for row in page.rows] == [f"2.{n}" for n in range(98, -1, -2)]
    assert not page.has_more


def test_a_cursor_from_nowhere_is_read_from_the_newest_row_on() -> None:
    sql = PlatformSQL()
    shard = Shard(sql)
    shard.add(make_flush("a", 1, make_record(id="1"), make_record(id="2")), NOW_MS)
    sql.statements = 0
    page = RequestLog(sql).read_page(LogQuery(limit=5, below=2**53 - 1))
    assert [row.record.id for row in page.rows] == ["2", "1"]
    assert sql.statements < 10


def test_what_came_one_by_one_is_read_some_rows_at_a_time() -> None:
    sql = PlatformSQL()
    shard = Shard(sql)
    for number in range(1, 101):
        shard.add(make_flush("a", number, make_record(id=f"{number}")), NOW_MS)
    log = RequestLog(sql)
    page = log.read_page(LogQuery(limit=70, below=91))
    assert [row.number for row in page.rows] == [*range(90, 20, -1)]
    assert page.has_more
    page = log.read_page(LogQuery(limit=70, below=21))
    assert [row.number for row in page.rows] == [*range(20, 0, -1)]
    assert not page.has_more


def test_reading_the_figures_leaves_no_trace() -> None:
    log = Log(1)
    for method, endpoint, status in (
        ("GET", "/analytics", 200),
        ("GET", "/v1/models", 200),
        ("HEAD", "/health/providers", 200),
        ("DELETE", "/admin/breakers", 204),
        ("GET", "/admin/limits", 403),
        ("POST", "/v1/generate", 200),
    ):
        log.arrive(0, method=method, endpoint=endpoint, status=status)
    rows = log.body()["requests"]
    assert [(row["method"], row["endpoint"]) for row in reversed(rows)] == [
        ("GET", "/v1/models"),
        ("DELETE", "/admin/breakers"),
        ("GET", "/admin/limits"),
        ("POST", "/v1/generate"),
    ]
    log.arrive(0, method="GET", endpoint="/openai", status=200, provider="openai")
    assert log.body()["requests"][0]["endpoint"] == "/openai"


def test_a_user_sees_only_his_own() -> None:
    log = Log(1)
    mine = log.arrive(0, user="ann")
    log.arrive(0, user="bob")
    assert log.read("ann") == ([mine], None)
    assert log.read("ann", user="ann") == ([mine], None)
    with pytest.raises(PermissionDenied):
        log.read("ann", user="bob")
    with pytest.raises(InvalidRequest, match="status"):
        log.read("ann", user="bob", status="abc")


FULL: dict[str, Any] = {
    "user": "ann",
    "key_id": "key_1",
    "team": "blue",
    "tags": ("batch",),
    "dialect": "openai",
    "provider": "gemini",
    "model": "large",
    "requested_model": "auto",
    "strategy": "fastest",
    "attempts": (
        Attempt(provider="groq", model="s", outcome="timeout", ms=7, status=504, message="late"),
        Attempt(provider="gemini", model="large", outcome="ok", ms=90),
    ),
    "cache_status": "miss",
    "stream": True,
    "ended": "ok",
    "first_ms": 90,
    "input": 10,
    "output": 20,
    "cached": 0,
    "reasoning": 5,
    "cost": 2_000_000,
    "cost_origin": "computed",
    "bytes_in": 1,
    "bytes_out": 2,
    "country": "DE",
    "colo": "FRA",
    "cache_key": "0123456789abcdef",
    "session": "s-1",
    "metadata": {"team": "red"},
    "trace": "ab" * 16,
}
FULL_ROW = {
    "at": "2025-11-25T21:01:00.001Z",
    "requestId": "r1",
    "endpoint": "/v1/generate",
    "method": "POST",
    "dialect": "openai",
    "status": 200,
    "user": "ann",
    "keyId": "key_1",
    "team": "blue",
    "tags": ["batch"],
    "provider": "gemini",
    "model": "large",
    "asked": "auto",
    "strategy": "fastest",
    "attempts": [
        {"provider": "groq", "model": "s", "outcome": "timeout", "ms": 7, "status": 504,
         "message": "late"},
        {"provider": "gemini", "model": "large", "outcome": "ok", "ms": 90},
    ],
    "error": None,
    "source": None,
    "cache": "miss",
    "tier": None,
    "stream": True,
    "ended": "ok",
    "ms": 100,
    "firstMs": 90,
    "usage": {"inputTokens": 10, "outputTokens": 20, "totalTokens": 30, "cachedTokens": 0,
              "reasoningTokens": 5},
    "cost": 0.002,
    "costOrigin": "computed",
    "costSaved": 0,
    "bytesIn": 1,
    "bytesOut": 2,
    "country": "DE",
    "colo": "FRA",
    "session": "s-1",
    "metadata": {"team": "red"},
    "traceId": "ab" * 16,
}  # fmt: skip


def test_a_row_has_all_that_is_known() -> None:
    log = Log(1)
    log.arrive(0, **FULL)
    assert log.body()["requests"] == [FULL_ROW]


def test_who_is_not_let_in_pushes_nobody_out() -> None:
    log = Log(1)
    strangers = [make_record(id=f"s{n}", status=401) for n in range(20)]
    own = [make_record(id=f"o{n}", status=429, user="ann") for n in range(3)]
    log.shards[0].add(make_flush("a", 1, *strangers[:10], *own, *strangers[10:]), NOW_MS)
    assert log.read()[0] == ["o2", "o1", "o0", "s0"]


def test_what_is_not_known_is_null() -> None:
    log = Log(1)
    log.arrive(0, status=401, error="authentication_failed", source="proxy")
    (row,) = log.body()["requests"]
    known = {name for name, value in row.items() if value is not None}
    assert known == {
        "at", "requestId", "endpoint", "method", "dialect", "status", "attempts", "error", "source",
        "stream", "ms", "costSaved", "bytesIn", "bytesOut", "metadata", "tags",
    }  # fmt: skip


def test_usage_leaves_out_what_providers_do_not_report() -> None:
    log = Log(1)
    log.arrive(0, input=3)
    (row,) = log.body()["requests"]
    assert row["usage"] == {"inputTokens": 3, "outputTokens": 0, "totalTokens": 3}


def cursor(value: object) -> str:
    return base64.urlsafe_b64encode(json.dumps(value).encode()).rstrip(b"=").decode()


@pytest.mark.parametrize(
    "wrong",
    [
        "",
        "x",
        "null",
        "ä",
        cursor([1, 2]) + "=",
        cursor([1, 2]) + "\n",
        cursor([1]),
        cursor([1, 2, 3]),
        cursor([1, -2]),
        cursor([1, 2**53]),
        cursor([1, 1.5]),
        cursor([1, "2"]),
        cursor([1, None]),
        cursor({"0": 1}),
        cursor([[1, 2]]),
        cursor([1, 2]),  # with a blank: no page gives it so
        base64.urlsafe_b64encode(b"\xff\xff\xff").decode(),
        "W" * 100_000,
        "[" * 10_000,
    ],
)
def test_a_wrong_cursor_is_named(wrong: str) -> None:
    with pytest.raises(InvalidRequest) as refused:
        read_page_query({"cursor": wrong}, 2, 0.0)
    assert refused.value.param == "cursor"


def test_a_cursor_says_how_far_each_shard_was_read() -> None:
    assert read_page_query({"cursor": encode_cursor([0, 2**53 - 1])}, 2, 0.0).positions == (
        0,
        2**53 - 1,
    )


@pytest.mark.parametrize(
    ("params", "name"),
    [
        ({"limit": "0"}, "limit"),
        ({"limit": "501"}, "limit"),
        ({"limit": "5.0"}, "limit"),
        ({"limit": "\u0665"}, "limit"),
        ({"limit": "9" * 5000}, "limit"),
        ({"limit": ""}, "limit"),
        ({"status": "ok"}, "status"),
        ({"error": ""}, "error"),
        ({"offset": "1"}, "offset"),
    ],
)
def test_a_wrong_parameter_is_named(params: dict[str, str], name: str) -> None:
    with pytest.raises(InvalidRequest) as refused:
        read_page_query(params, 1, 0.0)
    assert refused.value.param == name


def test_a_long_moment_keeps_nobody_waiting() -> None:
    with pytest.raises(InvalidRequest) as refused:
        read_page_query({"from": "T" * 500_000}, 1, 0.0)
    assert refused.value.param == "from"
