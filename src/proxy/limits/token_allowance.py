"""An allowance of tokens a minute, overdrawn by what was used beyond what was reserved.

A token is MINUTE units, so that a millisecond adds exactly `quota` units.
"""

from collections.abc import Collection
from typing import Annotated

from msgspec import Meta, Struct

Amount = Annotated[int, Meta(ge=0)]

MINUTE = 60_000
DEBT = 60
"""Minutes in which a debt of tokens is paid at the most: what is beyond is forgiven, since a
provider's nonsense must not shut a key up for good."""


class Reserved(Struct, array_like=True):
    """Tokens and money that stand reserved until the moment (ms) of their lapse."""

    tokens: Amount = 0
    nano_usd: Amount = 0
    lapse: int = 0
    room: Amount = 0
    """Units of tokens that it may bring back: those whose place nothing else has filled."""


class TokenAllowance(Struct, array_like=True):
    """Full at first."""

    quota: Amount
    missing: Amount = 0
    """Units away from being full; more than the quota is debt."""

    @property
    def left(self) -> int:
        """Tokens; below 0 while it is overdrawn."""
        return self.quota - -(-self.missing // MINUTE)

    @property
    def full_in(self) -> int:
        """Milliseconds until it is full; 0 where it is nothing."""
        return self.find_wait(self.quota) or 0

    def refill(self, passed: int, reserved: Collection[Reserved]) -> None:
        """Adds what some milliseconds bring. Where that takes the place of reserved tokens, the
        oldest first can't bring them back any more: they would be there twice."""
        self.missing = max(0, self.missing - passed * self.quota)
        crowd = sum(each.room for each in reserved) - self.missing
        for each in reserved:
            if crowd <= 0:
                return
            gone = min(crowd, each.room)
            each.room -= gone
            crowd -= gone

    def set_quota(self, quota: int) -> None:
        """A smaller quota cuts the level, a larger one adds nothing."""
        missing = max(0, self.missing + (quota - self.quota) * MINUTE)
        self.quota = quota
        self._set_missing(missing)

    def find_wait(self, tokens: int) -> int | None:
        """Milliseconds until so many are there, or all where they never are; None: never."""
        if not self.quota:
            return None if tokens else 0
        excess = self.missing - max(0, self.quota - tokens) * MINUTE
        return max(0, -(-excess // self.quota))

    def reserve(self, tokens: int, reserved: Reserved) -> None:
        """Takes so many, or all where they never are there."""
        taken = min(tokens, self.quota)
        self.missing += taken * MINUTE
        reserved.tokens += taken
        reserved.room += taken * MINUTE

    def settle(self, reserved: Reserved, tokens: int) -> None:
        """`tokens` were used where others were reserved."""
        beyond = (tokens - reserved.tokens) * MINUTE
        self._set_missing(self.missing + max(beyond, -reserved.room))

    def _set_missing(self, missing: int) -> None:
        self.missing = min(missing, (1 + DEBT) * self.quota * MINUTE)
