"""The tier in the isolate's memory: bounded by entries and by bytes, with a time to live.

It holds an entry's encoded bytes, deflated: far more of them fit than of the objects that they
decode to, and what they take is known. Entries stand in the order of their use, and in a bucket
for the second in which they expire, so that every operation takes constant time, amortised; beside
it no second that passes is looked at more than once.
"""

import math
from collections import OrderedDict
from sys import getsizeof, maxsize

from msgspec import Struct

from proxy.core.ports import Clock

OVERHEAD = 512 if maxsize > 2**32 else 288
"""Bytes that an entry takes beside its key and its value: at the most 492 on 64-bit CPython 3.11
and 282 on Pyodide 314, by tracemalloc, where each entry expires in a second of its
own and the tables have just grown."""


class _MemoryEntry(Struct, frozen=True, gc=False):
    value: bytes
    size: int
    fresh_until: float
    gone_after: float


class MemoryCache:
    """Keeps bytes by key. Never holds more than `max_entries` or, as counted, `max_bytes`.

    When room is needed, what has expired leaves first, the oldest expiry before all, in whole
    seconds: an entry counts as expired here once the second of its expiry is over. Then leaves
    what has not been used for the longest time.
    """

    def __init__(
        self, clock: Clock, max_entries: int = 1000, max_bytes: int = 4 * 1024 * 1024
    ) -> None:
        self._clock = clock
        self._max_entries = max_entries
        self._max_bytes = max_bytes
        self.bytes = 0
        """What is held, as counted."""
        self._held: OrderedDict[str, _MemoryEntry] = OrderedDict()
        self._expiring: dict[int, dict[str, None]] = {}
        self._earliest = 0  # no bucket is of an earlier second

    @property
    def entries(self) -> int:
        """The number of entries that are held."""
        return len(self._held)

    def get(self, key: str) -> bytes | None:
        """The value, fresh or stale; None where there is none or its `grace` is over."""
        held = self._held.get(key)
        if held is None:
            return None
        if self._clock.now() >= held.gone_after:
            self._remove(key, held)
            return None
        self._held.move_to_end(key)
        return held.value

    def put(self, key: str, value: bytes, ttl: float, grace: float) -> None:
        """Keeps `value`, fresh for `ttl` seconds and stale for `grace` more; ttl is below 0 for
        one that is stale already. Under the key nothing else is kept, and nothing at all where the
        value would take an eighth of all bytes or is gone already."""
        self.delete(key)
        size = getsizeof(key) + getsizeof(value) + OVERHEAD
        if size > self._max_bytes // 8 or ttl + grace <= 0 or self._max_entries < 1:
            return
        now = self._clock.now()
        while len(self._held) >= self._max_entries or self.bytes + size > self._max_bytes:
            self._make_room(now)
        held = _MemoryEntry(value, size, now + ttl, now + ttl + grace)
        second = math.floor(held.fresh_until)
        self._held[key] = held
        self._expiring.setdefault(second, {})[key] = None
        self._earliest = min(self._earliest, second)
        self.bytes += size

    def delete(self, key: str) -> None:
        """Removes an entry."""
        if held := self._held.get(key):
            self._remove(key, held)

    def _make_room(self, now: float) -> None:
        key = self._pop_expired(math.floor(now))
        if key is None:
            key = next(iter(self._held))
        self._remove(key, self._held[key])

    def _pop_expired(self, second: int) -> str | None:
        """The key of the entry that expired first, if before `second`; out of its bucket."""
        steps = len(self._expiring)
        while self._earliest < second:
            if keys := self._expiring.get(self._earliest):
                return keys.popitem()[0]  # the last: nothing that was removed has to be skipped
            if steps:
                self._earliest += 1
                steps -= 1
            else:  # so many seconds without a bucket: looking at the buckets costs no more
                self._earliest = min(self._expiring, default=second)
        return None

    def _remove(self, key: str, held: _MemoryEntry) -> None:
        del self._held[key]
        self.bytes -= held.size
        second = math.floor(held.fresh_until)
        bucket = self._expiring[second]
        bucket.pop(key, None)  # _pop_expired has taken it out already
        if not bucket:
            del self._expiring[second]
