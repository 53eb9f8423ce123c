"""One entry of the cache serves stream and non-stream callers of both dialects."""

import pytest

from tests.unit.callers import read_stream
from tests.unit.routing.making import DONE, HELLO, ROLE, STOP, event, whole
from tests.unit.serving.making import (
    FORMS,
    NATIVE,
    OPENAI,
    USAGE,
    House,
    Received,
    by_host,
    call_event,
    stream_of,
    tool_call,
    usage_event,
)

TOOLS = [{"type": "function", "function": {"name": "f", "parameters": {"type": "object"}}}]
CALLS_STREAMED = (
    ROLE,
    call_event(id="c1", function={"name": "f", "arguments": ""}),
    call_event(function={"arguments": '{"a": '}),
    call_event(function={"arguments": "1}"}),
    event({}, "tool_calls"),
)
TEXT_STREAMED = (ROLE, HELLO, event({"content": ", wörld"}), STOP)


class TestReplay:
    @pytest.mark.parametrize(("path", "stream"), FORMS)
    @pytest.mark.parametrize("first", ["streamed", "whole"])
    async def test_text(self, first: str, path: str, stream: bool) -> None:
        pieces = (*TEXT_STREAMED, usage_event(), DONE)
        reply = stream_of(*pieces) if first == "streamed" else whole("Hello, wörld")
        house = House(by_host(openai=reply))
        miss = await house.post(stream=first == "streamed")
        answer = await house.post(path, stream=stream)
        assert miss.text == answer.text == "Hello, wörld"
        assert (answer.status, answer.cache, len(house.sent)) == (200, "HIT", 1)
        assert answer.headers["cache-status"].startswith("proxy-memory; hit; ttl=")
        kind = "text/event-stream; charset=utf-8" if stream else "application/json"
        assert answer.headers["content-type"] == kind
        if not stream:
            return
        if path == NATIVE:
            assert b"event: done\n" in answer.body
            assert answer.events[-1]["metadata"]["cacheStatus"] == "hit"
            assert answer.events[-1]["metadata"]["finishReason"] == "stop"
            assert answer.events[-1]["metadata"]["cost"] == 0
        else:
            assert answer.events[-1] == "[DONE]"
            reasons = [chunk["choices"][0]["finish_reason"] for chunk in answer.events[:-1]]
            assert reasons == [None] * (len(reasons) - 1) + ["stop"]
            assert answer.events[0]["choices"][0]["delta"]["role"] == "assistant"

    @pytest.mark.parametrize(("path", "stream"), FORMS)
    @pytest.mark.parametrize("first", ["streamed", "whole"])
    async def test_tool_calls_and_usage(self, first: str, path: str, stream: bool) -> None:
        pieces = (*CALLS_STREAMED, usage_event(), DONE)
        reply = stream_of(*pieces) if first == "streamed" else tool_call("f", '{"a": 1}')
        house = House(by_host(openai=reply))
        await house.post(stream=first == "streamed", tools=TOOLS)
        more = {"stream_options": {"include_usage": True}} if path == OPENAI and stream else {}
        answer = await house.post(path, stream=stream, tools=TOOLS, **more)
        assert (answer.cache, len(house.sent)) == ("HIT", 1)
        if path == NATIVE:
            last = answer.events[-1] if stream else answer.json
            [call] = last["toolCalls"]
            assert (last["usage"]["inputTokens"], last["usage"]["outputTokens"]) == (7, 9)
            assert last["metadata"]["finishReason"] == "tool_calls"
        elif stream:
            deltas = [c["choices"][0]["delta"] for c in answer.events[:-1] if c["choices"]]
            [[call]] = [delta["tool_calls"] for delta in deltas if "tool_calls" in delta]
            assert answer.events[-2]["usage"] == USAGE
        else:
            [call] = answer.json["choices"][0]["message"]["tool_calls"]
            assert answer.json["choices"][0]["finish_reason"] == "tool_calls"
            assert answer.json["usage"] == USAGE
        assert (call["id"], call["function"]) == ("c1", {"name": "f", "arguments": '{"a": 1}'})

    async def test_a_stream_whose_caller_leaves_before_its_closing_event_is_whole(self) -> None:
        house = House(by_host(openai=stream_of(HELLO, STOP, DONE)))
        left = await read_stream(await house.begin(stream=True), gone_after=2)
        await house.settle()
        assert b"event: done" not in left
        assert house.line["proxy.stream.ended"] == "client_gone"
        hit = await house.post()
        assert (hit.cache, hit.text) == ("HIT", "Hello")

    async def test_an_answer_of_many_pieces_comes_in_one_body(self) -> None:
        text = "word " * 20_000
        house = House(by_host(openai=whole(text)))
        await house.post()
        response = await house.begin(stream=True)
        assert response.stream is None
        assert Received(200, response.headers, response.body).text == text
