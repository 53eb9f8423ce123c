"""The operators' paths for keys."""

import re
from collections.abc import Sequence
from typing import Annotated

import msgspec
from msgspec import UNSET, Meta, Struct, UnsetType

from proxy.access.authenticator import format_secret, hash_secret
from proxy.access.keys import (
    CHANGE,
    GET_KEY,
    ISSUE,
    LIST_KEYS,
    REVOKE,
    ROTATE,
    Key,
    KeyChange,
    KeyRange,
    KeyRotation,
    NewKey,
)
from proxy.access.users import check_user
from proxy.aliases.names import PREFIXES
from proxy.analytics.query import parameters
from proxy.api.body import read_body
from proxy.api.key_bodies import (
    KeyBody,
    KeyView,
    KeyViewPage,
    make_key,
    patch_key,
    read_key,
    read_patch,
    view_key,
)
from proxy.api.services import Services
from proxy.api.usage import Used, bound_page, read_used, wants_usage
from proxy.core.errors import NotFound, Unavailable, invalid
from proxy.core.permit import Refusal
from proxy.core.principal import Budget, Principal
from proxy.core.replica import UNREAD
from proxy.core.web import FRESH_JSON, Response
from proxy.dialects import reading
from proxy.limits.shared_budgets import name_groups
from proxy.limits.tab import find_key_payer
from proxy.providers.catalog import Catalog
from proxy.serving.context import RequestContext

TRIES = 3
"""How often a change is tried that another one has overtaken."""


class _Rotation(Struct, frozen=True, forbid_unknown_fields=True, rename="camel"):
    """The body of POST /admin/keys/ID/rotate."""

    overlap_seconds: Annotated[int, Meta(ge=0, le=86_400)] = 0


_ROTATION = msgspec.json.Decoder(_Rotation)
_ID = re.compile(r"/admin/keys/([^/]+)(?:/rotate)?")


async def issue_key(services: Services, context: RequestContext) -> Response:
    """POST /admin/keys. Raises InvalidRequest."""
    body = await read_body(services, context)
    new = read_key(body)
    check_user(new.user)
    _check_providers(services, new)
    await _check_models(services, new)
    random, cache = services.ports.random, services.key_cache
    key = make_key(new, f"key_{random.token(6)}", round(context.clock.now() * 1000))
    secret = format_secret(services.settings.access.environment, random.token(32))
    await cache.change(ISSUE, NewKey(key, hash_secret(secret)))
    [view] = await _view(services, [key], secret=secret)
    return _respond(view, status=201)


async def list_keys(services: Services, context: RequestContext) -> Response:
    """GET /admin/keys[?limit=…&cursor=…&usage=true]: the oldest first, a page at a time. Raises
    InvalidRequest."""
    query, cache = context.request.query, services.key_cache
    parameters.check_names(query, ("limit", "cursor", "usage"))
    limit, after = parameters.read_page(query)
    if wants_usage(context):
        limit = bound_page(services, limit)
    page = await cache.call(LIST_KEYS, KeyRange(after, limit))
    following = parameters.encode_next(page.next)
    views = await _view(services, page.keys, used=await _read_used(services, context, page.keys))
    return _respond(KeyViewPage(views, following))


async def show_key(services: Services, context: RequestContext) -> Response:
    """GET /admin/keys/ID[?usage=true]. Raises NotFound."""
    key_id, cache = _id_of(context), services.key_cache
    found = await cache.call(GET_KEY, key_id)
    keys = [_check_found(found.key, key_id)]
    [view] = await _view(services, keys, used=await _read_used(services, context, keys))
    return _respond(view)


async def change_key(services: Services, context: RequestContext) -> Response:
    """PATCH /admin/keys/ID: changes what POST sets, but for the user. Raises InvalidRequest, and
    NotFound also for a key that was revoked."""
    patch = read_patch(await read_body(services, context))
    key_id, cache = _id_of(context), services.key_cache
    for _ in range(TRIES):
        key = _check_found((await cache.call(GET_KEY, key_id)).key, key_id)
        if key.revoked_at is not None:
            raise NotFound(f"The key {key_id[:100]!r} is revoked.")
        changed, body = patch_key(key, patch, round(context.clock.now() * 1000))
        _check_providers(services, body)
        if "models" in patch:
            await _check_models(services, body)
        if (await cache.change(CHANGE, KeyChange(key, changed))).key:
            [view] = await _view(services, [changed])
            return _respond(view)
    raise Unavailable("The key is being changed. Try again.", code="key_changing", retry_after=1)


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
    [view] = await _view(services, [_check_found(found.key, key_id)], secret=secret)
    return _respond(view)


async def _view(
    services: Services,
    keys: Sequence[Key],
    *,
    secret: str | UnsetType = UNSET,
    used: Sequence[Used] | None = None,
) -> tuple[KeyView, ...]:
    """Keys as operators see them. secret: that of the only one; used: what each has used; None:
    that is not shown."""
    passing = await _find_passing(services, keys)
    shown: list[Used | UnsetType] = [*used] if used else [UNSET] * len(keys)
    return tuple(
        view_key(key, may_pass=key.id in passing, secret=secret, used=spent)
        for key, spent in zip(keys, shown, strict=True)
    )


async def _find_passing(services: Services, keys: Sequence[Key]) -> set[str]:
    """The ids of those keys that may have requests passed on as they are."""
    groups = {key.id: name_groups(key.team, key.tags) for key in keys}
    names = tuple(dict.fromkeys(name for own in groups.values() for name in own))
    found = await services.limiter.find_budgets(names) if names else []
    # What may have a budget as long as that can't be told passes nothing either.
    budgets = {*names} if isinstance(found, Refusal) else {budget.name for budget in found}

    def may_pass(key: Key) -> bool:
        if key.passthrough is not None:
            return key.passthrough
        return key.budget == Budget() and budgets.isdisjoint(groups[key.id])

    return {key.id for key in keys if may_pass(key)}


async def _read_used(
    services: Services, context: RequestContext, keys: Sequence[Key]
) -> Sequence[Used] | None:
    """What each key has used; None where the request does not want that."""
    if not wants_usage(context):
        return None
    payers = [find_key_payer(key.make_principal()) for key in keys]
    return await read_used(services, [payer.account if payer else None for payer in payers])


def _check_providers(services: Services, body: KeyBody) -> None:
    providers = services.catalog.providers
    for name in body.providers or ():
        if name not in providers:
            raise invalid("providers", f"{name!r} is no provider; there are {', '.join(providers)}")


async def _check_models(services: Services, body: KeyBody) -> None:
    """Raises InvalidRequest for a model that nobody has: a key for it alone could use nothing.
    A pattern, and a spelling that only an alias can have, may be there before what they name."""
    aliases, catalog = services.aliases, services.catalog
    for place, name in enumerate(body.models or ()):
        head, _, rest = name.partition("/")
        is_open = any(mark in name for mark in "*?[") or name.startswith(PREFIXES)
        if is_open or (rest and head in catalog.providers) or catalog.lists(name):
            continue
        if name not in aliases.aliases:
            await aliases.read()
        if aliases.version == UNREAD:
            raise aliases.unreachable()
        if name not in aliases.aliases:
            raise invalid(f"models[{place}]", _explain_unknown(catalog, name))


def _explain_unknown(catalog: Catalog, name: str) -> str:
    alike = catalog.find_similar(name)
    return (
        f"{name!r} is no model that is known, and no alias."
        + (f" Do you mean {' or '.join(alike[:3])}?" if alike else "")
        + " Name a model of GET /v1/models, any model of a provider as provider/model, an alias"
        " that is not made yet as custom/NAME, or a pattern."
    )


def _respond(body: KeyView | KeyViewPage, status: int = 200) -> Response:
    return Response(status=status, headers=dict(FRESH_JSON), body=msgspec.json.encode(body))


def _id_of(context: RequestContext) -> str:
    found = _ID.fullmatch(context.request.path.rstrip("/"))
    return found[1] if found else ""


def _check_found(key: Key | None, key_id: str) -> Key:
    if key is None:
        raise NotFound(f"There is no key {key_id[:100]!r} in use; GET /admin/keys lists them.")
    return key
