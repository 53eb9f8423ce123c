"""The pipeline: a request goes once through every room, in the order of this file.

Route, let in, read what is asked, have it answered, tell. The parts are built once an isolate
from the settings; nothing here knows the platform.
"""

import asyncio
import re
from collections.abc import Awaitable, Callable, Coroutine, Mapping
from typing import Any, TypeAlias

import msgspec
from msgspec import Struct, structs

from proxy.access.gate import authorization_of, require_admin
from proxy.analytics.record.log_line import level, line
from proxy.analytics.record.request_record import BATCH, RequestRecord, without_quotes
from proxy.analytics.record.trace import begin
from proxy.api import absent, offers
from proxy.api.services import Parts
from proxy.batch import run as batch
from proxy.cache.tiers import prune_prefix
from proxy.core import config as settings
from proxy.core.body_memory import Hold
from proxy.core.errors import (
    ClientGone,
    InternalError,
    MethodNotAllowed,
    NotFound,
    ProxyError,
)
from proxy.core.ports import Defer, Ports, Write
from proxy.core.principal import Principal
from proxy.core.web import Build, Request, Response
from proxy.dialects import native, openai
from proxy.dialects.contract import Dialect
from proxy.routing import health
from proxy.serving.context import Exchange, preflight

Reaction: TypeAlias = Response | Coroutine[Any, Any, Response]
"""An answer, or the coroutine that gives it where it must wait."""


def as_it_is(response: Response) -> Response:
    """The Build of who wants the response itself."""
    return response


class App:
    """The proxy of one isolate."""

    def __init__(self, env: Mapping[str, str], ports: Ports) -> None:
        """env: the Worker's vars and secrets. Raises ConfigError, or ValueError for a wrong
        catalogue."""
        self._parts = parts = Parts(env, ports)
        self._ports = ports
        self._config = parts.config

    def handle(self, request: Request, build: Build = as_it_is) -> Any:
        """Answers a request, whatever it is, with what `build` makes of the response: at once, or
        by a coroutine where it must wait. What can't be built becomes an error like any other."""
        path = _find(request.path)
        exchange = Exchange(request, self._ports, self._record, path.name, path.dialect)
        exchange.hold = request.hold or self.open_hold()
        self._parts.memory.now = exchange.began
        if self._parts.exporter or "traceparent" in request.headers:
            self._trace(exchange)
        try:
            reaction = self._enter(exchange, path)
        except Exception as error:
            return self._end(exchange, self._refuse(exchange, error), build)
        if isinstance(reaction, Response):
            return self._end(exchange, reaction, build)
        return self._wait(exchange, reaction, build)

    def open_hold(self) -> Hold:
        """What a request that comes holds of the isolate's memory: nothing yet."""
        return self._parts.memory.open()

    async def run_chunk(self, told: bytes, defer: Defer, write: Write) -> None:
        """The part of a batch that comes from another invocation. Raises ValueError for what is
        none."""
        chunk = batch.read_chunk(told)
        exchange = Exchange(chunk.request(defer), self._ports, self._record, BATCH, native)
        exchange.principal = chunk.principal
        exchange.hold = self.open_hold()
        exchange.hold.keep(len(told))
        found = begin(chunk.headers, self._ports.random)
        if found.parent:  # the batch's own span, which is told by who sends the chunk
            exchange.join(
                structs.replace(found, span=found.parent),
                recorded=self._parts.exporter is not None,
            )
        await batch.run_chunk(exchange, self._parts.chat, self._parts.room, chunk, write)

    async def scheduled(self) -> None:
        """The cron trigger's work: what is over is pruned, and health is checked. What fails of
        it keeps nothing else from being done; the first failure is raised then."""
        work = [self._prune_cache, self._check_providers]
        if self._config.analytics:
            work.append(self._parts.observatory.prune)
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
        targets = [
            self._parts.selection.probe_target(name) for name in self._parts.selection.configured
        ]
        checks = await health.check_all(targets, ports.upstream, ports.clock)
        for check in checks:
            if not check.healthy:
                ports.log("warning", "provider unhealthy", **msgspec.structs.asdict(check))
        await health.record(checks, ports.board)

    # --- in and out -----------------------------------------------------------------------

    def _enter(self, exchange: Exchange, path: "Path") -> Reaction:
        request, headers = exchange.request, exchange.request.headers
        method = "GET" if request.method == "HEAD" else request.method
        if method == "OPTIONS" and (path.methods or "access-control-request-method" in headers):
            return preflight(request, path.allow, self._config)
        if not path.methods:
            raise NotFound(absent.explain(request.path), code="unknown_url")
        if method not in path.methods:
            raise MethodNotAllowed(
                f"{request.method} is not allowed here; {', '.join(path.allow)} is.",
                allow=path.allow,
            )
        if path.public:
            return path.methods[method](self._parts, exchange)
        authorization = authorization_of(headers)
        caller = self._parts.gate.admit(authorization, headers.get("cf-connecting-ip", ""))
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
        return path.methods[method](self._parts, exchange)

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

    async def _wait(
        self, exchange: Exchange, reaction: Coroutine[Any, Any, Response], build: Build
    ) -> Any:
        try:
            response = await reaction
        except Exception as error:
            response = self._refuse(exchange, error)
        except BaseException:
            exchange.release()
            raise
        return self._end(exchange, response, build)

    def _refuse(self, exchange: Exchange, error: Exception) -> Response:
        if isinstance(error, ProxyError):
            try:
                return exchange.refusal(error)
            except Exception as bug:
                error = bug
        self._ports.log("error", "bug", request_id=exchange.id, error=repr(error)[:500])
        return exchange.refusal(InternalError("The proxy made a mistake; it has been logged."))

    def _end(self, exchange: Exchange, response: Response, build: Build) -> Any:
        origins = self._config.cors_origins
        try:
            built = build(exchange.finish(response, origins))
        except Exception as error:
            if response.stream:
                exchange.request.defer(_abandon(response.stream))
            response = self._refuse(exchange, error)
            built = build(exchange.finish(response, origins))
        if response.stream is None:
            exchange.end(response.status, len(response.body))
        return built

    def _trace(self, exchange: Exchange) -> None:
        """Makes the request part of the caller's trace, or of one that begins with it."""
        found = begin(exchange.request.headers, self._ports.random)
        if self._parts.exporter or found.parent:
            exchange.join(found, recorded=self._parts.exporter is not None)

    def _record(self, exchange: Exchange, event: RequestRecord) -> None:
        """Takes the event of a request that is over. What is not named in PATHS, and questions
        whether the proxy is alive, are no traffic."""
        counted = exchange.endpoint not in ("", "/health") and event.method != "OPTIONS"
        if not self._config.log_prompts:
            event = without_quotes(event)
        self._parts.recorder.record(event, exchange.request.defer, counted=counted)
        if self._config.profile:
            exchange.lap("answer")
            spent = {stage: round(s * 1000, 3) for stage, s in exchange.stages.items()}
            self._ports.log("info", "profile", request_id=event.id, total_ms=event.ms, **spent)


class Misconfigured:
    """Stands in for the app where the settings make no sense: every request is told what."""

    def __init__(self, reason: str, ports: Ports) -> None:
        self._error = InternalError(reason, code="misconfigured")
        self._ports = ports

    def handle(self, request: Request, build: Build = as_it_is) -> Any:
        """The same error for all."""
        path = _find(request.path)
        exchange = Exchange(request, self._ports, self._record, path.name, path.dialect)
        response = exchange.refusal(self._error)
        exchange.end(response.status, len(response.body))
        return build(exchange.finish(response, ()))

    def _record(self, exchange: Exchange, event: RequestRecord) -> None:
        self._ports.log(level(event), "request", line(event))

    def open_hold(self) -> None:
        """No body is read."""

    async def run_chunk(self, told: bytes, defer: Defer, write: Write) -> None:
        """Raises the error."""
        raise self._error

    async def scheduled(self) -> None:
        """Raises the error, so that the trigger is seen to fail."""
        raise self._error


def start(env: Mapping[str, str], ports: Ports) -> App | Misconfigured:
    """The app, or what answers in its place. env: the Worker's vars and secrets."""
    wrong = []
    if ports.unbound:
        names = ", ".join(ports.unbound)
        wrong.append(
            f"The Worker lacks the Durable Object bindings {names}: add them to"
            " durable_objects.bindings of this environment in wrangler.toml."
        )
    try:
        app = App(env, ports)
    except (settings.ConfigError, ValueError) as error:  # ValueError: a wrong catalogue
        wrong.append(str(error))
    return Misconfigured(" ".join(wrong), ports) if wrong else app


class Path(Struct, frozen=True):
    """What a path takes, in whose form it answers, and whom it lets in."""

    name: str
    """As the interface names it."""
    methods: dict[str, Callable[[Parts, Exchange], Reaction]]
    dialect: Dialect = native
    public: bool = False
    admin: bool = False

    @property
    def allow(self) -> tuple[str, ...]:
        """The methods as the Allow header lists them (RFC 9110, 10.2.1); a page may try any where
        there is nothing, and read why it can't."""
        if not self.methods:
            return ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS")
        head = ("HEAD",) if "GET" in self.methods else ()
        return (*self.methods, *head, "OPTIONS")


NOTHING = Path("", {}, openai)
"""Where there is nothing. In OpenAI's form, since it is its SDKs that look for other paths."""
NOTHING_OWN = Path("", {})
OWN = re.compile(r"/(?:admin|analytics|dashboard|health|metrics)/.*")
"""Paths below the proxy's own, where its own form is read."""
ALL_PATHS = (
    Path("", {"GET": offers.home}, public=True),  # /, which is no traffic
    Path("/v1/generate", {"POST": offers.generate}),
    Path(BATCH, {"POST": offers.run_batch}),
    Path("/v1/chat/completions", {"POST": offers.chat_completions}, openai),
    Path("/v1/embeddings", {"POST": offers.embeddings}, openai),
    Path("/v1/models", {"GET": offers.models}, openai),
    Path("/v1/models/ID", {"GET": offers.model}, openai),
    Path("/health", {"GET": offers.alive}, public=True),
    Path("/health/providers", {"GET": offers.provider_health}),
    Path("/analytics", {"GET": offers.figures}),
    Path("/analytics/insights", {"GET": offers.insights}),
    Path("/analytics/requests", {"GET": offers.requests}),
    Path("/metrics", {"GET": offers.metrics}, admin=True),
    Path("/admin/breakers", {"GET": offers.breakers, "DELETE": offers.reset_breakers}, admin=True),
    Path("/admin/cache", {"DELETE": offers.purge}, admin=True),
    Path("/admin/keys", {"GET": offers.keys, "POST": offers.issue_key}, admin=True),
    Path("/admin/keys/ID", {"GET": offers.key, "DELETE": offers.revoke_key}, admin=True),
    Path("/admin/keys/ID/rotate", {"POST": offers.rotate_key}, admin=True),
    Path("/admin/limits", {"GET": offers.limits, "DELETE": offers.reset_limits}, admin=True),
)
PATHS = {path.name: path for path in ALL_PATHS}
PATTERNS = (
    (re.compile(r"/v1/models/.+"), PATHS["/v1/models/ID"]),
    (re.compile(r"/admin/keys/[^/]+"), PATHS["/admin/keys/ID"]),
    (re.compile(r"/admin/keys/[^/]+/rotate"), PATHS["/admin/keys/ID/rotate"]),
)
"""Paths that name something."""
WITHOUT_V1 = re.compile(r"/(?:chat/completions|embeddings|models(?:/.+)?)")
"""Paths that clients of LiteLLM's proxy call without /v1; they mean the same."""


async def _abandon(stream: Callable[[Write], Awaitable[Any]]) -> None:
    """Ends a stream whose response could not be built, so that it frees what it holds."""

    async def write(data: bytes) -> None:
        raise ClientGone

    await stream(write)


def _find(path: str) -> Path:
    path = path.rstrip("/")
    if found := PATHS.get(path):
        return found
    if WITHOUT_V1.fullmatch(path):
        path = f"/v1{path}"
    if absent.is_gemini(path):
        return NOTHING
    if found := PATHS.get(path) or next((p for r, p in PATTERNS if r.fullmatch(path)), None):
        return found
    return NOTHING_OWN if OWN.fullmatch(path) else NOTHING
