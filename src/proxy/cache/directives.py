"""Who controls the cache: four voices, normalised into a few directives; the nearest wins.

| voice | read | store | ttl | max_age | only_if_cached | key | namespace |
| --- | --- | --- | --- | --- | --- | --- | --- |
| body `cache` | mode refresh, off | mode off, store | ttl | s-maxage | | | namespace |
| `cf-aig-*` | skip-cache | skip-cache | cache-ttl | | | cache-key | |
| `Cache-Control` | no-cache, no-store | no-store | | max-age | only-if-cached | | |
| deployment | CACHE_TTL=0 | CACHE_TTL=0 | CACHE_TTL | | | | |

`Cache-Control` as RFC 9111, 5.2.1 has it for requests; `no-store` also reads nothing, as
its senders expect. What a provider says of caching has no part: all say no-cache.
"""

import re
from collections.abc import Iterable, Mapping
from typing import Any

from msgspec import Struct

from proxy.core.cache_control import CacheControl

NO_WISH = CacheControl()


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


def read_directives(
    controls: Iterable[CacheControl], headers: Mapping[str, str], ttl: int
) -> Directives:
    """The directives of a request. controls: of its `cf-aig-*` headers, then of its body; headers:
    names in lower case; ttl: the deployment's CACHE_TTL, 0 for a cache that a request must want."""
    given = _read_cache_control(headers)
    for control in controls:
        given |= _read_control(control)
    on = bool(given.get("ttl") or ttl)
    store = on and given.get("store", True)
    return Directives(**{"read": on, "ttl": ttl, **given, "store": store})


def _read_control(control: CacheControl) -> dict[str, Any]:
    if control == NO_WISH:
        return {}
    given: dict[str, Any] = {}
    if control.mode != "default":
        given["read"] = False
    if control.mode == "off" or not control.store:
        given["store"] = False
    for name in ("ttl", "max_age", "namespace", "key"):
        value = getattr(control, name)
        if value is not None:
            given[name] = value
    return given


def _read_cache_control(headers: Mapping[str, str]) -> dict[str, Any]:
    """A directive that is unknown or malformed is ignored, as RFC 9111, 5.2 wants it."""
    given: dict[str, Any] = {}
    text = headers.get("cache-control")
    for member in text.lower().split(",") if text else ():
        name, _, value = member.strip().partition("=")
        value = value.strip('"')
        if name == "no-store":
            given |= {"read": False, "store": False}
        elif name == "no-cache":
            given["read"] = False
        elif name == "only-if-cached":
            given["only_if_cached"] = True
        elif name == "max-age" and re.fullmatch(r"\d{1,9}", value):
            given["max_age"] = int(value)
    return given
