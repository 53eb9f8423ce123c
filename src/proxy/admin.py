"""The operators' paths."""

from collections.abc import Collection
from typing import get_args

import msgspec

from proxy.cache.answers import AnswerCache
from proxy.cache.purge import Scope
from proxy.core.errors import InvalidRequest
from proxy.core.ports import Accounts, Buckets, Pools, Ports
from proxy.core.web import Response
from proxy.exchange import JSON, Exchange
from proxy.limits.limiter import Limiter
from proxy.routing.watch import Watch

SCOPES = tuple(scope for scope in get_args(Scope) if scope != "all")


async def purge_cache(exchange: Exchange, cache: AnswerCache) -> Response:
    """DELETE /admin/cache?key=… | ?model=provider/id | ?user=… | ?all=true. Raises
    InvalidRequest where not exactly one of them is given."""
    query = exchange.request.query
    if unknown := sorted(query.keys() - {*SCOPES, "all"}):
        raise InvalidRequest(f"{unknown[0]}: Unknown parameter", param=unknown[0])
    given = [(scope, query[scope]) for scope in (*SCOPES, "all") if query.get(scope)]
    if len(given) != 1 or (given[0][0] == "all" and given[0][1] != "true"):
        raise InvalidRequest(f"Say what to purge: one of {', '.join(SCOPES)}, or all=true.")
    scope, value = given[0]
    await cache.purge(scope, "" if scope == "all" else value)
    return Response(status=204)


async def show_limits(exchange: Exchange, ports: Ports, providers: Collection[str]) -> Response:
    """GET /admin/limits?provider=…[&user=…] | ?key=ID: how a provider's users share it, a user's
    bucket there, or what a key has used. Raises InvalidRequest."""
    limit, name = _limit(exchange, ports, providers)
    body = (await limit.show(name)).encode()
    return Response(headers={**JSON, "cache-control": "no-store"}, body=body)


async def reset_limits(
    exchange: Exchange, ports: Ports, providers: Collection[str], limiter: Limiter
) -> Response:
    """DELETE /admin/limits with the same parameters: what was used is forgotten."""
    limit, name = _limit(exchange, ports, providers)
    await limit.reset(name)
    limiter.reopen(name)
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


def _no_provider(name: str | None, providers: Collection[str]) -> InvalidRequest:
    there = ", ".join(providers)
    return InvalidRequest(
        f"provider: {name!r} is no provider; there are {there}.", param="provider"
    )


def _limit(
    exchange: Exchange, ports: Ports, providers: Collection[str]
) -> tuple[Buckets | Accounts | Pools, str]:
    query = exchange.request.query
    if unknown := sorted(query.keys() - {"provider", "user", "key"}):
        raise InvalidRequest(f"{unknown[0]}: Unknown parameter", param=unknown[0])
    provider, user, key = (query.get(name) for name in ("provider", "user", "key"))
    if bool(key) == bool(provider) or (key and user):
        raise InvalidRequest("Say which limit: provider=NAME, with user=NAME or not, or key=ID.")
    if key:
        return ports.accounts, key
    if provider not in providers:
        raise _no_provider(provider, providers)
    return (ports.buckets, f"{provider}:{user}") if user else (ports.pools, str(provider))
