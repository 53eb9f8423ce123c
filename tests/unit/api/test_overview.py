"""The figures of a dashboard's first screen, in one call."""

import asyncio
from typing import Any

import pytest

from proxy.analytics.query import overview
from proxy.analytics.store.shard import REQUESTS
from proxy.api import overview as handler
from proxy.limits.pool_messages import SHOW_POOL
from tests.unit.api.deployment import CALLER, Deployment
from tests.unit.doubles import in_no_time
from tests.unit.memory_objects import MemoryObjects
from tests.unit.routing.making import error


def objects(deployment: Deployment) -> MemoryObjects:
    assert isinstance(deployment.ports.objects, MemoryObjects)
    return deployment.ports.objects


@in_no_time
async def test_one_call_has_what_many_have() -> None:
    deployment = Deployment()
    await deployment.chat()
    await deployment.chat("Other", model="openai/gpt-4o")
    await deployment.chat(key="wrong")
    shown = await deployment.read("/analytics/overview")
    assert (shown["window"], shown["step"], len(shown["series"])) == ("1h", 60, 61)
    assert shown["unread"] == {}
    for part, names in [("byProvider", "provider"), ("byModel", "provider,model")]:
        asked = f"/analytics?group_by={names}" + ("&step=1m" if part == "byProvider" else "")
        assert shown[part] == (await deployment.read(asked))["groups"]
    for part, name in [("byUser", "user"), ("byStatus", "status")]:
        assert shown[part] == (await deployment.read(f"/analytics?group_by={name}"))["groups"]
    whole = (await deployment.read("/analytics?step=1m"))["total"]
    assert shown["total"] | {"series": shown["series"]} == whole
    health = await deployment.read("/health/providers")
    assert [p["name"] for p in shown["providers"]["providers"]] == [
        p["name"] for p in health["providers"]
    ]
    view = await deployment.read("/admin/limits?provider=openai")
    assert shown["limits"] == {"openai": view}
    await asyncio.sleep(1)


@in_no_time
async def test_it_costs_one_call_of_each_shard_and_of_the_pools_in_use() -> None:
    deployment = Deployment(ANALYTICS_SHARDS="2", GROQ_API_KEY="key-of-groq")
    await deployment.chat()
    await asyncio.sleep(5)
    all_ = objects(deployment)
    called = [all_.statistics.calls, all_.pools.calls, all_.board.calls]
    before = [*map(len, called)]
    await deployment.read("/analytics/overview?provider=groq")
    [shards, pools, board] = [c[n:] for c, n in zip(called, before, strict=True)]
    assert shards == [("figures_together", "shard-0"), ("figures_together", "shard-1")]
    assert pools == [("show", "openai")]
    assert {name for name, _ in board} == {"read_checks", "exchange"}  # which any request may bring
    await asyncio.sleep(1)


@in_no_time
async def test_a_user_sees_its_own_and_no_limits() -> None:
    deployment = Deployment()
    await deployment.chat()
    await deployment.chat(key="the-admin-token")
    shown = await deployment.read("/analytics/overview", CALLER)
    assert (shown["total"]["requests"], shown["limits"], shown["unread"]) == (1, None, {})
    assert objects(deployment).pools.called(SHOW_POOL) == []
    refused = await deployment.get("/analytics/overview?user=another", CALLER)
    assert refused.status == 403
    await asyncio.sleep(1)


@in_no_time
async def test_filters_hold_for_all_figures_by_session_too() -> None:
    deployment = Deployment(ANALYTICS_SHARDS="2")
    for number, session in enumerate("aab"):
        await deployment.chat(f"Turn {number}", sessionId=session)
    shown = await deployment.read("/analytics/overview?session=a&window=1d")
    assert (shown["total"]["requests"], shown["byUser"][0]["requests"]) == (2, 2)
    assert sum(step["requests"] for step in shown["series"]) == 2
    assert shown["byModel"][0]["key"] == {"provider": "openai", "model": "gpt-4o-mini"}
    assert objects(deployment).statistics.called(REQUESTS) == ["shard-0", "shard-1"]
    assert [*shown["limits"]] == ["openai"]
    shown = await deployment.read("/analytics/overview?status=502")
    assert (shown["total"]["requests"], shown["byModel"]) == (0, [])
    await asyncio.sleep(1)


@pytest.mark.parametrize(
    ("broken", "missing"),
    [
        ("statistics", {"total", "series", "byProvider", "byModel", "byUser", "byStatus"}),
        ("pools", {"limits.openai"}),
        ("board", {"providers.lastCheck"}),
    ],
)
@pytest.mark.parametrize("how", ["down", "silent"])
def test_a_part_that_cant_be_read_is_named_and_takes_no_other_with_it(
    broken: str, missing: set[str], how: str
) -> None:
    @in_no_time
    async def play() -> None:
        deployment = Deployment()
        await deployment.chat()
        await asyncio.sleep(5)
        setattr(getattr(objects(deployment), broken), how, True)
        shown = await deployment.read("/analytics/overview")
        assert set(shown["unread"]) == missing
        assert all(shown["unread"].values())
        figures = [shown[part] for part in ("total", "series", "byProvider", "byModel", "byUser")]
        assert all((part is None) == (broken == "statistics") for part in figures)
        assert len(shown["providers"]["providers"]) > 3
        assert [*shown["limits"]] == ([] if broken == "pools" else ["openai"])
        await asyncio.sleep(20)

    play()


async def test_a_step_that_is_empty_is_none() -> None:
    refused = await Deployment().get("/analytics/overview?step=")
    assert (refused.status, b'"param":"step"' in refused.body) == (400, True)


@in_no_time
async def test_where_nothing_is_counted_the_rest_is_shown() -> None:
    deployment = Deployment(ANALYTICS="off")
    shown = await deployment.read("/analytics/overview")
    assert "ANALYTICS is off" in shown["unread"]["total"]
    assert shown["providers"]["providers"]


@in_no_time
async def test_one_part_with_too_many_groups_leaves_the_others(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    deployment = Deployment(ANALYTICS_SHARDS="2")
    await deployment.chat()
    await deployment.chat("Other", model="openai/gpt-4o")
    monkeypatch.setattr("proxy.analytics.store.rollup.MOST_GROUPS", 1)
    shown = await deployment.read("/analytics/overview")
    assert [*shown["unread"]] == ["byModel"]
    assert shown["byModel"] is None
    assert shown["total"]["requests"] == 2
    await asyncio.sleep(1)


@in_no_time
async def test_the_pools_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(handler, "MOST_POOLS", 1)
    deployment = Deployment(error(503), GROQ_API_KEY="key-of-groq")
    await deployment.chat(model="fast", fallback=True)
    shown = await deployment.read("/analytics/overview")
    assert len(shown["limits"]) == 1
    assert list(shown["unread"].values()) == ["There are too many."]
    await asyncio.sleep(10)


@pytest.mark.parametrize("shards", [1, 3])
def test_a_top_is_the_true_one(shards: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(overview, "TOP", 3)

    @in_no_time
    async def play() -> None:
        deployment = Deployment(ANALYTICS_SHARDS=str(shards))
        for number in range(6):
            for again in range(number + 1):
                await deployment.chat(f"{number} {again}", model=f"openai/m-{number}")
        groups: Any = (await deployment.read("/analytics/overview"))["byModel"]
        assert [group["requests"] for group in groups] == [6, 5, 4]
        assert all(group["latencyMs"]["p50"] is not None for group in groups)
        await asyncio.sleep(1)

    play()


@pytest.mark.parametrize(
    ("window", "step"),
    [("1m", 60), ("15m", 60), ("6h", 300), ("1d", 900), ("25h", 3600), ("7d", 7200),
     ("30d", 21_600), ("36d", 86_400), ("90d", 86_400), ("730d", 604_800)],
)  # fmt: skip
def test_a_window_has_as_many_steps_as_a_chart_shows(window: str, step: int) -> None:
    query = overview.read_overview_query({"window": window}, 1_700_000_000, None)
    assert query.main.sums.step == step


@in_no_time
async def test_wrong_parameters_are_refused() -> None:
    deployment = Deployment()
    for wrong in ("group_by=user", "window=1y", "step=7s", "limit=5"):
        response = await deployment.get(f"/analytics/overview?{wrong}")
        assert response.status == 400
        assert wrong.partition("=")[0].encode() in response.body
