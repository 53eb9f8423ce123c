"""Isolates and shards of two versions at once, as while a deployment rolls out."""

import msgspec
import pytest
from msgspec import Raw

from proxy.analytics.query.reason import show_reason
from proxy.analytics.store.messages import Flush, LogGroupsQuery, LogQuery
from proxy.analytics.store.shard import ADD, Shard
from tests.unit.analytics.making import NOW_MS, make_record
from tests.unit.analytics.shards import PlatformSQL

OLDER = {"at": NOW_MS, "id": "r1", "endpoint": "/v1/generate", "status": 200, "ms": 1}
NEWER = OLDER | {"id": "r2", "session": "s-1", "of_tomorrow": {"a": [1]}}


FIRST = (
    '[{"at":1764104460000,"id":"r1","endpoint":"/v1/generate","status":200,"ms":9,"user":"ann",'
    '"provider":"openai","model":"gpt-4o-mini","asked":"fast","attempts":[{"provider":"groq",'
    '"model":"m","outcome":"timeout","ms":5},{"provider":"openai","model":"gpt-4o-mini",'
    '"outcome":"ok","ms":4}],"cache":"miss","metadata":{"stage":"live"},"session":"s-1"}]'
)
"""A row as the first version has stored it: without team, tags and reason."""


def test_rows_of_the_first_version_are_found_summed_up_and_explained() -> None:
    sql = PlatformSQL()
    sql("CREATE TABLE requests (first INTEGER PRIMARY KEY, count INTEGER NOT NULL,"
        " heard INTEGER NOT NULL, events TEXT NOT NULL) STRICT")  # fmt: skip
    sql("INSERT INTO requests VALUES (7, 1, 1764104460000, ?)", FIRST)
    shard = Shard(sql)
    shard.add(Flush(isolate="a", number=1, records=Raw(msgspec.json.encode([NEWER]))), NOW_MS)
    wanted = LogQuery(
        limit=9,
        filters={"id": "r1", "user": "ann", "session": "s-1", "status": 2},
        labels={"stage": "live"},
    )
    [row] = shard.read_page(wanted).rows
    assert (row.number, row.record.tags, row.record.reason) == (7, (), None)
    assert [attempt.start for attempt in row.record.attempts] == [None, None]
    words = show_reason(row.record)["words"]
    assert words == [
        "openai/gpt-4o-mini is the first of the chain that may be asked, for the tier fast.",
        "groq/m took too long after 5 ms.",
    ]
    groups = shard.read_groups(LogGroupsQuery(by="session", rows=LogQuery(limit=9))).groups
    assert {(group.name, group.user, group.requests) for group in groups} == {
        ("s-1", "", 1),
        ("s-1", "ann", 1),
    }


@pytest.mark.parametrize("crosses", [False, True])
def test_records_of_every_version_are_kept_and_found(crosses: bool) -> None:
    shard = Shard(PlatformSQL())
    flush = Flush(isolate="a", number=1, records=Raw(msgspec.json.encode([OLDER, NEWER])))
    if crosses:
        flush = ADD.argument.decode(ADD.argument.encode(flush))
    shard.add(flush, NOW_MS)
    rows = shard.read_page(LogQuery(limit=9)).rows
    assert [(row.record.id, row.record.session) for row in rows] == [("r2", "s-1"), ("r1", "")]
    [row] = shard.read_page(LogQuery(limit=9, filters={"session": "s-1"})).rows
    assert row.record == make_record(id="r2", ms=1, session="s-1")
