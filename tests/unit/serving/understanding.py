"""What a caller of each dialect understands of an answer: of a whole one, and of a stream that is
read event by event, as the SDKs do it."""

import json
from collections.abc import Callable
from typing import Any

from msgspec import Struct

from proxy.core.sse import Parser

Fields = dict[str, Any]

_FINISHES = {
    "end_turn": "stop",
    "stop_sequence": "stop",
    "max_tokens": "length",
    "max_output_tokens": "length",
    "model_context_window_exceeded": "length",
    "tool_use": "tool_calls",
    "refusal": "content_filter",
}
"""Words of Messages and Responses for OpenAI's finish reasons."""


def _name_finish(word: str) -> str:
    return _FINISHES.get(word, word)


class Counts(Struct, frozen=True):
    """Tokens: `cached` and `written` are part of `input`, `reasoning` of `output`. What is not
    reported counts as 0."""

    input: int = 0
    output: int = 0
    cached: int = 0
    written: int = 0
    reasoning: int = 0


class Understood(Struct, frozen=True):
    """An answer in no dialect."""

    text: str
    reasoning: str
    refusal: str
    calls: tuple[tuple[str, str, Any], ...]
    """Of each call the id, the name and the arguments, read where they are JSON."""
    finish: str
    counts: Counts
    sources: tuple[str, ...]
    """The addresses that the text cites."""


def read_chat(completion: Fields) -> Understood:
    """Reads a `chat.completion`."""
    choice = completion["choices"][0]
    message = choice.get("message") or {}
    content, inline = _part_thinking(message.get("content"))
    thought = message.get("reasoning_content") or message.get("reasoning") or inline
    calls = [
        (call["id"], call["function"]["name"], _read(call["function"]["arguments"]))
        for call in message.get("tool_calls") or ()
    ]
    cited = [note["url_citation"]["url"] for note in message.get("annotations") or ()]
    return Understood(
        text=content,
        reasoning=thought,
        refusal=message.get("refusal") or "",
        calls=tuple(calls),
        finish=choice["finish_reason"],
        counts=_count_chat(completion.get("usage") or {}),
        sources=tuple(cited),
    )


def _part_thinking(content: Any) -> tuple[str, str]:
    """The text and the thinking of a content, which may be Mistral's list of both."""
    if not isinstance(content, list):
        return content or "", ""
    thoughts = [part for block in content for part in block.get("thinking", ())]
    texts = [block for block in content if block["type"] == "text"]
    return "".join(part["text"] for part in texts), "".join(part["text"] for part in thoughts)


def _count_chat(usage: Fields) -> Counts:
    prompt = usage.get("prompt_tokens_details") or {}
    if usage:
        assert usage["total_tokens"] == usage["prompt_tokens"] + usage["completion_tokens"]
    return Counts(
        input=usage.get("prompt_tokens", 0),
        output=usage.get("completion_tokens", 0),
        cached=prompt.get("cached_tokens") or usage.get("prompt_cache_hit_tokens") or 0,
        written=prompt.get("cache_write_tokens") or 0,
        reasoning=(usage.get("completion_tokens_details") or {}).get("reasoning_tokens") or 0,
    )


def join_chat(data: bytes) -> Fields:
    """The completion that chunks add up to."""
    *chunks, done = [event.data for event in Parser().feed(data)]
    assert done == b"[DONE]"
    message: Fields = {}
    calls: dict[int, Fields] = {}
    whole: Fields = {"choices": [{"message": message, "finish_reason": None}]}
    for chunk in map(json.loads, chunks):
        whole["usage"] = chunk.get("usage") or whole.get("usage")
        for choice in chunk["choices"]:
            delta = choice["delta"]
            for call in delta.pop("tool_calls", None) or ():
                made = calls.setdefault(call["index"], {"function": {"name": "", "arguments": ""}})
                made["id"] = made.get("id") or call.get("id")
                for name, text in call["function"].items():
                    made["function"][name] += text or ""
            if isinstance(delta.get("content"), list):
                delta["content"], delta["reasoning_content"] = _part_thinking(delta["content"])
            for name, value in delta.items():
                if name != "role" and value is not None:
                    message[name] = message[name] + value if name in message else value
            whole["choices"][0]["finish_reason"] = (
                choice.get("finish_reason") or whole["choices"][0]["finish_reason"]
            )
    return whole if not calls else _with_calls(whole, [calls[index] for index in sorted(calls)])


def _with_calls(whole: Fields, calls: list[Fields]) -> Fields:
    whole["choices"][0]["message"]["tool_calls"] = calls
    return whole


def read_message(message: Fields) -> Understood:
    """Reads a `message` of Messages. Its refusal is what it says of why it refused."""
    blocks = message["content"]
    texts = [block for block in blocks if block["type"] == "text"]
    details = message.get("stop_details") or {}
    cited = [note for block in texts for note in block.get("citations") or ()]
    usage = message["usage"]
    cached = usage.get("cache_read_input_tokens") or 0
    written = usage.get("cache_creation_input_tokens") or 0
    details_of_output = usage.get("output_tokens_details") or {}
    return Understood(
        text="".join(block["text"] for block in texts),
        reasoning="".join(b["thinking"] for b in blocks if b["type"] == "thinking"),
        refusal=details.get("explanation") or "",
        calls=tuple((b["id"], b["name"], b["input"]) for b in blocks if b["type"] == "tool_use"),
        finish=_name_finish(message["stop_reason"]),
        counts=Counts(
            input=usage["input_tokens"] + cached + written,
            output=usage["output_tokens"],
            cached=cached,
            written=written,
            reasoning=details_of_output.get("thinking_tokens") or 0,
        ),
        sources=tuple(note["url"] for note in cited if "url" in note),
    )


_PIECES = {"text_delta": "text", "thinking_delta": "thinking", "signature_delta": "signature"}


def join_message(data: bytes) -> Fields:
    """The message that events add up to. Blocks come one after the other."""
    message: Fields = {}
    given = ""
    for event in Parser().feed(data):
        fields = json.loads(event.data)
        kind, delta = fields["type"], fields.get("delta", {})
        assert event.name == kind
        if kind == "message_start":
            message = {**fields["message"], "content": []}
        elif kind == "content_block_start":
            assert fields["index"] == len(message["content"])
            message["content"].append(fields["content_block"])
            given = ""
        elif kind == "content_block_delta":
            block = message["content"][fields["index"]]
            if delta["type"] in _PIECES:
                name = _PIECES[delta["type"]]
                block[name] = block.get(name, "") + delta[name]
            elif delta["type"] == "citations_delta":
                block["citations"] = [*(block.get("citations") or ()), delta["citation"]]
            elif "partial_json" in delta:
                given += delta["partial_json"]
                block["input"] = _read(given or "{}")
        elif kind == "message_delta":
            message |= delta
            message["usage"] = message["usage"] | fields["usage"]
    assert kind == "message_stop"
    return message


def read_response(response: Fields) -> Understood:
    """Reads a `response` of Responses."""
    items = response["output"]
    parts = [part for item in items if item["type"] == "message" for part in item["content"]]
    texts = ["".join(p.get("text", "") for p in i["content"]) for i in items if "role" in i]
    thoughts = [
        part["text"]
        for item in items
        if item["type"] == "reasoning"
        for part in (*(item.get("summary") or ()), *(item.get("content") or ()))
    ]
    calls = [
        (item["call_id"], item["name"], _read(item["arguments"]))
        for item in items
        if item["type"] == "function_call"
    ]
    cited = [note for part in parts for note in part.get("annotations") or ()]
    return Understood(
        text="\n\n".join(filter(None, texts)),
        reasoning="\n\n".join(thoughts),
        refusal="".join(part.get("refusal", "") for part in parts),
        calls=tuple(calls),
        finish=_read_end(response, bool(calls)),
        counts=_count_response(response.get("usage") or {}),
        sources=tuple(note["url"] for note in cited if "url" in note),
    )


def _read_end(response: Fields, called: bool) -> str:
    if response["status"] == "incomplete":
        return _name_finish(response["incomplete_details"]["reason"])
    assert response["status"] == "completed"
    return "tool_calls" if called else "stop"


def _count_response(usage: Fields) -> Counts:
    prompt = usage.get("input_tokens_details") or {}
    if usage:
        assert usage["total_tokens"] == usage["input_tokens"] + usage["output_tokens"]
    return Counts(
        input=usage.get("input_tokens", 0),
        output=usage.get("output_tokens", 0),
        cached=prompt.get("cached_tokens") or 0,
        written=prompt.get("cache_write_tokens") or 0,
        reasoning=(usage.get("output_tokens_details") or {}).get("reasoning_tokens") or 0,
    )


def join_response(data: bytes) -> Fields:
    """The response that a stream ends with, after its pieces were found to add up to it."""
    events = [json.loads(event.data) for event in Parser().feed(data)]
    ended: Fields = events[-1]["response"]
    pieces: dict[tuple[int, str], str] = {}
    items: dict[int, Fields] = {}
    for event in events:
        kind = event["type"]
        if kind.endswith(".delta"):
            piece = (event["output_index"], kind)
            pieces[piece] = pieces.get(piece, "") + event["delta"]
        elif kind == "response.output_item.done":
            items[event["output_index"]] = event["item"]
    assert [items[place] for place in sorted(items)] == ended["output"]
    for (place, kind), text in pieces.items():
        assert text == "".join(_list_texts(items[place], kind)), kind
    return ended


def _list_texts(item: Fields, kind: str) -> list[str]:
    """The texts of an item that events of this kind have brought."""
    if "arguments" in kind or "input" in kind:
        return [str(item.get("arguments", item.get("input", "")))]
    if "summary" in kind:
        return [part["text"] for part in item["summary"]]
    field = "refusal" if "refusal" in kind else "text"
    return [part.get(field, "") for part in item["content"]]


def read_native(answer: Fields) -> Understood:
    """Reads an answer of the proxy's own dialect."""
    usage = answer["usage"] or {}
    if usage:
        assert usage["totalTokens"] == usage["inputTokens"] + usage["outputTokens"]
    return Understood(
        text=answer["data"],
        reasoning=answer.get("reasoning", ""),
        refusal=answer.get("refusal", ""),
        calls=tuple(
            (call["id"], call["function"]["name"], _read(call["function"]["arguments"]))
            for call in answer.get("toolCalls", ())
        ),
        finish=answer["metadata"]["finishReason"],
        counts=Counts(
            usage.get("inputTokens", 0),
            usage.get("outputTokens", 0),
            usage.get("cachedTokens", 0),
            usage.get("cacheWriteTokens", 0),
            usage.get("reasoningTokens", 0),
        ),
        sources=tuple(note["url_citation"]["url"] for note in answer.get("annotations", ())),
    )


def join_native(data: bytes) -> Fields:
    """The answer that events add up to."""
    *deltas, done = [json.loads(event.data) for event in Parser().feed(data)]
    joined: Fields = {"text": "", "reasoning": "", "refusal": ""}
    arguments: dict[int, str] = {}
    for delta in deltas:
        for kind, piece in delta.items():
            if kind == "toolCall":
                index = piece["index"]
                arguments[index] = arguments.get(index, "") + piece["arguments"]
            else:
                joined[kind] += piece
    assert joined["reasoning"] == done.get("reasoning", "")
    assert joined["refusal"] == done.get("refusal", "")
    made = [call["function"]["arguments"] for call in done.get("toolCalls", ())]
    assert made == [arguments[index] or "{}" for index in sorted(arguments)]
    return {**done, "data": joined["text"]}


def _read(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        return text


READ: dict[str, Callable[[Fields], Understood]] = {
    "chat": read_chat,
    "native": read_native,
    "messages": read_message,
    "responses": read_response,
}
JOIN: dict[str, Callable[[bytes], Fields]] = {
    "chat": join_chat,
    "native": join_native,
    "messages": join_message,
    "responses": join_response,
}
"""By the dialect. A wire of providers is read as the callers' dialect of its name."""
