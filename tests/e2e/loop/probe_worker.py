"""Scenes of asyncio that a Worker plays on the isolate's own event loop, each by its path; the
answer is what was seen, as JSON."""

import asyncio
import json
from collections.abc import AsyncGenerator, Awaitable, Callable
from typing import Any
from urllib.parse import urlsplit

import js

from proxy.platform.loop import adopt_loop

Seen = list[object]


async def order(seen: Seen) -> None:
    """Callbacks run in the order in which they were scheduled, timers by their time."""
    loop = asyncio.get_running_loop()
    late = asyncio.Event()
    loop.call_later(0.02, late.set)
    loop.call_later(0.01, seen.append, "timer")
    loop.call_soon(seen.append, "first")
    loop.call_soon(seen.append, "second")
    seen.append("now")
    await late.wait()


async def promises(seen: Seen) -> None:
    """A promise gives its value, or its error."""
    seen.append(await js.Promise.resolve(7))
    try:
        await js.Promise.reject(js.Error.new("broken"))
    except Exception as error:
        seen.append("broken" in str(error))


async def timeouts(seen: Seen) -> None:
    """A wait that takes too long is called off, one that does not is not."""
    try:
        async with asyncio.timeout(0.01):
            await js.Promise.new(lambda *_: None)
    except TimeoutError:
        seen.append("called off")
    async with asyncio.timeout(0.05):
        await asyncio.sleep(0)
        seen.append("in time")
    await asyncio.sleep(0.1)
    seen.append("nothing more")


async def cancelled(seen: Seen) -> None:
    """A timer that is cancelled never rings, and may be cancelled twice."""
    handle = asyncio.get_running_loop().call_later(0.01, seen.append, "rung")
    handle.cancel()
    handle.cancel()
    await asyncio.sleep(0.03)
    seen.append(handle.cancelled())


async def tasks(seen: Seen) -> None:
    """Tasks run side by side; a failure reaches whoever waits, and so does a cancellation."""

    async def work(name: str, seconds: float) -> str:
        await asyncio.sleep(seconds)
        if name == "bad":
            raise ValueError(name)
        return name

    slow = asyncio.ensure_future(work("slow", 5))
    results = await asyncio.gather(
        work("b", 0.02), work("a", 0.01), work("bad", 0), return_exceptions=True
    )
    seen.extend(str(result) for result in results)
    slow.cancel()
    try:
        await slow
    except asyncio.CancelledError:
        seen.append("cancelled")


async def yields(seen: Seen) -> None:
    """Two tasks that yield without waiting take turns."""

    async def count(name: str) -> None:
        for number in range(2):
            seen.append(f"{name}{number}")
            await asyncio.sleep(0)

    await asyncio.gather(count("a"), count("b"))


async def generators(seen: Seen) -> None:
    """A generator that is left in the middle is closed, even if it has to wait for that."""

    async def numbers() -> AsyncGenerator[int]:
        try:
            yield 1
            yield 2
        finally:
            await asyncio.sleep(0.01)
            seen.append("closed")

    async for number in numbers():
        seen.append(number)
        break
    await asyncio.sleep(0.05)


PLAYED = (order, promises, timeouts, cancelled, tasks, yields, generators)
SCENES: dict[str, Callable[[Seen], Awaitable[None]]] = {scene.__name__: scene for scene in PLAYED}


def on_fetch(request: Any, env: Any, ctx: Any) -> Any:
    """Plays the scene of the path; `/health` is none."""
    name = urlsplit(request.url).path.strip("/")
    if name not in SCENES:
        return js.Response.new("ok")
    return adopt_loop().create_task(_play(SCENES[name]), eager_start=True)


async def _play(scene: Callable[[Seen], Awaitable[None]]) -> Any:
    seen: Seen = []
    await scene(seen)
    return js.Response.new(json.dumps(seen))
