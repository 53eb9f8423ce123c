"""A kept answer as the response to a request."""

from typing import Literal

from msgspec import Struct, structs

from proxy.cache.answers import Hit
from proxy.cache.chunks import chunks_of
from proxy.core.chat import Answer, Call, Cost, Served
from proxy.core.web import EVENTS, JSON, Response
from proxy.dialects import cloudflare
from proxy.serving.accounting import bounded, record_served, served_headers
from proxy.serving.context import RequestContext

LONGEST_KEPT = 4096
"""Bytes of a body that is kept beside the answer that it shows: 2 MB of all that are recalled."""


class Rendered(Struct, frozen=True):
    """A kept answer in the dialect of a caller."""

    hit: Hit
    served: Served
    saved: int
    """Nano-dollars that the answer had cost."""
    headers: dict[str, str]
    """Those that no time changes."""
    body: bytes

    @property
    def is_for_all(self) -> bool:
        """Whether it is worth keeping for requests of the same bytes, and true of each: what a
        dialect says of a request beside its id goes with the id."""
        ids = self.served.request_id.encode(), self.served.answer_id.encode()
        return len(self.body) <= LONGEST_KEPT and not any(id_ in self.body for id_ in ids)

    def without_answer(self) -> "Rendered":
        """The same without the answer, which the body holds."""
        entry = structs.replace(self.hit.entry, answer=Answer())
        return structs.replace(self, hit=structs.replace(self.hit, entry=entry))


def replay(
    context: RequestContext, call: Call, key: str, hit: Hit, *, stale: bool = False
) -> Response:
    """Answers with an entry, in the caller's dialect. key: the cache's; stale: in place of an
    answer that no provider gives."""
    return show(context, render(context, call, key, hit, "stale" if stale else "hit"), hit)


def render(
    context: RequestContext, call: Call, key: str, hit: Hit, status: Literal["hit", "stale"] = "hit"
) -> Rendered:
    """Renders an entry in the caller's dialect. key: the cache's."""
    entry = hit.entry
    served = Served(
        request_id=context.id,
        answer_id=context.answer_id,
        provider=entry.provider,
        model=entry.model,
        cost=Cost(0),
        cache_status=status,
        cache_tier=hit.tier,
        ms=context.ms,
        created=int(entry.stored),
    )
    if context.note:
        context.note.take_answer(context.dialect.answer(entry.answer, call, served))
    marks = {cloudflare.CACHE_STATUS: "HIT", "x-proxy-cache-key": key}
    answer, restoring = entry.answer, context.restoring
    if restoring:
        answer = restoring.restore_answer(answer)
    if call.chat.stream:
        writer = context.dialect.writer(call, served)
        chunks = b"".join(map(writer.chunk, chunks_of(answer)))
        kind, body = EVENTS, chunks + writer.done(answer, served)
        response = writer.response
    else:
        kind, body = JSON, context.dialect.answer(answer, call, served)
        response = body
    if restoring:  # what repeats the request
        body, response = restoring.restore_json(body), response and restoring.restore_json(response)
    if response and context.keep_response:
        context.keep_response(response)
    saved = bounded(entry.cost.nano_usd) or 0
    return Rendered(hit, served, saved, kind | served_headers(served) | marks, body)


def show(context: RequestContext, rendered: Rendered, hit: Hit) -> Response:
    """Answers with an entry that is rendered. hit: the entry as it was found now."""
    record_served(context, rendered.served)
    record = context.record
    record.input = record.output = 0
    record.saved = rendered.saved
    now, entry = context.clock.now(), hit.entry
    status = f"proxy-{hit.tier}; hit; ttl={entry.remaining(now)}"
    if hit.tier is None:
        status = "proxy-memory; fwd=miss; collapsed"
    elif rendered.served.cache_status == "stale":
        status += "; detail=stale-if-error"
    # RFC 9211; age: RFC 9111, 5.1.
    headers = {**rendered.headers, "cache-status": status, "age": str(entry.age(now))}
    return Response(headers=headers, body=rendered.body)
