"""The proxy twice in one Worker: as it is, and with ANALYTICS=off for requests that say so. So
nothing but what is recorded tells the two apart: neither the process nor its memory (bench.hit)."""

import asyncio

import js
from msgspec import structs

from entry import *  # noqa: F403 -- the objects' classes, which workerd looks for here
from proxy.api.start import start
from proxy.host.worker import ports, respond
from proxy.platform.convert import texts
from proxy.platform.http import request_from, response_to

apps = {}


TOGETHER = 10
"""Requests that are repeated without a pause."""
PAUSE = 0.008
"""Seconds between them: about a thousand requests a second, as over HTTP."""


def on_fetch(request, env, ctx):  # type: ignore[no-untyped-def]
    """Answers as the proxy whose ANALYTICS the header `x-analytics` names, `on` or `off`; with
    `x-times` as often as that says, and with the last answer."""
    if request.method == "GET":
        return js.Response.new("ok")
    told = request_from(request, ctx, None)
    how = told.headers["x-analytics"]
    if how not in apps:
        apps[how] = start(texts(env) | {"ANALYTICS": how}, ports(env))
    if "x-times" in told.headers:
        return repeat(apps[how], told, int(told.headers["x-times"]), ctx)
    return respond(apps[how], request, ctx)


async def repeat(app, told, times, ctx):  # type: ignore[no-untyped-def]
    """The same request again and again, all but its way into the Worker and out of it."""
    body = await told.read(1_000_000)

    async def read(limit):  # type: ignore[no-untyped-def]
        return body

    again = structs.replace(told, read=read)
    for number in range(times):
        answer = response_to(await app.handle(again), ctx)
        if number % TOGETHER == TOGETHER - 1:
            await asyncio.sleep(PAUSE)
    return answer
