"""The bench's load on its upstream, over loopback."""

import asyncio
import json
from collections.abc import AsyncIterator

import pytest

from bench.answers import Expected, WrongAnswer
from bench.load import NUMBER, Load, Timing, measure
from bench.upstream import EVENTS, Provider

SHORT = Timing(lead=0.05, counted=0.05)


@pytest.fixture
async def port() -> AsyncIterator[int]:
    server = await asyncio.get_running_loop().create_server(Provider, "127.0.0.1", 0)
    yield server.sockets[0].getsockname()[1]
    server.close()


def load(port: int, expected: Expected, delays: str = "", **fields: object) -> Load:
    body = json.dumps({"messages": [{"content": f"joke {NUMBER} {delays}"}], **fields})
    return Load(port, "/v1/chat/completions", body, {}, expected)


USAGE = {"include_usage": True}


@pytest.mark.parametrize("delays", ["", "#d5c1"])
@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({}, Expected(b'"finish_reason": "stop"', 0, 0)),
        ({"stream": True}, Expected(b"[DONE]", EVENTS + 2, EVENTS + 2)),
        ({"stream": True, "stream_options": USAGE}, Expected(b"[DONE]", EVENTS + 3, EVENTS + 3)),
    ],
)
async def test_every_answer_is_checked_and_counted(
    port: int, fields: dict[str, object], expected: Expected, delays: str
) -> None:
    seen = await measure(load(port, expected, delays, **fields), 3, SHORT, lambda: 0.0)
    assert seen.rate > 0
    assert 0 < seen.first <= seen.p50 <= seen.p95
    assert seen.first >= (5 if delays else 0)


async def test_a_wrong_answer_ends_the_measurement(port: int) -> None:
    with pytest.raises(WrongAnswer):
        await measure(load(port, Expected(b"no such text")), 2, SHORT, lambda: 0.0)


class Cold(asyncio.Protocol):
    """Answers the first request of its connection late, and from no cache."""

    answered = 0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport, self.is_warm = transport, False

    def data_received(self, data: bytes) -> None:
        seconds = 0.0 if self.is_warm else 0.1 * Cold.answered
        text = b"hit!" if self.is_warm else b"miss"
        Cold.answered += not self.is_warm
        self.is_warm = True
        answer = b"HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\n" + text
        asyncio.get_running_loop().call_later(seconds, self.transport.write, answer)


async def test_what_comes_before_the_cache_is_warm_does_not_count() -> None:
    server = await asyncio.get_running_loop().create_server(Cold, "127.0.0.1", 0)
    async with server:
        port = server.sockets[0].getsockname()[1]
        seen = await measure(Load(port, "/", "{}", {}, Expected(b"hit!")), 3, SHORT, lambda: 0.0)
    assert seen.rate > 0


def test_each_request_has_a_number_of_its_own() -> None:
    request = load(1, Expected(b"")).requests()
    first, second = request(), request()
    assert first != second
    assert len(first) == len(second)
    constant = Load(1, "/", "{}", {}, Expected(b"")).requests()
    assert constant() == constant()
