"""The proxy with doors, by which bench.growth fills what it keeps, and that repeats a request."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

import js
import msgspec
from msgspec import Raw, structs

import entry
from entry import *  # noqa: F403 -- workerd looks here for the classes of the objects
from proxy.access.keys import ISSUE, STORE, NewKey
from proxy.analytics.store.messages import Flush
from proxy.analytics.store.shard import ADD, FIGURES, REQUESTS, shard_name
from proxy.api.app import App
from proxy.api.services import Services
from proxy.api.start import start
from proxy.core.rpc import Method
from proxy.core.web import Request
from proxy.host.worker import OBJECTS, ports
from proxy.objects.rpc import RpcObjects
from proxy.platform.convert import read_env
from proxy.platform.http import build_response, receive_request
from proxy.routing.board import READ_OPENINGS

A = TypeVar("A")
R = TypeVar("R")

_COUNT = "WITH RECURSIVE n(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM n WHERE n < ?) "
_FILL_KEYS = (
    "INSERT INTO keys (id, body) "
    + _COUNT
    + "SELECT 'filled' || n, json_object('id', 'filled' || n, 'user', 'u' || n, 'created_at', n,"
    " 'expires_at', 99999999999999 + n) FROM n",
    "INSERT INTO secrets (digest, key_id, until) "
    + _COUNT
    + "SELECT lower(hex(randomblob(32))), 'filled' || n, 0 FROM n",
)
TOGETHER = 10
"""Requests that are repeated without a pause."""
PAUSE = 0.008
"""Seconds between them."""
_app: list[App] = []
_KEPT = (FIGURES.name, REQUESTS.name, READ_OPENINGS.name)
_kept: list[str | bytes] = []
"""What objects answered a request, in their order."""


class AccessKeys(entry.AccessKeys):  # type: ignore[no-redef]
    """With many keys."""

    async def fill(self, count: int) -> None:
        """Issues so many at once."""
        for statement in _FILL_KEYS:
            self._storage.sql.exec(statement, count)


class _KeptObjects(RpcObjects):
    """Answers again what the objects have answered once: so a request costs what the Worker's own
    invocation does, without those of the objects."""

    def __init__(self, namespaces: Any) -> None:
        super().__init__(namespaces)
        self.answered: int | None = None
        """How many answers the request under way has had; None: the objects answer."""

    async def call(self, method: Method[A, R], name: str, argument: A) -> R:
        if self.answered is None or method.name not in _KEPT:
            return await super().call(method, name, argument)
        if self.answered == len(_kept):
            _kept.append(method.answer.encode(await super().call(method, name, argument)))
        self.answered += 1
        return method.answer.decode(_kept[self.answered - 1])


async def _fill_keys(services: Services, env: Any, body: bytes) -> None:
    count, key = msgspec.json.decode(body, type=tuple[int, NewKey])
    await env.ACCESS_KEYS.getByName(STORE).fill(count)
    await services.ports.objects.call(ISSUE, STORE, key)


async def _fill_log(services: Services, env: Any, body: bytes) -> None:
    number, records = msgspec.json.decode(body, type=tuple[int, Raw])
    flush = Flush(isolate="filler", number=number, records=records)
    await services.ports.objects.call(ADD, shard_name(0), flush)


async def _fill_cache(services: Services, env: Any, body: bytes) -> None:
    for number in range(int(body)):
        services.cache.memory.put(f"{number:064x}", b"filled", 3600, 0)


_DOORS: dict[str, Callable[[Services, Any, bytes], Awaitable[None]]] = {
    "/fill/keys": _fill_keys,
    "/fill/log": _fill_log,
    "/fill/cache": _fill_cache,
}


async def on_fetch(request: Any, env: Any, ctx: Any) -> Any:  # type: ignore[no-redef]
    """Fills, or answers as the proxy. Of a request's headers `x-times` repeats it so many times
    (the last answer is sent), `x-forget` has the isolate forget the keys that it knows before each,
    and `x-kept` answers for the objects of the statistics what they have answered before."""
    if not _app:
        objects = _KeptObjects({name: getattr(env, name) for name in OBJECTS})
        texts = {name: text for name, text in read_env(env).items() if isinstance(text, str)}
        app = start(texts, structs.replace(ports(env), objects=objects))
        assert isinstance(app, App)
        _app.append(app)
    app = _app[0]
    parsed, _ = receive_request(request, ctx, None)
    body = await parsed.read(10_000_000)
    if fill := _DOORS.get(parsed.path):
        await fill(app.services, env, body)
        return js.Response.new("filled")
    return await _repeat(app, parsed, body, ctx)


async def _repeat(app: App, request: Request, body: bytes, ctx: Any) -> Any:
    objects = app.services.ports.objects
    assert isinstance(objects, _KeptObjects)
    forgets = "x-forget" in request.headers
    for number in range(int(request.headers.get("x-times", "1"))):
        sent = body.replace(b"NUMBER", b"%d %d" % (js.Date.now(), number))

        async def read(limit: int, sent: bytes = sent) -> bytes:
            return sent

        objects.answered = 0 if "x-kept" in request.headers else None
        if forgets:
            app.services.key_cache.forget()
        again = structs.replace(request, read=read)
        reaction = app.handle(again, lambda response: build_response(response, ctx))
        answer = await reaction if asyncio.iscoroutine(reaction) else reaction
        if number % TOGETHER == TOGETHER - 1:
            await asyncio.sleep(PAUSE)
    return answer
