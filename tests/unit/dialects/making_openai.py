"""Requests and streams in OpenAI's dialect."""

import json
from typing import Any

from proxy.core.chat import Answer, Call, Served
from proxy.core.sse import Parser
from proxy.dialects import openai

USER = {"role": "user", "content": "hi"}
TOOL = {"type": "function", "function": {"name": "f"}}
SERVED = Served(
    request_id="req_1", answer_id="1", provider="gemini", model="flash", created=1_700_000_000
)
HEAD = {
    "id": "chatcmpl-1",
    "object": "chat.completion.chunk",
    "created": 1_700_000_000,
    "model": "flash",
}


def raw(**body: Any) -> bytes:
    return json.dumps({"messages": [USER], **body}).encode()


def parse(**body: Any) -> Call:
    return openai.parse_chat(raw(**body))


def answered(answer: Answer, served: Served = SERVED) -> Any:
    return json.loads(openai.answer(answer, parse(), served))


def events(data: bytes) -> list[Any]:
    return [json.loads(event.data) for event in Parser().feed(data) if event.data != b"[DONE]"]


def delta(fields: dict[str, Any], finish: str | None = None, **more: Any) -> dict[str, Any]:
    choice = {"index": 0, "delta": fields, "logprobs": None, "finish_reason": finish}
    return {**HEAD, "choices": [choice], **more}


def writer(include_usage: bool = False) -> openai.OpenAIWriter:
    options = {"include_usage": include_usage}
    return openai.writer(parse(stream=True, stream_options=options), SERVED)
