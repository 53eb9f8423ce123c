"""GET /analytics/overview: what a dashboard shows first, in one call.

Promise: its parts are read side by side, each bounded in time; one that can't be read takes no
other with it.
"""

import asyncio

import msgspec

from proxy.analytics.query.overview import (
    OverviewQuery,
    build_figures,
    list_tried,
    read_overview_query,
)
from proxy.analytics.store.messages import Sums
from proxy.api.analytics import visible_user
from proxy.api.health import report_providers
from proxy.api.services import Services
from proxy.core.errors import ProxyError
from proxy.core.web import FRESH_JSON, Response
from proxy.limits.pool_messages import SHOW_POOL, PoolView
from proxy.routing.deployment import ProviderReport
from proxy.serving.context import RequestContext

SECONDS = 3.0
"""What the limits of a provider may take."""
MOST_POOLS = 20
"""Providers whose limits are asked for at most: each is an object of its own."""


async def show_overview(services: Services, context: RequestContext) -> Response:
    """GET /analytics/overview. Raises InvalidRequest, PermissionDenied."""
    user, now = visible_user(context), int(services.ports.clock.now())
    query = read_overview_query(context.request.query, now, user)
    figures = asyncio.create_task(_read_figures(services, query))
    limits, (providers, unchecked) = await asyncio.gather(
        _read_limits(services, figures) if user is None else _read_nothing(),
        _read_providers(services, context),
    )
    body, unread = build_figures(query, await figures)
    views, unreachable = limits or (None, {})
    body |= {
        "providers": {"providers": providers},
        "limits": views,
        "unread": unread | unchecked | unreachable,
    }
    return Response(headers=dict(FRESH_JSON), body=msgspec.json.encode(body))


async def _read_figures(services: Services, query: OverviewQuery) -> list[Sums | ProxyError]:
    asked = query.all_sums
    try:
        return [*await services.reader.read_together(asked)]
    except ProxyError as error:
        return [error] * len(asked)


async def _read_providers(
    services: Services, context: RequestContext
) -> tuple[list[ProviderReport], dict[str, str]]:
    """Their states, and what of them can't be read."""
    checks = await services.board.read_checks()
    unread = {"providers.lastCheck": "The board can't be reached now."} if checks is None else {}
    return await report_providers(services, context, checks or {}), unread


async def _read_nothing() -> None:
    """The limits of a caller who may not see them."""


async def _read_limits(
    services: Services, figures: "asyncio.Task[list[Sums | ProxyError]]"
) -> tuple[dict[str, PoolView], dict[str, str]]:
    """The limits of the providers that are in use, and why those of others can't be read."""
    configured = services.selection.deployment.configured
    tried = list_tried(await figures)
    names = configured if tried is None else [name for name in tried if name in configured]
    views = await asyncio.gather(*(_read_pool(services, name) for name in names[:MOST_POOLS]))
    known = {name: view for name, view in zip(names, views, strict=False) if view}
    unread = {
        f"limits.{name}": "They can't be reached now." if n < MOST_POOLS else "There are too many."
        for n, name in enumerate(names)
        if name not in known
    }
    return known, unread


async def _read_pool(services: Services, provider: str) -> PoolView | None:
    """A provider's limits; None: they are out of reach."""
    try:
        async with asyncio.timeout(SECONDS):
            return await services.ports.objects.call(SHOW_POOL, provider, None)
    except Exception as error:
        services.ports.log("error", "limiter unreachable", error=repr(error)[:500])
        return None
