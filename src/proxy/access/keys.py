"""Issued keys, and the book in which their object keeps them.

A secret is made where it is issued and never stored: the book knows its SHA-256 only.
"""

import hmac
from typing import Literal, Protocol

import msgspec
from msgspec import Struct, structs

from proxy.access.wrong_keys import WrongKeys
from proxy.core.principal import Budget, Limits, ModelGrant, Principal
from proxy.core.rpc import NOTHING, Method, as_text

PREFIX = 16
"""Characters of a digest by which it is listed: enough that no other shares them."""


class Key(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A key without its secret. Moments are milliseconds since 1970, money nano-dollars."""

    id: str
    user: str
    created_at: int
    name: str | None = None
    note: str | None = None
    grant: ModelGrant = ModelGrant()
    limits: Limits = Limits()
    budget: Budget = Budget()
    cache_scope: Literal["tenant", "shared"] | None = None
    expires_at: int | None = None
    revoked_at: int | None = None

    def why_not(self, now: int) -> Literal["revoked", "expired"] | None:
        """Why it is no longer taken; None: it is."""
        if self.revoked_at is not None:
            return "revoked"
        expired = self.expires_at is not None and now >= self.expires_at
        return "expired" if expired else None

    def principal(self) -> Principal:
        """Who calls with it."""
        return Principal(
            user=self.user,
            key_id=self.id,
            grant=self.grant,
            limits=self.limits,
            budget=self.budget,
            cache_scope=self.cache_scope,
        )


class Found(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What the book says of a secret: whose it is, if anybody's."""

    key: Key | None = None
    """Revoked and expired ones too."""
    until: int | None = None
    """When the secret stops opening the key (milliseconds since 1970); None: nobody knows."""
    blocked_ms: int = 0
    """The address has sent too many wrong keys: how long those that follow are refused without a
    look-up."""


class Page(Struct, frozen=True):
    """Some of the keys, in the order in which they were issued."""

    keys: list[Key]
    next: int | None
    """The position after which the next page begins; None: there is none."""


class Lookup(Struct, frozen=True):
    """Asks for the key of a secret, by its SHA-256, for a caller at an address."""

    digest: str
    address: str


class Issue(Struct, frozen=True):
    """A new key, and the SHA-256 of its secret."""

    key: Key
    digest: str


class KeyRange(Struct, frozen=True):
    """At most `limit` keys after a position, 0 for the first ones."""

    after: int
    limit: int


class Rotation(Struct, frozen=True):
    """Another secret for a key, by its SHA-256; the old one goes on for `overlap_ms`."""

    key_id: str
    digest: str
    overlap_ms: int


STORE = "keys"
"""The name of the only object."""
LOOKUP = Method("ACCESS_KEYS", "lookup", as_text(Lookup), as_text(Found))
ISSUE = Method("ACCESS_KEYS", "issue", as_text(Issue), NOTHING)
LIST_KEYS = Method("ACCESS_KEYS", "list_keys", as_text(KeyRange), as_text(Page))
GET_KEY = Method("ACCESS_KEYS", "get_key", as_text(str), as_text(Found))
LIST_PREFIXES = Method("ACCESS_KEYS", "list_prefixes", NOTHING, as_text(str))
REVOKE = Method("ACCESS_KEYS", "revoke", as_text(str), as_text(Found))
ROTATE = Method("ACCESS_KEYS", "rotate", as_text(Rotation), as_text(Found))


class Bound(Struct, frozen=True):
    """The SHA-256 of a secret and the key that it opens, up to `until` (0: no end)."""

    digest: str
    key_id: str
    until: int


class Rows(Protocol):
    """Where the book is kept."""

    def put(self, key_id: str, body: str) -> None:
        """Writes a key, over one of the same id."""

    def get(self, key_id: str) -> str | None:
        """Reads a key."""

    def page(self, after: int, limit: int) -> list[tuple[int, str]]:
        """Positions and keys, in the order in which they were issued: those of positions greater
        than `after`, at most `limit`."""

    def bind(self, bound: Bound) -> None:
        """Has a secret open a key."""

    def bound(self, digest: str) -> Bound | None:
        """What a secret opens."""

    def end(self, key_id: str, until: int) -> None:
        """The secrets of a key open it no longer than `until`."""

    def prefixes(self, length: int) -> str:
        """The first `length` characters of all digests, a comma before each."""

    def first_end(self) -> int | None:
        """When the first of the keys was revoked or expires, or the first secret ends."""

    def prune(self, until: int) -> None:
        """Deletes the keys that were revoked or expired, and the secrets that ended, up to
        `until`."""


class KeyBook:
    """All issued keys of a deployment."""

    def __init__(self, rows: Rows) -> None:
        self._rows = rows
        self._wrong_keys = WrongKeys()

    def lookup(self, digest: str, address: str, now: int) -> Found:
        """Whose secret it is. One that nobody ever had counts against the address; a key that was
        revoked or rotated is no guess."""
        bound = self._rows.bound(digest)
        if not bound or not hmac.compare_digest(bound.digest, digest):
            self._wrong_keys.record(address, now)
            return Found(blocked_ms=self._wrong_keys.blocked_ms(address, now))
        if 0 < bound.until <= now:
            return Found()
        key = self.get(bound.key_id)
        ends = [end for end in (bound.until, key.expires_at if key else None) if end]
        return Found(key=key, until=min(ends, default=None))

    def issue(self, key: Key, digest: str) -> None:
        """Keeps a new key."""
        self._put(key)
        self._rows.bind(Bound(digest, key.id, 0))

    def page(self, after: int, limit: int) -> Page:
        """The keys that follow a position (0: from the first on), revoked ones too."""
        rows = self._rows.page(after, limit + 1)
        more = len(rows) > limit
        keys = [_KEY.decode(body) for _, body in rows[:limit]]
        return Page(keys, rows[limit - 1][0] if more else None)

    def get(self, key_id: str) -> Key | None:
        """One key."""
        body = self._rows.get(key_id)
        return _KEY.decode(body) if body else None

    def prefixes(self) -> str:
        """The first PREFIX characters of all digests, a comma before each: what begins with none
        of them opens nothing."""
        return self._rows.prefixes(PREFIX)

    def next_prune(self, retention: int) -> int | None:
        """When there is something to prune; None: never. retention: milliseconds for which what
        has ended is kept."""
        end = self._rows.first_end()
        return None if end is None else end + retention

    def prune(self, retention: int, now: int) -> None:
        """Deletes what ended `retention` milliseconds ago."""
        self._rows.prune(now - retention)

    def revoke(self, key_id: str, now: int) -> Key | None:
        """Ends a key; None: there is none."""
        key = self.get(key_id)
        if key and key.revoked_at is None:
            key = structs.replace(key, revoked_at=now)
            self._put(key)
        return key

    def rotate(self, rotation: Rotation, now: int) -> Key | None:
        """Gives a key another secret; None: there is none that is still taken."""
        key = self.get(rotation.key_id)
        if key is None or key.why_not(now):
            return None
        self._rows.end(key.id, now + rotation.overlap_ms)
        self._rows.bind(Bound(rotation.digest, key.id, 0))
        return key

    def _put(self, key: Key) -> None:
        self._rows.put(key.id, msgspec.json.encode(key).decode())


_KEY = msgspec.json.Decoder(Key)
