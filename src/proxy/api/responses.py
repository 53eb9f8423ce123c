"""The paths of OpenAI's Responses: what is answered, and what is kept of it for its key."""

import re
from collections.abc import Callable, Sequence
from urllib.parse import unquote

import msgspec
from msgspec import Raw, Struct, structs

from proxy.api.body import read_body
from proxy.api.messages import ESTIMATED
from proxy.api.services import Services
from proxy.core.body_memory import Hold
from proxy.core.errors import InvalidRequest, NotFound
from proxy.core.principal import Principal
from proxy.core.web import FRESH_JSON, Response
from proxy.dialects import responses
from proxy.dialects.responses_references import (
    References,
    expand,
    forbid_store,
    item_not_found,
    read_items,
    read_reference,
    response_not_found,
)
from proxy.limits.estimate import count_input_tokens
from proxy.responses.messages import ContextQuery, Exchange, InputQuery
from proxy.responses.store import ResponseStore
from proxy.serving.context import RequestContext

MOST_ITEMS = 100
"""Input items that one page may hold."""
_LIMIT = re.compile(r"[0-9]{1,4}")


async def create_response(services: Services, context: RequestContext) -> Response:
    """POST /v1/responses. Raises ProxyError."""
    given = await read_body(services, context)
    references = read_reference(given)
    body, earlier = given, 0
    if references:
        body, earlier = await _put_in_place(services, context, given, references)
    if services.responses is None and references.store:
        body = forbid_store(body)
    seen = await services.guard.screen(context, body) if services.guard else body
    call = responses.parse_chat(seen)
    store = services.responses if references.store else None
    echo = {"previous_response_id": references.previous, "store": store is not None}
    call = structs.replace(call, echo=call.echo | echo)
    if store:
        items = read_items(body)[earlier:]
        context.keep_response = _make_keeper(context, store, references.previous, items)
    return await services.chat.answer(context, call)


async def count_input(services: Services, context: RequestContext) -> Response:
    """POST /v1/responses/input_tokens: an estimate, which costs nothing, but counts as a request.
    Raises ProxyError."""
    body = await read_body(services, context)
    await services.tasks.admit(context)
    if references := read_reference(body):
        body, _ = await _put_in_place(services, context, body, references)
    call = await services.aliasing.apply_words(context, responses.parse_chat(body))
    count = count_input_tokens(call.chat)
    return Response(headers=FRESH_JSON | ESTIMATED, body=responses.input_tokens(count))


async def show_response(services: Services, context: RequestContext) -> Response:
    """GET /v1/responses/ID. Raises NotFound."""
    store, owner, id_ = _find_store(services, context)
    found = await store.find(owner, id_)
    if found is None:
        raise _not_found(id_)
    return Response(headers=dict(FRESH_JSON), body=bytes(found))


async def delete_response(services: Services, context: RequestContext) -> Response:
    """DELETE /v1/responses/ID. Raises NotFound."""
    store, owner, id_ = _find_store(services, context)
    if not await store.delete(owner, id_):
        raise _not_found(id_)
    body = msgspec.json.encode({"id": id_, "object": "response", "deleted": True})
    return Response(headers=dict(FRESH_JSON), body=body)


async def list_input(services: Services, context: RequestContext) -> Response:
    """GET /v1/responses/ID/input_items. Raises NotFound, InvalidRequest."""
    store, owner, id_ = _find_store(services, context)
    query = context.request.query
    limit = query.get("limit", "20")
    if not (_LIMIT.fullmatch(limit) and 1 <= int(limit) <= MOST_ITEMS):
        raise InvalidRequest(f"limit: Expected 1 to {MOST_ITEMS}", param="limit")
    if query.get("order", "desc") not in ("asc", "desc"):
        raise InvalidRequest("order: Expected asc or desc", param="order")
    page = await store.list_input(
        owner,
        InputQuery(
            id=id_,
            after=query.get("after"),
            limit=int(limit),
            newest_first=query.get("order", "desc") == "desc",
        ),
    )
    if not page.is_kept:
        raise _not_found(id_)
    ids = [_HEAD.decode(item).id for item in page.items]
    body = {
        "object": "list",
        "data": page.items,
        "first_id": ids[0] if ids else None,
        "last_id": ids[-1] if ids else None,
        "has_more": page.has_more,
    }
    return Response(headers=dict(FRESH_JSON), body=msgspec.json.encode(body))


class _Head(Struct, frozen=True):
    id: str | None = None


_HEAD = msgspec.json.Decoder(_Head)


async def _put_in_place(
    services: Services, context: RequestContext, body: bytes, references: References
) -> tuple[bytes, int]:
    """The body with what it refers to in place, and how many items stand before its own. Raises
    InvalidRequest and NotFound for what is not kept, PayloadTooLarge and InternalError (503) where
    there is no room for that."""
    store, owner, hold = services.responses, context.principal, context.hold
    if store is None or owner is None:
        if references.previous:
            raise response_not_found(references.previous)
        raise item_not_found(references.items[0])
    room = hold.room if hold else services.settings.server.max_body_bytes
    query = ContextQuery(previous=references.previous, items=references.items, limit=room)
    found = await store.read_context(owner, query)
    if references.previous and not found.has_previous:
        raise response_not_found(references.previous)
    repeated = (found.items[id_] for id_ in references.items if id_ in found.items)
    size = sum(len(memoryview(item)) for item in (*found.earlier, *repeated))
    if hold:  # before it is made: an item may be repeated thousands of times
        hold.keep(hold.size + len(body) + size)
    return expand(body, found.earlier, found.items), len(found.earlier)


def _make_keeper(
    context: RequestContext, store: ResponseStore, previous: str | None, items: Sequence[Raw]
) -> Callable[[bytes], None]:
    """What has a whole response kept, after the answer. items: the request's own."""
    owner = context.principal
    assert owner  # the path is not public

    def keep(response: bytes) -> None:
        if id_ := _HEAD.decode(response).id:
            exchange = Exchange(id=id_, previous=previous, input=tuple(items), body=Raw(response))
            hold = _take_over(context, exchange.size)
            context.request.defer(_keep_held(store, owner, exchange, hold))

    return keep


def _take_over(context: RequestContext, size: int) -> Hold | None:
    """Counts what is kept after the request's end, out of what the request holds."""
    if context.hold is None:
        return None
    hold = context.hold.fork()
    context.hold.keeps(max(context.hold.size - size, 0))
    hold.keeps(size)
    return hold


async def _keep_held(
    store: ResponseStore, owner: Principal, exchange: Exchange, hold: Hold | None
) -> None:
    try:
        await store.keep(owner, exchange)
    finally:
        if hold:
            hold.release()


def _find_store(
    services: Services, context: RequestContext
) -> tuple[ResponseStore, Principal, str]:
    """The store, its owner, and the id that the path names. Raises NotFound."""
    id_ = unquote(context.request.path.partition("/responses/")[2].partition("/")[0])
    store, owner = services.responses, context.principal
    if store is None or owner is None:
        raise _not_found(id_)
    return store, owner, id_


def _not_found(id_: str) -> NotFound:
    return NotFound(f"Response with id '{id_[:200]}' not found.", param="response_id")
