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
from proxy.platform.convert import read_headers, to_js_object
from proxy.platform.streams import open_stream

DISCARD_SECONDS = 1.0
LARGE = 1024 * 1024
"""Bytes from which on it is worth a crossing to give memory back at once."""
NULL_BODY = frozenset({101, 103, 204, 205, 304})


def receive_request(request: Any, ctx: Any, hold: Hold | None) -> Request:
    """The platform's request as the pure rooms see it. hold: what its body may take."""
    address, _, query = request.url.partition("?")
    path = f"/{address.split('/', 3)[3]}"
    headers = read_headers(request)
    return Request(
        method=request.method,
        path=path,
        query=dict(parse_qsl(query, keep_blank_values=True)) if query else {},
        headers=headers,
        read=partial(_read, request, headers.get("content-length"), hold),
        defer=partial(wait_until, ctx),
        hold=hold,
    )


def build_response(response: Response, ctx: Any) -> Any:
    """The answer as the platform wants it. A stream is written after this returns. Raises
    JsException for one that the platform does not take."""
    init = to_js_object({"status": response.status, "headers": response.headers})
    if response.stream is None:
        body = None if response.status in NULL_BODY else to_js(response.body)
        return js.Response.new(body, init)
    body, writing = open_stream(response.stream)
    try:
        built = js.Response.new(body, init)
    except JsException:
        writing.close()
        raise
    wait_until(ctx, writing)
    return built


async def _read(request: Any, length: str | None, hold: Hold | None, limit: int) -> bytes:
    if request.body is None or request.body is jsnull:
        return b""
    try:
        if length is not None and length.isdigit():
            return await _read_whole(request, int(length), limit, hold)
        return await _read_pieces(request, limit, hold)
    except JsException as error:
        raise InvalidRequest("The body broke off before its end.") from error


async def _read_whole(request: Any, length: int, limit: int, hold: Hold | None) -> bytes:
    """A body of a length that is known."""
    if length > limit:
        await discard(request)
        raise too_large(limit)
    if hold:
        hold.keep(length)
    buffer = await request.arrayBuffer()
    body: bytes = buffer.to_bytes()
    if length > LARGE:
        buffer.transfer(0)  # JavaScript's copy counts too until it is collected
    return body


async def _read_pieces(request: Any, limit: int, hold: Hold | None) -> bytes:
    """A body whose length only its end shows."""
    pieces: list[bytes] = []
    size = 0
    reader = request.body.getReader()
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
        await discard(request)
        raise
    return b"".join(pieces)


def is_unread(request: Any) -> bool:
    """Whether the request has a body that nobody has begun to read."""
    return not (request.body is None or request.body is jsnull or request.bodyUsed)


async def discard(request: Any) -> None:
    """Lets what is left of the body run into the void, for a second at most: an answer to a
    caller that still sends is lost where a server in between closes the connection on it."""
    draining = request.body.pipeTo(js.WritableStream.new())
    await asyncio.wait([asyncio.ensure_future(draining)], timeout=DISCARD_SECONDS)
