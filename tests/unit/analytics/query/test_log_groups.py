"""What conversations and tags have cost."""

import asyncio
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.analytics.query.log_groups import merge_groups, read_groups_query, render_groups
from proxy.analytics.query.reader import StatisticsReader
from proxy.analytics.record.recorder import Recorder
from proxy.analytics.store.shard import LOG_GROUPS
from proxy.core.errors import InvalidRequest, PermissionDenied
from proxy.core.settings import AnalyticsSettings
from tests.unit.analytics.making import NOW_MS, make_flush, make_record
from tests.unit.doubles import ManualClock, ports
from tests.unit.memory_objects import MemoryObjects

NOW = NOW_MS / 1000


class Log:
    """The request log of some shards."""

    def __init__(self, shards: int = 2) -> None:
        self.outside = ports(lambda _: 0.0, clock=ManualClock(NOW))
        assert isinstance(self.outside.objects, MemoryObjects)
        self.objects = self.outside.objects.statistics
        settings = AnalyticsSettings(enabled=True, shards=shards)
        self.reader = StatisticsReader(settings, self.outside, Recorder(settings, self.outside))
        self.count = 0

    def add(self, *rows: dict[str, Any]) -> None:
        for row in rows:
            self.count += 1
            record = make_record(**{"at": NOW_MS - 1000 + self.count} | row)
            shard = self.objects.at(f"shard-{self.count % 2}")
            shard.add(make_flush("a", self.count, record), NOW_MS)

    def read(self, by: Any, visible: str | None = None, **params: str) -> Any:
        query = read_groups_query(
            {k.replace("_", "."): v for k, v in params.items()}, by, NOW, visible
        )
        groups = merge_groups(asyncio.run(self.reader.read_groups(query.sums)))
        return json.loads(render_groups(query, groups))


@pytest.fixture
def log() -> Log:
    return Log()


def test_a_conversation_has_the_sums_of_its_turns(log: Log) -> None:
    log.add(
        {"session": "s", "cost": 2_000_000, "input": 5, "output": 7},
        {"session": "s", "cost": 1_000_000, "input": 1, "status": 502, "error": "provider_error"},
        {"session": "s", "user": "bob", "cost": 9_000_000},
        {"cost": 5_000_000_000},
    )
    assert log.read("session") == {
        "sessions": [
            {
                "session": "s", "user": "bob", "requests": 1, "errors": 0, "inputTokens": 0,
                "outputTokens": 0, "cost": 0.009, "first": "2025-11-25T21:00:59.003Z",
                "last": "2025-11-25T21:00:59.003Z",
            },
            {
                "session": "s", "user": None, "requests": 2, "errors": 1, "inputTokens": 6,
                "outputTokens": 7, "cost": 0.003, "first": "2025-11-25T21:00:59.001Z",
                "last": "2025-11-25T21:00:59.002Z",
            },
        ],
        "hasMore": False,
    }  # fmt: skip


def test_a_request_counts_under_each_of_its_tags(log: Log) -> None:
    log.add({"tags": ("a", "b"), "cost": 3}, {"tags": ("b",), "cost": 4}, {"tags": ()})
    shown = {g["tag"]: (g["requests"], g["cost"]) for g in log.read("tag")["tags"]}
    assert shown == {"b": (2, 7e-9), "a": (1, 3e-9)}
    assert [g["tag"] for g in log.read("tag", tag="a")["tags"]] == ["a"]


def test_filters_hold(log: Log) -> None:
    log.add(
        {"session": "s", "user": "ann", "team": "red", "at": NOW_MS - 120_000},
        {"session": "t", "user": "ann", "metadata": {"stage": "x"}},
        {"session": "u", "user": "bob"},
    )

    def names(visible: str | None = None, **params: str) -> list[str]:
        return sorted(g["session"] for g in log.read("session", visible, **params)["sessions"])

    assert names() == ["s", "t", "u"]
    assert names("ann") == ["s", "t"]
    assert names(team="red") == ["s"]
    assert names(label_stage="x") == ["t"]
    assert names(window="1m") == ["t", "u"]
    assert names(to="2025-11-25T21:00:00Z") == ["s"]
    assert len(names(limit="2")) == 2
    assert log.read("session", limit="2")["hasMore"]
    with pytest.raises(PermissionDenied):
        names("ann", user="bob")
    for wrong in (
        {"limit": "0"},
        {"cursor": "x"},
        {"window": "1h", "from": "2025-01-01T00:00:00Z"},
    ):
        with pytest.raises(InvalidRequest):
            names(**wrong)


def test_a_long_log_is_summed_up_part_by_part() -> None:
    log = Log(shards=1)
    for number in range(1, 9):
        rows = [make_record(session=f"s{n % 3}", cost=1, at=NOW_MS) for n in range(900)]
        log.objects.at("shard-0").add(make_flush("a", number, *rows), NOW_MS)
    shown = log.read("session")["sessions"]
    assert [g["requests"] for g in shown] == [2400] * 3
    assert len(log.objects.called(LOG_GROUPS)) == 3


@given(st.lists(st.tuples(st.sampled_from("ab"), st.integers(0, 9), st.booleans()), max_size=20))
def test_sums_are_those_of_the_rows(rows: list[tuple[str, int, bool]]) -> None:
    log = Log()
    log.add(*({"session": s, "cost": c, "status": 500 if bad else 200} for s, c, bad in rows))
    for group in log.read("session")["sessions"]:
        mine = [(cost, bad) for session, cost, bad in rows if session == group["session"]]
        assert group["requests"] == len(mine)
        assert group["errors"] == sum(bad for _, bad in mine)
        assert group["cost"] == pytest.approx(sum(cost for cost, _ in mine) / 1e9)
