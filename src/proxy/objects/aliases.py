"""The Durable Object of the aliases that operators make."""

from typing import Any

from proxy.aliases.book import AliasBook
from proxy.aliases.messages import (
    DELETE_ALIAS,
    FIND_ALIAS,
    LIST_ALIASES,
    PUT_ALIAS,
    READ_ALIASES,
    AliasPage,
    AliasRange,
    AliasSet,
    Deleted,
    FoundAlias,
    NewAlias,
    OldAlias,
    Written,
)
from proxy.objects.edge_object import EdgeObject
from proxy.objects.rpc import serves
from proxy.platform.clock import now_ms
from proxy.platform.sql import RawSQL


class Aliases(EdgeObject):
    """All aliases. One object for the deployment. See aliases.book."""

    def __init__(self, ctx: Any, env: Any) -> None:
        super().__init__(ctx, env)
        self._book = AliasBook(RawSQL(ctx._ctx.storage))

    @serves(READ_ALIASES)
    def read_aliases(self, known: int) -> AliasSet:
        """What an isolate does not know yet."""
        return self._book.read(known)

    @serves(LIST_ALIASES)
    def list_aliases(self, wanted: AliasRange) -> AliasPage:
        """Aliases, in the order in which they were made."""
        return self._book.read_page(wanted)

    @serves(FIND_ALIAS)
    def find_alias(self, name: str) -> FoundAlias:
        """One alias, if there is one of that name."""
        return self._book.find(name)

    @serves(PUT_ALIAS)
    def put_alias(self, new: NewAlias) -> Written:
        """Keeps a new alias."""
        return self._book.put(new, now_ms())

    @serves(DELETE_ALIAS)
    def delete_alias(self, old: OldAlias) -> Deleted:
        """Forgets an alias."""
        return self._book.delete(old)
