"""The Worker: what the platform calls, wired to the proxy. No logic lives here."""

from typing import Any

import packed as packed  # the first: it leads to the others
from proxy.host.batch_runner import BatchRunner
from proxy.host.isolate import begin, started
from proxy.host.maintenance import maintain
from proxy.host.worker import respond, respond_first
from proxy.objects.access_keys import AccessKeys
from proxy.objects.aliases import Aliases
from proxy.objects.analytics import Analytics
from proxy.objects.cache_flight import CacheFlight
from proxy.objects.cache_purges import CachePurges
from proxy.objects.key_account import KeyAccount
from proxy.objects.provider_pool import ProviderPool
from proxy.objects.provider_state import ProviderState
from proxy.objects.rate_bucket import RateBucket
from proxy.objects.responses import Responses
from proxy.platform.loop import adopt_loop

__all__ = [
    "AccessKeys",
    "Aliases",
    "Analytics",
    "BatchRunner",
    "CacheFlight",
    "CachePurges",
    "KeyAccount",
    "ProviderPool",
    "ProviderState",
    "RateBucket",
    "Responses",
    "on_fetch",
    "on_scheduled",
]


def on_fetch(request: Any, env: Any, ctx: Any) -> Any:
    """Answers one HTTP request."""
    if app := started(env):
        return respond(app, request, ctx)
    return adopt_loop().create_task(respond_first(begin(env), request, ctx))


# The platform binds a call's arguments to the signature, to leave out what it does not take. Where
# none is to be found it calls the function as it is, which takes a tenth less of a hit.
on_fetch.__dict__["__signature__"] = ()


def on_scheduled(controller: Any, env: Any, ctx: Any) -> Any:
    """The cron trigger: checks the providers' health, prunes the cache."""
    return adopt_loop().create_task(_maintain(env))


async def _maintain(env: Any) -> None:
    await maintain((await begin(env)).services)
