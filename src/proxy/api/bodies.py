"""The paths of the body log: admins read and delete what is kept, users read their own."""

import asyncio
import re
from collections.abc import Awaitable
from typing import TypeVar
from urllib.parse import unquote

import msgspec

from proxy.analytics.query import parameters
from proxy.analytics.store.messages import LogFilters, LogQuery
from proxy.api.services import Services
from proxy.core.errors import NotFound, PermissionDenied, Unavailable, invalid
from proxy.core.web import FRESH_JSON, Response
from proxy.serving.context import RequestContext

T = TypeVar("T")

SECONDS = 10.0
"""What R2 may take."""
_ROWS = 20
"""Records of one id that are looked at: a caller may give many requests the same."""
_CURSOR = re.compile(r"[0-9a-f-]{1,80}")
_NONE = "Nothing is kept of this request's bodies, or not any more."


async def show_body(services: Services, context: RequestContext) -> Response:
    """GET /analytics/requests/ID/body: an admin's, or the caller's own. Raises PermissionDenied for
    a viewer, NotFound."""
    principal, bodies = context.principal, services.bodies
    assert principal  # the path is not public
    if principal.sees_all and not principal.admin:
        raise PermissionDenied("What callers say is read by admins, and by the caller itself.")
    id_ = unquote(context.request.path.split("/")[3])
    name = await _find_name(services, id_, None if principal.admin else principal.user)
    if bodies is None or not name:
        raise NotFound(_NONE)
    found = await _wait_for(services, bodies.read(name))
    if found is None:
        raise NotFound(_NONE)
    return Response(headers=dict(FRESH_JSON), body=msgspec.json.encode(found))


async def delete_bodies(services: Services, context: RequestContext) -> Response:
    """DELETE /admin/bodies?user=NAME[&cursor=…]: what is kept of a user. Raises InvalidRequest,
    NotFound where nothing is kept at all."""
    query = context.request.query
    parameters.check_names(query, ("user", "cursor"))
    user, cursor = query.get("user", ""), query.get("cursor", "")
    if not 1 <= len(user) <= parameters.LONGEST:
        raise invalid("user", f"Must have 1 to {parameters.LONGEST} characters")
    if cursor and not _CURSOR.fullmatch(cursor):
        raise invalid("cursor", "Must be `next` of the page before")
    if services.bodies is None:
        raise NotFound("No bodies are kept here: there is no R2 bucket (CACHE_R2).")
    deleted = await _wait_for(services, services.bodies.delete_of(user, cursor))
    return Response(headers=dict(FRESH_JSON), body=msgspec.json.encode(deleted))


async def _find_name(services: Services, id_: str, user: str | None) -> str:
    """The name in the newest record of that id which has one, empty where none has. user: the only
    one whose records count; None: all do."""
    filters: LogFilters = {"id": id_} if user is None else {"id": id_, "user": user}
    pages = await services.reader.read_pages(lambda _: LogQuery(limit=_ROWS, filters=filters))
    rows = [row for page in pages for row in page.rows if row.record.body]
    return max(rows, key=lambda row: row.logged_at).record.body if rows else ""


async def _wait_for(services: Services, work: Awaitable[T]) -> T:
    """What R2 answers. Raises InternalError (503) where it does not."""
    try:
        async with asyncio.timeout(SECONDS):
            return await work
    except Exception as error:
        services.ports.log("error", "bodies unreachable", error=repr(error)[:500])
        raise Unavailable(
            "The bodies can't be reached now. Try again.", code="bodies_unreachable", retry_after=1
        ) from None
