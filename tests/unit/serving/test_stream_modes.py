"""However a provider's bytes are cut, and whichever way a stream goes, the caller gets the same."""

import asyncio
import json
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from proxy.core.errors import Fault
from tests.unit.callers import read_stream
from tests.unit.doubles import LoopClock, in_no_time
from tests.unit.routing.making import DONE
from tests.unit.serving.making import NATIVE, OPENAI, USAGE, House, by_host, stream_of, usage_event


def piece(delta: dict[str, Any], finish: str | None = None) -> bytes:
    """An event in OpenAI's own form."""
    choices = [{"index": 0, "delta": delta, "finish_reason": finish}]
    chunk = {"id": "1", "object": "chat.completion.chunk", "model": "m", "choices": choices}
    return b"data: " + json.dumps(chunk).encode() + b"\n\n"


SAID = ["Hel", "lo", ' "world"', " 🌍", "!"]
PIECES = [piece({"content": text}) for text in SAID]
STOP = piece({}, "stop")
BODY = b": a comment\n\n" + b"".join(PIECES) + STOP + usage_event() + DONE
WITHOUT_USAGE = b"".join(PIECES) + STOP + DONE
WITH_USAGE = {"stream_options": {"include_usage": True}}
CUTS = st.lists(st.integers(0, len(BODY)), max_size=10)


def cut(cuts: list[int]) -> list[bytes]:
    edges = [0, *sorted(cuts), len(BODY)]
    return [BODY[a:b] for a, b in pairwise(edges)]


@settings(max_examples=30)
@given(CUTS)
def test_the_caller_gets_the_same_however_the_bytes_are_cut(cuts: list[int]) -> None:
    async def compare() -> None:
        house = House(by_host(openai=lambda _: stream_of(*cut(cuts))))
        flowed = await house.post(OPENAI, stream=True, **WITH_USAGE)
        assert flowed.body == BODY
        assert (await house.post(OPENAI)).json["usage"] == USAGE
        off = {"cache": {"no-store": True, "no-cache": True}}
        assert (await house.post(OPENAI, stream=True, **off)).body == WITHOUT_USAGE
        translated = await house.post(NATIVE, stream=True, cache={"mode": "off"})
        assert translated.text == "".join(SAID)
        assert translated.events[-1]["usage"]["totalTokens"] == USAGE["total_tokens"]
        assert {line.get("proxy.stream.ended", "ok") for line in house.lines} == {"ok"}

    asyncio.run(compare())


async def flow(*pieces: Any, **fields: Any) -> tuple[House, Any]:
    house = House(by_host(openai=lambda _: stream_of(*pieces)), LoopClock())
    return house, await house.post(OPENAI, stream=True, **WITH_USAGE, **fields)


@in_no_time
async def test_a_stream_that_breaks_on_its_way_ends_in_the_error_event() -> None:
    house, answer = await flow(PIECES[0], PIECES[1][:40], Fault("network", "broke"))
    assert answer.body.startswith(PIECES[0] + PIECES[1][:40] + b"\n\ndata: {")
    assert b'"finish_reason":"error"' in answer.body
    assert b"[DONE]" not in answer.body
    assert house.line["proxy.stream.ended"] == "network"
    assert house.line["http.response.body.size"] == len(answer.body)


@in_no_time
async def test_a_stream_that_lacks_its_finish_ends_in_the_error_event() -> None:
    _, answer = await flow(*PIECES)
    assert answer.events[-1]["choices"][0]["finish_reason"] == "error"


@in_no_time
async def test_the_mark_of_the_end_is_added_where_it_is_missing() -> None:
    _, answer = await flow(*PIECES, STOP, usage_event().rstrip())
    assert answer.events[-2]["usage"] == USAGE
    assert answer.events[-1] == "[DONE]"


@in_no_time
async def test_the_whole_deadline_holds_for_a_stream_that_flows() -> None:
    house, answer = await flow(PIECES[0], 10.0, *PIECES, STOP, DONE, timeout=500)
    assert "The request's own time was up" in answer.events[-1]["error"]["message"]
    assert house.line["proxy.stream.ended"] == "timeout"
    assert asyncio.get_running_loop().time() < 1


async def test_a_caller_who_leaves_ends_a_stream_that_flows() -> None:
    house = House(by_host(openai=lambda _: stream_of(*PIECES, STOP, DONE)))
    response = await house.begin(OPENAI, stream=True, **WITH_USAGE)
    await read_stream(response, gone_after=2)
    assert house.line["proxy.stream.ended"] == "client_gone"
    assert house.line["gen_ai.usage.output_tokens"] > 0


async def test_a_stream_that_flows_is_finished_for_a_caller_who_has_left() -> None:
    pieces = (*PIECES, STOP, usage_event(), DONE)
    house = House(by_host(openai=lambda _: stream_of(*pieces)), ON_CLIENT_GONE="finish")
    response = await house.begin(OPENAI, stream=True, **WITH_USAGE)
    await read_stream(response, gone_after=2)
    assert house.line["proxy.stream.ended"] == "client_gone"
    await house.settle()
    assert (await house.post(OPENAI)).cache == "HIT"


LEFT_EARLY = {"one read": [BODY], "one read each": [*PIECES, STOP, usage_event(), DONE]}


@pytest.mark.parametrize("how", LEFT_EARLY)
async def test_what_was_used_is_counted_for_a_caller_who_has_left_before_the_first_content(
    how: str,
) -> None:
    house = House(by_host(openai=lambda _: stream_of(*LEFT_EARLY[how])))
    response = await house.begin(OPENAI, stream=True, **WITH_USAGE)
    assert await read_stream(response, gone_after=0) == b""
    assert house.line["proxy.stream.ended"] == "client_gone"
    assert house.line["gen_ai.usage.output_tokens"] == (9 if how == "one read" else 1)


@pytest.mark.parametrize("how", LEFT_EARLY)
async def test_a_stream_is_finished_for_a_caller_who_has_left_before_the_first_content(
    how: str,
) -> None:
    house = House(by_host(openai=lambda _: stream_of(*LEFT_EARLY[how])), ON_CLIENT_GONE="finish")
    response = await house.begin(OPENAI, stream=True, **WITH_USAGE)
    await read_stream(response, gone_after=0)
    assert house.line["proxy.stream.ended"] == "client_gone"
    assert house.line["gen_ai.usage.output_tokens"] == USAGE["completion_tokens"]
    await house.settle()
    assert (await house.post(OPENAI)).cache == "HIT"
