"""The floors: the least that a Python Worker does for each kind of answer, by the request's path.

| path | does |
| --- | --- |
| /echo | reads the body, parses it, answers it |
| /read | besides asks the upstream, reads the answer, answers it |
| /keep | the same, having looked the body up in KV, and puts the answer there afterwards |
| /untouched | asks the upstream and returns its response as it is |
| /pipe | reads a stream's first chunk and lets the platform pipe the rest |
| /pump | reads each chunk of a stream and writes it |
"""

import asyncio
import hashlib
from collections.abc import Coroutine
from typing import Any

import js
import msgspec
from pyodide.ffi import create_proxy, to_js


class _Body(msgspec.Struct):
    model: str


_BODY = msgspec.json.Decoder(_Body)


async def on_fetch(request: Any, env: Any, ctx: Any) -> Any:
    """Answers one request."""
    if request.method == "GET":
        return js.Response.new("ok")
    kind = request.url.rsplit("/", 1)[1]
    body = (await request.arrayBuffer()).to_bytes()
    _BODY.decode(body)
    if kind == "echo":
        return js.Response.new(to_js(body), _options("application/json"))
    key = ""
    if kind == "keep":
        key = hashlib.sha256(body).hexdigest()
        await env.CACHE_KV.get(key, "arrayBuffer")
    sent = {"method": "POST", "headers": _HEADERS, "body": to_js(body)}
    response = await js.fetch(env.UPSTREAM, _to_js(sent))
    if kind in ("read", "keep"):
        answer = (await response.arrayBuffer()).to_bytes()
        if key:
            options = _to_js({"expirationTtl": _LIFETIME})
            ctx.waitUntil(env.CACHE_KV.put(key, to_js(answer), options))
        return js.Response.new(to_js(answer), _options("application/json"))
    if kind == "untouched":
        return response
    pipe = js.IdentityTransformStream.new()
    if kind == "pipe":
        reader = response.body.getReader()
        first = (await reader.read()).value
        first.to_bytes()
        reader.releaseLock()
        _wait_until(ctx, _pipe(response.body, first, pipe.writable))
    else:
        _wait_until(ctx, _pump(response.body.getReader(), pipe.writable.getWriter()))
    return js.Response.new(pipe.readable, _options("text/event-stream"))


_LIFETIME = 3600
_HEADERS = {"content-type": "application/json", "authorization": "Bearer a-key"}


def _to_js(options: dict[str, Any]) -> Any:
    return to_js(options, dict_converter=js.Object.fromEntries)


def _options(content_type: str) -> Any:
    return _to_js({"headers": {"content-type": content_type}})


async def _pipe(body: Any, first: Any, writable: Any) -> None:
    through, aside = body.tee()
    writer = writable.getWriter()
    await writer.write(first)
    writer.releaseLock()
    await through.pipeTo(writable, _to_js({"preventClose": True, "preventAbort": True}))
    (await js.Response.new(aside).arrayBuffer()).to_bytes()
    await writable.getWriter().close()


async def _pump(reader: Any, writer: Any) -> None:
    while not (step := await reader.read()).done:
        await writer.write(step.value)
    await writer.close()


def _wait_until(ctx: Any, work: Coroutine[Any, Any, None]) -> None:
    task = asyncio.ensure_future(work)
    proxy = create_proxy(task)
    ctx.waitUntil(proxy)
    task.add_done_callback(lambda _: proxy.destroy())
