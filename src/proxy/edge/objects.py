"""The Durable Objects, and the stubs by which the Worker calls them.

Data crosses as one JSON text: a nested dict costs three times as much. The objects use the
raw SQL binding: the SDK's wrapper takes 25 times as long.
"""

from typing import Any

from workers import DurableObject


class ProviderState(DurableObject):
    """What all isolates know of the providers. One object for the deployment."""

    def __init__(self, ctx: Any, env: Any) -> None:
        super().__init__(ctx, env)
        self._sql = ctx._ctx.storage.sql
        self._sql.exec(
            "CREATE TABLE IF NOT EXISTS checks (id INTEGER PRIMARY KEY CHECK (id = 1), body TEXT)"
        )

    async def record_checks(self, checks_json: str) -> None:
        """Replaces the last health checks."""
        self._sql.exec("INSERT OR REPLACE INTO checks (id, body) VALUES (1, ?)", checks_json)

    async def read_checks(self) -> str:
        """The last health checks, `[]` before the first."""
        rows = self._sql.exec("SELECT body FROM checks").toArray()
        return rows[0].body if rows.length else "[]"


class ProviderBoardStub:
    """core.ports.ProviderBoard over the Durable Object."""

    def __init__(self, namespace: Any) -> None:
        self._namespace = namespace

    async def record_checks(self, checks_json: str) -> None:
        """See core.ports.ProviderBoard."""
        await self._namespace.getByName("board").record_checks(checks_json)

    async def read_checks(self) -> str:
        """See core.ports.ProviderBoard."""
        text: str = await self._namespace.getByName("board").read_checks()
        return text
