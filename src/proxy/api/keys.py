"""The operators' paths for keys."""

import re
from datetime import datetime
from typing import Annotated, Literal

import msgspec
from msgspec import UNSET, Meta, Struct, UnsetType, structs

from proxy.access.authenticator import format_secret, hash_secret
from proxy.access.keys import (
    GET_KEY,
    ISSUE,
    LIST_KEYS,
    REVOKE,
    ROTATE,
    Key,
    KeyRange,
    KeyRotation,
    NewKey,
)
from proxy.access.users import check_user
from proxy.analytics.query import parameters
from proxy.api.body import read_body
from proxy.api.services import Services
from proxy.core.errors import NotFound
from proxy.core.money import NANO, to_dollars, to_nano
from proxy.core.principal import Budget, Limits, ModelGrant, Principal
from proxy.core.time import LAST_MS, format_time
from proxy.core.web import FRESH_JSON, Response
from proxy.dialects import reading
from proxy.serving.context import RequestContext

PAGE = "100"
"""Keys of a page, where the request does not say how many."""

_Visible = Annotated[str, Meta(min_length=1, max_length=256, pattern=r"\A[!-~]+\Z")]
# An empty list would allow all, the opposite of what it says.
_Patterns = Annotated[tuple[_Visible, ...], Meta(min_length=1, max_length=100)]
_Dollars = Annotated[float, Meta(ge=1 / NANO, le=1_000_000)]
_PerHour = Annotated[int, Meta(ge=0, le=10_000_000)]
_Many = Annotated[int, Meta(ge=1, le=1_000_000)]
_Tokens = Annotated[int, Meta(ge=1, le=1_000_000_000)]


class _Limits(Struct, frozen=True, forbid_unknown_fields=True, rename="camel"):
    per_hour: _PerHour | None = None
    burst: _Many | None = None
    requests_per_minute: _Many | None = None
    tokens_per_minute: _Tokens | None = None


class _Budget(Struct, frozen=True, forbid_unknown_fields=True):
    day: _Dollars | None = None
    month: _Dollars | None = None


class _New(Struct, frozen=True, forbid_unknown_fields=True, rename="camel"):
    """The body of POST /admin/keys."""

    user: reading.Name
    name: reading.Label | None = None
    note: reading.Label | None = None
    providers: _Patterns | None = None
    models: _Patterns | None = None
    limits: _Limits | None = None
    budget: _Budget | None = None
    cache_scope: Literal["tenant", "shared"] | None = None
    passthrough: bool | None = None
    expires_at: datetime | int | None = None


class _Rotation(Struct, frozen=True, forbid_unknown_fields=True, rename="camel"):
    """The body of POST /admin/keys/ID/rotate."""

    overlap_seconds: Annotated[int, Meta(ge=0, le=86_400)] = 0


class _View(Struct, frozen=True, kw_only=True, rename="camel"):
    """A key as operators see it: money in dollars, moments in RFC 3339."""

    id: str
    user: str
    name: str | None
    note: str | None
    providers: tuple[str, ...]
    models: tuple[str, ...]
    limits: Limits
    budget: dict[str, float]
    cache_scope: str | None
    passthrough: bool
    created_at: str
    expires_at: str | None
    revoked_at: str | None
    key: str | UnsetType = UNSET
    """The secret, of a new one only."""


class _ViewPage(Struct, frozen=True):
    keys: tuple[_View, ...]
    next: str | None


_NEW = msgspec.json.Decoder(_New)
_ROTATION = msgspec.json.Decoder(_Rotation)
_ID = re.compile(r"/admin/keys/([^/]+)(?:/rotate)?")


async def issue_key(services: Services, context: RequestContext) -> Response:
    """POST /admin/keys. Raises InvalidRequest."""
    body = await read_body(services, context)
    reading.check(body)
    new = reading.decode(_NEW, body)
    check_user(new.user)
    providers = services.catalog.providers
    for name in new.providers or ():
        if name not in providers:
            raise reading.invalid(
                "providers", f"{name!r} is no provider; there are {', '.join(providers)}"
            )
    random, cache = services.ports.random, services.key_cache
    key = _make_key(new, f"key_{random.token(6)}", round(context.clock.now() * 1000))
    secret = format_secret(services.settings.access.environment, random.token(32))
    await cache.change(ISSUE, NewKey(key, hash_secret(secret)))
    return _respond(_view_of(key, secret), status=201)


async def list_keys(services: Services, context: RequestContext) -> Response:
    """GET /admin/keys[?limit=…&cursor=…]: the oldest first, a page at a time. Raises
    InvalidRequest."""
    query, cache = context.request.query, services.key_cache
    parameters.check_names(query, ("limit", "cursor"))
    limit = parameters.read_limit(query.get("limit", PAGE))
    cursor = query.get("cursor")
    after = 0 if cursor is None else parameters.read_cursor(cursor, 1)[0]
    page = await cache.call(LIST_KEYS, KeyRange(after, limit))
    following = None if page.next is None else parameters.encode_cursor([page.next])
    return _respond(_ViewPage(tuple(map(_view_of, page.keys)), following))


async def show_key(services: Services, context: RequestContext) -> Response:
    """GET /admin/keys/ID. Raises NotFound."""
    key_id, cache = _id_of(context), services.key_cache
    found = await cache.call(GET_KEY, key_id)
    return _respond(_view_of(_check_found(found.key, key_id)))


async def revoke_key(services: Services, context: RequestContext) -> Response:
    """DELETE /admin/keys/ID: the key ends, and what is kept for it. Raises NotFound."""
    key_id, cache = _id_of(context), services.key_cache
    key = _check_found((await cache.change(REVOKE, key_id)).key, key_id)
    if services.responses:
        await services.responses.forget(Principal(user=key.user, key_id=key_id))
    return Response(status=204)


async def rotate_key(services: Services, context: RequestContext) -> Response:
    """POST /admin/keys/ID/rotate. Raises NotFound, also for a key that is not in use."""
    body, overlap = await read_body(services, context), 0
    if body:
        reading.check(body)
        overlap = reading.decode(_ROTATION, body).overlap_seconds
    key_id, cache = _id_of(context), services.key_cache
    secret = format_secret(services.settings.access.environment, services.ports.random.token(32))
    rotation = KeyRotation(key_id, hash_secret(secret), overlap * 1000)
    found = await cache.change(ROTATE, rotation)
    return _respond(_view_of(_check_found(found.key, key_id), secret))


def _make_key(new: _New, key_id: str, now: int) -> Key:
    """The key that a body describes. now: milliseconds since 1970. Raises InvalidRequest."""
    budget = new.budget or _Budget()
    return Key(
        id=key_id,
        user=new.user,
        created_at=now,
        name=new.name,
        note=new.note,
        grant=ModelGrant(providers=new.providers or (), models=new.models or ()),
        limits=Limits(**structs.asdict(new.limits or _Limits())),
        budget=Budget(day=to_nano(budget.day), month=to_nano(budget.month)),
        cache_scope=new.cache_scope,
        passthrough=new.passthrough,
        expires_at=_read_expiry(new.expires_at, now),
    )


def _view_of(key: Key, secret: str | UnsetType = UNSET) -> _View:
    budget = {"day": key.budget.day, "month": key.budget.month}
    return _View(
        id=key.id,
        user=key.user,
        name=key.name,
        note=key.note,
        providers=key.grant.providers,
        models=key.grant.models,
        limits=key.limits,
        budget={period: to_dollars(nano) for period, nano in budget.items() if nano is not None},
        cache_scope=key.cache_scope,
        passthrough=key.may_pass,
        created_at=format_time(key.created_at),
        expires_at=None if key.expires_at is None else format_time(key.expires_at),
        revoked_at=None if key.revoked_at is None else format_time(key.revoked_at),
        key=secret,
    )


def _respond(body: _View | _ViewPage, status: int = 200) -> Response:
    return Response(status=status, headers=dict(FRESH_JSON), body=msgspec.json.encode(body))


def _id_of(context: RequestContext) -> str:
    found = _ID.fullmatch(context.request.path.rstrip("/"))
    return found[1] if found else ""


def _check_found(key: Key | None, key_id: str) -> Key:
    if key is None:
        raise NotFound(f"There is no key {key_id[:100]!r} in use; GET /admin/keys lists them.")
    return key


def _read_expiry(given: datetime | int | None, now: int) -> int | None:
    """The end of a key in milliseconds since 1970. Raises InvalidRequest."""
    if given is None:
        return None
    if isinstance(given, datetime):
        if given.tzinfo is None:
            raise reading.invalid("expiresAt", "Must say its time zone, as in 2027-01-01T00:00:00Z")
        given = round(given.timestamp() * 1000)
    if not now < given <= LAST_MS:
        raise reading.invalid("expiresAt", "Must be in the future, and before the year 10000")
    return given
