"""The Durable Objects, and the stubs by which the Worker calls them.

Data crosses as one JSON text: a nested dict costs three times as much. The objects use the
raw SQL binding: the SDK's wrapper takes 25 times as long.
"""

import json
from typing import Any

import msgspec
from pyodide.ffi import to_js
from workers import DurableObject

from proxy.cache.flight import Flight
from proxy.platform.clock import SystemClock
from proxy.platform.log import log
from proxy.routing.watch import Board


class ProviderState(DurableObject):
    """What all isolates know of the providers. One object for the deployment."""

    SAVE_MS = 5_000
    """How often the figures are written; what is younger is lost with the object."""

    def __init__(self, ctx: Any, env: Any) -> None:
        super().__init__(ctx, env)
        self._sql = ctx._ctx.storage.sql
        self._sql.exec(
            "CREATE TABLE IF NOT EXISTS checks (id INTEGER PRIMARY KEY CHECK (id = 1), body TEXT);"
            "CREATE TABLE IF NOT EXISTS board (id INTEGER PRIMARY KEY CHECK (id = 1), body BLOB)"
        )
        self._board = self._revived()
        self._saved = 0

    async def record_checks(self, checks_json: str) -> None:
        """Replaces the last health checks."""
        self._sql.exec("INSERT OR REPLACE INTO checks (id, body) VALUES (1, ?)", checks_json)

    async def read_checks(self) -> str:
        """The last health checks, `[]` before the first."""
        rows = self._sql.exec("SELECT body FROM checks").toArray()
        return rows[0].body if rows.length else "[]"

    async def exchange(self, told_json: str) -> str:
        """core.ports.ProviderBoard.exchange."""
        now = round(SystemClock().now() * 1000)
        told = self._board.exchange(told_json.encode(), now).decode()
        if abs(now - self._saved) >= self.SAVE_MS:
            self._saved = now
            self._sql.exec(
                "INSERT OR REPLACE INTO board (id, body) VALUES (1, ?)", to_js(self._board.state())
            )
        return told

    async def read_openings(self) -> str:
        """core.ports.ProviderBoard.read_openings."""
        return self._board.openings().decode()

    def _revived(self) -> Board:
        rows = self._sql.exec("SELECT body FROM board").toArray()
        try:
            return Board(rows[0].body.to_bytes() if rows.length else None)
        except ValueError as error:  # an older version's: figures only
            log("error", "board unreadable", error=str(error)[:200])
            return Board()


class CachePurges(DurableObject):
    """What has been purged from the cache. One object for the deployment."""

    KEEP_SECONDS = 2 * 366 * 86400
    """The longest that an entry may live: an older purge hides nothing any more."""

    def __init__(self, ctx: Any, env: Any) -> None:
        super().__init__(ctx, env)
        self._sql = ctx._ctx.storage.sql
        self._sql.exec(
            "CREATE TABLE IF NOT EXISTS purges"
            " (scope TEXT, value TEXT, at REAL, PRIMARY KEY (scope, value))"
        )

    async def record_purge(self, purge_json: str) -> None:
        """Keeps a purge, the latest of its scope and value."""
        purge = json.loads(purge_json)
        self._sql.exec(
            "INSERT INTO purges (scope, value, at) VALUES (?, ?, ?)"
            " ON CONFLICT (scope, value) DO UPDATE SET at = max(at, excluded.at)",
            purge["scope"],
            purge["value"],
            purge["at"],
        )
        self._sql.exec("DELETE FROM purges WHERE at < ?", purge["at"] - self.KEEP_SECONDS)

    async def read_purges(self) -> str:
        """All purges, a JSON list."""
        rows = self._sql.exec("SELECT scope, value, at FROM purges").toArray()
        return json.dumps([{"scope": r.scope, "value": r.value, "at": r.at} for r in rows])


class CacheFlight(DurableObject):
    """The flight of one cache key; all of it lives in memory. See cache.flight."""

    def __init__(self, ctx: Any, env: Any) -> None:
        super().__init__(ctx, env)
        self._flight = Flight(SystemClock())

    async def board(self, patience: float) -> Any:
        """core.ports.Flights.board of this key."""
        return to_js(msgspec.msgpack.encode(await self._flight.board(patience)))

    async def renew(self, ticket: int) -> None:
        """core.ports.Flights.renew of this key."""
        self._flight.renew(ticket)

    async def land(self, ticket: int, outcome: Any = None) -> None:
        """core.ports.Flights.land of this key."""
        self._flight.land(ticket, None if outcome is None else bytes(outcome))


class PurgeLedgerStub:
    """core.ports.PurgeLedger over the Durable Object."""

    def __init__(self, namespace: Any) -> None:
        self._namespace = namespace

    async def record_purge(self, purge_json: str) -> None:
        """See core.ports.PurgeLedger."""
        await self._namespace.getByName("purges").record_purge(purge_json)

    async def read_purges(self) -> str:
        """See core.ports.PurgeLedger."""
        text: str = await self._namespace.getByName("purges").read_purges()
        return text


class FlightsStub:
    """core.ports.Flights over the Durable Objects, one for each key."""

    def __init__(self, namespace: Any) -> None:
        self._namespace = namespace

    async def board(self, key: str, patience: float) -> bytes:
        """See core.ports.Flights."""
        told: bytes = (await self._namespace.getByName(key).board(patience)).to_bytes()
        return told

    async def renew(self, key: str, ticket: int) -> None:
        """See core.ports.Flights."""
        await self._namespace.getByName(key).renew(ticket)

    async def land(self, key: str, ticket: int, outcome: bytes | None) -> None:
        """See core.ports.Flights."""
        told = [] if outcome is None else [to_js(outcome)]
        await self._namespace.getByName(key).land(ticket, *told)


class ProviderBoardStub:
    """core.ports.ProviderBoard over the Durable Object."""

    def __init__(self, namespace: Any) -> None:
        self._namespace = namespace

    async def record_checks(self, checks_json: str) -> None:
        """See core.ports.ProviderBoard."""
        await self._namespace.getByName("board").record_checks(checks_json)

    async def exchange(self, told_json: str) -> str:
        """See core.ports.ProviderBoard."""
        text: str = await self._namespace.getByName("board").exchange(told_json)
        return text

    async def read_checks(self) -> str:
        """See core.ports.ProviderBoard."""
        text: str = await self._namespace.getByName("board").read_checks()
        return text

    async def read_openings(self) -> str:
        """See core.ports.ProviderBoard."""
        text: str = await self._namespace.getByName("board").read_openings()
        return text
