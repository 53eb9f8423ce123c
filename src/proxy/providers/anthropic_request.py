"""Builds the body of a request in Anthropic's Messages.

A caller's own body of Messages goes on as it is, but for the model's name and what the proxy must
set. Any other request is built from its fields: what Messages has no word for is named in
`dropped`, what cannot be left out is refused.
"""

import re
from collections.abc import Set
from typing import Any

import msgspec
from msgspec import Raw

from proxy.core import splice
from proxy.core.chat import ChatRequest
from proxy.core.errors import invalid
from proxy.core.json_guard import Decoder, spell
from proxy.core.messages import Tool
from proxy.core.ports import Body
from proxy.core.splice import NULL, TRUE, as_raw
from proxy.providers.anthropic_schema import close_objects
from proxy.providers.anthropic_turns import build_conversation
from proxy.providers.body_fields import exchange_fields
from proxy.providers.garbage import UNREADABLE
from proxy.providers.target import Target

Fields = dict[str, Any]

_UNKNOWN = (
    "seed", "frequency_penalty", "presence_penalty", "logprobs", "top_logprobs",
)  # fmt: skip
"""Settings that Messages has no word for."""
_CHOICES = {"auto": "auto", "none": "none", "required": "any", "function": "tool"}
_FORCED = ("any", "tool")
_LEAST_THINKING = 1024
"""Tokens; a smaller budget is refused."""
_MOST_OUTPUT = 32_000
"""The limit of an answer where neither the caller nor the catalogue knows one: Messages wants one,
and every model of today can have it."""
_MARK = re.compile(spell("cache_control"))
_FALSE = Raw(b"false")
_WORD, _NUMBER = Decoder(str), Decoder(float)
_THINKING = Decoder(dict[str, Raw])
_JSON = "Answer with one JSON object only, without a word before or after it."
_SCHEMA = "Answer with JSON only, and let it follow this JSON Schema: "


def build_body(target: Target, chat: ChatRequest) -> tuple[Body, tuple[str, ...]]:
    """The body, and the caller's fields that were left out. Raises InvalidRequest."""
    if chat.dialect == "messages" and chat.body is not None:
        return _pass_on(target, chat, chat.body), ()
    return _build(target, chat)


def _pass_on(target: Target, chat: ChatRequest, body: bytes) -> Body:
    """The caller's body, with the model's name and what the proxy must set."""
    given = splice.FIELDS.decode(body)
    changes = {"model": as_raw(target.model.wire_id)}
    for name, value in target.model.send.items():
        if name not in given and not (name == "cache_control" and _MARK.search(body)):
            changes[name] = as_raw(value)
    if chat.max_tokens is not None and _read_number(given.get("max_tokens")) != chat.max_tokens:
        changes |= _set_limit(given, chat.max_tokens)
    if chat.stream != (given.get("stream") == TRUE):
        changes["stream"] = TRUE if chat.stream else _FALSE
    return exchange_fields(body, given, changes)


def _set_limit(given: dict[str, Raw], limit: int) -> dict[str, Raw]:
    """The limit of the answer, and thinking that has room below it: what has none is refused."""
    changes = {"max_tokens": as_raw(limit)}
    given_thinking = given.get("thinking", NULL)
    thinking = {} if given_thinking == NULL else _THINKING.decode(given_thinking)
    budget = _read_number(thinking.get("budget_tokens"))
    if budget is not None and budget >= limit > _LEAST_THINKING:
        changes["thinking"] = as_raw({**thinking, "budget_tokens": limit - 1})
    return changes


def _build(target: Target, chat: ChatRequest) -> tuple[Body, tuple[str, ...]]:
    model = target.model
    refused = target.refused
    given = ((name, getattr(chat, name)) for name in _UNKNOWN)
    dropped = [name for name, value in given if value is not None and value is not False]
    system, messages = build_conversation(target, chat)
    fields: Fields = {"model": model.wire_id, "max_tokens": _limit_output(target, chat)}
    fields |= _build_tools(chat, refused, dropped)
    fields |= _build_thinking(target, chat, fields, refused, dropped)
    fields |= _build_settings(chat, fields, refused, dropped)
    config, words = _build_format(target, chat)
    if config:
        fields["output_config"] = {**fields.get("output_config", {}), **config}
    if words:
        system.append({"type": "text", "text": words})
    if system:
        fields["system"] = system
    fields["messages"] = messages
    if chat.stream:
        fields["stream"] = True
    dropped += _add_extra(chat, fields)
    sent = _is_marked(chat)
    for name, value in model.send.items():
        if not (name == "cache_control" and sent):
            fields.setdefault(name, value)
    return splice.encode(fields), tuple(dropped)


def _limit_output(target: Target, chat: ChatRequest) -> int:
    most = target.model.max_output
    if chat.max_tokens is None:
        return most or _MOST_OUTPUT
    return min(chat.max_tokens, most or chat.max_tokens)


def _build_tools(chat: ChatRequest, refused: Set[str], dropped: list[str]) -> Fields:
    if "tool_choice" in chat.extra and chat.dialect == "chat":
        reason = "The Messages API can't be told which of the tools are allowed"
        raise invalid("tool_choice", f"{reason}.")
    if not chat.tools:
        return {}
    fields: Fields = {"tools": [_declare(t, f"tools[{n}]") for n, t in enumerate(chat.tools)]}
    kind, _, name = (chat.tool_choice or "").partition(":")
    kind = _CHOICES.get(kind, "")
    if kind in _FORCED and "tool_choice" in refused:
        dropped.append("tool_choice")
        kind, name = "auto", ""
    if chat.parallel_tool_calls is not False or kind == "none":
        alone = {}
    else:
        kind, alone = kind or "auto", {"disable_parallel_tool_use": True}
    if kind:
        fields["tool_choice"] = {"type": kind} | ({"name": name} if name else {}) | alone
    return fields


def _declare(tool: Tool, place: str) -> Fields:
    function = tool.function
    if function is None:
        reason = f"The Messages API takes functions only, not a tool of type {tool.type!r}"
        raise invalid(place, f"{reason}.")
    schema = {"type": "object", **(function.parameters or {"properties": {}})}
    fields = {
        "name": function.name,
        "description": function.description,
        "input_schema": close_objects(schema) if function.strict else schema,
        "strict": function.strict or None,
        "cache_control": tool.cache_control,
    }
    return {name: value for name, value in fields.items() if value is not None}


def _build_thinking(
    target: Target, chat: ChatRequest, fields: Fields, refused: Set[str], dropped: list[str]
) -> Fields:
    """How much the model thinks. What the catalogue makes of an effort is an effort, a number of
    tokens for a model that wants a budget, or a type of thinking. A tool can't be forced on a model
    that thinks."""
    if chat.reasoning_effort is None:
        return {}
    effort = target.efforts.get(chat.reasoning_effort, chat.reasoning_effort)
    forced = fields.get("tool_choice", {}).get("type") in _FORCED
    if "reasoning_effort" not in refused:
        if effort in ("none", "between_tools"):
            return {"thinking": {"type": "disabled" if effort == "none" else effort}}
        if not effort.isdecimal():
            thinking = {"thinking": {"type": "adaptive", "display": "summarized"}}
            return {"output_config": {"effort": effort}} | ({} if forced else thinking)
        budget = min(int(effort), fields["max_tokens"] // 2)
        if budget >= _LEAST_THINKING and not forced:
            return {"thinking": {"type": "enabled", "budget_tokens": budget}}
    dropped.append("reasoning_effort")
    return {}


def _build_settings(
    chat: ChatRequest, fields: Fields, refused: Set[str], dropped: list[str]
) -> Fields:
    """The settings that stand beside the conversation. A model takes one of temperature and top_p
    where it doesn't think, and none of them where it does."""
    if any(not stop or stop.isspace() for stop in chat.stop):
        raise invalid("stop", "The Messages API takes no stop sequence of white space alone.")
    if fields.get("thinking", {}).get("type") in ("enabled", "adaptive"):
        refused = refused | {"temperature", "top_p"}
    elif chat.temperature is not None and "temperature" not in refused:
        refused = refused | {"top_p"}
    temperature = None if chat.temperature is None else min(max(chat.temperature, 0), 1)
    settings: Fields = {"temperature": temperature, "top_p": chat.top_p, "stop": chat.stop or None}
    given = {name: value for name, value in settings.items() if value is not None}
    dropped += filter(refused.__contains__, given)
    kept = {name: value for name, value in given.items() if name not in refused}
    if "stop" in kept:
        kept["stop_sequences"] = kept.pop("stop")
    if chat.cache_control is not None:
        kept["cache_control"] = chat.cache_control
    return kept


def _build_format(target: Target, chat: ChatRequest) -> tuple[Fields, str]:
    """The form of the answer for `output_config`, or the words that ask for it."""
    form = chat.response_format
    if form is None or form.type == "text":
        return {}, ""
    schema = form.json_schema and form.json_schema.schema_
    if schema is None:
        return {}, _JSON
    if not target.takes_schema:
        return {}, _SCHEMA + msgspec.json.encode(schema).decode()
    return {"format": {"type": "json_schema", "schema": close_objects(schema)}}, ""


def _add_extra(chat: ChatRequest, fields: Fields) -> list[str]:
    """Adds the caller's fields that the proxy does not know, where they are of Messages. Returns
    those that are left out."""
    if chat.dialect == "messages":
        fields |= {name: splice.wrap(value) for name, value in chat.extra.items()}
        return []
    user = chat.extra.get("safety_identifier")
    if user is not None:
        try:
            fields["metadata"] = {"user_id": _WORD.decode(user)}
        except UNREADABLE:
            user = None
    return [name for name in chat.extra if name != "safety_identifier" or user is None]


def _is_marked(chat: ChatRequest) -> bool:
    """Whether the caller marks the prompt for the cache."""
    if any(tool.cache_control is not None for tool in chat.tools):
        return True
    parts = (part for message in chat.messages for part in message.parts)
    return any(part.cache_control is not None for part in parts)


def _read_number(raw: Raw | None) -> float | None:
    try:
        return None if raw is None else _NUMBER.decode(raw)
    except UNREADABLE:
        return None
