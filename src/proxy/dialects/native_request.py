"""Reads requests in the proxy's own dialect: POST /v1/generate.

Messages, tools, toolChoice and responseFormat have OpenAI's forms; everything else is named
in camelCase. An unknown field is an error, so that a mistyped one is not silently ignored.
"""

import re

import msgspec
from msgspec import Raw, Struct

from proxy.core.cache_control import CacheControl, CacheMode
from proxy.core.chat import Call, ChatRequest, Routing, Strategy
from proxy.core.errors import InvalidRequest, invalid
from proxy.core.json_guard import Text, spell
from proxy.core.messages import Message, ResponseFormat
from proxy.core.splice import FIELDS, ITEMS
from proxy.dialects import older_forms, reading
from proxy.dialects.messages import (
    Messages,
    ToolChoice,
    Tools,
    check_choice,
    check_format,
    check_messages,
    check_tools,
)


class _NativeCache(Struct, frozen=True, forbid_unknown_fields=True):
    ttl: reading.Seconds | None = None
    mode: CacheMode = "default"


class _NativeBody(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, rename="camel"):
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
    tool_choice: ToolChoice | None = None
    response_format: ResponseFormat | None = None
    strategy: Strategy | None = None
    fallback: bool | reading.Names | None = None
    cache: _NativeCache | None = None
    user: reading.Label | None = None
    metadata: reading.Metadata | None = None
    timeout: reading.Milliseconds | None = None
    session_id: reading.Label | None = None


class _Raws(Struct, frozen=True):
    messages: Raw = Raw()
    tools: Raw = Raw()


_REASONING = re.compile(rb"%b\s*:" % spell("reasoningDetails"))
_BODY = msgspec.json.Decoder(_NativeBody)
_RAWS = msgspec.json.Decoder(_Raws)


def parse_chat(body: Text) -> Call:
    """Reads and validates a request. Raises InvalidRequest, its message naming the field."""
    reading.check(body)
    raws = reading.decode(_RAWS, body)
    turns = older_forms.modernize_messages(raws.messages)
    if turns is not raws.messages:
        body = older_forms.with_changes(body, reading.decode(FIELDS, body), {"messages": turns})
        reading.check(body)
        raws = reading.decode(_RAWS, body)
    request = reading.decode(_BODY, body)
    cache = request.cache or _NativeCache()
    return Call(
        chat=_chat(request, raws),
        routing=Routing(
            model=request.model or "auto",
            provider=request.provider,
            strategy=request.strategy,
            fallback=True if request.fallback is None else request.fallback,
            timeout_ms=request.timeout,
        ),
        cache=CacheControl(ttl=cache.ttl, mode=cache.mode),
        user=request.user or None,
        metadata=reading.labels(request.metadata),
        session=request.session_id or "",
    )


def _chat(request: _NativeBody, raws: _Raws) -> ChatRequest:
    tools = request.tools or ()
    check_tools(tools)
    check_format(request.response_format, "responseFormat")
    messages, raw = _conversation(request, raws.messages)
    return ChatRequest(
        messages=messages,
        stream=bool(request.stream),
        max_tokens=request.max_tokens,
        temperature=request.temperature,
        top_p=request.top_p,
        stop=reading.stops(request.stop),
        seed=request.seed,
        tools=tools,
        tool_choice=check_choice(request.tool_choice, tools, "toolChoice"),
        response_format=request.response_format,
        raw_messages=tuple(_as_openai(text) if _REASONING.search(text) else text for text in raw),
        raw_tools=raws.tools.copy() if tools else None,  # does not keep the whole body
    )


def _conversation(request: _NativeBody, raw: Raw) -> tuple[tuple[Message, ...], tuple[Raw, ...]]:
    """The messages, the system prompt before them, and the bytes of each."""
    if request.prompt is not None and request.messages is not None:
        raise InvalidRequest("prompt, messages: Give one of them, not both", param="prompt")
    system = (Message(role="system", content=request.system),) if request.system else ()
    if request.messages is not None:
        check_messages(request.messages)
        own = tuple(Raw(msgspec.json.encode(message)) for message in system)
        return system + request.messages, own + ITEMS.decode(raw)
    if request.prompt is None:
        raise invalid("prompt", "Missing; give prompt or messages")
    if not request.prompt or request.prompt.isspace():
        raise invalid("prompt", "Must not be empty")
    return (*system, Message(role="user", content=request.prompt)), ()


def _as_openai(message: Raw) -> Raw:
    """A message with `reasoningDetails`, as answers call them, under OpenRouter's name for them."""
    fields = FIELDS.decode(message)
    details = fields.pop("reasoningDetails", None)
    if details is None:
        return message
    return Raw(msgspec.json.encode({"reasoning_details": details} | fields))
