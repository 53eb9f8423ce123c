"""Answers that the cache does not keep."""

from typing import Any

import pytest

from proxy.core.errors import Fault
from tests.unit.callers import read_stream
from tests.unit.doubles import FakeReply
from tests.unit.routing.making import DONE, HELLO, ROLE, STOP, error, event, whole
from tests.unit.serving.making import House, by_host, completion_of, in_turn, stream_of


class TestNotStored:
    async def never(self, reply: FakeReply, stream: bool, **env: str) -> None:
        """The answer leaves nothing behind, and the next request goes to the provider."""
        house = House(by_host(openai=in_turn(reply, whole("whole"))), **env)
        await house.post(stream=stream)
        assert house.kv.held == house.r2.held == {}
        after = await house.post()
        assert (after.text, after.cache) == ("whole", "MISS")

    @pytest.mark.parametrize(
        "pieces",
        [
            (HELLO, Fault("network", "broke")),
            (HELLO, Fault("timeout", "silent")),
            (HELLO, DONE),
            (HELLO,),
            (HELLO, b'data: {"error": {"message": "overloaded"}}\n\n'),
            (HELLO, b"data: {broken\n\n"),
        ],
        ids=["broken", "stalled", "unfinished", "cut", "error", "garbage"],
    )
    async def test_a_stream_that_does_not_end_well(self, pieces: Any) -> None:
        await self.never(stream_of(*pieces), stream=True)

    async def test_what_a_filter_cut_off(self) -> None:
        await self.never(stream_of(HELLO, event({}, "content_filter"), DONE), stream=True)
        message = {"role": "assistant", "content": "Hel"}
        await self.never(completion_of(message, "content_filter"), stream=False)

    async def test_an_answer_that_is_empty(self) -> None:
        await self.never(whole(""), stream=False)
        await self.never(stream_of(ROLE, STOP, DONE), stream=True)
        thought = event({"reasoning_content": "Hm."})
        await self.never(stream_of(thought, STOP, DONE), stream=True)

    async def test_a_refusal_is_an_answer(self) -> None:
        house = House(by_host(openai=stream_of(event({"refusal": "No."}), STOP, DONE)))
        await house.post(stream=True)
        hit = await house.post()
        assert (hit.cache, hit.json["refusal"]) == ("HIT", "No.")

    async def test_an_answer_that_was_as_long_as_allowed_is_stored(self) -> None:
        house = House(by_host(openai=stream_of(HELLO, event({}, "length"), DONE)))
        await house.post(stream=True)
        hit = await house.post()
        assert (hit.cache, hit.json["metadata"]["finishReason"]) == ("HIT", "length")

    async def test_what_the_caller_left(self) -> None:
        house = House(
            by_host(openai=in_turn(stream_of(HELLO, HELLO, HELLO, STOP, DONE), whole("whole")))
        )
        await read_stream(await house.begin(stream=True), gone_after=1)
        await house.settle()
        assert house.kv.held == {}
        assert (await house.post()).text == "whole"

    async def test_what_the_deadline_cut_off(self) -> None:
        house = House(by_host(openai=in_turn(stream_of(HELLO, 10.0, STOP, DONE), whole("whole"))))
        answer = await house.post(stream=True, timeout=50)
        assert answer.events[-1]["error"]["code"] == 504
        assert house.kv.held == {}
        assert (await house.post()).text == "whole"

    async def test_a_stream_that_is_longer_than_is_kept(self) -> None:
        piece = event({"content": "x" * 1024 * 1024})
        house = House(by_host(openai=stream_of(*[piece] * 9, STOP, DONE)))
        answer = await house.post(stream=True)
        assert len(answer.text) == 9 * 1024 * 1024
        assert answer.events[-1]["metadata"]["finishReason"] == "stop"
        assert house.kv.held == house.r2.held == {}

    async def test_an_error(self) -> None:
        house = House(by_host(openai=in_turn(error(500), error(400), error(429), whole("whole"))))
        statuses = [(await house.post(fallback=False)).status for _ in range(3)]
        assert statuses == [502, 400, 429]
        assert (await house.post(fallback=False)).text == "whole"

    async def test_an_answer_that_no_tier_can_hold(self) -> None:
        message = {"role": "assistant", "content": "x", "odd": {"n": 2**70}}
        house = House(by_host(openai=completion_of(message)))
        assert (await house.post()).text == "x"
        assert house.events("warning") == ["answer not cached"]
        assert (await house.post()).cache == "MISS"
