"""The Durable Object of the statistics' shards, and the stub by which the Worker calls them."""

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import js
import msgspec
from pyodide.ffi import to_js
from workers import DurableObject

from proxy.analytics.store.shard import Shard
from proxy.platform.clock import SystemClock

_ROWS = msgspec.json.Decoder(list[list[Any]])


def _now() -> int:
    return round(SystemClock().now() * 1000)


class RawSQL:
    """core.ports.SQL on an object's SQLite. Rows cross as one JSON text: an array of arrays
    costs more, and its nulls stay JavaScript's."""

    def __init__(self, storage: Any) -> None:
        self._exec = storage.sql.exec

    def __call__(self, query: str, /, *bindings: str | float) -> Sequence[Sequence[Any]]:
        """See core.ports.SQL."""
        rows = self._exec(query, *bindings).raw().toArray()
        return _ROWS.decode(js.JSON.stringify(rows)) if rows.length else []


class Analytics(DurableObject):
    """One shard of the roll-ups and of the request log. See analytics.shard."""

    def __init__(self, ctx: Any, env: Any) -> None:
        super().__init__(ctx, env)
        self._storage = ctx._ctx.storage
        self._shard = Shard(RawSQL(self._storage))

    async def add(self, flush_json: Any) -> None:
        """core.ports.Statistics.add of this shard."""
        self._together(partial(self._shard.add, bytes(flush_json), _now()))

    async def figures(self, query_json: str) -> str:
        """core.ports.Statistics.figures of this shard."""
        return self._shard.figures(query_json)

    async def requests(self, query_json: str) -> str:
        """core.ports.Statistics.requests of this shard."""
        return self._shard.requests(query_json)

    async def prune(self) -> None:
        """core.ports.Statistics.prune of this shard."""
        self._together(partial(self._shard.prune, _now()))

    def _together(self, write: Callable[[], None]) -> None:
        """All that is written, or nothing where it fails."""
        self._storage.transactionSync(write)


class StatisticsStub:
    """core.ports.Statistics over the Durable Objects, one for each shard."""

    def __init__(self, namespace: Any) -> None:
        self._namespace = namespace

    async def add(self, shard: int, flush_json: bytes) -> None:
        """See core.ports.Statistics."""
        await self._at(shard).add(to_js(flush_json))

    async def figures(self, shard: int, query_json: str) -> str:
        """See core.ports.Statistics."""
        text: str = await self._at(shard).figures(query_json)
        return text

    async def requests(self, shard: int, query_json: str) -> str:
        """See core.ports.Statistics."""
        text: str = await self._at(shard).requests(query_json)
        return text

    async def prune(self, shard: int) -> None:
        """See core.ports.Statistics."""
        await self._at(shard).prune()

    def _at(self, shard: int) -> Any:
        return self._namespace.getByName(f"shard-{shard}")
