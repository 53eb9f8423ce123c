"""The Durable Object of what has been purged from the cache."""

from typing import Any

from proxy.cache.purge import READ_PURGES, RECORD_PURGE, Purge
from proxy.objects.edge_object import EdgeObject
from proxy.objects.rpc import serves
from proxy.platform.sql import RawSQL

KEEP_SECONDS = 2 * 366 * 86400
"""The longest that an entry may live: an older purge hides nothing any more."""


class CachePurges(EdgeObject):
    """The ledger of cache.purge. One object for the deployment."""

    def __init__(self, ctx: Any, env: Any) -> None:
        super().__init__(ctx, env)
        self._sql = RawSQL(ctx._ctx.storage)
        self._sql(
            "CREATE TABLE IF NOT EXISTS purges"
            " (scope TEXT, value TEXT, at REAL, PRIMARY KEY (scope, value))"
        )

    @serves(RECORD_PURGE)
    def record_purge(self, purge: Purge) -> None:
        """Keeps a purge, the latest of its scope and value."""
        self._sql(
            "INSERT INTO purges (scope, value, at) VALUES (?, ?, ?)"
            " ON CONFLICT (scope, value) DO UPDATE SET at = max(at, excluded.at)",
            purge.scope,
            purge.value,
            purge.at,
        )
        self._sql("DELETE FROM purges WHERE at < ?", purge.at - KEEP_SECONDS)

    @serves(READ_PURGES)
    def read_purges(self, _: None) -> tuple[Purge, ...]:
        """All that are kept."""
        return tuple(Purge(*row) for row in self._sql("SELECT scope, value, at FROM purges"))
