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


def test_each_request_has_a_number_of_its_own() -> None:
    request = load(1, Expected(b"")).requests()
    first, second = request(), request()
    assert first != second
    assert len(first) == len(second)
    constant = Load(1, "/", "{}", {}, Expected(b"")).requests()
    assert constant() == constant()
