"""What is offered: each path and method as a function of the isolate's parts and the request."""

from urllib.parse import unquote

import msgspec
from msgspec import structs

from proxy import __version__
from proxy.analytics.query.prometheus import State
from proxy.api import keys as key_admin
from proxy.api import operations as admin
from proxy.api.services import Parts
from proxy.batch import run as batch
from proxy.core.body_memory import weight
from proxy.core.codings import coding_of, decode
from proxy.core.errors import NotFound, PayloadTooLarge, UnsupportedMediaType
from proxy.core.principal import Grant
from proxy.core.web import Response
from proxy.dialects import native, openai
from proxy.limits.estimate import EmbeddingEstimate
from proxy.routing.retry import retrying
from proxy.serving.asking import admitted, note_asked, served_by, timed
from proxy.serving.context import JSON, Exchange


async def generate(parts: Parts, exchange: Exchange) -> Response:
    """POST /v1/generate."""
    return await parts.chat.answer(exchange, native.parse_chat(await _body(parts, exchange)))


async def chat_completions(parts: Parts, exchange: Exchange) -> Response:
    """POST /v1/chat/completions."""
    return await parts.chat.answer(exchange, openai.parse_chat(await _body(parts, exchange)))


async def run_batch(parts: Parts, exchange: Exchange) -> Response:
    """POST /v1/batch."""
    return await batch.answer(exchange, parts.chat, parts.room, await _body(parts, exchange))


async def embeddings(parts: Parts, exchange: Exchange) -> Response:
    """POST /v1/embeddings."""
    ask = openai.parse_embeddings(await _body(parts, exchange))
    headers = exchange.request.headers
    ask = structs.replace(
        ask,
        routing=timed(ask.routing, headers),
        passed_on=exchange.passed_on,
        caller_key=exchange.caller_key,
    )
    tries = retrying(headers, parts.manager.retrying)
    note_asked(exchange, ask.routing, ask.metadata)
    exchange.lap("parse")
    meter = await admitted(exchange, parts.limiter)
    exchange.lap("limit")
    meter.estimate = EmbeddingEstimate(ask)
    try:
        vectors, done = await parts.manager.embed(ask, meter, exchange.began, tries, exchange.hold)
        usage = vectors.usage or meter.expected(None)
        served = served_by(exchange, done, done.cost(usage, estimated=vectors.usage is None))
        done.reservation.settle(usage, served.cost)
    finally:
        meter.close()
    exchange.used(usage)
    return Response(headers=JSON | exchange.tell(served), body=openai.embeddings(vectors, served))


async def figures(parts: Parts, exchange: Exchange) -> Response:
    """GET /analytics."""
    return await parts.observatory.figures(exchange)


async def requests(parts: Parts, exchange: Exchange) -> Response:
    """GET /analytics/requests."""
    return await parts.observatory.requests(exchange)


async def insights(parts: Parts, exchange: Exchange) -> Response:
    """GET /analytics/insights."""
    return await parts.observatory.insights(exchange)


async def metrics(parts: Parts, exchange: Exchange) -> Response:
    """GET /metrics."""
    await parts.watch.start(exchange.request.defer)
    configured = parts.selection.configured
    state = State(
        version=__version__,
        environment=parts.config.environment,
        breakers={name: view.phase for name, view in parts.watch.views().items()},
        configured={name: name in configured for name in parts.catalog.providers},
        heap_bytes=parts.ports.heap(),
        cache_entries=parts.cache.memory.entries,
        cache_bytes=parts.cache.memory.bytes,
        uptime=parts.ports.clock.now() - parts.began,
    )
    return await parts.observatory.metrics(state, parts.catalog.models.keys())


async def purge(parts: Parts, exchange: Exchange) -> Response:
    """DELETE /admin/cache."""
    return await admin.purge_cache(exchange, parts.cache, parts.selection.names)


async def limits(parts: Parts, exchange: Exchange) -> Response:
    """GET /admin/limits."""
    return await admin.show_limits(exchange, parts.ports, parts.catalog.providers, parts.ring)


async def reset_limits(parts: Parts, exchange: Exchange) -> Response:
    """DELETE /admin/limits."""
    providers, ring = parts.catalog.providers, parts.ring
    return await admin.reset_limits(exchange, parts.ports, providers, ring, parts.limiter)


async def breakers(parts: Parts, exchange: Exchange) -> Response:
    """GET /admin/breakers."""
    return await admin.show_breakers(exchange, parts.watch)


async def reset_breakers(parts: Parts, exchange: Exchange) -> Response:
    """DELETE /admin/breakers."""
    return await admin.reset_breakers(exchange, parts.watch, parts.catalog.providers)


async def keys(parts: Parts, exchange: Exchange) -> Response:
    """GET /admin/keys."""
    return await key_admin.list_keys(exchange, parts.ring)


async def issue_key(parts: Parts, exchange: Exchange) -> Response:
    """POST /admin/keys."""
    body = await _body(parts, exchange)
    environment, providers = parts.config.environment, parts.catalog.providers
    return await key_admin.issue(exchange, parts.ring, environment, providers, body)


async def key(parts: Parts, exchange: Exchange) -> Response:
    """GET /admin/keys/ID."""
    return await key_admin.show(exchange, parts.ring)


async def revoke_key(parts: Parts, exchange: Exchange) -> Response:
    """DELETE /admin/keys/ID."""
    return await key_admin.revoke(exchange, parts.ring)


async def rotate_key(parts: Parts, exchange: Exchange) -> Response:
    """POST /admin/keys/ID/rotate."""
    body = await _body(parts, exchange)
    return await key_admin.rotate(exchange, parts.ring, parts.config.environment, body)


def models(parts: Parts, exchange: Exchange) -> Response:
    """GET /v1/models."""
    return Response(
        headers=dict(JSON), body=openai.models(parts.selection.listing(_grant(exchange)))
    )


def model(parts: Parts, exchange: Exchange) -> Response:
    """GET /v1/models/ID."""
    id_ = unquote(exchange.request.path.partition("/models/")[2].rstrip("/"))
    if entry := parts.selection.entry(id_, _grant(exchange)):
        return Response(headers=dict(JSON), body=openai.model(entry))
    raise NotFound(
        f"The model {id_[:200]!r} is not offered here; GET /v1/models lists those that are.",
        param="model",
        code="model_not_found",
    )


def home(parts: Parts, exchange: Exchange) -> Response:
    """GET /: the web page is at /dashboard."""
    return Response(status=302, headers={"location": "/dashboard", "cache-control": "no-store"})


def alive(parts: Parts, exchange: Exchange) -> Response:
    """GET /health: this Worker is alive; no provider is asked."""
    state = {
        "status": "ok",
        "version": __version__,
        "environment": parts.config.environment,
    }
    return Response(headers={**JSON, "cache-control": "no-store"}, body=msgspec.json.encode(state))


async def provider_health(parts: Parts, exchange: Exchange) -> Response:
    """GET /health/providers: each provider's state and last check."""
    checks = await parts.observatory.last_checks()
    await parts.watch.start(exchange.request.defer)
    report = parts.selection.report(checks, parts.watch.views())
    body = msgspec.json.encode({"providers": report})
    return Response(headers={**JSON, "cache-control": "no-store"}, body=body)


async def _body(parts: Parts, exchange: Exchange) -> bytes:
    """The body of a request that must be JSON."""
    kind = exchange.request.headers.get("content-type", "application/json")
    kind = kind.partition(";")[0].strip().lower()
    if kind != "application/json" and not kind.endswith("+json"):
        raise UnsupportedMediaType(
            f"The body must be JSON: send `content-type: application/json`, not {kind[:100]}."
        )
    hold, unbrotli = exchange.hold, parts.ports.unbrotli
    assert hold  # of a request that comes from outside what it holds is counted
    named = exchange.request.headers.get("content-encoding")
    coding = coding_of(named, brotli=unbrotli is not None) if named else None
    limit = min(parts.config.max_body_bytes, hold.limit)
    body = await exchange.request.read(limit)
    if coding:
        try:
            body = decode(coding, body, min(limit, hold.room), unbrotli)
        except PayloadTooLarge:
            hold.keep(limit)  # raises where it is others that take the room
            raise
    hold.keep(weight(body, hold.limit // 8))
    exchange.lap("read")
    return body


def _grant(exchange: Exchange) -> Grant:
    return exchange.principal.grant if exchange.principal else Grant()
