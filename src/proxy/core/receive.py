"""Reads what providers answer, within what an isolate can hold."""

from collections.abc import AsyncGenerator
from contextlib import suppress

from proxy.core.body_memory import STEP, Hold
from proxy.core.errors import ClientGone, Fault
from proxy.core.ports import Reply, Sink

HEAD_BYTES = 64 * 1024
"""Bytes of an error that are read: what it says stands there."""


async def read_whole(reply: Reply, limit: int, hold: Hold | None) -> bytes:
    """The whole body of at most `limit` bytes, which `hold` counts from then on; see
    core.ports.Reply.read."""
    before = hold.size if hold else 0
    pieces: list[bytes] = []
    size = 0
    try:
        length = reply.headers.get("content-length", "")
        if length.isdecimal() and int(length) > limit:
            raise _too_long(limit)
        async for piece in reply.chunks():
            size += len(piece)
            if size > limit:
                raise _too_long(limit)
            if hold and size > STEP and before + size > hold.size:
                hold.keep(before + size + STEP)
            pieces.append(piece)
    except BaseException:
        reply.abort()
        if hold:
            hold.keeps(before)
        raise
    return b"".join(pieces)


async def read_head(reply: Reply) -> bytes:
    """The first HEAD_BYTES of a body, or what comes of them."""
    head = bytearray()
    try:
        async for piece in reply.chunks():
            head += piece[: HEAD_BYTES - len(head)]
            if len(head) == HEAD_BYTES:
                reply.abort()
                break
    except Fault:
        pass  # the status says enough
    except BaseException:
        reply.abort()
        raise
    return bytes(head)


async def drain(reply: Reply) -> None:
    """Reads a body that nobody needs, to its end. Raises Fault."""
    try:
        async for _ in reply.chunks():
            pass
    except BaseException:
        reply.abort()
        raise


async def forward(reply: Reply, sink: Sink, begun: bytes, *, finish: bool) -> AsyncGenerator[bytes]:
    """core.ports.Reply.flow, piece by piece."""
    pieces = reply.chunks()
    with suppress(ClientGone):
        await sink.write(begun)
    while finish or not sink.gone:
        if (piece := await anext(pieces, None)) is None:
            return
        if not sink.gone:
            with suppress(ClientGone):
                await sink.write(piece)
        yield piece  # also where nobody has taken it: it has been used
    raise ClientGone


async def pour(reply: Reply, sink: Sink) -> None:
    """core.ports.Reply.pour, piece by piece."""
    try:
        async for piece in reply.chunks():
            await sink.write(piece)
    except BaseException:
        reply.abort()
        raise


def _too_long(limit: int) -> Fault:
    why = f"The answer is over {limit} bytes."
    return Fault("garbage", why, source="proxy", blame="proxy")
