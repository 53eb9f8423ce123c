"""A provider's answer, whose body comes from a stream of the platform or is all there."""

import asyncio
from collections.abc import AsyncGenerator, Callable, Mapping
from typing import Any
from weakref import WeakSet

from msgspec import Struct
from pyodide.ffi import JsException

from proxy.core.body_memory import Hold
from proxy.core.errors import ClientGone, Fault
from proxy.core.patience import within
from proxy.core.ports import ANSWER_BYTES, Sink
from proxy.core.receive import forward, pour, read_whole
from proxy.platform.convert import byob_mode, find_function
from proxy.platform.flow import MOST, Drain, Flow
from proxy.platform.streams import CallerStream


class Bounds(Struct, frozen=True):
    """What is borne of a body while it comes."""

    idle: float
    """Seconds of silence."""
    largest: int = ANSWER_BYTES
    """Bytes of one that is read whole."""
    hold: Hold | None = None
    """Counts the memory of such a one."""


SHARE = 0.0005
"""Seconds between two reads for each stream that Python reads at once: the busier the isolate, the
more a read brings."""
LONGEST_PAUSE = 0.03
FEW = 4
"""Streams below which a read only waits where the body comes faster than it is read."""
QUICK = 0.002
"""Seconds within which what a read gives has been there before."""
PAUSE = 0.005
"""Seconds that it waits then."""
_gathering: "WeakSet[StreamReply]" = WeakSet()
"""The streams that Python reads now; those of a request that was cut off leave by themselves."""
ROOM = 512 * 1024
"""Bytes that a drain may keep of what has been read."""
SHORT = 16 * 1024
"""Bytes below which a whole body comes by one read."""
LAG = 1.0
"""Seconds for which a body may gather that nobody takes."""


def _choose_pause(took: float) -> float:
    """Seconds until the next read, after one that took so long; 0: none."""
    streams = len(_gathering)
    if streams < FEW:
        return PAUSE if took < QUICK else 0.0
    return min(streams * SHARE, LONGEST_PAUSE)


class _SilenceWatch:
    """Calls `stalled` when a read has waited for `idle` seconds, and `lags` where none has begun
    for LAG.

    One timer serves many reads: arming one for each would cost two crossings a piece.
    `since` is when the read that waits now began, None while none does.
    """

    def __init__(self, idle: float, stalled: Callable[[], None], lags: Callable[[], None]) -> None:
        self.since: float | None = None
        self.last = 0.0
        """When the last read ended."""
        self._idle = idle
        self._stalled = stalled
        self._lags = lags
        self._every = min(idle, LAG)
        self._timer = asyncio.get_running_loop().call_later(self._every, self._look)

    def now(self) -> float:
        """Seconds of the loop's clock."""
        return asyncio.get_running_loop().time()

    def stop(self) -> None:
        """Ends the watch."""
        self._timer.cancel()

    def _look(self) -> None:
        now = self.now()
        left = self._idle if self.since is None else self.since + self._idle - now
        if left <= 0:
            self._stalled()
            return
        if self.since is None and now - self.last >= LAG:
            self._lags()
        self._timer = asyncio.get_running_loop().call_later(min(left, self._every), self._look)


class StreamReply:
    """A provider's answer with its body to come, read with a watch on silence;
    see core.ports.Reply."""

    def __init__(
        self,
        status: int,
        headers: Mapping[str, str],
        stream: Any,
        bounds: Bounds,
        controller: Any = None,
    ) -> None:
        """stream: a ReadableStream or null; controller: the AbortController that ends the
        connection, if not cancelling does."""
        self._bounds = bounds
        self._stream = stream
        self.status = status
        self.headers = headers
        self._reader: Any = None
        self._controller = controller
        self._stalled = False
        self._is_over = False
        """Whether the body has been read to its end: there is nothing to close any more."""
        self._may_gather = False
        self._drain: Drain | None = None
        self._drained = 0
        """Bytes that have been read since it began."""
        self._cancelling: asyncio.Future[None] | None = None  # kept, or it may be collected

    async def chunks(self) -> AsyncGenerator[bytes]:
        """The pieces as they come. Raises Fault: timeout after silence, network on a break."""
        if not self._stream:
            return
        self._reader = self._reader or self._stream.getReader()
        watch = _SilenceWatch(self._bounds.idle, self._stall, self._stop_gathering)
        try:
            while True:
                watch.since = began = watch.now()
                step = await self._read()
                watch.since, watch.last = None, watch.now()
                if step.done:
                    self._is_over = True
                    return
                piece: bytes = step.value.to_bytes()
                if len(piece) >= MOST:  # who takes this slowly would have all the rest gather
                    self._stop_gathering()
                yield piece
                if self._may_gather and (pause := _choose_pause(watch.last - began)):
                    self._run_dry(len(piece))
                    await asyncio.sleep(pause)
        finally:
            watch.stop()
            self._stop_gathering()

    def gather(self) -> None:
        """See core.ports.Reply."""
        if self._controller:
            self._may_gather = True
            _gathering.add(self)

    def _run_dry(self, size: int) -> None:
        """Has what comes gather, by another drain where the one has kept ROOM. size: the bytes that
        have been read last."""
        drain = self._drain
        self._drained += size
        if drain and self._drained < ROOM:
            return
        self._reader.releaseLock()
        if drain:
            drain.stop()
        self._drain, self._drained = Drain(drain.rest if drain else self._stream), 0
        self._reader = self._drain.reader

    def _stop_gathering(self) -> None:
        self._may_gather = False
        _gathering.discard(self)
        if self._drain:
            self._drain.stop()

    async def flow(self, sink: Sink, begun: bytes, *, finish: bool) -> AsyncGenerator[bytes]:
        """See core.ports.Reply. `chunks` has to be closed before."""
        if not (isinstance(sink, CallerStream) and self._stream and self._controller):
            async for piece in forward(self, sink, begun, finish=finish):
                yield piece
            return
        if self._reader:
            self._reader.releaseLock()
        give_up = None if finish else self.abort
        flow = Flow(self._stream, sink, begun, self._bounds.idle, give_up)
        try:
            while piece := await flow.read():
                sink.sent += 0 if flow.failed() else len(piece)
                self._is_over = flow.is_over
                yield piece
        except TimeoutError as error:
            self._stall()
            raise self._broken() from error
        except JsException as error:
            raise self._explain(error, sink) from error
        finally:
            sink.gone = sink.gone or (finish and await flow.is_left())
            await flow.stop()

    async def pour(self, sink: Sink) -> None:
        """See core.ports.Reply."""
        if not (isinstance(sink, CallerStream) and self._stream and self._controller):
            await pour(self, sink)
            return
        try:
            await sink.take(b"", self._stream, find_function("AbortController", "new")().signal)
            self._is_over = True
            length = self.headers.get("content-length", "")
            sink.sent += int(length) if length.isdecimal() else 0  # else it is not known
        except JsException as error:
            raise self._explain(error, sink) from error
        finally:
            self.abort()
            sink.take_back()

    def _explain(self, error: JsException, sink: Sink) -> ClientGone | Fault:
        """What ended a pipe to the caller: that one has left, or the provider's side broke."""
        if getattr(error, "name", "") == "AbortError":
            sink.gone = True
            return ClientGone()
        return self._broken()

    def _stall(self) -> None:
        self._stalled = True
        self.abort()

    async def _read(self) -> Any:
        try:
            step = await (self._drain.read() if self._drain else self._reader.read())
        except JsException as error:
            raise self._broken() from error
        if self._stalled:
            raise self._broken()
        return step

    def _broken(self) -> Fault:
        if self._stalled:
            return Fault("timeout", f"The provider was silent for {self._bounds.idle:g} s.")
        return Fault("network", "The connection broke before the answer's end.")

    async def read(self) -> bytes:
        """See core.ports.Reply."""
        body: bytes | None = None
        try:
            if self._controller and self._stream:
                length = self._find_length()
                is_short = 0 < length < SHORT
                body = await (self._read_known(length) if is_short else self._read_short())
            if body is None:
                body = await read_whole(self, self._bounds.largest, self._bounds.hold)
        except BaseException:
            self.abort()
            raise
        return body

    def _find_length(self) -> int:
        """Bytes of the body, 0 where that is not known: of a coded one, which comes decoded."""
        length = self.headers.get("content-length", "")
        is_known = length.isdecimal() and "content-encoding" not in self.headers
        return int(length) if is_known else 0

    async def _read_known(self, length: int) -> bytes:
        """A short body of a length that is known, by one read through its end. Raises Fault, also
        where it takes longer than a silence may."""
        reader, room = self._stream.getReader(byob_mode()), length + 1
        try:
            with within(self._bounds.idle):
                step = await reader.readAtLeast(room, find_function("Uint8Array", "new")(room))
        except (JsException, TimeoutError) as error:
            self._stalled = isinstance(error, TimeoutError)
            raise self._broken() from error
        self._is_over = True
        body: bytes = step.value.to_bytes()
        return body

    async def _read_short(self) -> bytes | None:
        """The whole body by one read, which ends where the body does. None where it is longer or
        takes long: then the other branch has all of it, and `chunks` watches how it comes."""
        branch, self._stream = self._stream.tee()
        reader = branch.getReader(byob_mode())
        wait = min(self._bounds.idle / 4, LAG)
        try:
            with within(wait):
                step = await reader.readAtLeast(SHORT, find_function("Uint8Array", "new")(SHORT))
            body: bytes = step.value.to_bytes()
        except JsException:
            return None
        except TimeoutError:
            body = b""
        if not 0 < len(body) < SHORT:
            reader.cancel()  # or all that comes would gather in this branch
            return None
        self._is_over = True
        return body

    def abort(self) -> None:
        """Closes the connection."""
        if self._is_over:
            return
        if self._controller:
            self._controller.abort()
        elif self._stream:
            self._cancelling = asyncio.ensure_future(_cancel(self._reader or self._stream))


class BytesReply:
    """An answer that is all there; see core.ports.Reply."""

    def __init__(self, status: int, headers: Mapping[str, str], body: bytes) -> None:
        self.status = status
        self.headers = headers
        self._body = body

    async def chunks(self) -> AsyncGenerator[bytes]:
        """The body in one piece."""
        yield self._body

    def gather(self) -> None:
        """It has come together."""

    def flow(self, sink: Sink, begun: bytes, *, finish: bool) -> AsyncGenerator[bytes]:
        """See core.ports.Reply."""
        return forward(self, sink, begun, finish=finish)

    async def pour(self, sink: Sink) -> None:
        """See core.ports.Reply."""
        await pour(self, sink)

    async def read(self) -> bytes:
        """The body."""
        return self._body

    def abort(self) -> None:
        """There is no connection to close."""


async def _cancel(stream: Any) -> None:
    try:
        await stream.cancel()
    except JsException:
        return  # the stream had failed by itself
