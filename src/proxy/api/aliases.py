"""The operators' paths for aliases."""

import re
from collections.abc import Sequence
from urllib.parse import unquote

import msgspec
from msgspec import Raw, structs

from proxy.aliases.messages import (
    DELETE_ALIAS,
    FIND_ALIAS,
    LIST_ALIASES,
    PUT_ALIAS,
    AliasPage,
    AliasRange,
    KeptAlias,
    NewAlias,
    OldAlias,
)
from proxy.aliases.model import MOST_BYTES, Alias, AliasTarget
from proxy.analytics.query import parameters
from proxy.api.body import read_body
from proxy.api.services import Services
from proxy.api.usage import count_free, read_target_use, wants_usage
from proxy.core.chat import TIERS
from proxy.core.choices import Allotment
from proxy.core.errors import Cause, InvalidRequest, NotFound, invalid
from proxy.core.forms import ALIAS_NAME, WORDS
from proxy.core.replica import UNREAD
from proxy.core.time import format_time
from proxy.core.web import FRESH_JSON, Response
from proxy.dialects import reading
from proxy.dialects.messages import check_format
from proxy.routing.needs import Needs
from proxy.serving.context import RequestContext

_ALIAS = msgspec.json.Decoder(Alias)
_NAME = re.compile(ALIAS_NAME)
_TAG = re.compile(r'(?:W/)?"[^"]*"|\*')
"""An entity tag of `If-Match`; a weak one matches none (RFC 9110, 13.1.1)."""
_FULL = {
    "too many": "There are 1,000 aliases already; delete one.",
    "too much": "All aliases together may have 2 MB; delete one, or shorten this one.",
}


async def list_aliases(services: Services, context: RequestContext) -> Response:
    """GET /admin/aliases[?limit=…&cursor=…&usage=true]: the oldest first, a page at a time. Raises
    InvalidRequest."""
    query = context.request.query
    parameters.check_names(query, ("limit", "cursor", "usage"))
    limit, after = parameters.read_page(query)
    page = await services.aliases.call(LIST_ALIASES, AliasRange(after, limit))
    if wants_usage(context) and (few := _count_countable(services, page)) < len(page.aliases):
        page = await services.aliases.call(LIST_ALIASES, AliasRange(after, few))
    views = await _view(services, context, page.aliases)
    return _respond({"aliases": views, "next": parameters.encode_next(page.next)})


async def create_alias(services: Services, context: RequestContext) -> Response:
    """POST /admin/aliases. Raises InvalidRequest, with the status 409 for a name that is taken."""
    alias = await _read_alias(services, context)
    if not alias.name:
        raise invalid("name", "Missing")
    return await _keep(services, alias, may_replace=False)


async def show_alias(services: Services, context: RequestContext) -> Response:
    """GET /admin/aliases/NAME[?usage=true]. Raises NotFound."""
    kept = await _find(services, _name_of(context))
    [view] = await _view(services, context, [kept])
    return _respond_with(kept, view)


async def find_allotments(services: Services, name: str) -> dict[str, Allotment]:
    """What may be used of the targets of an alias, by their ids; of those that something limits.
    Raises NotFound."""
    return _read_allotments(await _find(services, name))


async def _find(services: Services, name: str) -> KeptAlias:
    """The alias of a name. Raises NotFound."""
    found = await services.aliases.call(FIND_ALIAS, name)
    if found.alias is None:
        raise _not_found(name)
    return found.alias


async def put_alias(services: Services, context: RequestContext) -> Response:
    """PUT /admin/aliases/NAME: makes it, or replaces it. Raises InvalidRequest, with the status 412
    where there is none with an entity tag that `If-Match` names."""
    name = _name_of(context)
    alias = await _read_alias(services, context)
    if alias.name not in ("", name):
        raise invalid("name", f"Must be {name!r}, as in the path, or left out")
    alias = structs.replace(alias, name=name)
    return await _keep(services, alias, may_replace=True, if_match=_read_if_match(context))


async def delete_alias(services: Services, context: RequestContext) -> Response:
    """DELETE /admin/aliases/NAME. Raises NotFound; InvalidRequest, with the status 412, where it
    has no entity tag that `If-Match` names."""
    name = _name_of(context)
    old = OldAlias(name, _read_if_match(context))
    deleted = await services.aliases.change(DELETE_ALIAS, old)
    if deleted.outcome == "changed":
        raise _changed(name)
    if deleted.outcome == "unknown":
        raise _not_found(name)
    return Response(status=204)


def _read_if_match(context: RequestContext) -> tuple[str, ...] | None:
    """The entity tags of `If-Match`; None: it is not sent."""
    if_match = context.request.headers.get("if-match")
    return None if if_match is None else tuple(_TAG.findall(if_match))


async def _read_alias(services: Services, context: RequestContext) -> Alias:
    """The alias that a body describes. Raises InvalidRequest."""
    body = await read_body(services, context)
    if len(body) > MOST_BYTES:
        raise InvalidRequest(f"The body: An alias has up to {MOST_BYTES} bytes of JSON.")
    reading.check(body)
    alias = reading.decode(_ALIAS, body)
    for at, parameters_ in (("defaults", alias.defaults), ("fixed", alias.fixed)):
        check_format(parameters_.response_format, f"{at}.responseFormat")
    return alias


async def _keep(
    services: Services,
    alias: Alias,
    *,
    may_replace: bool,
    if_match: tuple[str, ...] | None = None,
) -> Response:
    """Keeps an alias with its defaults spelled out, and shows it. Raises InvalidRequest."""
    await _check(services, alias)
    targets = tuple(structs.replace(target, id=target.own_id) for target in alias.targets)
    alias = structs.replace(alias, targets=targets, strategy=alias.order)
    new = NewAlias(alias.name, Raw(msgspec.json.encode(alias)), may_replace, if_match)
    written = await services.aliases.change(PUT_ALIAS, new)
    if written.outcome == "exists":
        raise InvalidRequest(
            f"name: There is an alias {alias.name!r}; PUT /admin/aliases/{alias.name} replaces it.",
            param="name",
            code="alias_exists",
            cause=Cause(status=409),
        )
    if written.outcome == "changed":
        raise _changed(alias.name)
    if reason := _FULL.get(written.outcome):
        raise InvalidRequest(reason)
    kept = KeptAlias(new.body, written.at)
    return _respond_with(kept, _view_of(kept), 201 if written.outcome == "created" else 200)


async def _check(services: Services, alias: Alias) -> None:
    """Raises InvalidRequest for what the catalogue or the other aliases forbid."""
    if alias.name in TIERS or alias.name in services.catalog.providers:
        raise invalid("name", f"{alias.name!r} is a tier's or a provider's name")
    await services.aliases.read()
    if services.aliases.version == UNREAD:
        raise services.aliases.unreachable()
    ids = set[str]()
    for place, target in enumerate(alias.targets):
        at = f"targets[{place}]"
        _check_model(services, alias, target.model, f"{at}.model")
        _check_target(target, at)
        if target.own_id in ids:
            raise invalid(f"{at}.id", f"{target.own_id!r} is another target's; give one")
        ids.add(target.own_id)
    if alias.order == "weighted" and all(target.weight == 0 for target in alias.targets):
        raise invalid("targets[0].weight", "One of the targets must have more than 0")


def _check_model(services: Services, alias: Alias, model: str, at: str) -> None:
    if model == alias.name or model in services.aliases.aliases:
        raise invalid(at, f"{model!r} is an alias; name a model, as provider/model")
    selection = services.selection
    try:
        found = selection.names.find_models(model, None, Needs(), selection.deployment.order)
    except NotFound as error:
        raise invalid(at, error.message) from None
    if not found:
        raise invalid(at, f"No provider has a model of the tier {model!r}")


def _check_target(target: AliasTarget, at: str) -> None:
    length = target.when.prompt_tokens if target.when else None
    if length and length.max is not None and (length.min or 0) > length.max:
        raise invalid(f"{at}.when.promptTokens", "min is above max")
    if target.budget and target.budget.day is None and target.budget.month is None:
        raise invalid(f"{at}.budget", "Give day, month or both")


def _read_allotments(kept: KeptAlias) -> dict[str, Allotment]:
    try:
        return _ALIAS.decode(kept.body).list_allotments()
    except msgspec.DecodeError:  # of another version of the proxy
        return {}


def _count_countable(services: Services, page: AliasPage) -> int:
    """How many aliases of a page, one at least, have no more limits and budgets than one invocation
    can ask for what was used."""
    room = count_free(services)
    for number, kept in enumerate(page.aliases):
        for allotment in _read_allotments(kept).values():
            room -= (allotment.per_hour is not None) + allotment.has_budget
        if room < 0:
            return max(1, number)
    return len(page.aliases)


async def _view(
    services: Services, context: RequestContext, aliases: Sequence[KeptAlias]
) -> list[dict[str, object]]:
    """Aliases as operators see them, with what was used of their targets where the request wants
    that."""
    views = [_view_of(kept) for kept in aliases]
    if wants_usage(context):
        listed = [_read_allotments(kept) for kept in aliases]
        used = iter(await read_target_use(services, [a for its in listed for a in its.values()]))
        for view, its in zip(views, listed, strict=True):
            view["used"] = {id_: next(used) for id_ in its}
    return views


def _view_of(kept: KeptAlias) -> dict[str, object]:
    """An alias as operators see it: its fields, when it was written, and its entity tag."""
    fields: dict[str, object] = msgspec.json.decode(kept.body)
    return fields | {"updatedAt": format_time(kept.at), "etag": kept.etag}


def _respond_with(kept: KeptAlias, view: dict[str, object], status: int = 200) -> Response:
    """Shows one alias."""
    response = _respond(view, status)
    response.headers["etag"] = kept.etag
    return response


def _respond(body: dict[str, object], status: int = 200) -> Response:
    return Response(status=status, headers=dict(FRESH_JSON), body=msgspec.json.encode(body))


def _name_of(context: RequestContext) -> str:
    """The name in the path. Raises NotFound for what can be none, InvalidRequest where it is to be
    one."""
    name = unquote(context.request.path.rstrip("/")).removeprefix("/admin/aliases/")
    if _NAME.match(name):
        return name
    if context.request.method == "PUT":
        raise invalid("name", WORDS[ALIAS_NAME])
    raise _not_found(name)


def _changed(name: str) -> InvalidRequest:
    return InvalidRequest(
        f"if-match: The alias {name!r} is no longer as it was read; read it again.",
        code="alias_changed",
        cause=Cause(status=412),
    )


def _not_found(name: str) -> NotFound:
    return NotFound(f"There is no alias {name[:100]!r}; GET /admin/aliases lists them.")
