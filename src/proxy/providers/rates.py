"""Prices that hold for a time only: from a day or until one, above a number of input tokens, at
hours of the day."""

import re
from collections.abc import Mapping
from datetime import date
from typing import Annotated, Any

from msgspec import Meta, Struct, field, structs

Price = Annotated[float, Meta(ge=0)]
Tokens = Annotated[int, Meta(gt=0)]
_TIME = "(?:[01][0-9]|2[0-3]):[0-5][0-9]"
_SPAN = f"{_TIME}-{_TIME}"
Hours = Annotated[str, Meta(pattern=f"^{_SPAN}(,{_SPAN})*$")]
"""`16:30-00:30`: from one minute up to another, which may be of the next day; or several such,
between commas."""
Weekday = Annotated[int, Meta(ge=1, le=7)]
"""1: Monday, 7: Sunday (ISO 8601)."""
PRICES = ("input", "output", "cached", "cache_write", "cache_write_1h")


class Rate(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What replaces a model's base prices while all of its conditions hold. Days and hours are in
    UTC; a price that is None is as the base price."""

    since: date | None = field(default=None, name="from")
    """The first day on which it holds."""
    until: date | None = None
    """The first day on which it does not."""
    weekdays: frozenset[Weekday] = frozenset()
    """The days of the week on which it holds; empty: all."""
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
    def is_dated(self) -> bool:
        """Whether it depends on the day."""
        return bool(self.since or self.until or self.weekdays)

    @property
    def spans(self) -> list[tuple[int, int]]:
        """The minutes of the day at which each of `hours` begins and ends; empty: it holds at all
        hours."""
        words = re.findall(_TIME, self.hours or "")
        minutes = [int(word[:2]) * 60 + int(word[3:]) for word in words]
        return list(zip(minutes[::2], minutes[1::2], strict=True))

    def holds_on(self, day: date) -> bool:
        """Whether it holds on a day, at some hour at least."""
        begun = self.since is None or self.since <= day
        over = self.until is not None and self.until <= day
        return begun and not over and (not self.weekdays or day.isoweekday() in self.weekdays)

    def replace_day(self, prices: Mapping[str, float | None]) -> "Rate":
        """The same without its conditions of the day, which has come, at the given prices."""
        free: dict[str, Any] = {"since": None, "until": None, "weekdays": frozenset()}
        return structs.replace(self, **free, **prices)

    def explain_fault(self) -> str | None:
        """What is wrong with it by itself; None: nothing is."""
        if self.since and self.until and self.until <= self.since:
            return f"until {self.until} is not after from {self.since}"
        if any(begin == end for begin, end in self.spans):
            return f"hours {self.hours} begin when they end"
        if not (self.is_conditional or self.is_dated):
            return "it has no condition"
        if all(getattr(self, price) is None for price in PRICES):
            return "it has no price"
        return None
