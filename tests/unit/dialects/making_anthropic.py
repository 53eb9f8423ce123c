"""Requests and streams in Anthropic's Messages."""

import json
from collections.abc import Iterable
from typing import Any

from proxy.core.chat import Answer, Call, Chunk, Served
from proxy.core.collect import Collector
from proxy.core.messages import Message
from proxy.core.sse import Parser
from proxy.dialects import anthropic

USER = {"role": "user", "content": "hi"}
TOOL = {"name": "weather", "input_schema": {"type": "object"}}
SERVED = Served(
    request_id="req_1", answer_id="1", provider="gemini", model="flash", created=1_700_000_000
)
NATIVE = Served(
    request_id="req_1", answer_id="1", provider="anthropic", model="claude", wire="messages"
)
PNG = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk"
IMAGE = {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": PNG}}


def raw(**body: Any) -> bytes:
    given = {"model": "flash", "max_tokens": 100, "messages": [USER], **body}
    return json.dumps({name: value for name, value in given.items() if value is not ...}).encode()


def parse(**body: Any) -> Call:
    return anthropic.parse_chat(raw(**body))


def said(*content: Any, role: str = "user") -> tuple[Message, ...]:
    """The messages that a turn of these blocks becomes."""
    return parse(messages=[USER, {"role": role, "content": list(content)}]).chat.messages[1:]


def answered(answer: Answer, call: Call | None = None) -> Any:
    return json.loads(anthropic.answer(answer, call or parse(), SERVED))


def collect(chunks: Iterable[Chunk]) -> Answer:
    collector = Collector()
    for chunk in chunks:
        collector.add(chunk)
    return collector.answer()


def streamed(chunks: Iterable[Chunk], call: Call | None = None, served: Served = SERVED) -> bytes:
    chunks = list(chunks)
    writer = anthropic.writer(call or parse(stream=True), served)
    body = b"".join(map(writer.chunk, chunks))
    return body + writer.done(collect(chunks), served)


def events(data: bytes) -> list[Any]:
    """Each event's data, whose type is the event's name."""
    found = []
    for event in Parser().feed(data):
        found.append(json.loads(event.data))
        assert found[-1]["type"] == event.name
    return found


def assemble(data: bytes) -> Any:
    """The message that events add up to; fails where a reader would."""
    message: Any = None
    for event in events(data):
        kind, index = event["type"], event.get("index")
        if kind == "message_start":
            assert message is None
            message = event["message"]
        elif kind == "content_block_start":
            assert index == len(message["content"])
            message["content"].append(event["content_block"])
            is_open, pieces = True, [""]
        elif kind == "content_block_delta":
            assert is_open
            assert index == len(message["content"]) - 1
            _add(message["content"][index], event["delta"], pieces)
        elif kind == "content_block_stop":
            assert is_open
            assert index == len(message["content"]) - 1
            is_open = False
            if arguments := "".join(pieces):
                message["content"][index]["input"] = json.loads(arguments)
        elif kind == "message_delta":
            message |= event["delta"]
            message["usage"] |= event["usage"]
    assert events(data)[-1]["type"] == "message_stop"
    return message


def _add(block: Any, delta: Any, pieces: list[str]) -> None:
    for field in ("text", "thinking", "signature"):
        if field in delta:
            block[field] += delta[field]
    pieces.append(delta.get("partial_json", ""))
    if "citation" in delta:
        block.setdefault("citations", []).append(delta["citation"])
