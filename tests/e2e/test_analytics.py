"""What happened, as it is told afterwards: figures, the request log, metrics, traces."""

import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from typing import Any

import httpx
import pytest
from prometheus_client.parser import text_string_to_metric_families

from tests.e2e.collector import Collector, collecting
from tests.e2e.deployments import ADMIN_TOKEN, DEPLOYMENTS, Deployments
from tests.e2e.sse import events

COLLECTOR_KEY = "the-collectors-key-0123456789"
TRACE = "0af7651916cd43dd8448eb211c80319c"
Issue = Callable[..., httpx.Client]


@pytest.fixture(scope="module")
def collector() -> Iterator[Collector]:
    with collecting() as found:
        yield found


@pytest.fixture(scope="module")
def admin(deployments: Deployments, collector: Collector) -> Iterator[httpx.Client]:
    """A deployment whose figures nobody else has a part in."""
    DEPLOYMENTS["counted"] = (
        "development",
        {
            "ADMIN_TOKEN": ADMIN_TOKEN,
            "ANALYTICS_SHARDS": "3",
            "OTEL_EXPORTER_OTLP_ENDPOINT": collector.url,
            "OTEL_EXPORTER_OTLP_HEADERS": f"authorization=Bearer%20{COLLECTOR_KEY}",
        },
    )
    with client(deployments.get("counted").url) as found:
        yield found


def client(url: str, key: str = ADMIN_TOKEN) -> httpx.Client:
    return httpx.Client(base_url=url, timeout=60, headers={"authorization": f"Bearer {key}"})


@pytest.fixture
def issue(admin: httpx.Client, request: pytest.FixtureRequest) -> Iterator[Issue]:
    """A client with a key of its own, whose user is the test's name."""
    with ExitStack() as clients:

        def made(user: str = "") -> httpx.Client:
            body = {"user": user or request.node.name}
            key = admin.post("/admin/keys", json=body).json()["key"]
            return clients.enter_context(client(str(admin.base_url), key))

        yield made


def figures(of: httpx.Client, **asked: str) -> dict[str, Any]:
    answer = of.get("/analytics", params=asked)
    assert answer.status_code == 200, answer.text
    told: dict[str, Any] = answer.json()
    return told


def test_totals_are_exactly_what_was_sent(admin: httpx.Client, issue: Issue, script: Any) -> None:
    """Twenty at a time: answers, hits, streams, errors of every sort, and a batch."""
    user = issue()

    def ask(number: int) -> None:
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
            # Of one that nobody else here falls back to: its breaker may open.
            body |= {"prompt": script(f"{number}", deepseek={"status": 500})}
            body |= {"provider": "deepseek", "fallback": False}
        user.post("/v1/generate", json=body)

    with ThreadPoolExecutor(20) as pool:
        list(pool.map(ask, range(120)))
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


def user_of(caller: httpx.Client) -> str:
    return str(caller.get("/analytics/requests").json()["requests"][0]["user"])


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


def test_pages_neither_repeat_nor_skip_while_rows_arrive(issue: Issue, script: Any) -> None:
    user = issue()

    def ask(number: int) -> str:
        answer = user.post("/v1/generate", json={"prompt": script(f"{number}")})
        return answer.headers["x-request-id"]

    sent = [ask(number) for number in range(25)]
    seen: list[str] = []
    cursor: str | None = ""
    while cursor is not None:
        asked = {"limit": "4", "endpoint": "/v1/generate"} | ({"cursor": cursor} if cursor else {})
        page = user.get("/analytics/requests", params=asked).json()
        seen += [row["requestId"] for row in page["requests"]]
        cursor = page["next"]
        ask(100 + len(seen))
    assert seen == sent[::-1]


def test_a_row_tells_what_became_of_the_request(issue: Issue, script: Any) -> None:
    user = issue()
    prompt = script("A secret question.", groq={"status": 503})
    body = {"prompt": prompt, "provider": "groq", "fallback": ["openai"], "metadata": {"team": "x"}}
    answer = user.post(
        "/v1/generate", json=body, headers={"cf-ray": "8d-FRA", "cf-ipcountry": "DE"}
    )
    text = user.get("/analytics/requests").text
    assert "secret question" not in text
    row = user.get("/analytics/requests", params={"endpoint": "/v1/generate"}).json()["requests"][0]
    told = answer.json()
    assert row["requestId"] == told["metadata"]["requestId"]
    assert (row["provider"], row["model"], row["asked"]) == ("openai", told["model"], "groq/auto")
    assert [a["outcome"] for a in row["attempts"]] == ["unavailable", "ok"]
    assert row["usage"]["totalTokens"] == told["usage"]["totalTokens"]
    assert row["cost"] == told["metadata"]["cost"]
    assert (row["country"], row["colo"], row["metadata"]) == ("DE", "FRA", {"team": "x"})


def test_what_shall_not_be_logged_is_counted_only(
    issue: Issue, script: Any, deployments: Deployments
) -> None:
    user = issue()
    answer = user.post(
        "/v1/generate", json={"prompt": script()}, headers={"cf-aig-collect-log": "false"}
    )
    assert figures(user)["total"]["requests"] == 1
    rows = user.get("/analytics/requests", params={"endpoint": "/v1/generate"}).json()["requests"]
    assert rows == []
    assert answer.headers["x-request-id"] not in deployments.log("counted")


def test_a_stream_that_breaks_and_one_whose_caller_leaves(issue: Issue, script: Any) -> None:
    user = issue()
    broken = {"prompt": script("a", openai={"break_after": 3}), "provider": "openai"}
    answer = user.post("/v1/generate", json=broken | {"stream": True, "fallback": False})
    assert list(events(answer))[-1][0] == "error"
    slow = {"prompt": script("b", openai={"event_delay_ms": 100, "text": "word " * 60})}
    with user.stream(
        "POST", "/v1/generate", json=slow | {"provider": "openai", "stream": True}
    ) as gone:
        next(gone.iter_lines())
    deadline = time.monotonic() + 10
    while figures(user)["total"]["requests"] < 2 and time.monotonic() < deadline:
        time.sleep(0.2)
    total = figures(user)["total"]
    assert (total["requests"], total["errors"], total["clientGone"]) == (2, 1, 1)
    assert total["cost"] > 0
    rows = user.get("/analytics/requests", params={"endpoint": "/v1/generate"}).json()["requests"]
    assert {row["ended"] for row in rows} == {"client_gone", "network"}
    assert {row["costOrigin"] for row in rows} == {"estimated"}


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


def test_metrics_are_prometheus_and_only_grow(admin: httpx.Client, script: Any) -> None:
    def read() -> dict[tuple[str, frozenset[tuple[str, str]]], float]:
        answer = admin.get("/metrics")
        assert answer.headers["content-type"].startswith("text/plain; version=0.0.4")
        return {
            (sample.name, frozenset(sample.labels.items())): sample.value
            for family in text_string_to_metric_families(answer.text)
            for sample in family.samples
        }

    def requests_of(
        metrics: dict[tuple[str, frozenset[tuple[str, str]]], float], endpoint: str, status: str
    ) -> float:
        return sum(
            value
            for (name, labels), value in metrics.items()
            if name == "proxy_requests_total"
            and {("endpoint", endpoint), ("status", status)} <= labels
        )

    before = read()
    admin.post("/v1/generate", json={"prompt": script(), "provider": "openai"})
    httpx.post(f"{admin.base_url}/v1/generate", json={"prompt": "no key"})
    admin.get("/health")
    after = read()
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
    assert report["sample"] == {"requests": 120, "logged": 120}
    [found] = [one for one in report["insights"] if one["kind"] == "error"]
    assert "deepseek" in found["title"]
    assert found["evidence"]
    assert found["confidence"] >= 0.95


def test_a_trace_goes_through(
    issue: Issue, script: Any, received: Any, collector: Collector
) -> None:
    user = issue()
    caller = f"00-{TRACE}-b7ad6b7169203331-01"
    body = {"prompt": script("t", groq={"status": 500}), "provider": "groq", "fallback": ["openai"]}
    user.post("/v1/generate", json=body, headers={"traceparent": caller, "tracestate": "a=b"})
    deadline = time.monotonic() + 10
    while len(collector.trace(TRACE)) < 3 and time.monotonic() < deadline:
        time.sleep(0.1)
    spans = {span["name"]: span for span in collector.trace(TRACE)}
    server = spans["POST /v1/generate"]
    assert server["parentSpanId"] == "b7ad6b7169203331"
    attempts = [span for span in spans.values() if span is not server]
    assert [span["parentSpanId"] for span in attempts] == [server["spanId"]] * 2
    for call in received():
        assert call["headers"]["traceparent"] == f"00-{TRACE}-{server['spanId']}-01"
        assert call["headers"]["tracestate"] == "a=b"
    assert {h["authorization"] for h in collector.headers} == {f"Bearer {COLLECTOR_KEY}"}


def test_without_a_collector_the_callers_trace_is_passed_on_as_it_is(
    proxy: httpx.Client, script: Any, received: Any
) -> None:
    caller = f"00-{TRACE}-b7ad6b7169203331-01"
    for given in (caller, "no trace"):
        proxy.post("/v1/generate", json={"prompt": script(given)}, headers={"traceparent": given})
    told = [call["headers"].get("traceparent") for call in received()]
    assert told == [caller, None]


def test_the_stages_are_told(admin: httpx.Client, script: Any) -> None:
    timing = admin.post("/v1/generate", json={"prompt": script()}).headers["server-timing"]
    names = [part.strip().partition(";")[0] for part in timing.split(",")]
    assert names == ["auth", "limit", "cache", "upstream", "total"]


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
