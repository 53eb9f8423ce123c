"""Work that goes on after the answer has been given."""

import asyncio
from collections.abc import Awaitable, Callable
from inspect import iscoroutine
from typing import Any

from proxy.platform.convert import find_function


def wait_until(ctx: Any, work: Awaitable[object]) -> None:
    """Keeps the request alive until `work`, a coroutine or a promise of JavaScript's, has ended (at
    most 30 s after the answer's end).

    The platform waits for a promise of its own: for a task it would enter Python to wait for it.
    """
    if not iscoroutine(work):
        ctx.waitUntil(work)
        return
    end = find_function("Promise", "withResolvers")()
    ctx.waitUntil(end.promise)

    def settle(task: asyncio.Future[object]) -> None:
        if not task.cancelled() and (error := task.exception()):
            end.reject(find_function("Error", "new")(repr(error)))  # the platform logs it
        else:
            end.resolve()

    asyncio.ensure_future(work).add_done_callback(settle)


def stay(ctx: Any) -> Callable[[], object]:
    """core.ports.Stay: the platform ends what a caller who has left does not wait for any more."""
    end = find_function("Promise", "withResolvers")()
    ctx.waitUntil(end.promise)
    resolve: Callable[[], object] = end.resolve
    return resolve
