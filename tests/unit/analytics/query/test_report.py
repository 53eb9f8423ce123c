"""The body of GET /analytics."""

import json
import math
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.analytics.query.report import (
    merge_sums,
    read_report_query,
    render_report,
    show_totals,
)
from proxy.analytics.record.request_record import RequestRecord
from proxy.analytics.store.messages import MOST_GROUPS, Sums, SumsGroup, SumsQuery
from proxy.analytics.store.shard import Shard
from proxy.analytics.store.totals import Totals
from proxy.core.chat import Attempt
from proxy.core.errors import InvalidRequest
from tests.unit.analytics.making import NOW, NOW_MS, make_flush, make_record
from tests.unit.analytics.shards import PlatformSQL


def body_of(params: dict[str, str], *shards: list[RequestRecord]) -> dict[str, Any]:
    query = read_report_query(params, NOW)
    answers = []
    for number, records in enumerate(shards):
        shard = Shard(PlatformSQL())
        shard.add(make_flush(f"i{number}", 1, *records), NOW_MS)
        answers.append(shard.read_sums(query.sums))
    body: dict[str, Any] = json.loads(render_report(query, merge_sums(query.sums, answers)))
    return body


RECORD = make_record(
    provider="gemini",
    model="large",
    user="ann",
    attempts=(
        Attempt(provider="openai", model="small", outcome="timeout", ms=10),
        Attempt(provider="gemini", model="large", outcome="ok", ms=90),
    ),
    cache_status="miss",
    ms=400,
    first_ms=200,
    input=10,
    output=20,
    cached=3,
    reasoning=4,
    cost=1_500_000_000,
    saved=500_000_000,
    bytes_in=100,
    bytes_out=200,
)


FULL_TOTALS = {
    "requests": 1,
    "errors": 0,
    "errorRate": 0.0,
    "limited": 0,
    "clientGone": 0,
    "cacheHits": 0,
    "cache": {"memory": 0, "kv": 0, "r2": 0, "flight": 0, "stale": 0, "miss": 1, "bypass": 0},
    "fallbacks": 1,
    "attempts": 2,
    "failedAttempts": 1,
    "failureRate": 0.5,
    "inputTokens": 10,
    "outputTokens": 20,
    "cachedTokens": 3,
    "reasoningTokens": 4,
    "cost": 1.5,
    "costSaved": 0.5,
    "unpriced": 0,
    "bytesIn": 100,
    "bytesOut": 200,
}


def test_all_figures_of_one_request() -> None:
    body = body_of({"group_by": "provider,status"}, [RECORD])
    group, tried = body.pop("groups")
    total = body.pop("total")
    assert tried.pop("key") == {"provider": "openai", "status": 200}
    assert (tried["requests"], tried["attempts"], tried["failedAttempts"]) == (0, 1, 1)
    assert (group["attempts"], group["failedAttempts"]) == (1, 0)
    assert (tried["failureRate"], group["failureRate"]) == (1, 0)
    group |= {"attempts": 2, "failedAttempts": 1, "failureRate": 0.5}
    assert body == {
        "window": "1h",
        "from": "2025-11-25T20:01:00Z",
        "to": "2025-11-25T21:02:00Z",
        "step": None,
        "resolution": 60,
    }
    assert group.pop("key") == {"provider": "gemini", "status": 200}
    assert group == total
    latency, first = total.pop("latencyMs"), total.pop("firstTokenMs")
    assert latency.pop("mean") == 400
    assert list(latency) == list(first) == ["p50", "p95", "p99"]
    assert all(ms == pytest.approx(400, rel=0.05) for ms in latency.values())
    assert all(ms == pytest.approx(200, rel=0.05) for ms in first.values())
    assert total == FULL_TOTALS


def test_shards_are_one_and_the_busiest_group_is_first() -> None:
    ann, bob = make_record(user="ann"), make_record(user="bob")
    body = body_of({"group_by": "user"}, [ann, bob], [], [bob, bob, make_record(user="cid")])
    found = [(group["key"]["user"], group["requests"]) for group in body["groups"]]
    assert found == [("bob", 3), ("ann", 1), ("cid", 1)]
    assert body["total"]["requests"] == 5


def test_without_traffic_there_is_no_group_but_a_total() -> None:
    body = body_of({}, [], [])
    assert body["groups"] == []
    assert body["total"]["requests"] == 0
    assert body["total"]["latencyMs"] == {"p50": None, "p95": None, "p99": None, "mean": None}
    assert body["total"]["firstTokenMs"] == {"p50": None, "p95": None, "p99": None}


def test_without_dimensions_there_is_one_group() -> None:
    body = body_of({}, [make_record(), make_record(endpoint="/admin/keys")], [make_record()])
    (group,) = body["groups"]
    assert group.pop("key") == {}
    assert group == body["total"]
    assert group["requests"] == 2


def test_what_is_not_known_is_null_in_a_key() -> None:
    body = body_of({"group_by": "user,model"}, [make_record()])
    assert body["groups"][0]["key"] == {"user": None, "model": None}


def test_a_series_has_every_step() -> None:
    at = [NOW_MS - minutes * 60_000 for minutes in (1, 1, 7)]
    many = [
        make_record(at=at[0], user="ann"),
        make_record(at=at[1], user="bob"),
        make_record(at=at[2], user="bob"),
    ]
    body = body_of({"window": "10m", "step": "1m", "group_by": "user"}, many[:2], many[2:])
    bob, ann = (group["series"] for group in body["groups"])
    whole = body["total"]["series"]
    moments = [f"2025-11-25T20:{minute}:00Z" for minute in range(51, 60)]
    moments += ["2025-11-25T21:00:00Z", "2025-11-25T21:01:00Z"]
    for series in (bob, ann, whole):
        assert [step["at"] for step in series] == moments
    assert [step["requests"] for step in bob] == [0, 0, 0, 1, 0, 0, 0, 0, 0, 1, 0]
    assert [step["requests"] for step in ann] == [0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0]
    assert [step["requests"] for step in whole] == [0, 0, 0, 1, 0, 0, 0, 0, 0, 2, 0]
    names = set(body["total"]) - {"series"} | {"at"}
    assert all(set(step) == names for series in (bob, ann, whole) for step in series)


@given(st.lists(st.integers(0, 600_000), min_size=1, max_size=40))
def test_quantiles_are_within_5_percent(durations: list[int]) -> None:
    sums = Totals()
    for ms in durations:
        sums.count([make_record(ms=ms)])
    shown: Any = show_totals(sums)["latencyMs"]
    for name, q in (("p50", 0.5), ("p95", 0.95), ("p99", 0.99)):
        exact = sorted(durations)[max(0, math.ceil(q * len(durations)) - 1)]
        assert abs(shown[name] - exact) <= 0.05 * exact + 1e-9


def groups(count: int, at: int | None = None) -> list[SumsGroup]:
    return [
        SumsGroup(key={"model": f"m{n}"}, at=at, totals=Totals(requests=1)) for n in range(count)
    ]


def test_too_many_groups_are_refused() -> None:
    shard = Shard(PlatformSQL())
    for number in range(1, 8):
        many = [make_record(provider=f"p{number}-{n}") for n in range(MOST_GROUPS // 6)]
        shard.add(make_flush("a", number, *many), NOW_MS)
    query = SumsQuery(resolution="ever", group_by=("provider",))
    sums = shard.read_sums(query)
    assert len(msgspec.json.encode(sums)) < 100
    with pytest.raises(InvalidRequest) as refused:
        merge_sums(query, [sums])
    assert refused.value.param == "group_by"


@pytest.mark.parametrize(
    ("params", "count", "name"),
    [
        ({}, MOST_GROUPS, None),
        ({}, MOST_GROUPS + 1, "group_by"),
        ({"step": "1m"}, MOST_GROUPS // 60, "step"),
    ],
)
def test_too_long_an_answer_is_refused(
    params: dict[str, str], count: int, name: str | None
) -> None:
    query = read_report_query({"group_by": "model"} | params, NOW + 1)
    sums = Sums(groups=groups(count, query.sums.begin if params else None))
    if name is None:
        assert len(json.loads(render_report(query, sums))["groups"]) == count
        return
    with pytest.raises(InvalidRequest) as refused:
        render_report(query, sums)
    assert refused.value.param == name
