"""Streams, as the manager gets them: held back to their first content."""

import asyncio
from typing import Any

import pytest

from proxy.core.chat import (
    Chunk,
)
from proxy.core.errors import (
    Fault,
)
from proxy.routing.stream import Stream
from tests.unit.doubles import FakeReply, Unlimited
from tests.unit.routing.making import (
    DEEP,
    DONE,
    EVENTS,
    HELLO,
    ROLE,
    STOP,
    Build,
    by_host,
    call,
)


async def read_all(stream: Stream) -> list[Chunk]:
    return [chunk async for chunks in stream.chunks() for chunk in chunks]


async def test_a_stream_is_held_back_to_its_first_content(build: Build) -> None:
    reply = FakeReply(ROLE, HELLO, STOP, DONE, headers=EVENTS)
    stream, success = await build(by_host(openai=reply)).stream(call(stream=True), Unlimited())
    chunks = await read_all(stream)
    assert "".join(chunk.text for chunk in chunks) == "Hello"
    assert chunks[-1].finish_reason == "stop" or chunks[-2].finish_reason == "stop"
    assert success.attempts[-1].outcome == "ok"
    stream.abort()
    assert reply.aborted


@pytest.mark.parametrize(
    "pieces",
    [
        (),
        (ROLE,),
        (ROLE, DONE),
        (ROLE, Fault("network", "broke")),
        (ROLE, b'data: {"error": {"message": "overloaded"}}\n\n'),
        (ROLE, b"data: {broken\n\n"),
        (b"<html>no</html>",),
        (ROLE, 5.0, HELLO),
    ],
    ids=["empty", "role only", "no finish", "break", "error", "bad JSON", "page", "silence"],
)
async def test_a_stream_falls_over_before_content(build: Build, pieces: Any) -> None:
    first = FakeReply(*pieces, headers=EVENTS)
    second = FakeReply(HELLO, STOP, DONE, headers=EVENTS)
    manager = build(by_host(openai=first, groq=second), REQUEST_TIMEOUT_MS="300")
    stream, success = await manager.stream(call(stream=True), Unlimited())
    assert "".join(chunk.text for chunk in await read_all(stream)) == "Hello"
    assert [a.provider for a in success.attempts] == ["openai", "groq"]
    assert first.aborted


async def test_an_empty_but_finished_answer_is_an_answer(build: Build) -> None:
    reply = FakeReply(ROLE, STOP, DONE, headers=EVENTS)
    stream, success = await build(by_host(openai=reply)).stream(call(stream=True), Unlimited())
    assert [c.finish_reason for c in await read_all(stream) if c.finish_reason] == ["stop"]
    assert len(success.attempts) == 1


@pytest.mark.parametrize(
    ("pieces", "kind"),
    [
        ((Fault("network", "broke"),), "network"),
        ((Fault("timeout", "silent"),), "timeout"),
        ((DONE,), "network"),
        ((), "network"),
        ((b'data: {"error": {"message": "overloaded"}}\n\n',), "unavailable"),
    ],
)
async def test_after_content_a_fault_is_told(build: Build, pieces: Any, kind: str) -> None:
    reply = FakeReply(HELLO, *pieces, headers=EVENTS)
    stream, _ = await build(by_host(openai=reply)).stream(call(stream=True), Unlimited())
    seen = []
    with pytest.raises(Fault) as caught:
        async for chunks in stream.chunks():
            seen += chunks
    assert caught.value.kind == kind
    assert "".join(chunk.text for chunk in seen) == "Hello"


async def test_a_streaming_provider_has_its_own_first_byte_limit(build: Build) -> None:
    second = FakeReply(HELLO, STOP, DONE, headers=EVENTS)
    manager = build(by_host(openai=10.0, groq=second), FIRST_BYTE_TIMEOUT_MS="50")
    stream, success = await asyncio.wait_for(manager.stream(call(stream=True), Unlimited()), 2)
    assert success.attempts[0].outcome == "timeout"
    stream.abort()


async def test_an_event_too_deep_is_never_decoded(build: Build) -> None:
    first = FakeReply(b"data: " + DEEP + b"\n\n", headers=EVENTS)
    second = FakeReply(HELLO, STOP, DONE, headers=EVENTS)
    _, success = await build(by_host(openai=first, groq=second)).stream(
        call(stream=True), Unlimited()
    )
    assert success.attempts[0].outcome == "garbage"
