"""What was sent, as its callers saw it, and what must follow from it."""

import threading
from collections import Counter
from collections.abc import Callable, Iterable

from msgspec import Struct

SURE = 4.0
"""Seconds from the end of a request to the moment when its record is stored for sure: it waits for
0.9 s at most, and this machine is busy."""


class Sent(Struct, frozen=True):
    """A request that went out. Moments are seconds of one clock."""

    user: str
    kind: str
    began: float
    ended: float
    status: int
    """0: the connection broke."""
    cost: float = 0.0
    tokens: int = 0
    items: int = 0
    """Of a batch: each has a record of its own beside the batch's."""
    is_left: bool = False
    """Whether its caller hung up."""
    endpoint: str = ""
    """As the figures name it."""

    @property
    def records(self) -> int:
        return 1 + self.items

    @property
    def is_admitted(self) -> bool:
        return self.status not in (0, 402, 429)


class Outage(Struct, frozen=True):
    """The Worker was killed, and came back."""

    killed: float
    back: float


class Bounds(Struct, frozen=True):
    """At least and at the most so many."""

    least: int
    most: int

    def __contains__(self, number: int) -> bool:
        return self.least <= number <= self.most


class Ledger:
    """All that was sent, and when the Worker was away."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self.sent: list[Sent] = []
        self.outages: list[Outage] = []
        self.faults: list[str] = []

    def add(self, sent: Sent) -> None:
        with self._lock:
            self.sent.append(sent)

    def blame(self, fault: str) -> None:
        """Keeps what went wrong."""
        with self._lock:
            if len(self.faults) < 100:
                self.faults.append(fault)

    def by(self, user: str) -> list[Sent]:
        return [each for each in self.sent if each.user == user]

    def is_sure(self, sent: Sent) -> bool:
        """Whether its record must be there: no kill came between its beginning and its storing. A
        connection that breaks while the Worker is there may have no record, or one."""
        if sent.status == 0 and not sent.is_left:
            return False
        end = sent.ended + SURE
        return not any(sent.began <= out.killed <= end for out in self.outages)

    def bound_records(self, sent: Iterable[Sent]) -> Bounds:
        """How many records there must be of these requests."""
        all_sent = list(sent)
        least = sum(each.records for each in all_sent if self.is_sure(each))
        return Bounds(least, sum(each.records for each in all_sent))


def find_most_within(sent: Iterable[Sent], seconds: float, weigh: Callable[[Sent], int]) -> int:
    """The most that was admitted in any window: of requests that began and ended in it."""
    admitted = sorted((each for each in sent if each.is_admitted), key=lambda each: each.began)
    most = 0
    for first in admitted:
        until = first.began + seconds
        within = (e for e in admitted if first.began <= e.began and e.ended <= until)
        most = max(most, sum(map(weigh, within)))
    return most


def percentile(values: Iterable[float], share: float) -> float:
    """0 where there is none."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))] if ordered else 0.0


def count_statuses(sent: Iterable[Sent]) -> dict[int, int]:
    return dict(sorted(Counter(each.status for each in sent).items()))
