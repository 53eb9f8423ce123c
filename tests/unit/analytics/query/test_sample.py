"""The part of a full log that insights look at, and that what is said of it is true."""

from collections import Counter
from random import Random

import pytest
from msgspec import structs

from proxy.analytics.insights import find_insights, render_insights
from proxy.analytics.insights.model import Observations
from proxy.analytics.query import sample
from proxy.analytics.query.reader import StatisticsReader
from proxy.analytics.query.sample import SAMPLED, Sample, choose_share
from proxy.analytics.record.recorder import Recorder
from proxy.analytics.record.request_record import RequestRecord
from proxy.analytics.store.drawing import is_drawn, is_prompt_drawn
from proxy.analytics.store.request_log import KEPT, READ_MOST
from proxy.analytics.store.shard import REQUESTS, shard_name
from proxy.core.settings import read_settings
from tests.unit.analytics.insights.planted import outage
from tests.unit.analytics.making import make_flush
from tests.unit.analytics.traffic import NOW, Traffic
from tests.unit.doubles import ManualClock, ports
from tests.unit.memory_objects import MemoryObjects

PAUSE = 7_000


def make_records(count: int) -> list[RequestRecord]:
    """The newest is of NOW."""
    return [
        RequestRecord(
            at=NOW - PAUSE * (count - 1 - n),
            id=f"{n}",
            endpoint="/v1/chat" if n % 10 else "/admin/keys",
            status=200,
            ms=1,
            user=f"u{n % 3}",
            cache_key=f"prompt {n % 700}",
        )
        for n in range(count)
    ]


async def read(
    records: list[RequestRecord], since: int = 0, user: str | None = None, shards: int = 1
) -> tuple[Sample, MemoryObjects]:
    outside = ports(lambda _: 0.0, clock=ManualClock(NOW / 1000))
    objects = outside.objects
    assert isinstance(objects, MemoryObjects)
    for number in range(0, len(records), 100):
        part = records[number : number + 100]
        shard = objects.statistics.at(shard_name(number // 100 % shards))
        shard.add(make_flush("a", number + 1, *part), part[-1].at)
    settings = read_settings({"ANALYTICS_SHARDS": f"{shards}"}, ()).analytics
    reader = StatisticsReader(settings, outside, Recorder(settings, outside, None))
    requests = sum(record.at >= since for record in records if user in (None, record.user))
    return await reader.read_sample(since, user, requests), objects


async def test_a_short_log_is_looked_at_whole() -> None:
    records = make_records(SAMPLED)
    found, _ = await read(records)
    assert found.share == 1
    wanted = sorted(record.at for record in records if record.endpoint == "/v1/chat")
    assert sorted(record.at for record in found.records) == wanted
    assert sorted(record.at for record in found.repeats) == wanted


async def test_of_a_full_log_requests_are_drawn_from_its_whole_length() -> None:
    records = make_records(KEPT)
    found, objects = await read(records)
    assert found.share == SAMPLED / KEPT
    assert 0.85 * SAMPLED < len(found.records) < SAMPLED
    tenths = Counter((NOW - record.at) * 10 // (PAUSE * KEPT) for record in found.records)
    assert all(0.8 < tenths[n] / (len(found.records) / 10) < 1.2 for n in range(10))
    assert len(objects.statistics.called(REQUESTS)) <= KEPT / READ_MOST + 1


async def test_a_prompt_is_drawn_with_all_its_requests() -> None:
    records = make_records(KEPT)
    found, _ = await read(records)
    all_ = Counter(r.cache_key for r in records if r.endpoint == "/v1/chat")
    drawn = Counter(record.cache_key for record in found.repeats)
    assert 0.7 * SAMPLED < sum(drawn.values()) < 1.3 * SAMPLED
    assert all(all_[prompt] == count for prompt, count in drawn.items())


@pytest.mark.parametrize("shards", [2, 7])
async def test_all_shards_are_drawn_from(shards: int) -> None:
    found, _ = await read(make_records(3_000), shards=shards)
    assert found.share == SAMPLED / 3_000
    assert abs(len(found.records) - 0.9 * SAMPLED) < 0.1 * SAMPLED


async def test_what_came_before_or_is_anothers_is_left_out() -> None:
    since = NOW - 600 * PAUSE
    found, objects = await read(make_records(KEPT), since, user="u1")
    assert found.share == 1
    assert all(record.user == "u1" and record.at >= since for record in found.records)
    assert len(found.records) == pytest.approx(600 / 3 * 0.9, abs=2)
    assert len(objects.statistics.called(REQUESTS)) <= 2  # it looks no further back


async def test_one_prompt_takes_not_all_the_time(monkeypatch: pytest.MonkeyPatch) -> None:
    records = [structs.replace(r, cache_key="prompt 0") for r in make_records(KEPT)]
    monkeypatch.setattr(sample, "SAMPLED", 600)
    share = choose_share(KEPT, 1)
    key = next(f"{n}" for n in range(999) if is_prompt_drawn(f"{n}", share))
    found, _ = await read([structs.replace(record, cache_key=key) for record in records])
    assert len(found.repeats) <= 4 * 600


def draw(traffic: Traffic, share: float) -> Observations:
    window = traffic.window()
    return structs.replace(
        window,
        records=[r for n, r in enumerate(traffic.records) if is_drawn(n, share)],
        repeats=[r for r in traffic.records if is_prompt_drawn(r.cache_key, share)],
        share=share,
    )


@pytest.mark.parametrize("seed", range(20))
def test_a_sample_of_traffic_without_a_pattern_has_none(seed: int) -> None:
    chance = Random(seed)
    traffic = Traffic(seed, requests=6_000, sessions=chance.choice((1, 5)), rhythm=0.8)
    assert find_insights(draw(traffic, 0.25)) == []


def test_what_was_counted_in_a_sample_says_so() -> None:
    traffic = Traffic(
        5,
        requests=10_000,
        faults=outage(0.4, 0.6),
        fallback=False,
        returns=0.3,
        hits=lambda user, pair: 0.05 if user == "ann" else 0.5,
    )
    window = draw(traffic, 0.25)
    found = {insight.id.partition(":")[0]: insight for insight in find_insights(window)}
    assert {"error.burst", "cache.longer_ttl", "cache.user"} <= found.keys()
    for rule in ("error.burst", "cache.longer_ttl"):
        assert found[rule].evidence["sampleShare"] == 0.25
        assert "in a sample of 25 % of the log" in found[rule].title
    assert "sampleShare" not in found["cache.user"].evidence  # that counts the whole window
    whole = {i.id.partition(":")[0]: i for i in find_insights(traffic.window())}
    extra = [report["cache.longer_ttl"].evidence["extraHits"] for report in (found, whole)]
    assert float(extra[0]) / 0.25 == pytest.approx(float(extra[1]), rel=0.25)
    report = render_insights(window, [], "1d")
    assert b'"logged":%d,"share":0.25' % len(window.records) in report
