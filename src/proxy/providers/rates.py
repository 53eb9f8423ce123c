"""Prices that hold for a time only: from a day or until one, above a number of input tokens, at
hours of the day."""

from datetime import date
from typing import Annotated

from msgspec import Meta, Struct, field

Price = Annotated[float, Meta(ge=0)]
Tokens = Annotated[int, Meta(gt=0)]
_TIME = "(?:[01][0-9]|2[0-3]):[0-5][0-9]"
Hours = Annotated[str, Meta(pattern=f"^{_TIME}-{_TIME}$")]
"""`16:30-00:30`: from the first minute up to the last one, which may be of the next day."""
PRICES = ("input", "output", "cached", "cache_write", "cache_write_1h")


class Rate(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What replaces a model's base prices while all of its conditions hold. Days and hours are in
    UTC; a price that is None is as the base price."""

    since: date | None = field(default=None, name="from")
    """The first day on which it holds."""
    until: date | None = None
    """The first day on which it does not."""
    above: Tokens | None = None
    """It holds for the whole of a request that has more input tokens."""
    hours: Hours | None = None
    input: Price | None = None
    output: Price | None = None
    cached: Price | None = None
    cache_write: Price | None = None
    cache_write_1h: Price | None = None

    @property
    def is_conditional(self) -> bool:
        """Whether it depends on more than the day."""
        return self.above is not None or self.hours is not None

    @property
    def minutes(self) -> tuple[int, int] | None:
        """The minutes of the day at which `hours` begin and end; None: it holds at all hours."""
        if self.hours is None:
            return None
        begin, end = (int(time[:2]) * 60 + int(time[3:]) for time in self.hours.split("-"))
        return begin, end

    def holds_on(self, day: date) -> bool:
        """Whether it holds on a day, at some hour at least."""
        return (self.since is None or self.since <= day) and (
            self.until is None or day < self.until
        )

    def explain_fault(self) -> str | None:
        """What is wrong with it by itself; None: nothing is."""
        if self.since and self.until and self.until <= self.since:
            return f"until {self.until} is not after from {self.since}"
        if self.minutes and self.minutes[0] == self.minutes[1]:
            return f"hours {self.hours} begin when they end"
        if not (self.is_conditional or self.since or self.until):
            return "it has no condition"
        if all(getattr(self, price) is None for price in PRICES):
            return "it has no price"
        return None
