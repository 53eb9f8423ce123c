"""Metrics in a collector, and the figures that a dashboard reads at once."""

import time
from typing import Any

import httpx

from tests.e2e.analytics.making import Issue
from tests.e2e.collector import Collector
from tests.grafana import find_missing

OPERATION = "gen_ai.client.operation.duration"


def wait_for(find: Any) -> Any:
    """What is found within ten seconds."""
    deadline = time.monotonic() + 10
    while not (found := find()) and time.monotonic() < deadline:
        time.sleep(0.1)
    return found


def test_each_attempt_is_measured_once(issue: Issue, script: Any, collector: Collector) -> None:
    """Under the conventions' names, as a delta that no other batch has again."""
    user = issue()
    key = {"gen_ai__provider__name": "groq", "error__type": "unavailable"}
    before = sum(int(point["count"]) for point in collector.points(OPERATION, **key))
    body = {"prompt": script("m", groq={"status": 500}), "provider": "groq", "fallback": ["openai"]}
    told = user.post("/v1/generate", json=body).json()
    failed = [a for a in told["metadata"]["attempts"] if a["outcome"] == "unavailable"]

    def count() -> int:
        return sum(int(point["count"]) for point in collector.points(OPERATION, **key)) - before

    assert failed
    assert wait_for(lambda: count() == len(failed))
    model = told["model"]
    answered = {"gen_ai__provider__name": "openai", "gen_ai__response__model": model}
    [*_, tokens] = wait_for(
        lambda: collector.points(
            "gen_ai.client.token.usage", gen_ai__token__type="input", **answered
        )
    )
    assert len(tokens["bucketCounts"]) == len(tokens["explicitBounds"]) + 1
    assert int(tokens["startTimeUnixNano"]) <= int(tokens["timeUnixNano"])
    for name in ("gen_ai.server.request.duration", "proxy.cost.usd", "proxy.cache.requests"):
        assert wait_for(lambda name=name: collector.points(name)), name
    everything = str(collector.metrics)
    assert user.headers["authorization"].removeprefix("Bearer ") not in everything
    assert "test_each_attempt" not in everything  # the user


def test_the_overview_and_what_stands_beside_it(
    issue: Issue, admin: httpx.Client, script: Any
) -> None:
    user = issue()
    for number in range(2):
        body = {"prompt": script(f"{number}"), "session_id": "s-e2e", "metadata": {"stage": "=1"}}
        user.post(
            "/v1/chat/completions",
            json=body
            | {
                "model": "groq/llama-3.1-8b-instant",
                "messages": [{"role": "user", "content": body.pop("prompt")}],
            },
        ).raise_for_status()
    shown = user.get("/analytics/overview").json()
    assert (shown["total"]["requests"], shown["limits"], shown["unread"]) == (2, None, {})
    assert [group["key"]["provider"] for group in shown["byProvider"]] == ["groq"]
    assert shown["byModel"][0]["latencyMs"]["p50"] is not None
    mine = shown["byUser"][0]["key"]["user"]
    whole = admin.get("/analytics/overview", params={"user": mine}).json()
    assert whole["unread"] == {}
    assert whole["total"] == shown["total"]
    assert "groq" in whole["limits"]
    [session] = user.get("/analytics/sessions").json()["sessions"]
    assert (session["session"], session["requests"]) == ("s-e2e", 2)
    found = {"label.stage": "=1", "session": "s-e2e", "status": "2xx"}
    rows = user.get("/analytics/requests", params=found).json()["requests"]
    assert len(rows) == 2
    exported = user.get("/analytics/requests", params=found | {"format": "csv"})
    assert exported.headers["content-type"].startswith("text/csv")
    assert len(exported.text.splitlines()) == 3
    detail = user.get(f"/analytics/requests/{rows[0]['requestId']}").json()
    assert detail["reason"]["words"] == ["groq/llama-3.1-8b-instant was asked for by name."]


def test_the_dashboard_for_grafana_asks_for_what_is_there(
    issue: Issue, admin: httpx.Client, script: Any
) -> None:
    user = issue()
    body = {"prompt": script("g", groq={"status": 500}), "provider": "groq", "fallback": ["openai"]}
    user.post("/v1/generate", json=body).raise_for_status()
    with user.stream("POST", "/v1/generate", json={"prompt": script("s"), "stream": True}) as told:
        told.read()
    assert wait_for(lambda: not find_missing(admin.get("/metrics").text)), find_missing(
        admin.get("/metrics").text
    )
