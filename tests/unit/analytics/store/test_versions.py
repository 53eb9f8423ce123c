"""Isolates and shards of two versions at once, as while a deployment rolls out."""

import msgspec
import pytest
from msgspec import Raw

from proxy.analytics.store.messages import Flush, LogQuery
from proxy.analytics.store.shard import ADD, Shard
from tests.unit.analytics.making import NOW_MS, make_record
from tests.unit.analytics.shards import PlatformSQL

OLDER = {"at": NOW_MS, "id": "r1", "endpoint": "/v1/generate", "status": 200, "ms": 1}
NEWER = OLDER | {"id": "r2", "session": "s-1", "of_tomorrow": {"a": [1]}}


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
