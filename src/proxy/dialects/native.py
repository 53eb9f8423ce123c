"""The proxy's own dialect: POST /v1/generate.

Messages, tools, toolChoice and responseFormat have OpenAI's forms; everything else is named
in camelCase. An unknown field is an error, so that a mistyped one is not silently ignored.
Streams: `event: delta` for each piece, then one `done` (the response less `data`) or `error`.
"""

import math
import re
from datetime import UTC, datetime
from typing import Any

import msgspec
from msgspec import UNSET, Raw, Struct, UnsetType

from proxy.core.chat import (
    Answer,
    Attempt,
    CacheControl,
    CacheMode,
    Call,
    ChatRequest,
    Chunk,
    Message,
    ResponseFormat,
    Routing,
    Served,
    Strategy,
    ToolCallDelta,
    Usage,
)
from proxy.core.errors import InvalidRequest, ProxyError
from proxy.core.nesting import Text
from proxy.core.sse import frame
from proxy.dialects import older_forms, reading
from proxy.dialects.messages import (
    Choice,
    Messages,
    Tools,
    check_choice,
    check_format,
    check_messages,
    check_tools,
    raw_messages,
    tool_call,
)
from proxy.dialects.reading import invalid


class _Cache(Struct, frozen=True, forbid_unknown_fields=True):
    ttl: reading.Seconds | None = None
    mode: CacheMode = "default"


class _Ask(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, rename="camel"):
    """The body of a request. null is the same as a field that is not there."""

    prompt: str | None = None
    messages: Messages | None = None
    system: str | None = None
    provider: reading.Name | None = None
    model: reading.Name | None = None
    max_tokens: reading.Count | None = None
    temperature: reading.Temperature | None = None
    top_p: reading.Share | None = None
    stop: reading.Stop | None = None
    seed: reading.Seed | None = None
    stream: bool | None = None
    tools: Tools | None = None
    tool_choice: Choice | None = None
    response_format: ResponseFormat | None = None
    strategy: Strategy | None = None
    fallback: bool | reading.Names | None = None
    cache: _Cache | None = None
    user: reading.Label | None = None
    metadata: reading.Metadata | None = None
    timeout: reading.Milliseconds | None = None


class _Raws(Struct, frozen=True):
    messages: Raw = Raw()
    tools: Raw = Raw()


_REASONING = re.compile(rb'"reasoningDetails"\s*:')
_FIELDS = msgspec.json.Decoder(dict[str, Raw])
_ASK = msgspec.json.Decoder(_Ask)
_RAWS = msgspec.json.Decoder(_Raws)


def parse_chat(body: Text) -> Call:
    """Reads and validates a request. Raises InvalidRequest, its message naming the field."""
    reading.check(body)
    raws = reading.decode(_RAWS, body)
    turns = older_forms.modernize_messages(raws.messages)
    if turns is not raws.messages:
        body = older_forms.with_changes(body, reading.decode(_FIELDS, body), {"messages": turns})
        reading.check(body)
        raws = reading.decode(_RAWS, body)
    ask = reading.decode(_ASK, body)
    tools = ask.tools or ()
    check_tools(tools)
    check_format(ask.response_format, "responseFormat")
    messages, raw = _conversation(ask, raws.messages)
    raw = tuple(_as_openai(text) if _REASONING.search(text) else text for text in raw)
    cache = ask.cache or _Cache()
    return Call(
        chat=ChatRequest(
            messages=messages,
            stream=bool(ask.stream),
            max_tokens=ask.max_tokens,
            temperature=ask.temperature,
            top_p=ask.top_p,
            stop=reading.stops(ask.stop),
            seed=ask.seed,
            tools=tools,
            tool_choice=check_choice(ask.tool_choice, tools, "toolChoice"),
            response_format=ask.response_format,
            raw_messages=raw,
            raw_tools=raws.tools.copy() if tools else None,  # does not keep the whole body
        ),
        routing=Routing(
            model=ask.model or "auto",
            provider=ask.provider,
            strategy=ask.strategy,
            fallback=True if ask.fallback is None else ask.fallback,
            timeout_ms=ask.timeout,
        ),
        cache=CacheControl(ttl=cache.ttl, mode=cache.mode),
        user=ask.user or None,
        metadata=reading.labels(ask.metadata),
    )


def _conversation(ask: _Ask, raw: Raw) -> tuple[tuple[Message, ...], tuple[Raw, ...]]:
    """The messages, the system prompt before them, and the bytes of each."""
    if ask.prompt is not None and ask.messages is not None:
        raise InvalidRequest("prompt, messages: Give one of them, not both", param="prompt")
    system = (Message(role="system", content=ask.system),) if ask.system else ()
    if ask.messages is not None:
        check_messages(ask.messages)
        own = tuple(Raw(msgspec.json.encode(message)) for message in system)
        return system + ask.messages, own + raw_messages(raw)
    if ask.prompt is None:
        raise invalid("prompt", "Missing; give prompt or messages")
    if not ask.prompt or ask.prompt.isspace():
        raise invalid("prompt", "Must not be empty")
    return (*system, Message(role="user", content=ask.prompt)), ()


def _as_openai(message: Raw) -> Raw:
    """A message with `reasoningDetails`, as answers call them, under OpenRouter's name for them."""
    fields = _FIELDS.decode(message)
    details = fields.pop("reasoningDetails", None)
    if details is None:
        return message
    return Raw(msgspec.json.encode({"reasoning_details": details} | fields))


class _Usage(Struct, frozen=True, rename="camel"):
    input_tokens: int
    output_tokens: int
    total_tokens: int
    cached_tokens: int | UnsetType = UNSET
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
    reasoning_details: Any
    tool_calls: list[dict[str, Any]] | UnsetType
    annotations: Any
    extra: dict[str, Any] | UnsetType
    provider: str
    model: str
    usage: _Usage | None
    metadata: _Metadata


def answer(answer: Answer, served: Served) -> bytes:
    """The body of a complete answer. `data` is its text, "" where it has none; tool calls,
    reasoning with what goes back of it (`reasoningDetails`), annotations, a refusal and `extra`,
    the provider's other fields of the message, stand beside."""
    return msgspec.json.encode(_response(answer, served, data=answer.text or ""))


def error(error: ProxyError, request_id: str, timestamp: float) -> bytes:
    """The body of an error; `code` is its HTTP status, `retryAfter` whole seconds."""
    told: dict[str, Any] = {
        "type": error.type,
        "message": error.message,
        "code": error.status,
        "source": error.source,
    }
    if error.param is not None:
        told["param"] = error.param
    if error.limit is not None:
        told["limit"] = error.limit
    if error.retry_after is not None:
        told["retryAfter"] = max(0, math.ceil(error.retry_after))
    moment = datetime.fromtimestamp(timestamp, UTC).replace(microsecond=0, tzinfo=None)
    metadata: dict[str, Any] = {"requestId": request_id, "timestamp": f"{moment.isoformat()}Z"}
    if error.attempts:
        metadata["attempts"] = error.attempts
    return msgspec.json.encode({"success": False, "error": told, "metadata": metadata})


class Writer:
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


def writer(call: Call, served: Served) -> Writer:
    """A writer for one stream; this dialect needs to know nothing beforehand."""
    return Writer()


def _delta(kind: str, value: str | dict[str, Any]) -> bytes:
    return frame(msgspec.json.encode({kind: value}), "delta")


def _tool_call_delta(delta: ToolCallDelta) -> dict[str, Any]:
    told: dict[str, Any] = {"index": delta.index}
    if delta.id is not None:
        told["id"] = delta.id
    if delta.name is not None:
        if delta.type == "custom":
            told["type"] = delta.type
        told["name"] = delta.name
    told["input" if delta.type == "custom" else "arguments"] = delta.arguments
    return told


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
        reasoning_tokens=UNSET if usage.reasoning is None else usage.reasoning,
    )


def _metadata(answer: Answer, served: Served) -> _Metadata:
    from_cache = served.cache_status in ("hit", "stale")
    return _Metadata(
        response_time=served.ms,
        cache_status=served.cache_status,
        cost=0 if from_cache else served.cost.usd,
        cost_origin=None if from_cache else served.cost.origin,
        request_id=served.request_id,
        cache_tier=served.cache_tier,
        finish_reason=answer.finish_reason,
        attempts=served.attempts,
        dropped=served.dropped or UNSET,
        routing=UNSET if served.explained is None else served.explained,
    )
