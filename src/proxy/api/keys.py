"""The operators' paths for keys."""

import re
import unicodedata
from collections.abc import Collection
from datetime import UTC, datetime
from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta, Struct, structs

from proxy.access.gate import digest_of, secret_for
from proxy.access.keys import Key, Page
from proxy.access.ring import KeyRing
from proxy.analytics.query import parameters
from proxy.analytics.query.pages import cursor_of, limit_of, positions_of
from proxy.analytics.record.names import OTHER
from proxy.core.errors import InvalidRequest, NotFound
from proxy.core.principal import Budget, Grant, Limits
from proxy.core.web import Response
from proxy.dialects import reading
from proxy.serving.context import JSON, Exchange

DOLLAR = 1_000_000_000
LAST_MS = 253_402_300_799_999
"""The end of the year 9999, the last that RFC 3339 can write."""
PAGE = "100"
"""Keys of a page, where the request does not say how many."""
OWN_USERS = frozenset({"admin", "default", "anonymous", OTHER})
"""Users that the proxy itself names: those of the deployment's own keys and of an open one, and
the one that stands for many in the figures."""
_UNSEEN = frozenset("\u115f\u1160\u2800\u3164\uffa0")
"""Letters and symbols that look like nothing; Unicode has them in no class of their own."""

_Visible = Annotated[str, Meta(min_length=1, max_length=256, pattern=r"\A[!-~]+\Z")]
# An empty list would allow all, the opposite of what it says.
_Patterns = Annotated[tuple[_Visible, ...], Meta(min_length=1, max_length=100)]
_Dollars = Annotated[float, Meta(ge=1 / DOLLAR, le=1_000_000)]
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
    expires_at: datetime | int | None = None


class _Rotation(Struct, frozen=True, forbid_unknown_fields=True, rename="camel"):
    """The body of POST /admin/keys/ID/rotate."""

    overlap_seconds: Annotated[int, Meta(ge=0, le=86_400)] = 0


_NEW = msgspec.json.Decoder(_New)
_ROTATION = msgspec.json.Decoder(_Rotation)
_KEY = msgspec.json.Decoder(Key | None)
_PAGE = msgspec.json.Decoder(Page)
_ID = re.compile(r"/admin/keys/([^/]+)(?:/rotate)?")


async def issue(
    exchange: Exchange, ring: KeyRing, environment: str, providers: Collection[str], body: bytes
) -> Response:
    """POST /admin/keys. providers: those that there are. Raises InvalidRequest."""
    reading.check(body)
    new = reading.decode(_NEW, body)
    _check_user(new.user)
    for name in new.providers or ():
        if name not in providers:
            raise reading.invalid(
                "providers", f"{name!r} is no provider; there are {', '.join(providers)}"
            )
    budget = new.budget or _Budget()
    random, now = exchange.ports.random, _now(exchange)
    key = Key(
        id=f"key_{random.token(6)}",
        user=new.user,
        created_at=now,
        name=new.name,
        note=new.note,
        grant=Grant(providers=new.providers or (), models=new.models or ()),
        limits=Limits(**structs.asdict(new.limits or _Limits())),
        budget=Budget(day=_nano(budget.day), month=_nano(budget.month)),
        cache_scope=new.cache_scope,
        expires_at=_moment(new.expires_at, now),
    )
    secret = secret_for(environment, random.token(32))
    await ring.change(ring.store.issue(msgspec.json.encode(key).decode(), digest_of(secret)))
    return _told(_shown(key) | {"key": secret}, status=201)


async def list_keys(exchange: Exchange, ring: KeyRing) -> Response:
    """GET /admin/keys[?limit=…&cursor=…]: the oldest first, a page at a time. Raises
    InvalidRequest."""
    query = exchange.request.query
    parameters.check_names(query, ("limit", "cursor"))
    limit = limit_of(query.get("limit", PAGE))
    cursor = query.get("cursor")
    after = 0 if cursor is None else positions_of(cursor, 1)[0]
    page = _PAGE.decode(await ring.ask(ring.store.list_keys(after, limit)))
    following = None if page.next is None else cursor_of([page.next])
    return _told({"keys": [_shown(key) for key in page.keys], "next": following})


async def show(exchange: Exchange, ring: KeyRing) -> Response:
    """GET /admin/keys/ID. Raises NotFound."""
    wanted = _id(exchange)
    key = _KEY.decode(await ring.ask(ring.store.get_key(wanted)))
    if key is None:
        raise _unknown(wanted)
    return _told(_shown(key))


async def revoke(exchange: Exchange, ring: KeyRing) -> Response:
    """DELETE /admin/keys/ID. Raises NotFound."""
    wanted = _id(exchange)
    key = _KEY.decode(await ring.change(ring.store.revoke(wanted)))
    if key is None:
        raise _unknown(wanted)
    return Response(status=204)


async def rotate(exchange: Exchange, ring: KeyRing, environment: str, body: bytes) -> Response:
    """POST /admin/keys/ID/rotate. Raises NotFound for a key that is not taken any more, too."""
    overlap = 0
    if body:
        reading.check(body)
        overlap = reading.decode(_ROTATION, body).overlap_seconds
    wanted = _id(exchange)
    secret = secret_for(environment, exchange.ports.random.token(32))
    work = ring.store.rotate(wanted, digest_of(secret), overlap * 1000)
    key = _KEY.decode(await ring.change(work))
    if key is None:
        raise _unknown(wanted)
    return _told(_shown(key) | {"key": secret})


def _check_user(name: str) -> None:
    """Raises InvalidRequest for what is no name, or looks like one of the proxy's own."""
    if not name.isprintable() or name != name.strip():
        raise _no_user("Must be visible characters, without spaces at its ends")
    alike = unicodedata.normalize("NFKD", name).upper().casefold()  # \u0131 is a lower-case I
    seen = "".join(c for c in alike if _is_seen(c))
    if not seen:
        raise _no_user("Must be visible characters")
    if seen in OWN_USERS:
        raise _no_user(f"Must not be {seen}, which the proxy itself calls its callers by")


def _is_seen(character: str) -> bool:
    """Whether a character tells a name from others at a glance: no space, no mark on another."""
    mark = unicodedata.category(character).startswith("M")
    return not (mark or character.isspace() or character in _UNSEEN)


def _no_user(reason: str) -> InvalidRequest:
    return reading.invalid("user", reason)


def _shown(key: Key) -> dict[str, Any]:
    """A key as it is told: no secret, money in dollars."""
    budget = {"day": key.budget.day, "month": key.budget.month}
    return {
        "id": key.id,
        "user": key.user,
        "name": key.name,
        "note": key.note,
        "providers": key.grant.providers,
        "models": key.grant.models,
        "limits": key.limits,
        "budget": {period: nano / DOLLAR for period, nano in budget.items() if nano is not None},
        "cacheScope": key.cache_scope,
        "createdAt": _text(key.created_at),
        "expiresAt": _text(key.expires_at),
        "revokedAt": _text(key.revoked_at),
    }


def _told(body: dict[str, Any], status: int = 200) -> Response:
    headers = {**JSON, "cache-control": "no-store"}
    return Response(status=status, headers=headers, body=msgspec.json.encode(body))


def _id(exchange: Exchange) -> str:
    found = _ID.fullmatch(exchange.request.path.rstrip("/"))
    return found[1] if found else ""


def _unknown(key_id: str) -> NotFound:
    return NotFound(f"There is no key {key_id[:100]!r} in use; GET /admin/keys lists them.")


def _now(exchange: Exchange) -> int:
    return round(exchange.ports.clock.now() * 1000)


def _nano(dollars: float | None) -> int | None:
    return None if dollars is None else round(dollars * DOLLAR)


def _moment(given: datetime | int | None, now: int) -> int | None:
    if given is None:
        return None
    if isinstance(given, datetime):
        if given.tzinfo is None:
            raise reading.invalid("expiresAt", "Must say its time zone, as in 2027-01-01T00:00:00Z")
        given = round(given.timestamp() * 1000)
    if not now < given <= LAST_MS:
        raise reading.invalid("expiresAt", "Must be in the future, and before the year 10000")
    return given


def _text(moment: int | None) -> str | None:
    """RFC 3339 in UTC, to the millisecond."""
    if moment is None:
        return None
    whole, rest = divmod(moment, 1000)
    told = datetime.fromtimestamp(whole, UTC).replace(tzinfo=None).isoformat()
    return f"{told}.{rest:03d}Z" if rest else f"{told}Z"
