"""The end of a stream, and that no connection is left open that nobody reads."""

import asyncio
from typing import Any

import pytest

from proxy.core.chat import Chunk, Routing
from proxy.core.embedding import EmbeddingRequest
from proxy.core.errors import Fault, ProviderTimeout
from proxy.providers.registry import ADAPTERS
from proxy.routing import health
from proxy.routing.selection import Selection
from proxy.routing.stream import GRACE, LINGER, SETTLED, Stream
from tests.unit.doubles import (
    FakeReply,
    FakeUpstream,
    LoopClock,
    Unlimited,
    in_no_time,
    ports,
)
from tests.unit.providers import replay
from tests.unit.routing.making import (
    DONE,
    EVENTS,
    HELLO,
    ROLE,
    STOP,
    Isolate,
    by_host,
    call,
    made_catalog,
    whole,
)

OPEN = 3600.0
"""Seconds for which a provider leaves the connection open."""
BREAK = Fault("network", "broke")
USAGE = b'data: {"choices":[],"usage":{"prompt_tokens":3,"completion_tokens":2}}\n\n'
ERROR = b'data: {"error":{"message":"Token limit reached","code":400},"choices":[]}\n\n'


def stream_of(*pieces: bytes | Exception | float) -> Stream:
    reply = FakeReply(*pieces, headers=EVENTS)
    return Stream(reply, ADAPTERS["chat"].make_decoder(replay.target("openai")))


async def read(*pieces: bytes | Exception | float) -> tuple[str, float]:
    """What a stream adds up to, and the seconds that this takes."""
    stream, began = stream_of(*pieces), asyncio.get_running_loop().time()
    await stream.begin()
    chunks: list[Chunk] = [chunk async for some in stream.chunks() for chunk in some]
    return replay.describe(replay.collect(chunks)), asyncio.get_running_loop().time() - began


@pytest.mark.parametrize("tail", [(OPEN,), (BREAK,), (b"data: {", BREAK), (ERROR,), ()], ids=str)
@in_no_time
async def test_after_done_nothing_changes_the_answer(tail: Any) -> None:
    assert await read(HELLO, STOP, DONE, *tail) == ("'Hello' stop tokens=?", 0)
    assert await read(HELLO, STOP, USAGE + DONE, *tail) == ("'Hello' stop tokens=3+2", 0)
    assert await read(ROLE, HELLO, USAGE, DONE, *tail) == ("'Hello' stop tokens=3+2", 0)


@pytest.mark.parametrize(
    "tail", [(BREAK,), (RuntimeError("odd"),), (b"data: {", BREAK), ()], ids=str
)
@in_no_time
async def test_after_a_finish_reason_a_break_is_the_end(tail: Any) -> None:
    assert await read(HELLO, STOP, *tail) == ("'Hello' stop tokens=?", 0)
    assert await read(HELLO, STOP, USAGE, *tail) == ("'Hello' stop tokens=3+2", 0)


@in_no_time
async def test_usage_is_waited_for_but_not_for_long() -> None:
    counted, late = "'Hello' stop tokens=3+2", GRACE / 2
    assert await read(HELLO, STOP, late, USAGE, OPEN) == (counted, late + SETTLED)
    assert await read(HELLO, STOP, GRACE * 0.9, USAGE, OPEN) == (counted, GRACE)
    assert await read(HELLO, USAGE, STOP, late, USAGE, OPEN) == (counted, late + SETTLED)
    pings: list[bytes | float] = [b": ping\n\n", SETTLED / 4] * 20
    assert await read(HELLO, STOP, USAGE, *pings, OPEN) == (counted, SETTLED)
    assert await read(HELLO, STOP, OPEN) == ("'Hello' stop tokens=?", GRACE)
    assert await read(STOP, OPEN) == ("'' stop tokens=?", GRACE)
    pings = [b": ping\n\n", GRACE / 4] * 20
    assert await read(HELLO, STOP, *pings, OPEN) == ("'Hello' stop tokens=?", GRACE)


@in_no_time
async def test_an_error_after_a_finish_reason_is_told_at_once() -> None:
    for pieces in ((HELLO, STOP, ERROR, OPEN), (HELLO, STOP + ERROR, OPEN)):
        with pytest.raises(Fault, match="Token limit reached"):
            await read(*pieces)
        assert asyncio.get_running_loop().time() == 0


@in_no_time
async def test_a_provider_may_end_the_answer_by_itself_for_a_moment() -> None:
    for tail, seconds in (((), 0), ((LINGER / 2,), LINGER / 2), ((OPEN,), LINGER), ((BREAK,), 0)):
        began = asyncio.get_running_loop().time()
        stream = stream_of(HELLO, STOP, DONE, *tail)
        await stream.begin()
        async for _ in stream.chunks():
            pass
        await stream.linger()
        assert asyncio.get_running_loop().time() - began == pytest.approx(seconds)


# Connections that are closed


def isolate_of(*replies: FakeReply, **settings: str) -> Isolate:
    """An isolate whose openai gives these, and whose groq answers at once."""
    left = list(replies)
    out = ports(lambda o: left.pop(0) if "openai" in o.url else whole("groq"), clock=LoopClock())
    return Isolate(made_catalog(), out, **{"RETRY_ATTEMPTS": "1", **settings})


def dripping(status: int = 200) -> FakeReply:
    return FakeReply(b'{"choices": [', OPEN, status=status)


@in_no_time
async def test_a_whole_answer_that_takes_too_long_is_closed() -> None:
    reply = dripping()
    isolate = isolate_of(reply)
    with pytest.raises(ProviderTimeout):
        await isolate.manager.complete(call(timeout_ms=500, fallback=False), Unlimited())
    assert reply.aborted


@pytest.mark.parametrize("status", [200, 500])
@in_no_time
async def test_the_slower_of_two_is_closed(status: int) -> None:
    reply = dripping(status)
    isolate = isolate_of(reply, HEDGE_AFTER_MS="200")
    answer, _ = await isolate.manager.complete(call(), Unlimited())
    assert (answer.text, reply.aborted) == ("groq", True)


@in_no_time
async def test_a_request_that_is_given_up_is_closed() -> None:
    whole_reply, streamed, vectors = dripping(), FakeReply(ROLE, OPEN, headers=EVENTS), dripping()
    isolate = isolate_of(whole_reply, streamed, vectors)
    request = EmbeddingRequest(input=("hi",), routing=Routing(model="openai/embed-o"))
    for work in (
        isolate.manager.complete(call(), Unlimited()),
        isolate.manager.stream(call(stream=True), Unlimited()),
        isolate.manager.embed(request, Unlimited()),
    ):
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(1):
                await work
    assert whole_reply.aborted and streamed.aborted and vectors.aborted


async def test_a_body_that_breaks_is_closed() -> None:
    reply = FakeReply(b"{", BREAK)
    isolate = isolate_of(reply)
    await isolate.manager.complete(call(), Unlimited())
    assert reply.aborted


async def test_what_was_read_to_its_end_is_not_cut() -> None:
    reply = whole("Hi")
    await isolate_of(reply).manager.complete(call(), Unlimited())
    assert not reply.aborted


async def test_a_health_check_that_takes_too_long_is_closed(
    selection: Selection, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(health, "PROBE_SECONDS", 0.05)
    reply = FakeReply(b'{"data": [', OPEN)
    upstream = FakeUpstream(by_host(openai=reply))
    [check] = await health.check_all(
        [selection.deployment.make_probe_target("openai")], upstream, LoopClock()
    )
    assert (check.healthy, reply.aborted) == (False, True)
