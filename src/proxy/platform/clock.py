"""Time and randomness of the platform."""

import random
import secrets

import js


class SystemClock:
    """core.ports.Clock. In production the clock moves only between I/O.

    JavaScript's, as Python's is made to grow here: of two calls within a millisecond the second
    says one more, so that what takes no time would seem to take as many ms as it was measured.
    """

    def __init__(self) -> None:
        self._now = js.Date.now

    def now(self) -> float:
        """Seconds since 1970."""
        ms: float = self._now()
        return ms / 1000


def now_ms() -> int:
    """Whole milliseconds since 1970."""
    ms: int = js.Date.now()
    return ms


class SystemRandom:
    """core.ports.Random."""

    def token(self, nbytes: int) -> str:
        """See core.ports.Random."""
        return secrets.token_hex(nbytes)

    def fraction(self) -> float:
        """See core.ports.Random."""
        return random.random()
