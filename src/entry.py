"""The Worker: what the platform calls, wired to the proxy. No logic lives here."""

from typing import Any

import packed as packed  # the first: it leads to the others
from proxy.app import App, Misconfigured, start
from proxy.edge.analytics_objects import Analytics
from proxy.edge.convert import texts
from proxy.edge.http import request_from
from proxy.edge.key_objects import AccessKeys
from proxy.edge.limit_objects import KeyAccount, ProviderPool, RateBucket
from proxy.edge.objects import CacheFlight, CachePurges, ProviderState
from proxy.edge.worker import ports, respond

__all__ = [
    "AccessKeys",
    "Analytics",
    "CacheFlight",
    "CachePurges",
    "KeyAccount",
    "ProviderPool",
    "ProviderState",
    "RateBucket",
    "on_fetch",
    "on_scheduled",
]

_app: App | Misconfigured | None = None


def _started(env: Any) -> App | Misconfigured:
    """The isolate's app, built by its first request: before, there are no settings."""
    global _app
    if _app is None:
        _app = start(texts(env), ports(env))
    return _app


def on_fetch(request: Any, env: Any, ctx: Any) -> Any:
    """Answers one HTTP request."""
    return respond(_started(env).handle(request_from(request, ctx)), request, ctx)


async def on_scheduled(controller: Any, env: Any, ctx: Any) -> None:
    """The cron trigger: checks the providers' health, prunes the cache."""
    await _started(env).scheduled()
