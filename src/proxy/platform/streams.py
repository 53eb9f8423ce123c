"""The caller's answer as a stream of bytes."""

from collections.abc import Coroutine
from typing import Any

from pyodide.ffi import JsException, to_js

from proxy.core.errors import ClientGone, Fault
from proxy.core.web import BodyStream
from proxy.platform.convert import find_function, ignore_failure, to_js_object
from proxy.platform.log import log


class CallerStream:
    """core.ports.Sink, which a stream of the platform can also write by itself.

    An IdentityTransformStream: its write fails when the caller has gone, where a
    TransformStream's hangs forever (and a `finally` never runs).
    """

    def __init__(self, length: int | None = None) -> None:
        """length: bytes that will be written, where that is known."""
        self.sent = 0
        self.gone = False
        if length is None:
            pipe = find_function("IdentityTransformStream", "new")()
        else:
            pipe = find_function("FixedLengthStream", "new")(length)
        self.readable = pipe.readable
        self._writable = pipe.writable
        self._writer = self._writable.getWriter()

    async def write(self, data: bytes) -> None:
        """See core.ports.Write."""
        if self.gone:
            raise ClientGone
        if not data:
            return
        try:
            await self._writer.write(to_js(data))
        except JsException as error:
            self.gone = True
            raise ClientGone from error
        self.sent += len(data)

    def take(self, begun: bytes, stream: Any, signal: Any) -> Any:
        """Writes `begun`, and has a ReadableStream write after it until it ends, fails, or the
        AbortSignal says so; the promise of that. Then `take_back` has to be called."""
        if begun:
            ignore_failure(self._writer.write(to_js(begun)))  # what follows fails too
        self.sent += len(begun)
        self._writer.releaseLock()
        options = to_js_object({"preventClose": True, "preventAbort": True}, signal=signal)
        return stream.pipeTo(self._writable, options)

    def take_back(self) -> None:
        """Makes `write` work again."""
        self._writer = self._writable.getWriter()

    async def run(self, stream: BodyStream) -> None:
        """Has `stream` write the answer, and ends it."""
        try:
            await stream(self)
            ignore_failure(self._writer.close())  # the caller may take its time
        except (ClientGone, JsException):
            return
        except Exception as error:
            if not isinstance(error, Fault):  # which is the provider's, and in the record
                log("error", "stream failed", error=repr(error))
            await self._writer.abort(str(type(error).__name__))


def open_stream(
    stream: BodyStream, length: int | None = None
) -> tuple[Any, Coroutine[Any, Any, None]]:
    """A ReadableStream that `stream` writes, and the coroutine that does the writing. length: the
    bytes that it writes, where that is known."""
    caller = CallerStream(length)
    return caller.readable, caller.run(stream)
