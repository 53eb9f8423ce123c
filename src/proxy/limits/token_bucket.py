"""A token bucket in whole numbers: it never drifts.

A token is 3,600,000 units, the milliseconds of an hour: a rate of `per_hour` tokens an hour adds
exactly `per_hour` units a millisecond.

Promise: by the clock that is handed in, what is taken in any window is at most the burst and what
the rate adds in that window. A clock that steps back by STEP or less refills nothing until it has
caught up, so no moment counts twice; one that steps back further is taken at its word, rather than
starving callers for hours: what it steps over may count twice, once a step and up to the burst.
A clock that jumps ahead fills the bucket up at most.
"""

from typing import Annotated

from msgspec import Meta, Struct

UNIT = 3_600_000
"""Units of a token."""
STEP = 60_000
"""Milliseconds by which the clock may step back and be waited for."""


class Rate(Struct, frozen=True):
    """What may be had: `burst` tokens at once (at least 1), `per_hour` on and on (at least 0)."""

    burst: Annotated[int, Meta(ge=1)]
    per_hour: Annotated[int, Meta(ge=0)]

    def lowest(self, other: "Rate | None") -> "Rate":
        """The stricter of both in each respect."""
        if other is None:
            return self
        return Rate(min(self.burst, other.burst), min(self.per_hour, other.per_hour))


class TokenBucket(Struct, array_like=True):
    """Full at first. Moments are whole milliseconds, `n` tokens >= 0.

    Tokens may be lent: until they are settled they take room in the bucket, so that what is in it
    and what is `held` outside never exceed the burst together.
    """

    rate: Rate
    at: int
    """The moment until which it is refilled; ahead of a clock that has stepped back."""
    missing: Annotated[int, Meta(ge=0)] = 0
    """Units for which there is room."""
    held: Annotated[int, Meta(ge=0)] = 0
    """Tokens that are lent."""

    @property
    def units(self) -> int:
        """What is inside."""
        return max(0, self._room - self.missing)

    def peek(self, now: int) -> int:
        """Whole tokens that are there."""
        self.refill(now)
        return self.units // UNIT

    def find_wait(self, n: int, now: int) -> int | None:
        """Milliseconds until `n` are there if nobody takes any, rounded up. None: never.

        The room that lent tokens take is not reckoned with.
        """
        self.refill(now)
        short = n * UNIT - self.units
        if short <= 0:
            return 0
        if n > self.rate.burst or not self.rate.per_hour:
            return None
        return self.at - now - (-short // self.rate.per_hour)

    def lend(self, n: int, now: int) -> bool:
        """Lends all of `n`, or none where they are not there."""
        is_there = self.peek(now) >= n
        if is_there:
            self.held += n
        return is_there

    def settle(self, lent: int, unused: int, now: int) -> None:
        """Ends a loan of `lent`, of which `unused` come back; what finds no room is lost."""
        self.refill(now)
        units = self.units + unused * UNIT
        self.held -= lent
        self.set_units(units)

    def set_rate(self, rate: Rate, now: int) -> None:
        """From now on another rate. A smaller burst cuts the level, a larger one adds nothing."""
        self.refill(now)
        units = self.units
        self.rate = rate
        self.set_units(units)

    def set_units(self, units: int) -> None:
        """Fills it so far, as there is room."""
        self.missing = max(0, self._room - units)

    def refill(self, now: int) -> None:
        """Adds what the rate has brought since it was last refilled."""
        passed = now - self.at
        if -STEP <= passed <= 0:
            return
        self.at = now
        self.missing = max(0, self.missing - max(0, passed) * self.rate.per_hour)

    @property
    def _room(self) -> int:
        """Units that may be inside; none where a smaller burst is lent out already."""
        return max(0, (self.rate.burst - self.held) * UNIT)
