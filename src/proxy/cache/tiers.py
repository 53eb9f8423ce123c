"""The tiers below memory, KV and R2, and which of them holds what.

Promise: a tier that fails or is slow costs a miss, never the request.

| tier | size | lifetime, grace included | because |
| --- | --- | --- | --- |
| memory | an eighth of its bytes | any | an isolate has 128 MB for everything |
| KV | 1 MB | 60 s or more | nothing expires sooner, large values are read slowly |
| R2 | 25 MB | 60 s or more | it takes what KV does not: the large, all where there is no KV |

Of an entry in R2, KV has a marker under the same key, for as long: a miss reads KV and nothing
else. The marker is written after the entry. A marker whose entry R2 has lost is a miss; an entry
whose marker a smaller one has replaced is not looked at any more, and pruned in its time.
"""

from collections.abc import Awaitable
from functools import partial
from typing import Literal

from proxy.cache.entry import CacheEntry, ForeignEntry, decode
from proxy.core.patience import within
from proxy.core.ports import BlobStore, Clock, Defer, ExpiringStore, Log, PrunableStore

Lower = Literal["kv", "r2"]

KV_LARGEST = 1024 * 1024
R2_LARGEST = 25 * 1024 * 1024
SHORTEST = 60
"""Seconds that an entry must live to be worth a place."""
IN_R2 = b"in R2"
"""KV's marker of an entry that R2 holds."""


WRITE_SECONDS = 1.0
"""The time between two writes of one key."""
WRITES_KNOWN = 1000
"""Writes that an isolate remembers; then it begins anew."""
PRUNE_SECONDS = 300
"""How often the cron trigger prunes; each time another 256th of the keys."""


def prune_prefix(now: float) -> str:
    """The keys whose turn it is at `now` seconds since 1970. Keys are SHA-256: evenly spread."""
    return f"{int(now // PRUNE_SECONDS) % 256:02x}"


class LowerTiers:
    """KV and R2, as far as the deployment has them."""

    def __init__(
        self,
        kv: ExpiringStore | None,
        r2: PrunableStore | None,
        timeout: float,
        clock: Clock,
        log: Log,
    ) -> None:
        """timeout: seconds that a read of one tier may take."""
        self._kv, self._r2 = kv, r2
        self._stores: dict[Lower, BlobStore | None] = {"kv": kv, "r2": r2}
        self._timeout = timeout
        self._clock = clock
        self._log = log
        self._written: dict[tuple[Lower, str], float] = {}

    async def find(self, key: str) -> tuple[CacheEntry, bytes, Lower] | None:
        """The entry, its bytes, and the tier that has it."""
        tier: Lower = "kv"
        data = await self._read(tier, key)
        if data == IN_R2:
            tier = "r2"
            data = await self._read(tier, key)
        try:
            return None if data is None else (decode(data), data, tier)
        except ForeignEntry as error:
            why = str(error)
            self._log("warning", "cache entry unreadable", tier=tier, key=key, why=why)
            return None

    def put(self, key: str, data: bytes, lifetime: int, defer: Defer) -> None:
        """Has an entry written to the tier that it belongs to, for `lifetime` seconds."""
        if lifetime < SHORTEST or len(data) > R2_LARGEST:
            return
        if self._kv and len(data) <= KV_LARGEST:
            if writing := self._write_kv(key, data, lifetime):
                defer(writing)
        elif self._r2 and self._may_write("r2", key):
            defer(self._write_r2(self._r2, key, data, lifetime))

    async def delete(self, key: str) -> None:
        """Removes the entry wherever it is."""
        for name, store in self._stores.items():
            try:
                if store:
                    await store.delete(key)
            except Exception as error:
                self._log_failure(name, key, error)

    async def _read(self, name: Lower, key: str) -> bytes | None:
        """What a tier has. A KV that is not there, or does not answer, could have a marker."""
        store = self._stores[name]
        try:
            if store:
                with within(self._timeout):
                    return await store.get(key)
        except TimeoutError:
            self._log("warning", "cache tier slow", tier=name, key=key)
        except Exception as error:
            self._log_failure(name, key, error)
        return IN_R2 if name == "kv" else None

    def _write_kv(self, key: str, data: bytes, lifetime: int) -> Awaitable[object] | None:
        """Begins to write to KV; gives what is left to wait for."""
        if self._kv is None or not self._may_write("kv", key):
            return None
        return self._kv.put(key, data, lifetime, partial(self._log_failure, "kv", key))

    async def _write_r2(self, r2: PrunableStore, key: str, data: bytes, lifetime: int) -> None:
        """Writes to R2, and the marker once R2 has the entry."""
        try:
            await r2.put(key, data, lifetime)
        except Exception as error:
            self._log_failure("r2", key, error)
            return
        if writing := self._write_kv(key, IN_R2, lifetime):
            await writing

    def _may_write(self, name: Lower, key: str) -> bool:
        """KV and R2 take one write a second of a key: a second one is left out."""
        now = self._clock.now()
        if 0 <= now - self._written.get((name, key), -1.0) < WRITE_SECONDS:
            return False
        if len(self._written) >= WRITES_KNOWN:
            self._written.clear()
        self._written[name, key] = now
        return True

    def _log_failure(self, tier: Lower, key: str, error: Exception) -> None:
        self._log("error", "cache tier failed", tier=tier, key=key, error=repr(error)[:500])
