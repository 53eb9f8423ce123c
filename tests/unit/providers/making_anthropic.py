"""Requests for providers of Anthropic's Messages, and what they answer."""

import json
from collections.abc import Iterable
from typing import Any

from proxy.core.chat import ChatRequest
from proxy.core.messages import FunctionCall, Message, Part, ToolCall
from proxy.core.ports import Body
from proxy.providers import anthropic
from proxy.providers.specs import Endpoint, Model, ProviderSpec
from proxy.providers.target import Target
from tests.unit.providers import replay

HELLO = Message(role="user", content="Hello")
MESSAGES = Endpoint(key_header="x-api-key", headers={"anthropic-version": "2023-06-01"})


def target(model: dict[str, Any] | None = None, **spec: Any) -> Target:
    return Target(
        spec=ProviderSpec(
            **{"name": "anthropic", "endpoints": {"messages": MESSAGES}, "headers": {}, **spec}
        ),
        model=Model(provider="anthropic", id="claude-1", **{"max_output": 4096, **(model or {})}),
        base_url="https://anthropic.test/v1/",
        wire="messages",
        key="secret",
    )


TO = target()


def shipped(model: str) -> Target:
    """A model of the catalogue."""
    return replay.target("anthropic", model)


def sent(*messages: Message, to: Target = TO, **fields: Any) -> Any:
    chat = ChatRequest(messages=messages or (HELLO,), **fields)
    return replay.decode_body(anthropic.build_request(to, chat))


def dropped(*messages: Message, to: Target = TO, **fields: Any) -> tuple[str, ...]:
    chat = ChatRequest(messages=messages or (HELLO,), **fields)
    return anthropic.build_request(to, chat).dropped


def join(body: Body | None) -> bytes:
    return body if isinstance(body, bytes) else b"".join(map(bytes, body or ()))


def call(id_: str, name: str = "get", arguments: str = "{}") -> ToolCall:
    return ToolCall(id=id_, function=FunctionCall(name, arguments))


def text(text: str, **fields: Any) -> Part:
    return Part(type="text", text=text, **fields)


def event(kind: str, **fields: Any) -> bytes:
    data = json.dumps({"type": kind, **fields}, separators=(",", ":"), ensure_ascii=False)
    return f"event: {kind}\ndata: {data}\n\n".encode()


def stream(message: dict[str, Any], cuts: Iterable[int] = ()) -> bytes:
    """The events of a message; each text is cut in pieces of these lengths, in turn."""
    lengths = [cut for cut in cuts if cut > 0] or [1000]
    content, usage = message["content"], message["usage"]
    start = {**message, "content": [], "stop_reason": None}
    events = [event("message_start", message={**start, "usage": {**usage, "output_tokens": 1}})]
    for index, block in enumerate(content):
        fields = {
            "text": "text_delta",
            "thinking": "thinking_delta",
            "signature": "signature_delta",
        }
        given = {name: block[name] for name in fields if name in block}
        begun = {**block, **dict.fromkeys(given, "")}
        if "input" in block:
            given, begun = {"partial_json": json.dumps(block["input"])}, {**begun, "input": {}}
            fields = {"partial_json": "input_json_delta"}
        events.append(event("content_block_start", index=index, content_block=begun))
        for name, whole in given.items():
            for piece in split(whole, lengths):
                delta = {"type": fields[name], name: piece}
                events.append(event("content_block_delta", index=index, delta=delta))
        events.append(event("content_block_stop", index=index))
    end = {"stop_reason": message["stop_reason"]}
    events.append(event("message_delta", delta=end, usage=usage))
    return b"".join([*events, event("message_stop")])


def split(whole: str, lengths: list[int]) -> Iterable[str]:
    at = turn = 0
    while at < len(whole):
        length = lengths[turn % len(lengths)]
        yield whole[at : at + length]
        at, turn = at + length, turn + 1
