"""Retries and breakers, as one request and as many meet them."""

import asyncio

import pytest

from proxy.core.errors import (
    NotFound,
    ProviderError,
    RateLimitExceeded,
)
from proxy.core.ports import Outgoing
from proxy.routing.board import BOARD, EXCHANGE
from proxy.routing.operations import RunOptions
from proxy.routing.retry import RetryPolicy
from proxy.routing.watch import SYNC_SECONDS
from tests.unit.doubles import (
    FakeReply,
    Unlimited,
    in_no_time,
)
from tests.unit.memory_objects import MemoryObjects
from tests.unit.routing.making import (
    Isolate,
    after_failures,
    by_host,
    call,
    error,
    made_catalog,
    outside,
    sent,
    slow,
    whole,
)


class TestRetries:
    @in_no_time
    async def test_the_same_provider_again(self) -> None:
        catalog = made_catalog()
        out = outside(by_host(openai=after_failures(1, whole("Hi!"), error(503))))
        isolate = Isolate(catalog, out)
        assert await isolate.complete() == ["openai unavailable", "openai ok"]
        assert len(isolate.permit.charged) == 2

    @pytest.mark.parametrize("status", [400, 401, 403, 404, 413])
    def test_not_after_what_will_not_change(self, status: int) -> None:
        @in_no_time
        async def check() -> None:
            out = outside(by_host(openai=error(status), groq=whole("Hi!")))
            try:
                await Isolate(made_catalog(), out).complete()
            except Exception:
                assert status == 400
            assert sent(out).count("openai") == 1

        check()

    @in_no_time
    async def test_retry_after_is_waited_for_where_there_is_nobody_else(self) -> None:
        fault = error(429, **{"retry-after": "5"})
        out = outside(by_host(openai=after_failures(1, whole("Hi!"), fault)))
        await Isolate(made_catalog(), out).complete(fallback=False)
        assert 5 <= asyncio.get_running_loop().time() < 6

    @in_no_time
    async def test_and_not_where_there_is(self) -> None:
        out = outside(by_host(openai=error(429, **{"retry-after": "5"}), groq=whole("Hi!")))
        assert await Isolate(made_catalog(), out).complete() == ["openai rate_limited", "groq ok"]
        assert asyncio.get_running_loop().time() < 1

    @in_no_time
    async def test_nor_beyond_the_deadline(self) -> None:
        out = outside(by_host(openai=error(429, **{"retry-after": "5"})))
        with pytest.raises(RateLimitExceeded) as caught:
            await Isolate(made_catalog(), out).complete(fallback=False, timeout_ms=4000)
        assert caught.value.retry_after == 5
        assert len(sent(out)) == 1

    @in_no_time
    async def test_an_outage_is_not_multiplied(self) -> None:
        out = outside(by_host(openai=lambda _: error(503), groq=lambda _: error(503)))
        isolate = Isolate(made_catalog(), out, RETRY_ATTEMPTS="5")
        # A model of its own each time, so that no breaker opens and only the budget bounds it.
        for number in range(100):
            with pytest.raises(ProviderError):
                await isolate.complete(model=f"openai/m{number}", fallback=False)
        assert 100 < len(sent(out)) <= 100 + 2 + 20

    @in_no_time
    async def test_a_request_may_want_more_or_none(self) -> None:
        out = outside(by_host(openai=lambda _: error(503)))
        manager = Isolate(made_catalog(), out).manager
        for attempts in (1, 3):
            with pytest.raises(ProviderError):
                policy = RetryPolicy(attempts, 0)
                await manager.complete(
                    call(fallback=False), Unlimited(), RunOptions(retry_policy=policy)
                )
        assert len(sent(out)) == 1 + 3


class TestBreakers:
    @in_no_time
    async def test_who_fails_is_left_alone_and_then_probed(self) -> None:
        healthy = False

        def openai(_: Outgoing) -> FakeReply:
            return whole("openai") if healthy else error(503)

        out = outside(by_host(openai=openai, groq=lambda _: whole("groq")))
        isolate = Isolate(made_catalog(), out, RETRY_ATTEMPTS="1")
        for _ in range(5):
            assert await isolate.complete() == ["openai unavailable", "groq ok"]
        assert await isolate.complete() == ["openai breaker_open", "groq ok"]
        await asyncio.sleep(13)
        assert await isolate.complete() == ["openai unavailable", "groq ok"]
        assert await isolate.complete() == ["openai breaker_open", "groq ok"]
        healthy = True
        await asyncio.sleep(25)
        assert await isolate.complete() == ["openai ok"]
        assert await isolate.complete() == ["openai ok"]

    @in_no_time
    async def test_a_key_that_is_refused_is_known_at_once(self) -> None:
        out = outside(by_host(openai=lambda _: error(401), groq=lambda _: whole("groq")))
        isolate = Isolate(made_catalog(), out)
        assert await isolate.complete() == ["openai unauthorized", "groq ok"]
        assert await isolate.complete(model="openai/gpt-big") == ["openai breaker_open", "groq ok"]
        assert isolate.watch.views()["openai"].reason == "misconfigured"

    @in_no_time
    async def test_a_typo_harms_nobody(self) -> None:
        out = outside(by_host(openai=lambda _: error(404)))
        isolate = Isolate(made_catalog(), out)
        for _ in range(2):
            with pytest.raises(NotFound):
                await isolate.complete(model="openai/gtp", fallback=False)
        assert isolate.watch.views()["openai/gtp"].phase == "closed"

    @in_no_time
    async def test_with_all_open_the_least_bad_is_tried(self) -> None:
        out = outside(by_host(openai=lambda _: error(401), groq=lambda _: error(401)))
        isolate = Isolate(made_catalog(), out)
        for _ in range(2):
            with pytest.raises(ProviderError):
                await isolate.complete()
        assert sent(out) == ["openai", "groq", "openai"]

    @in_no_time
    async def test_isolates_tell_one_another(self) -> None:
        out = outside(by_host(openai=lambda _: error(401), groq=lambda _: whole("groq")))
        catalog = made_catalog()
        one, other = Isolate(catalog, out), Isolate(catalog, out)
        await other.complete(model="groq/llama", fallback=False)
        await one.complete()
        await one.watch.sync()
        await other.watch.sync()
        assert await other.complete() == ["openai breaker_open", "groq ok"]
        # A new isolate starts from what all have seen.
        assert await Isolate(catalog, out).complete() == ["openai breaker_open", "groq ok"]
        await one.watch.reset(None)
        await other.watch.sync()
        assert other.watch.views()["openai"].phase == "closed"

    @in_no_time
    async def test_the_board_is_on_no_requests_path(self) -> None:
        out = outside(by_host(openai=lambda _: whole("Hi!")))
        isolate = Isolate(made_catalog(), out)
        assert isinstance(out.objects, MemoryObjects)
        for _ in range(20):
            await isolate.complete()
        assert out.objects.board.called(EXCHANGE) == [BOARD]
        out.objects.board.down = True
        await asyncio.sleep(SYNC_SECONDS)
        assert await isolate.complete() == ["openai ok"]


class TestStarts:
    """When attempts began, from the beginning of the request."""

    @in_no_time
    async def test_one_after_another_with_the_pause_between(self) -> None:
        busy = FakeReply(0.5, b"{}", status=503, headers={"retry-after": "1"})
        replies = iter([busy, whole("Hi!")])
        out = outside(by_host(openai=lambda _: next(replies)))
        isolate = Isolate(made_catalog(), out)
        options = RunOptions(began=out.clock.now() - 2)
        _, success = await isolate.manager.complete(call(), isolate.permit, options)
        assert [(a.start, a.ms) for a in success.attempts] == [(2000, 500), (3625, 0)]

    @in_no_time
    async def test_side_by_side_where_one_takes_long(self) -> None:
        refused = FakeReply(0.5, b"{}", status=401)
        out = outside(by_host(openai=refused, groq=slow(1.0, whole("Hi!"))))
        isolate = Isolate(made_catalog(), out, HEDGE_AFTER_MS="200")
        _, success = await isolate.manager.complete(call(), isolate.permit)
        found = [(a.provider, a.start, a.ms) for a in success.attempts]
        assert found == [("openai", 0, 500), ("groq", 200, 1000)]

    @in_no_time
    async def test_none_where_nothing_went_out(self) -> None:
        out = outside(by_host(openai=error(503), groq=whole("Hi!")))
        isolate = Isolate(made_catalog(), out, RETRY_ATTEMPTS="1")
        for _ in range(10):
            await isolate.complete()
        _, success = await isolate.manager.complete(call(), isolate.permit)
        found = [(a.outcome, a.start) for a in success.attempts]
        assert found == [("breaker_open", None), ("ok", 0)]
