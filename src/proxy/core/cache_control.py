"""What a caller wants of the cache."""

from typing import Literal

from msgspec import Struct

CacheMode = Literal["default", "refresh", "off"]
LONGEST_TTL = 366 * 86400
"""Seconds that a kept answer may be fresh."""


class CacheControl(Struct, frozen=True, kw_only=True):
    """What the caller wants of the cache; times in seconds."""

    ttl: int | None = None
    """How long the answer may be kept."""
    mode: CacheMode = "default"
    """`refresh`: nothing is read; `off`: nothing is read or stored."""
    store: bool = True
    """Whether the answer may be stored."""
    max_age: int | None = None
    """The oldest entry that will do."""
    namespace: str | None = None
    """Entries of another namespace are not seen."""
    key: str | None = None
    """A key of the caller's own, in the place of the request's meaning."""
