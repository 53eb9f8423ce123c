"""The leader of a flight: its signs of life and its outcome."""

import asyncio
from collections.abc import Awaitable, Callable

import pytest

from proxy.cache.coalescing import RENEW_SECONDS, Leader
from proxy.cache.flight import JOIN, LEASE_SECONDS, PUBLISH, RENEW, Joined, Published
from tests.unit.cache.making import NOW, SOON, ready, seconds_passed
from tests.unit.doubles import LoopClock, in_no_time
from tests.unit.memory_objects import MemoryObjects


class Recorded:
    """Writes down what the leader does, and when."""

    def __init__(self) -> None:
        self.objects = MemoryObjects(LoopClock(NOW))
        self.done: list[tuple[str, float]] = []
        self.published: list[tuple[str, Published]] = []
        self.objects.flights.wrap(RENEW, self.renew)
        self.objects.flights.wrap(PUBLISH, self.publish)

    async def renew(self, key: str, ticket: int, renew: Callable[[], Awaitable[None]]) -> None:
        assert (key, ticket) == ("key", 1)
        self.done.append(("renew", seconds_passed()))
        await renew()

    async def publish(
        self, key: str, report: Published, publish: Callable[[], Awaitable[None]]
    ) -> None:
        self.done.append(("publish", seconds_passed()))
        self.published.append((key, report))
        await publish()

    async def leader(self) -> Leader:
        assert await self.join(0) == Joined("leader", ticket=1)
        return Leader(self.objects, "key", 1)

    async def join(self, patience: float) -> Joined:
        return await self.objects.call(JOIN, "key", patience)


class TestLeader:
    @in_no_time
    async def test_it_shows_signs_of_life_until_it_publishes(self) -> None:
        flights = Recorded()
        leader = await flights.leader()
        await asyncio.sleep(3.5 * RENEW_SECONDS)
        await leader.publish(b"an outcome")
        await asyncio.sleep(10 * LEASE_SECONDS)
        assert flights.done == [
            *(("renew", RENEW_SECONDS * beat) for beat in (1, 2, 3)),
            ("publish", 3.5 * RENEW_SECONDS),
        ]
        assert flights.published == [("key", Published(1, b"an outcome"))]

    @in_no_time
    async def test_a_follower_is_not_made_leader_beside_it(self) -> None:
        flights = Recorded()
        leader = await flights.leader()
        other = asyncio.ensure_future(flights.join(600))
        await asyncio.sleep(100 * LEASE_SECONDS)
        assert not other.done()
        await leader.publish(b"an outcome")
        assert (await other).outcome == b"an outcome"

    @in_no_time
    async def test_an_object_that_is_down_is_an_error_to_the_leader(self) -> None:
        flights = Recorded()
        leader = await flights.leader()
        flights.objects.flights.down = True
        with pytest.raises(RuntimeError):
            await leader.publish(b"an outcome")
        await asyncio.sleep(10)
        assert flights.done == [("publish", 0)]

    @in_no_time
    async def test_one_sign_that_is_lost_does_not_end_them(self) -> None:
        flights = Recorded()
        leader = await flights.leader()
        other = asyncio.ensure_future(flights.join(600))
        await ready()
        flights.objects.flights.down = True
        await asyncio.sleep(RENEW_SECONDS + SOON)
        flights.objects.flights.down = False
        await asyncio.sleep(2 * LEASE_SECONDS)
        await leader.publish(b"an outcome")
        assert (await other).role == "follower"
