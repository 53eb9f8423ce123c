"""Stand-ins for the statistics: the real shards, over SQLite as the platform offers it."""

import asyncio
import sqlite3
from typing import Any, Protocol

from proxy.analytics.store.shard import Shard


class PlatformSQL:
    """core.ports.SQL over sqlite3, with the platform's bindings and limits."""

    def __init__(self) -> None:
        self.connection = sqlite3.connect(":memory:", isolation_level=None)
        self.connection.setlimit(sqlite3.SQLITE_LIMIT_SQL_LENGTH, 100_000)
        self.connection.setlimit(sqlite3.SQLITE_LIMIT_VARIABLE_NUMBER, 100)
        self.connection.setlimit(sqlite3.SQLITE_LIMIT_FUNCTION_ARG, 32)
        self.connection.setlimit(sqlite3.SQLITE_LIMIT_COLUMN, 100)
        self.connection.setlimit(sqlite3.SQLITE_LIMIT_LENGTH, 2_000_000)
        self.statements = 0

    def __call__(self, query: str, /, *bindings: str | float) -> list[tuple[Any, ...]]:
        self.statements += 1
        bound = [value if isinstance(value, str) else float(value) for value in bindings]
        rows = self.connection.execute(query, bound).fetchall()
        return [tuple(self._crossed(value) for value in row) for row in rows]

    @staticmethod
    def _crossed(value: Any) -> Any:
        """Numbers come as doubles, whole ones as ints again."""
        if isinstance(value, float) and value.is_integer():
            return int(value)
        return int(float(value)) if isinstance(value, int) else value


class Clock(Protocol):
    def now(self) -> float: ...


class MemoryStatistics:
    """The shards, in memory; `down` makes them fail, `silent` makes them hang."""

    def __init__(self, clock: Clock) -> None:
        self.clock = clock
        self.shards: dict[int, Shard] = {}
        self.calls: list[tuple[str, int]] = []
        self.down = False
        self.silent = False

    async def add(self, shard: int, flush_json: bytes) -> None:
        (await self._at("add", shard)).add(flush_json, self._now)

    async def figures(self, shard: int, query_json: str) -> str:
        return (await self._at("figures", shard)).figures(query_json)

    async def requests(self, shard: int, query_json: str) -> str:
        return (await self._at("requests", shard)).requests(query_json)

    async def prune(self, shard: int) -> None:
        (await self._at("prune", shard)).prune(self._now)

    async def _at(self, method: str, shard: int) -> Shard:
        self.calls.append((method, shard))
        if self.down:
            raise RuntimeError("the object is unreachable")
        if self.silent:
            await asyncio.sleep(10_000)
        if shard not in self.shards:
            self.shards[shard] = Shard(PlatformSQL())
        return self.shards[shard]

    @property
    def _now(self) -> int:
        return round(self.clock.now() * 1000)
