"""The Worker's environment as the app wants it, the app's answers as the platform does."""

from collections.abc import Coroutine
from typing import Any

import js

from proxy.core.ports import Ports
from proxy.core.web import Response
from proxy.edge.clock import SystemClock, SystemRandom
from proxy.edge.fetch import FetchUpstream
from proxy.edge.http import discard, is_unread, response_to
from proxy.edge.kv import KVStore
from proxy.edge.log import log
from proxy.edge.objects import FlightsStub, ProviderBoardStub, PurgeLedgerStub
from proxy.edge.r2 import R2Store


def variables(env: Any) -> dict[str, str]:
    """The vars and secrets: every binding that is a text."""
    entries: dict[str, Any] = js.Object.fromEntries(js.Object.entries(env)).to_py(depth=1)
    return {name: value for name, value in entries.items() if isinstance(value, str)}


def ports(env: Any) -> Ports:
    """The platform behind the app's ports."""
    ai = getattr(env, "AI", None)
    return Ports(
        upstream=FetchUpstream(ai),
        clock=SystemClock(),
        random=SystemRandom(),
        board=ProviderBoardStub(env.PROVIDER_STATE),
        purges=PurgeLedgerStub(env.CACHE_PURGES),
        flights=FlightsStub(env.CACHE_FLIGHT),
        kv=KVStore(env.CACHE_KV) if hasattr(env, "CACHE_KV") else None,
        r2=R2Store(env.CACHE_R2) if hasattr(env, "CACHE_R2") else None,
        log=log,
        bindings=frozenset({"workers-ai"} if ai else ()),
    )


def respond(reaction: Response | Coroutine[Any, Any, Response], request: Any, ctx: Any) -> Any:
    """The platform's response, at once where neither the app nor the caller's body must be
    waited for."""
    if isinstance(reaction, Response) and not is_unread(request):
        return response_to(reaction, ctx)
    return _respond_later(reaction, request, ctx)


async def _respond_later(
    reaction: Response | Coroutine[Any, Any, Response], request: Any, ctx: Any
) -> Any:
    response = reaction if isinstance(reaction, Response) else await reaction
    if is_unread(request):
        await discard(request)
    return response_to(response, ctx)
