"""Answers and streams of OpenAI's dialect."""

import json
from typing import Any

from proxy.core.chat import Answer, Chunk
from proxy.providers import openai
from tests.unit.providers import replay

TO = replay.target("openai")
STOP: dict[str, Any] = {"finish": "stop"}
CALL = {"index": 0, "id": "c1", "function": {"name": "f", "arguments": '{"a":1}'}}


def body(message: dict[str, Any] | None = None, **fields: Any) -> bytes:
    choice = {"index": 0, "message": message or {"role": "assistant", "content": "Hi"}}
    whole = {"id": "c-1", "object": "chat.completion", "created": 7, "model": "m-1"}
    choices = [{**choice, "finish_reason": fields.pop("finish", "stop")}]
    return json.dumps({**whole, "choices": choices, **fields}).encode()


def events(*deltas: dict[str, Any] | str) -> list[bytes]:
    """A stream of these deltas; a text is an event as it stands."""
    head = {"id": "c-1", "object": "chat.completion.chunk", "created": 7, "model": "m-1"}
    frames = []
    for delta in deltas:
        if isinstance(delta, dict):
            finish = delta.pop("finish", None)
            choices = [{"index": 0, "delta": delta, "finish_reason": finish}]
            delta = json.dumps({**head, "choices": choices})
        frames.append(f"data: {delta}\n\n".encode())
    return frames


def chunks(*deltas: dict[str, Any] | str | bytes) -> list[Chunk]:
    """The chunks of a stream of these deltas; bytes are frames as they stand."""
    pieces = [piece for delta in deltas for piece in _frames(delta)]
    decoder = openai.make_decoder(TO)
    read_chunks = replay.decode(decoder, pieces)
    assert decoder.finished
    return read_chunks


def _frames(delta: dict[str, Any] | str | bytes) -> list[bytes]:
    return [delta] if isinstance(delta, bytes) else events(delta)


def read(*deltas: dict[str, Any] | str | bytes) -> Answer:
    """The answer that these deltas add up to."""
    return replay.collect(chunks(*deltas))
