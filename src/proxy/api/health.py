"""The paths that say how the proxy and its providers are, and the way to the dashboard."""

from collections.abc import Mapping

import msgspec

from proxy import __version__
from proxy.api.services import Services
from proxy.core.web import FRESH_JSON, Response
from proxy.routing.deployment import ProviderReport
from proxy.routing.health import Check
from proxy.serving.context import RequestContext


def redirect_home(services: Services, context: RequestContext) -> Response:
    """GET /: the web page is at /dashboard. HEAD: a client looks whether anybody is there."""
    if context.request.method == "HEAD":
        return say_hello(services, context)
    return Response(status=302, headers={"location": "/dashboard", "cache-control": "no-store"})


def say_hello(services: Services, context: RequestContext) -> Response:
    """GET /api/hello: Claude Code looks whether anybody is there."""
    return Response(headers=dict(FRESH_JSON), body=b"{}")


def show_health(services: Services, context: RequestContext) -> Response:
    """GET /health: this Worker is alive; no provider is checked."""
    state = {
        "status": "ok",
        "version": __version__,
        "environment": services.settings.access.environment,
    }
    return Response(headers=dict(FRESH_JSON), body=msgspec.json.encode(state))


async def show_providers(services: Services, context: RequestContext) -> Response:
    """GET /health/providers: each provider's state and last check."""
    checks = await services.board.read_checks()
    report = await report_providers(services, context, checks or {})
    return Response(headers=dict(FRESH_JSON), body=msgspec.json.encode({"providers": report}))


async def report_providers(
    services: Services, context: RequestContext, checks: Mapping[str, Check]
) -> list[ProviderReport]:
    """Each provider's state, as this isolate knows it. checks: the last of each."""
    await services.watch.start(context.request.defer)
    watch, selection = services.watch, services.selection
    return selection.deployment.report(
        checks, watch.views(), watch.keys.views, selection.calendar.coming
    )
