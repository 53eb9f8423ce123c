"""Where a request goes that a caller puts in its provider's own words: an address below the
provider's, whatever the caller has written.

A path is judged as it was sent. workerd hands it on as it came, `..` and all, and the one who reads
it at the other end may decode it more than once.
"""

import re
from urllib.parse import unquote, unquote_plus

from msgspec import Struct

from proxy.core.chat import Wire
from proxy.core.errors import InvalidRequest, invalid
from proxy.core.ports import ParseURL

_VERSION = re.compile(r"v\d+(?:(?:alpha|beta)\d*)?")
_GOOGLES = re.compile(r"(?:(?:upload|download)/)?v\d+(?:(?:alpha|beta)\d*)?(?=/)")
"""What stands between the host and the resources in Gemini's own API."""
_DOTS = re.compile(r"\.{1,2}(?:;.*)?", re.DOTALL)
"""A segment that leads upwards; some servers leave out what follows a semicolon."""
_UNSAFE = re.compile(r"[/\\\x00-\x20\x7f#?]")
"""What no segment may hold once it is decoded."""
_ROUNDS = 4
"""How often a segment may be encoded."""
TICKET = "proxy_ticket"
_OWN = ("key", TICKET)
"""Parameters of a query that end here: where Gemini's API takes a key, and a ticket
(access.tickets)."""


class Place(Struct, frozen=True):
    """An address in two parts."""

    root: str
    """What the address must begin with, without a slash at its end."""
    tail: str
    """What follows it, percent-encoded."""


def place(wire: Wire, base: str, path: str, *, versioned: bool) -> Place:
    """Where `path`, without a slash before it, lies at a provider whose base URL is `base`.

    A version that `path` repeats of the base is left out. versioned: `v1` is left out in any case:
    an SDK appends it to its base URL. Of Gemini's API the other versions, and what is uploaded, lie
    beside the base.
    """
    base = base.rstrip("/")
    parent, _, version = base.rpartition("/")
    first, _, rest = path.partition("/")
    if wire == "gemini" and (found := _GOOGLES.match(path)):
        if _VERSION.fullmatch(version):
            return Place(f"{parent}/{found[0]}", path[found.end() + 1 :])
        return Place(base, rest if found[0] == first else path)
    repeats = first == version and _VERSION.fullmatch(first)
    if repeats or (versioned and first == "v1"):
        path = rest
    return Place(base, path)


def strip_version(path: str) -> str:
    """A path without the version with which it may begin."""
    first, _, rest = path.partition("/")
    return rest if _VERSION.fullmatch(first) else path


def build_url(place: Place, query: str, parse_url: ParseURL) -> str:
    """The address as it is fetched; query: as it was sent. Raises InvalidRequest for any that would
    lead out of the place's root."""
    check_path(place.tail)
    query = drop_key(query)
    if "#" in query:
        raise _refuse("a fragment")
    wanted = parse_url(f"{place.root}/{place.tail}{query and '?'}{query}", None)
    root = parse_url(f"{place.root}/", None)
    if wanted is None or root is None or wanted.has_credentials:
        raise _refuse("no address")
    if not wanted.href.startswith(root.href):
        raise _refuse("an address elsewhere")
    return wanted.href


def check_path(path: str) -> None:
    """Raises InvalidRequest for a path, percent-encoded, that may mean another than it says."""
    *inner, last = path.split("/")
    if "" in inner:
        raise _refuse("an empty segment")
    for segment in (*inner, last):
        plain = _decode(segment)
        if plain is None or _DOTS.fullmatch(plain) or _UNSAFE.search(plain):
            raise _refuse(f"the segment {segment[:100]!r}")


def drop_key(query: str) -> str:
    """A query without what a caller proves itself by."""
    if "ke" not in unquote(query):
        return query
    parts = query.split("&")
    return "&".join([p for p in parts if unquote_plus(p.partition("=")[0]) not in _OWN])


def _decode(segment: str) -> str | None:
    """A segment without any percent-encoding; None where it has too many, or is no UTF-8."""
    for _ in range(_ROUNDS):
        try:
            plain = unquote(segment, errors="strict")
        except UnicodeDecodeError:
            return None
        if plain == segment:
            return plain
        segment = plain
    return None


def _refuse(what: str) -> InvalidRequest:
    return invalid("path", f"{what} can't be passed on.")
