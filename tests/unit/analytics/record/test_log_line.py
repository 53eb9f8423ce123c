"""The request's line in the log: what it says, under which names, at which level."""

import json

import msgspec
import pytest
from hypothesis import given

from proxy.analytics.record.log_line import build_line, choose_level
from proxy.analytics.record.request_record import ITEM, RequestRecord
from tests.unit.analytics.records import RECORDS, make_attempt, make_record


def fields(record: RequestRecord) -> dict[str, object]:
    """The fields of a request's line."""
    line: dict[str, object] = msgspec.to_builtins(build_line(record))
    return line


FULL = make_record(
    key_id="key_1",
    provider="gemini",
    model="gemini-2.5-flash",
    strategy="fastest",
    attempts=(make_attempt("timeout", key=2), make_attempt(provider="gemini")),
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
    session="s-1",
    trace="4bf92f3577b34da6a3ce929d0e0e4736",
    span="00f067aa0ba902b7",
)
FULL_LINE = {
    "proxy.request_id": "req_1",
    "proxy.key_id": "key_1",
    "proxy.dialect": "native",
    "proxy.strategy": "fastest",
    "proxy.duration_ms": 120,
    "proxy.attempts": "groq#2:timeout, gemini:ok",
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
    "gen_ai.conversation.id": "s-1",
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


def test_an_answer_of_a_provider() -> None:
    assert choose_level(FULL) == "info"
    assert fields(FULL) == FULL_LINE


def test_a_hit_cost_nothing_and_says_so() -> None:
    line = fields(
        make_record(cache_status="hit", cache_tier="kv", attempts=(), cost=0, saved=300_000)
    )
    assert line["proxy.cost.usd"] == 0
    assert line["proxy.cost.saved_usd"] == 0.0003
    assert line["proxy.cache.tier"] == "kv"
    assert "proxy.attempts" not in line


def test_an_unknown_price_is_left_out() -> None:
    assert "proxy.cost.usd" not in fields(make_record(cost=None))


def test_a_path_that_asks_no_model_says_nothing_of_one() -> None:
    line = fields(RequestRecord(at=1, id="r", endpoint="/health", status=200, ms=0, method="GET"))
    assert line == {
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
        ("/v1/chat/completions", "chat"),
        ("/v1/messages", "chat"),
        ("/v1/messages/count_tokens", None),
        ("/v1/responses", "chat"),
        ("/v1/responses/ID", None),
        ("/v1/embeddings", "embeddings"),
        ("/v1/batch", None),
        ("/v1/models", None),
    ],
)
def test_the_operation_is_the_endpoints(endpoint: str, operation: str | None) -> None:
    assert fields(make_record(endpoint=endpoint)).get("gen_ai.operation.name") == operation


def test_a_method_that_nobody_knows_is_no_method() -> None:
    assert fields(make_record(method="BREW"))["http.request.method"] == "_OTHER"
    assert fields(make_record(method="PATCH"))["http.request.method"] == "PATCH"


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
    assert choose_level(make_record(status=status, error=error, ended=ended)) == expected


def test_an_error_has_its_type_and_who_spoke_it() -> None:
    line = fields(make_record(status=429, error="rate_limit_exceeded", source="provider"))
    assert line["error.type"] == "rate_limit_exceeded"
    assert line["proxy.error.source"] == "provider"


@given(RECORDS)
def test_a_line_is_flat_json_without_holes(record: RequestRecord) -> None:
    line = fields(record)
    assert all(isinstance(value, str | int | float | bool) for value in line.values())
    assert "" not in line.values()
    assert "\n" not in json.dumps(line)
    assert not {"level", "event"} & line.keys()
