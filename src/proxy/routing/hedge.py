"""Hedging: where an attempt takes long, a second one races it."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import TypeVar

from proxy.core.errors import drop_frames

T = TypeVar("T")


async def race(
    first: Awaitable[T | None],
    second: Callable[[], Awaitable[T | None]],
    after: float,
    discard: Callable[[T], None],
) -> T | None:
    """The result of `first`, or of `second` if it comes sooner; None where neither has one.

    second: begins once `first` has taken `after` seconds. discard: takes the loser's result, where
    it has one too; a loser without one is cancelled. Raises what either raised, if none has a
    result.
    """
    racing = [asyncio.ensure_future(first)]
    result: T | None = None
    failure: Exception | None = None
    try:
        done, _ = await asyncio.wait(racing, timeout=after)
        if not done:
            racing.append(asyncio.ensure_future(second()))
        for finished in asyncio.as_completed(racing):
            try:
                result = await finished
            except Exception as error:
                failure = drop_frames(error)
            if result is not None:
                return result
        if failure:
            raise failure
        return None
    finally:
        for task in racing:
            task.cancel()
        for other in await asyncio.gather(*racing, return_exceptions=True):
            if other is not None and other is not result and not isinstance(other, BaseException):
                discard(other)
