"""Work that goes on after the answer has been given."""

import asyncio
from collections.abc import Coroutine
from typing import Any

from pyodide.ffi import create_proxy


def wait_until(ctx: Any, work: Coroutine[Any, Any, object]) -> None:
    """Keeps the request alive until `work` has ended (at most 30 s after the answer's end).

    The raw context takes no bare coroutine: its proxy would be destroyed at once.
    """
    task = asyncio.ensure_future(work)
    proxy = create_proxy(task)
    ctx.waitUntil(proxy)
    task.add_done_callback(lambda _: proxy.destroy())  # nobody else would
