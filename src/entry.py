"""The Worker: what the platform calls, wired to the proxy. No logic lives here."""

from typing import Any

import packed as packed  # the first: it leads to the others
from proxy.edge.analytics_objects import Analytics
from proxy.edge.batch_objects import BatchRunner
from proxy.edge.isolate import started
from proxy.edge.key_objects import AccessKeys
from proxy.edge.limit_objects import KeyAccount, ProviderPool, RateBucket
from proxy.edge.objects import CacheFlight, CachePurges, ProviderState
from proxy.edge.worker import respond

__all__ = [
    "AccessKeys",
    "Analytics",
    "BatchRunner",
    "CacheFlight",
    "CachePurges",
    "KeyAccount",
    "ProviderPool",
    "ProviderState",
    "RateBucket",
    "on_fetch",
    "on_scheduled",
]


def on_fetch(request: Any, env: Any, ctx: Any) -> Any:
    """Answers one HTTP request."""
    return respond(started(env), request, ctx)


async def on_scheduled(controller: Any, env: Any, ctx: Any) -> None:
    """The cron trigger: checks the providers' health, prunes the cache."""
    await started(env).scheduled()
