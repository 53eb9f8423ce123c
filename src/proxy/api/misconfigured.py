"""What answers where the settings make no sense."""

from collections.abc import Callable
from typing import TypeVar

from proxy.api.routes import find_path
from proxy.api.services import Services
from proxy.core.body_memory import Hold
from proxy.core.errors import InternalError
from proxy.core.ports import Ports
from proxy.core.web import Request, Response
from proxy.serving.closing import Closer
from proxy.serving.context import RequestContext
from proxy.serving.refusal import render_refusal

B = TypeVar("B")


class Misconfigured:
    """Answers every request with the same error, which says what is wrong."""

    def __init__(self, error: InternalError, ports: Ports) -> None:
        self.error = error
        self._ports = ports
        self._closer = Closer(None, ports.log)

    def handle(self, request: Request, build: Callable[[Response], B]) -> B:
        """Answers a request."""
        path, ports = find_path(request.path), self._ports
        context = RequestContext(request, path.name, path.dialect, ports.clock, ports.random)
        if path.errors:
            context.read_errors_as(path.errors)
        response = render_refusal(context, self.error)
        response.headers |= context.common_headers()
        self._closer.close(context, response.status, len(response.body))
        return build(response)

    def open_hold(self) -> Hold | None:
        """No body is read, so that none is held."""
        return None

    @property
    def services(self) -> Services:
        """Raises the error: there are none."""
        raise self.error
