"""What a sample can say: intervals, and how much they may be trusted.

Requests that come together fare together (an outage, a batch), so a sample of them says less than
its size: it counts as size / spread, where spread is its design effect over parts of the log (Rao
and Scott, Biometrics 1992). What is not spread over LEAST_PARTS of them says nothing. Intervals of
rates are Wilson's, of medians Woodruff's (JASA 1952), of differences those that Newcombe (1998)
makes of both; `error` is the probability that an interval misses, on both sides together.
"""

import math
from collections import Counter
from collections.abc import Iterable, Sequence
from functools import cache

from msgspec import Struct

from proxy.analytics.record.request_record import RequestRecord

PARTS = 24
LEAST_PARTS = 6


@cache
def deviations(error: float) -> float:
    """How many standard deviations are exceeded with the probability `error`, either way."""
    low, high = 0.0, 40.0
    for _ in range(60):
        middle = (low + high) / 2
        low, high = (middle, high) if math.erfc(middle / math.sqrt(2)) > error else (low, middle)
    return high


class Interval(Struct, frozen=True):
    """A figure, and between what it is."""

    point: float
    low: float
    high: float

    def minus(self, other: "Interval") -> "Interval":
        """The difference of two independent figures."""
        point = self.point - other.point
        below = math.hypot(self.point - self.low, other.high - other.point)
        above = math.hypot(self.high - self.point, other.point - other.low)
        return Interval(point, point - below, point + above)

    def clearance(self, least: float) -> float:
        """By how much all of it is farther from 0 than `least`; below 0: it is not."""
        return max(self.low - least, -least - self.high)


def rate(of: float, size: float, error: float) -> Interval:
    """A share, by Wilson's score interval. size > 0, not whole where it counts less."""
    z = deviations(error)
    point = of / size
    middle = (point + z * z / (2 * size)) / (1 + z * z / size)
    half = math.sqrt(point * (1 - point) / size + z * z / (4 * size * size)) / (1 + z * z / size)
    return Interval(point, max(0.0, min(point, middle - half * z)), min(1.0, middle + half * z))


class Tally(Struct, frozen=True):
    """How many of how many, and what the sample is worth."""

    of: int
    size: int
    spread: float

    def rate(self, error: float) -> Interval:
        """The share."""
        return rate(self.of / self.spread, self.size / self.spread, error)

    def without(self, other: "Tally") -> "Tally":
        """The rest of a whole."""
        size = self.size - other.size
        spread = (self.spread * self.size - other.spread * other.size) / size
        return Tally(self.of - other.of, size, max(1.0, spread))


def together(tallies: Iterable[Tally]) -> Tally:
    """The whole of several."""
    parts = list(tallies)
    size = sum(part.size for part in parts)
    spread = sum(part.spread * part.size for part in parts) / size
    return Tally(sum(part.of for part in parts), size, spread)


def median(ordered: Sequence[float], spread: float, error: float) -> Interval:
    """The median of values in ascending order: the values at the ranks between which it is."""
    size = len(ordered)
    share = rate(size / spread / 2, size / spread, error)
    low, high = math.floor(share.low * size) - 1, math.ceil(share.high * size)
    return Interval(
        ordered[(size - 1) // 2],
        ordered[low] if low >= 0 else -math.inf,
        ordered[high] if high < size else math.inf,
    )


def spread(marks: Iterable[tuple[int, bool]]) -> float | None:
    """The design effect of marks, each with its part; None where they are in too few."""
    size: Counter[int] = Counter()
    of: Counter[int] = Counter()
    for part, marked in marks:
        size[part] += 1
        of[part] += marked
    if len(size) < LEAST_PARTS:
        return None
    whole = size.total()
    share = of.total() / whole
    if not 0 < share < 1:
        return 1.0
    scatter = sum((of[part] - share * size[part]) ** 2 for part in size)
    return max(1.0, scatter * len(size) / (len(size) - 1) / (whole * share * (1 - share)))


def bunching(parts: Iterable[int], everyone: Counter[int]) -> float | None:
    """The index of dispersion of somebody's requests about the rhythm of everyone's; None where
    they are in too few parts. everyone: all requests by part, those of somebody among them."""
    mine = Counter(parts)
    if len(mine) < LEAST_PARTS:
        return None
    ratio = mine.total() / everyone.total()
    scatter = sum((mine[p] - ratio * count) ** 2 / (ratio * count) for p, count in everyone.items())
    return max(1.0, scatter / (len(everyone) - 1))


class Odd(Struct, frozen=True):
    """One that differs from the rest."""

    name: str
    tally: Tally
    rest: Tally
    difference: Interval


def odd_ones(members: dict[str, Tally], least: float, error: float, bad: int) -> list[Odd]:
    """Those whose share differs from that of the rest by more than `least`, the oddest first.

    Who is found is left out of the rest that the next are compared with, or one odd member would
    make all others look odd. bad: 1 where more is worse, -1 where less is; of two, the one that
    does worse is the odd one.
    """
    left = dict(sorted(members.items()))
    found: list[Odd] = []
    while len(left) > 1:
        whole = together(left.values())
        odd: list[Odd] = []
        for name, tally in left.items():
            rest = whole.without(tally)
            difference = tally.rate(error).minus(rest.rate(error))
            odd.append(Odd(name, tally, rest, difference))
        oddest = max(
            odd, key=lambda o: (round(o.difference.clearance(least), 9), bad * o.difference.point)
        )
        if oddest.difference.clearance(least) <= 0:
            break
        found.append(oddest)
        del left[oddest.name]
    return found


class Log:
    """The requests for models in the order of time, and in which part of the log each is. A
    dashboard that asks every few seconds is no traffic."""

    def __init__(self, events: Iterable[RequestRecord]) -> None:
        of_models = (event for event in events if event.endpoint.startswith("/v1/"))
        self.events = sorted(of_models, key=lambda event: (event.at, event.id))
        self.begin = self.events[0].at if self.events else 0
        self.end = self.events[-1].at if self.events else 0

    def part(self, event: RequestRecord) -> int:
        """A number in [0, PARTS)."""
        return (event.at - self.begin) * PARTS // (self.end - self.begin + 1)
