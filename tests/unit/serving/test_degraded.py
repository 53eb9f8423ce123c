"""What fails without need does not fail the request."""

import asyncio

import pytest
from msgspec import structs

from proxy.cache.purge import HOLD_SECONDS
from proxy.host.maintenance import maintain
from tests.unit.doubles import LoopClock, in_no_time
from tests.unit.routing.making import DONE, HELLO, STOP, whole
from tests.unit.serving.making import OPENAI, House, by_host, counting, stream_of
from tests.unit.serving.making_coalescing import ON


class TestWithoutNeed:
    @pytest.mark.parametrize("stream", [False, True])
    async def test_kv_and_r2_that_raise(self, stream: bool) -> None:
        reply = stream_of(HELLO, STOP, DONE) if stream else whole("Hello")
        house = House(by_host(openai=reply))
        house.kv.fault = house.r2.fault = RuntimeError("down")
        answer = await house.post(stream=stream)
        assert (answer.status, answer.text) == (200, "Hello")
        assert (await house.post()).json["metadata"]["cacheTier"] == "memory"

    @in_no_time
    async def test_kv_and_r2_that_hang(self) -> None:
        house = House(by_host(openai=counting()), LoopClock())
        house.kv.silent = house.r2.silent = True
        answer = await house.receive()
        assert (answer.status, answer.text) == (200, "1")
        assert asyncio.get_running_loop().time() == pytest.approx(0.1)
        await asyncio.sleep(0)
        again = await house.receive()
        assert again.json["metadata"]["cacheTier"] == "memory"
        assert house.events("warning") == ["cache tier slow"] * 2

    @in_no_time
    async def test_how_long_they_may_take_is_a_setting(self) -> None:
        house = House(by_host(openai=counting()), LoopClock(), CACHE_TIMEOUT_MS="7")
        house.kv.silent = house.r2.silent = True
        await house.receive()
        assert asyncio.get_running_loop().time() == pytest.approx(0.014)

    async def test_what_is_foreign_in_them(self) -> None:
        house = House(by_host(openai=counting()))
        await house.post()
        for store in (house.kv, house.r2):
            store.held = {key: (b"APC\x01" + bytes(50), 1) for key in store.held}
        house.leave()
        house.clock.time += 1
        assert (await house.post()).text == "2"
        house.leave()
        assert (await house.post()).text == "2"

    async def test_purges_that_are_unreachable(self) -> None:
        house = House(by_host(openai=counting()))
        house.purges.down = True
        texts = [(await house.post()).text for _ in range(2)]
        assert texts == ["1", "2"]
        assert house.events("error") == ["purges unreachable"] * 2
        house.purges.down = False
        assert (await house.post()).text == "2"
        house.purges.down = True
        house.clock.time += HOLD_SECONDS
        assert (await house.post()).text == "3"

    async def test_all_of_them_at_once(self) -> None:
        house = House(by_host(openai=counting()), **ON)
        house.kv.fault = house.r2.fault = RuntimeError("down")
        house.purges.down = house.flights.down = True
        assert (await house.post()).text == "1"
        assert (await house.post(OPENAI, stream=False)).text == "2"

    @in_no_time
    async def test_purges_that_hang(self) -> None:
        house = House(by_host(openai=counting()), LoopClock())
        house.purges.silent = True
        pending = asyncio.ensure_future(house.receive(timeout=5000))
        await asyncio.sleep(6)
        done = pending.done()
        pending.cancel()
        assert done

    async def test_the_cron_trigger_prunes_whatever_the_checks_do(self) -> None:
        house = House(by_host(openai=whole("")))

        house.objects.board.down = True
        with pytest.raises(RuntimeError):
            await maintain(house.app.services)
        assert "cache pruned" in house.events("info")


async def test_the_cron_trigger_prunes_the_keys_whose_turn_it_is() -> None:
    house = House(by_host(openai=whole("")))
    house.clock.time = 300.0 * (256 * 1000 + 0xAB)
    house.r2.held = {"ab1": (b"", 1), "ac1": (b"", 1)}
    await maintain(house.app.services)
    assert [*house.r2.held] == ["ac1"]
    house.ports = structs.replace(house.ports, r2=None)
    await maintain(house.isolate().services)
    assert house.events("info").count("cache pruned") == 1
