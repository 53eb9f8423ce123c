"""What a sample can say: intervals, and how much they may be trusted.

Requests that come together fare together (an outage, a batch), so a sample of them says less than
its size: it counts as size / effect, where the effect is its design effect over parts of the log
(Rao and Scott, Biometrics 1992). What is not spread over LEAST_PARTS of them says nothing.
Intervals of rates are Wilson's, of medians Woodruff's (JASA 1952), of differences those that
Newcombe (1998) makes of both; `error` is the probability that an interval misses, on both sides
together.
"""

import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from functools import cache
from typing import TypeAlias, TypeVar

from msgspec import Struct

from proxy.analytics.record.request_record import RequestRecord

PARTS = 24
LEAST_PARTS = 6

Mark: TypeAlias = tuple[int, bool]
"""The part of the log in which a request is, and whether it counts."""
K = TypeVar("K")


@cache
def find_deviations(error: float) -> float:
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


def estimate_rate(of: float, size: float, error: float) -> Interval:
    """A share, by Wilson's score interval. size > 0, not whole where it counts less."""
    z = find_deviations(error)
    point = of / size
    middle = (point + z * z / (2 * size)) / (1 + z * z / size)
    half = math.sqrt(point * (1 - point) / size + z * z / (4 * size * size)) / (1 + z * z / size)
    return Interval(point, max(0.0, min(point, middle - half * z)), min(1.0, middle + half * z))


def estimate_median(ordered: Sequence[float], effect: float, error: float) -> Interval:
    """The median of values in ascending order: the values at the ranks between which it is."""
    size = len(ordered)
    share = estimate_rate(size / effect / 2, size / effect, error)
    low, high = math.floor(share.low * size) - 1, math.ceil(share.high * size)
    return Interval(
        ordered[(size - 1) // 2],
        ordered[low] if low >= 0 else -math.inf,
        ordered[high] if high < size else math.inf,
    )


class Tally(Struct, frozen=True):
    """How many of how many, and the design effect of the sample."""

    of: int
    size: int
    effect: float

    @property
    def share(self) -> float:
        """As it was counted."""
        return self.of / self.size

    def estimate(self, error: float) -> Interval:
        """The share behind it."""
        return estimate_rate(self.of / self.effect, self.size / self.effect, error)

    def without(self, other: "Tally") -> "Tally":
        """The rest of a whole."""
        size = self.size - other.size
        effect = (self.effect * self.size - other.effect * other.size) / size
        return Tally(self.of - other.of, size, max(1.0, effect))


def pool_tallies(tallies: Iterable[Tally]) -> Tally:
    """The whole of several."""
    parts = list(tallies)
    size = sum(part.size for part in parts)
    effect = sum(part.effect * part.size for part in parts) / size
    return Tally(sum(part.of for part in parts), size, effect)


def build_tallies(
    counts: Mapping[K, tuple[int, int]], marks: Mapping[K, Sequence[Mark]], least: int
) -> dict[K, Tally]:
    """The tallies of at least `least`, for which the marks have a design effect. counts: how many
    of how many, in the order of names."""
    return {
        name: Tally(of, size, effect)
        for name, (of, size) in counts.items()
        if size >= least and (effect := find_design_effect(marks.get(name, ())))
    }


def find_design_effect(marks: Iterable[Mark]) -> float | None:
    """The design effect of marks; None where they are in too few parts."""
    size: Counter[int] = Counter()
    of: Counter[int] = Counter()
    for part, is_marked in marks:
        size[part] += 1
        of[part] += is_marked
    if len(size) < LEAST_PARTS:
        return None
    whole = size.total()
    share = of.total() / whole
    if not 0 < share < 1:
        return 1.0
    scatter = sum((of[part] - share * size[part]) ** 2 for part in size)
    return max(1.0, scatter * len(size) / (len(size) - 1) / (whole * share * (1 - share)))


def find_dispersion(parts: Iterable[int], everyone: Counter[int]) -> float | None:
    """The index of dispersion of a user's requests about the rhythm of everyone's; None where
    they are in too few parts. everyone: all requests by part, those of the user among them."""
    own = Counter(parts)
    if len(own) < LEAST_PARTS:
        return None
    ratio = own.total() / everyone.total()
    scatter = sum((own[p] - ratio * count) ** 2 / (ratio * count) for p, count in everyone.items())
    return max(1.0, scatter / (len(everyone) - 1))


class Comparison(Struct, frozen=True):
    """A member, and by how much its share differs from that of the others."""

    name: str
    own: Tally
    others: Tally
    difference: Interval

    def list_evidence(self, size: str, of: str, others: str = "others") -> dict[str, float]:
        """The numbers of an insight, under the names of a tally's fields."""
        return {
            size: self.own.size,
            of: self.own.of,
            f"{others}{size.capitalize()}": self.others.size,
            f"{others}{of.capitalize()}": self.others.of,
            "differenceLow": self.difference.low,
            "differenceHigh": self.difference.high,
        }


def find_outliers(
    members: dict[str, Tally], least: float, error: float, bad: int
) -> list[Comparison]:
    """Those whose share differs from that of the rest by more than `least`, the oddest first.

    A member that is found is left out of the rest that the next are compared with, or one outlier
    would make all others look odd. bad: 1 where more is worse, -1 where less is; of two, the one
    that does worse is the outlier.
    """
    left = dict(sorted(members.items()))
    found: list[Comparison] = []
    while len(left) > 1:
        whole = pool_tallies(left.values())
        candidates: list[Comparison] = []
        for name, tally in left.items():
            others = whole.without(tally)
            difference = tally.estimate(error).minus(others.estimate(error))
            candidates.append(Comparison(name, tally, others, difference))
        oddest = max(
            candidates,
            key=lambda o: (round(o.difference.clearance(least), 9), bad * o.difference.point),
        )
        if oddest.difference.clearance(least) <= 0:
            break
        found.append(oddest)
        del left[oddest.name]
    return found


class Timeline:
    """The requests for models in the order of time, and the part of the log in which each is. A
    dashboard that reads figures every few seconds is no traffic."""

    def __init__(self, records: Iterable[RequestRecord]) -> None:
        of_models = (record for record in records if record.endpoint.startswith("/v1/"))
        self.records = sorted(of_models, key=lambda record: (record.at, record.id))
        self.begin = self.records[0].at if self.records else 0
        self.end = self.records[-1].at if self.records else 0
        self.placed = [(self.find_part(record), record) for record in self.records]
        """Each with the number of its part."""

    def find_part(self, record: RequestRecord) -> int:
        """A number in [0, PARTS)."""
        return (record.at - self.begin) * PARTS // (self.end - self.begin + 1)
