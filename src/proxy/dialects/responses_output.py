"""An answer as a `response` object of OpenAI's Responses and as its output items."""

import re
from collections.abc import Iterator
from typing import Any

import msgspec
from msgspec import Raw, Struct

from proxy.core.chat import Answer, Call, Served, Usage
from proxy.core.json_guard import decode_leniently
from proxy.core.loose_json import as_object, as_objects, as_text
from proxy.core.messages import NOTHING, BridgedTool, JSONObject, ToolCall
from proxy.core.splice import FIELDS, begins
from proxy.dialects.responses_events import find_type
from proxy.dialects.responses_request import LOGPROBS, SEALED
from proxy.dialects.seal import ProviderState, seal

_DATA_URL = re.compile(r"data:image/[^;,]{1,64};base64,")
_REASONS = {
    "length": "max_output_tokens",
    "content_filter": "content_filter",
    "pause_turn": "pause_turn",
}
"""Why an answer is cut short, by the finish reason; Anthropic's word for a pause has no other."""

_BLANK: JSONObject = {
    "id": "",
    "object": "response",
    "created_at": 0,
    "status": "in_progress",
    "background": False,
    "completed_at": None,
    "error": None,
    "frequency_penalty": 0.0,
    "incomplete_details": None,
    "instructions": None,
    "max_output_tokens": None,
    "max_tool_calls": None,
    "model": "",
    "moderation": None,
    "output": [],
    "parallel_tool_calls": True,
    "presence_penalty": 0.0,
    "previous_response_id": None,
    "prompt_cache_key": None,
    "prompt_cache_retention": None,
    "reasoning": None,
    "safety_identifier": None,
    "service_tier": "default",
    "store": True,
    "temperature": 1.0,
    "text": None,
    "tool_choice": "auto",
    "tools": [],
    "top_logprobs": 0,
    "top_p": 1.0,
    "truncation": "disabled",
    "usage": None,
    "user": None,
    "metadata": {},
}
"""Every field of a response, in OpenAI's order."""
_LABELS = (
    "instructions", "metadata", "previous_response_id", "prompt_cache_key", "safety_identifier",
    "store", "user",
)  # fmt: skip
"""Those that say something of the caller, and nothing of the answer."""


_NO_PREVIOUS = re.compile(rb'"previous_response_id"\s*:\s*null')
"""No text holds this, since a quote within one is escaped."""


def repeat_own(data: bytes, call: Call) -> bytes:
    """A provider's response, or an event that holds it, with what the caller has said itself: the
    response that it follows, which the provider has not heard of, and its own instructions, in the
    place of those that its alias has put in."""
    if call.prompted and b'"instructions"' in data:
        data = _name_instructions(data, call)
    previous = call.echo.get("previous_response_id")
    if not previous or b"previous_response_id" not in data:
        return data
    named = b'"previous_response_id":%b' % msgspec.json.encode(previous)
    return _NO_PREVIOUS.sub(lambda _: named, data, count=1)


def _name_instructions(data: bytes, call: Call) -> bytes:
    fields, own = FIELDS.decode(data), Raw(msgspec.json.encode(call.echo.get("instructions")))
    begun = fields.get("response", NOTHING)
    if begins(begun, b"{"):
        fields["response"] = Raw(msgspec.json.encode({**FIELDS.decode(begun), "instructions": own}))
    elif "instructions" in fields:
        fields["instructions"] = own
    return msgspec.json.encode(fields)


class Style(Struct, frozen=True):
    """What of a request says how its answer is written."""

    tail: str
    """What the ids of the response and of its items have in common."""
    summary: bool
    """Whether reasoning is shown as a summary."""
    sealed: bool
    """Whether reasoning is to have encrypted content."""
    logprobs: bool
    bridged: dict[str, BridgedTool]

    @classmethod
    def of(cls, call: Call, served: Served) -> "Style":
        """The style that a call wants."""
        include = call.echo.get("include", ())
        return cls(
            tail=served.answer_id,
            summary=bool((call.echo.get("reasoning") or {}).get("summary")),
            sealed=SEALED in include,
            logprobs=LOGPROBS in include,
            bridged=call.bridged,
        )

    def item_id(self, kind: str, index: int) -> str:
        """The id of the item at `index`. kind: `rs`, `msg`, `fc`, `ctc` or `ig`."""
        return f"{kind}_{self.tail}_{index}"

    def seal(self, state: ProviderState) -> str | None:
        """What a reasoning item holds for the provider; None: nothing."""
        return seal(state) if self.sealed or not state.is_empty else None


def build_response(
    call: Call, served: Served, output: list[JSONObject], answer: Answer | None
) -> JSONObject:
    """The whole object. answer: None where it is still to come."""
    repeated = {name: value for name, value in call.echo.items() if name in _BLANK}
    begun = {
        **_BLANK,
        **repeated,
        "id": f"resp_{served.answer_id}",
        "created_at": served.created,
        "model": served.model,
        "output": output,
    }
    return begun | _build_end(answer, served) if answer else begun


def _build_end(answer: Answer, served: Served) -> JSONObject:
    """The fields that are known at the end only."""
    reason = _REASONS.get(answer.finish_reason)
    tier = answer.form and answer.form.completion.get("service_tier")
    return {
        "status": "incomplete" if reason else "completed",
        "completed_at": None if reason else served.created + served.ms // 1000,
        "incomplete_details": {"reason": reason} if reason else None,
        "model": answer.model or served.model,
        "usage": _usage(answer.usage),
        **({"service_tier": tier} if tier else {}),
    }


def build_output(answer: Answer, style: Style) -> list[JSONObject]:
    """The items of a whole answer. The last of one that was cut short is incomplete."""
    items: list[JSONObject] = []
    state = ProviderState.of(answer.extra.get("extra_content"), answer.tool_calls)
    if answer.reasoning or not state.is_empty:
        sealed = style.seal(state)
        items.append(reasoning_item(style, 0, answer.reasoning or "", sealed))
    parts = []
    if answer.text:
        annotations = list(flatten_annotations(answer.extra))
        logprobs = read_logprobs(answer.logprobs) if style.logprobs else []
        parts.append(text_part(answer.text, annotations, logprobs))
    if answer.refusal:
        parts.append(refusal_part(answer.refusal))
    images = find_images(answer.extra)
    if not (parts or images or items or answer.tool_calls):
        parts.append(text_part("", [], []))
    if parts:
        items.append(message_item(style, len(items), parts))
    items += (image_item(style, len(items) + n, data) for n, data in enumerate(images))
    for call in answer.tool_calls:
        items.append(call_item(style, len(items), call))
    if answer.finish_reason in _REASONS and items:
        items[-1]["status"] = "incomplete"
    return items


def is_cut_short(finish_reason: str | None) -> bool:
    """Whether an answer with this finish reason is incomplete."""
    return finish_reason in _REASONS


def reasoning_item(style: Style, index: int, text: str, sealed: str | None) -> JSONObject:
    """A reasoning item. sealed: its encrypted content."""
    item: JSONObject = {
        "id": style.item_id("rs", index),
        "type": "reasoning",
        "status": "completed",
        "summary": [],
    }
    if sealed is not None:
        item["encrypted_content"] = sealed
    if text and style.summary:
        item["summary"] = [{"type": "summary_text", "text": text}]
    elif text:
        item["content"] = [{"type": "reasoning_text", "text": text}]
    return item


def message_item(style: Style, index: int, parts: list[JSONObject]) -> JSONObject:
    """A message item of text and refusals."""
    return {
        "id": style.item_id("msg", index),
        "type": "message",
        "status": "completed",
        "content": parts,
        "role": "assistant",
    }


def text_part(text: str, annotations: list[Any], logprobs: list[Any]) -> JSONObject:
    """A part of text."""
    return {"type": "output_text", "annotations": annotations, "logprobs": logprobs, "text": text}


def refusal_part(text: str) -> JSONObject:
    """A part in which the model refuses."""
    return {"type": "refusal", "refusal": text}


def image_item(style: Style, index: int, data: str) -> JSONObject:
    """An image that the model made. data: base64."""
    return {
        "id": style.item_id("ig", index),
        "type": "image_generation_call",
        "status": "completed",
        "result": data,
    }


def call_item(style: Style, index: int, call: ToolCall) -> JSONObject:
    """The call of a tool as its caller knows it."""
    name, text = call.function.name, call.function.arguments or ""
    tool = style.bridged.get(name) or BridgedTool(name)
    is_custom = tool.custom or call.type == "custom"
    item: JSONObject = {
        "id": style.item_id("ctc" if is_custom else "fc", index),
        "type": "custom_tool_call" if is_custom else "function_call",
        "status": "completed",
    }
    if is_custom:
        item["input"] = text if call.type == "custom" else read_input(text)
    else:
        item["arguments"] = text
    item |= {"call_id": call.id, "name": tool.name}
    if tool.namespace is not None:
        item["namespace"] = tool.namespace
    return item


def read_input(arguments: str) -> str:
    """The input of a custom tool that was called as a function; the arguments themselves where
    they are no object with an input."""
    try:
        value = decode_leniently(arguments.encode())
    except (ValueError, RecursionError):
        return arguments
    given = as_text(as_object(value).get("input"))
    return arguments if given is None else given


def flatten_annotations(extra: JSONObject) -> Iterator[JSONObject]:
    """Annotations of a chat completion, whose fields stand under their type's name."""
    for annotation in as_objects(extra.get("annotations")):
        kind = find_type(annotation)
        inner = annotation.get(kind)
        yield {"type": kind, **inner} if isinstance(inner, dict) else annotation


def find_images(extra: JSONObject) -> list[str]:
    """The images among the fields of a message, in base64."""
    images = as_objects(extra.get("images"))
    urls = [as_text(as_object(image.get("image_url")).get("url")) or "" for image in images]
    heads = [(url, _DATA_URL.match(url)) for url in urls]
    return [url[head.end() :] for url, head in heads if head]


def read_logprobs(logprobs: object) -> list[Any]:
    """The probabilities of the text's tokens."""
    content = as_object(logprobs).get("content")
    return content if isinstance(content, list) else []


def _usage(usage: Usage | None) -> JSONObject | None:
    if usage is None:
        return None
    return {
        "input_tokens": usage.input,
        "input_tokens_details": {
            "cached_tokens": usage.cached or 0,
            "cache_write_tokens": usage.cache_write or 0,
        },
        "output_tokens": usage.output,
        "output_tokens_details": {"reasoning_tokens": usage.reasoning or 0},
        "total_tokens": usage.total,
    }


def answer(answer: Answer, call: Call, served: Served) -> bytes:
    """A whole answer: the provider's own object where it is one of Responses."""
    native = answer.native
    if native and native.wire == "responses" and not (call.rebuilt and call.bridged):
        return (_relabel if served.is_kept else repeat_own)(native.body, call)
    output = build_output(answer, Style.of(call, served))
    return msgspec.json.encode(build_response(call, served, output, answer))


def _relabel(response: bytes, call: Call) -> bytes:
    """A kept response with its caller's labels in the place of those of the request that it was
    made for: the cache takes requests of other labels, and of other callers, for the same."""
    fields = FIELDS.decode(response)
    own = {name: call.echo[name] for name in _LABELS if name in fields and name in call.echo}
    return msgspec.json.encode({**fields, **own})
