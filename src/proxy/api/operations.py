"""The operators' paths for the cache, the limits and the breakers."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from typing import TypeVar, get_args

import msgspec
from msgspec import Struct

from proxy.access.key_cache import KeyCache
from proxy.access.keys import GET_KEY, LIST_KEYS, Key, KeyRange
from proxy.api.aliases import find_allotments
from proxy.api.services import Services
from proxy.cache.purge import LEDGER, READ_PURGES, Purge, Scope
from proxy.core.choices import Allotment
from proxy.core.errors import InvalidRequest, NotFound, Unavailable
from proxy.core.ports import Log, Objects
from proxy.core.rpc import Method
from proxy.core.time import format_time
from proxy.core.web import FRESH_JSON, Response
from proxy.limits.account_messages import RESET_ACCOUNT, SHOW_ACCOUNT, AccountView
from proxy.limits.lease_messages import RESET_BUCKET, SHOW_BUCKET, BucketView
from proxy.limits.limiter import name_bucket
from proxy.limits.pool_messages import RESET_POOL, SHOW_POOL, PoolView
from proxy.limits.token_bucket import Rate
from proxy.serving.context import RequestContext

T = TypeVar("T")

SECONDS = 5.0
"""What an object may take, for whose answer an operator waits."""
LONGEST_NAME = 256
"""Characters of a user's or a model's name, of a key's id, or of a cache key."""
PAGE = 500
"""Keys that are read at a time."""
SCOPES = tuple(scope for scope in get_args(Scope) if scope != "all")
MOST_PURGES = 50
"""Purges that are shown."""
_UNREACHABLE = ("limiter unreachable", "The limits can't be reached now")


class _Limit(Struct, frozen=True):
    """How a kind of limit is shown and reset, by the object's name."""

    show: Callable[[Objects, str], Awaitable[Struct]]
    reset: Method[None, None]


_BUCKET = _Limit(lambda objects, name: objects.call(SHOW_BUCKET, name, None), RESET_BUCKET)
_ACCOUNT = _Limit(lambda objects, name: objects.call(SHOW_ACCOUNT, name, None), RESET_ACCOUNT)
_POOL = _Limit(lambda objects, name: objects.call(SHOW_POOL, name, None), RESET_POOL)


class _ShownPurge(Struct, frozen=True):
    scope: Scope
    value: str
    at: str


class CacheReport(Struct, frozen=True, kw_only=True, rename="camel"):
    """The body of GET /admin/cache. Bytes and seconds."""

    entries: int
    """In the memory of the isolate that answers."""
    bytes: int
    most_entries: int
    most_bytes: int
    tiers: tuple[str, ...]
    """Those that the deployment has."""
    ttl: int
    grace: int
    scope: str
    coalesce: bool
    purges: tuple[_ShownPurge, ...] | None
    """The newest first; None: they can't be read now."""


class ProviderLimit(Struct, frozen=True):
    """How a provider's users share it."""

    rate: Rate
    """The configured one, of each user."""
    pool: PoolView | None
    """None: it can't be read now."""


class _AllLimits(Struct, frozen=True):
    providers: dict[str, ProviderLimit]


class TargetLimits(Struct, frozen=True):
    """How a target of an alias stands. None: it has no such limit."""

    bucket: BucketView | None = None
    account: AccountView | None = None


class AliasLimits(Struct, frozen=True):
    """How the targets of an alias stand that something limits, by their ids."""

    targets: dict[str, TargetLimits]


async def show_cache(services: Services, context: RequestContext) -> Response:
    """GET /admin/cache: what this isolate keeps, how the cache is set, and what was purged."""
    _check_names(context, set())
    ports, settings, memory = services.ports, services.settings.cache, services.cache.memory
    lower = {"kv": ports.kv, "r2": ports.r2}
    work = ports.objects.call(READ_PURGES, LEDGER, None)
    purges = await _try(work, ports.log, ("purges unreachable", "The purges can't be read now"))
    report = CacheReport(
        entries=memory.entries,
        bytes=memory.bytes,
        most_entries=settings.memory_entries,
        most_bytes=settings.memory_bytes,
        tiers=("memory", *(name for name, store in lower.items() if store)),
        ttl=settings.ttl,
        grace=settings.grace,
        scope=settings.scope,
        coalesce=settings.coalesce,
        purges=None if purges is None else _newest(purges),
    )
    return Response(headers=dict(FRESH_JSON), body=msgspec.json.encode(report))


def _newest(purges: Sequence[Purge]) -> tuple[_ShownPurge, ...]:
    newest = sorted(purges, key=lambda purge: -purge.at)[:MOST_PURGES]
    return tuple(_ShownPurge(p.scope, p.value, format_time(round(p.at * 1000))) for p in newest)


async def purge_cache(services: Services, context: RequestContext) -> Response:
    """DELETE /admin/cache?key=… | ?model=provider/id | ?user=… | ?all=true. An alias stands for
    the model that it means. Raises InvalidRequest where not exactly one of them is given."""
    query = context.request.query
    _check_names(context, {*SCOPES, "all"})
    given = [(scope, query[scope]) for scope in (*SCOPES, "all") if query.get(scope)]
    if len(given) != 1 or (given[0][0] == "all" and given[0][1] != "true"):
        raise InvalidRequest(f"Say what to purge: one of {', '.join(SCOPES)}, or all=true.")
    scope, value = given[0]
    _check_length(scope, value)
    if scope == "model":
        value = services.selection.names.find_canonical(value)
    work = services.cache.purge(scope, "" if scope == "all" else value)
    failure = ("purges unreachable", "The purge holds in one isolate only")
    await _wait_for(work, services.ports.log, failure, None)
    return Response(status=204)


async def show_limits(services: Services, context: RequestContext) -> Response:
    """GET /admin/limits[?provider=…[&user=…|&key=ID] | ?key=ID | ?alias=…[&target=ID]]: how users
    share all configured providers, or one, a user's bucket there, that of a key with limits of its
    own, what a key has used, or what was used of an alias's targets. Raises InvalidRequest,
    NotFound."""
    query, ports = context.request.query, services.ports
    if not query:
        return await _show_all_limits(services)
    if "alias" in query:
        return await _show_alias_limits(services, context)
    [(limit, name)] = await _find_limits(services, context, of_keys=False)
    view = await _wait_for(limit.show(ports.objects, name), ports.log, _UNREACHABLE)
    return Response(headers=dict(FRESH_JSON), body=msgspec.json.encode(view))


async def _show_alias_limits(services: Services, context: RequestContext) -> Response:
    ports, targets = services.ports, await _find_targets(services, context)

    async def ask(method: Method[None, T], name: str, *, is_limited: bool) -> T | None:
        if not is_limited:
            return None
        return await _wait_for(ports.objects.call(method, name, None), ports.log, _UNREACHABLE)

    async def show(target: Allotment) -> TargetLimits:
        bucket = await ask(SHOW_BUCKET, target.name, is_limited=target.per_hour is not None)
        account = await ask(SHOW_ACCOUNT, target.name, is_limited=target.has_budget)
        return TargetLimits(bucket, account)

    views = await asyncio.gather(*map(show, targets.values()))
    report = AliasLimits(dict(zip(targets, views, strict=True)))
    return Response(headers=dict(FRESH_JSON), body=msgspec.json.encode(report))


async def _show_all_limits(services: Services) -> Response:
    names, ports = services.selection.deployment.configured, services.ports
    calls = (ports.objects.call(SHOW_POOL, name, None) for name in names)
    pools = await asyncio.gather(*(_try(call, ports.log, _UNREACHABLE) for call in calls))
    rates = services.limiter.rates
    found = {n: ProviderLimit(rates[n], pool) for n, pool in zip(names, pools, strict=True)}
    return Response(headers=dict(FRESH_JSON), body=msgspec.json.encode(_AllLimits(found)))


async def reset_limits(services: Services, context: RequestContext) -> Response:
    """DELETE /admin/limits with the same parameters: what was used is forgotten, with a user also
    what its keys with limits of their own have used."""
    for limit, name in await _find_limits(services, context, of_keys=True):
        work = services.ports.objects.call(limit.reset, name, None)
        await _wait_for(work, services.ports.log, _UNREACHABLE)
        services.limiter.cooldowns.clear(name)
    return Response(status=204)


async def show_breakers(services: Services, context: RequestContext) -> Response:
    """GET /admin/breakers: how each stands, by `provider` and `provider/model`."""
    await services.watch.sync()
    body = msgspec.json.encode({"breakers": services.watch.views()})
    return Response(headers=dict(FRESH_JSON), body=body)


async def reset_breakers(services: Services, context: RequestContext) -> Response:
    """DELETE /admin/breakers[?provider=NAME[&model=ID]]: closes all, a provider's or that of one of
    its models, and forgets that a provider is misconfigured. Raises InvalidRequest, NotFound."""
    _check_names(context, {"provider", "model"})
    provider, model = (context.request.query.get(name) for name in ("provider", "model"))
    if provider is not None or model is not None:
        _check_provider(services, provider)
    if not await services.watch.reset(provider, model) and model is not None:
        raise NotFound(f"There is no breaker of {provider}/{model[:200]}.")
    return Response(status=204)


async def _wait_for(
    work: Awaitable[T], log: Log, failure: tuple[str, str], seconds: float | None = SECONDS
) -> T:
    """The answer of an object. failure: the event that is logged and the caller's message where
    there is none in time. Raises InternalError (503) then."""
    event, message = failure
    try:
        async with asyncio.timeout(seconds):
            return await work
    except Exception as error:
        log("error", event, error=repr(error)[:500])
        raise Unavailable(
            f"{message}. Try again.", code="object_unreachable", retry_after=1
        ) from None


async def _try(work: Awaitable[T], log: Log, failure: tuple[str, str]) -> T | None:
    """The same, or None where there is no answer."""
    try:
        return await _wait_for(work, log, failure)
    except Unavailable:
        return None


def _check_names(context: RequestContext, known: set[str]) -> None:
    if unknown := sorted(context.request.query.keys() - known):
        raise InvalidRequest(f"{unknown[0]}: Unknown parameter", param=unknown[0])


def _check_length(param: str, value: str) -> None:
    if not 1 <= len(value) <= LONGEST_NAME:
        raise InvalidRequest(f"{param}: Must have 1 to {LONGEST_NAME} characters", param=param)


def _check_provider(services: Services, name: str | None) -> str:
    providers = services.catalog.providers
    if name is None or name not in providers:
        raise InvalidRequest(
            f"provider: {name!r} is no provider; there are {', '.join(providers)}.",
            param="provider",
        )
    return name


async def _find_limits(
    services: Services, context: RequestContext, *, of_keys: bool
) -> Sequence[tuple[_Limit, str]]:
    """The objects that the parameters name. of_keys: whether a user's keys with limits of their own
    count too, for which all keys must be read."""
    cache, query = services.key_cache, context.request.query
    if "alias" in query:
        targets = (await _find_targets(services, context)).values()
        limited = [(_BUCKET, target.name) for target in targets if target.per_hour is not None]
        return limited + [(_ACCOUNT, target.name) for target in targets if target.has_budget]
    _check_names(context, {"provider", "user", "key"})
    provider, user, key = (query.get(name) for name in ("provider", "user", "key"))
    if not (key or provider) or (key and user):
        raise InvalidRequest(
            "Say which limit: provider=NAME, with user=NAME or key=ID or neither, or key=ID, or"
            " alias=NAME, with target=ID or not."
        )
    for param, value in (("user", user), ("key", key)):
        if value is not None:
            _check_length(param, value)
    if key and provider is None:
        return [(_ACCOUNT, key)]
    provider = _check_provider(services, provider)
    if user:
        keys = [each async for each in _keys_of(cache, user)] if of_keys else []
        own = (name_bucket(provider, user, each.id, each.limits) for each in keys)
        return [(_BUCKET, name) for name in dict.fromkeys([name_bucket(provider, user), *own])]
    if key is None:
        return [(_POOL, provider)]
    found = (await cache.call(GET_KEY, key)).key
    if found is None:
        raise NotFound(f"There is no key {key[:100]}.")
    return [(_BUCKET, name_bucket(provider, found.user, found.id, found.limits))]


async def _find_targets(services: Services, context: RequestContext) -> dict[str, Allotment]:
    """What may be used of the alias's targets that the parameters name, by their ids. Raises
    InvalidRequest, NotFound."""
    query = context.request.query
    _check_names(context, {"alias", "target"})
    name, target = query["alias"], query.get("target")
    _check_length("alias", name)
    found = await find_allotments(services, name)
    if target is None:
        return found
    if target not in found:
        raise NotFound(f"The alias {name} limits no target {target[:100]!r}.")
    return {target: found[target]}


async def _keys_of(cache: KeyCache, user: str) -> AsyncIterator[Key]:
    after: int | None = 0
    while after is not None:
        page = await cache.call(LIST_KEYS, KeyRange(after, PAGE))
        for key in page.keys:
            if key.user == user:
                yield key
        after = page.next
