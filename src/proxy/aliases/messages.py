"""The messages to the object that keeps the aliases; see aliases.book."""

import hashlib
from typing import Literal

from msgspec import Raw, Struct

from proxy.core.rpc import Method, as_text


class KeptAlias(Struct, frozen=True):
    """An alias in the book."""

    body: Raw
    """aliases.model.Alias as JSON."""
    at: int
    """When it was written, in milliseconds since 1970."""

    @property
    def etag(self) -> str:
        """Its entity tag, in quotation marks (RFC 9110, 8.8.3)."""
        return f'"{hashlib.sha256(b"%d %b" % (self.at, self.body)).hexdigest()[:32]}"'


class FoundAlias(Struct, frozen=True):
    """The alias of a name, if there is one."""

    alias: KeptAlias | None


class AliasRange(Struct, frozen=True):
    """At most `limit` aliases after a position, 0 for the first ones."""

    after: int
    limit: int


class AliasPage(Struct, frozen=True):
    """Some of the aliases, in the order in which they were made."""

    aliases: list[KeptAlias]
    next: int | None
    """The position after which the next page begins; None: there is none."""


class NewAlias(Struct, frozen=True):
    """An alias to be kept. may_replace: in the place of one of its name."""

    name: str
    body: Raw
    may_replace: bool
    if_match: tuple[str, ...] | None = None
    """Entity tags of which the one in whose place it is kept must have one, `*` for any; None: it
    may be kept whatever there is."""


class Written(Struct, frozen=True):
    """What became of a new alias."""

    outcome: Literal["created", "replaced", "exists", "changed", "too many", "too much"]
    """The last four: it was not kept."""
    at: int = 0
    """When it was written, in milliseconds since 1970."""


class OldAlias(Struct, frozen=True):
    """An alias to be forgotten. if_match: as of NewAlias."""

    name: str
    if_match: tuple[str, ...] | None = None


class Deleted(Struct, frozen=True):
    """What became of an alias to be forgotten."""

    outcome: Literal["deleted", "unknown", "changed"]
    """The last two: nothing is forgotten."""


class AliasSet(Struct, frozen=True):
    """All aliases, or None where they are as the isolate knows them."""

    version: int
    """Grows with each change."""
    bodies: tuple[Raw, ...] | None


STORE = "aliases"
"""The name of the only object."""
READ_ALIASES = Method("ALIASES", "read_aliases", as_text(int), as_text(AliasSet))
"""Takes the version that the isolate knows, -1 for none."""
LIST_ALIASES = Method("ALIASES", "list_aliases", as_text(AliasRange), as_text(AliasPage))
FIND_ALIAS = Method("ALIASES", "find_alias", as_text(str), as_text(FoundAlias))
PUT_ALIAS = Method("ALIASES", "put_alias", as_text(NewAlias), as_text(Written))
DELETE_ALIAS = Method("ALIASES", "delete_alias", as_text(OldAlias), as_text(Deleted))
