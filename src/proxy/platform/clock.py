"""Time and randomness of the platform."""

import random
import secrets
from collections.abc import Callable

import js

from proxy.platform.loop import adopt_loop

DRAWN = 384
"""Bytes of randomness that are drawn at once: as much as 32 requests' ids take."""


class SystemClock:
    """core.ports.Clock: the loop's."""

    def __init__(self) -> None:
        self.now: Callable[[], float] = adopt_loop().now


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
