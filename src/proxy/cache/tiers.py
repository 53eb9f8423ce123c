"""The tiers below memory, KV and R2, and which of them holds what.

Promise: a tier that fails or is slow costs a miss, never the request.

| tier | size | lifetime, grace included | because |
| --- | --- | --- | --- |
| memory | an eighth of its bytes | any | an isolate has 128 MB for everything |
| KV | 1 MB | 60 s or more | nothing expires sooner, large values are read slowly |
| R2 | 25 MB | an hour or more, or too large for KV | it keeps for long, at less; reads are slower |
"""

from collections.abc import Mapping
from typing import Literal

from proxy.cache.entry import CacheEntry, ForeignEntry, decode
from proxy.core.patience import Patience
from proxy.core.ports import BlobStore, Clock, Log

Lower = Literal["kv", "r2"]

KV_LARGEST = 1024 * 1024
KV_SHORTEST = 60
R2_LARGEST = 25 * 1024 * 1024
R2_SHORTEST = 3600


WRITE_SECONDS = 1.0
"""The time between two writes of one key."""
WRITES_KNOWN = 1000
"""Writes that an isolate remembers; then it begins anew."""
PRUNE_SECONDS = 300
"""How often the cron trigger prunes; each time another 256th of the keys."""


def prune_prefix(now: float) -> str:
    """The keys whose turn it is at `now` seconds since 1970. Keys are SHA-256: evenly spread."""
    return f"{int(now // PRUNE_SECONDS) % 256:02x}"


def placement(size: int, lifetime: int) -> tuple[Lower, ...]:
    """The tiers below memory for `size` bytes that live `lifetime` seconds, grace included."""
    if lifetime < KV_SHORTEST or size > R2_LARGEST:
        return ()
    if size > KV_LARGEST:
        return ("r2",)
    return ("kv", "r2") if lifetime >= R2_SHORTEST else ("kv",)


class LowerTiers:
    """KV and R2, as far as the deployment has them."""

    def __init__(
        self, stores: Mapping[Lower, BlobStore], timeout: float, clock: Clock, log: Log
    ) -> None:
        """timeout: seconds that a read of one tier may take."""
        self._clock = clock
        self._written: dict[tuple[str, str], float] = {}
        self._stores = stores
        self._timeout = timeout
        self._log = log

    async def find(
        self, key: str, after: Lower | None = None
    ) -> tuple[CacheEntry, bytes, Lower] | None:
        """The entry from the uppermost tier that has it, or the uppermost below `after`, with
        its bytes."""
        names = list(self._stores)
        with Patience() as patience:
            for name in names[names.index(after) + 1 :] if after else names:
                try:
                    with patience.within(self._timeout):
                        data = await self._stores[name].get(key)
                    if data is not None:
                        return decode(data), data, name
                except ForeignEntry as error:
                    why = str(error)
                    self._log("warning", "cache entry unreadable", tier=name, key=key, why=why)
                except TimeoutError:
                    self._log("warning", "cache tier slow", tier=name, key=key)
                except Exception as error:
                    self._log_failure(name, key, error)
        return None

    async def put(self, key: str, data: bytes, lifetime: int) -> None:
        """Writes an entry to the tiers that it belongs to, `lifetime` seconds from now on."""
        for name in placement(len(data), lifetime):
            await self._write(name, key, data, lifetime)

    async def promote(self, key: str, data: bytes, lifetime: int) -> None:
        """Writes an entry that was found in R2 to KV, if it belongs there."""
        if "kv" in placement(len(data), lifetime):
            await self._write("kv", key, data, lifetime)

    async def delete(self, key: str) -> None:
        """Removes the entry wherever it is."""
        for name, store in self._stores.items():
            try:
                await store.delete(key)
            except Exception as error:
                self._log_failure(name, key, error)

    async def _write(self, name: Lower, key: str, data: bytes, lifetime: int) -> None:
        store = self._stores.get(name)
        if store and self._may_write(name, key):
            try:
                await store.put(key, data, lifetime)
            except Exception as error:
                self._log_failure(name, key, error)

    def _may_write(self, name: Lower, key: str) -> bool:
        """KV and R2 take one write a second of a key: a second one is left out."""
        now = self._clock.now()
        if 0 <= now - self._written.get((name, key), -1.0) < WRITE_SECONDS:
            return False
        if len(self._written) >= WRITES_KNOWN:
            self._written.clear()
        self._written[name, key] = now
        return True

    def _log_failure(self, tier: str, key: str, error: Exception) -> None:
        self._log("error", "cache tier failed", tier=tier, key=key, error=repr(error)[:500])
