"""Puts a reply on the wire, byte by byte where a directive wants it, and breaks it on request."""

import asyncio
import socket
import struct
from http import HTTPStatus
from typing import Protocol

from .behaviour import Behaviour
from .reply import Reply

STALL_SECONDS = 60
RST_AFTER_SECONDS = 0.02
"""Time for the last bytes to arrive: a reset may overtake them."""


class ClientGoneError(Exception):
    """The client has closed the connection."""


class BrokenError(Exception):
    """A directive wants the connection cut here."""


class Progress(Protocol):
    """Who is told how much of the body has been sent."""

    bytes: int
    events: int


class Link:
    """One client connection."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.gone = asyncio.Event()
        self._writer = writer

    async def write(self, data: bytes) -> None:
        """Sends and waits until the kernel has taken it; raises ClientGoneError."""
        if self.gone.is_set():
            raise ClientGoneError
        self._writer.write(data)
        try:
            await self._writer.drain()
        except ConnectionError as error:
            raise ClientGoneError from error

    async def pause(self, seconds: float) -> None:
        """Waits, but not longer than the client stays; raises ClientGoneError."""
        if seconds <= 0:
            return
        try:
            await asyncio.wait_for(self.gone.wait(), seconds)
        except TimeoutError:
            return
        raise ClientGoneError

    def reset(self) -> None:
        """Closes with an RST: no clean end that could pass for a complete answer."""
        linger = struct.pack("ii", 1, 0)
        sock = self._writer.get_extra_info("socket")
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
        self._writer.transport.abort()

    def close(self) -> None:
        self._writer.close()


class LinkProtocol(asyncio.StreamReaderProtocol):
    """Streams that also tell at once when the client leaves, even while nobody reads."""

    link: Link | None = None

    def eof_received(self) -> bool | None:
        self._leave()
        return super().eof_received()

    def connection_lost(self, exc: Exception | None) -> None:
        self._leave()
        super().connection_lost(exc)

    def _leave(self) -> None:
        if self.link is not None:
            self.link.gone.set()


async def send(
    link: Link, reply: Reply, behaviour: Behaviour, progress: Progress | None = None
) -> None:
    """Sends the reply as the directive says.

    Raises ClientGoneError or BrokenError when it ends early.
    """
    await link.pause(behaviour.delay_ms / 1000)
    if behaviour.refuse:
        raise BrokenError
    if behaviour.garbage:
        await link.write(b"\x00\xffthis is not HTTP\r\n\x01\x02\r\n\r\n")
        raise BrokenError
    pieces = _pieces(reply, behaviour)
    await link.write(_head(reply, sum(map(len, pieces))))
    await link.pause(behaviour.body_delay_ms / 1000)
    gap = (behaviour.drip_ms if behaviour.split else behaviour.event_delay_ms) / 1000
    for number, piece in enumerate(_before_fault(pieces, behaviour)):
        await link.pause(gap if number else 0)
        await link.write(_chunk(piece) if reply.stream else piece)
        if progress is not None:
            progress.bytes += len(piece)
            progress.events += 1
    await _fault(link, behaviour)
    if reply.stream:
        await link.write(b"0\r\n\r\n")


def _pieces(reply: Reply, behaviour: Behaviour) -> list[bytes]:
    """The body as it will be written: by events, by k bytes, or up to where it ends early."""
    body = b"".join(reply.events)
    if behaviour.break_mid_utf8:
        start = next((i for i, byte in enumerate(body) if byte >= 0xC0), len(body))
        return [body[: start + 1], body[start + 1 :]]
    if behaviour.split:
        step = behaviour.split
        pieces = [body[i : i + step] for i in range(0, len(body), step)]
    else:
        pieces = reply.events
    return pieces[: behaviour.end_after]


def _before_fault(pieces: list[bytes], behaviour: Behaviour) -> list[bytes]:
    if behaviour.break_mid_utf8:
        return pieces[:1]
    limits = [n for n in (behaviour.stall_after, behaviour.break_after) if n is not None]
    return pieces[: min(limits, default=len(pieces))]


async def _fault(link: Link, behaviour: Behaviour) -> None:
    if behaviour.stall_after is not None:
        await link.pause(STALL_SECONDS)
        raise BrokenError
    if behaviour.break_after is not None or behaviour.break_mid_utf8:
        await link.pause(RST_AFTER_SECONDS)
        raise BrokenError


def _head(reply: Reply, length: int) -> bytes:
    framing = {"transfer-encoding": "chunked"} if reply.stream else {"content-length": str(length)}
    try:
        phrase = HTTPStatus(reply.status).phrase
    except ValueError:
        phrase = "Unknown"
    lines = [f"{name}: {value}" for name, value in (reply.headers | framing).items()]
    return "\r\n".join([f"HTTP/1.1 {reply.status} {phrase}", *lines, "", ""]).encode("latin-1")


def _chunk(piece: bytes) -> bytes:
    """One chunk of the chunked encoding; an empty piece would end the body, so it is dropped."""
    return b"%x\r\n%b\r\n" % (len(piece), piece) if piece else b""
