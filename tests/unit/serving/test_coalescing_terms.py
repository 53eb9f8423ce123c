"""A leader's error is a follower's only where the leader had all that the follower has."""

import asyncio
from typing import Any

import pytest

from tests.unit.doubles import FakeReply, LoopClock, in_no_time
from tests.unit.routing.making import error, whole
from tests.unit.serving.making import GROQ, House, Outcome, Received, by_host
from tests.unit.serving.making_coalescing import ON


def slow_error(status: int = 500, seconds: float = 0.5) -> FakeReply:
    """An error that comes when others have joined the flight."""
    return FakeReply(seconds, *error(status).pieces, status=status)


ALONE: dict[str, Any] = {"fallback": False}


class TestTerms:
    async def flown(self, house: House, *chats: Any) -> list[Received]:
        """Requests for the same, each of which begins a little later than the one before."""
        tasks = []
        for headers, body in chats:
            tasks.append(asyncio.ensure_future(house.receive(headers=headers, **body)))
            await asyncio.sleep(0.01)
        answers = await asyncio.gather(*tasks)
        await house.settle()
        return list(answers)

    @pytest.mark.parametrize(
        ("leader", "follower"),
        [
            (({}, {"fallback": False}), ({}, {})),
            (({}, {"fallback": []}), ({}, {"fallback": ["groq"]})),
            (({}, {"fallback": False, "timeout": 2000}), ({}, {"timeout": 60_000})),
        ],
    )
    @in_no_time
    async def test_a_follower_that_may_fall_back_does(self, leader: Any, follower: Any) -> None:
        replies = by_host(openai=lambda _: slow_error(), groq=lambda _: whole("of groq"))
        house = House(replies, LoopClock(), **ON, **GROQ)
        first, *rest = await self.flown(house, leader, *[follower] * 10)
        assert first.status == 502
        assert {(answer.status, answer.text) for answer in rest} == {(200, "of groq")}
        assert house.sent.count("api.groq.com") == 1  # followers with the same means share a flight

    @pytest.mark.parametrize(
        ("leader", "follower"),
        [
            (({}, ALONE | {"timeout": 2000}), ({}, ALONE)),
            (({"cf_aig_max_attempts": "1"}, ALONE), ({"cf_aig_max_attempts": "2"}, ALONE)),
            (({"cf_aig_retry_delay": "1"}, ALONE), ({"cf_aig_retry_delay": "100"}, ALONE)),
        ],
    )
    @in_no_time
    async def test_a_follower_with_more_time_or_tries_calls_again(
        self, leader: Any, follower: Any
    ) -> None:
        answers = [slow_error(), whole("Hello")]
        house = House(by_host(openai=lambda _: answers.pop(0)), LoopClock(), **ON)
        first, *rest = await self.flown(house, leader, *[follower] * 10)
        assert first.status == 502
        assert {(answer.status, answer.text) for answer in rest} == {(200, "Hello")}
        assert len(house.sent) == 2

    @pytest.mark.parametrize(
        ("leader", "follower"),
        [
            (({}, {}), ({}, {"fallback": False})),
            (({}, {}), ({}, {"timeout": 20_000})),
            (({"cf_aig_max_attempts": "2"}, {}), ({"cf_aig_max_attempts": "1"}, {})),
            (({}, {}), ({}, {})),
        ],
    )
    @in_no_time
    async def test_a_follower_with_no_more_gets_the_leaders_error(
        self, leader: Any, follower: Any
    ) -> None:
        alone, house = (
            House(by_host(openai=lambda _: slow_error()), LoopClock(), **ON) for _ in range(2)
        )
        await self.flown(alone, leader)
        answers = await self.flown(house, leader, *[follower] * 10)
        assert {answer.status for answer in answers} == {502}
        assert house.sent == alone.sent

    @in_no_time
    async def test_a_time_out_is_the_leaders_alone(self) -> None:
        replies: list[Outcome] = [FakeReply(1000.0, b"never"), whole("Hello")]
        house = House(by_host(openai=lambda _: replies.pop(0)), LoopClock(), **ON)
        body = {"timeout": 2000}
        leader = asyncio.ensure_future(house.receive(**body))
        await asyncio.sleep(1)
        assert (await house.post(**body)).text == "Hello"
        assert (await leader).status == 504

    @pytest.mark.parametrize("fallback", [False, True])
    @in_no_time
    async def test_a_keys_limits_are_the_leaders_alone(self, fallback: bool) -> None:
        """The leader may not go to one provider any more, and the other fails."""
        replies = by_host(openai=lambda _: whole("of openai"), groq=lambda _: slow_error())
        keys = {"PROXY_API_KEY": "one", "ADMIN_TOKEN": "two", "CACHE_SCOPE": "shared"}
        limits = {"OPENAI_RATE_LIMIT_BURST": "1", "OPENAI_RATE_LIMIT_PER_HOUR": "1"}
        house = House(replies, LoopClock(), **ON, **GROQ, **keys, **limits)
        user, admin = ({"authorization": f"Bearer {key}"} for key in ("one", "two"))
        await house.post(headers=user, prompt="Something else")
        body = {"fallback": fallback}
        leader, follower = await self.flown(house, (user, body), (admin, body))
        assert leader.status == (502 if fallback else 429)
        assert (follower.status, follower.text) == (200, "of openai")
