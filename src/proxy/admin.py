"""The operators' paths."""

from typing import get_args

from proxy.access.gate import require_admin
from proxy.cache.answers import AnswerCache
from proxy.cache.purge import Scope
from proxy.core.errors import InvalidRequest
from proxy.core.web import Response
from proxy.exchange import Exchange

SCOPES = tuple(scope for scope in get_args(Scope) if scope != "all")


async def purge_cache(exchange: Exchange, cache: AnswerCache) -> Response:
    """DELETE /admin/cache?key=… | ?model=provider/id | ?user=… | ?all=true. Raises
    InvalidRequest where not exactly one of them is given."""
    if exchange.principal:
        require_admin(exchange.principal)
    query = exchange.request.query
    if unknown := sorted(query.keys() - {*SCOPES, "all"}):
        raise InvalidRequest(f"{unknown[0]}: Unknown parameter", param=unknown[0])
    given = [(scope, query[scope]) for scope in (*SCOPES, "all") if query.get(scope)]
    if len(given) != 1 or (given[0][0] == "all" and given[0][1] != "true"):
        raise InvalidRequest(f"Say what to purge: one of {', '.join(SCOPES)}, or all=true.")
    scope, value = given[0]
    await cache.purge(scope, "" if scope == "all" else value)
    return Response(status=204)
