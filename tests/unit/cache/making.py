"""A flight to play with, and entries for the tests of the cache."""

import asyncio
from typing import Any

from proxy.cache.entry import CacheEntry
from proxy.cache.flight import Flight, Joined, Published
from proxy.core.chat import Answer
from tests.unit.doubles import LoopClock

NOW = 1_700_000_000.0
KEY = "ab" * 32
LARGE = "".join(chr(0x4E00 + number * 7919 % 20000) for number in range(600_000))
"""A text whose entry is too large for KV, though it is deflated."""
SOON = 1e-3
"""What a moment of the clock, far from 1970, may be off."""


def seconds_passed() -> float:
    """Seconds since the test began."""
    return asyncio.get_running_loop().time()


class Play:
    """A flight with the clock that it goes by."""

    def __init__(self) -> None:
        self.clock = LoopClock(NOW)
        self.flight = Flight(self.clock)

    def join(self, patience: float = 60.0) -> "asyncio.Task[tuple[Joined, float]]":
        """The part that a request gets, and when."""

        async def join() -> tuple[Joined, float]:
            return await self.flight.join(patience), seconds_passed()

        return asyncio.ensure_future(join())

    def publish(self, ticket: int, outcome: bytes | None) -> None:
        self.flight.publish(Published(ticket, outcome))

    async def leads(self) -> int:
        """The ticket of a request that is to lead, at once."""
        joined, _ = await asyncio.wait_for(self.join(0), SOON)
        assert joined.role == "leader"
        return joined.ticket


async def ready() -> None:
    """Lets all that have begun come to where they wait."""
    await asyncio.sleep(0)
    await asyncio.sleep(0)


def make_entry(text: str = "Paris.", **fields: Any) -> CacheEntry:
    """An entry that is stored at NOW and stays fresh for a minute."""
    usual: dict[str, Any] = {
        "answer": Answer(text=text),
        "provider": "groq",
        "model": "m",
        "user": "ann",
        "born": NOW - 1,
        "stored": NOW,
        "ttl": 60,
    }
    return CacheEntry(**(usual | fields))
