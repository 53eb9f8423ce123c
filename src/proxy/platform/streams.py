"""The caller's answer as a stream of bytes."""

from collections.abc import Awaitable, Callable
from typing import Any

import js
from pyodide.ffi import JsException, to_js

from proxy.core.errors import ClientGone
from proxy.core.ports import Write
from proxy.platform.log import log


def open_stream(stream: Callable[[Write], Awaitable[Any]]) -> tuple[Any, Any]:
    """A ReadableStream that `stream` writes, and the coroutine that does the writing.

    An IdentityTransformStream: its write fails when the caller has gone, where a
    TransformStream's hangs forever (and a `finally` never runs).
    """
    pipe = js.IdentityTransformStream.new()
    writer = pipe.writable.getWriter()

    async def write(data: bytes) -> None:
        if data:
            try:
                await writer.write(to_js(data))
            except JsException as error:
                raise ClientGone from error

    async def writing() -> None:
        try:
            await stream(write)
            await writer.close()
        except (ClientGone, JsException):
            return
        except Exception as error:
            log("error", "stream failed", error=repr(error))
            await writer.abort(str(type(error).__name__))

    return pipe.readable, writing()
