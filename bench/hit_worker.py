"""The proxy twice in one Worker: with ANALYTICS=on and with ANALYTICS=off, by a request's header.
Both share a process and its memory, so that only the recording differs (bench.hit)."""

import asyncio
from typing import Any

import js
from msgspec import structs

from entry import *  # noqa: F403 -- workerd looks here for the classes of the objects
from proxy.api.app import App
from proxy.api.misconfigured import Misconfigured
from proxy.api.start import start
from proxy.core.web import Request
from proxy.host.worker import ports, respond
from proxy.platform.convert import read_texts
from proxy.platform.http import build_response, receive_request

_apps: dict[str, App | Misconfigured] = {}

TOGETHER = 10
"""Requests that are repeated without a pause."""
PAUSE = 0.008
"""Seconds between them: about a thousand requests a second, as over HTTP."""


def on_fetch(request: Any, env: Any, ctx: Any) -> Any:  # type: ignore[no-redef]
    """Answers as the proxy whose ANALYTICS the header `x-analytics` names, `on` or `off`. The
    header `x-times` repeats the request so many times; the last answer is sent."""
    if request.method == "GET":
        return js.Response.new("ok")
    parsed = receive_request(request, ctx, None)
    analytics = parsed.headers["x-analytics"]
    if analytics not in _apps:
        _apps[analytics] = start(read_texts(env) | {"ANALYTICS": analytics}, ports(env))
    if "x-times" in parsed.headers:
        return _repeat(_apps[analytics], parsed, int(parsed.headers["x-times"]), ctx)
    return respond(_apps[analytics], request, ctx)


async def _repeat(app: App | Misconfigured, request: Request, times: int, ctx: Any) -> Any:
    """Handles the request again and again, without its way into the Worker and out of it."""
    body = await request.read(1_000_000)

    async def read(limit: int) -> bytes:
        return body

    again = structs.replace(request, read=read)
    for number in range(times):
        answer = await app.handle(again, lambda response: build_response(response, ctx))
        if number % TOGETHER == TOGETHER - 1:
            await asyncio.sleep(PAUSE)
    return answer
