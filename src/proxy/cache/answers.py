"""The cache of answers: memory above KV and R2, and what of it may be shown.

Promises: an entry is shown only to those who have its key, never past its grace, never once
it was purged; a lower tier's hit fills memory; what fails costs a miss.
"""

from typing import Literal

from msgspec import Struct

from proxy.cache.directives import Directives
from proxy.cache.entry import CacheEntry, Unstorable, decode, encode
from proxy.cache.lru import MemoryCache
from proxy.cache.purge import PurgeView, Scope
from proxy.cache.tiers import LowerTiers
from proxy.core.circuit import Circuit
from proxy.core.ports import Clock, Defer, Log

Tier = Literal["memory", "kv", "r2"]

LEDGER_SECONDS = 1.0
"""What a reading of the purges may take: once an isolate, then beside the requests."""


class Hit(Struct, frozen=True):
    """An entry and where it was found. A stale one is for when all providers fail."""

    entry: CacheEntry
    tier: Tier | None
    """None: the leader of identical requests has published it."""
    is_fresh: bool
    data: bytes = b""
    """The entry's bytes, where memory has them."""


class AnswerCache:
    """The cache of one isolate with the tiers below it."""

    def __init__(
        self, memory: MemoryCache, lower: LowerTiers, purges: PurgeView, clock: Clock, log: Log
    ) -> None:
        self.memory = memory
        self._lower = lower
        self._purges = purges
        self._circuit = Circuit(clock)
        self._clock = clock
        self._log = log

    async def find(self, key: str, directives: Directives, defer: Defer) -> Hit | None:
        """The best entry there is: a fresh one from the uppermost tier, else the newest stale one.

        Waits for nothing where memory has a fresh one and the purges are known.
        """
        if not self._purges.is_usable:
            await self._read_purges()
            if not self._purges.is_usable:
                return None
        best = self.find_in_memory(key, directives, defer)
        if best and best.is_fresh:
            return best
        if (found := await self._lower.find(key)) is None:
            return best
        entry, data, tier = found
        hit = self._judge(key, entry, tier, directives)
        if hit is None:
            return best
        if best is None or entry.stored > best.entry.stored:
            self.remember(key, entry, data)
            return hit
        return hit if hit.is_fresh else best

    def find_in_memory(
        self, key: str, directives: Directives, defer: Defer, last: Hit | None = None
    ) -> Hit | None:
        """The entry that memory has, fresh or stale, where the purges are known. last: the one that
        was found before, whose entry counts again where memory still has the same bytes."""
        if not self._purges.is_recent:
            if not self._purges.is_usable:
                return None
            if self._purges.is_due:
                self._purges.begin_reading()
                defer(self._read_purges())
        data = self.memory.get(key)
        if data is None:
            return None
        entry = last.entry if last and last.data is data else decode(data)
        return self._judge(key, entry, "memory", directives, data)

    def admits(self, key: str, entry: CacheEntry, directives: Directives) -> bool:
        """Whether an entry that came another way may be shown as fresh."""
        hit = self._judge(key, entry, "memory", directives)
        return hit is not None and hit.is_fresh

    def keep(self, key: str, entry: CacheEntry, defer: Defer) -> None:
        """Puts a new entry into memory, and has it written to a tier below."""
        try:
            data = encode(entry)
        except Unstorable as error:
            self._log("warning", "answer not cached", key=key, why=str(error))
            return
        self.memory.put(key, data, entry.ttl, entry.grace)
        self._lower.put(key, data, entry.ttl + entry.grace, defer)

    def remember(self, key: str, entry: CacheEntry, data: bytes) -> None:
        """Puts an entry that is kept elsewhere into memory."""
        left = entry.fresh_until - self._clock.now()
        self.memory.put(key, data, left, entry.grace)

    async def purge(self, scope: Scope, value: str) -> None:
        """Purges: here at once, everywhere soon (see cache.purge). Raises what the ledger's
        unreachability raises: the purge then holds here only."""
        await self._purges.purge(scope, value)
        if scope == "key":
            self.memory.delete(value)
            await self._lower.delete(value)

    def _judge(
        self, key: str, entry: CacheEntry, tier: Tier, directives: Directives, data: bytes = b""
    ) -> Hit | None:
        now, fresh_until = self._clock.now(), entry.fresh_until
        if now >= fresh_until + entry.grace or self._purges.hides(key, entry):
            return None
        young = directives.max_age is None or entry.age(now) <= directives.max_age
        return Hit(entry, tier, now < fresh_until and young, data)

    async def _read_purges(self) -> None:
        try:
            await self._circuit.call("purges", self._purges.read(), LEDGER_SECONDS)
        except Exception as error:
            self._log("error", "purges unreachable", error=repr(error)[:500])
