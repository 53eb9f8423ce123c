"""Events as OpenTelemetry's spans, in OTLP's JSON: the body that a collector takes at /v1/traces.

A request is one SERVER span (INTERNAL within a batch), each attempt that reached a provider a
CLIENT span below it, `chat MODEL`. Tokens and models are on the attempts only, so that a backend
which sums them up counts none twice.

An attempt is known by its length alone. Its start is derived: the attempts are laid one after
another, the last one ending where the answer began or failed. So pauses between retries lie before
the first one, and hedged attempts do not overlap; lengths, order and outcomes are true.
"""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, TypeAlias

import msgspec

from proxy.analytics.record.log_line import OPERATIONS, line, provider_name
from proxy.analytics.record.request_record import ITEM, RequestRecord
from proxy.core.chat import Attempt
from proxy.core.ports import Random

SCOPE = "proxy.analytics"
INTERNAL, SERVER, CLIENT = 1, 2, 3
"""opentelemetry.proto.trace.v1.Span.SpanKind."""
FAILED = 2
"""opentelemetry.proto.trace.v1.Status.StatusCode: error."""
UNSENT = ("limited", "breaker_open")
"""Outcomes of attempts that reached no provider."""

Value: TypeAlias = str | int | float | bool
Attributes: TypeAlias = dict[str, Value]
"""Names as those of a line in the log (analytics.line)."""

_OF_REQUESTS = ("proxy.", "http.", "error.", "enduser.", "geo.")
_OF_ANSWERS = ("gen_ai.response.", "gen_ai.usage.")
_SAMPLED = 0x01
_KNOWN, _REMOTE = 0x100, 0x200  # whether the parent is another process's is known; it is


def encode(events: Iterable[RequestRecord], resource: Mapping[str, str], random: Random) -> bytes:
    """An ExportTraceServiceRequest of all spans of events that belong to a trace.

    resource: the attributes of who exports (`service.name`, `service.version`, …).
    """
    spans = [span for event in events if event.trace and event.span for span in _of(event, random)]
    scope = {"name": SCOPE, "version": resource.get("service.version", "")}
    body = {
        "resourceSpans": [
            {
                "resource": {"attributes": _attributes(resource)},
                "scopeSpans": [{"scope": scope, "spans": spans}],
            }
        ]
    }
    return msgspec.json.encode(body)


def _of(event: RequestRecord, random: Random) -> Iterator[dict[str, Any]]:
    said: Attributes = msgspec.to_builtins(line(event))
    yield _request(event, said)
    for attempt, start, end, won in timed(event):
        yield _attempt(event, said, attempt, start, end, won, random.token(8))


def _request(event: RequestRecord, said: Attributes) -> dict[str, Any]:
    told = {name: value for name, value in said.items() if name.startswith(_OF_REQUESTS)}
    for name, text in (("provider", event.provider), ("model", event.model)):
        if text:
            told[f"proxy.{name}"] = text
    if event.requested_model:
        told["proxy.asked"] = event.requested_model
    method = told["http.request.method"]
    if method == "_OTHER":  # the conventions' word for the value, not for the name
        method = "HTTP"
    span: dict[str, Any] = {
        "traceId": event.trace,
        "spanId": event.span,
        "flags": _SAMPLED | _KNOWN,
        "name": _clean(f"{method} {event.endpoint}".strip()),
        "kind": INTERNAL if event.endpoint == ITEM else SERVER,
        "startTimeUnixNano": _nanos(event.at),
        "endTimeUnixNano": _nanos(event.at + event.ms),
        "attributes": _attributes(told),
    }
    if event.parent:
        span["parentSpanId"] = event.parent
        if event.endpoint != ITEM:
            span["flags"] = _SAMPLED | _KNOWN | _REMOTE
    if event.status >= 500 or (event.failed and event.status < 400):
        span["status"] = {"code": FAILED}
    return span


def _attempt(
    event: RequestRecord,
    said: Attributes,
    attempt: Attempt,
    start: int,
    end: int,
    won: bool,
    span_id: str,
) -> dict[str, Any]:
    told: Attributes = {
        "gen_ai.operation.name": OPERATIONS.get(event.endpoint, "chat"),
        "gen_ai.provider.name": provider_name(attempt.provider),
        "gen_ai.request.model": attempt.model,
    }
    if event.stream:
        told["gen_ai.request.stream"] = True
    if attempt.status is not None:
        told["http.response.status_code"] = attempt.status
    if won:
        told |= {name: value for name, value in said.items() if name.startswith(_OF_ANSWERS)}
        if event.first_ms is not None:
            told["gen_ai.response.time_to_first_chunk"] = attempt.ms / 1000
    fault, message = attempt.outcome, attempt.message or ""
    if won:
        broken = event.ended not in ("", "ok", "client_gone")
        fault, message = (event.ended, "") if broken else ("", "")
    if fault:
        told["error.type"] = fault
    span = {
        "traceId": event.trace,
        "spanId": span_id,
        "parentSpanId": event.span,
        "flags": _SAMPLED | _KNOWN,
        "name": _clean(f"{OPERATIONS.get(event.endpoint, 'chat')} {attempt.model}"),
        "kind": CLIENT,
        "startTimeUnixNano": _nanos(start),
        "endTimeUnixNano": _nanos(end),
        "attributes": _attributes(told),
    }
    if fault:
        span["status"] = {"code": FAILED, "message": _clean(message)}
    return span


def timed(event: RequestRecord) -> list[tuple[Attempt, int, int, bool]]:
    """The attempts that reached a provider, with begin and end in whole ms since 1970 and
    whether it is the one that answered. None for a hit: what was tried for it was tried by
    another request."""
    if event.cache_status == "hit":
        return []
    sent = [attempt for attempt in event.attempts if attempt.outcome not in UNSENT]
    end = event.at + event.ms
    answered = next((n for n in reversed(range(len(sent))) if sent[n].outcome == "ok"), None)
    at = end
    if answered is not None and event.first_ms is not None:
        at = event.at + min(event.first_ms, event.ms)
    told = []
    for number in reversed(range(len(sent))):
        won = number == answered
        start = max(event.at, at - sent[number].ms)
        told.append((sent[number], start, end if won else at, won))
        at = start
    return told[::-1]


def _attributes(told: Mapping[str, Value]) -> list[dict[str, Any]]:
    return [{"key": name, "value": _value(value)} for name, value in told.items()]


def _value(value: Value) -> dict[str, Any]:
    if isinstance(value, bool):
        return {"boolValue": value}
    if isinstance(value, int):
        return {"intValue": str(value)}  # 64 bits: JSON's numbers may not hold them
    if isinstance(value, float):
        return {"doubleValue": value}
    return {"stringValue": _clean(value)}


def _clean(text: str) -> str:
    """Text that UTF-8 can hold."""
    return text.encode("utf-8", "replace").decode()


def _nanos(ms: int) -> str:
    return f"{ms}000000"
