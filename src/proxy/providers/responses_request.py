"""Builds the body of a request for Responses.

The body of a caller of this dialect goes on as it came, but for the model's name and what the
catalogue says of provider and model. Any other is built from the request's fields; what Responses
lack is left out and named.
"""

from typing import Any

import msgspec
from msgspec import Raw

from proxy.core import splice
from proxy.core.chat import ChatRequest
from proxy.core.json_guard import Decoder
from proxy.core.loose_json import as_object, as_objects
from proxy.core.messages import CustomTool, Function, ResponseFormat, Tool
from proxy.core.ports import Body
from proxy.core.splice import NULL, TRUE, as_raw
from proxy.providers.garbage import UNREADABLE
from proxy.providers.openai_request import Fields, fit_fields, rename_fields
from proxy.providers.responses_items import build_items
from proxy.providers.target import Target

LEAST_OUTPUT = 16
"""Tokens of the lowest limit that an answer may have."""
SEALED = "reasoning.encrypted_content"
LOGPROBS = "message.output_text.logprobs"
_PLAIN = ("temperature", "top_p", "top_logprobs", "parallel_tool_calls")
"""Settings of a ChatRequest that have the same name and form here."""
_OTHER = ("max_tokens", "logprobs", "reasoning_effort", "reasoning_summary")
"""Settings that have another form here."""
_ABSENT = ("stop", "seed", "frequency_penalty", "presence_penalty")
"""Settings that have none."""
_SAME = (
    "metadata", "prompt_cache_key", "prompt_cache_options", "prompt_cache_retention",
    "safety_identifier", "service_tier", "store", "user",
)  # fmt: skip
"""Fields of chat completions that have the same name and form here."""
_CARRIED = frozenset((*_PLAIN, *_OTHER, *_SAME, "verbosity"))
_KNOWN = frozenset((*_PLAIN, *_SAME)) | {
    "background", "context_management", "conversation", "include", "input", "instructions",
    "max_output_tokens", "max_tool_calls", "model", "previous_response_id", "prompt", "reasoning",
    "stream", "stream_options", "text", "tool_choice", "tools", "truncation",
}  # fmt: skip
_LIMIT, _EFFORT = "max_output_tokens", "reasoning_effort"
_COUNT, _ANY = Decoder(float), Decoder(object)


def build_body(target: Target, chat: ChatRequest) -> tuple[Body, tuple[str, ...]]:
    """The body, and the caller's fields that were left out. Raises InvalidRequest."""
    if chat.dialect == "responses" and chat.body is not None:
        return _fit_body(target, chat, chat.body)
    given = _list_settings(chat)
    refused = _list_refused(target)
    kept = {n: value for n, value in given.items() if n in _CARRIED and n not in refused}
    fields: Fields = {
        "model": target.model.wire_id,
        "input": build_items(target, chat),
        **_build_tools(chat),
        **{name: kept[name] for name in (*_PLAIN, *_SAME) if name in kept},
        **_build_others(target, chat, kept),
    }
    fields.setdefault("store", False)
    if chat.stream:
        fields["stream"] = True
    for name, value in target.model.send.items():
        fields.setdefault(name, value)
    for name in refused:
        fields.pop(name, None)  # what the proxy has added
    rename_fields(target, fields)
    return splice.encode(fields), tuple(name for name in given if name not in kept)


def _fit_body(target: Target, chat: ChatRequest, body: bytes) -> tuple[Body, tuple[str, ...]]:
    """The caller's own body, less what provider and model refuse."""
    given = splice.FIELDS.decode(body)
    fields: Fields = {**given, "model": as_raw(target.model.wire_id)}
    limit = given.get(_LIMIT, NULL)
    if chat.max_tokens is not None and (limit == NULL or _COUNT.decode(limit) != chat.max_tokens):
        fields[_LIMIT] = as_raw(max(LEAST_OUTPUT, chat.max_tokens))
    if chat.stream:
        fields["stream"] = TRUE
    elif fields.get("stream") == TRUE:
        del fields["stream"]
    dropped = _fit_reasoning(target, chat, fields)
    for name, value in target.model.send.items():
        fields.setdefault(name, as_raw(value))
    dropped += fit_fields(target, fields, _KNOWN)
    if fields == given:
        return body, ()
    encoded = {n: splice.wrap(v) if isinstance(v, Raw) else v for n, v in fields.items()}
    return splice.encode(encoded), dropped


def _fit_reasoning(target: Target, chat: ChatRequest, fields: Fields) -> tuple[str, ...]:
    """Makes of the effort what provider and model take. Returns the field, if it is gone."""
    if chat.reasoning_effort is None:
        return ()
    if _EFFORT in _list_refused(target):
        return ("reasoning",) if fields.pop("reasoning", None) is not None else ()
    effort = target.efforts.get(chat.reasoning_effort, chat.reasoning_effort)
    if effort != chat.reasoning_effort:
        reasoning = splice.FIELDS.decode(fields.get("reasoning", b"{}"))
        fields["reasoning"] = {**reasoning, "effort": effort}
    return ()


def _list_refused(target: Target) -> frozenset[str]:
    """The fields that provider or model refuses, by OpenAI's names."""
    refused = target.refused
    return refused | {"reasoning_summary"} if _EFFORT in refused else refused


def _list_settings(chat: ChatRequest) -> Fields:
    """What the caller says beside messages, tools and the answer's form."""
    settings = chat.list_given((*_PLAIN, *_OTHER, *_ABSENT))
    if chat.dialect != "messages":  # whose names mean other things
        settings |= {name: raw for name, raw in chat.extra.items() if name != "tool_choice"}
    if chat.body is not None and chat.dialect == "chat":
        user = splice.FIELDS.decode(chat.body).get("user", NULL)
        settings |= {} if user == NULL else {"user": user}
    return settings


def _build_others(target: Target, chat: ChatRequest, kept: Fields) -> Fields:
    """The fields whose form is another here. kept: the settings that provider and model take."""
    text = {"format": _build_format(chat.response_format), "verbosity": kept.get("verbosity")}
    effort = kept.get(_EFFORT)
    reasoning = {
        "effort": effort and target.efforts.get(effort, effort),
        "summary": kept.get("reasoning_summary"),
    }
    include = []
    if _reasons(target, effort) and kept.get("store") != TRUE:
        include.append(SEALED)
    if kept.get("logprobs") or "top_logprobs" in kept:
        include.append(LOGPROBS)
    limit = kept.get("max_tokens")
    others = {
        "max_output_tokens": limit and max(LEAST_OUTPUT, limit),
        "text": _leave_out_none(text),
        "reasoning": _leave_out_none(reasoning),
        "include": include,
    }
    return {name: value for name, value in others.items() if value}


def _reasons(target: Target, effort: str | None) -> bool:
    """Whether the model reasons, or is told to where that is not known."""
    can = target.model.can
    return "reasoning" in can if can is not None else effort not in (None, "none")


def _build_format(form: ResponseFormat | None) -> Fields | None:
    if form is None or form.type == "text":
        return None
    schema = form.json_schema
    if schema is None:
        return {"type": form.type}
    return {"type": form.type, "name": schema.name, **msgspec.to_builtins(schema)}


def _build_tools(chat: ChatRequest) -> Fields:
    raws = () if chat.raw_tools is None else splice.ITEMS.decode(chat.raw_tools)
    tools = [
        _build_tool(tool, raws[number] if raws else None) for number, tool in enumerate(chat.tools)
    ]
    fields = {"tools": tools, "tool_choice": _build_choice(chat)}
    return {name: value for name, value in fields.items() if value}


def _build_tool(tool: Tool, raw: Raw | None) -> Any:
    """raw: its own bytes, if they are in OpenAI's form. A tool of another type is sent so."""
    match tool.named:
        case Function() as function:
            nothing = {"type": "object", "properties": {}}
            return {
                "type": "function",
                **_describe(function),
                "parameters": nothing if function.parameters is None else function.parameters,
                "strict": function.strict is True,
            }
        case CustomTool() as custom:
            form = custom.format or {}
            grammar = form.get("grammar")  # where it stands in chat completions
            if isinstance(grammar, dict):
                form = {"type": "grammar", **grammar}
            return {"type": "custom", **_describe(custom), **({"format": form} if form else {})}
        case None:
            return raw if raw is not None else {"type": tool.type}


def _describe(tool: Function | CustomTool) -> Fields:
    described = {"description": tool.description} if tool.description else {}
    return {"name": tool.name, **described}


def _build_choice(chat: ChatRequest) -> Any:
    kind, _, name = (chat.tool_choice or "").partition(":")
    if name:
        return {"type": kind, "name": name}
    raw = chat.extra.get("tool_choice")
    return chat.tool_choice if raw is None else _flatten_choice(raw)


def _flatten_choice(raw: Raw) -> Any:
    """A choice of another form than the usual ones: `allowed_tools` loses its inner object."""
    try:
        choice = as_object(_ANY.decode(raw))
    except UNREADABLE:
        return raw
    allowed = as_object(choice.get("allowed_tools"))
    if not allowed:
        return raw
    tools = [{"type": tool.get("type"), **_flatten(tool)} for tool in as_objects(allowed["tools"])]
    return {"type": "allowed_tools", "mode": allowed.get("mode"), "tools": tools}


def _flatten(tool: Fields) -> Fields:
    """What stands in the object that is called as the tool's type."""
    return as_object(tool.get(str(tool.get("type"))))


def _leave_out_none(fields: Fields) -> Fields:
    return {name: value for name, value in fields.items() if value is not None}
