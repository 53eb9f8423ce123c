"""Requests, answers and streams in the dialect of OpenAI's Responses."""

import json
from collections.abc import Iterable
from typing import Any

from proxy.core.chat import Answer, Call, Chunk, Served
from proxy.core.collect import Collector
from proxy.core.sse import Parser
from proxy.dialects import responses

SERVED = Served(
    request_id="req_1", provider="gemini", model="flash", created=1_700_000_000, ms=2500
)
USER = {"role": "user", "content": "hi"}
SEALED = ["reasoning.encrypted_content"]


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
