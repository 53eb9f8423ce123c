"""The keys as one isolate knows them: what their object has said, kept for a while.

Promise: a revoked key is let in for at most KNOWN_SECONDS after its object was told, and not at
all after it was revoked here; a new one is refused for at most UNKNOWN_SECONDS where it was tried
before it was issued, or twice LISTED_SECONDS where its address has sent too many wrong ones. A
clock that steps back ends the worth of what is kept.

Wrong keys of such an address are told from right ones by a list of what there is, which the object
gives once in LISTED_SECONDS: so they cost it no look-up each, and no right one is refused.
"""

from collections import OrderedDict
from typing import Generic, TypeVar

from msgspec import Struct

from proxy.access.guesses import network
from proxy.access.keys import LIST_PREFIXES, LOOKUP, PREFIX, STORE, Key, Lookup
from proxy.core.circuit import Circuit
from proxy.core.errors import AuthenticationFailed, InternalError, RateLimitExceeded
from proxy.core.ports import Clock, Log, Objects
from proxy.core.principal import Principal
from proxy.core.rpc import Method

A = TypeVar("A")
R = TypeVar("R")
T = TypeVar("T")

KNOWN_SECONDS = 30.0
UNKNOWN_SECONDS = 5.0
LISTED_SECONDS = 2.0
STORE_SECONDS = 2.0
"""What the object may take."""
ENTRIES = 1000
"""Keys, unknown secrets and addresses that an isolate remembers, each."""
KNOWN_BYTES = 1024 * 1024
"""What the keys may take, about."""


class _Held(Struct, Generic[T], frozen=True):
    value: T
    size: int
    since: float
    until: float


class _Recent(Generic[T]):
    """Values for their time; the least recently used leaves first."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._held: OrderedDict[str, _Held[T]] = OrderedDict()
        self._bytes = 0

    def get(self, name: str) -> T | None:
        """The value within its time."""
        held = self._held.get(name)
        if held is None or not held.since <= self._clock.now() < held.until:
            return None
        self._held.move_to_end(name)
        return held.value

    def put(self, name: str, value: T, since: float, until: float, size: int = 0) -> None:
        """Keeps a value up to `until`; size: the bytes that it takes, if many."""
        if replaced := self._held.pop(name, None):
            self._bytes -= replaced.size
        self._held[name] = _Held(value, size, since, until)
        self._bytes += size
        while len(self._held) > ENTRIES or self._bytes > KNOWN_BYTES:
            _, gone = self._held.popitem(last=False)
            self._bytes -= gone.size

    def clear(self) -> None:
        """Forgets all."""
        self._held.clear()
        self._bytes = 0


class _Known(Struct, frozen=True):
    key: Key
    principal: Principal


class KeyRing:
    """Looks up secrets by their SHA-256 (hexadecimal)."""

    def __init__(self, objects: Objects, clock: Clock, log: Log) -> None:
        self._objects = objects
        self._clock = clock
        self._log = log
        self._known = _Recent[_Known](clock)
        self._unknown = _Recent[bool](clock)
        self._blocked = _Recent[float](clock)
        self._listed: str | None = None
        self._listed_at = 0.0
        self._listing_at = 0.0
        """When the list was last asked for."""
        self._circuit = Circuit(clock)
        self._changes = 0

    def peek(self, digest: str) -> Principal | None:
        """Who calls, as far as this isolate knows; None: it has to ask. Raises
        AuthenticationFailed for an issued key that has ended."""
        known = self._known.get(digest)
        return _admitted(known.key, known.principal, self._now()) if known else None

    def check_unknown(self, digest: str) -> None:
        """Raises AuthenticationFailed for a secret that opened nothing a moment ago."""
        if self._unknown.get(digest):
            raise AuthenticationFailed("The key is not known.", code="invalid_api_key")

    async def lookup(self, digest: str, address: str) -> Principal:
        """Who calls. Raises AuthenticationFailed; RateLimitExceeded for a wrong key where the
        address has sent too many; InternalError (503) where the object can't be asked."""
        blocked_until = self._blocked.get(network(address))
        if blocked_until is not None and not await self._is_listed(digest):
            raise _too_many(max(0.0, blocked_until - self._clock.now()))
        asked_at, changes = self._clock.now(), self._changes
        found = await self.ask(LOOKUP, Lookup(digest, address))
        if found.blocked_ms:
            until = self._clock.now() + found.blocked_ms / 1000
            self._blocked.put(network(address), until, self._clock.now(), until)
        if found.key is None:
            if changes == self._changes:
                self._unknown.put(digest, True, asked_at, asked_at + UNKNOWN_SECONDS)
            raise AuthenticationFailed("The key is not known.", code="invalid_api_key")
        known = _Known(found.key, found.key.principal())
        if changes == self._changes:
            ends = asked_at + KNOWN_SECONDS
            if found.until is not None:
                ends = min(ends, found.until / 1000)
            self._known.put(
                digest, known, asked_at, ends, size=4 * len(LOOKUP.answer.encode(found))
            )
        return _admitted(known.key, known.principal, self._now())

    async def _is_listed(self, digest: str) -> bool:
        """Whether a secret may open a key: it does not where the object does not list it. While
        another request fetches the list, the one of just before is good enough."""
        now, changes = self._clock.now(), self._changes
        listed = self._listed
        fetching = 0 <= now - self._listing_at < LISTED_SECONDS
        age, oldest = now - self._listed_at, LISTED_SECONDS * (2 if fetching else 1)
        if listed is None or not 0 <= age < oldest:
            self._listing_at = now
            listed = await self.ask(LIST_PREFIXES, None)
            if changes == self._changes:
                self._listed, self._listed_at = listed, now
        return f",{digest[:PREFIX]}" in listed

    async def ask(self, method: Method[A, R], argument: A) -> R:
        """What the object answers. Raises InternalError (503) where it does not."""
        work = self._objects.call(method, STORE, argument)
        try:
            return await self._circuit.call("keys", work, STORE_SECONDS)
        except Exception as error:  # nobody is let in unseen
            self._log("error", "key store unreachable", error=repr(error)[:500])
            raise InternalError(
                "The keys can't be reached now. Try again.",
                status=503,
                code="key_store_unreachable",
                retry_after=1,
            ) from None

    async def change(self, method: Method[A, R], argument: A) -> R:
        """Like ask, of what changes a key: whatever comes of it, all are asked for anew."""
        try:
            return await self.ask(method, argument)
        finally:
            self.forget()

    def forget(self) -> None:
        """A key was issued, changed or revoked here: all are asked for anew."""
        self._changes += 1
        self._known.clear()
        self._unknown.clear()
        self._listed = None

    def _now(self) -> int:
        return round(self._clock.now() * 1000)


def _admitted(key: Key, principal: Principal, now: int) -> Principal:
    if why := key.why_not(now):
        raise AuthenticationFailed(f"The key is {why}.", code=f"{why}_api_key")
    return principal


def _too_many(wait: float) -> RateLimitExceeded:
    return RateLimitExceeded(
        "Too many wrong keys came from this address. Try again later.",
        code="too_many_failed_attempts",
        retry_after=wait,
    )
