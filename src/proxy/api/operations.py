"""The operators' paths."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Collection, Sequence
from typing import TypeVar, get_args

import msgspec

from proxy.access.keys import Key, Page
from proxy.access.ring import KeyRing
from proxy.cache.answers import AnswerCache
from proxy.cache.purge import Scope
from proxy.core.errors import InternalError, InvalidRequest, NotFound
from proxy.core.ports import Accounts, Buckets, Pools, Ports
from proxy.core.web import Response
from proxy.limits.limiter import Limiter, bucket_name
from proxy.routing.names import Names
from proxy.routing.watch import Watch
from proxy.serving.context import JSON, Exchange

T = TypeVar("T")

SECONDS = 5.0
"""What an object may take, of whose work an operator wants to know the end."""
LONGEST_NAME = 256
"""Characters of a user's name or a key's id."""
PAGE = 500
"""Keys that are asked for at a time."""
_KEY = msgspec.json.Decoder(Key | None)
_PAGE = msgspec.json.Decoder(Page)
SCOPES = tuple(scope for scope in get_args(Scope) if scope != "all")


async def purge_cache(exchange: Exchange, cache: AnswerCache, names: Names) -> Response:
    """DELETE /admin/cache?key=… | ?model=provider/id | ?user=… | ?all=true. An alias stands for
    the model that it means. Raises InvalidRequest where not exactly one of them is given."""
    query = exchange.request.query
    if unknown := sorted(query.keys() - {*SCOPES, "all"}):
        raise InvalidRequest(f"{unknown[0]}: Unknown parameter", param=unknown[0])
    given = [(scope, query[scope]) for scope in (*SCOPES, "all") if query.get(scope)]
    if len(given) != 1 or (given[0][0] == "all" and given[0][1] != "true"):
        raise InvalidRequest(f"Say what to purge: one of {', '.join(SCOPES)}, or all=true.")
    scope, value = given[0]
    if scope == "model":
        value = names.canonical(value)
    work = cache.purge(scope, "" if scope == "all" else value)
    await _done(exchange, work, "purges unreachable", "The purge holds in one isolate only", None)
    return Response(status=204)


async def show_limits(
    exchange: Exchange, ports: Ports, providers: Collection[str], ring: KeyRing
) -> Response:
    """GET /admin/limits?provider=…[&user=…|&key=ID] | ?key=ID: how a provider's users share it, a
    user's bucket there, that of a key with limits of its own, or what a key has used. Raises
    InvalidRequest."""
    limit, names = await _limits(exchange, ports, providers, ring)
    told = await _done(exchange, limit.show(names[0]), "limiter unreachable", _UNREACHABLE)
    return Response(headers={**JSON, "cache-control": "no-store"}, body=told.encode())


async def reset_limits(
    exchange: Exchange,
    ports: Ports,
    providers: Collection[str],
    ring: KeyRing,
    limiter: Limiter,
) -> Response:
    """DELETE /admin/limits with the same parameters: what was used is forgotten, with a user also
    what its keys with limits of their own have used."""
    limit, names = await _limits(exchange, ports, providers, ring)
    for name in names:
        await _done(exchange, limit.reset(name), "limiter unreachable", _UNREACHABLE)
        limiter.quiet.reopen(name)
    return Response(status=204)


async def show_breakers(exchange: Exchange, watch: Watch) -> Response:
    """GET /admin/breakers: how each stands, by `provider` and `provider/model`."""
    await watch.sync()
    body = msgspec.json.encode({"breakers": watch.views()})
    return Response(headers={**JSON, "cache-control": "no-store"}, body=body)


async def reset_breakers(exchange: Exchange, watch: Watch, providers: Collection[str]) -> Response:
    """DELETE /admin/breakers[?provider=NAME]: closes them, and forgets that a provider is
    misconfigured. Raises InvalidRequest."""
    query = exchange.request.query
    provider = query.get("provider")
    if unknown := sorted(query.keys() - {"provider"}):
        raise InvalidRequest(f"{unknown[0]}: Unknown parameter", param=unknown[0])
    if provider is not None and provider not in providers:
        raise _no_provider(provider, providers)
    await watch.reset(provider)
    return Response(status=204)


async def _done(
    exchange: Exchange,
    work: Awaitable[T],
    event: str,
    message: str,
    seconds: float | None = SECONDS,
) -> T:
    """What an object answers an operator. Raises InternalError (503) where it does not."""
    try:
        async with asyncio.timeout(seconds):
            return await work
    except Exception as error:
        exchange.ports.log("error", event, error=repr(error)[:500])
        raise InternalError(
            f"{message}. Try again.", status=503, code="object_unreachable", retry_after=1
        ) from None


_UNREACHABLE = "The limits can't be reached now"


def _no_provider(name: str | None, providers: Collection[str]) -> InvalidRequest:
    there = ", ".join(providers)
    return InvalidRequest(
        f"provider: {name!r} is no provider; there are {there}.", param="provider"
    )


async def _limits(
    exchange: Exchange, ports: Ports, providers: Collection[str], ring: KeyRing
) -> tuple[Buckets | Accounts | Pools, Sequence[str]]:
    """What is asked about, and its names: a user's own bucket before those of its keys."""
    query = exchange.request.query
    if unknown := sorted(query.keys() - {"provider", "user", "key"}):
        raise InvalidRequest(f"{unknown[0]}: Unknown parameter", param=unknown[0])
    provider, user, key = (query.get(name) for name in ("provider", "user", "key"))
    if not (key or provider) or (key and user):
        raise InvalidRequest(
            "Say which limit: provider=NAME, with user=NAME or key=ID or neither, or key=ID."
        )
    for param, value in (("user", user), ("key", key)):
        if len(value or "") > LONGEST_NAME:
            raise InvalidRequest(f"{param}: Must have 1 to {LONGEST_NAME} characters", param=param)
    if key and not provider:
        return ports.accounts, [key]
    if provider is None or provider not in providers:
        raise _no_provider(provider, providers)
    if user:
        own = [bucket_name(provider, user, k.id, k.limits) async for k in _keys_of(ring, user)]
        return ports.buckets, list(dict.fromkeys([bucket_name(provider, user), *own]))
    if key is None:
        return ports.pools, [provider]
    found = _KEY.decode(await ring.ask(ring.store.get_key(key)))
    if found is None:
        raise NotFound(f"There is no key {key[:100]}.")
    return ports.buckets, [bucket_name(provider, found.user, found.id, found.limits)]


async def _keys_of(ring: KeyRing, user: str) -> AsyncIterator[Key]:
    after: int | None = 0
    while after is not None:
        page = _PAGE.decode(await ring.ask(ring.store.list_keys(after, PAGE)))
        for key in page.keys:
            if key.user == user:
                yield key
        after = page.next
