"""The Worker's environment as the app wants it, the app's answers as the platform does."""

from collections.abc import Coroutine
from typing import Any

from proxy.core.ports import Ports
from proxy.core.web import Response
from proxy.edge.analytics_objects import StatisticsStub
from proxy.edge.batches import BatchesStub
from proxy.edge.clock import SystemClock, SystemRandom
from proxy.edge.fetch import FetchUpstream, parse_url
from proxy.edge.http import discard, is_unread, response_to
from proxy.edge.key_objects import KeyStoreStub
from proxy.edge.kv import KVStore
from proxy.edge.limit_objects import AccountsStub, BucketsStub, PoolsStub
from proxy.edge.log import log
from proxy.edge.memory import heap_bytes
from proxy.edge.objects import FlightsStub, ProviderBoardStub, PurgeLedgerStub
from proxy.edge.points import EnginePoints
from proxy.edge.r2 import R2Store

OBJECTS = (
    "PROVIDER_STATE",
    "CACHE_PURGES",
    "CACHE_FLIGHT",
    "ACCESS_KEYS",
    "RATE_BUCKET",
    "PROVIDER_POOL",
    "KEY_ACCOUNT",
    "STATISTICS",
    "BATCH_RUNNER",
)
"""The bindings of Durable Objects, all of which the Worker needs."""


def ports(env: Any) -> Ports:
    """The platform behind the app's ports."""
    ai = getattr(env, "AI", None)
    objects = {name: getattr(env, name, None) for name in OBJECTS}
    return Ports(
        upstream=FetchUpstream(ai),
        clock=SystemClock(),
        random=SystemRandom(),
        board=ProviderBoardStub(objects["PROVIDER_STATE"]),
        purges=PurgeLedgerStub(objects["CACHE_PURGES"]),
        flights=FlightsStub(objects["CACHE_FLIGHT"]),
        keys=KeyStoreStub(objects["ACCESS_KEYS"]),
        buckets=BucketsStub(objects["RATE_BUCKET"]),
        accounts=AccountsStub(objects["KEY_ACCOUNT"]),
        pools=PoolsStub(objects["PROVIDER_POOL"]),
        statistics=StatisticsStub(objects["STATISTICS"]),
        batches=BatchesStub(objects["BATCH_RUNNER"]),
        kv=KVStore(env.CACHE_KV) if hasattr(env, "CACHE_KV") else None,
        r2=R2Store(env.CACHE_R2) if hasattr(env, "CACHE_R2") else None,
        points=EnginePoints(env.METRICS) if hasattr(env, "METRICS") else None,
        parse_url=parse_url,
        heap=heap_bytes,
        log=log,
        bindings=frozenset({"workers-ai"} if ai else ()),
        unbound=tuple(name for name in OBJECTS if not hasattr(objects[name], "getByName")),
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
