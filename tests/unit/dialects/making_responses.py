"""Requests, answers and streams in the dialect of OpenAI's Responses."""

import json
from collections.abc import Iterable
from typing import Any

import httpx2
import openai as sdk

from proxy.core.chat import Answer, Call, Chunk, Served, Usage
from proxy.core.collect import Collector
from proxy.core.messages import ToolCallDelta
from proxy.core.sse import Parser
from proxy.dialects import responses

SERVED = Served(
    request_id="req_1",
    answer_id="1",
    provider="gemini",
    model="flash",
    created=1_700_000_000,
    ms=2500,
)
USER = {"role": "user", "content": "hi"}
SEALED = ["reasoning.encrypted_content"]
MESSAGE = [
    "output_item.added", "content_part.added", "output_text.delta", "output_text.done",
    "content_part.done", "output_item.done",
]  # fmt: skip
REASONING = [
    "output_item.added", "content_part.added", "reasoning_text.delta", "reasoning_text.done",
    "content_part.done", "output_item.done",
]  # fmt: skip
SUMMARY = [
    "output_item.added", "reasoning_summary_part.added", "reasoning_summary_text.delta",
    "reasoning_summary_text.done", "reasoning_summary_part.done", "output_item.done",
]  # fmt: skip
FUNCTION = [
    "output_item.added", "function_call_arguments.delta", "function_call_arguments.done",
    "output_item.done",
]  # fmt: skip
CUSTOM = [
    "output_item.added", "custom_tool_call_input.delta", "custom_tool_call_input.done",
    "output_item.done",
]  # fmt: skip
STOP = Chunk(finish_reason="stop", usage=Usage(input=5, output=7))


def raw(**body: Any) -> bytes:
    return json.dumps({"model": "m", "input": "hi", **body}).encode()


def parse(**body: Any) -> Call:
    return responses.parse_chat(raw(**body))


def read(*items: dict[str, Any], **body: Any) -> Call:
    """The call of a request with these items after the user's first message."""
    return parse(input=[USER, *items], **body)


def answered(answer: Answer, call: Call | None = None, served: Served = SERVED) -> Any:
    return json.loads(responses.answer(answer, call or parse(), served))


def events(data: bytes) -> list[dict[str, Any]]:
    """The events, each with the name that it is sent under."""
    found = Parser().feed(data)
    read = [json.loads(event.data) for event in found]
    assert [event.name for event in found] == [event["type"] for event in read]
    return read


def collect(chunks: Iterable[Chunk]) -> Answer:
    collector = Collector()
    for chunk in chunks:
        collector.add(chunk)
    return collector.answer()


def stream(chunks: Iterable[Chunk], call: Call | None = None, served: Served = SERVED) -> bytes:
    chunks = list(chunks)
    writer = responses.writer(call or parse(stream=True), served)
    written = b"".join(map(writer.chunk, chunks))
    return written + writer.done(collect(chunks), served)


def outline(data: bytes) -> list[str]:
    """The types of the events after the first two, without `response.`; several deltas in a row
    are one."""
    kinds = [event["type"].removeprefix("response.") for event in events(data)]
    assert kinds[:2] == ["created", "in_progress"]
    return [
        kind
        for kind, before in zip(kinds[2:], kinds[1:], strict=False)
        if not (kind == before and kind.endswith("delta"))
    ]


def last(data: bytes) -> Any:
    """The response that a stream ends with."""
    return events(data)[-1]["response"]


def calls(*deltas: ToolCallDelta) -> Chunk:
    return Chunk(tool_calls=deltas)


def piece(index: int, arguments: str) -> ToolCallDelta:
    return ToolCallDelta(index=index, arguments=arguments)


def begin(index: int, name: str = "f", arguments: str = "", kind: str = "function") -> Any:
    return ToolCallDelta(index=index, id=f"c{index}", name=name, arguments=arguments, type=kind)


def client(body: bytes, status: int = 200) -> sdk.OpenAI:
    """The official SDK, which gets this answer."""
    kind = "application/json" if body.startswith(b"{") else "text/event-stream"
    headers = {"content-type": kind}
    transport = httpx2.MockTransport(
        lambda request: httpx2.Response(status, headers=headers, content=body)
    )
    http = httpx2.Client(transport=transport)
    return sdk.OpenAI(api_key="k", base_url="http://proxy.test/v1", http_client=http, max_retries=0)
