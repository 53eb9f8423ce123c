"""A tier of the cache, in memory."""

import asyncio
from collections.abc import Sequence
from typing import Any


class MemoryStore:
    """A tier of the cache, in memory; `fault` makes it raise, `silent` makes it hang."""

    def __init__(self) -> None:
        self.held: dict[str, tuple[bytes, int]] = {}
        self.fault: Exception | None = None
        self.silent = False

    async def _ready(self) -> None:
        if self.fault:
            raise self.fault
        if self.silent:
            await asyncio.sleep(10)

    async def get(self, key: str) -> bytes | None:
        await self._ready()
        held = self.held.get(key)
        return held[0] if held else None

    async def put(self, key: str, data: bytes, lifetime: int, failed: Any = None) -> None:
        try:
            await self._ready()
        except Exception as error:
            if not failed:
                raise
            failed(error)
        else:
            self.held[key] = (data, lifetime)

    async def delete(self, key: str) -> None:
        await self._ready()
        self.held.pop(key, None)

    async def list_keys(self, prefix: str, after: str) -> Sequence[str]:
        await self._ready()
        return sorted(key for key in self.held if key.startswith(prefix) and key > after)[:1000]

    async def delete_all(self, keys: Sequence[str]) -> None:
        await self._ready()
        for key in keys:
            del self.held[key]

    async def prune(self, prefix: str) -> int:
        await self._ready()
        over = [key for key in self.held if key.startswith(prefix)]
        for key in over:
            del self.held[key]
        return len(over)
