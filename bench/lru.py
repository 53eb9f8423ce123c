"""What the memory cache costs: time per operation, and bytes counted against bytes taken.

    python bench/lru.py [LARGEST]     from 100 to LARGEST (1,000,000) entries

Entries are 500 bytes under keys of 64 characters, each expiring in a second of its own, which
takes the most memory. Times are the best of three rounds, in nanoseconds an operation.
"""

import gc
import random
import sys
import tracemalloc
from collections.abc import Callable, Iterable
from pathlib import Path
from time import perf_counter_ns

sys.path.insert(0, str(Path(__file__).parents[1] / "src"))

from proxy.cache.lru import MemoryCache

TTL, GRACE = 10_000_000, 60
ROUND = 20_000
"""Operations that are timed together."""


class _Clock:
    time = 1_700_000_000.0

    def now(self) -> float:
        return self.time


def _key(number: int) -> str:
    return f"{number:064x}"


def _fill(clock: _Clock, entries: int) -> MemoryCache:
    cache = MemoryCache(clock, max_entries=entries, max_bytes=1 << 40)
    for number in range(entries):
        clock.time += 1
        cache.put(_key(number), bytes(500), TTL, GRACE)
    return cache


def _best(operation: Callable[[str], object], rounds: Iterable[list[str]]) -> int:
    times = []
    for keys in rounds:
        begin = perf_counter_ns()
        for key in keys:
            operation(key)
        times.append((perf_counter_ns() - begin) // len(keys))
    return min(times)


def _times(entries: int) -> tuple[int, ...]:
    """A hit, a miss, a put that the least recently used leaves for, one that a stale one does."""
    clock = _Clock()
    cache = _fill(clock, entries)
    value = bytes(500)
    chance = random.Random(1)
    known = [[_key(chance.randrange(entries)) for _ in range(ROUND)] for _ in range(3)]
    fresh = [[_key(entries + ROUND * n + i) for i in range(ROUND)] for n in range(6)]
    hit = _best(cache.get, known)
    miss = _best(cache.get, fresh)
    evict = _best(lambda key: cache.put(key, value, TTL, GRACE), fresh[:3])
    clock.time += TTL + 1  # all that is held is stale now
    expire = _best(lambda key: cache.put(key, value, TTL, GRACE), fresh[3:])
    return hit, miss, evict, expire


def _sizes(entries: int) -> tuple[int, int]:
    """Bytes of an entry as counted and as allocated."""
    gc.collect()
    tracemalloc.start()
    cache = _fill(_Clock(), entries)
    gc.collect()
    taken, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    return cache.bytes // entries, taken // entries


def main(largest: int) -> None:
    """Prints the table."""
    titles = ("entries", "hit ns", "miss ns", "put+LRU ns", "put+stale ns", "counted B", "taken B")
    print("".join(title.rjust(14) for title in titles))
    entries = 100
    while entries <= largest:
        row = (entries, *_times(entries), *_sizes(entries))
        print("".join(f"{cell:14,}" for cell in row), flush=True)
        entries *= 10


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 1_000_000)
