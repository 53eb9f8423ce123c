"""The pipeline: a request goes once through every room, in the order of this file.

Find the path, admit the caller, have the path answer, complete the response, close the request.
Nothing here knows the platform.
"""

from collections.abc import Callable, Coroutine
from typing import TypeVar

from proxy.analytics.record.trace import begin_trace
from proxy.api import absent
from proxy.api.admission import check_admission
from proxy.api.cors import answer_preflight, cors_headers
from proxy.api.routes import Path, Reaction, find_path
from proxy.api.services import Services
from proxy.core.body_memory import Hold
from proxy.core.errors import ClientGone, MethodNotAllowed, NotFound
from proxy.core.ports import Sink
from proxy.core.principal import Principal
from proxy.core.web import BodyStream, Request, Response, check_headers
from proxy.limits.headers import build_limit_headers
from proxy.serving.context import RequestContext
from proxy.serving.lifetime import end_headers
from proxy.serving.refusal import refuse

B = TypeVar("B")


class App:
    """The proxy of one isolate."""

    def __init__(self, services: Services) -> None:
        self.services = services

    def handle(
        self, request: Request, build: Callable[[Response], B]
    ) -> B | Coroutine[object, None, B]:
        """Answers a request, whatever it is, with what `build` makes of the response: at once, or
        by a coroutine where it must wait. What can't be built becomes an error like any other."""
        services, path = self.services, find_path(request.path)
        clock, random = services.ports.clock, services.ports.random
        context = RequestContext(request, path.name, path.dialect, clock, random)
        if path.errors:
            context.read_errors_as(path.errors)
        context.hold = request.hold or self.open_hold()
        services.memory.now = context.began
        if services.exporter or "traceparent" in request.headers:
            self._trace(context)
        try:
            reaction = self._enter(context, path)
        except Exception as error:
            return self._finish(context, self._refuse(context, error), build)
        if isinstance(reaction, Response):
            return self._finish(context, reaction, build)
        return self._wait(context, reaction, build)

    def open_hold(self) -> Hold:
        """Opens what a request holds of the isolate's memory: nothing yet."""
        return self.services.memory.open()

    def _trace(self, context: RequestContext) -> None:
        """Makes the request part of the caller's trace, or of one that begins with it."""
        found = begin_trace(context.request.headers, self.services.ports.random)
        recorded = self.services.exporter is not None
        if recorded or found.parent:
            context.join_trace(found, recorded=recorded)

    def _enter(self, context: RequestContext, path: Path) -> Reaction:
        """Has the path answer, once the caller is known."""
        request, headers = context.request, context.request.headers
        method = "GET" if request.method == "HEAD" else request.method
        if method == "OPTIONS" and (path.methods or "access-control-request-method" in headers):
            return answer_preflight(request, path.allow, self.services.settings.server.cors_origins)
        if not path.methods:
            raise NotFound(absent.explain(request.path), code="unknown_url")
        if method not in path.methods:
            raise MethodNotAllowed(
                f"{request.method} is not allowed here: send {' or '.join(path.allow)}.",
                allow=path.allow,
            )
        handler = path.methods[method]
        if path.public:
            return handler(self.services, context)
        caller = self._find_caller(context, path)
        if isinstance(caller, Principal):
            self._admit(context, path, caller)
            return handler(self.services, context)
        return self._look_up(context, path, method, caller)

    def _find_caller(
        self, context: RequestContext, path: Path
    ) -> Principal | Coroutine[object, None, Principal]:
        """Whom a ticket names or a key lets in, or the coroutine that looks it up."""
        request, headers = context.request, context.request.headers
        authenticator = self.services.authenticator
        if path.query_key:
            if named := self.services.passthrough.read_ticket(request, context.began):
                return authenticator.admit_again(named)
            if key := request.query.get("key"):
                headers = {"x-goog-api-key": key, **headers}
        address = headers.get("cf-connecting-ip", "")
        return authenticator.admit(headers, address, request.read_identity)

    async def _look_up(
        self,
        context: RequestContext,
        path: Path,
        method: str,
        caller: Coroutine[object, None, Principal],
    ) -> Response:
        """Has the path answer a caller whose key must be looked up."""
        self._admit(context, path, await caller)
        reaction = path.methods[method](self.services, context)
        return reaction if isinstance(reaction, Response) else await reaction

    def _admit(self, context: RequestContext, path: Path, principal: Principal) -> None:
        context.admit(principal)
        check_admission(path, context.request, principal)
        context.end_stage("auth")

    async def _wait(
        self,
        context: RequestContext,
        reaction: Coroutine[object, None, Response],
        build: Callable[[Response], B],
    ) -> B:
        try:
            response = await reaction
        except Exception as error:
            response = self._refuse(context, error)
        except BaseException:
            context.release_memory()
            raise
        return self._finish(context, response, build)

    def _refuse(self, context: RequestContext, error: Exception) -> Response:
        return refuse(context, error, self.services.ports.log)

    def _finish(
        self, context: RequestContext, response: Response, build: Callable[[Response], B]
    ) -> B:
        """Builds the response, and closes the request: now, or when its stream is over."""
        stream = response.stream
        if stream:
            response.stream = self._closing(context, stream, response.status)
        try:
            built = build(self._complete(context, response))
        except Exception as error:
            if response.stream:
                context.request.defer(_abandon(response.stream))
            response = self._refuse(context, error)
            built = build(self._complete(context, response))
        if response.stream is None:
            body = response.body
            self.services.closer.close(context, response.status, len(body), body)
        return built

    def _closing(self, context: RequestContext, stream: BodyStream, status: int) -> BodyStream:
        """A stream whose end closes the request."""

        async def run(sink: Sink) -> None:
            try:
                await stream(sink)
            finally:
                self.services.closer.close(context, status, sink.sent)

        return run

    def _complete(self, context: RequestContext, response: Response) -> Response:
        """Adds the headers of every answer. Raises ValueError for one that can't be sent."""
        headers, origins = response.headers, self.services.settings.server.cors_origins
        if context.meter and (standings := context.meter.standings):
            headers |= build_limit_headers(standings, context.errors.LIMIT_HEADERS, context.began)
        record = context.record
        if record.provider and response.status < 400:
            model = self.services.selection.catalog.find_end(record.provider, record.model)
            headers |= end_headers(model) if model else {}
        headers |= context.common_headers() | context.errors.headers(context.id, None)
        if origins:
            headers |= cors_headers(origins, context.request.headers.get("origin"))
        check_headers(headers)
        return response


class _NoCaller:
    """The sink of a stream that nobody takes."""

    sent = 0
    gone = True

    async def write(self, data: bytes) -> None:
        raise ClientGone


async def _abandon(stream: BodyStream) -> None:
    """Ends a stream whose response could not be built, so that it frees what it holds."""
    await stream(_NoCaller())
