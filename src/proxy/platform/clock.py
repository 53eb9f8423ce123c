"""Time and randomness of the platform."""

import random
import secrets

import js

from proxy.platform.loop import adopt_loop

DRAWN = 384
"""Bytes of randomness that are drawn at once: as much as 32 requests' ids take."""


class SystemClock:
    """core.ports.Clock, read once a turn of the loop: in production it moves only between turns.

    JavaScript's, as Python's is made to grow here: of two calls within a millisecond the second
    says one more, so that what takes no time would seem to take as many ms as it was measured.
    """

    def __init__(self) -> None:
        self._read = js.Date.now
        self._loop = adopt_loop()
        self._turn = -1
        self._moment = 0.0

    def now(self) -> float:
        """Seconds since 1970."""
        if self._turn != self._loop.turn:
            self._turn, self._moment = self._loop.turn, self._read() / 1000
        return self._moment


def now_ms() -> int:
    """Whole milliseconds since 1970."""
    ms: int = js.Date.now()
    return ms


class SystemRandom:
    """core.ports.Random. Randomness is the platform's, drawn for some tokens at once."""

    def __init__(self) -> None:
        self._digits = ""
        """Hexadecimal digits that are in no token yet."""

    def token(self, nbytes: int) -> str:
        """See core.ports.Random."""
        size = 2 * nbytes
        if len(self._digits) < size:
            self._digits = secrets.token_hex(max(DRAWN, nbytes))
        token, self._digits = self._digits[:size], self._digits[size:]
        return token

    def fraction(self) -> float:
        """See core.ports.Random."""
        return random.random()
