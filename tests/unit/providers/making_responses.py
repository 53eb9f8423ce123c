"""Requests for providers of OpenAI's Responses, their answers, and these as events."""

import json
from itertools import count
from typing import Any

from proxy.core.chat import Answer, ChatRequest, Chunk
from proxy.core.messages import Message
from proxy.providers import responses
from proxy.providers.specs import Endpoint, Model, ProviderSpec
from proxy.providers.target import Target
from tests.unit.providers import replay

HELLO = (Message(role="user", content="Hello"),)
USAGE = {
    "input_tokens": 94,
    "input_tokens_details": {"cached_tokens": 64, "cache_write_tokens": 20},
    "output_tokens": 85,
    "output_tokens_details": {"reasoning_tokens": 63},
    "total_tokens": 179,
}
SEALED = {"id": "rs_1", "type": "reasoning", "encrypted_content": "gAAAAB-_=", "summary": []}
CALL = {
    "id": "fc_1",
    "type": "function_call",
    "status": "completed",
    "arguments": '{"city":"Oslo"}',
    "call_id": "call_1",
    "name": "weather",
}
CUSTOM = {
    "id": "ctc_1",
    "type": "custom_tool_call",
    "status": "completed",
    "input": "*** Begin\n*** End",
    "call_id": "call_2",
    "name": "apply_patch",
}
PIECES = {"function_call": ("arguments", ""), "custom_tool_call": ("input", "")}
_DELTAS = {
    "function_call": "response.function_call_arguments",
    "custom_tool_call": "response.custom_tool_call_input",
}


def target(model: dict[str, Any] | None = None, name: str = "acme", **spec: Any) -> Target:
    spec = {"custom_tools": True} | spec
    return Target(
        spec=ProviderSpec(name=name, endpoints={"responses": Endpoint()}, **spec),
        model=Model(provider=name, id="model-1", **(model or {})),
        base_url="https://acme.test/v1/",
        wire="responses",
        key="secret",
    )


def sent(to: Target, chat: ChatRequest) -> Any:
    return replay.decode_body(responses.build_request(to, chat))


def dropped(to: Target, chat: ChatRequest) -> tuple[str, ...]:
    return responses.build_request(to, chat).dropped


def items(*messages: Message, to: Target | None = None) -> Any:
    """The input that messages become."""
    return sent(to or target(), ChatRequest(messages=messages))["input"]


def says(text: str, **fields: Any) -> dict[str, Any]:
    """A message of the model's."""
    part = {"type": "output_text", "annotations": [], "logprobs": [], "text": text}
    return {
        "id": "msg_1",
        "type": "message",
        "status": "completed",
        "content": [part | fields],
        "role": "assistant",
    }


def thinks(*summary: str, content: tuple[str, ...] = ()) -> dict[str, Any]:
    item: dict[str, Any] = {"id": "rs_1", "type": "reasoning"}
    item["summary"] = [{"type": "summary_text", "text": text} for text in summary]
    if content:
        item["content"] = [{"type": "reasoning_text", "text": text} for text in content]
    return item


def response(*output: dict[str, Any], **fields: Any) -> dict[str, Any]:
    """A response in the form in which OpenAI sends it."""
    whole: dict[str, Any] = {
        "id": "resp_1",
        "object": "response",
        "created_at": 1790000000,
        "status": "completed",
        "background": False,
        "error": None,
        "incomplete_details": None,
        "model": "gpt-5.5-2026-04-23",
        "output": list(output),
        "parallel_tool_calls": True,
        "reasoning": {"effort": "high", "summary": None},
        "service_tier": "default",
        "store": False,
        "tool_choice": "auto",
        "tools": [],
        "usage": USAGE,
        "metadata": {},
    }
    return whole | fields


def read(*output: dict[str, Any], **fields: Any) -> Answer:
    """What is read of a whole response."""
    return responses.read_answer(target(), json.dumps(response(*output, **fields)).encode())


def frame(kind: str, **fields: Any) -> bytes:
    """An event."""
    return f"event: {kind}\ndata: {json.dumps({'type': kind, **fields})}\n\n".encode()


def events(*output: dict[str, Any], step: int = 4, **fields: Any) -> list[bytes]:
    """A response as its events; texts come `step` characters at once."""
    whole = response(*output, **fields)
    begun = whole | {"status": "in_progress", "output": [], "usage": None}
    frames = [
        ("response.created", {"response": begun}),
        ("response.in_progress", {"response": begun}),
    ]
    for index, item in enumerate(output):
        frames += _item_events(index, item, step)
    frames.append((f"response.{whole['status']}", {"response": whole}))
    numbers = count()
    return [frame(kind, **body, sequence_number=next(numbers)) for kind, body in frames]


def _item_events(index: int, item: dict[str, Any], step: int) -> list[tuple[str, Any]]:
    at = {"item_id": item["id"], "output_index": index}
    begun = dict(item)
    for name in ("content", "summary"):
        begun |= {name: []} if name in item else {}
    kind = item["type"]
    frames: list[tuple[str, Any]] = []
    if kind in PIECES:
        field, empty = PIECES[kind]
        begun[field] = empty
        head = _DELTAS[kind]
        frames += [(f"{head}.delta", {**at, "delta": p}) for p in _cut(item[field], step)]
        frames.append((f"{head}.done", {**at, field: item[field]}))
    for number, part in enumerate(item.get("summary", ())):
        place, head = {**at, "summary_index": number}, "response.reasoning_summary"
        frames.append((f"{head}_part.added", {**place, "part": part | {"text": ""}}))
        frames += [(f"{head}_text.delta", {**place, "delta": p}) for p in _cut(part["text"], step)]
        frames.append((f"{head}_text.done", {**place, "text": part["text"]}))
    for number, part in enumerate(item.get("content", ())):
        place, head = {**at, "content_index": number}, f"response.{part['type']}"
        field = "refusal" if part["type"] == "refusal" else "text"
        frames.append(("response.content_part.added", {**place, "part": part | {field: ""}}))
        logprobs = part.get("logprobs") or []
        for number, piece in enumerate(_cut(part[field], step)):
            shown = {"logprobs": logprobs if number == 0 else []} if field == "text" else {}
            frames.append((f"{head}.delta", {**place, "delta": piece, **shown}))
        for annotation in part.get("annotations", ()):
            added = "response.output_text.annotation.added"
            frames.append((added, {**place, "annotation": annotation, "annotation_index": 0}))
        frames.append((f"{head}.done", {**place, field: part[field]}))
        frames.append(("response.content_part.done", {**place, "part": part}))
    whole = [("response.output_item.done", {"item": item, "output_index": index})]
    return [("response.output_item.added", {"item": begun, "output_index": index}), *frames, *whole]


def _cut(text: str, step: int) -> list[str]:
    return [text[i : i + step] for i in range(0, len(text), step)]


def chunks(*frames: bytes, to: Target | None = None) -> list[Chunk]:
    """The chunks of a stream that is whole."""
    decoder = responses.make_decoder(to or target())
    read_chunks = replay.decode(decoder, frames)
    assert decoder.finished
    return read_chunks
