"""The pipeline: a request goes once through every room, in the order of this file.

Route, let in, read what is asked, have it answered, tell. The parts are built once an isolate
from the settings; nothing here knows the platform.
"""

import asyncio
import re
from collections.abc import Callable, Coroutine, Mapping
from typing import Any, TypeAlias
from urllib.parse import unquote

import msgspec
from msgspec import Struct, structs

from proxy import __version__, admin, batch, key_admin
from proxy.access.gate import Gate, require_admin
from proxy.access.ring import KeyRing
from proxy.analytics import line
from proxy.analytics.event import Event
from proxy.analytics.recorder import Recorder
from proxy.asking import admitted, note_asked, served_by
from proxy.cache.tiers import prune_prefix
from proxy.core import config as settings
from proxy.core.chat import Cost, Usage
from proxy.core.errors import (
    InternalError,
    MethodNotAllowed,
    NotFound,
    ProxyError,
    UnsupportedMediaType,
)
from proxy.core.ports import Ports
from proxy.core.principal import Grant, Principal
from proxy.core.web import Request, Response
from proxy.dialects import native, openai
from proxy.dialects.contract import Dialect
from proxy.exchange import JSON, Exchange, estimated_cost, preflight
from proxy.limits.estimate import embedding_tokens
from proxy.limits.limiter import Limiter
from proxy.observe import Observatory
from proxy.providers.catalog import Catalog
from proxy.routing import health
from proxy.routing.manager import Manager
from proxy.routing.selection import Selection
from proxy.routing.watch import Watch
from proxy.serve import Chat, build_cache

Reaction: TypeAlias = Response | Coroutine[Any, Any, Response]
"""An answer, or the coroutine that gives it where it must wait."""


class App:
    """The proxy of one isolate."""

    def __init__(self, env: Mapping[str, str], ports: Ports) -> None:
        """env: the Worker's vars and secrets. Raises ConfigError, or ValueError for a wrong
        catalogue."""
        self._ports = ports
        self._catalog = Catalog.load()
        self._config = config = settings.read(env, self._catalog.providers)
        self._recorder = Recorder(
            ports.statistics if config.analytics else None,
            config.analytics_shards,
            ports.points if config.analytics else None,
            None,
            ports.clock,
            ports.random,
            ports.log,
        )
        self._observatory = Observatory(config, ports, self._recorder)
        self._ring = KeyRing(ports.keys, ports.clock, ports.log)
        self._gate = Gate(self._config, self._ring)
        self._limiter = Limiter(self._config, ports)
        self._selection = Selection(self._catalog, self._config, ports.bindings)
        self._watch = Watch(self._config, ports.board, ports.clock, ports.random, ports.log)
        self._manager = Manager(self._config, self._selection, self._watch, ports)
        self._cache = build_cache(self._config, ports)
        self._chat = Chat(
            self._config, self._selection, self._manager, self._cache, ports.flights, self._limiter
        )

    def handle(self, request: Request) -> Reaction:
        """Answers a request, whatever it is: at once, or by a coroutine where it must wait."""
        path = _find(request.path)
        exchange = Exchange(request, self._ports, self._record, path.name, path.dialect)
        try:
            reaction = self._enter(exchange, path)
        except Exception as error:
            return self._end(exchange, self._refuse(exchange, error))
        if isinstance(reaction, Response):
            return self._end(exchange, reaction)
        return self._wait(exchange, reaction)

    async def scheduled(self) -> None:
        """The cron trigger's work: what is over is pruned, and health is checked. What fails of
        it keeps nothing else from being done; the first failure is raised then."""
        work = [self._prune_cache, self._check_providers]
        if self._config.analytics:
            work.append(self._observatory.prune)
        done = await asyncio.gather(*(each() for each in work), return_exceptions=True)
        for result in done:
            if isinstance(result, BaseException):
                raise result

    async def _prune_cache(self) -> None:
        if self._ports.r2:
            removed = await self._ports.r2.prune(prune_prefix(self._ports.clock.now()))
            self._ports.log("info", "cache pruned", removed=removed)

    async def _check_providers(self) -> None:
        ports = self._ports
        targets = [self._selection.probe_target(name) for name in self._selection.configured]
        checks = await health.check_all(targets, ports.upstream, ports.clock)
        for check in checks:
            if not check.healthy:
                ports.log("warning", "provider unhealthy", **msgspec.structs.asdict(check))
        await health.record(checks, ports.board)

    # --- in and out -----------------------------------------------------------------------

    def _enter(self, exchange: Exchange, path: "Path") -> Reaction:
        request = exchange.request
        method = "GET" if request.method == "HEAD" else request.method
        if not path.methods:
            raise NotFound(f"There is nothing at {request.path[:200]}.")
        if method == "OPTIONS":
            return preflight(request, path.allow, self._config)
        if method not in path.methods:
            raise MethodNotAllowed(
                f"{request.method} is not allowed here; {', '.join(path.allow)} is.",
                allow=path.allow,
            )
        if path.public:
            return path.methods[method](self, exchange)
        authorization = request.headers.get("authorization")
        caller = self._gate.admit(authorization, request.headers.get("cf-connecting-ip", ""))
        if isinstance(caller, Principal):
            return self._within(exchange, path, method, caller)
        return self._let_in(exchange, path, method, caller)

    def _within(
        self, exchange: Exchange, path: "Path", method: str, principal: Principal
    ) -> Reaction:
        exchange.principal = principal
        if path.admin:
            require_admin(principal)
        exchange.lap("auth")
        return path.methods[method](self, exchange)

    async def _let_in(
        self,
        exchange: Exchange,
        path: "Path",
        method: str,
        caller: Coroutine[Any, Any, Principal],
    ) -> Response:
        """Lets in a caller whose key must be looked up."""
        reaction = self._within(exchange, path, method, await caller)
        return reaction if isinstance(reaction, Response) else await reaction

    async def _wait(self, exchange: Exchange, reaction: Coroutine[Any, Any, Response]) -> Response:
        try:
            response = await reaction
        except Exception as error:
            response = self._refuse(exchange, error)
        return self._end(exchange, response)

    def _refuse(self, exchange: Exchange, error: Exception) -> Response:
        if not isinstance(error, ProxyError):
            self._ports.log("error", "bug", request_id=exchange.id, error=repr(error)[:500])
            error = InternalError("The proxy made a mistake; it has been logged.")
        return exchange.refusal(error)

    def _end(self, exchange: Exchange, response: Response) -> Response:
        if response.stream is None:
            exchange.end(response.status, len(response.body))
        return exchange.finish(response, self._config.cors_origins)

    def _record(self, exchange: Exchange, event: Event) -> None:
        """Takes the event of a request that is over. What is not named in PATHS, and questions
        whether the proxy is alive, are no traffic."""
        counted = exchange.endpoint not in ("", "/health") and event.method != "OPTIONS"
        self._recorder.record(event, exchange.request.defer, counted=counted)
        if self._config.profile:
            exchange.lap("answer")
            spent = {stage: round(s * 1000, 3) for stage, s in exchange.stages.items()}
            self._ports.log("info", "profile", request_id=event.id, total_ms=event.ms, **spent)

    async def _body(self, exchange: Exchange) -> bytes:
        """The body of a request that must be JSON."""
        kind = exchange.request.headers.get("content-type", "application/json")
        kind = kind.partition(";")[0].strip().lower()
        if kind != "application/json" and not kind.endswith("+json"):
            raise UnsupportedMediaType(
                f"The body must be JSON: send `content-type: application/json`, not {kind[:100]}."
            )
        body = await exchange.request.read(self._config.max_body_bytes)
        exchange.lap("read")
        return body

    # --- what is offered ------------------------------------------------------------------

    async def generate(self, exchange: Exchange) -> Response:
        """POST /v1/generate."""
        return await self._chat.answer(exchange, native.parse_chat(await self._body(exchange)))

    async def chat_completions(self, exchange: Exchange) -> Response:
        """POST /v1/chat/completions."""
        return await self._chat.answer(exchange, openai.parse_chat(await self._body(exchange)))

    async def batch(self, exchange: Exchange) -> Response:
        """POST /v1/batch."""
        return await batch.answer(exchange, self._chat, await self._body(exchange))

    async def embeddings(self, exchange: Exchange) -> Response:
        """POST /v1/embeddings."""
        ask = openai.parse_embeddings(await self._body(exchange))
        note_asked(exchange, ask.routing)
        exchange.lap("parse")
        meter = await admitted(exchange, self._limiter)
        exchange.lap("limit")
        estimated = Usage(input=embedding_tokens(ask))
        meter.estimate = lambda _: estimated
        try:
            vectors, done = await self._manager.embed(ask, meter)
        except BaseException:
            meter.settle(None, Cost(0))
            raise
        usage = vectors.usage or estimated
        served = served_by(exchange, done, usage)
        meter.settle(usage, served.cost)
        exchange.used(usage)
        if not vectors.usage:
            served = structs.replace(served, cost=estimated_cost(served.cost))
        return Response(
            headers=JSON | exchange.tell(served), body=openai.embeddings(vectors, served)
        )

    async def figures(self, exchange: Exchange) -> Response:
        """GET /analytics."""
        return await self._observatory.figures(exchange)

    async def requests(self, exchange: Exchange) -> Response:
        """GET /analytics/requests."""
        return await self._observatory.requests(exchange)

    async def purge(self, exchange: Exchange) -> Response:
        """DELETE /admin/cache."""
        return await admin.purge_cache(exchange, self._cache)

    async def limits(self, exchange: Exchange) -> Response:
        """GET /admin/limits."""
        return await admin.show_limits(exchange, self._ports, self._catalog.providers)

    async def reset_limits(self, exchange: Exchange) -> Response:
        """DELETE /admin/limits."""
        return await admin.reset_limits(
            exchange, self._ports, self._catalog.providers, self._limiter
        )

    async def breakers(self, exchange: Exchange) -> Response:
        """GET /admin/breakers."""
        return await admin.show_breakers(exchange, self._watch)

    async def reset_breakers(self, exchange: Exchange) -> Response:
        """DELETE /admin/breakers."""
        return await admin.reset_breakers(exchange, self._watch, self._catalog.providers)

    async def keys(self, exchange: Exchange) -> Response:
        """GET /admin/keys."""
        return await key_admin.list_keys(exchange, self._ring)

    async def issue_key(self, exchange: Exchange) -> Response:
        """POST /admin/keys."""
        body = await self._body(exchange)
        environment, providers = self._config.environment, self._catalog.providers
        return await key_admin.issue(exchange, self._ring, environment, providers, body)

    async def key(self, exchange: Exchange) -> Response:
        """GET /admin/keys/ID."""
        return await key_admin.show(exchange, self._ring)

    async def revoke_key(self, exchange: Exchange) -> Response:
        """DELETE /admin/keys/ID."""
        return await key_admin.revoke(exchange, self._ring)

    async def rotate_key(self, exchange: Exchange) -> Response:
        """POST /admin/keys/ID/rotate."""
        body = await self._body(exchange)
        return await key_admin.rotate(exchange, self._ring, self._config.environment, body)

    def models(self, exchange: Exchange) -> Response:
        """GET /v1/models."""
        return Response(
            headers=dict(JSON), body=openai.models(self._selection.listing(_grant(exchange)))
        )

    def model(self, exchange: Exchange) -> Response:
        """GET /v1/models/ID."""
        id_ = unquote(exchange.request.path.removeprefix(MODEL_PREFIX))
        for entry in self._selection.listing(_grant(exchange)):
            if entry.id == id_:
                return Response(headers=dict(JSON), body=openai.model(entry))
        raise NotFound(
            f"The model {id_[:200]!r} is not offered here; GET /v1/models lists those that are.",
            param="model",
            code="model_not_found",
        )

    def health(self, exchange: Exchange) -> Response:
        """GET /health: this Worker is alive; no provider is asked."""
        state = {
            "status": "ok",
            "version": __version__,
            "environment": self._config.environment,
        }
        return Response(
            headers={**JSON, "cache-control": "no-store"}, body=msgspec.json.encode(state)
        )

    async def provider_health(self, exchange: Exchange) -> Response:
        """GET /health/providers: each provider's state and last check."""
        try:
            checks = await health.last_checks(self._ports.board)
        except Exception as error:  # the figures are down, not the proxy
            self._ports.log("error", "board unreachable", error=repr(error)[:500])
            checks = {}
        await self._watch.start(exchange.request.defer)
        report = self._selection.report(checks, self._watch.views())
        body = msgspec.json.encode({"providers": report})
        return Response(headers={**JSON, "cache-control": "no-store"}, body=body)


class Misconfigured:
    """Stands in for the app where the settings make no sense: every request is told what."""

    def __init__(self, reason: str, ports: Ports) -> None:
        self._error = InternalError(reason, code="misconfigured")
        self._ports = ports

    def handle(self, request: Request) -> Response:
        """The same error for all."""
        path = _find(request.path)
        exchange = Exchange(request, self._ports, self._record, path.name, path.dialect)
        response = exchange.refusal(self._error)
        exchange.end(response.status, len(response.body))
        return exchange.finish(response, ())

    def _record(self, exchange: Exchange, event: Event) -> None:
        self._ports.log(line.level(event), "request", **line.fields(event))

    async def scheduled(self) -> None:
        """Raises the error, so that the trigger is seen to fail."""
        raise self._error


def start(env: Mapping[str, str], ports: Ports) -> App | Misconfigured:
    """The app, or what answers in its place. env: the Worker's vars and secrets."""
    try:
        return App(env, ports)
    except (settings.ConfigError, ValueError) as error:  # ValueError: a wrong catalogue
        return Misconfigured(str(error), ports)


class Path(Struct, frozen=True):
    """What a path takes, in whose form it answers, and whom it lets in."""

    name: str
    """As the interface names it."""
    methods: dict[str, Callable[[App, Exchange], Reaction]]
    dialect: Dialect = native
    public: bool = False
    admin: bool = False

    @property
    def allow(self) -> tuple[str, ...]:
        """The methods as the Allow header lists them (RFC 9110, 10.2.1)."""
        head = ("HEAD",) if "GET" in self.methods else ()
        return (*self.methods, *head, "OPTIONS")


NOTHING = Path("", {})
MODEL_PREFIX = "/v1/models/"
ALL_PATHS = (
    Path("/v1/generate", {"POST": App.generate}),
    Path("/v1/batch", {"POST": App.batch}),
    Path("/v1/chat/completions", {"POST": App.chat_completions}, openai),
    Path("/v1/embeddings", {"POST": App.embeddings}, openai),
    Path("/v1/models", {"GET": App.models}, openai),
    Path("/v1/models/ID", {"GET": App.model}, openai),
    Path("/health", {"GET": App.health}, public=True),
    Path("/health/providers", {"GET": App.provider_health}),
    Path("/analytics", {"GET": App.figures}),
    Path("/analytics/requests", {"GET": App.requests}),
    Path("/admin/breakers", {"GET": App.breakers, "DELETE": App.reset_breakers}, admin=True),
    Path("/admin/cache", {"DELETE": App.purge}, admin=True),
    Path("/admin/keys", {"GET": App.keys, "POST": App.issue_key}, admin=True),
    Path("/admin/keys/ID", {"GET": App.key, "DELETE": App.revoke_key}, admin=True),
    Path("/admin/keys/ID/rotate", {"POST": App.rotate_key}, admin=True),
    Path("/admin/limits", {"GET": App.limits, "DELETE": App.reset_limits}, admin=True),
)
PATHS = {path.name: path for path in ALL_PATHS}
PATTERNS = (
    (re.compile(r"/v1/models/.+"), PATHS["/v1/models/ID"]),
    (re.compile(r"/admin/keys/[^/]+"), PATHS["/admin/keys/ID"]),
    (re.compile(r"/admin/keys/[^/]+/rotate"), PATHS["/admin/keys/ID/rotate"]),
)
"""Paths that name something."""


def _find(path: str) -> Path:
    path = path.rstrip("/")
    if found := PATHS.get(path):
        return found
    return next((found for pattern, found in PATTERNS if pattern.fullmatch(path)), NOTHING)


def _grant(exchange: Exchange) -> Grant:
    return exchange.principal.grant if exchange.principal else Grant()
