"""One request of the log, with why it went where it did."""

import asyncio
from typing import Any

from proxy.core.ports import Outgoing
from tests.unit.api.deployment import ADMIN, CALLER, Deployment
from tests.unit.callers import JSON, request, send
from tests.unit.doubles import FakeReply, in_no_time
from tests.unit.routing.making import error, whole

KEYS = {"GROQ_API_KEY": "key-of-groq", "ANTHROPIC_API_KEY": "key-of-anthropic"}


def answering(broken: str) -> Any:
    """Providers of which one is down."""

    def answer(outgoing: Outgoing) -> FakeReply:
        return error(503) if broken in outgoing.url else whole("Hi!")

    return answer


async def tell(deployment: Deployment, key: str = ADMIN) -> Any:
    """The detail of the newest request."""
    [row] = (await deployment.read("/analytics/requests?limit=1", key))["requests"]
    shown = await deployment.read(f"/analytics/requests/{row['requestId']}", key)
    assert shown | row == shown
    assert shown["bodyKept"] is False
    return shown["reason"]


@in_no_time
async def test_a_model_that_is_named() -> None:
    deployment = Deployment()
    await deployment.chat()
    assert await tell(deployment) == {
        "words": ["openai/gpt-4o-mini was asked for by name."],
        "strategy": "priority",
        "target": None,
        "candidates": [],
        "failed": [],
    }
    await deployment.chat()
    [words] = (await tell(deployment))["words"]
    assert words == (
        "The answer was in the cache, in the isolate's memory. It was made by openai/gpt-4o-mini."
    )
    await asyncio.sleep(1)


@in_no_time
async def test_a_tier_that_falls_back() -> None:
    deployment = Deployment(answering("groq"), FALLBACK_CHAIN="groq,openai", **KEYS)
    await deployment.chat(model="fast")
    reason = await tell(deployment)
    first, second = reason["words"]
    assert first.startswith("openai/")
    assert first.endswith("is the first of the chain that may be asked, for the tier fast.")
    assert second.startswith("groq/")
    assert "failed (status 503) after" in second
    assert [attempt["provider"] for attempt in reason["failed"]] == ["groq"]
    await asyncio.sleep(10)


@in_no_time
async def test_the_figures_that_decided() -> None:
    deployment = Deployment(None, **KEYS)
    await deployment.chat(model="fast", strategy="cheapest")
    reason = await tell(deployment)
    [words] = reason["words"]
    best = reason["candidates"][0]
    assert words.startswith(
        f"The strategy cheapest put {best['provider']}/{best['model']} with an expected cost of"
    )
    assert reason["strategy"] == "cheapest"
    scores = [candidate["score"] for candidate in reason["candidates"]]
    assert len(scores) > 1
    assert scores == sorted(scores)
    await asyncio.sleep(1)


@in_no_time
async def test_an_alias_by_shares() -> None:
    deployment = Deployment(None, **KEYS)
    body = {
        "name": "canary",
        "targets": [
            {"model": "openai/gpt-4o-mini", "id": "old", "weight": 0},
            {"model": "openai/gpt-4o", "id": "new", "weight": 3},
        ],
    }
    sent = request("POST", "/admin/aliases", body, authorization=f"Bearer {ADMIN}", **JSON)
    assert (await send(deployment.app, sent)).status == 201
    await deployment.chat(model="canary")
    reason = await tell(deployment)
    assert (reason["strategy"], reason["target"]) == ("weighted", "new")
    first, second = reason["words"]
    assert first == "canary is an alias; its target new is openai/gpt-4o."
    assert "with a share of 100%" in second
    assert "It was drawn by the shares." in second
    await asyncio.sleep(1)


@in_no_time
async def test_a_conversation_that_stays_where_it_was() -> None:
    broken = ["groq"]
    deployment = Deployment(
        lambda out: error(503) if broken and broken[0] in out.url else whole("Hi!"),
        FALLBACK_CHAIN="groq,openai",
        **KEYS,
    )
    await deployment.chat("One", model="fast", sessionId="s")
    broken.clear()
    await deployment.chat("Two", model="fast", sessionId="s")
    reason = await tell(deployment)
    assert reason["words"] == [
        "The conversation was at openai before: its prompt is in a cache there."
    ]
    await asyncio.sleep(10)


@in_no_time
async def test_no_provider_was_asked() -> None:
    deployment = Deployment()
    await deployment.chat(key="wrong")
    assert (await tell(deployment))["words"] == ["No provider was asked: authentication_failed."]
    await asyncio.sleep(1)


@in_no_time
async def test_a_user_sees_its_own_only() -> None:
    deployment = Deployment(ANALYTICS_SHARDS="2")
    await deployment.chat(key=ADMIN)
    [row] = (await deployment.read("/analytics/requests"))["requests"]
    path = f"/analytics/requests/{row['requestId']}"
    assert (await deployment.get(path)).status == 200
    assert (await deployment.get(path, CALLER)).status == 404
    assert (await deployment.get("/analytics/requests/req_%22%0a")).status == 404
    assert (await deployment.get(f"{path}?x=1")).status == 400
    await deployment.chat(sessionId="mine")
    assert len((await deployment.read("/analytics/sessions", CALLER))["sessions"]) == 1
    assert (await deployment.read("/analytics/tags", CALLER)) == {"tags": [], "hasMore": False}
    await asyncio.sleep(1)
