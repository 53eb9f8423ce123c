"""Flights that are down or hang leave each request its answer."""

import asyncio

import pytest

from proxy.cache.flight import PUBLISH, RENEW
from proxy.core.errors import Fault
from tests.unit.doubles import FakeReply, LoopClock, in_no_time
from tests.unit.routing.making import HELLO, error, whole
from tests.unit.serving.making import House, by_host, stream_of
from tests.unit.serving.making_coalescing import ON, Gate


class TestUnreachableFlights:
    @in_no_time
    async def test_a_leader_waits_for_no_flight_that_hangs(self) -> None:
        house = House(by_host(openai=FakeReply(30.0, *whole("Hello").pieces)), LoopClock(), **ON)
        pending = asyncio.ensure_future(house.receive())
        await asyncio.sleep(0.5)
        house.flights.silent = True
        assert (await pending).text == "Hello"
        assert len(house.flights.called(RENEW)) > 10  # a sign of life may come through
        await house.settle()
        assert asyncio.get_running_loop().time() < 35
        assert "flight unreachable" in house.events("error")

    async def test_flights_that_are_down_leave_everyone_alone(self) -> None:
        gate = Gate(whole("Hello"))
        house = gate.house()
        house.flights.down = True
        answers = await gate.let(house, *(house.receive() for _ in range(5)))
        assert {(answer.status, answer.text) for answer in answers} == {(200, "Hello")}
        assert len(house.sent) == 5
        assert "flight unreachable" in house.events("error")

    @pytest.mark.parametrize(
        ("reply", "stream"),
        [(error(500), False), (stream_of(HELLO, Fault("network", "broke")), True)],
    )
    @in_no_time
    async def test_whose_report_hangs_has_its_answer_at_once(
        self, reply: FakeReply, stream: bool
    ) -> None:
        house = House(by_host(openai=reply), LoopClock(), **ON)

        async def hang(*_: object) -> None:
            await asyncio.sleep(10_000)

        house.flights.wrap(PUBLISH, hang)
        pending = asyncio.ensure_future(house.receive(stream=stream))
        await asyncio.sleep(1)
        done = pending.done()
        pending.cancel()
        assert done

    @pytest.mark.parametrize("reply", [whole("Hello"), error(500)])
    async def test_flights_that_go_down_meanwhile_cost_nobody_an_answer(
        self, reply: FakeReply
    ) -> None:
        gate = Gate(reply)
        house = gate.house()
        pending = asyncio.ensure_future(house.receive())
        for _ in range(20):
            await asyncio.sleep(0)
        house.flights.down = True
        gate.open.set()
        assert (await pending).status == (200 if reply.status == 200 else 502)
        await house.settle()
        assert house.events("error").count("flight unreachable") == 1

    @in_no_time
    async def test_flights_that_hang_leave_everyone_alone(self) -> None:
        house = House(by_host(openai=whole("Hello")), LoopClock(), **ON)
        house.flights.silent = True
        pending = asyncio.ensure_future(house.post(timeout=5000))
        await asyncio.sleep(6)
        done = pending.done()
        pending.cancel()
        assert done

    @in_no_time
    async def test_flights_that_hang_cost_one_request_its_time(self) -> None:
        house = House(by_host(openai=lambda _: whole("Hello")), LoopClock(), **ON)
        house.flights.silent = True
        loop = asyncio.get_running_loop()
        for number in range(20):
            assert (await house.receive(prompt=f"Hello {number}")).status == 200
        assert loop.time() == pytest.approx(2, abs=0.1)
        await asyncio.sleep(5)
        began = loop.time()
        for number in range(20, 40):
            await house.receive(prompt=f"Hello {number}")
        assert loop.time() - began == pytest.approx(2, abs=0.1)
        house.flights.silent = False
        await asyncio.sleep(5)
        await house.post(prompt="Are you there?")
        answers = await asyncio.gather(*(house.post(prompt="Hello again") for _ in range(5)))
        assert {answer.text for answer in answers} == {"Hello"}
        assert len(house.sent) == 40 + 1 + 1

    @in_no_time
    async def test_a_flight_that_hangs_leaves_a_request_the_rest_of_its_time(self) -> None:
        house = House(by_host(openai=whole("Hello")), LoopClock(), **ON)
        house.flights.silent = True
        assert (await house.post(timeout=3000)).text == "Hello"
