"""The isolate's side of the flights (cache.flight): joining, and leading."""

import asyncio
from collections.abc import Callable
from contextlib import suppress

from proxy.cache.flight import JOIN, PUBLISH, RENEW, Joined, Published
from proxy.core.circuit import Circuit
from proxy.core.ports import Clock, Log, Objects

RENEW_SECONDS = 1.0
"""The time between a leader's signs of life."""
STALL_SECONDS = 10.0
"""For how long nothing may come through of a stream whose leader counts as alive: its caller may
have stopped to read, which is no reason for others to wait."""
PATIENCE_SECONDS = 3.0
"""How long an object may wait in one call; a request that waits longer calls again."""
ANSWER_SECONDS = 2.0
"""What an object may take beyond that."""


class FlightClient:
    """The way of one isolate to the flights. Where one hangs, all requests go alone for some
    seconds: to find out whether others hang too would cost each of them its time."""

    def __init__(self, objects: Objects, clock: Clock, log: Log) -> None:
        self._objects = objects
        self._circuit = Circuit(clock)
        self._log = log

    async def join(self, key: str, left: Callable[[], float]) -> Joined:
        """Joins the flight of a key, for the seconds that are left at most; in short calls, so
        that an object that hangs is noticed. The first call waits for no leader: it costs little
        to find out whether the object is there."""
        patience = 0.0
        try:
            while True:
                work = self._objects.call(JOIN, key, patience)
                joined = await self._circuit.call("flights", work, patience + ANSWER_SECONDS)
                if joined.role != "alone" or left() <= 0:
                    return joined
                patience = min(left(), PATIENCE_SECONDS)
        except Exception as error:  # without the object each request goes alone
            self._log("error", "flight unreachable", error=repr(error)[:500])
            return Joined("alone")

    def lead(self, key: str, ticket: int) -> "Leader":
        """Begins to lead a flight, with the ticket that joining it gave."""
        return Leader(self._objects, key, ticket)


class Leader:
    """A request that leads a flight: it shows signs of life until it publishes, or its stream
    stalls."""

    def __init__(self, objects: Objects, key: str, ticket: int) -> None:
        self._objects = objects
        self._key = key
        self._ticket = ticket
        self._silent: float | None = None
        """Seconds since something has come through of the stream; None: none has begun."""
        self._renewing = asyncio.ensure_future(self._renew())

    def note_progress(self) -> None:
        """Notes that the stream has begun, or that something of it has come through."""
        self._silent = 0.0

    async def publish(self, outcome: bytes | None) -> None:
        """Publishes, see Flight.publish. Raises whatever keeps the object from answering."""
        self._renewing.cancel()
        async with asyncio.timeout(ANSWER_SECONDS):
            await self._objects.call(PUBLISH, self._key, Published(self._ticket, outcome))

    async def _renew(self) -> None:
        while True:
            await asyncio.sleep(RENEW_SECONDS)
            if self._silent is not None:
                self._silent += RENEW_SECONDS
                if self._silent > STALL_SECONDS:
                    continue
            with suppress(Exception):  # the next sign may come through
                async with asyncio.timeout(RENEW_SECONDS):
                    await self._objects.call(RENEW, self._key, self._ticket)
