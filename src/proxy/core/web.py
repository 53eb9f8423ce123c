"""HTTP as the pure rooms see it: a request that is read on demand, an answer that may stream.

Header values are visible ASCII and spaces: what is made of others' text goes through
`encode_value` or `list_names`, and `check_headers` holds it.
"""

import re
from collections.abc import Awaitable, Callable, Coroutine, Iterable, Mapping
from functools import lru_cache
from typing import TypeAlias
from urllib.parse import quote

from msgspec import Struct

from proxy.core.body_memory import Hold
from proxy.core.ports import Defer, SignedIn, Sink, Stay, Upload

ReadIdentity: TypeAlias = Callable[[], Coroutine[object, object, SignedIn | None]]
"""Asks the platform whom Cloudflare Access has signed in; None: nobody, or it does not stand before
the Worker. Raises whatever keeps it from saying it."""


def stay_anyway() -> Callable[[], object]:
    """Stay of a request that nothing but its own end ends."""
    return lambda: None


async def read_nobody() -> SignedIn | None:
    """ReadIdentity of a request that no Access stands before."""
    return None


class Request(Struct, frozen=True):
    """A caller's request. Header names are lower-case; `path` is as sent, percent-encoded."""

    method: str
    path: str
    query: dict[str, str]
    headers: dict[str, str]
    read: Callable[[int], Awaitable[bytes]]
    """`await read(limit)`: the body. Raises PayloadTooLarge before it is read whole."""
    defer: Defer
    hold: Hold | None = None
    """What the request holds of the isolate's memory; grows while the body is read."""
    url: str = ""
    """The address as it was sent, with scheme and host."""
    upload: Upload | None = None
    """The body, in the place of `read`."""
    read_identity: ReadIdentity = read_nobody
    stay: Stay = stay_anyway


BodyStream: TypeAlias = Callable[[Sink], Awaitable[None]]
"""Writes a body piece by piece. Whatever happens to the caller, it runs to its end, or to a
ClientGone from the write."""


class Response(Struct, kw_only=True):
    """An answer: `body`, or `stream`, which writes the body."""

    status: int = 200
    headers: dict[str, str] = {}
    body: bytes = b""
    stream: BodyStream | None = None
    length: int | None = None
    """Bytes that `stream` writes, where that is known."""


JSON = {"content-type": "application/json"}
FRESH_JSON = {**JSON, "cache-control": "no-store"}
EVENTS = {"content-type": "text/event-stream; charset=utf-8", "cache-control": "no-store"}
_LISTABLE = re.compile(r"[A-Za-z0-9_.\[\]-]{1,64}")
_LISTED = 32
_LONGEST = 16_384
"""Characters of all values together: what the platforms on the way take."""


@lru_cache(500)  # the same few models again and again
def encode_value(text: str) -> str:
    """A text as a header's value: all but ASCII letters, digits and `_.-~/:@+` is
    percent-encoded."""
    return quote(text[:256], safe="/:@+", errors="replace")


def list_names(names: Iterable[str]) -> str:
    """Names as a header's value: up to 32 of up to 64 letters, digits and `_.-[]`, and how many
    others there are (`a, b, +3`)."""
    known = list(names)
    shown = [name for name in known if _LISTABLE.fullmatch(name)][:_LISTED]
    others = len(known) - len(shown)
    return ", ".join((*shown, f"+{others}") if others else shown)


def check_headers(headers: Mapping[str, str]) -> None:
    """Raises ValueError for values that can't be sent; the names are the proxy's own."""
    values = "".join(headers.values())
    if not (values.isascii() and values.isprintable() and len(values) <= _LONGEST):
        raise ValueError(f"a header of {', '.join(headers)} can't be sent")
