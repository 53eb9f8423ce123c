"""How long to wait, in every form in which providers say it: `Retry-After` and the resets of
their rate limits.

Promises: reading never raises, and what it gives is from 0 to LONGEST seconds, whatever comes.
"""

import math
import re
from collections.abc import Mapping

from proxy.core.time import parse_time

LONGEST = 1e9
"""Seconds."""
_EPOCH, _EPOCH_MS = 1e9, 1e11
"""From which sizes on a number is a moment, in seconds or in milliseconds since 1970."""

_NUMBER = re.compile(r"\d{1,400}(?:\.\d{1,400})?", re.ASCII)
_PART = re.compile(r"(\d{1,15}(?:\.\d{1,15})?)(d|h|ms|m|s|us|µs|μs|ns)", re.ASCII)
_DURATION = re.compile(f"(?:{_PART.pattern})+", re.ASCII)
_ISO_DURATION = re.compile(r"P(?:\d+D)?(?:T(?=\d)(?:\d+H)?(?:\d+M)?(?:[\d.]+S)?)?", re.ASCII)
LONGEST_TEXT = 1_000
"""Characters; a longer text is no wait."""
_UNITS = {"d": 86_400, "h": 3600, "m": 60, "s": 1, "ms": 1e-3, "ns": 1e-9}


def parse_wait(value: object, now: float | None) -> float | None:
    """Seconds to wait, from a number of seconds, a duration such as `6m0s`, `12ms` and `PT30S`, or
    a moment: an HTTP date, a date of RFC 3339, or seconds or milliseconds since 1970. What is past
    is 0; None: anything else, or a moment where `now` (seconds since 1970) is not known."""
    if isinstance(value, int | float) and not isinstance(value, bool):
        number = min(max(value, 0), 1e300)
        return None if math.isnan(number) else _of_number(number, now)
    if not isinstance(value, str) or len(value) > LONGEST_TEXT:
        return None
    text = value.strip()
    if _NUMBER.fullmatch(text):
        return _of_number(float(text), now)
    if (seconds := parse_duration(text)) is not None:
        return seconds
    moment = parse_time(text, now or 0)
    return None if moment is None or now is None else _bounded(moment - now)


def parse_duration(text: str) -> float | None:
    """Seconds of a duration with units; None: it is none."""
    if _ISO_DURATION.fullmatch(text) and len(text) > 1:
        text = text.translate({ord("P"): None, ord("T"): None}).lower()
    if not _DURATION.fullmatch(text):
        return None
    parts = _PART.findall(text)
    return _bounded(sum(float(number) * _UNITS.get(unit, 1e-6) for number, unit in parts))


def read_retry_after(headers: Mapping[str, str], now: float | None) -> float | None:
    """Seconds, by `retry-after-ms` or `retry-after`. headers: names in lower case."""
    ms = headers.get("retry-after-ms", "").strip()[:LONGEST_TEXT]
    if _NUMBER.fullmatch(ms):
        return _bounded(float(ms) / 1000)
    return parse_wait(headers.get("retry-after"), now)


def read_reset(headers: Mapping[str, str], now: float | None) -> float | None:
    """Seconds until all rate limits that are used up are whole again, by headers such as
    `x-ratelimit-reset-requests` and `anthropic-ratelimit-tokens-reset`. headers: names in lower
    case."""
    waits = (
        parse_wait(value, now)
        for name, value in headers.items()
        if "ratelimit" in name
        and "reset" in name
        and headers.get(name.replace("reset", "remaining"), "").strip() in ("0", "0.0")
    )
    return max((wait for wait in waits if wait is not None), default=None)


def _of_number(number: float, now: float | None) -> float | None:
    if number < _EPOCH:
        return float(number)
    if now is None:
        return None
    return _bounded((number if number < _EPOCH_MS else number / 1000) - now)


def _bounded(seconds: float) -> float:
    return min(max(0.0, seconds), LONGEST)
