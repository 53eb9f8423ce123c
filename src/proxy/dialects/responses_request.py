"""What callers of OpenAI's Responses request.

The proxy's own fields may stand beside OpenAI's, as in chat completions. What no other dialect
has a place for, and changes no answer, is named in `Call.dropped`; what would change it binds the
request to a provider of Responses, or is refused by its name. References to earlier responses are
resolved before (responses_references).
"""

from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta, Raw, Struct, structs

from proxy.core.chat import Call, ChatRequest
from proxy.core.errors import invalid
from proxy.core.messages import JSONObject, JSONSchema, ResponseFormat
from proxy.core.splice import FIELDS, ITEMS, NULL, wrap
from proxy.dialects import reading
from proxy.dialects.messages import check_format
from proxy.dialects.older_forms import with_changes
from proxy.dialects.responses_items import Conversation, Item, check_conversation
from proxy.dialects.responses_references import MAX_ITEMS, response_not_found
from proxy.dialects.responses_tools import (
    Choice,
    OfferedTools,
    Toolbox,
    ToolChoice,
    choose,
    describe_tools,
)
from proxy.dialects.steering import OWN, CacheWish, Steering, read_cache, read_routing, read_vendors

SEALED = "reasoning.encrypted_content"
LOGPROBS = "message.output_text.logprobs"
"""The two of `include` that mean something to a provider of another dialect."""

_Items = Annotated[tuple[Item, ...], Meta(max_length=MAX_ITEMS)]
_Word = reading.Label


class _Format(Struct, frozen=True):
    """`text.format`: the schema's fields stand beside the type."""

    type: str
    name: str | None = None
    schema: JSONObject | None = None
    strict: bool | None = None
    description: str | None = None


class _Text(Struct, frozen=True):
    format: _Format | None = None
    verbosity: _Word | None = None


class _Reasoning(Struct, frozen=True):
    effort: reading.Name | None = None
    summary: Literal["auto", "concise", "detailed"] | None = None
    generate_summary: Literal["auto", "concise", "detailed"] | None = None
    """The older name of `summary`."""
    context: str | None = None
    mode: str | None = None

    @property
    def wanted_summary(self) -> str | None:
        """The summary by either name."""
        return self.summary or self.generate_summary


class _Body(Steering, frozen=True, kw_only=True):
    """The body of a request. null is the same as a field that is not there."""

    input: str | _Items | None = None
    instructions: str | None = None
    stream: bool | None = None
    max_output_tokens: reading.Count | None = None
    temperature: reading.Temperature | None = None
    top_p: reading.Share | None = None
    top_logprobs: Annotated[int, Meta(ge=0, le=20)] | None = None
    tools: OfferedTools | None = None
    tool_choice: str | ToolChoice | None = None
    parallel_tool_calls: bool | None = None
    max_tool_calls: int | None = None
    text: _Text | None = None
    reasoning: _Reasoning | None = None
    include: tuple[_Word, ...] | None = None
    store: bool | None = None
    background: bool | None = None
    previous_response_id: str | None = None
    conversation: Any = None
    prompt: Any = None
    truncation: _Word | None = None
    metadata: reading.Metadata | None = None
    user: reading.Label | None = None
    safety_identifier: reading.Label | None = None
    prompt_cache_key: reading.Label | None = None
    service_tier: _Word | None = None
    session_id: reading.Label | None = None
    cache: CacheWish | None = None


_BODY = msgspec.json.Decoder(_Body)
_ANY = msgspec.json.Decoder()
_TEXT = msgspec.json.Decoder(_Text)
_REASONING = msgspec.json.Decoder(_Reasoning)

_OWN = OWN | {"session_id"}
_NO_TEXT, _NO_REASONING = _Text(), _Reasoning()
_KNOWN = frozenset(_Body.__struct_fields__)
_PASSED_ON = ("safety_identifier", "prompt_cache_key", "service_tier")
"""Fields that OpenAI's chat completions have by the same name."""
_SILENT = frozenset({"stream_options", "client_metadata"})
"""Fields that mean nothing to any other provider, and that clients send always."""


def parse_chat(body: bytes) -> Call:
    """Reads and validates a request without references. Raises InvalidRequest, its message naming
    the field, and NotFound for an item by its id."""
    reading.check(body)
    fields = reading.read_fields(body, _KNOWN)
    request = reading.decode(_BODY, body)
    _refuse(request)
    talk = _read_input(request, fields)
    request = _with_changes_of_settings(request, talk.settings)
    toolbox, choice = _read_tools(request, talk)
    unknown = _read_unknown(fields)
    beside = _beside(unknown, fields, talk, toolbox)
    chat = structs.replace(
        _chat(request, talk, choice),
        vendors=read_vendors(request, fields),
        body=_pass_on(body, fields, talk, beside),
        beside=beside,
    )
    return Call(
        chat=chat,
        routing=read_routing(request),
        cache=read_cache(request.cache),
        user=request.user or None,
        metadata=reading.labels(request.metadata),
        session=request.session_id or request.prompt_cache_key or "",
        bridged=toolbox.bridged,
        rebuilt=chat.body is None,
        echo=_echo(request, fields),
        dropped=_dropped(request, unknown, talk, toolbox),
    )


def _pass_on(
    body: bytes, fields: dict[str, Raw], talk: Conversation, beside: tuple[Raw, ...]
) -> bytes | None:
    """What may go on to a provider of Responses: the body less what is not for it. None: it holds
    another's reasoning, and nothing that a new body would lack. beside: as in ChatRequest."""
    changed: dict[str, Any] = {name: None for name in _OWN if name in fields}
    if talk.foreign:
        if not beside:
            return None
        items = enumerate(ITEMS.decode(fields["input"]))
        changed["input"] = [wrap(raw) for index, raw in items if index not in talk.foreign]
    return with_changes(body, fields, changed)


def _chat(request: _Body, talk: Conversation, choice: Choice) -> ChatRequest:
    """The request for a model, as far as its fields say it."""
    text, reasoning = request.text or _NO_TEXT, request.reasoning or _NO_REASONING
    wants_logprobs = LOGPROBS in (request.include or ()) or request.top_logprobs
    return ChatRequest(
        messages=tuple(talk.messages),
        stream=bool(request.stream),
        max_tokens=request.max_output_tokens,
        temperature=request.temperature,
        top_p=request.top_p,
        logprobs=True if wants_logprobs else None,
        top_logprobs=request.top_logprobs or None,
        tools=choice.tools,
        tool_choice=choice.choice,
        parallel_tool_calls=request.parallel_tool_calls,
        response_format=_read_format(text.format),
        reasoning_effort=reasoning.effort,
        reasoning_summary=reasoning.wanted_summary,
        extra=_extra(request, text),
        dialect="responses",
        native_only=talk.native_only or choice.native_only,
        bridges_custom=True,
    )


def _refuse(request: _Body) -> None:
    """Raises InvalidRequest for what would need a state that only OpenAI keeps."""
    if request.background:
        raise invalid("background", "Not supported; leave it out, and stream long answers")
    if request.conversation is not None:
        raise invalid("conversation", "Not supported; use previous_response_id, or send the items")
    if request.prompt is not None:
        raise invalid("prompt", "Not supported; send its text as instructions and input")
    if request.previous_response_id:
        raise response_not_found(request.previous_response_id)


def _read_input(request: _Body, fields: dict[str, Raw]) -> Conversation:
    talk = Conversation()
    if request.instructions:
        talk.say("system", request.instructions)
    if request.input is None:
        raise invalid("input", "Missing")
    if isinstance(request.input, str):
        talk.say("user", request.input)
    else:
        talk.read(request.input, fields["input"])
    if not talk.native_only:
        check_conversation(talk.messages)
    return talk


def _with_changes_of_settings(request: _Body, items: list[Item]) -> _Body:
    """The request with the settings as the last item that changes them leaves them."""
    for item in items:
        if item.text:
            new, old = reading.decode(_TEXT, item.text, "input.text"), request.text or _NO_TEXT
            text = _Text(new.format or old.format, new.verbosity or old.verbosity)
            request = structs.replace(request, text=text)
        if item.reasoning:
            effort = reading.decode(_REASONING, item.reasoning, "input.reasoning").effort
            reasoning = structs.replace(request.reasoning or _NO_REASONING, effort=effort)
            request = structs.replace(request, reasoning=reasoning)
    return request


def _read_tools(request: _Body, talk: Conversation) -> tuple[Toolbox, Choice]:
    toolbox = Toolbox()
    toolbox.add(request.tools or (), "tools")
    for offered, path in talk.offered:
        toolbox.add(offered, path, again=True)
    return toolbox, choose(toolbox, request.tool_choice)


def _read_format(given: _Format | None) -> ResponseFormat | None:
    if given is None or given.type == "text":
        return None
    if given.type == "json_schema" and given.schema is None:
        raise invalid("text.format.schema", "Missing")
    schema = JSONSchema(given.name or "answer", given.schema, given.strict, given.description)
    form = ResponseFormat(given.type, schema if given.type == "json_schema" else None)
    check_format(form, "text.format")
    return form


def _extra(request: _Body, text: _Text) -> dict[str, Raw]:
    """OpenAI's fields of chat completions."""
    given = {name: getattr(request, name) for name in _PASSED_ON} | {"verbosity": text.verbosity}
    return {name: Raw(msgspec.json.encode(value)) for name, value in given.items() if value}


def _read_unknown(fields: dict[str, Raw]) -> dict[str, Raw]:
    """The fields that only a provider of Responses may know. Raises InvalidRequest for one that is
    no proper JSON."""
    unknown = {n: raw for n, raw in fields.items() if n not in _KNOWN and raw != NULL}
    reading.check_values(unknown)
    return unknown


def _beside(
    unknown: dict[str, Raw], fields: dict[str, Raw], talk: Conversation, toolbox: Toolbox
) -> tuple[Raw, ...]:
    """What may change the answer of a provider of Responses, and stands nowhere else."""
    given: dict[str, Any] = {**unknown}
    if talk.unread:
        given["input"] = talk.unread_at
    names = ["include", "max_tool_calls", "truncation"]
    if toolbox.hosted:
        names += ["tools", "tool_choice"]
    given |= {name: fields[name] for name in names if fields.get(name, NULL) != NULL}
    reasoning = fields.get("reasoning", NULL)
    if reasoning != NULL and FIELDS.decode(reasoning).keys() - {"effort"}:
        given["reasoning"] = reasoning
    kept = (Raw(msgspec.json.encode(given)),) if given else ()
    return (*kept, *talk.unread)


def _dropped(
    request: _Body, unknown: dict[str, Raw], talk: Conversation, toolbox: Toolbox
) -> tuple[str, ...]:
    """The names of what a provider of another dialect does not get."""
    reasoning = request.reasoning or _NO_REASONING
    names = sorted(unknown.keys() - _SILENT)
    names += [f"reasoning.{n}" for n in ("context", "mode") if getattr(reasoning, n) is not None]
    if request.max_tool_calls is not None:
        names.append("max_tool_calls")
    if request.truncation not in (None, "disabled"):
        names.append("truncation")
    names += (
        f"include.{wanted}" for wanted in request.include or () if wanted not in (SEALED, LOGPROBS)
    )
    names += (f"tools.{kind}" for kind in toolbox.hosted)
    names += (f"input.{kind}" for kind in talk.dropped)
    return tuple(dict.fromkeys(names))


def _echo(request: _Body, fields: dict[str, Raw]) -> JSONObject:
    """What the answer repeats of the request, by the names of the response, and `include`. It
    holds no view of the body, which would keep all of it in memory."""
    choice = reading.decode(_ANY, fields.get("tool_choice", NULL), "tool_choice")
    text, reasoning = request.text or _NO_TEXT, request.reasoning or _NO_REASONING
    return {
        "instructions": request.instructions,
        "max_output_tokens": request.max_output_tokens,
        "max_tool_calls": request.max_tool_calls,
        "parallel_tool_calls": request.parallel_tool_calls is not False,
        "prompt_cache_key": request.prompt_cache_key,
        "reasoning": {"effort": reasoning.effort, "summary": reasoning.wanted_summary},
        "safety_identifier": request.safety_identifier,
        "service_tier": request.service_tier or "default",
        "store": request.store is not False,
        "temperature": 1.0 if request.temperature is None else request.temperature,
        "text": {"format": _echo_format(text.format), "verbosity": text.verbosity or "medium"},
        "tool_choice": "auto" if choice is None else choice,
        "tools": describe_tools(fields.get("tools", NULL)),
        "top_logprobs": request.top_logprobs or 0,
        "top_p": 1.0 if request.top_p is None else request.top_p,
        "truncation": request.truncation or "disabled",
        "user": request.user,
        "metadata": request.metadata or {},
        "include": request.include or (),
    }


def _echo_format(form: _Format | None) -> JSONObject:
    if form is None or form.type != "json_schema":
        return {"type": form.type if form else "text"}
    return structs.asdict(form)
