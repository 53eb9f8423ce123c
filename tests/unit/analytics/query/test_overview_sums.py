"""The figures of an overview, of several shards together."""

import asyncio

import pytest

from proxy.analytics.query import overview
from proxy.analytics.query.reader import StatisticsReader
from proxy.analytics.record.recorder import Recorder
from proxy.core.settings import AnalyticsSettings
from tests.unit.analytics.making import NOW, NOW_MS, make_flush, make_record
from tests.unit.doubles import ManualClock, ports
from tests.unit.memory_objects import MemoryObjects


def test_the_top_of_all_may_be_at_the_top_of_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(overview, "TOP", 1)
    outside = ports(lambda _: 0.0, clock=ManualClock(NOW))
    settings = AnalyticsSettings(enabled=True, shards=2)
    assert isinstance(outside.objects, MemoryObjects)
    for shard, loudest in enumerate(("ann", "bob")):
        rows = [make_record(user=user) for user in (loudest, loudest, loudest, "cid", "cid")]
        outside.objects.statistics.at(f"shard-{shard}").add(make_flush("a", 1, *rows), NOW_MS)
    reader = StatisticsReader(settings, outside, Recorder(settings, outside))
    query = overview.read_overview_query({}, NOW, None)
    body, unread = overview.build_figures(query, asyncio.run(reader.read_together(query.all_sums)))
    assert unread == {}
    [group] = body["byUser"]
    assert (group["key"], group["requests"]) == ({"user": "cid"}, 4)
    assert body["total"]["requests"] == 10
