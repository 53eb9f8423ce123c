"""Time-outs of one task with one timer for all of them.

To arm a timer and to take it back costs more than most waits do.
"""

import asyncio
from types import TracebackType


class Patience:
    """Bounds waits of the task that makes it, one after another or one within another, each as
    `asyncio.timeout` does. The timer stays armed from one wait to the next; where it rings before
    a wait is over, it is armed again for the rest."""

    def __init__(self, shortest: float | None = None) -> None:
        """shortest: the seconds of the wait that ends first, where that is not the first one."""
        self.task = asyncio.current_task()
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

    def within(self, seconds: float) -> "Wait":
        """A context that raises TimeoutError once it has taken so long."""
        return Wait(self, seconds)

    def begin(self, wait: "Wait", seconds: float) -> None:
        """Begins to bound a wait."""
        now = self._loop.time()
        wait.until = now + seconds
        self._waits.append(wait)
        if self._timer is None or wait.until < self._rings_at:
            self._arm(now, min(seconds, self._shortest or seconds))

    def end(self, wait: "Wait") -> None:
        """Bounds a wait no longer."""
        self._waits.remove(wait)

    def _arm(self, now: float, seconds: float) -> None:
        if self._timer:
            self._timer.cancel()
        self._rings_at = now + seconds
        self._timer = self._loop.call_later(seconds, self._ring)

    def _ring(self) -> None:
        """Ends the wait whose time is over, and goes on with those whose time is not."""
        self._timer, now = None, self._loop.time()
        for wait in self._waits:
            if wait.until <= now and self.task:
                wait.is_over = True
                self.task.cancel()
        if left := [wait.until - now for wait in self._waits if wait.until > now]:
            self._arm(now, min(left))


class Wait:
    """A wait that Patience bounds."""

    def __init__(self, patience: Patience, seconds: float) -> None:
        self.until = 0.0
        """By the loop's clock."""
        self.is_over = False
        self._patience = patience
        self._seconds = seconds
        self._cancelling = 0

    def __enter__(self) -> None:
        task = self._patience.task
        self._cancelling = task.cancelling() if task else 0
        self._patience.begin(self, self._seconds)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None
    ) -> None:
        self._patience.end(self)
        task = self._patience.task
        if not self.is_over or task is None:
            return
        if task.uncancel() <= self._cancelling and kind is asyncio.CancelledError:
            raise TimeoutError from error
