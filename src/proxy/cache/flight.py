"""One flight: identical requests at once reach the provider once.

The first to come leads: it asks the provider and reports the outcome; the others wait for it.
The state lives in a Durable Object for each key, where futures may be shared by requests.

Promises: a leader that dies (its lease is not renewed) is replaced by one of those who wait,
within LEASE seconds; nobody waits longer than it said it would.
"""

import asyncio
from contextlib import suppress
from typing import Literal

import msgspec
from msgspec import Struct

from proxy.cache.entry import CacheEntry, ForeignEntry, decode, encode
from proxy.core.chat import Attempt
from proxy.core.errors import MethodNotAllowed, ProxyError, Source
from proxy.core.ports import Clock, Flights

LEASE = 3.0
"""Seconds for which a leader counts as alive after its last sign of life."""
RENEW = 1.0
"""Seconds between a leader's signs of life."""
KEEP = 2.0
"""Seconds for which an outcome still answers those who come late: the tiers lag behind."""


class Boarding(Struct, frozen=True):
    """What a request is to do: `lead` (with its ticket), take the `outcome`, or go `alone`."""

    part: Literal["lead", "outcome", "alone"]
    ticket: int = 0
    outcome: bytes = b""


_BOARDING = msgspec.msgpack.Decoder(Boarding)


def read_boarding(told: bytes) -> Boarding:
    """What the object answered, see core.ports.Flights."""
    return _BOARDING.decode(told)


class Flight:
    """The state for one key."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._ticket = 0
        self._flying = False
        self._alive_until = 0.0
        self._outcome: bytes | None = None
        self._outcome_until = 0.0
        self._changed: asyncio.Event | None = None
        self._last = 0.0
        self._shift = 0.0

    def _now(self) -> float:
        """Seconds that never run back, though the clock may: a lease would grow by the step,
        and how old an outcome is can't be told any more."""
        now = self._clock.now() + self._shift
        if now < self._last:
            self._shift += self._last - now
            self._outcome = None
            now = self._last
        self._last = now
        return now

    async def board(self, patience: float) -> Boarding:
        """Joins. patience: seconds that the caller can wait at most."""
        give_up = self._now() + patience
        while True:
            now = self._now()
            if self._outcome is not None and now < self._outcome_until:
                return Boarding("outcome", outcome=self._outcome)
            if now >= self._alive_until:
                return self._lead(now)
            if now >= give_up:
                return Boarding("alone")
            await self._wait(min(self._alive_until, give_up) - now)

    def renew(self, ticket: int) -> bool:
        """The leader's sign of life; False if another has taken its place."""
        leads = ticket == self._ticket and self._flying
        if leads:
            self._alive_until = self._now() + LEASE
        return leads

    def land(self, ticket: int, outcome: bytes | None) -> None:
        """The leader's report; None: it has none, another shall lead."""
        if ticket != self._ticket or not self._flying:
            return
        self._flying = False
        self._alive_until = 0.0
        self._outcome = outcome
        self._outcome_until = self._now() + KEEP
        self._wake()

    def _lead(self, now: float) -> Boarding:
        self._ticket += 1
        self._flying = True
        self._alive_until = now + LEASE
        self._outcome = None
        return Boarding("lead", ticket=self._ticket)

    async def _wait(self, seconds: float) -> None:
        self._changed = self._changed or asyncio.Event()
        try:
            async with asyncio.timeout(seconds):
                await self._changed.wait()
        except TimeoutError:
            return

    def _wake(self) -> None:
        if self._changed:
            self._changed.set()
            self._changed = None


class Leader:
    """The part of the one who leads: shows signs of life until it lands."""

    def __init__(self, flights: Flights, key: str, ticket: int) -> None:
        self._flights = flights
        self._key = key
        self._ticket = ticket
        self._beat = asyncio.ensure_future(self._renew())

    async def land(self, outcome: bytes | None) -> None:
        """Reports, see Flight.land. Raises what the object's unreachability raises."""
        self._beat.cancel()
        await self._flights.land(self._key, self._ticket, outcome)

    async def _renew(self) -> None:
        while True:
            await asyncio.sleep(RENEW)
            with suppress(Exception):  # the next sign may come through
                await self._flights.renew(self._key, self._ticket)


class _Crash(Struct, frozen=True):
    type: str
    message: str
    status: int
    source: Source
    param: str | None = None
    code: str | None = None
    retry_after: float | None = None
    attempts: tuple[Attempt, ...] = ()


NOTHING = b"-"
"""The outcome of a leader whose answer can't be shared: each asks for itself, none in turn."""
_ANSWER, _ERROR = b"A", b"E"
_CRASH = msgspec.msgpack.Decoder(_Crash)
_ERRORS = {kind.type: kind for kind in ProxyError.__subclasses__() if kind is not MethodNotAllowed}


def landed(entry: CacheEntry) -> bytes:
    """The outcome of a leader who has an answer. Raises Unstorable."""
    return _ANSWER + encode(entry)


def crashed(error: ProxyError) -> bytes:
    """The outcome of a leader whom every provider failed."""
    return _ERROR + msgspec.msgpack.encode(
        _Crash(
            error.type,
            error.message,
            error.status,
            error.source,
            error.param,
            error.code,
            error.retry_after,
            error.attempts,
        )
    )


def outcome_entry(outcome: bytes) -> tuple[CacheEntry, bytes]:
    """The leader's answer and its bytes. Raises the leader's error where it had none,
    ForeignEntry for bytes that are no outcome."""
    if outcome[:1] == _ANSWER:
        return decode(outcome[1:]), outcome[1:]
    try:
        told = _CRASH.decode(outcome.removeprefix(_ERROR))
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise ForeignEntry("no outcome of a flight") from error
    raise _ERRORS.get(told.type, ProxyError)(
        told.message,
        param=told.param,
        code=told.code,
        retry_after=told.retry_after,
        source=told.source,
        status=told.status,
        attempts=told.attempts,
    )
