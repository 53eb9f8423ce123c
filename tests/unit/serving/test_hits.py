"""Chats that the cache answers."""

import pytest
from msgspec import structs

from proxy.core.web import Response
from tests.unit.cache.making import LARGE
from tests.unit.callers import as_it_is
from tests.unit.routing.making import whole
from tests.unit.serving.making import NATIVE, OPENAI, House, by_host, counting


class TestHit:
    async def test_a_miss_then_a_hit(self) -> None:
        house = House(by_host(openai=counting()))
        miss = await house.post()
        assert (miss.cache, miss.headers["cache-status"]) == ("MISS", "proxy-memory; fwd=miss")
        assert "age" not in miss.headers
        metadata = miss.json["metadata"]
        assert (metadata["cacheStatus"], metadata["cacheTier"]) == ("miss", None)
        assert metadata["cost"] > 0
        house.clock.time += 10.5
        hit = await house.post()
        assert (hit.status, hit.text, miss.text) == (200, "1", "1")
        assert hit.headers["cache-status"] == "proxy-memory; hit; ttl=3589"
        assert (hit.headers["age"], hit.cache) == ("10", "HIT")
        assert "x-proxy-cost" not in hit.headers
        assert "cf-aig-step" not in hit.headers
        assert hit.headers["x-proxy-provider"] == "openai"
        assert hit.headers["x-proxy-model"] == "gpt-4o"
        metadata = hit.json["metadata"]
        assert (metadata["cacheStatus"], metadata["cacheTier"]) == ("hit", "memory")
        assert (metadata["cost"], metadata["costOrigin"], metadata["attempts"]) == (0, None, [])
        assert hit.json["usage"] == miss.json["usage"]
        assert metadata["requestId"] != miss.json["metadata"]["requestId"]
        assert (house.line["proxy.cache.status"], house.line["proxy.cache.tier"]) == (
            "hit",
            "memory",
        )
        assert house.line["proxy.cost.usd"] == 0
        assert len(house.sent) == 1

    async def test_it_names_its_key_to_purge_by(self) -> None:
        house = House(by_host(openai=counting()))
        await house.post()
        hit = await house.post()
        assert [hit.headers["x-proxy-cache-key"]] == [*house.kv.held]

    @pytest.mark.parametrize(("text", "tier"), [("small", "kv"), (LARGE, "r2")])
    async def test_another_isolates_answer_from_below(self, text: str, tier: str) -> None:
        house = House(by_host(openai=whole(text)))
        await house.post()
        house.leave()
        house.clock.time += 5
        hit = await house.post()
        assert hit.text == text
        assert hit.headers["cache-status"] == f"proxy-{tier}; hit; ttl=3595"
        assert hit.json["metadata"]["cacheTier"] == tier
        assert house.line["proxy.cache.tier"] == tier
        assert len(house.sent) == 1

    async def test_what_came_from_below_is_in_memory_then(self) -> None:
        house = House(by_host(openai=counting()))
        await house.post()
        house.leave()
        await house.post()
        house.clock.time += 5
        memory = await house.post()
        assert (memory.text, memory.json["metadata"]["cacheTier"]) == ("1", "memory")
        assert memory.headers["cache-status"] == "proxy-memory; hit; ttl=3595"

    async def test_a_hit_in_memory_waits_for_the_body_and_nothing_else(self) -> None:
        house = House(by_host(openai=counting()))
        await house.post()
        for store in (house.kv, house.r2):
            store.fault = AssertionError("must not be read")
        house.purges.down = house.flights.down = True
        reaction = house.app.handle(house.chat_request({}, NATIVE, {}), as_it_is)
        assert not isinstance(reaction, Response)
        with pytest.raises(StopIteration) as caught:
            reaction.send(None)
        assert caught.value.value.headers["cf-aig-cache-status"] == "HIT"

    async def test_another_question_is_another_entry(self) -> None:
        house = House(by_host(openai=counting()))
        texts = [
            (await house.post(**body)).text
            for body in ({}, {"prompt": "Bye"}, {"temperature": 0.5}, {"model": "openai/gpt-4.1"})
        ]
        assert texts == ["1", "2", "3", "4"]

    async def test_the_same_question_in_the_other_dialect_is_the_same_entry(self) -> None:
        house = House(by_host(openai=counting()))
        native = await house.post(temperature=1)
        other = await house.post(OPENAI, user="me", metadata={"a": "b"})
        assert (native.text, other.text, other.cache) == ("1", "1", "HIT")

    async def test_it_is_over_after_its_ttl(self) -> None:
        house = House(by_host(openai=counting()), CACHE_TTL="100")
        await house.post()
        house.clock.time += 99.75
        assert (await house.post()).text == "1"
        house.clock.time += 0.25
        again = await house.post()
        assert (again.text, again.cache) == ("2", "MISS")
        assert (await house.post()).text == "2"

    async def test_a_deployment_without_kv_and_r2_has_its_memory(self) -> None:
        house = House(by_host(openai=counting()))
        house.ports = structs.replace(house.ports, kv=None, r2=None)
        house.leave()
        await house.post()
        assert (await house.post()).cache == "HIT"
