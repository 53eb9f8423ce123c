"""What is told of the past: figures, the request log, conclusions, and what Prometheus reads.

A user's key sees its own figures, an admin everybody's. What this isolate has not told yet is
told first, so that whoever asks sees its last second too.
"""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

import msgspec

from proxy.analytics import pages, question, report
from proxy.analytics.figures import Query, Sums
from proxy.analytics.recorder import Recorder
from proxy.core.config import Config
from proxy.core.errors import InternalError, NotFound
from proxy.core.ports import Ports, Statistics
from proxy.core.web import Response
from proxy.exchange import JSON, Exchange

T = TypeVar("T")

FRESH = {**JSON, "cache-control": "no-store"}
SECONDS = 10.0
"""What the shards may take to answer."""


class Observatory:
    """Answers questions about the past."""

    def __init__(self, config: Config, ports: Ports, recorder: Recorder) -> None:
        self._config = config
        self._ports = ports
        self._recorder = recorder

    async def figures(self, exchange: Exchange) -> Response:
        """GET /analytics. Raises ProxyError."""
        now = int(self._ports.clock.now())
        asked = question.read(exchange.request.query, now, _visible(exchange))
        sums = await self._sums(asked.query)
        return Response(headers=dict(FRESH), body=report.render(asked, sums))

    async def requests(self, exchange: Exchange) -> Response:
        """GET /analytics/requests. Raises ProxyError."""
        shards = self._config.analytics_shards
        asked = pages.read(exchange.request.query, shards, _visible(exchange))
        answers = await self._of_all(
            lambda statistics, shard: statistics.requests(shard, _json(asked.of_shard(shard)))
        )
        return Response(headers=dict(FRESH), body=pages.render(asked, answers))

    async def prune(self) -> None:
        """Drops what is older than it is kept, in all shards."""
        await self._of_all(lambda statistics, shard: statistics.prune(shard))

    async def _sums(self, query: Query) -> Sums:
        text = _json(query)
        answers = await self._of_all(lambda statistics, shard: statistics.figures(shard, text))
        return report.merge(query, answers)

    async def _of_all(self, ask: Callable[[Statistics, int], Awaitable[T]]) -> list[T]:
        """The answers of all shards, which know all that this isolate has recorded."""
        if not self._config.analytics:
            raise NotFound("Nothing is counted here: ANALYTICS is off.")
        await self._recorder.flush()
        shards = range(self._config.analytics_shards)
        try:
            async with asyncio.timeout(SECONDS):
                return await asyncio.gather(*(ask(self._ports.statistics, n) for n in shards))
        except Exception as error:
            self._ports.log("error", "statistics unreachable", error=repr(error)[:500])
            raise InternalError(
                "The figures are out of reach. Try again.", code="statistics_unreachable"
            ) from error


def _visible(exchange: Exchange) -> dict[Any, str | int]:
    """What rows must have for the caller to see them."""
    principal = exchange.principal
    return {} if principal is None or principal.admin else {"user": principal.user}


def _json(query: object) -> str:
    return msgspec.json.encode(query).decode()
