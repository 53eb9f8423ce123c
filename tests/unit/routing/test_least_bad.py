"""Open breakers: the least bad candidate is tried where there is no other."""

import asyncio

import pytest

from proxy.core.errors import (
    ProviderError,
    RateLimitExceeded,
)
from proxy.core.permit import Offer, Refusal, Reservation
from proxy.core.ports import Outgoing
from tests.unit.doubles import (
    FakeReply,
    Unlimited,
    in_no_time,
)
from tests.unit.routing.making import (
    Isolate,
    by_host,
    error,
    made_catalog,
    outside,
    slow,
    whole,
)
from tests.unit.routing.making_blame import failing, isolate_of, outcomes


def no(limit: str) -> Refusal:
    return Refusal(limit=limit, message=f"No more of {limit}.", retry_after=7)


class Waiting(Unlimited):
    """A permit that takes a second to charge."""

    async def charge(self, offer: Offer) -> Refusal | Reservation:
        await asyncio.sleep(1)
        return await super().charge(offer)


class TestLeastBad:
    async def opened(self, isolate: Isolate, *providers: str) -> None:
        for provider in providers:
            await failing(isolate, 1, model=f"{provider}/auto", fallback=False)

    @in_no_time
    async def test_all_that_opened_meanwhile_are_no_lack_of_time(self) -> None:
        out = outside(by_host(openai=lambda _: error(401), groq=lambda _: error(401)))
        isolate = Isolate(made_catalog(), out, RETRY_ATTEMPTS="1")
        isolate.permit = Waiting()
        for met in await asyncio.gather(
            isolate.complete(), isolate.complete(), return_exceptions=True
        ):
            assert isinstance(met, ProviderError)
            assert met.status == 502
            assert "unauthorized" in [attempt.outcome for attempt in met.attempts]

    @in_no_time
    async def test_the_open_one_is_tried_where_the_others_bucket_is_empty(self) -> None:
        isolate = isolate_of(by_host(openai=lambda _: error(401), groq=lambda _: whole("g")))
        await self.opened(isolate, "openai")
        isolate.permit = Unlimited(no("provider:groq"))
        with pytest.raises(ProviderError) as caught:
            await isolate.complete(model="groq/llama", fallback=("openai",))
        assert outcomes(caught.value) == [("limited", None), ("unauthorized", "provider")]

    @in_no_time
    async def test_wherever_it_stands(self) -> None:
        isolate = isolate_of(by_host(openai=lambda _: error(401), groq=lambda _: whole("g")))
        await self.opened(isolate, "openai")
        isolate.permit = Unlimited(no("provider:groq"))
        with pytest.raises(ProviderError) as caught:
            await isolate.complete()
        assert outcomes(caught.value) == [("limited", None), ("unauthorized", "provider")]

    @in_no_time
    async def test_of_two_the_less_bad_and_then_the_other(self) -> None:
        isolate = isolate_of(by_host(openai=lambda _: error(401), groq=lambda _: error(401)))
        await self.opened(isolate, "openai")
        await asyncio.sleep(1)
        await self.opened(isolate, "groq")
        isolate.permit = Unlimited(no("provider:openai"))
        with pytest.raises(ProviderError) as caught:
            await isolate.complete(model="groq/llama", fallback=("openai",))
        tried = [(attempt.provider, attempt.outcome) for attempt in caught.value.attempts]
        assert tried == [("openai", "limited"), ("groq", "unauthorized")]

    @in_no_time
    async def test_with_all_of_them_limited_it_is_a_limit(self) -> None:
        isolate = isolate_of(by_host(openai=lambda _: error(401), groq=lambda _: whole("g")))
        await self.opened(isolate, "openai")
        isolate.permit = Unlimited(no("provider:groq"), no("provider:openai"))
        with pytest.raises(RateLimitExceeded):
            await isolate.complete()
        assert isolate.permit.charged == ["groq", "openai"]

    @in_no_time
    async def test_it_is_not_tried_beside_one_that_was(self) -> None:
        isolate = isolate_of(by_host(openai=lambda _: error(401), groq=lambda _: error(500)))
        await self.opened(isolate, "openai")
        with pytest.raises(ProviderError) as caught:
            await isolate.complete()
        assert [a.outcome for a in caught.value.attempts] == ["breaker_open", "unavailable"]

    @in_no_time
    async def test_two_that_wait_for_their_charge_are_not_both_the_probe(self) -> None:
        healthy = False

        def openai(_: Outgoing) -> FakeReply:
            return slow(5.0, whole("o")) if healthy else error(401)

        isolate = isolate_of(by_host(openai=openai, groq=lambda _: whole("g")))
        await isolate.complete()
        healthy = True
        await asyncio.sleep(13)
        isolate.permit = Waiting()
        both = await asyncio.gather(isolate.complete(), isolate.complete())
        assert sorted(both) == [["openai breaker_open", "groq ok"], ["openai ok"]]
