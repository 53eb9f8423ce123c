"""Reads what the board of the providers keeps for people: health checks, the breakers' history."""

from collections.abc import Coroutine
from typing import TypeVar

from proxy.core.circuit import Circuit
from proxy.core.ports import Clock, Log, Objects
from proxy.routing.board import BOARD, READ_OPENINGS, BreakerOpening
from proxy.routing.health import READ_CHECKS, Check

T = TypeVar("T")

SECONDS = 2.0
"""What the board may take to answer."""


class BoardReader:
    """The board as one isolate reads it. Where it is out of reach nothing is known."""

    def __init__(self, objects: Objects, clock: Clock, log: Log) -> None:
        self._objects = objects
        self._circuit = Circuit(clock)
        self._log = log

    async def read_checks(self) -> dict[str, Check] | None:
        """The last health check of each provider; None: the board is out of reach."""
        checks = await self._read(self._objects.call(READ_CHECKS, BOARD, None))
        return None if checks is None else {check.provider: check for check in checks}

    async def read_openings(self) -> tuple[BreakerOpening, ...]:
        """The breakers that opened of late."""
        return await self._read(self._objects.call(READ_OPENINGS, BOARD, None)) or ()

    async def _read(self, work: Coroutine[object, None, T]) -> T | None:
        try:
            return await self._circuit.call("board", work, SECONDS)
        except Exception as error:  # what it knows is missing, the rest stands
            self._log("error", "board unreachable", error=repr(error)[:500])
            return None
