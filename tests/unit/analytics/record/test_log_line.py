"""The request's line in the log: what it says, under which names, at which level."""

import json

import msgspec
import pytest
from hypothesis import given

from proxy.analytics.record.log_line import level, line
from proxy.analytics.record.request_record import ITEM, RequestRecord
from tests.unit.analytics.events import EVENTS, attempt, event


def fields(told: RequestRecord) -> dict[str, object]:
    """What the line of an event says."""
    said: dict[str, object] = msgspec.to_builtins(line(told))
    return said


def test_an_answer_of_a_provider() -> None:
    told = event(
        key_id="key_1",
        provider="gemini",
        model="gemini-2.5-flash",
        strategy="fastest",
        attempts=(attempt("timeout"), attempt(provider="gemini")),
        stream=True,
        ended="ok",
        first_ms=45,
        cached=5,
        reasoning=7,
        bytes_in=300,
        bytes_out=900,
        country="DE",
        colo="FRA",
        cache_key="0123456789abcdef",
        trace="4bf92f3577b34da6a3ce929d0e0e4736",
        span="00f067aa0ba902b7",
    )
    assert level(told) == "info"
    assert fields(told) == {
        "proxy.request_id": "req_1",
        "proxy.key_id": "key_1",
        "proxy.dialect": "native",
        "proxy.strategy": "fastest",
        "proxy.duration_ms": 120,
        "proxy.attempts": "groq:timeout, gemini:ok",
        "proxy.cache.status": "miss",
        "proxy.cache.key": "0123456789abcdef",
        "proxy.stream.ended": "ok",
        "proxy.cost.usd": 0.0002,
        "proxy.cost.origin": "computed",
        "proxy.colo": "FRA",
        "http.request.method": "POST",
        "http.route": "/v1/chat/completions",
        "http.response.status_code": 200,
        "http.request.body.size": 300,
        "http.response.body.size": 900,
        "enduser.id": "ann",
        "geo.country.iso_code": "DE",
        "gen_ai.operation.name": "chat",
        "gen_ai.provider.name": "gcp.gemini",
        "gen_ai.request.model": "fast",
        "gen_ai.request.stream": True,
        "gen_ai.response.model": "gemini-2.5-flash",
        "gen_ai.response.time_to_first_chunk": 0.045,
        "gen_ai.usage.input_tokens": 25,
        "gen_ai.usage.output_tokens": 150,
        "gen_ai.usage.cache_read.input_tokens": 5,
        "gen_ai.usage.reasoning.output_tokens": 7,
        "trace_id": "4bf92f3577b34da6a3ce929d0e0e4736",
        "span_id": "00f067aa0ba902b7",
    }


def test_a_hit_cost_nothing_and_says_so() -> None:
    told = fields(event(cache_status="hit", cache_tier="kv", attempts=(), cost=0, saved=300_000))
    assert told["proxy.cost.usd"] == 0
    assert told["proxy.cost.saved_usd"] == 0.0003
    assert told["proxy.cache.tier"] == "kv"
    assert "proxy.attempts" not in told


def test_an_unknown_price_is_left_out() -> None:
    assert "proxy.cost.usd" not in fields(event(cost=None))


def test_a_path_that_asks_no_model_says_nothing_of_one() -> None:
    told = fields(RequestRecord(at=1, id="r", endpoint="/health", status=200, ms=0, method="GET"))
    assert told == {
        "proxy.request_id": "r",
        "proxy.duration_ms": 0,
        "http.request.method": "GET",
        "http.route": "/health",
        "http.response.status_code": 200,
        "http.request.body.size": 0,
        "http.response.body.size": 0,
    }


@pytest.mark.parametrize(
    ("endpoint", "operation"),
    [
        ("/v1/generate", "chat"),
        (ITEM, "chat"),
        ("/v1/embeddings", "embeddings"),
        ("/v1/batch", None),
        ("/v1/models", None),
    ],
)
def test_the_operation_is_the_endpoints(endpoint: str, operation: str | None) -> None:
    assert fields(event(endpoint=endpoint)).get("gen_ai.operation.name") == operation


def test_a_method_that_nobody_knows_is_no_method() -> None:
    assert fields(event(method="BREW"))["http.request.method"] == "_OTHER"
    assert fields(event(method="PATCH"))["http.request.method"] == "PATCH"


@pytest.mark.parametrize(
    ("status", "error", "ended", "expected"),
    [
        (200, "", "", "info"),
        (200, "", "client_gone", "info"),
        (200, "provider_error", "network", "error"),
        (401, "authentication_failed", "", "info"),
        (429, "rate_limit_exceeded", "", "info"),
        (500, "internal_error", "", "error"),
        (502, "provider_error", "", "error"),
    ],
)
def test_the_level_is_whose_fault_it_is(status: int, error: str, ended: str, expected: str) -> None:
    assert level(event(status=status, error=error, ended=ended)) == expected


def test_an_error_has_its_type_and_who_spoke_it() -> None:
    told = fields(event(status=429, error="rate_limit_exceeded", source="provider"))
    assert told["error.type"] == "rate_limit_exceeded"
    assert told["proxy.error.source"] == "provider"


@given(EVENTS)
def test_a_line_is_flat_json_without_holes(told: RequestRecord) -> None:
    said = fields(told)
    assert all(isinstance(value, str | int | float | bool) for value in said.values())
    assert "" not in said.values()
    assert "\n" not in json.dumps(said)
    assert not {"level", "event"} & said.keys()
