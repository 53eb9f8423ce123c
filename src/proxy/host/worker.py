"""The Worker's environment as the app wants it, the app's answers as the platform does."""

from collections.abc import Awaitable
from inspect import isawaitable, iscoroutine
from typing import Any

from proxy.api.app import App
from proxy.api.misconfigured import Misconfigured
from proxy.core.ports import Ports
from proxy.objects.rpc import RpcBatches, RpcObjects
from proxy.platform.brotli import unbrotli
from proxy.platform.clock import SystemClock, SystemRandom
from proxy.platform.fetch import FetchUpstream, parse_url
from proxy.platform.http import Body, build_response, receive_request
from proxy.platform.identity import verify_rs256
from proxy.platform.kv import KVStore
from proxy.platform.log import log
from proxy.platform.loop import adopt_loop
from proxy.platform.memory import measure_heap
from proxy.platform.points import EnginePoints
from proxy.platform.r2 import R2Store

OBJECTS = (
    "PROVIDER_STATE", "CACHE_PURGES", "CACHE_FLIGHT", "ACCESS_KEYS", "RATE_BUCKET", "PROVIDER_POOL",
    "KEY_ACCOUNT", "STATISTICS", "BATCH_RUNNER", "RESPONSES", "ALIASES",
)  # fmt: skip
"""The bindings of Durable Objects, all of which the Worker needs."""


def ports(env: Any) -> Ports:
    """The platform behind the app's ports."""
    ai = getattr(env, "AI", None)
    objects = {name: getattr(env, name, None) for name in OBJECTS}
    return Ports(
        upstream=FetchUpstream(ai),
        clock=SystemClock(),
        random=SystemRandom(),
        objects=RpcObjects(objects),
        batches=RpcBatches(objects["BATCH_RUNNER"]),
        kv=KVStore(env.CACHE_KV) if hasattr(env, "CACHE_KV") else None,
        r2=R2Store(env.CACHE_R2) if hasattr(env, "CACHE_R2") else None,
        points=EnginePoints(env.METRICS) if hasattr(env, "METRICS") else None,
        parse_url=parse_url,
        heap=measure_heap,
        unbrotli=unbrotli,
        log=log,
        verify_rs256=verify_rs256,
        bindings=frozenset({"workers-ai"} if ai else ()),
        unbound=tuple(name for name in OBJECTS if not hasattr(objects[name], "getByName")),
    )


def respond(app: App | Misconfigured, request: Any, ctx: Any) -> Any:
    """The platform's response to a request, at once where neither the app nor the caller's body
    must be waited for."""
    loop = adopt_loop()
    given, body = receive_request(request, ctx, app.open_hold())
    reaction = app.handle(given, lambda response: build_response(response, ctx))
    if not iscoroutine(reaction) and not body.is_left:
        return reaction
    return loop.create_task(_respond_later(reaction, body), eager_start=True)


async def respond_first(app: Awaitable[App | Misconfigured], request: Any, ctx: Any) -> Any:
    """The same by an app that is yet to come."""
    answer = respond(await app, request, ctx)
    return await answer if isawaitable(answer) else answer


async def _respond_later(reaction: Any, body: Body) -> Any:
    response = await reaction if iscoroutine(reaction) else reaction
    if body.is_left:
        await body.discard()
    return response
