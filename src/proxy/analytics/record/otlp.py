"""Requests as OpenTelemetry's spans, in OTLP's JSON: the body that a collector takes at /v1/traces.

A request is one SERVER span (INTERNAL within a batch), each attempt that reached a provider a
CLIENT span below it, `chat MODEL`. Tokens and models are on the attempts only, so that a backend
which sums them up counts none twice.

An attempt is known by its length alone. Its start is derived: the attempts are laid one after
another, the last one ending where the answer began or failed. So pauses between retries lie before
the first one, and hedged attempts do not overlap; lengths, order and outcomes are true.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import TypeAlias

import msgspec
from msgspec import Struct

from proxy.analytics.record.log_line import OPERATIONS, build_line, name_provider
from proxy.analytics.record.request_record import ITEM, RequestRecord
from proxy.core.chat import Attempt
from proxy.core.ports import Random

SCOPE = "proxy.analytics"
INTERNAL, SERVER, CLIENT = 1, 2, 3
"""opentelemetry.proto.trace.v1.Span.SpanKind."""
FAILED = 2
"""opentelemetry.proto.trace.v1.Status.StatusCode: error."""

Value: TypeAlias = str | int | float | bool
Attributes: TypeAlias = dict[str, Value]
"""Names as those of a line in the log (log_line.LogLine)."""

_OF_REQUESTS = ("proxy.", "http.", "error.", "enduser.", "geo.")
_OF_ANSWERS = ("gen_ai.response.", "gen_ai.usage.")
_SAMPLED = 0x01
_KNOWN, _REMOTE = 0x100, 0x200  # whether the parent is another process's is known; it is


class _Span(Struct, kw_only=True, omit_defaults=True, rename="camel"):
    """opentelemetry.proto.trace.v1.Span."""

    trace_id: str
    span_id: str
    parent_span_id: str = ""
    flags: int
    name: str
    kind: int
    start_time_unix_nano: str
    end_time_unix_nano: str
    attributes: list[dict[str, object]]
    status: dict[str, object] | None = None


class TimedAttempt(Struct, frozen=True):
    """An attempt with its begin and end, in whole ms since 1970."""

    attempt: Attempt
    start: int
    end: int
    is_answer: bool
    """Whether its answer is the request's."""


def encode_spans(
    records: Iterable[RequestRecord], resource: Mapping[str, str], random: Random
) -> bytes:
    """An ExportTraceServiceRequest of all spans of requests that belong to a trace.

    resource: the attributes of the exporting service (`service.name`, `service.version`, …).
    """
    spans = [
        span
        for record in records
        if record.trace and record.span
        for span in _build_spans(record, random)
    ]
    return encode_export("spans", spans, resource)


def encode_export(kind: str, items: Sequence[object], resource: Mapping[str, str]) -> bytes:
    """A request of OTLP's exporters. kind: `spans` or `metrics`; resource: as `encode_spans`."""
    scope = {"name": SCOPE, "version": resource.get("service.version", "")}
    name = kind.capitalize()
    of_scope = {"scope": scope, kind: items}
    of_resource = {
        "resource": {"attributes": list_attributes(resource)},
        f"scope{name}": [of_scope],
    }
    return msgspec.json.encode({f"resource{name}": [of_resource]})


def _build_spans(record: RequestRecord, random: Random) -> Iterator[_Span]:
    line: Attributes = msgspec.to_builtins(build_line(record))
    yield _build_request_span(record, line)
    for timed in time_attempts(record):
        yield _build_attempt_span(record, line, timed, random.token(8))


def _build_request_span(record: RequestRecord, line: Attributes) -> _Span:
    attributes = {name: value for name, value in line.items() if name.startswith(_OF_REQUESTS)}
    for name, text in (
        ("provider", record.provider),
        ("model", record.model),
        ("asked", record.requested_model),
    ):
        if text:
            attributes[f"proxy.{name}"] = text
    method = attributes["http.request.method"]
    if method == "_OTHER":  # the conventions' word for the value, not for the name
        method = "HTTP"
    is_item = record.endpoint == ITEM
    has_broken = record.status >= 500 or (record.has_failed and record.status < 400)
    return _Span(
        trace_id=record.trace,
        span_id=record.span,
        parent_span_id=record.parent,
        flags=_SAMPLED | _KNOWN | (_REMOTE if record.parent and not is_item else 0),
        name=_clean(f"{method} {record.endpoint}".strip()),
        kind=INTERNAL if is_item else SERVER,
        start_time_unix_nano=to_nanos(record.at),
        end_time_unix_nano=to_nanos(record.at + record.ms),
        attributes=list_attributes(attributes),
        status={"code": FAILED} if has_broken else None,
    )


def _build_attempt_span(
    record: RequestRecord, line: Attributes, timed: TimedAttempt, span_id: str
) -> _Span:
    attempt, fault = timed.attempt, find_fault(record, timed)
    attributes = _describe_attempt(record, line, timed)
    if fault:
        attributes["error.type"] = fault
    message = "" if timed.is_answer else _clean(attempt.message or "")
    return _Span(
        trace_id=record.trace,
        span_id=span_id,
        parent_span_id=record.span,
        flags=_SAMPLED | _KNOWN,
        name=_clean(f"{OPERATIONS.get(record.endpoint, 'chat')} {attempt.model}"),
        kind=CLIENT,
        start_time_unix_nano=to_nanos(timed.start),
        end_time_unix_nano=to_nanos(timed.end),
        attributes=list_attributes(attributes),
        status={"code": FAILED, "message": message} if fault else None,
    )


def find_fault(record: RequestRecord, timed: TimedAttempt) -> str:
    """How an attempt failed; empty where it did not."""
    if not timed.is_answer:
        return timed.attempt.outcome
    return "" if record.ended in ("", "ok", "client_gone") else record.ended


def _describe_attempt(record: RequestRecord, line: Attributes, timed: TimedAttempt) -> Attributes:
    attempt = timed.attempt
    attributes: Attributes = {
        "gen_ai.operation.name": OPERATIONS.get(record.endpoint, "chat"),
        "gen_ai.provider.name": name_provider(attempt.provider),
        "gen_ai.request.model": attempt.model,
    }
    if record.stream:
        attributes["gen_ai.request.stream"] = True
    if attempt.status is not None:
        attributes["http.response.status_code"] = attempt.status
    if timed.is_answer:
        attributes |= {name: line[name] for name in line if name.startswith(_OF_ANSWERS)}
        if record.first_ms is not None:
            attributes["gen_ai.response.time_to_first_chunk"] = attempt.ms / 1000
    return attributes


def time_attempts(record: RequestRecord) -> list[TimedAttempt]:
    """The attempts that reached a provider. None for a hit: another request made them."""
    if record.cache_status == "hit":
        return []
    sent = record.sent_attempts
    end = record.at + record.ms
    answered = next((n for n in reversed(range(len(sent))) if sent[n].outcome == "ok"), None)
    timed = []
    for number, attempt in enumerate(sent):
        is_answer = number == answered
        start = min(record.at + (attempt.start or 0), end)  # what goes out has a start
        until = end if is_answer else min(start + attempt.ms, end)
        timed.append(TimedAttempt(attempt, start, until, is_answer))
    return timed


def list_attributes(attributes: Mapping[str, Value]) -> list[dict[str, object]]:
    """Attributes as OTLP writes them."""
    return [{"key": name, "value": _wrap(value)} for name, value in attributes.items()]


def _wrap(value: Value) -> dict[str, Value]:
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


def to_nanos(ms: int) -> str:
    """Milliseconds as nanoseconds, which JSON's numbers may not hold."""
    return f"{ms}000000"
