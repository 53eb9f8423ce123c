"""Issued keys, and the messages to the object that keeps them; see access.key_book."""

from typing import Literal

from msgspec import Struct

from proxy.core.principal import Budget, Limits, ModelGrant, Principal, Role
from proxy.core.rpc import NOTHING, Method, as_text

PREFIX = 16
"""Characters of a digest by which it is listed: enough that no other shares them."""
LISTED = 2_000
"""Digests that are listed in one call."""


class Key(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A key without its secret. Moments are milliseconds since 1970, money nano-dollars."""

    id: str
    user: str
    created_at: int
    name: str | None = None
    note: str | None = None
    role: Role = "user"
    team: str | None = None
    tags: tuple[str, ...] = ()
    grant: ModelGrant = ModelGrant()
    limits: Limits = Limits()
    budget: Budget = Budget()
    cache_scope: Literal["tenant", "shared"] | None = None
    expires_at: int | None = None
    revoked_at: int | None = None
    passthrough: bool | None = None
    """None: it may where neither it, nor its team, nor a tag has a budget: what many of these
    requests cost is not known."""

    def explain_end(self, now: int) -> Literal["revoked", "expired"] | None:
        """Why it is no longer taken; None: it is."""
        if self.revoked_at is not None:
            return "revoked"
        expired = self.expires_at is not None and now >= self.expires_at
        return "expired" if expired else None

    def make_principal(self) -> Principal:
        """The caller that it names."""
        return Principal(
            user=self.user,
            role=self.role,
            key_id=self.id,
            key_name=self.name,
            team=self.team,
            tags=self.tags,
            grant=self.grant,
            limits=self.limits,
            budget=self.budget,
            cache_scope=self.cache_scope,
            passthrough=self.passthrough,
        )


class FoundKey(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The key of a secret or an id, if there is one."""

    key: Key | None = None
    """Revoked and expired ones too."""
    until: int | None = None
    """When the secret stops opening the key (milliseconds since 1970); None: that is not known."""
    blocked_ms: int = 0
    """The address has sent too many wrong keys: how long those that follow are refused without a
    look-up."""


class KeyPage(Struct, frozen=True):
    """Some of the keys, in the order in which they were issued."""

    keys: list[Key]
    next: int | None
    """The position after which the next page begins; None: there is none."""


class PrefixPage(Struct, frozen=True):
    """How the digests of some secrets begin, in the order in which they came."""

    prefixes: list[str]
    last: int
    """The position of the last."""
    has_more: bool


class KeyLookup(Struct, frozen=True):
    """Asks for the key of a secret, by its SHA-256, for a caller at an address."""

    digest: str
    address: str


class NewKey(Struct, frozen=True):
    """A new key, and the SHA-256 of its secret."""

    key: Key
    digest: str


class KeyRange(Struct, frozen=True):
    """At most `limit` keys after a position, 0 for the first ones."""

    after: int
    limit: int


class KeyChange(Struct, frozen=True):
    """What is to stand in the place of a key, if that is still as it was."""

    before: Key
    after: Key


class KeyRotation(Struct, frozen=True):
    """Another secret for a key, by its SHA-256; the old one goes on for `overlap_ms`."""

    key_id: str
    digest: str
    overlap_ms: int


STORE = "keys"
"""The name of the only object."""
LOOKUP = Method("ACCESS_KEYS", "lookup", as_text(KeyLookup), as_text(FoundKey))
ISSUE = Method("ACCESS_KEYS", "issue", as_text(NewKey), NOTHING)
LIST_KEYS = Method("ACCESS_KEYS", "list_keys", as_text(KeyRange), as_text(KeyPage))
GET_KEY = Method("ACCESS_KEYS", "get_key", as_text(str), as_text(FoundKey))
LIST_PREFIXES = Method("ACCESS_KEYS", "list_prefixes", as_text(int), as_text(PrefixPage))
CHANGE = Method("ACCESS_KEYS", "change_key", as_text(KeyChange), as_text(FoundKey))
REVOKE = Method("ACCESS_KEYS", "revoke", as_text(str), as_text(FoundKey))
ROTATE = Method("ACCESS_KEYS", "rotate", as_text(KeyRotation), as_text(FoundKey))
