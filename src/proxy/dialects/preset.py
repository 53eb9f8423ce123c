"""Puts what an alias says into a request, in every form in which the request is held: the fields
that other dialects are built from, the bytes of each message, and the caller's own body.

A field that a dialect has no word for changes the first of these only: a provider of that dialect
gets the request without it.
"""

from collections.abc import Callable
from typing import Any

import msgspec
from msgspec import Raw, Struct, structs

from proxy.core import splice
from proxy.core.chat import Call, ChatRequest
from proxy.core.messages import JSONObject, Message, Part, ResponseFormat, Role
from proxy.core.preset import Preset
from proxy.core.splice import NULL, as_raw, begins
from proxy.dialects.older_forms import with_changes

Fields = dict[str, Raw]


class _Turn(Struct):
    role: str | None = None


_TURN = msgspec.json.Decoder(_Turn)
_SYSTEM = ("system", "developer")
_SAME = ("temperature", "top_p", "seed", "frequency_penalty", "presence_penalty")
"""Settings that chat completions call as ChatRequest does."""
_EFFORTS = frozenset({"reasoning", "thinking", "enable_thinking", "thinking_budget"})
"""What single providers call `reasoning_effort`: of both some take this."""


def put_preset(call: Call, preset: Preset) -> Call:
    """The call with what the preset says; the very same where that changes nothing."""
    call = _leave_out_efforts(call, preset)
    chat = call.chat
    changes = _find_changes(chat, preset)
    words = _find_words(chat, preset)
    if not (changes or words):
        return call
    is_anew = preset.system_mode == "replace"
    if words:
        # Where the dialect has a field for the system's words, that is not any of the messages.
        apart = chat.dialect == "responses" and not call.echo.get("instructions")
        chat = _put_words(chat, words, anew=is_anew, apart=apart)
    body = chat.body
    if body is not None:
        fields = splice.FIELDS.decode(body)
        changed = _SETTINGS[chat.dialect](changes, fields)
        if words:
            changed |= _WORDS[chat.dialect](chat, fields, words, is_anew)
        body = with_changes(body, fields, changed)
    extra = chat.extra
    if chat.dialect == "messages":
        extra = {**extra, **_spell_thinking(changes, extra)}
    chat = structs.replace(chat, **changes, body=body, extra=extra)
    prompted = call.prompted or bool(words)
    return structs.replace(call, chat=chat, echo=_echo(call, changes), prompted=prompted)


def _leave_out_efforts(call: Call, preset: Preset) -> Call:
    """The call without what would count beside the effort that the preset fixes."""
    chat = call.chat
    is_fixed = preset.fixed.reasoning_effort and chat.dialect == "chat"
    if not is_fixed or _EFFORTS.isdisjoint(chat.extra):
        return call
    body, extra = chat.body, {n: v for n, v in chat.extra.items() if n not in _EFFORTS}
    if body is not None:
        body = with_changes(body, splice.FIELDS.decode(body), dict.fromkeys(_EFFORTS))
    return structs.replace(call, chat=structs.replace(chat, body=body, extra=extra))


def _find_changes(chat: ChatRequest, preset: Preset) -> dict[str, Any]:
    """The fields of the request that the preset changes, by their names."""
    defaults = preset.defaults.list_given()
    if chat.dialect == "chat" and not _EFFORTS.isdisjoint(chat.extra):
        defaults.pop("reasoning_effort", None)
    wanted = {name: v for name, v in defaults.items() if getattr(chat, name) in (None, ())}
    wanted |= preset.fixed.list_given()
    return {name: value for name, value in wanted.items() if getattr(chat, name) != value}


def _find_words(chat: ChatRequest, preset: Preset) -> str:
    """The system prompt that the request gets; empty: none."""
    if preset.system_mode != "default":
        return preset.system
    has_own = any(message.role in _SYSTEM for message in chat.messages)
    return "" if has_own else preset.system


def _put_words(chat: ChatRequest, words: str, *, anew: bool, apart: bool) -> ChatRequest:
    """The request with the words before the caller's, or in their place (anew). apart: in a message
    of their own."""
    messages, raws = chat.messages, chat.raw_messages
    roles = {message.role for message in messages}
    if anew:
        own = [message.role not in _SYSTEM for message in messages]
        messages = tuple(m for m, is_kept in zip(messages, own, strict=True) if is_kept)
        raws = tuple(raw for raw, is_kept in zip(raws, own, strict=False) if is_kept)
    if messages and messages[0].role in _SYSTEM and not apart:
        first = structs.replace(messages[0], content=_join(words, messages[0]))
        raw_first = tuple(_join_raw(words, raw) for raw in raws[:1])
        messages, raws = (first, *messages[1:]), (*raw_first, *raws[1:])
    else:  # OpenAI refuses both roles in one request
        is_new = chat.dialect == "chat" and "developer" in roles
        role: Role = "developer" if is_new else "system"
        added = Message(role=role, content=words)
        messages = (added, *messages)
        raws = (as_raw(added), *raws) if chat.raw_messages else raws
    return structs.replace(chat, messages=messages, raw_messages=raws)


def _join(words: str, message: Message) -> str | tuple[Part, ...]:
    """The content of a message with the words before it."""
    if isinstance(message.content, tuple):
        return (Part(type="text", text=words), *message.content)
    return _join_texts(words, message.content)


def _join_raw(words: str, raw: Raw) -> Raw:
    """The same of a message's own bytes."""
    fields = splice.FIELDS.decode(raw)
    return as_raw({**fields, "content": _join_content(words, fields.get("content", NULL))})


def _join_content(words: str, content: Raw) -> Any:
    """Content in its caller's form, a text or parts, with the words before it."""
    if begins(content, b"["):
        return [{"type": "text", "text": words}, *splice.ITEMS.decode(content)]
    return _join_texts(words, msgspec.json.decode(content, type=str | None))


def _join_texts(words: str, text: str | None) -> str:
    return f"{words}\n\n{text}" if text else words


def _put_into_messages(chat: ChatRequest, _: Fields, __: str, ___: bool) -> dict[str, Any]:
    """Chat completions: the messages, as they were changed."""
    return {"messages": [splice.wrap(raw) for raw in chat.raw_messages]}


def _put_into_system(_: ChatRequest, fields: Fields, words: str, anew: bool) -> dict[str, Any]:
    """Messages: the field `system`."""
    if not anew:
        return {"system": _join_content(words, fields.get("system", NULL))}
    return {"system": words, "messages": _leave_out_system(fields["messages"])}


def _put_into_instructions(
    _: ChatRequest, fields: Fields, words: str, anew: bool
) -> dict[str, Any]:
    """Responses: the field `instructions`."""
    given = fields.get("input", NULL)
    if not anew:
        return {"instructions": _join_content(words, fields.get("instructions", NULL))}
    is_list = begins(given, b"[")
    return {"instructions": words} | ({"input": _leave_out_system(given)} if is_list else {})


def _leave_out_system(items: Raw) -> list[object]:
    """The turns or items that are not the system's."""
    return [
        splice.wrap(raw)
        for raw in splice.ITEMS.decode(items)
        if _TURN.decode(raw).role not in _SYSTEM
    ]


def _spell_for_chat(changes: dict[str, Any], _: Fields) -> dict[str, Any]:
    """The settings as chat completions call them."""
    names = (*_SAME, "stop", "reasoning_effort")
    spelled: dict[str, Any] = {name: changes[name] for name in names if name in changes}
    if "max_tokens" in changes:
        spelled |= {"max_tokens": changes["max_tokens"], "max_completion_tokens": None}
    if form := changes.get("response_format"):
        spelled["response_format"] = {"type": form.type}
        if form.json_schema:
            spelled["response_format"]["json_schema"] = _describe_schema(form)
    return spelled


def _spell_for_messages(changes: dict[str, Any], fields: Fields) -> dict[str, Any]:
    """The settings as Messages call them."""
    spelled: dict[str, Any] = {
        name: changes[name] for name in ("top_p", "max_tokens") if name in changes
    }
    if "temperature" in changes:
        spelled["temperature"] = min(1, changes["temperature"])  # more is refused
    if "stop" in changes:
        spelled["stop_sequences"] = changes["stop"]
    spelled |= _spell_thinking(changes, fields)
    form = changes.get("response_format")
    if form and form.json_schema:
        schema = {"type": "json_schema", "schema": form.json_schema.schema_ or {}}
        config = spelled.get("output_config", fields.get("output_config", NULL))
        spelled["output_config"] = _with_field(config, "format", schema)
        spelled["output_format"] = None
    return spelled


def _spell_thinking(changes: dict[str, Any], fields: Fields) -> dict[str, Raw]:
    """How much the model is to think, as Messages say it."""
    effort = changes.get("reasoning_effort")
    if effort is None:
        return {}
    if effort == "none":
        return {"thinking": as_raw({"type": "disabled"})}
    config = _with_field(fields.get("output_config", NULL), "effort", effort)
    return {"thinking": as_raw({"type": "adaptive"}), "output_config": config}


def _spell_for_responses(changes: dict[str, Any], fields: Fields) -> dict[str, Any]:
    """The settings as Responses call them."""
    spelled: dict[str, Any] = {
        name: changes[name] for name in ("temperature", "top_p") if name in changes
    }
    if "max_tokens" in changes:
        spelled["max_output_tokens"] = changes["max_tokens"]
    if effort := changes.get("reasoning_effort"):
        spelled["reasoning"] = _with_field(fields.get("reasoning", NULL), "effort", effort)
    if form := changes.get("response_format"):
        schema = _describe_schema(form) if form.json_schema else {}
        given = fields.get("text", NULL)
        spelled["text"] = _with_field(given, "format", {"type": form.type, **schema})
    return spelled


def _describe_schema(form: ResponseFormat) -> dict[str, Any]:
    """A schema with its name, which OpenAI wants."""
    assert form.json_schema
    schema: JSONObject = msgspec.to_builtins(form.json_schema)
    return {"name": form.json_schema.name} | schema


def _with_field(raw: Raw, name: str, value: object) -> Raw:
    """An object with another value of a field."""
    fields = {} if raw == NULL else splice.FIELDS.decode(raw)
    return as_raw({**fields, name: value})


def _echo(call: Call, changes: dict[str, Any]) -> dict[str, Any]:
    """What a response repeats of its request, with the settings that hold."""
    if not call.echo:
        return call.echo
    names = {"temperature": "temperature", "top_p": "top_p", "max_tokens": "max_output_tokens"}
    told = {names[name]: value for name, value in changes.items() if name in names}
    if effort := changes.get("reasoning_effort"):
        told["reasoning"] = {**call.echo.get("reasoning", {}), "effort": effort}
    return {**call.echo, **told}


_SETTINGS: dict[str, Callable[[dict[str, Any], Fields], dict[str, Any]]] = {
    "chat": _spell_for_chat,
    "messages": _spell_for_messages,
    "responses": _spell_for_responses,
}
_WORDS: dict[str, Callable[[ChatRequest, Fields, str, bool], dict[str, Any]]] = {
    "chat": _put_into_messages,
    "messages": _put_into_system,
    "responses": _put_into_instructions,
}
