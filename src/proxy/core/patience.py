"""Time-outs of one task with one timer for all of them.

To arm a timer and to take it back costs more than most waits do.
"""

import asyncio
import math
from contextvars import ContextVar
from types import TracebackType
from typing import Self

from msgspec import Struct


def within(seconds: float, shortest: float = math.inf) -> "Wait":
    """Begins a wait of the current task, one after another or one within another: a context that
    raises TimeoutError once it has taken so long, as `asyncio.timeout` does.

    The timer stays armed from one wait to the next, until the outermost ends: a task that waits
    often opens one without an end (math.inf) around all. shortest: the seconds of a wait within
    this one that is to end first.
    """
    task, patience = asyncio.current_task(), _current.get()
    assert task  # there must be something to cancel
    if patience is None or patience.task is not task:
        patience = Patience(task)
        _current.set(patience)
    now = patience.loop.time()
    if patience.timer is None or now + seconds < patience.rings_at:
        patience.arm(now, min(seconds, shortest))
    return Wait(patience, task.cancelling(), now + seconds)


class Patience:
    """The waits of a task. Where its timer rings before a wait is over, it is armed again for the
    rest."""

    def __init__(self, task: "asyncio.Task[object]") -> None:
        self.task: asyncio.Task[object] | None = task
        """None once no wait is left: a wait that is looked at later keeps no task."""
        self.waits: list[Wait] = []
        """Those under way, the outermost first."""
        self.loop = asyncio.get_running_loop()
        self.timer: asyncio.Handle | None = None
        self.rings_at = 0.0

    def arm(self, now: float, seconds: float) -> None:
        """Has the timer ring after so many seconds, and at no other time."""
        if self.timer:
            self.timer.cancel()
        self.timer = None
        if seconds < math.inf:
            self.rings_at = now + seconds
            self.timer = self.loop.call_later(seconds, self._ring)

    def stop(self) -> None:
        """Takes the timer back: no wait is left."""
        if self.timer:
            self.timer.cancel()
        self.task = None
        _current.set(None)

    def _ring(self) -> None:
        """Ends the waits whose time is over, and goes on with those whose time is not."""
        self.timer, now = None, self.loop.time()
        for wait in self.waits:
            if wait.until <= now and self.task and not wait.is_over:
                wait.is_over = True
                self.task.cancel()
        if left := [wait.until - now for wait in self.waits if wait.until > now]:
            self.arm(now, min(left))


_current: ContextVar[Patience | None] = ContextVar("patience", default=None)


class Wait(Struct, eq=False):
    """A wait that Patience bounds."""

    patience: Patience
    cancelling: int
    """How often the task was to be cancelled when the wait began."""
    until: float
    """By the loop's clock."""
    is_over: bool = False
    """Whether its time is."""

    def __enter__(self) -> Self:
        self.patience.waits.append(self)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None
    ) -> None:
        patience, task = self.patience, self.patience.task
        patience.waits.remove(self)
        if not patience.waits:
            patience.stop()
        is_own = self.is_over and task and task.uncancel() <= self.cancelling
        if is_own and kind is asyncio.CancelledError:
            raise TimeoutError from error
