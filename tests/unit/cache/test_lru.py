"""The memory cache against a plain model of it, and its promises one by one."""

import math
from sys import getsizeof

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from proxy.cache.lru import OVERHEAD, MemoryCache
from tests.unit.doubles import ManualClock

UNIT = OVERHEAD + 200  # one entry with a short value, as counted, and some room


class Line:
    """An entry of the model."""

    def __init__(self, value: bytes, size: int, fresh_until: float, gone_after: float) -> None:
        self.value = value
        self.size = size
        self.fresh_until = fresh_until
        self.gone_after = gone_after
        self.put = self.used = 0


class Model:
    """The same promises, kept by looking at every entry each time."""

    def __init__(self, max_entries: int, max_bytes: int) -> None:
        self.max_entries, self.max_bytes = max_entries, max_bytes
        self.lines: dict[str, Line] = {}
        self.turn = 0

    @property
    def size(self) -> int:
        return sum(line.size for line in self.lines.values())

    def get(self, key: str, now: float) -> bytes | None:
        line = self.lines.get(key)
        if line and now >= line.gone_after:
            del self.lines[key]
            return None
        if line is None:
            return None
        self.turn += 1
        line.used = self.turn
        return line.value

    def put(self, key: str, value: bytes, ttl: float, grace: float, now: float) -> None:
        self.lines.pop(key, None)
        line = Line(
            value, getsizeof(key) + getsizeof(value) + OVERHEAD, now + ttl, now + ttl + grace
        )
        if line.size > self.max_bytes // 8 or ttl + grace <= 0:
            return
        while len(self.lines) >= self.max_entries or self.size + line.size > self.max_bytes:
            self.make_room(now)
        self.turn += 1
        line.put = line.used = self.turn
        self.lines[key] = line

    def make_room(self, now: float) -> None:
        expired = [
            key
            for key, line in self.lines.items()
            if math.floor(line.fresh_until) < math.floor(now)
        ]
        if expired:

            def order(key: str) -> tuple[int, int]:
                return math.floor(self.lines[key].fresh_until), -self.lines[key].put

            key = min(expired, key=order)
        else:
            key = min(self.lines, key=lambda key: self.lines[key].used)
        del self.lines[key]


KEYS = st.sampled_from([f"key-{number}" for number in range(16)])
SECONDS = st.sampled_from([-2.5, 0, 0.25, 1, 1.5, 3, 10, 1000])


class Comparison(RuleBasedStateMachine):
    """Does the same to the cache and to the model; both must hold the same."""

    @initialize(
        max_entries=st.sampled_from([1, 3, 5, 100]), units=st.sampled_from([8, 10, 1_000_000])
    )
    def begin(self, max_entries: int, units: int) -> None:
        self.clock = ManualClock(1000.75)
        self.cache = MemoryCache(self.clock, max_entries, units * UNIT)
        self.model = Model(max_entries, units * UNIT)

    @rule(
        keys=st.lists(KEYS, min_size=1, max_size=6),
        length=st.sampled_from([0, 60, 100, 300]),
        ttl=SECONDS,
        grace=SECONDS.filter(lambda seconds: seconds >= 0),
    )
    def put(self, keys: list[str], length: int, ttl: float, grace: float) -> None:
        for key in keys:
            value = key.encode() + bytes(length)
            self.cache.put(key, value, ttl, grace)
            self.model.put(key, value, ttl, grace, self.clock.time)

    @rule(keys=st.lists(KEYS, min_size=1, max_size=4))
    def get(self, keys: list[str]) -> None:
        for key in keys:
            assert self.cache.get(key) == self.model.get(key, self.clock.time)

    @rule(key=KEYS)
    def delete(self, key: str) -> None:
        self.cache.delete(key)
        self.model.lines.pop(key, None)

    @rule(seconds=st.sampled_from([-1e6, -5, -0.5, 0.25, 0.5, 1, 2.25, 20, 1e6]))
    def turn_the_clock(self, seconds: float) -> None:
        self.clock.time += seconds

    @invariant()
    def holds_the_same(self) -> None:
        assert self.cache.entries == len(self.model.lines) <= self.model.max_entries
        assert self.cache.bytes == self.model.size <= self.model.max_bytes

    def teardown(self) -> None:
        if hasattr(self, "cache"):
            for number in range(16):
                self.get([f"key-{number}"])


TestComparison = Comparison.TestCase
TestComparison.settings = settings(max_examples=150, stateful_step_count=40, deadline=None)


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


def test_an_entry_is_there_for_its_ttl_and_its_grace(clock: ManualClock) -> None:
    cache = MemoryCache(clock)
    cache.put("a", b"x", ttl=10, grace=5)
    clock.time += 14.75
    assert cache.get("a") == b"x"
    clock.time += 0.25
    assert cache.get("a") is None
    assert (cache.entries, cache.bytes) == (0, 0)


def test_the_least_recently_used_leaves(clock: ManualClock) -> None:
    cache = MemoryCache(clock, max_entries=2)
    cache.put("a", b"", 60, 0)
    cache.put("b", b"", 60, 0)
    cache.get("a")
    cache.put("c", b"", 60, 0)
    assert cache.get("b") is None
    assert cache.get("a") is not None


def test_stale_entries_leave_before_live_ones_the_oldest_expiry_first(clock: ManualClock) -> None:
    cache = MemoryCache(clock, max_entries=3)
    cache.put("live", b"", 1000, 0)
    cache.put("later", b"", 20, 1000)
    cache.put("sooner", b"", 10, 1000)
    clock.time += 100
    cache.get("later")
    cache.get("sooner")
    cache.put("new", b"", 1000, 0)
    assert cache.get("sooner") is None
    cache.put("newer", b"", 1000, 0)
    assert cache.get("later") is None
    assert cache.get("live") is not None


def test_what_is_too_large_is_refused_and_does_not_leave_an_older_value(clock: ManualClock) -> None:
    cache = MemoryCache(clock, max_bytes=80_000)
    cache.put("a", bytes(9000), 60, 0)
    assert cache.get("a") is not None
    cache.put("a", bytes(10_000), 60, 0)
    assert cache.get("a") is None
    assert cache.bytes == 0


def test_a_cache_without_room_keeps_nothing(clock: ManualClock) -> None:
    for cache in (MemoryCache(clock, max_entries=0), MemoryCache(clock, max_bytes=0)):
        cache.put("a", b"", 60, 0)
        assert cache.entries == 0


class CountingDict(dict[int, dict[str, None]]):
    """Counts how often it is looked at."""

    looks = 0

    def get(self, *args):  # type: ignore[no-untyped-def]
        self.looks += 1
        return super().get(*args)

    def __iter__(self):  # type: ignore[no-untyped-def]
        self.looks += len(self)
        return super().__iter__()


@pytest.mark.parametrize("apart", [1, 7, 10_000])
def test_making_room_looks_at_each_second_once_and_never_at_more_than_the_entries(
    clock: ManualClock, apart: int
) -> None:
    entries = 500
    cache = MemoryCache(clock, max_entries=entries)
    cache._expiring = counting = CountingDict()
    for number in range(entries):
        cache.put(f"old {number}", b"", 1 + apart * number, 1e9)
    clock.time += 1e8
    for number in range(entries):
        cache.put(f"new {number}", b"", 1e9, 0)
    assert all(cache.get(f"old {number}") is None for number in range(entries))
    assert counting.looks <= 3 * entries * (min(apart, entries) + 1)
