"""Builds the body of a chat request in OpenAI's dialect.

It starts from the caller's own fields and changes only what this provider or model needs
changed, by the catalogue's data. Messages and tools that need no change keep their bytes, and
where nothing at all changes the body is the caller's own: a provider's prompt cache knows a
prefix by its bytes.
"""

from collections.abc import Sequence, Set
from hashlib import sha256
from operator import is_
from typing import Any

import msgspec
from msgspec import Raw

from proxy.core import splice
from proxy.core.chat import ChatRequest
from proxy.core.json_guard import Decoder
from proxy.core.messages import Message, ResponseFormat
from proxy.core.ports import Body
from proxy.core.splice import NULL, TRUE, as_raw
from proxy.providers.openai_message import build_message, build_tool
from proxy.providers.specs import ProviderSpec
from proxy.providers.target import Target
from proxy.providers.tool_results import move_images

Fields = dict[str, Any]
"""Values as they are encoded: Raw, a Piece, or an object."""

_PLAIN = (
    "max_tokens", "temperature", "top_p", "seed", "frequency_penalty", "presence_penalty",
    "logprobs", "top_logprobs", "parallel_tool_calls", "reasoning_effort",
)  # fmt: skip
"""Fields that a ChatRequest holds under OpenAI's name and in OpenAI's form."""
_KNOWN = frozenset(_PLAIN) | {
    "model", "messages", "stream", "stream_options", "stop", "tools", "tool_choice",
    "response_format", "max_completion_tokens",
}  # fmt: skip
_ANSWERING = ("assistant", "tool")
"""Roles of messages that may hold what a provider refuses."""
_LIMITS = ("max_tokens", "max_completion_tokens")
_WORD, _COUNT, _CALLS = Decoder(str), Decoder(float), Decoder(list[dict[str, Raw]])
_SCHEMA_PROMPT = "Answer with JSON only, and let it follow this JSON Schema: "


def build_body(target: Target, chat: ChatRequest) -> tuple[Body, tuple[str, ...]]:
    """The body, and the caller's fields that were left out."""
    own = chat.body if chat.dialect == "chat" else None
    chat = move_images(chat)
    messages = _list_messages(target, chat)
    if own is not None:
        given: Fields = splice.FIELDS.decode(own)
    else:
        given = build_fields(chat, messages)
    fields = given | {"model": as_raw(target.model.wire_id)}
    if chat.max_tokens is not None:
        _set_limit(chat.max_tokens, fields)
    if chat.stream:
        _ask_for_usage(target, fields)
    elif fields.get("stream") == TRUE:
        del fields["stream"]
    _set_messages(target, chat, messages, fields)
    dropped = adapt_fields(target, fields)
    if own is not None and fields == given:
        return own, ()
    return splice.encode_fields(fields), dropped


def build_fields(chat: ChatRequest, messages: Any) -> Fields:
    """The caller's fields in OpenAI's form, where the body itself was in another."""
    values = {
        "model": "",
        "messages": messages,
        "stream": chat.stream or None,
        "stop": chat.stop or None,
        "tools": chat.raw_tools or list(map(build_tool, chat.tools)) or None,
        "tool_choice": _build_tool_choice(chat.tool_choice),
        "response_format": _build_response_format(chat.response_format),
        **{name: getattr(chat, name) for name in _PLAIN},
    }
    fields = {
        name: value if name == "messages" else as_raw(value)
        for name, value in values.items()
        if value is not None
    }
    return fields if chat.dialect == "messages" else fields | chat.extra


def adapt_fields(target: Target, fields: Fields) -> tuple[str, ...]:
    """Makes of the settings what the catalogue says of provider and model. Returns those that are
    gone."""
    if target.efforts and "reasoning_effort" in fields:
        effort = _WORD.decode(fields["reasoning_effort"])
        fields["reasoning_effort"] = as_raw(target.efforts.get(effort, effort))
    for name, value in target.model.send.items():
        fields.setdefault(name, as_raw(value))
    return fit_fields(target, fields, _KNOWN)


def fit_fields(target: Target, fields: Fields, known: frozenset[str]) -> tuple[str, ...]:
    """Leaves out what the provider refuses, calls the rest by its names and returns the fields that
    are gone. known: the fields that are no caller's own invention."""
    refused, dropped = target.refused, tuple[str, ...]()
    if not target.spec.unknown_fields:
        refused |= fields.keys() - known - target.model.send.keys()
    if not refused.isdisjoint(fields):
        dropped = tuple(filter(refused.__contains__, fields))
        for name in dropped:
            del fields[name]
    rename_fields(target, fields)
    return dropped


def rename_fields(target: Target, fields: Fields) -> None:
    """Calls fields by the names that provider and model have for them."""
    for name, other in target.renamed.items():
        if name in fields:
            value = fields.pop(name)
            if fields.get(other, NULL) == NULL:
                fields[other] = value


def _set_limit(limit: int, fields: Fields) -> None:
    """Puts the limit of the answer that its budget holds in the place of the caller's."""
    given = {_COUNT.decode(fields[n]) for n in _LIMITS if fields.get(n, NULL) != NULL}
    if given != {limit}:
        for name in _LIMITS:
            fields.pop(name, None)
        fields["max_tokens"] = as_raw(limit)


def _ask_for_usage(target: Target, fields: Fields) -> None:
    """Asks for a stream with its usage: the accounting needs it whether the caller does or not."""
    fields["stream"] = TRUE
    if not target.spec.stream_usage:
        fields.pop("stream_options", None)
        return
    given = fields.get("stream_options", NULL)
    options = {} if given == NULL else splice.FIELDS.decode(given)
    if options.get("include_usage") != TRUE:
        fields["stream_options"] = as_raw({**options, "include_usage": True})


def _set_messages(
    target: Target, chat: ChatRequest, raws: Sequence[Raw | Fields], fields: Fields
) -> None:
    """Changes the messages that this provider would refuse as they are."""
    spec = target.spec
    edited = [
        _edit(target, raw, message)
        if message.role in _ANSWERING
        or message.role in spec.roles
        or not (spec.text_parts or isinstance(message.content, str))
        else raw
        for raw, message in zip(raws, chat.messages, strict=True)
    ]
    if spec.tool_bridge or spec.prefill:
        edited = _fit_order(spec, chat.messages, edited)
    changed = len(edited) != len(raws) or not all(map(is_, edited, raws))
    form = chat.response_format
    if form and form.json_schema and not target.takes_schema:
        schema = msgspec.json.encode(form.json_schema.schema_ or {}).decode()
        edited.insert(0, as_raw({"role": "system", "content": _SCHEMA_PROMPT + schema}))
        fields["response_format"] = as_raw({"type": "json_object"})
        changed = True
    if changed or chat.body is None or chat.dialect != "chat":
        fields["messages"] = [_as_piece(message) for message in edited]


def _fit_order(
    spec: ProviderSpec, messages: Sequence[Message], edited: Sequence[Raw | Fields]
) -> list[Raw | Fields]:
    """The messages in an order that the provider takes: with the assistant's word between a tool's
    result and a user's message, and a mark on an assistant's message at the end."""
    fitted = list[Raw | Fields]()
    for number, (message, piece) in enumerate(zip(messages, edited, strict=True)):
        before = messages[number - 1] if number else None
        if spec.tool_bridge and message.role == "user" and before and before.role == "tool":
            fitted.append(as_raw({"role": "assistant", "content": spec.tool_bridge}))
        fitted.append(piece)
    last = messages[-1]
    if spec.prefill and last.role == "assistant" and not last.tool_calls:
        given = splice.FIELDS.decode(fitted[-1]) if isinstance(fitted[-1], Raw) else fitted[-1]
        marks = {name: as_raw(value) for name, value in spec.prefill.items()}
        fitted[-1] = {name: _as_piece(value) for name, value in {**marks, **given}.items()}
    return fitted


def _list_messages(target: Target, chat: ChatRequest) -> Sequence[Raw | Fields]:
    """The messages' own bytes, or the messages where the caller's dialect was another."""
    if chat.raw_messages:
        return chat.raw_messages
    return [build_message(target, chat, place) for place in range(len(chat.messages))]


def _edit(target: Target, raw: Raw | Fields, message: Message) -> Raw | Fields:
    """A message as this provider takes it: the very same bytes where nothing has to change."""
    spec = target.spec
    in_parts = not spec.text_parts and isinstance(message.content, tuple)
    unlike = in_parts or message.role in spec.roles
    refused = target.refused_in_messages
    if not (unlike or refused or message.tool_calls or message.tool_call_id):
        return raw
    given = splice.FIELDS.decode(raw) if isinstance(raw, Raw) else raw
    fields = {name: value for name, value in given.items() if name not in refused}
    if message.role in spec.roles:
        fields["role"] = as_raw(spec.roles[message.role])
    if in_parts and all(part.type == "text" for part in message.parts):
        own = raw if isinstance(raw, Raw) else None
        fields["content"] = splice.join_texts(message, own)
    if message.tool_calls:
        fields["tool_calls"] = _edit_calls(spec, refused, fields["tool_calls"], message)
        for name, value in spec.tool_turn.items():
            fields.setdefault(name, as_raw(value))
    if message.tool_call_id:
        fields["tool_call_id"] = as_raw(fit_id(message.tool_call_id, spec))
    if fields == given:
        return raw
    return {name: _as_piece(value) for name, value in fields.items()}


def _edit_calls(spec: ProviderSpec, refused: Set[str], raw: Any, message: Message) -> Any:
    """The calls of a message as this provider takes them. raw: their bytes, where there are."""
    given = _CALLS.decode(raw if isinstance(raw, Raw) else msgspec.json.encode(raw))
    calls = [{name: value for name, value in call.items() if name not in refused} for call in given]
    for call, read in zip(calls, message.tool_calls or (), strict=True):
        call["id"] = as_raw(fit_id(read.id, spec))
        if "custom" in call and not spec.custom_tools:
            del call["custom"]
            call["type"] = as_raw("function")
            call["function"] = as_raw(read.as_function_call().function)
        function = splice.FIELDS.decode(call.get("function", b"{}"))
        if function.get("arguments") == NULL:
            call["function"] = as_raw({**function, "arguments": "{}"})
    return raw if calls == given else as_raw(calls)


def fit_id(id_: str, spec: ProviderSpec) -> str:
    """A call's id as the provider takes it: one that it would refuse becomes its hash, so that the
    call and its result, and the same call in the next request, get the same one."""
    limit, length = spec.tool_id_limit, spec.tool_id_length
    if length is not None and not (len(id_) == length and id_.isascii() and id_.isalnum()):
        return sha256(id_.encode()).hexdigest()[:length]
    if limit is None or len(id_) <= limit:
        return id_
    return f"call_{sha256(id_.encode()).hexdigest()}"[:limit]


def _build_tool_choice(choice: str | None) -> Any:
    kind, _, name = (choice or "").partition(":")
    return {"type": kind, kind: {"name": name}} if name else choice


def _build_response_format(form: ResponseFormat | None) -> Any:
    if form is None or form.json_schema is None:
        return form
    schema = {"name": form.json_schema.name} | msgspec.to_builtins(form.json_schema)
    return {"type": form.type, "json_schema": schema}


def _as_piece(value: Any) -> Any:
    return splice.wrap(value) if isinstance(value, Raw) else value
