"""Figures, the request log, insights and metrics, through the app on CPython."""

import asyncio
import json

import pytest
from prometheus_client.parser import text_string_to_metric_families

from proxy.core.errors import Fault
from proxy.host.maintenance import maintain
from tests.unit.api.deployment import ADMIN, CALLER, Deployment
from tests.unit.callers import JSON, read_stream, request, send
from tests.unit.doubles import FakeReply, in_no_time
from tests.unit.memory_objects import MemoryObjects
from tests.unit.routing.making import EVENTS, HELLO, error, whole


@in_no_time
async def test_figures_of_this_very_moment_from_all_shards() -> None:
    deployment = Deployment(ANALYTICS_SHARDS="3")
    await deployment.chat()
    await deployment.chat()
    await deployment.chat(key="wrong")
    shown = await deployment.read("/analytics?group_by=status")
    assert [(g["key"]["status"], g["requests"]) for g in shown["groups"]] == [(200, 2), (401, 1)]
    assert shown["total"]["cacheHits"] == 1
    assert shown["total"]["costSaved"] == shown["total"]["cost"] > 0
    await asyncio.sleep(1)


@pytest.mark.parametrize(
    ("broken", "failed"),
    [
        (Fault("network", "The connection broke."), 1),
        (Fault("timeout", "Out of time.", source="proxy", blame="caller"), 0),
    ],
)
@in_no_time
async def test_a_stream_that_its_provider_breaks_off_is_its_failure(
    broken: Fault, failed: int
) -> None:
    deployment = Deployment(FakeReply(HELLO, broken, headers=EVENTS))
    await read_stream(await deployment.chat(stream=True))
    [group] = (await deployment.read("/analytics?group_by=provider"))["groups"]
    assert group["key"] == {"provider": "openai"}
    assert (group["errors"], group["attempts"], group["failedAttempts"]) == (1, 1, failed)
    await asyncio.sleep(1)


@in_no_time
async def test_what_failed_over_counts_at_the_provider_that_failed() -> None:
    """Whose requests are another's answers: it stands first, and not with 0 % of nothing."""
    deployment = Deployment(
        lambda out: error(429) if "groq" in out.url else whole("Hi!"),
        FALLBACK_CHAIN="groq,openai",
        GROQ_API_KEY="key-of-groq",
    )
    for number in range(3):
        await deployment.chat(f"{number}", model="fast")
    for path in ("/analytics?group_by=provider", "/analytics/overview"):
        shown = await deployment.read(path)
        groq, openai = shown.get("groups") or shown["byProvider"]
        assert (openai["requests"], openai["errorRate"], openai["failureRate"]) == (3, 0, 0)
        assert (groq["requests"], groq["attempts"], groq["failedAttempts"]) == (0, 3, 3)
        assert (groq["errorRate"], groq["failureRate"]) == (None, 1)
        assert groq["key"] == {"provider": "groq"}
    await asyncio.sleep(10)


@pytest.mark.parametrize("window", ["1h", "1d", "7d", "90d"])
@pytest.mark.parametrize("seconds", [0.0, 0.5, 59.9, 3599.9])
def test_figures_have_what_came_last_however_the_minute_stands(seconds: float, window: str) -> None:
    @in_no_time
    async def play() -> None:
        deployment = Deployment()
        now = deployment.ports.clock.now()
        await asyncio.sleep((seconds - 0.005 - now) % 86_400)
        await deployment.chat()
        for path in ("/analytics", "/analytics/overview"):
            total = (await deployment.read(f"{path}?window={window}"))["total"]
            assert total["requests"] == 1, path
        insights = await deployment.read(f"/analytics/insights?window={window}")
        assert insights["sample"]["requests"] == 1
        await asyncio.sleep(1)

    play()


@in_no_time
async def test_a_key_sees_what_its_user_did() -> None:
    deployment = Deployment()
    await deployment.chat()
    await deployment.chat(key=ADMIN)
    assert (await deployment.read("/analytics"))["total"]["requests"] == 2
    assert (await deployment.read("/analytics", CALLER))["total"]["requests"] == 1
    mine = (await deployment.read("/analytics/requests", CALLER))["requests"]
    assert len({row["user"] for row in mine}) == 1
    assert (await deployment.read("/analytics/insights", CALLER))["sample"]["requests"] == 1
    assert (await deployment.get("/metrics", CALLER)).status == 403
    await asyncio.sleep(1)


@in_no_time
async def test_what_a_conversation_has_cost() -> None:
    deployment = Deployment(ANALYTICS_SHARDS="2")
    for number, session in enumerate(("a", "b", "a", "a")):
        await deployment.chat(f"Turn {number}", sessionId=session)
    await deployment.chat("Turn 0", sessionId="b")  # which the cache knows
    await deployment.chat("Alone")
    await deployment.chat(key=ADMIN, sessionId="a")
    shown = await deployment.read("/analytics?group_by=session,user&step=1m")
    figures = {tuple(g["key"].values()): g for g in shown["groups"]}
    mine = next(user for name, user in figures if name is None)
    assert {name: g["requests"] for (name, user), g in figures.items() if user == mine} == {
        "a": 3,
        "b": 2,
        None: 1,
    }
    alone = figures[None, mine]
    assert figures["a", mine]["cost"] == pytest.approx(3 * alone["cost"])
    assert figures["a", mine]["attempts"] == 3
    assert figures["b", mine]["costSaved"] == figures["b", mine]["cost"] == alone["cost"] > 0
    assert sum(step["requests"] for step in figures["a", mine]["series"]) == 3
    named = await deployment.read("/analytics?session=a", CALLER)
    assert (named["total"]["requests"], named["groups"][0]["key"]) == (3, {})
    assert (await deployment.read("/analytics?session=a"))["total"]["requests"] == 4
    assert (await deployment.read("/analytics?session=c"))["total"]["requests"] == 0
    whole, summed = [
        (await deployment.read(f"/analytics?group_by={names}"))["total"]
        for names in ("provider", "provider,session")
    ]
    assert summed == whole
    await asyncio.sleep(1)


@in_no_time
async def test_more_requests_than_are_looked_at_are_refused(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("proxy.analytics.query.log_sums.MOST_SUMMED", 2)
    deployment = Deployment()
    for number, session in enumerate("aab"):
        await deployment.chat(f"Turn {number}", sessionId=session)
    refused = await deployment.get("/analytics?group_by=session")
    assert refused.status == 400
    assert json.loads(refused.body)["error"]["param"] == "window"
    assert (await deployment.read("/analytics?session=a"))["total"]["requests"] == 2
    await asyncio.sleep(1)


@in_no_time
async def test_metrics() -> None:
    deployment = Deployment()
    await deployment.chat()
    response = await deployment.get("/metrics")
    samples = {
        (sample.name, sample.labels.get("endpoint"), sample.labels.get("status")): sample.value
        for family in text_string_to_metric_families(response.body.decode())
        for sample in family.samples
    }
    assert samples["proxy_requests_total", "/v1/generate", "200"] == 1
    assert samples["proxy_cache_entries", None, None] == 1
    await asyncio.sleep(1)


@in_no_time
async def test_only_requests_for_models_are_traffic() -> None:
    deployment = Deployment()
    for path in ("/health", "/v1/models", "/admin/keys", "/nothing"):
        await deployment.get(path)
    preflight = request("OPTIONS", "/v1/generate")
    assert (await send(deployment.app, preflight)).status == 204
    assert (await deployment.read("/analytics"))["total"]["requests"] == 1
    by_path = await deployment.read("/analytics?group_by=endpoint")
    counted = {group["key"]["endpoint"]: group["requests"] for group in by_path["groups"]}
    assert counted == {"/v1/models": 1, "/admin/keys": 1, "/analytics": 1}
    await asyncio.sleep(1)


@pytest.mark.parametrize(
    "path", ["/analytics", "/analytics/requests", "/analytics/insights", "/metrics"]
)
def test_shards_out_of_reach_are_an_error_that_says_so(path: str) -> None:
    @in_no_time
    async def play() -> None:
        deployment = Deployment()
        deployment.statistics.down = True
        assert (await deployment.chat()).status == 200
        response = await deployment.get(path)
        assert response.status == 500
        assert b"out of reach" in response.body
        await asyncio.sleep(10)

    play()


@in_no_time
async def test_insights_do_without_the_breakers_history() -> None:
    deployment = Deployment()
    assert isinstance(deployment.ports.objects, MemoryObjects)
    deployment.ports.objects.board.down = True
    assert (await deployment.read("/analytics/insights"))["insights"] == []
    await asyncio.sleep(1)


@in_no_time
async def test_where_nothing_is_counted_it_says_so() -> None:
    deployment = Deployment(ANALYTICS="off")
    await deployment.chat()
    response = await deployment.get("/analytics")
    assert response.status == 404
    assert b"ANALYTICS is off" in response.body
    await maintain(deployment.app.services)


@in_no_time
async def test_the_cron_trigger_prunes_every_shard() -> None:
    deployment = Deployment(ANALYTICS_SHARDS="2")
    await maintain(deployment.app.services)
    assert deployment.statistics.calls == [("prune", "shard-0"), ("prune", "shard-1")]
    deployment.statistics.down = True
    with pytest.raises(Exception, match="out of reach"):
        await maintain(deployment.app.services)


@in_no_time
async def test_where_there_is_too_much_metrics_are_coarser_and_insights_say_so(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    deployment = Deployment()
    await deployment.chat("one")
    await deployment.chat("two", key="wrong")
    monkeypatch.setattr("proxy.analytics.store.rollup.MOST_GROUPS", 1)
    response = await deployment.get("/analytics/insights")
    assert response.status == 400
    assert json.loads(response.body)["error"]["param"] == "window"
    monkeypatch.setattr("proxy.analytics.store.rollup.MOST_GROUPS", 4)
    for model in ("a", "b", "c", "d", "e"):
        body = {"prompt": "Hi", "model": f"openai/{model}"}
        headers = JSON | {"authorization": f"Bearer {CALLER}"}
        await send(deployment.app, request("POST", "/v1/generate", body, **headers))
    text = (await deployment.get("/metrics")).body.decode()
    assert 'model="(other)"' in text
    assert 'model="a"' not in text
    await asyncio.sleep(1)


@in_no_time
async def test_shards_that_hang_cost_one_request_its_time() -> None:
    deployment = Deployment()
    await deployment.chat()
    deployment.statistics.silent = True
    loop = asyncio.get_running_loop()
    began = loop.time()
    for _ in range(10):
        response = await deployment.get("/analytics")
        assert json.loads(response.body)["error"]["code"] in (500, 503)
    assert loop.time() - began == pytest.approx(10, abs=0.5)
