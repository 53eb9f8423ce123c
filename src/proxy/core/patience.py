"""Time-outs of one task with one timer for all of them.

To arm a timer and to take it back costs more than most waits do.
"""

import asyncio
from types import TracebackType

from msgspec import Struct


class Patience:
    """Bounds waits of the task that makes it, one after another or one within another, each as
    `asyncio.timeout` does. The timer stays armed from one wait to the next; where it rings before
    a wait is over, it is armed again for the rest."""

    def __init__(self, shortest: float | None = None) -> None:
        """shortest: the seconds of the wait that ends first, where that is not the first one."""
        task = asyncio.current_task()
        assert task  # there must be something to cancel
        self._task = task
        self._loop = asyncio.get_running_loop()
        self._shortest = shortest
        self._timer: asyncio.Handle | None = None
        self._rings_at = 0.0
        self._waits: list[Wait] = []
        """Those under way, the outermost first."""

    def __enter__(self) -> "Patience":
        return self

    def __exit__(self, *_: object) -> None:
        if self._timer:
            self._timer.cancel()
        del self._task  # its error has the frame that holds this

    def within(self, seconds: float) -> "Wait":
        """Begins a wait: a context that raises TimeoutError once it has taken so long."""
        now = self._loop.time()
        wait = Wait(self._waits, self._task, self._task.cancelling(), now + seconds)
        if self._timer is None or wait.until < self._rings_at:
            self._arm(now, min(seconds, self._shortest or seconds))
        return wait

    def _arm(self, now: float, seconds: float) -> None:
        if self._timer:
            self._timer.cancel()
        self._rings_at = now + seconds
        self._timer = self._loop.call_later(seconds, self._ring)

    def _ring(self) -> None:
        """Ends the waits whose time is over, and goes on with those whose time is not."""
        self._timer, now = None, self._loop.time()
        for wait in self._waits:
            if wait.until <= now:
                wait.is_over = True
                self._task.cancel()
        if left := [wait.until - now for wait in self._waits if wait.until > now]:
            self._arm(now, min(left))


class Wait(Struct, eq=False):
    """A wait that Patience bounds."""

    waits: "list[Wait]"
    """Those under way."""
    task: "asyncio.Task[object]"
    cancelling: int
    """How often the task was to be cancelled when the wait began."""
    until: float
    """By the loop's clock."""
    is_over: bool = False

    def __enter__(self) -> None:
        self.waits.append(self)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None
    ) -> None:
        self.waits.remove(self)
        is_own = self.is_over and self.task.uncancel() <= self.cancelling
        if is_own and kind is asyncio.CancelledError:
            raise TimeoutError from error
