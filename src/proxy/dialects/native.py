"""The proxy's own dialect: POST /v1/generate. Requests are read in native_request.

Streams: `event: delta` for each piece, then one `done` (the response less `data`) or `error`.
"""

import math
from typing import Any

import msgspec
from msgspec import UNSET, Struct, UnsetType

from proxy.core.chat import Answer, Attempt, Call, Chunk, Served, Usage
from proxy.core.errors import ProxyError
from proxy.core.messages import ToolCallDelta
from proxy.core.sse import frame
from proxy.core.time import format_time
from proxy.dialects.contract import DialectName, LimitHeaders, StreamWriter
from proxy.dialects.contract import headers as headers
from proxy.dialects.contract import status as status
from proxy.dialects.messages import tool_call
from proxy.dialects.native_request import parse_chat as parse_chat

NAME: DialectName = "native"
LIMIT_HEADERS: LimitHeaders = None


class _Usage(Struct, frozen=True, rename="camel"):
    input_tokens: int
    output_tokens: int
    total_tokens: int
    cached_tokens: int | UnsetType = UNSET
    cache_write_tokens: int | UnsetType = UNSET
    reasoning_tokens: int | UnsetType = UNSET


class _Metadata(Struct, frozen=True, rename="camel"):
    response_time: int
    cache_status: str
    cost: float | None
    cost_origin: str | None
    request_id: str
    cache_tier: str | None
    finish_reason: str
    attempts: tuple[Attempt, ...]
    source: str = "provider"
    dropped: tuple[str, ...] | UnsetType = UNSET
    routing: list[dict[str, Any]] | UnsetType = UNSET


class _Response(Struct, frozen=True, kw_only=True, rename="camel"):
    success: bool = True
    data: str | UnsetType
    refusal: str | UnsetType
    reasoning: str | UnsetType
    reasoning_details: Any | UnsetType
    tool_calls: list[dict[str, Any]] | UnsetType
    annotations: Any | UnsetType
    extra: dict[str, Any] | UnsetType
    provider: str
    model: str
    usage: _Usage | None
    metadata: _Metadata


def answer(answer: Answer, call: Call, served: Served) -> bytes:
    """The body of a complete answer. `data` is its text, "" where it has none; tool calls,
    reasoning with what goes back of it (`reasoningDetails`), annotations, a refusal and `extra`,
    the provider's other fields of the message, stand beside."""
    return msgspec.json.encode(_response(answer, served, data=answer.text or ""))


def error(error: ProxyError, request_id: str, timestamp: float) -> bytes:
    """The body of an error; `code` is its HTTP status, `retryAfter` whole seconds."""
    fields: dict[str, Any] = {
        "type": error.type,
        "message": error.message,
        "code": error.status,
        "source": error.source,
    }
    if error.param is not None:
        fields["param"] = error.param
    if error.limit is not None:
        fields["limit"] = error.limit
    if error.retry_after is not None:
        fields["retryAfter"] = max(0, math.ceil(error.retry_after))
    moment = format_time(int(timestamp) * 1000)
    metadata: dict[str, Any] = {"requestId": request_id, "timestamp": moment}
    if error.attempts:
        metadata["attempts"] = error.attempts
    return msgspec.json.encode({"success": False, "error": fields, "metadata": metadata})


class NativeWriter(StreamWriter):
    """Writes one stream. A chunk that holds several kinds of content becomes several events."""

    def chunk(self, chunk: Chunk) -> bytes:
        """The events of a piece of the answer; empty where it holds no content."""
        events = b""
        if chunk.reasoning:
            events += _delta("reasoning", chunk.reasoning)
        if chunk.text:
            events += _delta("text", chunk.text)
        if chunk.refusal:
            events += _delta("refusal", chunk.refusal)
        for delta in chunk.tool_calls:
            events += _delta("toolCall", _tool_call_delta(delta))
        return events

    def done(self, answer: Answer, served: Served) -> bytes:
        """The end of a complete answer: the response less `data`, which has been streamed."""
        return frame(msgspec.json.encode(_response(answer, served, data=UNSET)), "done")

    def error(self, failure: ProxyError, request_id: str, timestamp: float) -> bytes:
        """The end of a broken answer."""
        return frame(error(failure, request_id, timestamp), "error")


def writer(call: Call, served: Served) -> NativeWriter:
    """A writer for one stream; this dialect needs to know nothing beforehand."""
    return NativeWriter()


def _delta(kind: str, value: str | dict[str, Any]) -> bytes:
    return frame(msgspec.json.encode({kind: value}), "delta")


def _tool_call_delta(delta: ToolCallDelta) -> dict[str, Any]:
    fields: dict[str, Any] = {"index": delta.index}
    if delta.id is not None:
        fields["id"] = delta.id
    if delta.name is not None:
        if delta.type == "custom":
            fields["type"] = delta.type
        fields["name"] = delta.name
    fields["input" if delta.type == "custom" else "arguments"] = delta.arguments
    return fields


def _response(answer: Answer, served: Served, *, data: str | UnsetType) -> _Response:
    extra = dict(answer.extra)
    return _Response(
        data=data,
        refusal=answer.refusal or UNSET,
        reasoning=answer.reasoning or UNSET,
        reasoning_details=extra.pop("reasoning_details", UNSET),
        tool_calls=[tool_call(call) for call in answer.tool_calls] or UNSET,
        annotations=extra.pop("annotations", UNSET),
        extra=extra or UNSET,
        provider=served.provider,
        model=served.model,
        usage=_usage(answer.usage) if answer.usage else None,
        metadata=_metadata(answer, served),
    )


def _usage(usage: Usage) -> _Usage:
    return _Usage(
        input_tokens=usage.input,
        output_tokens=usage.output,
        total_tokens=usage.total,
        cached_tokens=UNSET if usage.cached is None else usage.cached,
        cache_write_tokens=UNSET if usage.cache_write is None else usage.cache_write,
        reasoning_tokens=UNSET if usage.reasoning is None else usage.reasoning,
    )


def _metadata(answer: Answer, served: Served) -> _Metadata:
    return _Metadata(
        response_time=served.ms,
        cache_status=served.cache_status,
        cost=0 if served.is_kept else served.cost.usd,
        cost_origin=None if served.is_kept else served.cost.origin,
        request_id=served.request_id,
        cache_tier=served.cache_tier,
        finish_reason=answer.finish_reason,
        attempts=served.attempts,
        dropped=served.dropped or UNSET,
        routing=UNSET if served.explained is None else served.explained,
    )
