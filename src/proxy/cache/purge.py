"""What has been purged: kept in one Durable Object, looked at by every isolate.

Nothing is deleted where it lies (memory of other isolates and KV's edge copies can't be
reached): a purge is a moment, and an entry that was born before it is no longer seen. An
isolate goes by what it read for at most HOLD_SECONDS, so a purge holds everywhere within that.
"""

import asyncio
from typing import Literal

from msgspec import Struct

from proxy.cache.entry import CacheEntry
from proxy.core.ports import Clock, Objects
from proxy.core.rpc import NOTHING, Method, as_text

Scope = Literal["all", "key", "model", "user"]

HOLD_SECONDS = 30.0
"""For how long an isolate may go by what it has read."""
RENEW_SECONDS = 15.0
"""After how long it reads again, beside the request."""
RETRY_SECONDS = 3.0
"""After how long a reading that has not come back is begun anew."""
RECORD_SECONDS = 2.0
"""What the ledger may take to keep a purge."""


class Purge(Struct, frozen=True):
    """Entries of `scope` (one key, model or user; all) born up to `at` are gone. `at` in
    seconds since 1970; a model is named `provider/id`."""

    scope: Scope
    value: str
    at: float


LEDGER = "purges"
"""The name of the only object."""
RECORD_PURGE = Method("CACHE_PURGES", "record_purge", as_text(Purge), NOTHING)
READ_PURGES = Method("CACHE_PURGES", "read_purges", NOTHING, as_text(tuple[Purge, ...]))


class PurgeView:
    """What one isolate knows of the purges."""

    def __init__(self, objects: Objects, clock: Clock) -> None:
        self._objects = objects
        self._clock = clock
        self._read_at: float | None = None
        self._begun_at = 0.0
        self._at: dict[tuple[Scope, str], float] = {}

    @property
    def is_recent(self) -> bool:
        """Whether what is known is usable, and not due to be read again."""
        return self._age() < RENEW_SECONDS

    @property
    def is_usable(self) -> bool:
        """Whether what is known is recent enough to show an entry by."""
        return self._age() < HOLD_SECONDS

    @property
    def is_due(self) -> bool:
        """Whether it is time to read again."""
        if self.is_recent:
            return False
        return not 0 <= self._clock.now() - self._begun_at < RETRY_SECONDS

    def begin_reading(self) -> None:
        """Notes that a request reads now: no other needs to for a while."""
        self._begun_at = self._clock.now()

    def _age(self) -> float:
        """Seconds since the last reading; a clock that stepped back ends its worth."""
        age = HOLD_SECONDS if self._read_at is None else self._clock.now() - self._read_at
        return age if age >= 0 else HOLD_SECONDS

    async def read(self) -> None:
        """Reads the ledger. What was purged here meanwhile stays purged."""
        begun_at = self._clock.now()
        for purge in await self._objects.call(READ_PURGES, LEDGER, None):
            self._note(purge)
        self._read_at = begun_at

    async def purge(self, scope: Scope, value: str) -> Purge:
        """Purges: here at once, everywhere within HOLD_SECONDS."""
        purge = Purge(scope, value, self._clock.now())
        self._note(purge)
        async with asyncio.timeout(RECORD_SECONDS):
            await self._objects.call(RECORD_PURGE, LEDGER, purge)
        return purge

    def hides(self, key: str, entry: CacheEntry) -> bool:
        """Whether the entry was purged."""
        if not self._at:
            return False
        model = f"{entry.provider}/{entry.model}"
        scopes: tuple[tuple[Scope, str], ...] = (
            ("all", ""),
            ("key", key),
            ("model", model),
            ("user", entry.user or ""),
        )
        return any(entry.born <= self._at.get(scope, 0.0) for scope in scopes)

    def _note(self, purge: Purge) -> None:
        scope = (purge.scope, purge.value)
        self._at[scope] = max(purge.at, self._at.get(scope, 0.0))
