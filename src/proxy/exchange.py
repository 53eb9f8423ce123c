"""One request on its way through the pipeline, and what every answer has in common."""

import math
import re
from typing import Any

from proxy.core.chat import Served
from proxy.core.config import Config
from proxy.core.errors import MethodNotAllowed, ProxyError
from proxy.core.ports import Ports
from proxy.core.principal import Principal
from proxy.core.web import Request, Response
from proxy.dialects import openai
from proxy.dialects.contract import Dialect
from proxy.limits.headers import limit_headers
from proxy.limits.limiter import Meter

JSON = {"content-type": "application/json"}
EVENTS = {"content-type": "text/event-stream; charset=utf-8", "cache-control": "no-store"}
EXPOSED = (
    "age, cache-status, cf-aig-cache-status, cf-aig-step, ratelimit, ratelimit-policy,"
    " retry-after, server-timing, x-proxy-cache-key, x-proxy-cost, x-proxy-cost-origin,"
    " x-proxy-dropped, x-proxy-model, x-proxy-provider, x-request-id"
)

_REQUEST_ID = re.compile(r"[A-Za-z0-9_.:-]{1,128}")


class Exchange:
    """A request with what has been found out about it so far.

    It gathers the time that each stage took and the fields of the line that is logged.
    """

    def __init__(self, request: Request, ports: Ports) -> None:
        self.request = request
        self.ports = ports
        self.began = ports.clock.now()
        given = request.headers.get("x-request-id", "")
        self.id = given if _REQUEST_ID.fullmatch(given) else f"req_{ports.random.token(12)}"
        self.principal: Principal | None = None
        self.meter: Meter | None = None
        self.upstream_ms = 0
        self.log_fields: dict[str, object] = {}

    @property
    def ms(self) -> int:
        """Milliseconds since the request came."""
        return max(0, round((self.ports.clock.now() - self.began) * 1000))

    def refusal(self, error: ProxyError, dialect: Dialect) -> Response:
        """An error in the caller's form."""
        headers = dict(JSON)
        if error.retry_after is not None:
            headers["retry-after"] = str(max(0, math.ceil(error.retry_after)))
        if isinstance(error, MethodNotAllowed):
            headers["allow"] = ", ".join(error.allow)
        if error.status == 401:
            headers["www-authenticate"] = "Bearer"
        self.upstream_ms = sum(attempt.ms for attempt in error.attempts)
        self.log_fields.update(
            error=error.type, source=error.source, attempts=_line(error.attempts)
        )
        body = dialect.error(error, self.id, self.ports.clock.now())
        return Response(status=error.status, headers=headers, body=body)

    def tell(self, served: Served) -> dict[str, str]:
        """The headers that say how a request was served; its time goes to the log."""
        self.upstream_ms = sum(attempt.ms for attempt in served.attempts)
        self.note(served)
        headers = {
            "x-proxy-provider": served.provider,
            "x-proxy-model": served.model,
        }
        if served.attempts:
            headers["cf-aig-step"] = str(len(served.attempts) - 1)
        if served.cost.usd is not None and served.cost.origin:
            headers["x-proxy-cost"] = f"{served.cost.usd:.9f}"
            headers["x-proxy-cost-origin"] = served.cost.origin
        if served.dropped:
            headers["x-proxy-dropped"] = ", ".join(served.dropped)
        return headers

    def note(self, served: Served) -> None:
        """Puts how the request was served into the line that is logged."""
        self.log_fields.update(
            provider=served.provider,
            model=served.model,
            cache=served.cache_status,
            cache_tier=served.cache_tier,
            cost_usd=served.cost.usd,
            attempts=_line(served.attempts),
        )

    def finish(self, response: Response, origins: tuple[str, ...], dialect: Dialect) -> Response:
        """The answer with the headers that all answers carry. origins: those of CORS_ORIGINS."""
        headers = response.headers
        if self.meter:
            headers |= limit_headers(self.meter.standings, openai=dialect is openai)
        headers["x-request-id"] = self.id
        headers["x-content-type-options"] = "nosniff"
        headers["server-timing"] = f"upstream;dur={self.upstream_ms}, total;dur={self.ms}"
        if origins:
            headers.update(cors(origins, self.request.headers.get("origin")))
        return response

    def log(self, status: int) -> None:
        """Writes the request's line: no prompt, no key."""
        request = self.request
        self.ports.log(
            "error" if status >= 500 else "info",
            "request",
            request_id=self.id,
            method=request.method,
            path=request.path[:200],
            status=status,
            ms=self.ms,
            user=self.principal.user if self.principal else None,
            **self.log_fields,
        )


def cors(allowed: tuple[str, ...], origin: str | None) -> dict[str, str]:
    """The headers by which a browser lets a page of an allowed origin read the answer
    (Fetch standard, 3.3)."""
    if not origin or not ("*" in allowed or origin in allowed):
        return {"vary": "Origin"}
    return {
        "access-control-allow-origin": origin,
        "access-control-expose-headers": EXPOSED,
        "vary": "Origin",
    }


def preflight(request: Request, allow: tuple[str, ...], config: Config) -> Response:
    """The answer to OPTIONS: what the path takes, and to a browser what a page may send."""
    headers = {"allow": ", ".join(allow)}
    granted = cors(config.cors_origins, request.headers.get("origin"))
    if config.cors_origins and "access-control-allow-origin" in granted:
        headers |= granted
        headers["access-control-allow-methods"] = ", ".join(allow)
        wanted = request.headers.get("access-control-request-headers", "")
        headers["access-control-allow-headers"] = wanted or "authorization, content-type"
        headers["access-control-max-age"] = "86400"
    return Response(status=204, headers=headers)


def _line(attempts: tuple[Any, ...]) -> str:
    return ", ".join(f"{attempt.provider}:{attempt.outcome}" for attempt in attempts)
