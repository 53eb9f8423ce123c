"""The leases of a bucket that have not ended, in the order in which they lapse: how many there are
changes next to nothing of what a call costs."""

from collections.abc import Iterator
from heapq import heappop, heappush

from msgspec import Struct

from proxy.limits.lease_messages import Count

STORED = 100
"""Leases that are stored one by one; what is stored goes to the disk with each call."""


class Lent(Struct, array_like=True):
    """A lease that has not ended."""

    tokens: Count
    lapse: int
    """The moment at which it ends by itself."""
    model: str = ""


class Second(Struct):
    """The leases for a model that lapse within one second."""

    tokens: int = 0
    last: int = 0
    """When the last of them does."""


class Lapses:
    """Keeps order among leases, which it adds to a dict by their ids and takes out of it."""

    def __init__(self, leases: dict[int, Lent]) -> None:
        self._leases = leases
        self._heap: list[tuple[int, int]] = []
        """When they lapse; of those that were taken out too, until then."""
        self._seconds: dict[tuple[int, str], Second] = {}
        """By the second and the model."""
        for lease in leases:
            self._sort(lease)

    def add(self, lease: int, lent: Lent) -> None:
        """Adds a lease."""
        self._leases[lease] = lent
        self._sort(lease)

    def take(self, lease: int) -> Lent | None:
        """Takes a lease out; None: there is none of that id."""
        lent = self._leases.pop(lease, None)
        if lent:
            place = lent.lapse // 1000, lent.model
            self._seconds[place].tokens -= lent.tokens
            if not self._seconds[place].tokens:
                del self._seconds[place]
        return lent

    def take_lapsed(self, now: int) -> Iterator[Lent]:
        """Takes out the leases that have lapsed, the first of them first."""
        heap = self._heap
        while heap and (heap[0][0] <= now or heap[0][1] not in self._leases):
            if lent := self.take(heappop(heap)[1]):
                yield lent

    def in_order(self) -> Iterator[Lent]:
        """All, the first to lapse first."""
        heap = [*self._heap]
        while heap:
            if lent := self._leases.get(heappop(heap)[1]):
                yield lent

    def by_second(self) -> list[Second]:
        """All, the seconds in their order."""
        return [second for _, second in sorted(self._seconds.items())]

    def to_store(self) -> dict[int, Lent]:
        """The leases; of many, one for those that lapse within a second, under an id that no lease
        has: where they are read again, they lapse without being returned."""
        if len(self._leases) <= STORED:
            return self._leases
        places = sorted(self._seconds.items())
        return {
            -number: Lent(second.tokens, second.last, model)
            for number, ((_, model), second) in enumerate(places, 1)
        }

    def _sort(self, lease: int) -> None:
        lent = self._leases[lease]
        heappush(self._heap, (lent.lapse, lease))
        second = self._seconds.setdefault((lent.lapse // 1000, lent.model), Second())
        second.tokens += lent.tokens
        second.last = max(second.last, lent.lapse)
