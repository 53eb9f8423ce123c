"""What the objects share that keep a pure state machine in one row.

The row is written before the answer leaves: the platform holds the answer back until it is on disk.
"""

from collections.abc import Callable
from typing import Any, TypeVar

from proxy.core.settings import LimitSettings, read_section
from proxy.objects.edge_object import EdgeObject
from proxy.platform.clock import now_ms
from proxy.platform.log import log
from proxy.platform.sql import BlobRow

T = TypeVar("T")


def read_limits(env: Any) -> LimitSettings:
    """The settings of the limits. An object's environment gives values by name only."""
    return read_section(LimitSettings, lambda name: getattr(env, name, ""))


def revive(row: BlobRow, machine: Callable[[bytes | None], T], event: str, **fields: str) -> T:
    """The state machine as the row holds it; a new one, and `event` in the log, where an older
    version wrote the row or it is damaged."""
    try:
        return machine(row.read())
    except ValueError as error:
        log("error", event, **fields, error=str(error)[:200])
        return machine(None)


class Stateful(EdgeObject):
    """An object whose state is one row, which it drops when it has nothing to remember.

    Its alarm is `on_alarm`: so the platform calls it where the Worker's entry is module-level.
    """

    def __init__(self, ctx: Any, env: Any) -> None:
        super().__init__(ctx, env)
        self._storage = ctx._ctx.storage
        self._row = BlobRow(self._storage, "state")
        self._has_alarm = False
        self._forget_after_ms = read_limits(env).forget_seconds * 1000

    def _revived(self, machine: Callable[[bytes | None], T]) -> T:
        return revive(self._row, machine, "state unreadable", object=type(self).__name__)

    def _save(self, state: bytes) -> None:
        self._row.write(state)
        if not self._has_alarm:
            self._set_alarm()

    def _idle_at(self, now: int) -> int | None:
        """When it will have nothing to remember if nobody calls it; 0: that is not known, None:
        never."""
        return 0

    def _set_alarm(self) -> None:
        now = now_ms()
        idle_at = self._idle_at(now)
        self._has_alarm = idle_at is not None
        if idle_at is not None:
            self._storage.setAlarm(max(idle_at, now + self._forget_after_ms))

    async def _forget_or_wait(self, is_idle: bool) -> None:
        """The alarm's work: what has nothing to remember leaves no storage behind."""
        if is_idle:
            self._has_alarm = False
            await self._storage.deleteAll()  # the platform holds calls back meanwhile
            self._row = BlobRow(self._storage, "state")
            name, _, key = self.ctx.id.name.partition("\n")
            log("info", "state dropped", object=type(self).__name__, name=name, key=key)
        else:
            self._set_alarm()
