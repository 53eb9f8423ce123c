"""The operators' paths for the budgets of teams and tags."""

import re
from contextlib import suppress
from urllib.parse import unquote

import msgspec
from msgspec import Struct

from proxy.analytics.query import parameters
from proxy.api.body import read_body
from proxy.api.key_bodies import BudgetBody
from proxy.api.services import Services
from proxy.api.usage import Used, bound_page, read_used
from proxy.core import base64url
from proxy.core.errors import InvalidRequest, NotFound, invalid
from proxy.core.forms import GROUP_NAME, WORDS
from proxy.core.money import to_dollars, to_nano
from proxy.core.replica import UNREAD
from proxy.core.web import FRESH_JSON, Response
from proxy.dialects import reading
from proxy.limits.budget_book import MOST_BUDGETS
from proxy.limits.shared_budgets import (
    DELETE_BUDGET,
    FIND_BUDGET,
    PUT_BUDGET,
    READ_BUDGETS,
    SharedBudget,
)
from proxy.serving.context import RequestContext

_BUDGET = msgspec.json.Decoder(BudgetBody)
_NAME = re.compile(GROUP_NAME)


class ShownBudget(Struct, frozen=True):
    """A budget as operators see it, in dollars."""

    name: str
    day: float | None
    month: float | None
    used: Used


class BudgetPage(Struct, frozen=True):
    """A page of budgets."""

    budgets: list[ShownBudget]
    next: str | None


async def list_budgets(services: Services, context: RequestContext) -> Response:
    """GET /admin/budgets[?limit=…&cursor=…]: by their names, a page at a time. Raises
    InvalidRequest."""
    query = context.request.query
    parameters.check_names(query, ("limit", "cursor"))
    limit = bound_page(services, parameters.read_limit(query.get("limit", parameters.PAGE)))
    last = _read_cursor(query["cursor"]) if "cursor" in query else ""
    found = (await services.limiter.budgets.call(READ_BUDGETS, UNREAD)).budgets or ()
    left = [budget for budget in found if budget.name > last]
    page = left[:limit]
    following = _encode_cursor(page[-1].name) if len(left) > limit else None
    return _respond(BudgetPage(await _view(services, *page), following))


async def show_budget(services: Services, context: RequestContext) -> Response:
    """GET /admin/budgets/team:NAME, /admin/budgets/tag:NAME. Raises NotFound."""
    name = _name_of(context)
    found = (await services.limiter.budgets.call(FIND_BUDGET, name)).budget
    if found is None:
        raise _not_found(name)
    [view] = await _view(services, found)
    return _respond(view)


async def put_budget(services: Services, context: RequestContext) -> Response:
    """PUT /admin/budgets/team:NAME: makes it, or replaces it. Raises InvalidRequest."""
    name, body = _name_of(context), await read_body(services, context)
    reading.check(body)
    given = reading.decode(_BUDGET, body)
    if given.day is None and given.month is None:
        raise InvalidRequest("The body: Give day, month or both.")
    budget = SharedBudget(name=name, day=to_nano(given.day), month=to_nano(given.month))
    written = await services.limiter.budgets.change(PUT_BUDGET, budget)
    if written.outcome == "too many":
        raise InvalidRequest(f"There are {MOST_BUDGETS:,} budgets already; delete one.")
    [view] = await _view(services, budget)
    return _respond(view, status=201 if written.outcome == "created" else 200)


async def delete_budget(services: Services, context: RequestContext) -> Response:
    """DELETE /admin/budgets/team:NAME. Raises NotFound."""
    name = _name_of(context)
    if not await services.limiter.budgets.change(DELETE_BUDGET, name):
        raise _not_found(name)
    return Response(status=204)


async def _view(services: Services, *budgets: SharedBudget) -> list[ShownBudget]:
    used = await read_used(services, [budget.name for budget in budgets])
    return [
        ShownBudget(budget.name, to_dollars(budget.day), to_dollars(budget.month), spent)
        for budget, spent in zip(budgets, used, strict=True)
    ]


def _respond(body: ShownBudget | BudgetPage, status: int = 200) -> Response:
    return Response(status=status, headers=dict(FRESH_JSON), body=msgspec.json.encode(body))


def _encode_cursor(last: str) -> str:
    """The cursor of the page after a name."""
    return base64url.encode(last.encode())


def _read_cursor(cursor: str) -> str:
    """The last name of the page before. Raises InvalidRequest."""
    with suppress(ValueError):
        last = base64url.decode(cursor).decode()
        if _is_name(last) and _encode_cursor(last) == cursor:
            return last
    raise invalid("cursor", "Must be `next` of the page before")


def _is_name(name: str) -> bool:
    of, _, group = name.partition(":")
    return of in ("team", "tag") and _NAME.match(group) is not None


def _name_of(context: RequestContext) -> str:
    """The name in the path. Raises NotFound for what can be none, InvalidRequest where it is to be
    one."""
    name = unquote(context.request.path.rstrip("/")).removeprefix("/admin/budgets/")
    if _is_name(name):
        return name
    if context.request.method == "PUT":
        raise invalid("name", f"Must be team:NAME or tag:NAME. NAME: {WORDS[GROUP_NAME]}")
    raise _not_found(name)


def _not_found(name: str) -> NotFound:
    return NotFound(f"There is no budget {name[:100]!r}; GET /admin/budgets lists them.")
