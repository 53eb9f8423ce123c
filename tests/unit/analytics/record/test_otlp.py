"""Spans in OTLP's JSON, read back with OpenTelemetry's own messages."""

from base64 import b64encode
from typing import Any

import msgspec
import pytest
from google.protobuf import json_format  # type: ignore[import-untyped]
from hypothesis import given
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.trace.v1.trace_pb2 import Span, Status

from proxy.analytics.record.otlp import encode_spans
from proxy.analytics.record.request_record import ITEM, RequestRecord
from tests.unit.analytics.records import RECORDS, make_attempt, make_record
from tests.unit.doubles import CountingRandom

TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"
SPAN = "00f067aa0ba902b7"
PARENT = "b7ad6b7169203331"
RESOURCE = {"service.name": "ai-edge-proxy", "service.version": "0.1.0"}
AT = 1_700_000_000_000


def traced(**fields: Any) -> RequestRecord:
    return make_record(**{"trace": TRACE, "span": SPAN, "at": AT} | fields)


def exported(*records: RequestRecord) -> ExportTraceServiceRequest:
    """What a collector understands. An unknown field or a wrong form is an error."""
    body = msgspec.json.decode(encode_spans(records, RESOURCE, CountingRandom()))
    for span in body["resourceSpans"][0]["scopeSpans"][0]["spans"]:
        for name in ("traceId", "spanId", "parentSpanId"):
            if name in span:  # OTLP's JSON has ids in hexadecimal, where protobuf's has base64
                span[name] = _base64(span[name])
        # protobuf's reader would take these otherwise too, a collector might not
        assert isinstance(span["startTimeUnixNano"], str)
        assert isinstance(span["kind"], int)
        for attribute in span["attributes"]:
            assert isinstance(attribute["value"].get("intValue", ""), str)
    request = ExportTraceServiceRequest()
    json_format.ParseDict(body, request)
    return request


def _base64(digits: str) -> str:
    return b64encode(bytes.fromhex(digits)).decode()


def spans(*records: RequestRecord) -> list[Span]:
    [resource] = exported(*records).resource_spans
    [scope] = resource.scope_spans
    return list(scope.spans)


def attributes(span: Span) -> dict[str, Any]:
    return {a.key: getattr(a.value, a.value.WhichOneof("value") or "") for a in span.attributes}


def ms(span: Span) -> tuple[int, int]:
    """Begin and end in ms since the request came."""
    begin, rest = divmod(span.start_time_unix_nano, 1_000_000)
    end, rest_of_end = divmod(span.end_time_unix_nano, 1_000_000)
    assert rest == rest_of_end == 0
    return begin - AT, end - AT


def test_the_exporting_service() -> None:
    [resource] = exported(traced()).resource_spans
    shown = {a.key: a.value.string_value for a in resource.resource.attributes}
    assert shown == RESOURCE
    assert resource.scope_spans[0].scope.name == "proxy.analytics"
    assert resource.scope_spans[0].scope.version == "0.1.0"


CALLED = {
    "gen_ai.operation.name": "chat",
    "gen_ai.provider.name": "gcp.gemini",
    "gen_ai.request.model": "gemini-2.5-flash",
    "gen_ai.request.stream": True,
    "gen_ai.response.model": "gemini-2.5-flash",
    "gen_ai.response.time_to_first_chunk": 0.116,
    "gen_ai.usage.input_tokens": 25,
    "gen_ai.usage.output_tokens": 150,
    "gen_ai.usage.cache_read.input_tokens": 5,
}


def test_a_request_and_its_attempt() -> None:
    request, called = spans(
        traced(
            parent=PARENT,
            provider="gemini",
            model="gemini-2.5-flash",
            attempts=(make_attempt(provider="gemini", model="gemini-2.5-flash", start=2),),
            stream=True,
            ended="ok",
            first_ms=118,
            ms=400,
            cached=5,
        )
    )
    assert request.trace_id.hex() == called.trace_id.hex() == TRACE
    assert request.span_id.hex() == called.parent_span_id.hex() == SPAN
    assert request.parent_span_id.hex() == PARENT
    assert called.span_id.hex() not in (SPAN, "")
    assert (request.kind, called.kind) == (Span.SPAN_KIND_SERVER, Span.SPAN_KIND_CLIENT)
    assert request.name == "POST /v1/chat/completions"
    assert called.name == "chat gemini-2.5-flash"
    assert (request.flags, called.flags) == (0x301, 0x101)
    assert ms(request) == (0, 400)
    assert ms(called) == (2, 400)
    assert request.status.code == called.status.code == Status.STATUS_CODE_UNSET
    shown = attributes(request)
    assert shown["http.route"] == "/v1/chat/completions"
    assert shown["http.response.status_code"] == 200
    assert shown["enduser.id"] == "ann"
    assert shown["proxy.provider"] == "gemini"
    assert shown["proxy.asked"] == "fast"
    assert shown["proxy.cost.usd"] == 0.0002
    assert not [name for name in shown if name.startswith("gen_ai.")]
    assert attributes(called) == CALLED


def test_a_trace_that_begins_here_has_no_parent() -> None:
    request, _ = spans(traced())
    assert (request.parent_span_id, request.flags) == (b"", 0x101)


def test_attempts_that_failed_say_why_and_use_nothing() -> None:
    failed = make_attempt(
        "unavailable", "openai", ms=30, start=10, model="gpt", status=503, message="Overloaded"
    )
    won = make_attempt(ms=50, start=30)
    _, first, second = spans(traced(attempts=(failed, won), ms=120))
    assert (first.status.code, first.status.message) == (Status.STATUS_CODE_ERROR, "Overloaded")
    assert attributes(first) == {
        "gen_ai.operation.name": "chat",
        "gen_ai.provider.name": "openai",
        "gen_ai.request.model": "gpt",
        "http.response.status_code": 503,
        "error.type": "unavailable",
    }
    assert second.status.code == Status.STATUS_CODE_UNSET
    assert (ms(first), ms(second)) == ((10, 40), (30, 120))
    assert first.span_id != second.span_id


def test_what_reached_no_provider_is_no_call() -> None:
    attempts = (make_attempt("limited", ms=0), make_attempt("breaker_open", ms=0), make_attempt())
    request, called = spans(traced(attempts=attempts))
    assert called.kind == Span.SPAN_KIND_CLIENT
    assert attributes(request)["proxy.attempts"] == "groq:limited, groq:breaker_open, groq:ok"


def test_a_hit_called_nobody() -> None:
    [request] = spans(traced(cache_status="hit", cache_tier=""))
    assert attributes(request)["proxy.cache.status"] == "hit"


@pytest.mark.parametrize(
    ("status", "error", "failed"),
    [(200, "", False), (429, "rate_limit_exceeded", False), (502, "provider_error", True)],
)
def test_only_what_the_proxy_is_to_blame_for_is_a_failed_request(
    status: int, error: str, failed: bool
) -> None:
    request = spans(traced(status=status, error=error, attempts=()))[0]
    assert (request.status.code == Status.STATUS_CODE_ERROR) is failed
    assert attributes(request).get("error.type", "") == error


def test_a_stream_that_breaks_fails_the_request_and_its_attempt() -> None:
    broken = {"error": "provider_error", "ended": "network", "first_ms": 118}
    request, called = spans(traced(**broken))
    assert request.status.code == called.status.code == Status.STATUS_CODE_ERROR
    assert attributes(request)["error.type"] == "provider_error"
    assert attributes(called)["error.type"] == "network"


def test_a_caller_who_leaves_fails_nothing() -> None:
    request, called = spans(traced(ended="client_gone", first_ms=118))
    assert request.status.code == called.status.code == Status.STATUS_CODE_UNSET


def test_a_request_of_a_batch_is_internal() -> None:
    request, _ = spans(traced(endpoint=ITEM, parent=PARENT))
    assert (request.kind, request.flags) == (Span.SPAN_KIND_INTERNAL, 0x101)


def test_embeddings_and_other_paths() -> None:
    assert spans(traced(endpoint="/v1/embeddings"))[1].name.startswith("embeddings ")
    [health] = spans(
        RequestRecord(
            at=AT,
            id="r",
            endpoint="/health",
            status=200,
            ms=0,
            method="GET",
            trace=TRACE,
            span=SPAN,
        )
    )
    assert health.name == "GET /health"
    assert spans(traced(method="BREW"))[0].name == "HTTP /v1/chat/completions"


def test_what_belongs_to_no_trace_has_no_span() -> None:
    assert spans(make_record(), traced(span=""), traced(trace="")) == []


@given(RECORDS)
def test_whatever_happened_a_collector_understands_it(record: RequestRecord) -> None:
    read = spans(record)
    assert bool(read) is bool(record.trace and record.span)
    for span in read:
        assert span.start_time_unix_nano <= span.end_time_unix_nano
        assert (len(span.trace_id), len(span.span_id)) == (16, 8)
        assert read[0].start_time_unix_nano <= span.start_time_unix_nano
        assert span.end_time_unix_nano <= read[0].end_time_unix_nano
