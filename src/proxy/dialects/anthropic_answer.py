"""Answers in the form of Messages: the whole message, and what its streams are made of."""

import re
from typing import Any

import msgspec
from msgspec import Raw, structs

from proxy.core.chat import Answer, Call, Served, Usage
from proxy.core.json_guard import Decoder
from proxy.core.loose_json import as_object, as_objects
from proxy.core.messages import BridgedTool, JSONObject, ToolCall
from proxy.dialects.seal import ProviderState, seal

Fields = dict[str, Any]

EXTRA_CONTENT = "extra_content"
"""The field of a message that holds what its provider wants back."""
_STRANGE = re.compile(r"[^A-Za-z0-9_-]")
_REASONS = {"stop": "end_turn", "length": "max_tokens", "tool_calls": "tool_use"}
_INPUT = Decoder(dict[str, Raw])


def answer(answer: Answer, call: Call, served: Served) -> bytes:
    """The body of a complete answer: the provider's own where it is a message."""
    if answer.native is not None and answer.native.wire == "messages":
        return restore_names(answer.native.body, call.bridged)
    message = {
        **begin_message(answer.id or served.answer_id, answer.model or served.model),
        "content": _list_blocks(answer, call, served),
        **end_message(answer.finish_reason, answer.refusal, bool(answer.tool_calls)),
        "usage": describe_usage(answer.usage),
    }
    return msgspec.json.encode(message)


def begin_message(id_: str, model: str) -> Fields:
    """What of a message is known when it begins. id_: the provider's, or the request's."""
    return {
        "id": f"msg_{_STRANGE.sub('', id_.removeprefix('req_'))[:64]}",
        "type": "message",
        "role": "assistant",
        "model": model,
        "content": [],
    }


def end_message(finish: str, refusal: str | None, has_calls: bool) -> Fields:
    """Why a message ends. A provider's own word stays, since nobody knows what it means."""
    reason = _REASONS.get(finish, finish)
    if has_calls and finish == "stop":
        reason = "tool_use"
    if refusal or finish == "content_filter":
        reason = "refusal"
    details = {"type": "refusal", "category": None, "explanation": refusal or None}
    return {
        "stop_reason": reason,
        "stop_sequence": None,
        "stop_details": details if reason == "refusal" else None,
    }


def describe_usage(usage: Usage | None) -> Fields:
    """The usage, whose input counts leave each other out; 0 where it is not known."""
    used = usage or Usage()
    cached, written = used.cached or 0, used.cache_write or 0
    fields: Fields = {
        "input_tokens": max(0, used.input - cached - written),
        "cache_creation_input_tokens": written,
        "cache_read_input_tokens": cached,
        "output_tokens": used.output,
    }
    if used.reasoning is not None:
        fields["output_tokens_details"] = {"thinking_tokens": used.reasoning}
    return fields


def name_call(id_: str | None, index: int, answer_id: str) -> str:
    """The id of a call, made up where its provider gives none."""
    return id_ or f"toolu_{answer_id}_{index}"


def restore_name(name: str, bridged: dict[str, BridgedTool]) -> str:
    """The name that the caller gave a tool. bridged: as in Call."""
    return bridged[name].name if name in bridged else name


def restore_names(data: bytes, bridged: dict[str, BridgedTool]) -> bytes:
    """JSON of a provider of this dialect with the names that the caller gave its tools. It got the
    short ones where the body could not go on as it was."""
    for short, tool in bridged.items():
        data = data.replace(msgspec.json.encode(short), msgspec.json.encode(tool.name))
    return data


def _list_blocks(answer: Answer, call: Call, served: Served) -> list[Fields]:
    calls = tuple(
        structs.replace(made, id=name_call(made.id, index, served.answer_id))
        for index, made in enumerate(answer.tool_calls)
    )
    state = ProviderState.of(answer.extra.get(EXTRA_CONTENT), calls)
    blocks: list[Fields] = []
    if answer.reasoning:
        thinking = {"thinking": answer.reasoning, "signature": seal(state)}
        blocks.append({"type": "thinking", **thinking})
    elif not state.is_empty:
        blocks.append(make_redacted(state))
    if answer.text:
        citations = list_citations(answer.extra, answer.text)
        cited = {"citations": citations} if citations else {}
        blocks.append({"type": "text", "text": answer.text, **cited})
    if answer.refusal:
        blocks.append({"type": "text", "text": answer.refusal})
    return blocks + [
        {
            "type": "tool_use",
            "id": made.id,
            "name": restore_name(made.function.name, call.bridged),
            "input": _read_input(made),
        }
        for made in calls
    ]


def list_citations(extra: JSONObject, text: str) -> list[Fields]:
    """The sources that a text names, as citations of Messages. extra: the fields of a message.

    A citation is to hold what its provider wants back. Nothing is wanted back of these: the mark of
    what is sealed here has them taken out again where they come back.
    """
    notes = as_objects(extra.get("annotations"))
    sources = (as_object(note.get("url_citation")) for note in notes)
    return [
        {
            "type": "web_search_result_location",
            "url": source["url"],
            "title": source.get("title") or None,
            "cited_text": _cut(text, source.get("start_index"), source.get("end_index")),
            "encrypted_index": seal(ProviderState()),
        }
        for source in sources
        if isinstance(source.get("url"), str)
    ]


def _cut(text: str, begin: object, end: object) -> str:
    """What stands between two places of a text; empty where these are none."""
    if isinstance(begin, int) and isinstance(end, int) and 0 <= begin < end:
        return text[begin:end]
    return ""


def make_redacted(state: ProviderState) -> Fields:
    """The block for what a provider wants back without having shown its thinking."""
    return {"type": "redacted_thinking", "data": seal(state)}


def _read_input(call: ToolCall) -> Raw | Fields:
    """The arguments as an object, under `_raw` where they are none."""
    text = call.as_function_call().function.arguments or "{}"
    try:
        data = text.encode()
        _INPUT.decode(data)
    except (msgspec.DecodeError, UnicodeError, RecursionError):
        return {"_raw": text.encode("utf-8", "replace").decode()}
    return Raw(data)
