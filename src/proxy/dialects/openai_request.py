"""What callers of OpenAI's dialect request: chat completions and embeddings.

Beside OpenAI's fields stand the proxy's own (`provider`, `fallback`, `strategy`, `cache`,
`timeout`, `session_id`), LiteLLM's `cache` object and OpenRouter's `models` and `provider`
object. Fields that are not known here are kept for a provider of this dialect; a body without
any of the proxy's fields is kept whole, so that it can go on unchanged.
"""

from typing import Annotated, Literal

import msgspec
from msgspec import Meta, Raw, Struct

from proxy.core.chat import Call, ChatRequest, Routing
from proxy.core.embedding import EmbeddingRequest
from proxy.core.errors import InvalidRequest, invalid
from proxy.core.messages import ResponseFormat
from proxy.core.splice import FIELDS, ITEMS, TRUE
from proxy.dialects import older_forms, reading
from proxy.dialects.messages import (
    Messages,
    NamedChoice,
    ToolChoice,
    Tools,
    check_choice,
    check_format,
    check_messages,
    check_tools,
)
from proxy.dialects.steering import OWN, CacheWish, Steering, read_cache, read_routing, read_vendors

EMBEDDING_INPUTS = 2048
"""Texts in one request for embeddings: OpenAI's own limit."""


class _StreamOptions(Struct, frozen=True):
    include_usage: bool | None = None


class _ChatBody(Steering, frozen=True, kw_only=True):
    """The body of a chat completion. null is the same as a field that is not there."""

    messages: Messages
    stream: bool | None = None
    stream_options: _StreamOptions | None = None
    max_tokens: reading.Count | None = None
    max_completion_tokens: reading.Count | None = None
    temperature: reading.Temperature | None = None
    top_p: reading.Share | None = None
    stop: reading.Stop | None = None
    seed: reading.Seed | None = None
    n: int | None = None
    frequency_penalty: reading.Penalty | None = None
    presence_penalty: reading.Penalty | None = None
    logprobs: bool | None = None
    top_logprobs: Annotated[int, Meta(ge=0, le=20)] | None = None
    tools: Tools | None = None
    tool_choice: ToolChoice | None = None
    parallel_tool_calls: bool | None = None
    response_format: ResponseFormat | None = None
    reasoning_effort: reading.Name | None = None
    user: reading.Label | None = None
    metadata: reading.Metadata | None = None
    cache: CacheWish | None = None
    session_id: reading.Label | None = None


_Tokens = list[Annotated[int, Meta(ge=0)]]


class _EmbeddingBody(Steering, frozen=True, kw_only=True):
    """The body of a request for embeddings."""

    input: str | list[str | Annotated[int, Meta(ge=0)] | _Tokens]
    encoding_format: Literal["float", "base64"] | None = None
    dimensions: reading.Count | None = None
    user: reading.Label | None = None
    metadata: reading.Metadata | None = None


_CHAT = msgspec.json.Decoder(_ChatBody)
_EMBED = msgspec.json.Decoder(_EmbeddingBody)

_OWN = OWN | {"metadata", "session_id"}
_KNOWN_IN_CHAT = frozenset(_ChatBody.__struct_fields__)
_KNOWN_IN_EMBED = frozenset(_EmbeddingBody.__struct_fields__)


def parse_chat(body: bytes) -> Call:
    """Reads and validates a chat completion's request. Raises InvalidRequest, its message
    naming the field."""
    reading.check(body)
    fields = reading.read_fields(body, _KNOWN_IN_CHAT)
    if older_forms.is_of_today(fields):
        return _call(body, fields, functions=False)
    functions = older_forms.uses_functions(fields)
    given, body = body, older_forms.modernize(body, fields)
    if body is not given:
        reading.check(body)
        fields = reading.decode(FIELDS, body)
    try:
        return _call(body, fields, functions=functions)
    except InvalidRequest as error:
        raise older_forms.as_given(error) if functions else error from None


def _call(body: bytes, fields: dict[str, Raw], *, functions: bool) -> Call:
    """The call that a body in today's form makes. functions: as in Call."""
    request = reading.decode(_CHAT, body)
    _check(request, fields)
    extra = _unknown(fields, _KNOWN_IN_CHAT)
    is_plain = _OWN.isdisjoint(fields)
    # OpenAI takes metadata only for what it stores; else it labels the request for the proxy.
    if request.metadata and extra.get("store") == TRUE:
        extra["metadata"] = fields["metadata"]
        is_plain = (_OWN - {"metadata"}).isdisjoint(fields)
    return Call(
        chat=_chat(request, fields, extra, body if is_plain else None),
        routing=Routing(model=request.model or "auto") if is_plain else read_routing(request),
        cache=read_cache(request.cache),
        user=request.user or None,
        metadata=reading.labels(request.metadata) if request.metadata else {},
        include_usage=bool(request.stream_options and request.stream_options.include_usage),
        functions=functions,
        session=request.session_id or "",
    )


def _chat(
    request: _ChatBody, fields: dict[str, Raw], extra: dict[str, Raw], body: bytes | None
) -> ChatRequest:
    """The request for a model. body: what may go on as it is."""
    tools, choice = request.tools or (), request.tool_choice
    if isinstance(choice, NamedChoice) and not choice.is_one_tool:
        extra["tool_choice"] = fields["tool_choice"]  # allowed_tools, hosted tools
        choice = None
    return ChatRequest(
        messages=request.messages,
        stream=bool(request.stream),
        max_tokens=request.max_completion_tokens or request.max_tokens,
        temperature=request.temperature,
        top_p=request.top_p,
        stop=reading.stops(request.stop) if request.stop else (),
        seed=request.seed,
        frequency_penalty=request.frequency_penalty,
        presence_penalty=request.presence_penalty,
        logprobs=request.logprobs,
        top_logprobs=request.top_logprobs,
        tools=tools,
        tool_choice=check_choice(choice, tools, "tool_choice") if choice else None,
        parallel_tool_calls=request.parallel_tool_calls,
        response_format=request.response_format,
        reasoning_effort=request.reasoning_effort,
        vendors=read_vendors(request, fields) if request.provider else None,
        extra=extra,
        raw_messages=ITEMS.decode(fields["messages"]),
        raw_tools=fields["tools"] if tools else None,
        body=body,
    )


def parse_embeddings(body: bytes) -> EmbeddingRequest:
    """Reads and validates a request for embeddings. Raises InvalidRequest, its message naming
    the field."""
    reading.check(body)
    fields = reading.read_fields(body, _KNOWN_IN_EMBED)
    request = reading.decode(_EMBED, body)
    return EmbeddingRequest(
        input=_inputs(request.input),
        listed=isinstance(request.input, list) and not isinstance(request.input[0], int),
        vendors=read_vendors(request, fields),
        routing=read_routing(request),
        dimensions=request.dimensions,
        base64=request.encoding_format == "base64",
        user=request.user or None,
        metadata=reading.labels(request.metadata),
        extra=_unknown(fields, _KNOWN_IN_EMBED),
    )


def _check(request: _ChatBody, fields: dict[str, Raw]) -> None:
    if request.n is not None and request.n != 1:
        raise invalid("n", "Only 1 is supported; send the request as often as you want answers")
    old_limit, limit = request.max_tokens, request.max_completion_tokens
    if old_limit is not None and limit is not None and old_limit != limit:
        raise invalid("max_tokens", "Differs from max_completion_tokens; give one of them")
    check_messages(request.messages)
    if request.tools:
        check_tools(request.tools)
    if "response_format" in fields:
        check_format(request.response_format, "response_format")
        # What is not known in it goes on too.
        reading.check_values({"response_format": fields["response_format"]})


def _unknown(fields: dict[str, Raw], known: frozenset[str]) -> dict[str, Raw]:
    """The fields that are not known. Raises InvalidRequest for one that is no proper JSON."""
    unknown = {name: value for name, value in fields.items() if name not in known}
    reading.check_values(unknown)
    return unknown


def _inputs(
    given: str | list[str | int | list[int]],
) -> tuple[str, ...] | tuple[tuple[int, ...], ...]:
    """The inputs as a tuple of texts or of token lists, whichever form they came in."""
    if isinstance(given, str):
        given = [given]
    texts = tuple(item for item in given if isinstance(item, str))
    lists = tuple(tuple(item) for item in given if isinstance(item, list))
    tokens = tuple(item for item in given if isinstance(item, int))
    if max(len(texts), len(lists), len(tokens)) < len(given):
        raise invalid("input", "Expected only strings, only tokens or only lists of tokens")
    inputs: tuple[str, ...] | tuple[tuple[int, ...], ...] = texts or lists or (tokens,)
    if len(inputs) > EMBEDDING_INPUTS:
        raise invalid("input", f"Expected array of length <= {EMBEDDING_INPUTS}")
    if not all(inputs):
        index = next(index for index, item in enumerate(inputs) if not item)
        raise invalid(f"input[{index}]" if len(given) > 1 else "input", "Must not be empty")
    return inputs
