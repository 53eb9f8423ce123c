"""How the relay of a stream ends: what the caller gets, what is recorded, what is kept."""

import asyncio
from typing import Any

import pytest

from proxy.core.errors import Fault
from tests.unit.doubles import LoopClock, in_no_time
from tests.unit.routing.making import DONE, HELLO, STOP
from tests.unit.serving.making import NATIVE, OPENAI, House, by_host, stream_of, usage_event

OPEN = 3600.0
PATHS = pytest.mark.parametrize("path", [NATIVE, OPENAI])


@PATHS
async def test_an_unforeseen_exception_ends_in_the_error_event(path: str) -> None:
    house = House(by_host(openai=stream_of(HELLO, ValueError("not thought of"), STOP, DONE)))
    answer = await house.post(path, stream=True)
    assert answer.text == "Hello"
    last = answer.events[-1]
    error = last["error"]
    if path == OPENAI:
        assert last["choices"][0]["finish_reason"] == "error"
        assert (error["error_type"], error["source"]) == ("internal_error", "proxy")
    else:
        assert (error["type"], error["code"]) == ("internal_error", 500)
    assert "not thought of" not in answer.body.decode()
    line = house.line
    assert (line["proxy.stream.ended"], line["error.type"]) == ("internal_error", "internal_error")
    assert [fields["error"] for _, name, fields in house.log.lines if name == "bug"] == [
        "ValueError('not thought of')"
    ]
    assert (await house.post(path, stream=True)).cache == "MISS"


@PATHS
@pytest.mark.parametrize("tail", [(OPEN,), (Fault("network", "broke"),), (ValueError("late"),)])
@in_no_time
async def test_after_done_nothing_changes_the_answer(path: str, tail: Any) -> None:
    house = House(by_host(openai=stream_of(HELLO, STOP, usage_event(), DONE, *tail)), LoopClock())
    answer = await house.post(path, stream=True)
    assert answer.text == "Hello"
    assert answer.body.endswith(b"data: [DONE]\n\n") or b"event: done\n" in answer.body
    assert b"error" not in answer.body
    assert house.line["proxy.stream.ended"] == "ok"
    assert asyncio.get_running_loop().time() < 1
    assert (await house.post(path)).cache == "HIT"


@PATHS
@in_no_time
async def test_a_callers_time_that_ends_after_the_answer_changes_nothing(path: str) -> None:
    house = House(by_host(openai=stream_of(HELLO, 0.5, STOP, OPEN)), LoopClock())
    answer = await house.post(path, stream=True, timeout=1000)
    assert (answer.text, b"error" in answer.body) == ("Hello", False)
    assert house.line["proxy.stream.ended"] == "ok"


@PATHS
async def test_an_unknown_finish_reason_is_shown_and_not_kept(path: str) -> None:
    stop = STOP.replace(b'"stop"', b'"thought_enough"')
    house = House(by_host(openai=lambda _: stream_of(HELLO, stop, DONE)))
    for _ in range(2):
        answer = await house.post(path, stream=True)
        assert answer.cache == "MISS"
        assert b'"thought_enough"' in answer.body
        assert b'"stop"' not in answer.body


async def test_a_finish_reason_that_never_came_is_what_the_content_says() -> None:
    house = House(by_host(openai=lambda _: stream_of(HELLO, usage_event(), DONE)))
    answer = await house.post(OPENAI, stream=True)
    assert answer.events[-2]["choices"][0]["finish_reason"] == "stop"
    assert (await house.post(OPENAI)).cache == "HIT"


async def test_an_error_after_a_finish_reason_is_sent_and_the_answer_not_kept() -> None:
    error = b'data: {"error":{"message":"Token limit reached","code":400},"choices":[]}\n\n'
    house = House(by_host(openai=lambda _: stream_of(HELLO, STOP, error, DONE)))
    for _ in range(2):
        answer = await house.post(OPENAI, stream=True)
        assert answer.cache == "MISS"
        assert "Token limit reached" in answer.events[-1]["error"]["message"]
        assert b"[DONE]" not in answer.body


async def test_an_event_in_several_lines_reaches_the_caller_as_one() -> None:
    folded = HELLO.replace(b"{", b'{"object": "chat.completion.chunk",\ndata: ', 1)
    house = House(by_host(openai=stream_of(folded, STOP, DONE)))
    answer = await house.post(OPENAI, stream=True)
    assert (answer.text, answer.events[-1]) == ("Hello", "[DONE]")


@in_no_time
async def test_a_silent_provider_is_no_silence_for_a_caller_of_messages() -> None:
    env = {"IDLE_TIMEOUT_MS": "60000"}
    house = House(by_host(openai=stream_of(HELLO, 40.0, STOP, DONE)), LoopClock(), **env)
    answer = await house.post("/v1/messages", stream=True, max_tokens=5)
    assert answer.body.count(b"event: ping\n") == 2
    assert answer.body.index(b"text_delta") < answer.body.index(b"event: ping\n")
    assert answer.body.endswith(b'event: message_stop\ndata: {"type":"message_stop"}\n\n')
