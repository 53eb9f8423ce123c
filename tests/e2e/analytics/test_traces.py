"""Traces: spans in a collector, and the stages of a request."""

import time
from typing import Any

import httpx

from tests.e2e.analytics.making import COLLECTOR_KEY, Issue
from tests.e2e.collector import Collector

TRACE = "0af7651916cd43dd8448eb211c80319c"


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
