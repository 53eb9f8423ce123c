"""One flight: identical requests at once reach the provider once.

The first to come leads: it asks the provider and reports the outcome; the others wait for it.
The state lives in a Durable Object for each key, where futures may be shared by requests.

Promises: a leader that dies (its lease is not renewed) is replaced by one of those who wait,
within LEASE seconds; nobody waits longer than it said it would.
"""

import asyncio
import hashlib
from collections.abc import Callable
from contextlib import suppress
from typing import Literal

import msgspec
from msgspec import Struct

from proxy.cache.entry import CacheEntry, ForeignEntry, decode, encode
from proxy.core.chat import Attempt
from proxy.core.circuit import Circuit
from proxy.core.errors import Cause, InternalError, MethodNotAllowed, ProxyError, Source
from proxy.core.ports import Clock, Log, Objects
from proxy.core.rpc import NOTHING as NO_ANSWER
from proxy.core.rpc import Method, as_msgpack, as_text

LEASE = 3.0
"""Seconds for which a leader counts as alive after its last sign of life."""
RENEW_SECONDS = 1.0
"""Seconds between a leader's signs of life."""
PATIENCE = 3.0
"""Seconds for which an object is asked to wait in one call; who waits longer calls again."""
ANSWER = 2.0
"""Seconds that an object may take beyond those."""
KEEP = 2.0
"""Seconds for which an outcome still answers those who come late: the tiers lag behind."""


class Boarding(Struct, frozen=True):
    """What a request is to do: `lead` (with its ticket), take the `outcome`, or go `alone`."""

    part: Literal["lead", "outcome", "alone"]
    ticket: int = 0
    outcome: bytes = b""


class Report(Struct, frozen=True):
    """A leader's report; no outcome: it has none, another shall lead."""

    ticket: int
    outcome: bytes | None


JOIN = Method("CACHE_FLIGHT", "join", as_text(float), as_msgpack(Boarding))
RENEW = Method("CACHE_FLIGHT", "renew", as_text(int), NO_ANSWER)
PUBLISH = Method("CACHE_FLIGHT", "publish", as_msgpack(Report), NO_ANSWER)


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

    async def join(self, patience: float) -> Boarding:
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

    def publish(self, ticket: int, outcome: bytes | None) -> None:
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


class Boarder:
    """The way of one isolate to the flights. Where one hangs, all fly alone for some seconds: to
    find out whether others hang too would cost each request its time."""

    def __init__(self, objects: Objects, clock: Clock, log: Log) -> None:
        self._objects = objects
        self._circuit = Circuit(clock)
        self._log = log

    async def board(self, key: str, left: Callable[[], float]) -> Boarding:
        """Joins the flight of a key, for the seconds that are left at most; waits in short calls,
        so that an object that hangs is noticed. The first call waits for nobody: it costs little
        to find out whether the object is there."""
        patience = 0.0
        try:
            while True:
                work = self._objects.call(JOIN, key, patience)
                boarding = await self._circuit.call("flights", work, patience + ANSWER)
                if boarding.part != "alone" or left() <= 0:
                    return boarding
                patience = min(left(), PATIENCE)
        except Exception as error:  # the flight's object is down: everyone for himself
            self._log("error", "flight unreachable", error=repr(error)[:500])
            return Boarding("alone")


class Leader:
    """The part of the one who leads: shows signs of life until it lands."""

    def __init__(self, objects: Objects, key: str, ticket: int) -> None:
        self._objects = objects
        self._key = key
        self._ticket = ticket
        self._beat = asyncio.ensure_future(self._renew())

    async def publish(self, outcome: bytes | None) -> None:
        """Reports, see Flight.publish. Raises what the object's unreachability raises."""
        self._beat.cancel()
        async with asyncio.timeout(ANSWER):
            await self._objects.call(PUBLISH, self._key, Report(self._ticket, outcome))

    async def _renew(self) -> None:
        while True:
            await asyncio.sleep(RENEW_SECONDS)
            with suppress(Exception):  # the next sign may come through
                async with asyncio.timeout(RENEW_SECONDS):
                    await self._objects.call(RENEW, self._key, self._ticket)


class Terms(Struct, frozen=True):
    """What a request had to get an answer with: a leader's error is a follower's only where the
    leader had all that the follower has."""

    candidates: tuple[str, ...] = ()
    """The models that may be tried, in the order of the settings."""
    order: tuple[str, ...] = ()
    """What the caller says of the order."""
    timeout: float = 0.0
    """Seconds."""
    attempts: int = 1
    """At each provider."""
    pause: tuple[int, str] = (0, "")
    """Milliseconds between these, and how they grow."""

    def cover(self, other: "Terms") -> bool:
        """Whether whoever has the other terms would not have come further than with these."""
        alike = (self.order, self.pause) == (other.order, other.pause)
        more = self.timeout >= other.timeout and self.attempts >= other.attempts
        return alike and more and set(self.candidates) >= set(other.candidates)

    def flight(self, key: str) -> str:
        """The flight of those who have exactly these terms."""
        digest = hashlib.sha256(msgspec.msgpack.encode(self)).hexdigest()
        return f"{key}:{digest[:32]}"


class Uncovered(Exception):
    """The leader met an error for which a follower would not have given up."""


class _Crash(Struct, frozen=True):
    terms: Terms
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


ANY = Terms()
"""The least: every leader had as much."""


def crashed(error: ProxyError, terms: Terms = ANY) -> bytes:
    """The outcome of a leader with these terms, whom every provider failed."""
    return _ERROR + msgspec.msgpack.encode(
        _Crash(
            terms,
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


def is_own(error: ProxyError, left: float, terms: Terms) -> bool:
    """Whether an error is the leader's alone: its limits kept it from a provider, its isolate had
    no room, or its time was nearly up. left: its seconds."""
    limited = any(attempt.outcome == "limited" for attempt in error.attempts)
    return limited or isinstance(error, InternalError) or left < terms.timeout / 10


def outcome_entry(outcome: bytes, terms: Terms = ANY) -> tuple[CacheEntry, bytes]:
    """The leader's answer and its bytes, for a follower with `terms`. Where it had none, raises
    the leader's error, or Uncovered; ForeignEntry for bytes that are no outcome."""
    if outcome[:1] == _ANSWER:
        return decode(outcome[1:]), outcome[1:]
    try:
        told = _CRASH.decode(outcome.removeprefix(_ERROR))
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise ForeignEntry("no outcome of a flight") from error
    if not told.terms.cover(terms):
        raise Uncovered
    raise _ERRORS.get(told.type, ProxyError)(
        told.message,
        param=told.param,
        code=told.code,
        retry_after=told.retry_after,
        cause=Cause(source=told.source, status=told.status, attempts=told.attempts),
    )
