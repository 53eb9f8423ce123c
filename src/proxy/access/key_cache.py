"""The issued keys as one isolate knows them: what their object has answered, kept for a while.

Promise: a revoked key is let in for at most KNOWN_SECONDS after its object knows, and not at all
after it was revoked in this isolate. A new key is refused for at most UNKNOWN_SECONDS where it was
tried before it was issued, or twice LISTED_SECONDS where its address has sent too many wrong ones.
A clock that steps back ends the worth of what is kept.

For such an address the isolate reads how all secrets' digests begin: a part of the list with each
request until it has all, then once in LISTED_SECONDS what has come since. By the list its wrong
keys are known without a look-up each, and no right key is refused.
"""

from collections import OrderedDict
from typing import Generic, TypeVar

from msgspec import Struct

from proxy.access.keys import GET_KEY, LIST_PREFIXES, LOOKUP, PREFIX, STORE, FoundKey, KeyLookup
from proxy.access.wrong_keys import find_network
from proxy.core.circuit import Circuit
from proxy.core.errors import AuthenticationFailed, RateLimitExceeded, Unavailable
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


class _Entry(Struct, Generic[T], frozen=True):
    value: T
    size: int
    since: float
    until: float


class _Recent(Generic[T]):
    """Values for their time; the least recently used leaves first."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._entries: OrderedDict[str, _Entry[T]] = OrderedDict()
        self._bytes = 0

    def get(self, name: str) -> T | None:
        """The value within its time."""
        entry = self._entries.get(name)
        if entry is None or not entry.since <= self._clock.now() < entry.until:
            return None
        self._entries.move_to_end(name)
        return entry.value

    def put(self, name: str, value: T, since: float, until: float, size: int = 0) -> None:
        """Keeps a value up to `until`; size: the bytes that it takes, if many."""
        if replaced := self._entries.pop(name, None):
            self._bytes -= replaced.size
        self._entries[name] = _Entry(value, size, since, until)
        self._bytes += size
        while len(self._entries) > ENTRIES or self._bytes > KNOWN_BYTES:
            _, dropped = self._entries.popitem(last=False)
            self._bytes -= dropped.size

    def clear(self) -> None:
        """Forgets all."""
        self._entries.clear()
        self._bytes = 0


class KeyCache:
    """Looks up secrets by their SHA-256 (hexadecimal)."""

    def __init__(self, objects: Objects, clock: Clock, log: Log) -> None:
        self._objects = objects
        self._clock = clock
        self._log = log
        self._known = _Recent[Principal | str](clock)
        """Callers, or why their key is no longer taken."""
        self._unknown = _Recent[bool](clock)
        self._blocked_until = _Recent[float](clock)
        """By network; seconds since 1970."""
        self._listed: set[str] = set()
        """How secrets' digests begin, as far as they were read; some may have been deleted."""
        self._listed_to = 0
        """The position of the last."""
        self._listed_at: float | None = None
        """When none was missing; None: some are."""
        self._list_requested_at = 0.0
        self._circuit = Circuit(clock)
        self._changes = 0
        """Counts them, so that what was looked up before a change is not kept after it."""

    def peek(self, name: str) -> Principal | None:
        """The caller, as far as this isolate knows; None: it has to be looked up. name: a secret's
        digest, or a key's id. Raises AuthenticationFailed for an issued key that was revoked."""
        known = self._known.get(name)
        return None if known is None else _admit(known)

    def check_unknown(self, digest: str) -> None:
        """Raises AuthenticationFailed for a secret that opened nothing a moment ago."""
        if self._unknown.get(digest):
            raise _unknown_key()

    async def lookup(self, digest: str, address: str) -> Principal:
        """The caller. Raises AuthenticationFailed; RateLimitExceeded for a wrong key where the
        address has sent too many; InternalError (503) where the object does not answer."""
        network = find_network(address)
        blocked_until = self._blocked_until.get(network)
        if blocked_until is not None and not await self._is_listed(digest):
            raise RateLimitExceeded(
                "Too many wrong keys came from this address. Try again later.",
                code="too_many_failed_attempts",
                retry_after=max(0.0, blocked_until - self._clock.now()),
            )
        sent_at, changes = self._clock.now(), self._changes
        found = await self.call(LOOKUP, KeyLookup(digest, address))
        if found.blocked_ms:
            now = self._clock.now()
            until = now + found.blocked_ms / 1000
            self._blocked_until.put(network, until, now, until)
        if found.key is None and changes == self._changes:
            self._unknown.put(digest, True, sent_at, sent_at + UNKNOWN_SECONDS)
        return self._keep(digest, found, sent_at, changes)

    async def find(self, key_id: str) -> Principal:
        """The caller that a key's id names, for one who has shown that key before. Raises
        AuthenticationFailed where the key is no longer taken; InternalError (503)."""
        if (known := self.peek(key_id)) is not None:
            return known
        sent_at, changes = self._clock.now(), self._changes
        return self._keep(key_id, await self.call(GET_KEY, key_id), sent_at, changes)

    def _keep(self, name: str, found: FoundKey, sent_at: float, changes: int) -> Principal:
        """The caller that the object's answer names; it is kept by `name` for its time, unless a
        key was changed here meanwhile. Raises AuthenticationFailed."""
        key = found.key
        if key is None:
            raise _unknown_key()
        known = key.explain_end(round(self._clock.now() * 1000)) or key.make_principal()
        if changes == self._changes:
            ends = [end / 1000 for end in (found.until, key.expires_at) if end is not None]
            size = 4 * len(LOOKUP.answer.encode(found))
            self._known.put(name, known, sent_at, min([sent_at + KNOWN_SECONDS, *ends]), size)
        return _admit(known)

    async def _is_listed(self, digest: str) -> bool:
        """Whether a secret may open a key: it does not where the object does not list it. While
        another request reads on, the list of just before is good enough."""
        now, changes, listed_at = self._clock.now(), self._changes, self._listed_at
        is_reading = 0 <= now - self._list_requested_at < LISTED_SECONDS
        longest = LISTED_SECONDS * (2 if is_reading else 1)
        if listed_at is None or not 0 <= now - listed_at < longest:
            self._list_requested_at = now
            page = await self.call(LIST_PREFIXES, self._listed_to)
            self._listed.update(page.prefixes)
            self._listed_to = max(self._listed_to, page.last)
            if page.has_more:
                return True
            if changes == self._changes:
                self._listed_at = now
        return digest[:PREFIX] in self._listed

    async def call(self, method: Method[A, R], argument: A) -> R:
        """The object's answer. Raises InternalError (503) where it gives none."""
        work = self._objects.call(method, STORE, argument)
        try:
            return await self._circuit.call("keys", work, STORE_SECONDS)
        except Exception as error:  # nobody is let in unseen
            self._log("error", "key store unreachable", error=repr(error)[:500])
            raise Unavailable(
                "The keys can't be reached now. Try again.",
                code="key_store_unreachable",
                retry_after=1,
            ) from None

    async def change(self, method: Method[A, R], argument: A) -> R:
        """Like `call`, of what changes a key; whatever comes of it, all keys are looked up anew."""
        try:
            return await self.call(method, argument)
        finally:
            self.forget()

    def forget(self) -> None:
        """A key was issued, changed or revoked here: all keys are looked up anew."""
        self._changes += 1
        self._known.clear()
        self._unknown.clear()
        self._listed_at = None


def _admit(known: Principal | str) -> Principal:
    if isinstance(known, str):
        raise AuthenticationFailed(f"The key is {known}.", code=f"{known}_api_key")
    return known


def _unknown_key() -> AuthenticationFailed:
    return AuthenticationFailed(
        "The key is not known here. Ask the operator for one; POST /admin/keys issues them.",
        code="invalid_api_key",
    )
