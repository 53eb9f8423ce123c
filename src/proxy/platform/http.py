"""The platform's request and response, as core.web has them.

Strings and objects cross the border dearly, bytes cheaply: headers are read once, bodies go
as bytes, and an answer is built with one object for all its options.
"""

import asyncio
from functools import partial
from typing import Any
from urllib.parse import parse_qsl

import js
from pyodide.ffi import JsException, jsnull, to_js

from proxy.core.body_memory import STEP, Hold
from proxy.core.codings import too_large
from proxy.core.errors import InvalidRequest, ProxyError
from proxy.core.web import Request, Response
from proxy.platform.background import wait_until
from proxy.platform.convert import find_function, read_headers, to_js_object
from proxy.platform.identity import read_identity
from proxy.platform.streams import open_stream

DISCARD_SECONDS = 3.0
LARGE = 1024 * 1024
"""Bytes from which on it is worth a crossing to give memory back at once."""
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
            raise InvalidRequest("The body broke off before its end.") from error

    async def discard(self) -> None:
        """Lets what is left of the body run into the void, for seconds at most: an answer to a
        caller that still sends is lost where a server in between closes the connection on it."""
        draining = self._request.body.pipeTo(js.WritableStream.new())
        await asyncio.wait([asyncio.ensure_future(draining)], timeout=DISCARD_SECONDS)

    async def _read_whole(self, length: int, limit: int) -> bytes:
        """A body of a length that is known."""
        if length > limit:
            raise too_large(limit)
        if self._hold:
            self._hold.keep(length)
        self._is_taken = True
        buffer = await self._request.arrayBuffer()
        body: bytes = buffer.to_bytes()
        if length > LARGE:
            buffer.transfer(0)  # JavaScript's copy counts too until it is collected
        return body

    async def _read_pieces(self, limit: int) -> bytes:
        """A body whose length only its end shows."""
        pieces: list[bytes] = []
        size, hold = 0, self._hold
        reader = self._request.body.getReader()
        try:
            while not (step := await reader.read()).done:
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
