"""Sends spans to an OpenTelemetry collector: OTLP over HTTP, in JSON.

Promise: a request never waits for it and never fails by it. The queue is bounded, the oldest are
dropped; a batch that can't be sent is lost after one more try, and counted. Trouble is logged at
most once a minute, without the headers, which hold the collector's key.
"""

import asyncio
from collections import deque

from proxy.analytics.record.otlp import encode_spans
from proxy.analytics.record.request_record import RequestRecord
from proxy.core.errors import Fault
from proxy.core.ports import Outgoing, Ports
from proxy.core.settings import TraceSettings

BATCH_SIZE = 50
"""Requests whose spans are sent at once."""
QUEUE_SIZE = 500
"""Requests that may wait."""
TIMEOUT = 5.0
"""Seconds that a batch may take, both tries together."""
PAUSE = 0.5
"""Seconds before the second try."""
QUIET = 60.0
"""Seconds between two lines of the log."""

_TRANSIENT = (429, 502, 503, 504)


class Exporter:
    """The spans of one isolate that still have to be sent."""

    def __init__(self, settings: TraceSettings, resource: dict[str, str], ports: Ports) -> None:
        """resource: the attributes of the deployment beside the service's name."""
        self._url = f"{settings.endpoint}/v1/traces"
        self._headers = {**settings.headers, "content-type": "application/json"}
        self._resource = {"service.name": settings.service_name, **resource}
        self._upstream = ports.upstream
        self._clock = ports.clock
        self._random = ports.random
        self._log = ports.log
        self._waiting: deque[RequestRecord] = deque()
        self._lost = 0
        self._quiet_until = 0.0

    @property
    def pending(self) -> int:
        """How many requests wait."""
        return len(self._waiting)

    def add(self, record: RequestRecord) -> None:
        """Keeps a request until the next flush, unless it belongs to no trace."""
        if not (record.trace and record.span):
            return
        if len(self._waiting) >= QUEUE_SIZE:
            self._waiting.popleft()
            self._lost += 1
        self._waiting.append(record)

    async def flush(self) -> None:
        """Sends what waits. Nothing is raised but a cancellation."""
        while self._waiting:
            batch = [self._waiting.popleft() for _ in range(min(BATCH_SIZE, len(self._waiting)))]
            trouble = await self._send(encode_spans(batch, self._resource, self._random))
            if trouble is not None:
                self._lost += len(batch)
                self._log_trouble(trouble)
                return  # the collector is ill: the others wait for the next flush

    async def _send(self, body: bytes) -> str | None:
        """Sends a batch; the answer says what went wrong."""
        outgoing = Outgoing(url=self._url, headers=self._headers, body=body)
        try:
            async with asyncio.timeout(TIMEOUT):
                status = await self._post(outgoing)
                if status in _TRANSIENT:
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

    def _log_trouble(self, trouble: str) -> None:
        now = self._clock.now()
        # The clock may have stepped back: then it is logged again rather than never.
        if self._quiet_until - QUIET <= now < self._quiet_until:
            return
        self._quiet_until = now + QUIET
        self._log("warning", "traces not exported", error=trouble, lost=self._lost)
        self._lost = 0
