"""One request on its way through the pipeline, and what every answer has in common."""

import math
import re
from collections.abc import Callable
from typing import Any

from msgspec import structs

from proxy.access.gate import authorization_of
from proxy.analytics.record.request_record import UNSENT, RequestRecord
from proxy.analytics.record.trace import Trace
from proxy.core.chat import Attempt, Served, Usage
from proxy.core.config import Config
from proxy.core.errors import MethodNotAllowed, ProxyError
from proxy.core.ports import Ports
from proxy.core.principal import Principal
from proxy.core.web import Request, Response, check_headers, encoded, listed
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
SENT = "authorization, x-api-key, api-key, content-type"
"""The headers that a page may send, where it does not say which it wants to."""
MESSAGE_KEPT = 100
"""Characters of a provider's message that an event keeps, where it may."""
MOST_TOLD = 10**13
"""Tokens of an answer, or nano-dollars: ten thousand dollars."""
TOLD_STAGES = ("auth", "limit", "cache")
"""The stages that Server-Timing tells beside `upstream` and `total`."""
_LENGTH = re.compile(r"[0-9]{1,10}")
_REQUEST_ID = re.compile(r"[A-Za-z0-9_.:-]{1,128}")
_ORIGIN = re.compile(r"[!-~]{1,512}")
_HEADER_NAMES = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~, -]{1,2000}")


class Exchange:
    """A request with what has been found out about it so far: `facts` are fields of its event,
    `stages` the seconds that each part of the way took."""

    def __init__(
        self,
        request: Request,
        ports: Ports,
        record: Callable[["Exchange", RequestRecord], None],
        endpoint: str,
        dialect: Dialect,
    ) -> None:
        """record: takes the event when the request is over; endpoint: what the request is for,
        as the interface names it, empty for nothing that there is."""
        self.request = request
        self.ports = ports
        self.record = record
        self.endpoint = endpoint
        self.dialect = dialect
        self.began = ports.clock.now()
        given = request.headers.get("x-request-id", "")
        self.id = given if _REQUEST_ID.fullmatch(given) else f"req_{ports.random.token(12)}"
        self.hold = request.hold
        """What it holds of the isolate's memory; None: what it holds is not counted."""
        self.principal: Principal | None = None
        self.meter: Meter | None = None
        self.upstream_ms = 0
        self.facts: dict[str, Any] = {}
        self.stages: dict[str, float] = {}
        self.follows = False
        """Whether the attempts are another request's, which counts them."""
        self.trace: Trace | None = None
        self.passed_on: dict[str, str] = {}
        """Headers for the providers."""
        self._lapped = self.began
        self._over = False

    @property
    def caller_key(self) -> str:
        """The key that the caller sent, in whichever header."""
        return (authorization_of(self.request.headers) or "").partition(" ")[2].strip()

    @property
    def ms(self) -> int:
        """Milliseconds since the request came."""
        return max(0, round((self.ports.clock.now() - self.began) * 1000))

    def join(self, trace: Trace, *, recorded: bool) -> None:
        """Makes the request part of a trace. recorded: whether its own span is exported; if not,
        what is called is the caller's child."""
        self.trace = trace
        span = trace.span if recorded and trace.sampled else ""
        self.facts.update(trace=trace.id, span=span, parent=trace.parent)
        told = trace if recorded else structs.replace(trace, span=trace.parent)
        self.passed_on = told.headers()

    def lap(self, stage: str) -> None:
        """A part of the way is over; its time is what went by since the part before."""
        now = self.ports.clock.now()
        self.stages[stage] = max(0.0, now - self._lapped)
        self._lapped = now

    def refusal(self, error: ProxyError) -> Response:
        """An error in the caller's form."""
        headers = dict(JSON)
        if error.retry_after is not None:
            headers["retry-after"] = str(max(0, math.ceil(error.retry_after)))
        if isinstance(error, MethodNotAllowed):
            headers["allow"] = ", ".join(error.allow)
        if error.status == 401:
            headers["www-authenticate"] = "Bearer"
        self.attempted(error.attempts)
        self.blame(error)
        body = self.dialect.error(error, self.id, self.ports.clock.now())
        return Response(status=error.status, headers=headers, body=body)

    def blame(self, error: ProxyError) -> None:
        """Keeps which error was answered, and who was asked last where nobody answered."""
        self.facts.update(error=error.type, source=error.source)
        sent = [attempt for attempt in error.attempts if attempt.outcome not in UNSENT]
        if sent and "provider" not in self.facts:
            self.facts.update(provider=sent[-1].provider, model=sent[-1].model)

    def tell(self, served: Served) -> dict[str, str]:
        """The headers that say how a request was served, which is noted too."""
        self.note(served)
        headers = {
            "x-proxy-provider": served.provider,
            "x-proxy-model": encoded(served.model),
        }
        if served.attempts:
            headers["cf-aig-step"] = str(len(served.attempts) - 1)
        if served.cost.usd is not None and served.cost.origin:
            headers["x-proxy-cost"] = f"{served.cost.usd:.9f}"
            headers["x-proxy-cost-origin"] = served.cost.origin
        if served.dropped:
            headers["x-proxy-dropped"] = listed(served.dropped)
        return headers

    def note(self, served: Served) -> None:
        """Keeps how the request was served."""
        self.attempted(served.attempts)
        self.facts.update(
            provider=served.provider,
            model=served.model,
            cache_status=served.cache_status,
            cache_tier=served.cache_tier or "",
            cost=bounded(served.cost.nano_usd),
            cost_origin=served.cost.origin or "",
        )

    def used(self, usage: Usage) -> None:
        """Keeps what an answer used."""
        self.facts.update(
            input=bounded(usage.input),
            output=bounded(usage.output),
            cached=bounded(usage.cached),
            reasoning=bounded(usage.reasoning),
        )

    def attempted(self, attempts: tuple[Attempt, ...]) -> None:
        """Keeps what was tried."""
        if attempts:
            self.upstream_ms = sum(attempt.ms for attempt in attempts)
        if attempts and not self.follows:
            self.facts["attempts"] = tuple(
                structs.replace(attempt, message=(attempt.message or "")[:MESSAGE_KEPT] or None)
                for attempt in attempts
            )

    def finish(self, response: Response, origins: tuple[str, ...]) -> Response:
        """The answer with the headers that all answers carry. origins: those of CORS_ORIGINS.
        Raises ValueError for a header that can't be sent."""
        headers = response.headers
        if self.meter:
            headers |= limit_headers(self.meter.standings, openai=self.dialect is openai)
        headers["x-request-id"] = self.id
        headers["x-content-type-options"] = "nosniff"
        headers["server-timing"] = self._timing()
        if origins:
            headers.update(cors(origins, self.request.headers.get("origin")))
        check_headers(headers)
        return response

    def _timing(self) -> str:
        """Server-Timing (W3C): the stages in milliseconds."""
        told = {name: self.stages[name] * 1000 for name in TOLD_STAGES if name in self.stages}
        told |= {"upstream": self.upstream_ms, "total": self.ms}
        return ", ".join(f"{name};dur={round(ms, 1)}" for name, ms in told.items())

    def end(self, status: int, size: int) -> None:
        """The answer of `size` bytes is over: the request's event is recorded, the first time.
        What goes wrong with that costs a line in the log, and no answer."""
        if self._over:
            return
        self._over = True
        self.release()
        try:
            self.record(self, self._event(status, size))
        except Exception as error:
            self.ports.log("error", "event lost", request_id=self.id, error=repr(error)[:500])

    def release(self) -> None:
        """Gives back what it holds of the isolate's memory."""
        if self.hold:
            self.hold.release()

    def _event(self, status: int, size: int) -> RequestRecord:
        headers, principal = self.request.headers, self.principal
        length = headers.get("content-length", "")
        return RequestRecord(
            at=round(self.began * 1000),
            id=self.id,
            endpoint=self.endpoint or self.request.path[:200],
            status=status,
            ms=self.ms,
            method=self.request.method[:20],
            dialect="openai" if self.dialect is openai else "native",
            user=principal.user if principal else "",
            key_id=(principal.key_id or "") if principal else "",
            bytes_in=int(length) if _LENGTH.fullmatch(length) else 0,
            bytes_out=size,
            country=headers.get("cf-ipcountry", "")[:2],
            colo=headers.get("cf-ray", "").rpartition("-")[2][:3],
            logged=headers.get("cf-aig-collect-log") != "false",
            **self.facts,
        )


def bounded(told: int | None) -> int | None:
    """A number of a provider's, as far as it can be true: sums of it must not run over."""
    return None if told is None else min(max(told, 0), MOST_TOLD)


def cors(allowed: tuple[str, ...], origin: str | None) -> dict[str, str]:
    """The headers by which a browser lets a page of an allowed origin read the answer
    (Fetch standard, 3.3)."""
    if not origin or not ("*" in allowed or origin in allowed) or not _ORIGIN.fullmatch(origin):
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
        known = _HEADER_NAMES.fullmatch(wanted)
        headers["access-control-allow-headers"] = wanted if known else SENT
        headers["access-control-max-age"] = "86400"
    return Response(status=204, headers=headers)
