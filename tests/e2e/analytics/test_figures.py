"""Figures: totals, series, metrics, insights, and whose a caller sees."""

import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx
import pytest
from prometheus_client.parser import text_string_to_metric_families

from tests.e2e.analytics.making import Issue, figures, user_of
from tests.e2e.deployments import Deployments


def send_one_of_six_kinds(user: httpx.Client, script: Any, number: int) -> None:
    """An answer, a stream, a request refused, one that falls over, one that fails, an answer."""
    kind = number % 6
    body: dict[str, Any] = {"prompt": script(f"{number}"), "provider": "openai"}
    if kind == 1:
        body["stream"] = True
    elif kind == 2:
        body["promt"] = "unknown"
    elif kind == 3:
        body |= {"prompt": script(f"{number}", groq={"status": 500}), "provider": "groq"}
        body["fallback"] = ["openai"]
    elif kind == 4:
        # Of a provider that no other request here falls back to: its breaker may open.
        body |= {"prompt": script(f"{number}", deepseek={"status": 500})}
        body |= {"provider": "deepseek", "fallback": False}
    user.post("/v1/generate", json=body)


def test_totals_are_exactly_what_was_sent(admin: httpx.Client, issue: Issue, script: Any) -> None:
    """Twenty at a time: answers, hits, streams, errors of every sort, and a batch."""
    user = issue()

    with ThreadPoolExecutor(20) as pool:
        list(pool.map(lambda number: send_one_of_six_kinds(user, script, number), range(120)))
    again = {"prompt": script("0"), "provider": "openai"}
    assert user.post("/v1/generate", json=again).headers["cf-aig-cache-status"] == "HIT"
    two = [{"prompt": script("a")}, {"prompt": script("b"), "model": 1}]
    assert user.post("/v1/batch", json={"requests": two}).status_code == 200

    told = figures(user, group_by="endpoint,status")
    by = {(g["key"]["endpoint"], g["key"]["status"]): g["requests"] for g in told["groups"]}
    assert by == {
        ("/v1/generate", 200): 81,
        ("/v1/generate", 400): 20,
        ("/v1/generate", 502): 20,
        ("/v1/batch", 200): 1,
        ("/v1/batch/item", 200): 1,
        ("/v1/batch/item", 400): 1,
    }
    total = figures(user)["total"]
    assert (total["requests"], total["errors"], total["cacheHits"]) == (124, 41, 1)
    assert total["fallbacks"] == 20
    assert total["cost"] > total["costSaved"] > 0
    assert total["latencyMs"]["p99"] >= total["latencyMs"]["p50"] > 0
    assert total["firstTokenMs"]["p50"] > 0
    assert figures(admin, user=user_of(user))["total"]["requests"] == 124


def test_a_providers_failures_are_charged_to_it(
    admin: httpx.Client, issue: Issue, script: Any
) -> None:
    """Six requests that it alone could answer, and one that another answered in its place."""
    user = issue()
    failing = {"provider": "huggingface", "model": "huggingface/fast"}
    for number in range(6):
        body = failing | {"prompt": script(f"{number}", huggingface={"status": 500})}
        assert user.post("/v1/generate", json=body | {"fallback": False}).status_code == 502
    admin.delete("/admin/breakers")
    body = failing | {"prompt": script("7", huggingface={"status": 500}), "fallback": ["openai"]}
    assert user.post("/v1/generate", json=body).json()["provider"] == "openai"

    told = figures(user, group_by="provider")
    by = {group["key"]["provider"]: group for group in told["groups"]}
    tried = by["huggingface"]
    assert (tried["requests"], tried["errors"]) == (6, 6)
    assert (tried["attempts"], tried["failedAttempts"]) == (7, 7)
    answered = by["openai"]
    assert (answered["requests"], answered["errors"]) == (1, 0)
    assert (answered["attempts"], answered["failedAttempts"]) == (1, 0)
    assert set(by) == {"huggingface", "openai"}
    assert (told["total"]["attempts"], told["total"]["failedAttempts"]) == (8, 7)

    page = admin.get("/metrics").text
    samples = [s for f in text_string_to_metric_families(page) for s in f.samples]
    failed = {
        sample.name: sum(
            s.value
            for s in samples
            if s.name == sample.name and s.labels.get("provider") == "huggingface"
        )
        for sample in samples
        if sample.name in ("proxy_failed_attempts_total", "proxy_errors_total")
    }
    assert failed == {"proxy_failed_attempts_total": 7, "proxy_errors_total": 6}


def test_who_asks_sees_the_last_second_too(issue: Issue, script: Any) -> None:
    user = issue()
    for count in range(1, 4):
        user.post("/v1/generate", json={"prompt": script(f"{count}")})
        assert figures(user)["total"]["requests"] == count


def test_others_are_told_within_a_second(
    admin: httpx.Client, issue: Issue, script: Any, deployments: Deployments
) -> None:
    """Nobody asks in the meantime, and the isolate goes without a word."""
    user = issue()
    user.post("/v1/generate", json={"prompt": script()})
    name = user_of(user)
    user.post("/v1/generate", json={"prompt": script("more")})
    time.sleep(1.5)
    deployments.get("counted").kill()
    admin.base_url = httpx.URL(deployments.restart("counted").url)
    assert figures(admin, user=name)["total"]["requests"] == 2


def test_series_have_every_step(issue: Issue, script: Any) -> None:
    user = issue()
    user.post("/v1/generate", json={"prompt": script(), "provider": "openai"})
    told = figures(user, window="10m", step="1m", group_by="provider")
    [group] = told["groups"]
    assert group["key"] == {"provider": "openai"}
    assert 10 <= len(group["series"]) <= 11
    assert sum(step["requests"] for step in group["series"]) == 1


def test_a_key_sees_its_own_only(admin: httpx.Client, issue: Issue, script: Any) -> None:
    ann, bob = issue("ann of one"), issue("bob of another")
    ann.post("/v1/generate", json={"prompt": script("of ann")})
    assert figures(bob)["total"]["requests"] == 0
    everyone = figures(bob, group_by="user,endpoint")["groups"]
    assert {group["key"]["user"] for group in everyone} <= {"bob of another"}
    assert bob.get("/analytics", params={"user": "ann of one"}).status_code == 403
    rows = bob.get("/analytics/requests").json()["requests"]
    assert {row["user"] for row in rows} <= {"bob of another"}
    assert bob.get("/analytics/requests", params={"user": "ann of one"}).status_code == 403
    assert bob.get("/metrics").status_code == 403
    assert bob.get("/analytics/insights").json()["sample"]["requests"] == 0
    assert figures(admin, user="ann of one")["total"]["requests"] == 1


Metrics = dict[tuple[str, frozenset[tuple[str, str]]], float]


def read_metrics(admin: httpx.Client) -> Metrics:
    answer = admin.get("/metrics")
    assert answer.headers["content-type"].startswith("text/plain; version=0.0.4")
    return {
        (sample.name, frozenset(sample.labels.items())): sample.value
        for family in text_string_to_metric_families(answer.text)
        for sample in family.samples
    }


def requests_of(metrics: Metrics, endpoint: str, status: str) -> float:
    return sum(
        value
        for (name, labels), value in metrics.items()
        if name == "proxy_requests_total" and {("endpoint", endpoint), ("status", status)} <= labels
    )


def test_metrics_are_prometheus_and_only_grow(admin: httpx.Client, script: Any) -> None:
    before = read_metrics(admin)
    admin.post("/v1/generate", json={"prompt": script(), "provider": "openai"})
    httpx.post(f"{admin.base_url}/v1/generate", json={"prompt": "no key"})
    admin.get("/health")
    after = read_metrics(admin)
    for endpoint, status, more in (
        ("/v1/generate", "200", 1),
        ("/v1/generate", "401", 1),
        ("/metrics", "200", 1),
        ("/health", "200", 0),
    ):
        grown = requests_of(after, endpoint, status) - requests_of(before, endpoint, status)
        assert grown == more, endpoint
    shrunk = [
        name
        for (name, labels), value in before.items()
        if name.endswith(("_total", "_bucket", "_count", "_sum")) and after[name, labels] < value
    ]
    assert shrunk == []
    gauges = {name for name, _ in after}
    assert {"proxy_isolate_heap_bytes", "proxy_cache_entries", "proxy_breaker_state"} <= gauges
    assert after["proxy_isolate_heap_bytes", frozenset()] > 1_000_000


def test_insights_find_who_fails(admin: httpx.Client, issue: Issue, script: Any) -> None:
    user = issue()
    assert user.get("/analytics/insights").json()["insights"] == []

    def ask(number: int) -> None:
        failing = {"deepseek": {"status": 500}} if number % 2 else {}
        body = {"prompt": script(f"{number}", **failing), "provider": "deepseek"}
        user.post("/v1/generate", json=body | {"fallback": False})
        admin.delete("/admin/breakers")

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(ask, range(120)))
    report = user.get("/analytics/insights", params={"window": "1h"}).json()
    assert report["sample"] == {"requests": 120, "logged": 120, "share": 1.0}
    [found] = [one for one in report["insights"] if one["kind"] == "error"]
    assert "deepseek" in found["title"]
    assert found["evidence"]
    assert found["confidence"] >= 0.95


def test_where_nothing_can_be_counted_answers_are_given(
    tierless: httpx.Client, script: Any
) -> None:
    assert tierless.post("/v1/generate", json={"prompt": script()}).status_code == 200
    told = tierless.get("/analytics")
    assert told.status_code in (200, 500)
    if told.status_code == 500:
        assert told.json()["error"]["message"] == "The figures are out of reach. Try again."


@pytest.mark.parametrize(
    "path",
    [
        "/analytics?window=soon",
        "/analytics?step=7s",
        "/analytics?group_by=color",
        "/analytics/requests?cursor=abc",
        "/analytics/requests?limit=0",
        "/analytics/insights?user=ann",
    ],
)
def test_what_makes_no_sense_is_named(admin: httpx.Client, path: str) -> None:
    answer = admin.get(path)
    assert answer.status_code == 400
    name = path.partition("?")[2].partition("=")[0]
    assert answer.json()["error"]["param"] == name
