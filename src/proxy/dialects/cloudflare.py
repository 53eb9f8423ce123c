"""Cloudflare AI Gateway's headers: those that a caller may send, and those of an answer.

Every `cf-aig-*` header that the proxy knows stands here (Cloudflare AI Gateway, "Custom
configurations", "Caching", "Custom metadata").
"""

import re
from collections.abc import Mapping
from typing import Annotated, Literal, TypeAlias, get_args

import msgspec
from msgspec import Meta, Struct

from proxy.core.cache_control import LONGEST_TTL, CacheControl
from proxy.core.errors import InvalidRequest

METADATA = "cf-aig-metadata"
TIMEOUT = "cf-aig-request-timeout"
ATTEMPTS = "cf-aig-max-attempts"
DELAY = "cf-aig-retry-delay"
BACKOFF = "cf-aig-backoff"
SKIP_CACHE = "cf-aig-skip-cache"
CACHE_TTL = "cf-aig-cache-ttl"
CACHE_KEY = "cf-aig-cache-key"
COLLECT_LOG = "cf-aig-collect-log"
COLLECT_PAYLOAD = "cf-aig-collect-log-payload"
SENT = (METADATA, TIMEOUT, ATTEMPTS, DELAY, BACKOFF, SKIP_CACHE, CACHE_TTL, CACHE_KEY)
"""Those that say what a request means; COLLECT_LOG and COLLECT_PAYLOAD do not."""
STEP = "cf-aig-step"
"""Of an answer: the place of the attempt that gave it, from 0."""
CACHE_STATUS = "cf-aig-cache-status"
"""Of an answer: HIT, MISS or BYPASS."""
MOST_ATTEMPTS = 5
"""At each provider."""

OptionBackoff = Literal["constant", "linear", "exponential"]
_BACKOFFS: dict[str, OptionBackoff] = {word: word for word in get_args(OptionBackoff)}
_Number: TypeAlias = Annotated[int, Meta(ge=-(2**53), le=2**53)] | float
_Label: TypeAlias = Annotated[str, Meta(max_length=512)] | _Number | bool
_LABELS = msgspec.json.Decoder(
    Annotated[dict[Annotated[str, Meta(max_length=64)], _Label], Meta(max_length=16)]
)
_KEY = re.compile(r"[!-~][ -~]{0,255}")
_BOOLEANS = {"true": True, "false": False}


class RetryOptions(Struct, frozen=True, kw_only=True):
    """How often a provider is to be tried. None: the headers say nothing."""

    attempts: int | None = None
    """At each provider, the first one included."""
    delay_ms: int | None = None
    """Before the second attempt."""
    backoff: OptionBackoff | None = None


_NO_WISH = CacheControl()
_NO_RETRIES = RetryOptions()


def read_timeout(headers: Mapping[str, str]) -> int | None:
    """Reads the request's time in ms. Raises InvalidRequest."""
    return _read_number(headers, TIMEOUT, 1, 600_000, digits=6)


def read_retries(headers: Mapping[str, str]) -> RetryOptions:
    """Reads how often a provider is to be tried. Raises InvalidRequest."""
    if ATTEMPTS not in headers and DELAY not in headers and BACKOFF not in headers:
        return _NO_RETRIES
    return RetryOptions(
        attempts=_read_number(headers, ATTEMPTS, 1, MOST_ATTEMPTS),
        delay_ms=_read_number(headers, DELAY, 0, 5_000),
        backoff=_read_backoff(headers.get(BACKOFF)),
    )


def allows_log(headers: Mapping[str, str]) -> bool:
    """Whether the request may appear in logs; if not, it is counted only."""
    return _allows(headers, COLLECT_LOG)


def allows_bodies(headers: Mapping[str, str]) -> bool:
    """Whether the request's body and its answer may be kept where it appears in logs."""
    return allows_log(headers) and _allows(headers, COLLECT_PAYLOAD)


def _allows(headers: Mapping[str, str], name: str) -> bool:
    return headers.get(name, "").strip().lower() != "false"


def read_metadata(headers: Mapping[str, str]) -> dict[str, str]:
    """Reads the labels: a JSON object of texts, numbers and booleans. Raises InvalidRequest."""
    text = headers.get(METADATA)
    if text is None:
        return {}
    try:
        labels = _LABELS.decode(text)
    except msgspec.DecodeError as error:
        raise _invalid(METADATA, f"a JSON object: {error}") from error
    return {name: v if isinstance(v, str) else f"{v}".lower() for name, v in labels.items()}


def check(headers: Mapping[str, str]) -> None:
    """Raises InvalidRequest for a header that can't be read, where many requests share them."""
    for read in (read_timeout, read_retries, read_metadata, read_cache):
        read(headers)


def _read_number(
    headers: Mapping[str, str], name: str, least: int, most: int, digits: int = 9
) -> int | None:
    text = headers.get(name)
    if text is None:
        return None
    text = text.strip()  # `int` takes more than blanks off
    if not re.fullmatch(rf"[0-9]{{1,{digits}}}", text) or not least <= int(text) <= most:
        raise _invalid(name, f"a whole number from {least} to {most}")
    return int(text)


def _read_backoff(text: str | None) -> OptionBackoff | None:
    if text is None:
        return None
    found = _BACKOFFS.get(text.strip().lower())
    if found is None:
        raise _invalid(BACKOFF, "constant, linear or exponential")
    return found


def read_cache(headers: Mapping[str, str]) -> CacheControl:
    """Reads what the headers say of the cache. Raises InvalidRequest."""
    skip, ttl, key = headers.get(SKIP_CACHE), headers.get(CACHE_TTL), headers.get(CACHE_KEY)
    if skip is None and ttl is None and key is None:
        return _NO_WISH
    skip = "false" if skip is None else skip.lower()
    if skip not in _BOOLEANS:
        raise _invalid(SKIP_CACHE, "true or false")
    if ttl is not None and not (re.fullmatch(r"\d{1,9}", ttl) and 1 <= int(ttl) <= LONGEST_TTL):
        raise _invalid(CACHE_TTL, f"seconds from 1 to {LONGEST_TTL}")
    if key is not None and not _KEY.fullmatch(key):
        raise _invalid(CACHE_KEY, "1 to 256 visible ASCII characters")
    mode: Literal["off", "default"] = "off" if _BOOLEANS[skip] else "default"
    return CacheControl(mode=mode, ttl=None if ttl is None else int(ttl), key=key)


def _invalid(header: str, expected: str) -> InvalidRequest:
    return InvalidRequest(f"{header} must be {expected}", param=header)
