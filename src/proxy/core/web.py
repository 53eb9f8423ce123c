"""HTTP as the pure rooms see it: a request that is read on demand, an answer that may stream."""

from collections.abc import Awaitable, Callable
from typing import Any

from msgspec import Struct

from proxy.core.ports import Defer, Write


class Request(Struct, frozen=True):
    """A caller's request. Header names are lower-case; `path` is as sent, percent-encoded."""

    method: str
    path: str
    query: dict[str, str]
    headers: dict[str, str]
    read: Callable[[int], Awaitable[bytes]]
    """`await read(limit)`: the body. Raises PayloadTooLarge before it is read whole."""
    defer: Defer


class Response(Struct, kw_only=True):
    """An answer: `body`, or `stream`, which writes the body piece by piece.

    Whatever happens to the caller, `stream` runs to its end or to a ClientGone from `write`.
    """

    status: int = 200
    headers: dict[str, str] = {}
    body: bytes = b""
    stream: Callable[[Write], Awaitable[Any]] | None = None
