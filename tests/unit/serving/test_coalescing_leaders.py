"""A leader that is slow, fails or dies, and the followers who wait for it."""

import asyncio
from typing import Any

import pytest

from proxy.cache.coalescing import STALL_SECONDS
from proxy.cache.flight import JOIN, KEEP_SECONDS, LEASE_SECONDS, Joined
from proxy.core.errors import Fault
from tests.unit.callers import read_stream
from tests.unit.doubles import Caller, FakeReply, LoopClock, in_no_time
from tests.unit.routing.making import DONE, HELLO, STOP, event, whole
from tests.unit.serving.making import (
    NATIVE,
    OPENAI,
    House,
    Outcome,
    by_host,
    counting,
    in_turn,
    stream_of,
)
from tests.unit.serving.making_coalescing import ON, Gate


class TestLeader:
    async def test_a_leader_that_is_cancelled_hands_over(self) -> None:
        gate = Gate(whole("Hello"))
        house = gate.house()
        leader = asyncio.ensure_future(house.receive())
        for _ in range(20):
            await asyncio.sleep(0)
        followers = [asyncio.ensure_future(house.receive()) for _ in range(3)]
        for _ in range(20):
            await asyncio.sleep(0)
        leader.cancel()
        with pytest.raises(asyncio.CancelledError):
            await leader
        gate.open.set()
        assert {answer.text for answer in await asyncio.gather(*followers)} == {"Hello"}
        assert len(house.sent) == 2

    @pytest.mark.parametrize(
        "pieces",
        [
            (HELLO, Fault("network", "broke")),
            (HELLO, DONE),
            (HELLO, event({}, "content_filter"), DONE),
        ],
    )
    @in_no_time
    async def test_a_leader_whose_stream_ends_badly_hands_over(self, pieces: Any) -> None:
        after = stream_of(HELLO, event({"content": "!"}), STOP, DONE)
        house = House(by_host(openai=in_turn(stream_of(*pieces), after)), LoopClock(), **ON)
        response = await house.begin(stream=True)
        other = asyncio.ensure_future(house.post(stream=True))
        await asyncio.sleep(0.01)
        assert not other.done()
        await read_stream(response)
        assert (await other).text == "Hello!"
        assert asyncio.get_running_loop().time() < 0.1

    @in_no_time
    async def test_a_leader_whose_caller_leaves_hands_over(self) -> None:
        left = stream_of(HELLO, HELLO, HELLO, STOP, DONE)
        house = House(by_host(openai=in_turn(left, whole("Hello!"))), LoopClock(), **ON)
        response = await house.begin(stream=True)
        other = asyncio.ensure_future(house.post())
        await asyncio.sleep(0.01)
        await read_stream(response, gone_after=1)
        assert (await other).text == "Hello!"
        assert asyncio.get_running_loop().time() < 0.1

    @pytest.mark.parametrize("path", [NATIVE, OPENAI])  # one is translated, one may flow
    @in_no_time
    async def test_a_leader_whose_caller_stops_to_read_is_replaced(self, path: str) -> None:
        class Asleep(Caller):
            async def write(self, data: bytes) -> None:
                await super().write(data)
                await asyncio.sleep(10_000)

        stream = stream_of(HELLO, event({"content": "!"}), STOP, DONE)
        house = House(by_host(openai=in_turn(stream, whole("Hello!"))), LoopClock(), **ON)
        body = {"messages": [{"role": "user", "content": "Hi"}], "stream": True}
        response = await house.begin(path, **body)
        assert response.stream
        asleep = asyncio.ensure_future(response.stream(Asleep()))
        await asyncio.sleep(0.1)
        other = await house.post(path, **body | {"stream": False})
        assert (other.status, b"Hello!" in other.body) == (200, True)
        assert asyncio.get_running_loop().time() < STALL_SECONDS + 2 * LEASE_SECONDS
        asleep.cancel()

    @in_no_time
    async def test_a_stream_that_comes_slowly_leads_on(self) -> None:
        pieces = [piece for _ in range(10) for piece in (HELLO, STALL_SECONDS - 2)]
        house = House(by_host(openai=stream_of(*pieces, STOP, DONE)), LoopClock(), **ON)
        response = await house.begin(stream=True)
        leading = asyncio.ensure_future(read_stream(response))
        other = await house.post()
        assert (other.status, other.text, len(house.sent)) == (200, "Hello" * 10, 1)
        await leading

    @in_no_time
    async def test_who_joins_after_the_flight_has_landed_leads_to_what_memory_has(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("proxy.cache.flight.KEEP_SECONDS", 0.5)
        house = House(by_host(openai=whole("Hello")), LoopClock(), **ON)
        call, waits = house.flights.call, iter((0.0, 1.0, 1.0))

        async def join_late(method: Any, name: str, argument: Any) -> Any:
            if method is JOIN:
                await asyncio.sleep(next(waits, 0.0))
            return await call(method, name, argument)

        monkeypatch.setattr(house.flights, "call", join_late)
        answers = await asyncio.gather(*(house.post() for _ in range(3)))
        assert [answer.text for answer in answers] == ["Hello"] * 3
        assert len(house.sent) == 1

    @in_no_time
    async def test_a_leader_that_dies_is_replaced(self) -> None:
        """Its isolate is gone: no report, no sign of life."""
        house = House(by_host(openai=whole("Hello")), LoopClock(), **ON)
        await house.post()
        [key] = house.flights.held
        house.empty_below()
        house.leave()
        await asyncio.sleep(KEEP_SECONDS + LEASE_SECONDS)
        dead = Joined("leader", ticket=2)
        assert await house.flights.held[key].join(0) == dead
        began = asyncio.get_running_loop().time()
        answers = await asyncio.gather(*(house.post() for _ in range(10)))
        assert asyncio.get_running_loop().time() - began == pytest.approx(LEASE_SECONDS, abs=0.01)
        assert {answer.text for answer in answers} == {"Hello"}
        assert len(house.sent) == 2

    @in_no_time
    async def test_a_slow_leader_lives(self) -> None:
        slow = FakeReply(10 * LEASE_SECONDS, *whole("Hello").pieces)
        house = House(by_host(openai=slow), LoopClock(), **ON)
        answers = await asyncio.gather(*(house.post() for _ in range(10)))
        assert {answer.text for answer in answers} == {"Hello"}
        assert len(house.sent) == 1

    @in_no_time
    async def test_a_late_follower_gets_the_outcome_from_another_isolate(self) -> None:
        house = House(by_host(openai=counting()), LoopClock(), **ON)
        await house.post()
        house.empty_below()  # the tiers lag behind
        house.leave()
        await asyncio.sleep(KEEP_SECONDS - 0.01)
        late = await house.post()
        assert (late.text, late.headers["cache-status"][-9:]) == ("1", "collapsed")
        assert (await house.post()).json["metadata"]["cacheTier"] == "memory"

    @in_no_time
    async def test_a_follower_takes_over_from_a_leader_that_lived_for_long(self) -> None:
        answers: list[Outcome] = [FakeReply(50.0, b"never"), whole("Hello")]
        house = House(lambda _: answers.pop(0), LoopClock(), **ON)
        leader = asyncio.ensure_future(house.receive())
        await asyncio.sleep(1)
        followers = [asyncio.ensure_future(house.receive()) for _ in range(10)]
        await asyncio.sleep(19.5)
        assert not any(pending.done() for pending in followers)
        leader.cancel()
        assert {answer.text for answer in await asyncio.gather(*followers)} == {"Hello"}
        assert asyncio.get_running_loop().time() < 21
        assert len(house.sent) == 2

    @in_no_time
    async def test_a_leader_in_a_hurry_does_not_time_out_the_patient(self) -> None:
        slow = FakeReply(2.0, *whole("Hello").pieces)
        house = House(by_host(openai=slow), LoopClock(), **ON)
        hasty = asyncio.ensure_future(house.post(timeout=1000))
        await asyncio.sleep(0.5)
        patient = await house.post(timeout=60_000)
        assert (await hasty).status == 504
        assert patient.status == 200
        assert patient.text == "Hello"

    @in_no_time
    async def test_waiting_counts_for_the_deadline(self) -> None:
        slow = FakeReply(100.0, *whole("Hello").pieces)
        house = House(by_host(openai=slow), LoopClock(), **ON)
        leader = asyncio.ensure_future(house.post())
        await asyncio.sleep(0.5)
        began = asyncio.get_running_loop().time()
        hasty = await house.post(timeout=1000)
        took = asyncio.get_running_loop().time() - began
        leader.cancel()
        assert hasty.status == 504
        assert took == pytest.approx(1, abs=0.1)
