"""Anthropic's Messages: /messages and /models."""

import json
from collections.abc import Iterator
from itertools import count
from typing import Any, ClassVar

from .anthropic_checks import blocks, check_messages, signature, texts, unknown_fields
from .behaviour import Behaviour
from .model import Answer, Question, think, words
from .reply import RejectedError, Reply, dump, json_reply, sse_reply
from .request import Json, Request

STOPS = {"stop": "end_turn", "length": "max_tokens", "tool_calls": "tool_use"}
STOPS |= {"content_filter": "refusal"}
TYPES = {
    400: "invalid_request_error",
    401: "authentication_error",
    403: "permission_error",
    404: "not_found_error",
    413: "request_too_large",
    429: "rate_limit_error",
    529: "overloaded_error",
}
_ids = count(1)


class Anthropic:
    """Anthropic itself."""

    name: ClassVar[str] = "anthropic"
    prefix: ClassVar[str] = "/anthropic/v1"
    key: ClassVar[str] = "test-anthropic-key"
    headers: ClassVar[dict[str, str]] = {
        "request-id": "req_011upstream",
        "anthropic-organization-id": "org-upstream",
        "anthropic-ratelimit-requests-limit": "4000",
        "anthropic-ratelimit-requests-remaining": "3999",
        "anthropic-ratelimit-requests-reset": "2099-01-01T00:00:00Z",
    }

    def authorise(self, request: Request) -> None:
        if request.headers.get("x-api-key") != self.key:
            raise RejectedError(401, "invalid x-api-key")
        if "anthropic-version" not in request.headers:
            raise RejectedError(400, "anthropic-version: header is required")

    def unknown(self, request: Request, body: Json) -> list[str]:
        return unknown_fields(body, request.headers) if "messages" in body else []

    def answer(self, request: Request, body: Any, behaviour: Behaviour) -> Reply:
        match request.method, request.path.removeprefix(self.prefix):
            case "GET", "/models":
                listed = [{"type": "model", "id": "claude-opus-5", "display_name": "Claude Opus 5"}]
                return json_reply({"data": listed, "has_more": False}, self.headers)
            case "POST", "/messages":
                return answer_message(request, body, behaviour, self.headers)
            case "POST", "/messages/batches":
                return json_reply(_batch(len(body["requests"])), self.headers)
            case "GET", "/messages/batches/msgbatch_1":
                return json_reply(_batch(1), self.headers)
        raise RejectedError(404, f"Not found: {request.method} {request.path}")

    def error(self, rejected: RejectedError) -> Reply:
        return json_reply(self.error_body(rejected), self.headers, rejected.status)

    def error_body(self, rejected: RejectedError) -> Json:
        kind = TYPES.get(rejected.status, "api_error")
        error: Json = {"type": kind, "message": rejected.message}
        if rejected.code == "thread_not_found":
            error["details"] = {"error_code": rejected.code}
        return {"type": "error", "error": error, "request_id": "req_011upstream"}

    def stream_error(self) -> list[str]:
        return [event(self.error_body(RejectedError(529, "Overloaded")))]


def _batch(size: int) -> Json:
    counts = dict.fromkeys(("succeeded", "errored", "canceled", "expired"), 0)
    return {
        "id": "msgbatch_1",
        "type": "message_batch",
        "processing_status": "in_progress",
        "request_counts": {"processing": size} | counts,
        "ended_at": None,
        "created_at": "2026-11-29T00:00:00Z",
        "expires_at": "2026-11-30T00:00:00Z",
        "archived_at": None,
        "cancel_initiated_at": None,
        "results_url": None,
    }


def answer_message(
    request: Request, body: Json, behaviour: Behaviour, headers: dict[str, str]
) -> Reply:
    """The reply to a request for a message, of Anthropic or of another who speaks its dialect."""
    check_messages(body, request.headers)
    answer = think(question(body), behaviour)
    is_thinking = (body.get("thinking") or {}).get("type") in ("enabled", "adaptive")
    message = {
        "model": body["model"],
        "id": f"msg_upstream{next(_ids):06d}",
        "type": "message",
        "role": "assistant",
        "content": list(_content(answer, is_thinking=is_thinking)),
        "stop_reason": STOPS.get(answer.finish, answer.finish),
        "stop_sequence": None,
        "stop_details": None,
        "usage": usage(answer, body, is_thinking=is_thinking),
    }
    if body.get("stream"):
        return sse_reply(list(stream(message, answer)), headers)
    return json_reply(message, headers)


def _content(answer: Answer, *, is_thinking: bool) -> Iterator[Json]:
    if is_thinking and answer.reasoning:
        signed = signature(answer.reasoning)
        yield {"type": "thinking", "thinking": answer.reasoning, "signature": signed}
    if answer.text:
        yield {"type": "text", "text": answer.text}
    for call in answer.calls:
        call_id = f"toolu_{next(_ids):012d}"
        yield {"type": "tool_use", "id": call_id, "name": call.name, "input": call.arguments}


def event(body: Json) -> str:
    """One event, named by its type."""
    return f"event: {body['type']}\ndata: {dump(body)}\n\n"


def stream(message: Json, answer: Answer) -> Iterator[str]:
    """A message as its events; a word of the text is one event."""
    used = message["usage"]
    begun = message | {"content": [], "stop_reason": None, "usage": used | {"output_tokens": 1}}
    yield event({"type": "message_start", "message": begun})
    for index, block in enumerate(message["content"]):
        kind = block["type"]
        empty = {"text": {"text": ""}, "thinking": {"thinking": "", "signature": ""}}
        opening = block | empty.get(kind, {"input": {}})
        yield event({"type": "content_block_start", "index": index, "content_block": opening})
        if index == 0:
            yield event({"type": "ping"})
        for delta in _deltas(block, answer):
            yield event({"type": "content_block_delta", "index": index, "delta": delta})
        yield event({"type": "content_block_stop", "index": index})
    stop = {name: message[name] for name in ("stop_reason", "stop_sequence", "stop_details")}
    yield event({"type": "message_delta", "delta": stop, "usage": used})
    yield event({"type": "message_stop"})


def _deltas(block: Json, answer: Answer) -> Iterator[Json]:
    match block["type"]:
        case "text":
            for piece in answer.pieces:
                yield {"type": "text_delta", "text": piece}
        case "thinking":
            yield {"type": "thinking_delta", "thinking": block["thinking"]}
            yield {"type": "signature_delta", "signature": block["signature"]}
        case _:
            told = json.dumps(block["input"])
            for piece in ("", told[: len(told) // 2], told[len(told) // 2 :]):
                yield {"type": "input_json_delta", "partial_json": piece}


def usage(answer: Answer, body: Json, *, is_thinking: bool) -> Json:
    """The tokens: what is marked for the cache was read from it, as far as it is a system text."""
    thought = answer.reasoning_tokens if is_thinking else 0
    marked = [b for b in blocks(body.get("system") or []) if b.get("cache_control")]
    cached = sum(words(block["text"]) for block in marked)
    return {
        "input_tokens": answer.input_tokens - cached,
        "cache_creation_input_tokens": 0,
        "cache_read_input_tokens": cached,
        "output_tokens": answer.answer_tokens + thought,
        "output_tokens_details": {"thinking_tokens": thought},
        "service_tier": "standard",
    }


def question(body: Json) -> Question:
    """A request as the fake model reads it."""
    messages = body["messages"]
    last = blocks(messages[-1]["content"])
    results = [block for block in last if block["type"] == "tool_result"]
    asked = [m for m in messages if m["role"] == "user" and any(_own_texts(m))]
    choice, tools = body.get("tool_choice") or {}, body.get("tools") or []
    named = choice.get("name")
    prompts = " ".join(_own_texts(asked[-1])) if asked else ""
    counted = [*texts(body.get("system")), *(t for m in messages for t in texts(m["content"]))]
    form = (body.get("output_config") or {}).get("format") or {}
    return Question(
        prompt=prompts,
        input_tokens=sum(words(text) for text in counted),
        images=[_image(b) for m in messages for b in _deep(m["content"]) if b["type"] == "image"],
        tool=None
        if choice.get("type") == "none"
        else named or (tools[0]["name"] if tools else None),
        tools=frozenset(tool["name"] for tool in tools),
        must_call=choice.get("type") in ("any", "tool"),
        tool_result=" ".join(texts(results)) if results else None,
        schema=form.get("schema"),
    )


def _own_texts(message: Json) -> Iterator[str]:
    return (b["text"] for b in blocks(message["content"]) if b["type"] == "text")


def _deep(content: Any) -> Iterator[Json]:
    for block in blocks(content or []):
        yield block
        if block["type"] == "tool_result":
            yield from _deep(block.get("content"))


def _image(block: Json) -> str:
    source = block["source"]
    return str(source["media_type"]) if source["type"] == "base64" else "url"
