"""An OpenTelemetry collector, as it is sent to: OTLP over HTTP, in JSON.

Promise: what goes wrong is told by its kind alone, at most once a minute in the log: its text may
hold the URL or the headers, which hold the collector's key.
"""

import asyncio

from proxy.core.errors import Fault
from proxy.core.ports import Outgoing, Ports
from proxy.core.settings import TraceSettings

TIMEOUT = 5.0
"""Seconds that a batch may take, both tries together."""
PAUSE = 0.5
"""Seconds before the second try."""
QUIET = 60.0
"""Seconds between two lines of the log."""

_TRANSIENT = (429, 502, 503, 504)
REFUSED = tuple(f"status {status}" for status in _TRANSIENT)
"""The troubles after which a batch may be sent again: the collector has not taken it (OTLP,
Retryable Response Codes)."""


class Collector:
    """One path of the collector."""

    def __init__(self, settings: TraceSettings, what: str, ports: Ports) -> None:
        """what: `traces` or `metrics`."""
        self._url = f"{settings.endpoint}/v1/{what}"
        self._what = what
        self._headers = {**settings.headers, "content-type": "application/json"}
        self._upstream = ports.upstream
        self._clock = ports.clock
        self._log = ports.log
        self._quiet_until = 0.0
        self._lost = 0

    async def send(self, body: bytes) -> str | None:
        """Sends a batch; the answer says what went wrong. Raises nothing but a cancellation."""
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

    def count_lost(self, requests: int) -> None:
        """Requests that nothing is sent of."""
        self._lost += requests

    def log_trouble(self, trouble: str) -> None:
        """Logs a trouble, and how many requests were lost since the last line."""
        now = self._clock.now()
        # The clock may have stepped back: then it is logged again rather than never.
        if self._quiet_until - QUIET <= now < self._quiet_until:
            return
        self._quiet_until = now + QUIET
        self._log("warning", f"{self._what} not exported", error=trouble, lost=self._lost)
        self._lost = 0

    async def _post(self, outgoing: Outgoing) -> int:
        reply = await self._upstream.send(outgoing, idle=TIMEOUT)
        await reply.read()  # an answer that is left unread keeps its connection
        return reply.status
