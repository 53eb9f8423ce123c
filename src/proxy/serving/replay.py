"""A kept answer as the response to a request."""

from proxy.cache.answers import Hit
from proxy.cache.chunks import chunks_of
from proxy.core.chat import Call, Cost, Served
from proxy.core.web import EVENTS, JSON, Response
from proxy.dialects import cloudflare
from proxy.serving.accounting import bounded, record_served, served_headers
from proxy.serving.context import RequestContext


def replay(
    context: RequestContext, call: Call, key: str, hit: Hit, *, stale: bool = False
) -> Response:
    """Answers with an entry, in the caller's dialect. key: the cache's; stale: in place of an
    answer that no provider gives."""
    entry = hit.entry
    served = Served(
        request_id=context.id,
        provider=entry.provider,
        model=entry.model,
        cost=Cost(0),
        cache_status="stale" if stale else "hit",
        cache_tier=hit.tier,
        ms=context.ms,
        created=int(entry.stored),
        functions=call.functions,
    )
    record_served(context, served)
    record = context.record
    record.input = record.output = 0
    record.saved = bounded(entry.cost.nano_usd) or 0
    headers = served_headers(served) | _cache_headers(context.clock.now(), key, hit, stale=stale)
    if not call.chat.stream:
        body = context.dialect.answer(entry.answer, served)
        return Response(headers=JSON | headers, body=body)
    writer = context.dialect.writer(call, served)
    chunks = b"".join(map(writer.chunk, chunks_of(entry.answer)))
    return Response(headers=EVENTS | headers, body=chunks + writer.done(entry.answer, served))


def _cache_headers(now: float, key: str, hit: Hit, *, stale: bool) -> dict[str, str]:
    """The cache's headers of a kept answer (RFC 9211; age: RFC 9111, 5.1)."""
    entry = hit.entry
    status = f"proxy-{hit.tier}; hit; ttl={entry.remaining(now)}"
    if hit.tier is None:
        status = "proxy-memory; fwd=miss; collapsed"
    elif stale:
        status += "; detail=stale-if-error"
    return {
        "cache-status": status,
        "age": str(entry.age(now)),
        cloudflare.CACHE_STATUS: "HIT",
        "x-proxy-cache-key": key,
    }
