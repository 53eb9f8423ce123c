"""Time and randomness of the platform."""

import random
import secrets
import time


class SystemClock:
    """core.ports.Clock. In production the clock moves only between I/O."""

    def now(self) -> float:
        """Seconds since 1970."""
        return time.time()


class SystemRandom:
    """core.ports.Random."""

    def token(self, nbytes: int) -> str:
        """See core.ports.Random."""
        return secrets.token_hex(nbytes)

    def fraction(self) -> float:
        """See core.ports.Random."""
        return random.random()
