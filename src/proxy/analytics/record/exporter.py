"""Sends spans to an OpenTelemetry collector: OTLP over HTTP, in JSON.

Promise: a request never waits for it and never fails by it. The queue is bounded, the oldest are
dropped; a batch that can't be sent is lost after one more try, and counted. Trouble is logged at
most once a minute, without the headers, which hold the collector's key.
"""

import asyncio
from collections import deque
from collections.abc import Mapping

from proxy.analytics.record.otlp import encode
from proxy.analytics.record.request_record import RequestRecord
from proxy.core.errors import Fault
from proxy.core.ports import Clock, Log, Outgoing, Random, Upstream
from proxy.core.settings import TraceSettings

BATCH = 50
"""Events that are sent at once."""
QUEUE = 500
"""Events that may wait."""
TIMEOUT = 5.0
"""Seconds that a batch may take, both tries together."""
PAUSE = 0.5
"""Seconds before the second try."""
QUIET = 60.0
"""Seconds between two lines of the log."""

_AGAIN = (429, 502, 503, 504)


class Exporter:
    """The spans of one isolate that still have to be sent."""

    def __init__(
        self,
        endpoint: str,
        headers: dict[str, str],
        resource: dict[str, str],
        upstream: Upstream,
        clock: Clock,
        random: Random,
        log: Log,
    ) -> None:
        """endpoint: the collector's base URL, `/v1/traces` is appended; headers: its key."""
        self._url = f"{endpoint}/v1/traces"
        self._headers = {**headers, "content-type": "application/json"}
        self._resource = resource
        self._upstream = upstream
        self._clock = clock
        self._random = random
        self._log = log
        self._waiting: deque[RequestRecord] = deque()
        self._lost = 0
        self._quiet_until = 0.0

    @property
    def pending(self) -> int:
        """How many events wait."""
        return len(self._waiting)

    def add(self, event: RequestRecord) -> None:
        """Keeps an event until the next flush. One that belongs to no trace is left out."""
        if not (event.trace and event.span):
            return
        if len(self._waiting) >= QUEUE:
            self._waiting.popleft()
            self._lost += 1
        self._waiting.append(event)

    async def flush(self) -> None:
        """Sends what waits. Nothing is raised but a cancellation."""
        while self._waiting:
            batch = [self._waiting.popleft() for _ in range(min(BATCH, len(self._waiting)))]
            trouble = await self._send(encode(batch, self._resource, self._random))
            if trouble is not None:
                self._lost += len(batch)
                self._complain(trouble)
                return  # the collector is ill: the others wait for the next flush

    async def _send(self, body: bytes) -> str | None:
        """Sends a batch; what went wrong."""
        outgoing = Outgoing(url=self._url, headers=self._headers, body=body)
        try:
            async with asyncio.timeout(TIMEOUT):
                status = await self._post(outgoing)
                if status in _AGAIN:
                    await asyncio.sleep(PAUSE)
                    status = await self._post(outgoing)
        except TimeoutError:
            return "timeout"
        except Fault as fault:
            return fault.kind
        except Exception as error:  # its text may hold the URL, which may hold a key
            return type(error).__name__
        return None if 200 <= status < 300 else f"status {status}"

    async def _post(self, outgoing: Outgoing) -> int:
        reply = await self._upstream.send(outgoing, idle=TIMEOUT)
        await reply.read()  # an answer that is left unread keeps its connection
        return reply.status

    def _complain(self, trouble: str) -> None:
        now = self._clock.now()
        # The clock may have stepped back: then it is said again rather than never.
        if self._quiet_until - QUIET <= now < self._quiet_until:
            return
        self._quiet_until = now + QUIET
        self._log("warning", "traces not exported", error=trouble, lost=self._lost)
        self._lost = 0


def exporter(
    settings: TraceSettings,
    resource: Mapping[str, str],
    upstream: Upstream,
    clock: Clock,
    random: Random,
    log: Log,
) -> Exporter | None:
    """The deployment's exporter; None where no collector is set. resource: what each trace says of
    the deployment, beside the service's name."""
    if settings.endpoint is None:
        return None
    resource = {"service.name": settings.service_name, **resource}
    return Exporter(settings.endpoint, settings.headers, resource, upstream, clock, random, log)
