"""OpenAI's Responses, beside chat completions at the same provider."""

from collections.abc import Iterator
from itertools import count
from typing import Any

from .behaviour import Behaviour
from .model import Answer, Question, split_words, think, words
from .reply import RejectedError, Reply, dump, json_reply, names, sse_reply
from .request import Json

FIELDS = names(
    "model input instructions stream stream_options max_output_tokens temperature top_p"
    " top_logprobs tools tool_choice parallel_tool_calls max_tool_calls text reasoning include"
    " store previous_response_id metadata user safety_identifier prompt_cache_key service_tier"
    " truncation background client_metadata"
)
ITEMS = names(
    "message function_call function_call_output custom_tool_call custom_tool_call_output reasoning"
)
SEALED = "gAAAAupstream"
"""How what OpenAI has sealed begins."""
_ids = count(1)


def respond(body: Json, behaviour: Behaviour, headers: dict[str, str]) -> Reply:
    """The reply to a request for a response."""
    _check(body)
    answer = think(question(body), behaviour)
    response = _response(body, answer)
    if body.get("stream"):
        return sse_reply(list(_stream(response, answer)), headers)
    return json_reply(response, headers)


def _refuse(message: str, code: str | None = None, param: str | None = None) -> None:
    raise RejectedError(400, message, code, param)


def _check(body: Json) -> None:
    for field in sorted(body.keys() - FIELDS):
        _refuse(f"Unknown parameter: '{field}'.", "unknown_parameter", field)
    if not isinstance(body.get("model"), str):
        _refuse("Missing required parameter: 'model'.", "missing_required_parameter", "model")
    if "none" in body["model"]:
        message = f"The requested model '{body['model']}' does not exist."
        _refuse(message, "model_not_found", "model")
    if body.get("max_output_tokens", 16) < 16:
        _refuse("Expected a value >= 16.", "integer_below_min_value", "max_output_tokens")
    _check_items(body)
    for index, tool in enumerate(body.get("tools") or []):
        if tool["type"] in ("function", "custom") and not tool.get("name"):
            _refuse("Missing name.", "missing_required_parameter", f"tools[{index}].name")


def _check_items(body: Json) -> None:
    open_calls: set[str] = set()
    for index, item in enumerate(_items(body)):
        kind, where = item.get("type", "message"), f"input[{index}]"
        if kind not in ITEMS:
            _refuse(f"Invalid value: '{kind}'.", "invalid_value", where)
        if kind in ("function_call", "custom_tool_call"):
            open_calls.add(item["call_id"])
        if kind.endswith("_output"):
            if item["call_id"] not in open_calls:
                message = f"No tool call found for call output with call_id {item['call_id']}."
                _refuse(message, None, "input")
            open_calls.remove(item["call_id"])
        sealed = item.get("encrypted_content")
        if kind == "reasoning" and sealed and not sealed.startswith(SEALED):
            message = "The encrypted content could not be verified."
            _refuse(message, "invalid_encrypted_content", where)
    if open_calls:
        _refuse(f"No tool output found for function call {min(open_calls)}.", None, "input")


def _items(body: Json) -> list[Json]:
    given = body.get("input") or []
    return [{"role": "user", "content": given}] if isinstance(given, str) else given


def _texts(content: Any) -> Iterator[str]:
    if isinstance(content, str):
        yield content
    for part in content if isinstance(content, list) else []:
        if "text" in part:
            yield part["text"]


def question(body: Json) -> Question:
    """A request as the fake model reads it."""
    items = _items(body)
    users = [item for item in items if item.get("role") == "user"]
    counted = [body.get("instructions") or ""]
    counted += [t for i in items for t in _texts(i.get("content", i.get("output")))]
    tools = [t for t in body.get("tools") or [] if t["type"] in ("function", "custom")]
    choice = body.get("tool_choice") or "auto"
    named = choice.get("name") if isinstance(choice, dict) else None
    first = tools[0]["name"] if tools else None
    last = items[-1] if items else {}
    form = (body.get("text") or {}).get("format") or {}
    return Question(
        prompt=" ".join(_texts(users[-1]["content"])) if users else "",
        input_tokens=sum(map(words, counted)),
        images=[_image(part) for item in items for part in _images(item)],
        tool=None if choice == "none" else named or first,
        tools=frozenset(tool["name"] for tool in tools),
        custom=frozenset(tool["name"] for tool in tools if tool["type"] == "custom"),
        must_call=choice == "required" or named is not None,
        tool_result=" ".join(_texts(last["output"])) if "output" in last else None,
        schema={} if form.get("type") == "json_object" else form.get("schema"),
    )


def _images(item: Json) -> list[Json]:
    content = item.get("content", item.get("output"))
    parts = content if isinstance(content, list) else []
    return [part for part in parts if part.get("type") == "input_image"]


def _image(part: Json) -> str:
    url: str = part["image_url"]
    return url[5:].split(";")[0] if url.startswith("data:") else "url"


def _response(body: Json, answer: Answer) -> Json:
    is_cut = answer.finish in ("length", "content_filter")
    reason = {"length": "max_output_tokens"}.get(answer.finish, answer.finish)
    output = answer.answer_tokens + answer.reasoning_tokens
    return {
        "id": f"resp_upstream{next(_ids):06d}",
        "object": "response",
        "created_at": 1_790_000_000,
        "status": "incomplete" if is_cut else "completed",
        "error": None,
        "incomplete_details": {"reason": reason} if is_cut else None,
        "instructions": body.get("instructions"),
        "model": body["model"],
        "output": list(_output(body, answer)),
        "parallel_tool_calls": True,
        "previous_response_id": body.get("previous_response_id"),
        "reasoning": body.get("reasoning") or {"effort": None, "summary": None},
        "store": body.get("store", True),
        "text": body.get("text") or {"format": {"type": "text"}},
        "tool_choice": body.get("tool_choice", "auto"),
        "tools": body.get("tools") or [],
        "usage": {
            "input_tokens": answer.input_tokens,
            "input_tokens_details": {"cached_tokens": 0},
            "output_tokens": output,
            "output_tokens_details": {"reasoning_tokens": answer.reasoning_tokens},
            "total_tokens": answer.input_tokens + output,
        },
        "metadata": body.get("metadata") or {},
    }


def _output(body: Json, answer: Answer) -> Iterator[Json]:
    status = "incomplete" if answer.finish in ("length", "content_filter") else "completed"
    if answer.reasoning:
        shown = bool((body.get("reasoning") or {}).get("summary"))
        summary = [{"type": "summary_text", "text": answer.reasoning}] if shown else []
        item: Json = {"id": f"rs_upstream{next(_ids):06d}", "type": "reasoning", "summary": summary}
        if "reasoning.encrypted_content" in (body.get("include") or []):
            item["encrypted_content"] = f"{SEALED}{next(_ids):06d}"
        yield item
    if answer.text:
        part = {"type": "output_text", "annotations": [], "logprobs": [], "text": answer.text}
        head = {"id": f"msg_upstream{next(_ids):06d}", "type": "message", "status": status}
        yield head | {"content": [part], "role": "assistant"}
    for call in answer.calls:
        kind, field = ("function_call", "arguments")
        if call.is_custom:
            kind, field = ("custom_tool_call", "input")
        head = {"id": f"fc_upstream{next(_ids):06d}", "type": kind, "status": "completed"}
        call_id = f"call_{next(_ids):012d}"
        yield head | {field: call.text, "call_id": call_id, "name": call.name}


def _stream(response: Json, answer: Answer) -> Iterator[str]:
    """A response as its events; a word of the text is one event."""
    numbers = count()

    def event(kind: str, **fields: Any) -> str:
        body = {"type": kind, **fields, "sequence_number": next(numbers)}
        return f"event: {kind}\ndata: {dump(body)}\n\n"

    begun = response | {"status": "in_progress", "output": [], "usage": None}
    begun["incomplete_details"] = None
    yield event("response.created", response=begun)
    yield event("response.in_progress", response=begun)
    for index, item in enumerate(response["output"]):
        yield from _stream_item(event, index, item, answer)
    yield event(f"response.{response['status']}", response=response)


def _stream_item(event: Any, index: int, item: Json, answer: Answer) -> Iterator[str]:
    at = {"item_id": item["id"], "output_index": index}
    empty: dict[str, Json] = {
        "message": {"content": [], "status": "in_progress"},
        "reasoning": {"summary": []},
        "function_call": {"arguments": "", "status": "in_progress"},
        "custom_tool_call": {"input": "", "status": "in_progress"},
    }
    opening = item | empty[item["type"]]
    yield event("response.output_item.added", item=opening, output_index=index)
    match item["type"]:
        case "message":
            [part] = item["content"]
            place = at | {"content_index": 0}
            yield event("response.content_part.added", **place, part=part | {"text": ""})
            for piece in answer.pieces:
                yield event("response.output_text.delta", **place, delta=piece, logprobs=[])
            yield event("response.output_text.done", **place, text=part["text"], logprobs=[])
            yield event("response.content_part.done", **place, part=part)
        case "reasoning":
            for number, part in enumerate(item["summary"]):
                place, head = at | {"summary_index": number}, "response.reasoning_summary"
                yield event(f"{head}_part.added", **place, part=part | {"text": ""})
                for piece in split_words(part["text"]):
                    yield event(f"{head}_text.delta", **place, delta=piece)
                yield event(f"{head}_text.done", **place, text=part["text"])
                yield event(f"{head}_part.done", **place, part=part)
        case kind:
            name, told = ("input", "custom_tool_call_input")
            if kind == "function_call":
                name, told = "arguments", "function_call_arguments"
            text = item[name]
            for piece in (text[: len(text) // 2], text[len(text) // 2 :]):
                yield event(f"response.{told}.delta", **at, delta=piece)
            yield event(f"response.{told}.done", **at, **{name: text})
    yield event("response.output_item.done", item=item, output_index=index)
