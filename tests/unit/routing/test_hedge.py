"""Hedging: a second attempt where the first takes long."""

import asyncio

import pytest

from proxy.core.errors import (
    ProviderError,
)
from tests.unit.doubles import (
    in_no_time,
)
from tests.unit.routing.making import (
    Isolate,
    by_host,
    error,
    made_catalog,
    outside,
    sent,
    slow,
    whole,
)


class TestHedging:
    @in_no_time
    async def test_the_faster_wins_and_the_other_is_called_off(self) -> None:
        out = outside(by_host(openai=30.0, groq=whole("groq")))
        isolate = Isolate(made_catalog(), out, HEDGE_AFTER_MS="200")
        assert await isolate.complete() == ["groq ok"]
        assert 0.2 <= asyncio.get_running_loop().time() < 0.5
        assert isolate.permit.lost == 1
        assert isolate.watch.views()["openai"].failures == 0

    @in_no_time
    async def test_the_first_may_still_win(self) -> None:
        out = outside(by_host(openai=slow(0.3, whole("openai")), groq=30.0))
        isolate = Isolate(made_catalog(), out, HEDGE_AFTER_MS="200")
        assert await isolate.complete() == ["openai ok"]
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
