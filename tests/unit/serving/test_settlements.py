"""A key's budget through App.handle: what each attempt is settled with, whatever is reported."""

import asyncio
import json
from collections.abc import Awaitable, Callable

import pytest

from proxy.core.money import NANO
from proxy.core.principal import Budget
from proxy.limits.account_messages import RESERVE, ReservationAnswer, ReservationRequest
from tests.unit.doubles import FakeReply, LoopClock, in_no_time
from tests.unit.routing.making import DONE, EVENTS, HELLO, ROLE, STOP, error, event, whole
from tests.unit.serving.budgets import DAY, EMBEDDINGS, piece_of, reply, vectors
from tests.unit.serving.limited import OFF, SECRET, Fields, Limited, house
from tests.unit.serving.making import GPT, GROQ, Received, by_host


class TestAttempts:
    """Each has a reservation of its own, which is settled or released once."""

    def raced(
        self, first: FakeReply, second: FakeReply, budget: int, hedge_ms: str = "100"
    ) -> Limited:
        replies = by_host(openai=lambda _: first, groq=lambda _: second)
        env = GROQ | {"HEDGE_AFTER_MS": hedge_ms, "BUDGET_DEFAULT_MAX_TOKENS": "100"}
        return Limited(replies, LoopClock(), key={"budget": Budget(day=budget)}, env=env)

    @in_no_time
    async def test_two_that_race_hold_two(self) -> None:
        slow, fast = whole("slow").pieces, whole("fast").pieces
        limited = self.raced(FakeReply(9.0, *slow), FakeReply(3.0, *fast), NANO)
        asking = asyncio.ensure_future(limited.keyed(**OFF | {"fallback": ["groq"]}))
        await asyncio.sleep(1)
        assert limited.account().reservations == 2
        answer = await asking
        assert answer.text == "fast"
        view = limited.account()
        winner = round(answer.json["metadata"]["cost"] * NANO)
        assert view.reservations == 0
        assert winner < view.spent_day < winner + 100_000  # the loser's input
        attempts = answer.json["metadata"]["attempts"]
        assert [a["outcome"] for a in attempts] == ["cancelled", "ok"]
        assert [a["start"] for a in attempts] == [0, 100]
        assert [a["ms"] for a in attempts] == [3100, 3000]
        assert answer.headers["cf-aig-step"] == "0"
        assert "upstream;dur=3000" in answer.headers["server-timing"]
        [line] = limited.lines
        assert line["proxy.attempts"] == "openai:cancelled, groq:ok"

    @in_no_time
    async def test_of_two_that_answer_at_once_both_count(self) -> None:
        first, second = whole("one").pieces, whole("one").pieces
        limited = self.raced(FakeReply(2.0, *first), FakeReply(1.0, *second), NANO, hedge_ms="1000")
        answer = await limited.keyed(**OFF | {"fallback": ["groq"]})
        view = limited.account()
        assert view.reservations == 0
        assert view.spent_day > round(answer.json["metadata"]["cost"] * NANO)

    @in_no_time
    async def test_the_refusal_of_the_second_frees_nothing_of_the_first(self) -> None:
        slow = whole("slow").pieces
        limited = self.raced(FakeReply(9.0, *slow), whole("fast"), 1_290_000)
        asking = asyncio.ensure_future(
            limited.keyed(model="openai/gpt-4o", **OFF | {"fallback": ["groq"]})
        )
        await asyncio.sleep(0.05)
        held = limited.account().reserved
        assert held > 1_000_000
        await asyncio.sleep(2)
        assert limited.account().reserved == held
        answer = await asking
        outcomes = [attempt["outcome"] for attempt in answer.json["metadata"]["attempts"]]
        assert (answer.text, outcomes) == ("slow", ["limited", "ok"])
        assert limited.account().reserved == 0

    async def test_one_that_failed_leaves_its_place_to_the_next(self) -> None:
        """The budget holds one of them, and both may be tried."""
        replies = by_host(openai=error(503), groq=whole("Hi!"))
        env = GROQ | {"RETRY_ATTEMPTS": "2", "RETRY_DELAY_MS": "0"}
        limited = Limited(replies, key={"budget": Budget(day=1_300_000)}, env=env)
        answer = await limited.keyed(maxTokens=100, fallback=["groq"])
        assert [a["outcome"] for a in answer.json["metadata"]["attempts"]][-1] == "ok"
        assert len(limited.sent) == 3
        view = limited.account()
        assert (view.reserved, view.reservations) == (0, 0)
        assert view.spent_day == round(answer.json["metadata"]["cost"] * NANO)

    @in_no_time
    async def test_one_that_timed_out_has_cost_its_input(self) -> None:
        replies = by_host(openai=60.0, groq=whole("Hi!"))
        limited = Limited(replies, LoopClock(), key=DAY, env=GROQ)
        answer = await limited.keyed(timeout=10_000, prompt="word " * 1000, maxTokens=100)
        outcomes = [attempt["outcome"] for attempt in answer.json["metadata"]["attempts"]]
        assert outcomes == ["timeout", "ok"]
        winner = round(answer.json["metadata"]["cost"] * NANO)
        lost = limited.account().spent_day - winner
        assert 1000 * 2500 <= lost <= 1400 * 2500  # about a token a word, at $2.5 a million
        assert limited.account().reservations == 0

    @in_no_time
    async def test_also_where_nobody_else_answers(self) -> None:
        limited = Limited(by_host(openai=60.0), LoopClock(), key=DAY)
        answer = await limited.keyed(timeout=5_000, prompt="word " * 1000, **OFF)
        assert answer.status == 504
        assert 1000 * 2500 <= limited.account().spent_day <= 1400 * 2500

    @in_no_time
    async def test_one_whose_caller_has_left_has_cost_its_input(self) -> None:
        limited = Limited(by_host(openai=60.0), LoopClock(), key=DAY)
        asking = asyncio.ensure_future(limited.keyed(prompt="word " * 1000, **OFF))
        await asyncio.sleep(1)
        asking.cancel()
        await asyncio.gather(asking, return_exceptions=True)
        await limited.settle()
        assert 1000 * 2500 <= limited.account().spent_day <= 1400 * 2500
        assert limited.account().reservations == 0

    @in_no_time
    async def test_one_whose_verdict_came_too_late_is_freed(self) -> None:
        """The object has reserved it, though the request was refused meanwhile."""
        env = {"LIMITER_ON_ERROR": "closed"}
        limited = Limited(by_host(openai=whole("Hi!")), LoopClock(), key=DAY, env=env)

        async def late(
            _: str, __: ReservationRequest, reserve: Callable[[], Awaitable[ReservationAnswer]]
        ) -> ReservationAnswer:
            answer = await reserve()
            await asyncio.sleep(2)
            return answer

        limited.accounts.wrap(RESERVE, late)
        answer = await limited.keyed(**OFF)
        assert (answer.status, answer.json["error"]["limit"]) == (503, "limiter")
        view = limited.account()
        assert (view.reserved, view.reservations, view.spent_day) == (0, 0, 0)


class TestWithoutUsage:
    """What a provider does not report is estimated, and said to be so, in every place."""

    def read_cost(self, limited: Limited, answer: Received) -> tuple[float, str]:
        """The cost and its origin as the caller gets them, which the log and the account share."""
        metadata = (answer.events[-1] if answer.body.startswith(b"event") else answer.json)[
            "metadata"
        ]
        line = limited.line
        assert line["proxy.cost.usd"] == pytest.approx(metadata["cost"])
        assert line["proxy.cost.origin"] == metadata["costOrigin"]
        return metadata["cost"], metadata["costOrigin"]

    @pytest.mark.parametrize("stream", [False, True])
    async def test_the_cost_is_estimated(self, stream: bool) -> None:
        answers: dict[bool, Callable[[], FakeReply]] = {
            False: lambda: reply("Hello, hello, hello!"),
            True: lambda: FakeReply(ROLE, HELLO, STOP, DONE, headers=EVENTS),
        }
        limited = house(answers[stream](), key=DAY)
        answer = await limited.keyed(stream=stream, maxTokens=100)
        cost, origin = self.read_cost(limited, answer)
        assert (cost > 0, origin) == (True, "estimated")
        assert limited.account().spent_day == round(cost * NANO)
        if not stream:
            assert answer.json["usage"] is None
            assert answer.headers["x-proxy-cost-origin"] == "estimated"
        hit = await limited.keyed(stream=stream, maxTokens=100)
        assert hit.cache == "HIT"
        assert limited.line["proxy.cost.saved_usd"] == pytest.approx(cost)

    @pytest.mark.parametrize("stream", [False, True])
    @pytest.mark.parametrize("key", [DAY, {}])
    async def test_no_more_is_estimated_than_the_answer_may_have(
        self, key: Fields, stream: bool
    ) -> None:
        """Long words are a token each: what is spent stays within what was reserved."""
        words = "internationalization " * 10
        answer = reply(words)
        if stream:
            answer = FakeReply(ROLE, event({"content": words}), STOP, DONE, headers=EVENTS)
        limited = house(answer, key=key)
        cost, _ = self.read_cost(limited, await limited.keyed(stream=stream, maxTokens=10))
        assert cost * 10**6 == pytest.approx(10 * 10, abs=20 * 2.5)

    async def test_reasoning_and_calls_are_part_of_the_answer(self) -> None:
        body = json.loads(piece_of(reply("Hi")))
        body["choices"][0]["message"]["reasoning_content"] = "thinking " * 500
        limited = house(FakeReply(json.dumps(body).encode()))
        cost, _ = self.read_cost(limited, await limited.keyed())
        assert cost > 1000 * 10 / 10**6

    async def test_embeddings(self) -> None:
        limited = house(vectors(), key=DAY)
        answer = await limited.keyed(
            EMBEDDINGS, model="openai/text-embedding-3-small", input="a cat " * 100
        )
        assert answer.headers["x-proxy-cost-origin"] == "estimated"
        line = limited.line
        assert line["proxy.cost.origin"] == "estimated"
        assert limited.account().spent_day == round(float(answer.headers["x-proxy-cost"]) * NANO)

    async def test_in_a_batch(self) -> None:
        limited = house(reply("Hello"), key=DAY)
        body = {"requests": [{"prompt": "Hi", "model": GPT, "maxTokens": 9}]}
        batch = await limited.fetch("POST", "/v1/batch", body, authorization=f"Bearer {SECRET}")
        await limited.settle()
        metadata = batch.json["results"][0]["response"]["metadata"]
        assert (metadata["cost"] > 0, metadata["costOrigin"]) == (True, "estimated")
        assert limited.account().spent_day == round(metadata["cost"] * NANO)
