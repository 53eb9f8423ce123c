"""Every provider fails, and the cache has an answer that is over."""

from typing import Any

import pytest

from proxy.core.errors import Fault
from tests.unit.cache.making import LARGE
from tests.unit.doubles import FakeReply
from tests.unit.routing.making import HELLO, error, whole
from tests.unit.serving.making import FORMS, NATIVE, House, by_host, counting, in_turn, stream_of


class TestStale:
    @pytest.mark.parametrize(
        "failure",
        [error(500), error(401), error(429), error(408), Fault("network", "gone"), FakeReply(b"")],
        ids=["500", "401", "429", "408", "network", "garbage"],
    )
    @pytest.mark.parametrize(("path", "stream"), FORMS)
    async def test_the_last_answer_is_given_and_marked(
        self, path: str, stream: bool, failure: FakeReply | Fault
    ) -> None:
        house = House(by_host(openai=in_turn(whole("old"), failure)), CACHE_TTL="100")
        await house.post()
        house.clock.time += 160
        answer = await house.post(path, stream=stream)
        assert (answer.status, answer.text) == (200, "old")
        status = "proxy-memory; hit; ttl=-60; detail=stale-if-error"
        assert (answer.headers["cache-status"], answer.headers["age"]) == (status, "160")
        if path == NATIVE:
            metadata = (answer.events[-1] if stream else answer.json)["metadata"]
            assert (metadata["cacheStatus"], metadata["cost"]) == ("stale", 0)
            assert metadata["cacheTier"] == "memory"
        assert house.line["proxy.cache.status"] == "stale"
        assert house.line["proxy.attempts"]

    @pytest.mark.parametrize(("text", "tier"), [("old", "kv"), (LARGE, "r2")])
    async def test_from_below(self, text: str, tier: str) -> None:
        house = House(by_host(openai=in_turn(whole(text), error(500))))
        await house.post()
        house.leave()
        house.clock.time += 3600
        answer = await house.post()
        assert answer.headers["cache-status"] == f"proxy-{tier}; hit; ttl=0; detail=stale-if-error"

    async def test_a_provider_that_answers_is_preferred(self) -> None:
        house = House(by_host(openai=counting()), CACHE_TTL="100")
        await house.post()
        house.clock.time += 100
        assert (await house.post()).text == "2"

    @pytest.mark.parametrize("status", [400, 422])
    async def test_a_refusal_stays_a_refusal(self, status: int) -> None:
        house = House(by_host(openai=in_turn(whole("old"), error(status))), CACHE_TTL="100")
        await house.post()
        house.clock.time += 100
        assert (await house.post()).status == status

    async def test_nothing_is_given_after_its_grace(self) -> None:
        house = House(
            by_host(openai=in_turn(whole("old"), error(500), error(500))),
            CACHE_TTL="100",
            CACHE_GRACE="50",
        )
        await house.post()
        house.clock.time += 149.75
        assert (await house.post()).text == "old"
        house.clock.time += 0.25
        assert (await house.post()).status == 502

    @pytest.mark.parametrize("headers", [{"cache_control": "no-cache"}])
    async def test_a_caller_that_wants_nothing_from_the_cache_gets_the_error(
        self, headers: Any
    ) -> None:
        house = House(by_host(openai=in_turn(whole("old"), error(500))))
        await house.post()
        assert (await house.post(headers=headers)).status == 502

    async def test_a_fresh_answer_that_is_too_old_for_the_caller(self) -> None:
        house = House(by_host(openai=in_turn(whole("old"), error(500))))
        await house.post()
        house.clock.time += 60
        answer = await house.post(headers={"cache_control": "max-age=10"})
        assert (answer.text, answer.headers["age"]) == ("old", "60")
        assert "detail=stale-if-error" in answer.headers["cache-status"]

    async def test_a_stream_that_breaks_after_it_began_ends_in_its_error(self) -> None:
        house = House(
            by_host(openai=in_turn(whole("old"), stream_of(HELLO, Fault("network", "broke")))),
            CACHE_TTL="100",
        )
        await house.post()
        house.clock.time += 100
        answer = await house.post(stream=True)
        assert answer.events[-1]["error"]["code"] == 502
        assert "old" not in answer.text
