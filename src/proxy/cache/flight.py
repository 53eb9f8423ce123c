"""The flight of one cache key, in which identical requests reach the provider once.

The first request to join leads: it calls a provider and publishes the outcome; the others follow.
A Durable Object for each key holds the flight: there a future may be shared by requests.

Promises: a leader that dies (its lease is not renewed) is replaced by a follower within
LEASE_SECONDS; no follower waits longer than it said it would.
"""

import asyncio
from typing import Literal

from msgspec import Struct

from proxy.core.ports import Clock
from proxy.core.rpc import NOTHING, Method, as_msgpack, as_text

LEASE_SECONDS = 3.0
"""For how long a leader counts as alive after its last sign of life."""
KEEP_SECONDS = 2.0
"""Seconds for which an outcome still answers late requests: the tiers lag behind."""


class Joined(Struct, frozen=True):
    """The part of a request in a flight: to lead, with its ticket; to follow, with the leader's
    outcome; or to go alone."""

    role: Literal["leader", "follower", "alone"]
    ticket: int = 0
    outcome: bytes = b""


class Published(Struct, frozen=True):
    """What a leader publishes. outcome: None where it has none, and another is to lead."""

    ticket: int
    outcome: bytes | None


JOIN = Method("CACHE_FLIGHT", "join", as_text(float), as_msgpack(Joined))
RENEW = Method("CACHE_FLIGHT", "renew", as_text(int), NOTHING)
PUBLISH = Method("CACHE_FLIGHT", "publish", as_msgpack(Published), NOTHING)


class Flight:
    """The state for one key."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._ticket = 0
        """The last that was given."""
        self._is_led = False
        self._alive_until = 0.0
        self._outcome: bytes | None = None
        self._outcome_until = 0.0
        self._published: asyncio.Event | None = None
        self._last = 0.0
        self._shift = 0.0

    async def join(self, patience: float) -> Joined:
        """Gives a request its part. patience: seconds that it can wait at most."""
        give_up = self._now() + patience
        while True:
            now = self._now()
            if self._outcome is not None and now < self._outcome_until:
                return Joined("follower", outcome=self._outcome)
            if now >= self._alive_until:
                return self._lead(now)
            if now >= give_up:
                return Joined("alone")
            await self._wait(min(self._alive_until, give_up) - now)

    def renew(self, ticket: int) -> bool:
        """Takes the leader's sign of life; False if another has taken its place."""
        leads = ticket == self._ticket and self._is_led
        if leads:
            self._alive_until = self._now() + LEASE_SECONDS
        return leads

    def publish(self, published: Published) -> None:
        """Hands the leader's outcome to the followers, or has one of them lead."""
        if published.ticket != self._ticket or not self._is_led:
            return
        self._is_led = False
        self._alive_until = 0.0
        self._outcome = published.outcome
        self._outcome_until = self._now() + KEEP_SECONDS
        # By a timer, as the object may stay for minutes and nobody ask it again.
        asyncio.get_running_loop().call_later(KEEP_SECONDS, self._drop_outcome, published.ticket)
        if self._published:
            self._published.set()
            self._published = None

    def _drop_outcome(self, ticket: int) -> None:
        if ticket == self._ticket:
            self._outcome = None

    def _lead(self, now: float) -> Joined:
        self._ticket += 1
        self._is_led = True
        self._alive_until = now + LEASE_SECONDS
        self._outcome = None
        return Joined("leader", ticket=self._ticket)

    async def _wait(self, seconds: float) -> None:
        self._published = self._published or asyncio.Event()
        try:
            async with asyncio.timeout(seconds):
                await self._published.wait()
        except TimeoutError:
            return

    def _now(self) -> float:
        """Seconds that never run back. Where the clock does, a lease would grow by its step, and
        how old an outcome is is not known any more."""
        now = self._clock.now() + self._shift
        if now < self._last:
            self._shift += self._last - now
            self._outcome = None
            now = self._last
        self._last = now
        return now
