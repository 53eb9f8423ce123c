"""The body of a request, within what the isolate's memory has room for."""

from proxy.api.services import Services
from proxy.core.body_memory import weigh
from proxy.core.codings import decode, find_coding
from proxy.core.errors import PayloadTooLarge, UnsupportedMediaType
from proxy.serving.context import RequestContext

_JSON = "application/json"


BUILT_ANEW = ("messages", "responses")
"""The dialects whose texts are read and written again for a provider of another one: a body counts
for half as much again, as far as one alone may."""


async def read_body(services: Services, context: RequestContext) -> bytes:
    """Reads and decodes a body that must be JSON. Raises UnsupportedMediaType, PayloadTooLarge,
    InvalidRequest for a coding that is none, InternalError (503) where there is no room."""
    headers, hold, unbrotli = context.request.headers, context.hold, services.ports.unbrotli
    _check_type(headers.get("content-type", _JSON))
    assert hold  # what a request holds is counted if it comes from outside
    named = headers.get("content-encoding")
    coding = find_coding(named, brotli=unbrotli is not None) if named else None
    limit = min(services.settings.server.max_body_bytes, hold.limit)
    body = await context.request.read(limit)
    if coding:
        try:
            body = decode(coding, body, min(limit, hold.room), unbrotli)
        except PayloadTooLarge:
            hold.keep(limit)  # raises where it is others that take the room
            raise
    size = weigh(body, hold.limit // 8)
    if context.dialect.NAME in BUILT_ANEW:
        size = max(size, min(size * 3 // 2, hold.limit))
    if services.guard:
        size += services.guard.weigh(body)
    hold.keep(size)
    if services.notes:
        services.notes.take_request(context, body)
    context.begin_stage()
    return body


def _check_type(content_type: str) -> None:
    if content_type == _JSON:
        return
    kind = content_type.partition(";")[0].strip().lower()
    if kind != _JSON and not kind.endswith("+json"):
        raise UnsupportedMediaType(
            f"The body must be JSON: send `content-type: application/json`, not {kind[:100]}."
        )
