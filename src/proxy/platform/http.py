"""The platform's request and response, as core.web has them.

Strings and objects cross the border dearly, bytes cheaply: headers are read once, bodies go
as bytes, and an answer is built with one object for all its options.
"""

import asyncio
import math
from functools import partial
from typing import Any
from urllib.parse import parse_qsl

import js
from pyodide.ffi import JsException, jsnull, to_js

from proxy.core.body_memory import STEP, Hold
from proxy.core.codings import too_large
from proxy.core.errors import InvalidRequest, ProxyError
from proxy.core.patience import within
from proxy.core.web import Request, Response
from proxy.platform.background import stay, wait_until
from proxy.platform.convert import byob_mode, find_function, read_headers, to_js_object
from proxy.platform.identity import read_identity
from proxy.platform.streams import open_stream

DISCARD_SECONDS = 3.0
SMALL = 16 * 1024
"""Bytes up to which a body is not worth a timer."""
STRETCH = 256 * 1024
"""Bytes of a body that are read, and held, at a time: a client that sends nothing holds no more."""
STRETCH_SECONDS = 10.0
"""What a stretch, or a piece of a body of no known length, may take to come."""
_BROKEN = "The body broke off before its end."
_SLOW = f"The body came too slowly: {STRETCH} bytes of it may take {STRETCH_SECONDS:.0f} s."
NULL_BODY = frozenset({101, 103, 204, 205, 304})


def receive_request(request: Any, ctx: Any, hold: Hold | None) -> tuple[Request, "Body"]:
    """The platform's request as the pure rooms see it, and its body. hold: what that may take."""
    url = request.url
    address, _, query = url.partition("?")
    _, _, path = address.partition("://")[2].partition("/")  # none in `http://host*` (OPTIONS *)
    headers = read_headers(request)
    body = Body(request, headers.get("content-length"), hold)
    received = Request(
        method=request.method,
        path=f"/{path}",
        query=dict(parse_qsl(query, keep_blank_values=True)) if query else {},
        headers=headers,
        read=body.read,
        defer=partial(wait_until, ctx),
        hold=hold,
        url=url,
        upload=body,
        read_identity=partial(read_identity, ctx),
        stay=partial(stay, ctx),
    )
    return received, body


def build_response(response: Response, ctx: Any) -> Any:
    """The answer as the platform wants it. A stream is written after this returns. Raises
    JsException for one that the platform does not take."""
    init = to_js_object({"status": response.status, "headers": response.headers})
    if response.stream is None:
        body = None if response.status in NULL_BODY else to_js(response.body)
        return find_function("Response", "new")(body, init)
    body, writing = open_stream(response.stream, response.length)
    try:
        built = find_function("Response", "new")(body, init)
    except JsException:
        writing.close()
        raise
    wait_until(ctx, writing)
    return built


def _join(stretches: list[Any], length: int) -> bytes:
    """The bytes of JavaScript's arrays, each of which is given up: what is not collected yet counts
    too."""
    whole, at = find_function("Uint8Array", "new")(length), 0
    for stretch in stretches:
        whole.set(stretch, at)
        at += stretch.byteLength
        stretch.buffer.transfer(0)
    joined: bytes = whole.to_bytes()
    whole.buffer.transfer(0)
    return joined


class Body:
    """The body of a request."""

    def __init__(self, request: Any, length: str | None, hold: Hold | None) -> None:
        """length: its Content-Length, if it has one; hold: what it may take."""
        self._request = request
        self._length = length
        self._hold = hold
        self._is_taken = False

    @property
    def is_left(self) -> bool:
        """Whether there is a body that nobody has begun to read."""
        return not self._is_taken and self._is_there

    @property
    def _is_there(self) -> bool:
        stream = self._request.body
        return not (stream is None or stream is jsnull)

    def take(self) -> Any:
        """See core.ports.Upload."""
        if not self._is_there:
            return None
        self._is_taken = True
        return self._request.body

    async def read(self, limit: int) -> bytes:
        """See core.web.Request."""
        length = self._length
        try:
            if length is not None and length.isdigit():
                return await self._read_whole(int(length), limit)
            return await self._read_pieces(limit) if self._is_there else b""
        except JsException as error:
            raise InvalidRequest(_BROKEN) from error
        except TimeoutError:
            self._is_taken = True  # nobody waits for the rest
            raise InvalidRequest(_SLOW, code="body_timeout") from None

    async def discard(self) -> None:
        """Lets what is left of the body run into the void, for seconds at most: an answer to a
        caller that still sends is lost where a server in between closes the connection on it."""
        draining = self._request.body.pipeTo(js.WritableStream.new())
        await asyncio.wait([asyncio.ensure_future(draining)], timeout=DISCARD_SECONDS)

    async def _read_whole(self, length: int, limit: int) -> bytes:
        """A body of a length that is known."""
        if length > limit:
            raise too_large(limit)
        if length > STRETCH:
            return await self._read_stretches(length)
        if self._hold:
            self._hold.keep(length)
        self._is_taken = True
        if length <= SMALL:
            return bytes((await self._request.arrayBuffer()).to_bytes())
        with within(STRETCH_SECONDS):
            return bytes((await self._request.arrayBuffer()).to_bytes())

    async def _read_stretches(self, length: int) -> bytes:
        """A large body of a known length, of which no more is held than has come, about. The
        stretches stay JavaScript's until all are there: in Python's heap they would leave holes."""
        hold = self._hold
        if hold and length > hold.limit:
            hold.keep(length)
        stretches: list[Any] = []
        size = 0
        reader = self._request.body.getReader(byob_mode())
        try:
            with within(math.inf):
                while size < length:
                    if hold:
                        hold.keep(min(size + STRETCH, length))
                    stretch = await self._read_stretch(reader, min(STRETCH, length - size))
                    size += stretch.byteLength
                    stretches.append(stretch)
        except ProxyError:
            reader.releaseLock()
            raise
        self._is_taken = True
        return _join(stretches, length)

    @staticmethod
    async def _read_stretch(reader: Any, size: int) -> Any:
        """Up to so many bytes. Raises InvalidRequest where there are no more, TimeoutError."""
        room = find_function("Uint8Array", "new")(size)
        with within(STRETCH_SECONDS):
            stretch = (await reader.readAtLeast(size, room)).value
        if not getattr(stretch, "byteLength", 0):
            raise InvalidRequest(_BROKEN)
        return stretch

    async def _read_pieces(self, limit: int) -> bytes:
        """A body whose length only its end shows."""
        pieces: list[bytes] = []
        size, hold = 0, self._hold
        reader = self._request.body.getReader()
        try:
            with within(math.inf):
                while not (step := await self._read_piece(reader)).done:
                    piece = step.value.to_bytes()
                    size += len(piece)
                    if size > limit:
                        raise too_large(limit)
                    if hold and size > STEP and size > hold.size:
                        hold.keep(size + STEP)
                    pieces.append(piece)
        except ProxyError:
            reader.releaseLock()
            raise
        self._is_taken = True
        return b"".join(pieces)

    @staticmethod
    async def _read_piece(reader: Any) -> Any:
        """What comes next. Raises TimeoutError."""
        with within(STRETCH_SECONDS):
            return await reader.read()
