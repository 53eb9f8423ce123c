"""Hedging: a second attempt where the first takes long."""

import asyncio

import pytest

from proxy.core.errors import (
    Fault,
    FaultDetails,
    ProviderError,
)
from tests.unit.doubles import (
    FakeReply,
    in_no_time,
)
from tests.unit.routing.making import (
    DONE,
    EVENTS,
    HELLO,
    STOP,
    Given,
    Isolate,
    by_host,
    error,
    made_catalog,
    outside,
    sent,
    slow,
    streamed,
    whole,
)


class TestHedging:
    @in_no_time
    async def test_the_faster_wins_and_the_other_is_called_off(self) -> None:
        out = outside(by_host(openai=30.0, groq=whole("groq")))
        isolate = Isolate(made_catalog(), out, HEDGE_AFTER_MS="200")
        assert await isolate.complete() == ["openai cancelled", "groq ok"]
        assert 0.2 <= asyncio.get_running_loop().time() < 0.5
        assert isolate.permit.lost == 1
        assert isolate.watch.views()["openai"].failures == 0

    @in_no_time
    async def test_two_models_of_one_provider_may_race(self) -> None:
        answers: list[Given] = [slow(30.0, whole("openai")), whole("openai")]
        replies = iter(answers)
        out = outside(by_host(openai=lambda _: next(replies)))
        isolate = Isolate(made_catalog(), out, HEDGE_AFTER_MS="200")
        routing = {"models": ("openai/gpt-big",), "fallback": ()}
        assert await isolate.complete(**routing) == ["openai cancelled", "openai ok"]
        assert sent(out) == ["openai", "openai"]

    @in_no_time
    async def test_the_first_may_still_win(self) -> None:
        out = outside(by_host(openai=slow(0.3, whole("openai")), groq=30.0))
        isolate = Isolate(made_catalog(), out, HEDGE_AFTER_MS="200")
        assert await isolate.complete() == ["groq cancelled", "openai ok"]
        assert isolate.permit.lost == 1

    @in_no_time
    async def test_a_quick_one_is_alone(self) -> None:
        out = outside(by_host(openai=whole("openai"), groq=whole("groq")))
        assert await Isolate(made_catalog(), out, HEDGE_AFTER_MS="200").complete() == ["openai ok"]
        assert sent(out) == ["openai"]

    @in_no_time
    async def test_both_may_fail(self) -> None:
        out = outside(by_host(openai=10.0, groq=error(500)))
        isolate = Isolate(made_catalog(), out, HEDGE_AFTER_MS="200", RETRY_ATTEMPTS="1")
        with pytest.raises(ProviderError):
            await isolate.complete()

    @in_no_time
    async def test_of_two_streams_that_begin_at_once_the_loser_is_closed(self) -> None:
        replies = {
            name: FakeReply(seconds, HELLO, STOP, DONE, headers=EVENTS)
            for name, seconds in (("openai", 0.5), ("groq", 0.3))
        }
        out = outside(by_host(openai=replies["openai"], groq=replies["groq"]))
        isolate = Isolate(made_catalog(), out, HEDGE_AFTER_MS="200")
        winner = await streamed(isolate)
        assert {name for name, reply in replies.items() if reply.aborted} == {*replies} - {winner}
        assert isolate.permit.lost == 1

    @in_no_time
    async def test_a_first_that_rules_the_next_out_leaves_nothing_to_race(self) -> None:
        """While it waits to retry, no other model of its provider is left."""
        broken = Fault("network", "broke", details=FaultDetails(retry_after=0.5))
        answers: list[Given] = [broken, whole("openai")]
        replies = iter(answers)
        out = outside(by_host(openai=lambda _: next(replies)))
        isolate = Isolate(made_catalog(), out, HEDGE_AFTER_MS="200")
        routing = {"models": ("openai/gpt-big",), "fallback": ()}
        assert await isolate.complete(**routing) == ["openai network", "openai ok"]
