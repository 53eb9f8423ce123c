"""What is told of the past: figures, the request log, conclusions, and what Prometheus reads.

A user's key sees its own figures, an admin everybody's. What this isolate has not told yet is
told first, so that whoever asks sees its last second too.
"""

import asyncio
from collections.abc import Callable, Collection
from typing import TYPE_CHECKING, Any, TypeVar

from msgspec import structs

from proxy import __version__
from proxy.analytics.insights import insights, render
from proxy.analytics.insights.model import Market, Opening, Seen
from proxy.analytics.query import pages, parameters, prometheus, question, report
from proxy.analytics.query.prometheus import State
from proxy.analytics.record.recorder import Recorder
from proxy.analytics.record.request_record import RequestRecord
from proxy.analytics.store import request_log as requests
from proxy.analytics.store.figures import KEPT_SECONDS, SPAN_SECONDS, Query, Span, Sums
from proxy.analytics.store.request_log import Query as LogQuery
from proxy.analytics.store.shard import FIGURES, PRUNE, REQUESTS, shard_name
from proxy.core.circuit import Circuit
from proxy.core.errors import InternalError, InvalidRequest, NotFound
from proxy.core.ports import Ports
from proxy.core.rpc import Method
from proxy.core.settings import Settings
from proxy.core.web import JSON, Response
from proxy.routing import health
from proxy.routing.board import BOARD, READ_OPENINGS
from proxy.routing.health import Check
from proxy.serving.context import RequestContext

if TYPE_CHECKING:
    from proxy.api.services import Services

A = TypeVar("A")
R = TypeVar("R")

FRESH = {**JSON, "cache-control": "no-store"}
SECONDS = 10.0
"""What the shards may take to answer."""
BOARD_SECONDS = 2.0
"""What the providers' board may take."""


class Observatory:
    """Answers questions about the past."""

    def __init__(
        self, settings: Settings, ports: Ports, recorder: Recorder, market: Market
    ) -> None:
        self._market = market
        self._circuit = Circuit(ports.clock)
        self._board = Circuit(ports.clock)
        self._settings = settings
        self._ports = ports
        self._recorder = recorder

    async def figures(self, exchange: RequestContext) -> Response:
        """GET /analytics. Raises ProxyError."""
        now = int(self._ports.clock.now())
        asked = question.read(exchange.request.query, now, _visible(exchange))
        sums = await self._sums(asked.query)
        return Response(headers=dict(FRESH), body=report.render(asked, sums))

    async def requests(self, exchange: RequestContext) -> Response:
        """GET /analytics/requests. Raises ProxyError."""
        shards = self._settings.analytics.shards
        asked = pages.read(exchange.request.query, shards, _visible(exchange))
        answers = await self._of_all(REQUESTS, asked.of_shard)
        return Response(headers=dict(FRESH), body=pages.render(asked, answers))

    async def insights(self, exchange: RequestContext) -> Response:
        """GET /analytics/insights. Raises ProxyError."""
        params = exchange.request.query
        parameters.check_names(params, ("window",))
        text = params.get("window", "7d")
        window = parameters.seconds("window", text)
        only = _visible(exchange)
        now = self._ports.clock.now()
        query = _all_of(window, int(now), only)
        past = structs.replace(query, begin=2 * query.begin - query.end, end=query.begin)
        try:
            groups, before = (await self._sums(query)).groups, (await self._sums(past)).groups
        except InvalidRequest as error:
            raise parameters.invalid(
                "window", "It holds too many users, models and paths: take a shorter one"
            ) from error
        seen = Seen(
            now=round(now * 1000),
            window=window,
            groups=groups,
            past=before,
            events=await self._events(round((now - window) * 1000), only),
            ttl=self._settings.cache.ttl,
            market=self._market,
            openings=await self._openings(),
        )
        return Response(headers=dict(FRESH), body=render(seen, insights(seen), text))

    async def metrics(self, state: State, catalogue: Collection[tuple[str, str]]) -> Response:
        """GET /metrics. state: what stands beside the roll-ups; catalogue: the models that it
        names. Raises ProxyError."""
        query = Query(span="ever", group_by=prometheus.GROUPED_BY, models_only=False)
        try:
            sums = await self._sums(query)
        except InvalidRequest:  # too many models
            coarse = structs.replace(query, group_by=prometheus.GROUPED_COARSELY)
            sums = await self._sums(coarse)
        state = structs.replace(state, lost=sums.lost, pending_events=self._recorder.pending)
        headers = {**FRESH, "content-type": prometheus.CONTENT_TYPE}
        return Response(headers=headers, body=prometheus.render(sums.groups, state, catalogue))

    async def _events(self, since: int, only: Any) -> list[RequestRecord]:
        """The newest of the request log that came after a moment (ms since 1970)."""
        limit = requests.KEPT // self._settings.analytics.shards
        query = LogQuery(limit=limit, only=only, bare=True)
        answers = await self._of_all(REQUESTS, lambda _: query)
        rows = [row for page in answers for row in page.rows]
        return [row.event for row in rows if row.event.at >= since]

    async def last_checks(self) -> dict[str, Check]:
        """The last health check of each provider; none where the board is out of reach."""
        try:
            work = health.last_checks(self._ports.objects)
            return await self._board.call("board", work, BOARD_SECONDS)
        except Exception as error:  # the figures are down, not the proxy
            self._ports.log("error", "board unreachable", error=repr(error)[:500])
            return {}

    async def _openings(self) -> tuple[Opening, ...]:
        try:
            work = self._ports.objects.call(READ_OPENINGS, BOARD, None)
            openings = await self._board.call("board", work, BOARD_SECONDS)
            return tuple(Opening(**structs.asdict(opening)) for opening in openings)
        except Exception as error:  # the history is missing, the rest stands
            self._ports.log("error", "board unreachable", error=repr(error)[:500])
            return ()

    async def prune(self) -> None:
        """Drops what is older than it is kept, in all shards."""
        await self._of_all(PRUNE, lambda _: None)

    async def _sums(self, query: Query) -> Sums:
        return report.merge(query, await self._of_all(FIGURES, lambda _: query))

    async def _of_all(self, method: Method[A, R], argument: Callable[[int], A]) -> list[R]:
        """The answers of all shards, which know all that this isolate has recorded."""
        if not self._settings.analytics.enabled:
            raise NotFound("Nothing is counted here: ANALYTICS is off.")
        shards = range(self._settings.analytics.shards)

        async def answers() -> list[R]:
            await self._recorder.flush()
            call = self._ports.objects.call
            return await asyncio.gather(*(call(method, shard_name(n), argument(n)) for n in shards))

        try:
            return await self._circuit.call("statistics", answers(), SECONDS)
        except Exception as error:
            self._ports.log("error", "statistics unreachable", error=repr(error)[:500])
            raise InternalError(
                "The figures are out of reach. Try again.", code="statistics_unreachable"
            ) from error


def _all_of(window: int, now: int, only: Any) -> Query:
    """The sums of a window by all that tells them apart, in rows that are kept for the window
    before it too. Seconds."""
    kept: list[Span] = [span for span, most in KEPT_SECONDS.items() if 2 * window <= most]
    span = kept[0] if kept else "day"
    row = SPAN_SECONDS[span]
    return Query(
        span=span,
        begin=(now - window) // row * row,
        end=-(-now // row) * row,
        group_by=question.DIMENSIONS,
        only=only,
    )


def _visible(exchange: RequestContext) -> dict[Any, str | int]:
    """What rows must have for the caller to see them."""
    principal = exchange.principal
    return {} if principal is None or principal.admin else {"user": principal.user}


async def show_figures(services: "Services", context: RequestContext) -> Response:
    """GET /analytics."""
    return await services.observatory.figures(context)


async def show_requests(services: "Services", context: RequestContext) -> Response:
    """GET /analytics/requests."""
    return await services.observatory.requests(context)


async def show_insights(services: "Services", context: RequestContext) -> Response:
    """GET /analytics/insights."""
    return await services.observatory.insights(context)


async def show_metrics(services: "Services", context: RequestContext) -> Response:
    """GET /metrics."""
    await services.watch.start(context.request.defer)
    configured = services.selection.deployment.configured
    state = State(
        version=__version__,
        environment=services.settings.access.environment,
        breakers={name: view.phase for name, view in services.watch.views().items()},
        configured={name: name in configured for name in services.catalog.providers},
        heap_bytes=services.ports.heap(),
        cache_entries=services.cache.memory.entries,
        cache_bytes=services.cache.memory.bytes,
        uptime=services.ports.clock.now() - services.began,
    )
    return await services.observatory.metrics(state, services.catalog.models.keys())
