"""Streams from request to response, and what ends them."""

import json
from typing import Any

import pytest

from proxy.core.errors import Fault
from tests.unit.api.making import generate, make_app, request_lines
from tests.unit.callers import JSON, read_stream, request, send
from tests.unit.doubles import FakeReply
from tests.unit.routing.making import DONE, EVENTS, HELLO, ROLE, STOP


@pytest.mark.parametrize(
    ("path", "end"),
    [("/v1/generate", b"event: done\n"), ("/v1/chat/completions", b"data: [DONE]\n\n")],
)
async def test_a_stream(path: str, end: bytes) -> None:
    reply = FakeReply(ROLE, HELLO, STOP, DONE, headers=EVENTS)
    app, outside = make_app(lambda _: reply)
    body: dict[str, Any] = {"stream": True, "model": "openai/gpt-4o"}
    if path == "/v1/generate":
        body["prompt"] = "Hello"
    else:
        body["messages"] = [{"role": "user", "content": "Hello"}]
    response = await send(app, request("POST", path, body, **JSON))
    assert response.headers["content-type"].startswith("text/event-stream")
    assert request_lines(outside) == []
    text = await read_stream(response)
    assert b"Hello" in text
    assert end in text
    assert request_lines(outside)[0]["proxy.stream.ended"] == "ok"
    assert reply.aborted


async def test_a_stream_that_breaks_ends_in_an_error() -> None:
    reply = FakeReply(HELLO, Fault("network", "The connection broke."), headers=EVENTS)
    app, outside = make_app(lambda _: reply)
    text = await read_stream(await generate(app, stream=True))
    last = text.strip().rsplit(b"\n\n", 1)[1]
    assert last.startswith(b"event: error\ndata: ")
    assert json.loads(last.split(b"data: ")[1])["error"]["code"] == 502
    assert request_lines(outside)[0]["proxy.stream.ended"] == "network"


async def test_a_stream_ends_at_the_callers_deadline() -> None:
    reply = FakeReply(HELLO, 10.0, STOP, headers=EVENTS)
    app, outside = make_app(lambda _: reply)
    text = await read_stream(await generate(app, stream=True, timeout=100))
    assert b'"code":504' in text
    assert request_lines(outside)[0]["proxy.stream.ended"] == "timeout"
    assert reply.aborted


async def test_a_caller_who_leaves_ends_the_upstream() -> None:
    reply = FakeReply(HELLO, HELLO, HELLO, STOP, headers=EVENTS)
    app, outside = make_app(lambda _: reply)
    response = await generate(app, stream=True)
    await read_stream(response, gone_after=1)
    assert reply.aborted
    assert request_lines(outside)[0]["proxy.stream.ended"] == "client_gone"


async def test_a_caller_who_leaves_before_the_error_is_sent() -> None:
    reply = FakeReply(HELLO, Fault("network", "broke"), headers=EVENTS)
    app, outside = make_app(lambda _: reply)
    response = await generate(app, stream=True)
    await read_stream(response, gone_after=1)
    assert request_lines(outside)[0]["proxy.stream.ended"] == "network"
