"""The event loop of the isolate, in place of Pyodide's own.

Pyodide's loop hands each callback to JavaScript, which comes back for it by two turns of its own
loop and a switch of stacks. An awaited promise takes two such callbacks, a task three. This loop
keeps what is ready to itself and runs it in the turn that made it ready: an awaited promise costs
the one entry that brings its value.

A coroutine that yields without waiting (`asyncio.sleep(0)`) gets its turn again at once.
"""

import asyncio
import math
import sys
from collections import deque
from collections.abc import AsyncGenerator, Callable, Coroutine
from contextvars import Context, copy_context
from functools import cache, partial
from time import monotonic
from typing import Any, TypeVar

import js
from pyodide.ffi import create_once_callable
from pyodide.webloop import PyodideFuture, WebLoop

from proxy.platform.convert import find_function

T = TypeVar("T")

LONGEST_MS = 2**31 - 1
"""What a timer of JavaScript can wait."""


class _Future(PyodideFuture[T]):  # which has `then`, as what JavaScript gives has
    """A future that JavaScript completes: what waits for it goes on in the same turn."""

    def set_result(self, result: T) -> None:
        _loop.run(super().set_result, result)

    def set_exception(self, exception: type[BaseException] | BaseException) -> None:
        _loop.run(super().set_exception, exception)


class _Ready(asyncio.Handle):
    """A callback that is to run. asyncio's own asks the loop several times whether it debugs."""

    __slots__ = ("_call",)

    def __init__(self, call: Callable[[], object]) -> None:
        self._call = call
        self._cancelled = False

    def cancel(self) -> None:
        """See asyncio.Handle."""
        self._cancelled = True

    def run(self) -> None:
        """Runs it, unless it was cancelled. What goes wrong is logged."""
        if self._cancelled:
            return
        try:
            self._call()
        except (Exception, asyncio.CancelledError) as error:
            message = f"Exception in callback {self._call!r}"
            _loop.call_exception_handler({"message": message, "exception": error})


def _wake() -> None:
    """Does nothing itself: what is ready runs after it."""


class _Timer(_Ready):
    """A callback that waits for a timer of JavaScript. A cancelled one is taken back: thousands
    would wait for their end."""

    __slots__ = ("_fire", "_id")

    def __init__(self, call: Callable[[], object], ms: float) -> None:
        self._call = call
        self._cancelled = False
        self._fire = create_once_callable(self._end)
        self._id = find_function("globalThis", "setTimeout")(self._fire, ms)

    def cancel(self) -> None:
        """See asyncio.Handle."""
        if self._fire:
            find_function("globalThis", "clearTimeout")(self._id)
            self._fire.destroy()
            self._fire = None
        self._cancelled = True

    def _end(self) -> None:
        self._fire = None
        _loop.run(self.run)


def _read_clock() -> float:
    """JavaScript's, as Python's is made to grow here: of two calls within a millisecond the second
    says one more, so that what takes no time would seem to take as many ms as it was measured."""
    ms: int = find_function("Date", "now")()
    return ms / 1000


def _read_steady_clock() -> float:
    """A function of Python's, so that a read is seen where crossings are counted."""
    return monotonic()


class EdgeLoop(WebLoop):
    """The loop of one isolate, for its requests and its objects."""

    def __init__(self) -> None:
        super().__init__()
        self.now = cache(_read_clock)
        """Seconds since 1970, read once a turn: an entry from JavaScript, between which alone the
        clock moves on Cloudflare."""
        self.time = cache(_read_steady_clock)
        """See asyncio; once a turn, too."""
        self._ready: deque[_Ready] = deque()
        self._is_running = False

    def run(self, callback: Callable[..., object], *args: Any) -> None:
        """Runs a callback, and then all that is ready, unless that runs already."""
        if self._is_running:
            callback(*args)
            return
        self._is_running = True
        self.enter()
        try:
            callback(*args)
            while self._ready:
                self._ready.popleft().run()
        finally:
            self._is_running = False

    def enter(self) -> None:
        """Begins a turn: makes it the running loop of the stack that Python runs on now."""
        self.now.cache_clear()
        self.time.cache_clear()
        if asyncio._get_running_loop() is not self:
            asyncio._set_running_loop(self)
        if sys.get_asyncgen_hooks().finalizer != self._close_generator:
            sys.set_asyncgen_hooks(firstiter=None, finalizer=self._close_generator)

    def call_soon(
        self, callback: Callable[..., object], *args: Any, context: Context | None = None
    ) -> asyncio.Handle:
        """See asyncio. Outside of a callback it runs once Python has returned to JavaScript."""
        context = copy_context() if context is None else context  # an empty one is false
        ready = _Ready(partial(context.run, callback, *args))
        if not self._ready and not self._is_running:
            js.queueMicrotask(create_once_callable(partial(self.run, _wake)))
        self._ready.append(ready)
        return ready

    def call_later(
        self,
        delay: float,
        callback: Callable[..., object],
        *args: Any,
        context: Context | None = None,
    ) -> asyncio.Handle:
        """See asyncio."""
        if delay == math.inf:
            return asyncio.Handle(callback, args, self, context)
        context = copy_context() if context is None else context
        call = partial(context.run, callback, *args)
        return _Timer(call, min(max(delay, 0) * 1000, LONGEST_MS))

    def create_future(self) -> asyncio.Future[Any]:
        """See asyncio."""
        return _Future(loop=self)

    def create_task(
        self,
        coro: Coroutine[Any, Any, T],
        *,
        name: str | None = None,
        context: Context | None = None,
        eager_start: bool | None = None,
    ) -> asyncio.Task[T]:
        """See asyncio."""
        return asyncio.Task(
            coro,
            loop=self,
            name=name,
            context=context,
            eager_start=bool(eager_start),  # type: ignore[call-arg] # new in Python 3.12
        )

    def _close_generator(self, generator: AsyncGenerator[Any, Any]) -> None:
        """Closes one that nobody has read to its end."""
        self.create_task(generator.aclose())


_loop = EdgeLoop()


def adopt_loop() -> EdgeLoop:
    """Makes it the loop of the isolate. Each stack of Python's has a running loop of its own, and
    a new one takes that of the first stack over, on which only a callback of JavaScript runs."""
    if asyncio._get_running_loop() is not _loop:
        asyncio.set_event_loop(_loop)
        js.queueMicrotask(create_once_callable(_loop.enter))
    _loop.enter()
    return _loop
