"""Models that end, before and after their day: `proxy` is of 2026-11-29, `later` of 2026-12-12."""

from typing import Any

import httpx
import pytest

from tests.e2e.sse import events

CHAT, NATIVE, MESSAGES, RESPONSES = (
    "/v1/chat/completions",
    "/v1/generate",
    "/v1/messages",
    "/v1/responses",
)
SUNSET = {"deprecation": "@1796947200", "sunset": "Fri, 11 Dec 2026 00:00:00 GMT"}
OLD, NEW = "gpt-5-nano", "gpt-6-luna"


def asked(path: str, prompt: str, model: str = OLD, **more: Any) -> dict[str, Any]:
    messages = [{"role": "user", "content": prompt}]
    bodies: dict[str, dict[str, Any]] = {
        CHAT: {"messages": messages},
        NATIVE: {"prompt": prompt},
        MESSAGES: {"messages": messages, "max_tokens": 100},
        RESPONSES: {"input": prompt},
    }
    return {"model": model, **bodies[path], **more}


def ends(answer: httpx.Response) -> dict[str, str]:
    return {name: answer.headers[name] for name in SUNSET if name in answer.headers}


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("path", [CHAT, NATIVE, MESSAGES, RESPONSES])
def test_every_dialect_says_when_a_model_ends(
    proxy: httpx.Client, script: Any, path: str, stream: bool
) -> None:
    body = asked(path, script(), stream=stream)
    for cache in ("MISS", "HIT", "HIT"):
        answer = proxy.post(path, json=body)
        assert answer.status_code == 200, answer.text
        assert answer.headers["cf-aig-cache-status"] == cache
        assert answer.headers["x-proxy-model"] == OLD
        assert ends(answer) == SUNSET


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("path", [CHAT, NATIVE, MESSAGES, RESPONSES])
def test_later_the_name_goes_to_what_replaces_it(
    later: httpx.Client, script: Any, received: Any, path: str, stream: bool
) -> None:
    answer = later.post(path, json=asked(path, script(), stream=stream))
    assert answer.status_code == 200, answer.text
    assert (answer.headers["x-proxy-model"], ends(answer)) == (NEW, {})
    assert [request["body"]["model"] for request in received()] == [NEW]


def test_the_attempts_say_what_is_replaced(later: httpx.Client, script: Any) -> None:
    model = f"openai/{OLD}-2025-08-07"
    answer = later.post(NATIVE, json=asked(NATIVE, script(), model)).json()
    [attempt] = answer["metadata"]["attempts"]
    assert (attempt["model"], attempt["replaces"]) == (NEW, f"{OLD}-2025-08-07")
    streamed = later.post(
        NATIVE, json=asked(NATIVE, script(), model, stream=True, cache={"mode": "off"})
    )
    done = list(events(streamed))[-1][1]
    assert done["metadata"]["attempts"][0]["replaces"] == f"{OLD}-2025-08-07"
    rows = later.get("/analytics/requests", params={"limit": 2}).json()["requests"]
    assert {row["attempts"][0]["replaces"] for row in rows} == {f"{OLD}-2025-08-07"}


def test_what_has_ended_is_listed_no_more(proxy: httpx.Client, later: httpx.Client) -> None:
    before, after = (
        {model["id"] for model in client.get("/v1/models").json()["data"]}
        for client in (proxy, later)
    )
    names = {"gpt-5", "gpt-5-mini", "gpt-5-nano", "o3"}
    gone = {f"openai/{name}" for name in names} | {
        "gemini/gemini-2.5-pro",
        "gemini/gemini-2.5-flash",
    }
    assert gone <= before and not gone & after
    assert later.get(f"/v1/models/{OLD}").json()["id"] == OLD


def test_prices_are_those_of_the_day(proxy: httpx.Client, later: httpx.Client, script: Any) -> None:
    costs = []
    for client in (proxy, later):
        body = asked(NATIVE, script(), "gemini/gemini-4-argon", cache={"mode": "off"})
        costs.append(client.post(NATIVE, json=body).json()["metadata"]["cost"])
    assert costs[1] == pytest.approx(2 * costs[0])


def test_the_providers_health_announces_it(proxy: httpx.Client, later: httpx.Client) -> None:
    told = []
    for client in (proxy, later):
        providers = client.get("/health/providers").json()["providers"]
        told.append({provider["name"]: provider for provider in providers})
    end = {"model": OLD, "shutdown": "2026-12-11", "replacedBy": f"openai/{NEW}"}
    assert end in told[0]["openai"]["endings"] and end not in told[1]["openai"]["endings"]
    changes = {change["model"]: change for change in told[0]["gemini"]["priceChanges"]}
    assert changes["gemini-4-argon"]["from"] == "2026-12-01"
    assert changes["gemini-4-argon"]["after"] == {"input": 4, "output": 20, "cached": 0.2}
