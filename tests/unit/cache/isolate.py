"""The cache of one isolate, for tests."""

from collections.abc import Awaitable
from typing import Any

from msgspec import structs

from proxy.cache.answers import AnswerCache, Hit
from proxy.cache.directives import Directives
from proxy.cache.entry import CacheEntry, encode
from proxy.cache.lru import MemoryCache
from proxy.cache.purge import PurgeView
from proxy.cache.tiers import IN_R2, LowerTiers
from tests.unit.cache.making import KEY, NOW, make_entry
from tests.unit.doubles import Logbook, ManualClock
from tests.unit.memory_objects import MemoryObjects
from tests.unit.memory_store import MemoryStore

DIRECTIVES = Directives(read=True, store=True, ttl=60)


def make_lasting(text: str = "Paris.", **fields: Any) -> CacheEntry:
    """An entry that still answers outages for 100 s once it is stale."""
    return make_entry(text, **({"grace": 100} | fields))


class Isolate:
    """The cache of one isolate with all that is around it at hand. Others may share its tiers
    and its ledger."""

    def __init__(self, of: "Isolate | None" = None, clock: ManualClock | None = None) -> None:
        self.clock: ManualClock = of.clock if of else clock or ManualClock(NOW)
        self.kv: MemoryStore = of.kv if of else MemoryStore()
        self.r2: MemoryStore = of.r2 if of else MemoryStore()
        self.objects: MemoryObjects = of.objects if of else MemoryObjects(self.clock)
        self.purges = self.objects.purges
        self.log = Logbook()
        self.memory = MemoryCache(self.clock)
        lower = LowerTiers(self.kv, self.r2, 0.05, self.clock, self.log)
        view = PurgeView(self.objects, self.clock)
        self.cache = AnswerCache(self.memory, lower, view, self.clock, self.log)
        self.deferred: list[Awaitable[object]] = []

    async def hit(self, **changes: object) -> Hit | None:
        """What is found, with these directives; deferred work is done then."""
        directives = structs.replace(DIRECTIVES, **changes)
        hit = await self.cache.find(KEY, directives, self.deferred.append)
        while self.deferred:
            await self.deferred.pop()
        return hit

    async def found(self, **changes: object) -> tuple[str | None, str | None, bool] | None:
        hit = await self.hit(**changes)
        return (hit.entry.answer.text, hit.tier, hit.is_fresh) if hit else None

    async def keep(self, entry: CacheEntry) -> None:
        """Has the cache keep an entry; deferred work is done then."""
        self.cache.keep(KEY, entry, self.deferred.append)
        while self.deferred:
            await self.deferred.pop()

    def put(self, store: MemoryStore, entry: CacheEntry) -> None:
        """Puts an entry where it lies, as another isolate would have."""
        store.held[KEY] = (encode(entry), 10**9)
        if store is self.r2:
            self.kv.held[KEY] = (IN_R2, 10**9)
