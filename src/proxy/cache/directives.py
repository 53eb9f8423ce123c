"""Who controls the cache: four voices, normalised into a few directives; the nearest wins.

| voice | read | store | ttl | max_age | only_if_cached | key | namespace |
| --- | --- | --- | --- | --- | --- | --- | --- |
| body `cache` | mode refresh, off | mode off, store | ttl | s-maxage | | | namespace |
| `cf-aig-*` | skip-cache | skip-cache | cache-ttl | | | cache-key | |
| `Cache-Control` | no-cache, no-store | no-store | | max-age | only-if-cached | | |
| deployment | CACHE_TTL=0 | CACHE_TTL=0 | CACHE_TTL | | | | |

`Cache-Control` as RFC 9111, 5.2.1 has it for requests; `no-store` also reads nothing, as
callers who send it expect. What a provider says of caching is not asked: all say no-cache.
"""

import re
from collections.abc import Mapping
from typing import Any

from msgspec import Struct

from proxy.core.chat import CacheControl
from proxy.core.errors import InvalidRequest

LONGEST_TTL = 366 * 86400
"""Seconds that an entry may be fresh."""

_OWN_KEY = re.compile(r"[!-~][ -~]{0,255}")
_BOOLEANS = {"true": True, "false": False}


class Directives(Struct, frozen=True, kw_only=True):
    """What holds for one request. Times in seconds."""

    read: bool
    store: bool
    ttl: int
    max_age: int | None = None
    """The oldest entry that will do; None: any that is fresh."""
    only_if_cached: bool = False
    key: str | None = None
    """A key of the caller's own, in the place of the request's meaning."""
    namespace: str | None = None


def directives(body: CacheControl, headers: Mapping[str, str], ttl: int) -> Directives:
    """The directives of a request. headers: names in lower case; ttl: the deployment's
    CACHE_TTL, 0 for a cache that must be asked for. Raises InvalidRequest naming the header."""
    said = _cache_control(headers) | _cloudflare(headers) | _body(body)
    on = bool(said.get("ttl") or ttl)
    said = {"read": on, "store": on, "ttl": ttl} | said
    return Directives(**said | {"store": said["store"] and on})


def _body(control: CacheControl) -> dict[str, Any]:
    said: dict[str, Any] = {}
    if control.mode != "default":
        said["read"] = False
    if control.mode == "off" or not control.store:
        said["store"] = False
    told = {"ttl": control.ttl, "max_age": control.max_age, "namespace": control.namespace}
    return said | {name: value for name, value in told.items() if value is not None}


def _cloudflare(headers: Mapping[str, str]) -> dict[str, Any]:
    said: dict[str, Any] = {}
    if (skip := headers.get("cf-aig-skip-cache")) is not None:
        if skip.lower() not in _BOOLEANS:
            raise _wrong("cf-aig-skip-cache", "must be true or false")
        if _BOOLEANS[skip.lower()]:
            said |= {"read": False, "store": False}
    if (ttl := headers.get("cf-aig-cache-ttl")) is not None:
        if not re.fullmatch(r"\d{1,9}", ttl) or not 1 <= int(ttl) <= LONGEST_TTL:
            raise _wrong("cf-aig-cache-ttl", f"must be seconds from 1 to {LONGEST_TTL}")
        said["ttl"] = int(ttl)
    if (key := headers.get("cf-aig-cache-key")) is not None:
        if not _OWN_KEY.fullmatch(key):
            raise _wrong("cf-aig-cache-key", "must be 1 to 256 visible ASCII characters")
        said["key"] = key
    return said


def _cache_control(headers: Mapping[str, str]) -> dict[str, Any]:
    """A directive that is unknown or malformed is ignored, as RFC 9111, 5.2 wants it."""
    said: dict[str, Any] = {}
    for member in headers.get("cache-control", "").lower().split(","):
        name, _, value = member.strip().partition("=")
        value = value.strip('"')
        if name == "no-store":
            said |= {"read": False, "store": False}
        elif name == "no-cache":
            said["read"] = False
        elif name == "only-if-cached":
            said["only_if_cached"] = True
        elif name == "max-age" and re.fullmatch(r"\d{1,9}", value):
            said["max_age"] = int(value)
    return said


def _wrong(header: str, reason: str) -> InvalidRequest:
    return InvalidRequest(f"{header} {reason}", param=header)
