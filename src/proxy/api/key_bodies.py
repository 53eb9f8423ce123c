"""What operators send of a key, and what they are shown of it: money in dollars, moments in
RFC 3339."""

from collections.abc import Mapping
from datetime import datetime
from typing import Annotated, Any, Literal

import msgspec
from msgspec import UNSET, Meta, Struct, UnsetType, structs

from proxy.access.keys import Key
from proxy.api.usage import Used
from proxy.core.errors import invalid
from proxy.core.forms import GROUP_NAME, VISIBLE
from proxy.core.money import NANO, to_dollars, to_nano
from proxy.core.principal import Budget, Limits, ModelGrant, Role
from proxy.core.time import LAST_MS, format_time
from proxy.dialects import reading

_Visible = Annotated[str, Meta(min_length=1, max_length=256, pattern=VISIBLE)]
# An empty list would allow all, the opposite of what it says.
_Patterns = Annotated[tuple[_Visible, ...], Meta(min_length=1, max_length=100)]
_Group = Annotated[str, Meta(pattern=GROUP_NAME)]
_Tags = Annotated[tuple[_Group, ...], Meta(max_length=16)]
Dollars = Annotated[float, Meta(ge=1 / NANO, le=1_000_000)]
_PerHour = Annotated[int, Meta(ge=0, le=10_000_000)]
_Many = Annotated[int, Meta(ge=1, le=1_000_000)]
_Tokens = Annotated[int, Meta(ge=1, le=1_000_000_000)]


class _Limits(Struct, frozen=True, forbid_unknown_fields=True, rename="camel"):
    per_hour: _PerHour | None = None
    burst: _Many | None = None
    requests_per_minute: _Many | None = None
    tokens_per_minute: _Tokens | None = None


class BudgetBody(Struct, frozen=True, forbid_unknown_fields=True):
    """A budget in dollars, by day and month of UTC."""

    day: Dollars | None = None
    month: Dollars | None = None


class KeyBody(Struct, frozen=True, forbid_unknown_fields=True, rename="camel"):
    """The body of POST /admin/keys; of PATCH /admin/keys/ID all but `user`."""

    user: reading.Name
    name: reading.Label | None = None
    note: reading.Label | None = None
    role: Role | None = None
    team: _Group | None = None
    tags: _Tags | None = None
    providers: _Patterns | None = None
    models: _Patterns | None = None
    limits: _Limits | None = None
    budget: BudgetBody | None = None
    cache_scope: Literal["tenant", "shared"] | None = None
    passthrough: bool | None = None
    expires_at: datetime | int | None = None


class KeyView(Struct, frozen=True, kw_only=True, rename="camel"):
    """A key as operators see it."""

    id: str
    user: str
    name: str | None
    note: str | None
    role: Role
    team: str | None
    tags: tuple[str, ...]
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
    used: Used | UnsetType = UNSET


class KeyViewPage(Struct, frozen=True):
    """A page of keys."""

    keys: tuple[KeyView, ...]
    next: str | None


_KEY = msgspec.json.Decoder(KeyBody)
_PATCH = msgspec.json.Decoder(dict[str, Any])


def read_key(body: bytes) -> KeyBody:
    """Reads the body of POST /admin/keys. Raises InvalidRequest."""
    reading.check(body)
    return reading.decode(_KEY, body)


def read_patch(body: bytes) -> dict[str, Any]:
    """Reads the body of PATCH /admin/keys/ID (RFC 7396). Raises InvalidRequest."""
    reading.check(body)
    patch = reading.decode(_PATCH, body)
    if "user" in patch:
        raise invalid("user", "Can't be changed: limits and figures belong to it")
    return patch


def patch_key(key: Key, patch: Mapping[str, Any], now: int) -> tuple[Key, KeyBody]:
    """A key with what a patch changes of it, and the body that describes it. now: milliseconds
    since 1970. Raises InvalidRequest."""
    merged = _merge(_describe(key), patch)
    body = reading.decode(_KEY, msgspec.json.encode(merged))
    changed = make_key(body, key.id, now)
    expires_at = changed.expires_at if "expiresAt" in patch else key.expires_at
    return structs.replace(changed, created_at=key.created_at, expires_at=expires_at), body


def _describe(key: Key) -> dict[str, Any]:
    """A key as the body of POST describes it, but for its end."""
    body = KeyBody(
        user=key.user,
        name=key.name,
        note=key.note,
        role=key.role,
        team=key.team,
        tags=key.tags or None,
        providers=key.grant.providers or None,
        models=key.grant.models or None,
        limits=_Limits(**structs.asdict(key.limits)),
        budget=BudgetBody(to_dollars(key.budget.day), to_dollars(key.budget.month)),
        cache_scope=key.cache_scope,
        passthrough=key.passthrough,
    )
    described: dict[str, Any] = msgspec.to_builtins(body)
    return described


def _merge(body: Mapping[str, Any], patch: Mapping[str, Any]) -> dict[str, Any]:
    """Merges a patch into a body (RFC 7396, 2); a null stays one, which means the same here."""
    merged = dict(body)
    for name, value in patch.items():
        old = merged.get(name)
        is_object = isinstance(value, dict)
        merged[name] = _merge(old if isinstance(old, dict) else {}, value) if is_object else value
    return merged


def make_key(new: KeyBody, key_id: str, now: int) -> Key:
    """The key that a body describes. now: milliseconds since 1970. Raises InvalidRequest."""
    budget = new.budget or BudgetBody()
    return Key(
        id=key_id,
        user=new.user,
        created_at=now,
        name=new.name,
        note=new.note,
        role=new.role or "user",
        team=new.team,
        tags=tuple(dict.fromkeys(new.tags or ())),
        grant=ModelGrant(providers=new.providers or (), models=new.models or ()),
        limits=Limits(**structs.asdict(new.limits or _Limits())),
        budget=Budget(day=to_nano(budget.day), month=to_nano(budget.month)),
        cache_scope=new.cache_scope,
        passthrough=new.passthrough,
        expires_at=_read_expiry(new.expires_at, now),
    )


def view_key(
    key: Key,
    *,
    may_pass: bool,
    secret: str | UnsetType = UNSET,
    used: Used | UnsetType = UNSET,
) -> KeyView:
    """A key as operators see it. may_pass: whether it may have requests passed on as they are."""
    budget = {"day": key.budget.day, "month": key.budget.month}
    return KeyView(
        id=key.id,
        user=key.user,
        name=key.name,
        note=key.note,
        role=key.role,
        team=key.team,
        tags=key.tags,
        providers=key.grant.providers,
        models=key.grant.models,
        limits=key.limits,
        budget={period: to_dollars(nano) for period, nano in budget.items() if nano is not None},
        cache_scope=key.cache_scope,
        passthrough=may_pass,
        created_at=format_time(key.created_at),
        expires_at=None if key.expires_at is None else format_time(key.expires_at),
        revoked_at=None if key.revoked_at is None else format_time(key.revoked_at),
        key=secret,
        used=used,
    )


def _read_expiry(given: datetime | int | None, now: int) -> int | None:
    """The end of a key in milliseconds since 1970. Raises InvalidRequest."""
    if given is None:
        return None
    if isinstance(given, datetime):
        if given.tzinfo is None:
            raise invalid("expiresAt", "Must say its time zone, as in 2027-01-01T00:00:00Z")
        given = round(given.timestamp() * 1000)
    if not now < given <= LAST_MS:
        raise invalid("expiresAt", "Must be in the future, and before the year 10000")
    return given
