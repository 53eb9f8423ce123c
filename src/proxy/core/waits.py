"""How long to wait, in every form in which providers say it: `Retry-After` and the resets of
their rate limits.

Promises: reading never raises, and what it gives is from 0 to LONGEST seconds, whatever comes.
"""

import math
import re
from collections.abc import Mapping
from datetime import UTC, datetime

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
_MONTHS = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"]
_TIME = r"(?P<time>\d\d:\d\d:\d\d)"
_ZONE = r"(?P<zone>GMT|UTC?|Z|[+-]\d{4})"
_HTTP_DATES = tuple(
    re.compile(form, re.ASCII | re.IGNORECASE)
    for form in (
        rf"\w{{3}}, (?P<day>\d\d?) (?P<month>\w{{3}}) (?P<year>\d{{4}}) {_TIME} {_ZONE}",
        rf"\w{{6,9}}, (?P<day>\d\d)-(?P<month>\w{{3}})-(?P<year>\d\d) {_TIME} {_ZONE}",
        rf"\w{{3}} (?P<month>\w{{3}}) (?P<day>[ \d]\d) {_TIME} (?P<year>\d{{4}})",
    )
)
"""RFC 9110's three: its own, RFC 850's and asctime's, in any case and any zone."""
_ISO_DATE = re.compile(r"\d{4}-?\d\d-?\d\d[T ].{1,30}", re.ASCII | re.IGNORECASE)


def seconds_until(value: object, now: float | None) -> float | None:
    """Seconds to wait, from a number of seconds, a duration such as `6m0s`, `12ms` and `PT30S`, or
    a moment: an HTTP date, a date of RFC 3339, or seconds or milliseconds since 1970. What is past
    is 0; None: it is none of these, or a moment where `now` (seconds since 1970) is not known."""
    if isinstance(value, int | float) and not isinstance(value, bool):
        number = min(max(value, 0), 1e300)
        return None if math.isnan(number) else _of_number(number, now)
    if not isinstance(value, str) or len(value) > LONGEST_TEXT:
        return None
    text = value.strip()
    if _NUMBER.fullmatch(text):
        return _of_number(float(text), now)
    if (seconds := duration(text)) is not None:
        return seconds
    moment = _moment(text, now)
    return None if moment is None or now is None else _bounded(moment - now)


def duration(text: str) -> float | None:
    """Seconds of a duration with units; None: it is none."""
    if _ISO_DURATION.fullmatch(text) and len(text) > 1:
        text = text.translate({ord("P"): None, ord("T"): None}).lower()
    if not _DURATION.fullmatch(text):
        return None
    parts = _PART.findall(text)
    return _bounded(sum(float(number) * _UNITS.get(unit, 1e-6) for number, unit in parts))


def retry_after(headers: Mapping[str, str], now: float | None) -> float | None:
    """Seconds, by `retry-after-ms` or `retry-after`. headers: names in lower case."""
    ms = headers.get("retry-after-ms", "").strip()[:LONGEST_TEXT]
    if _NUMBER.fullmatch(ms):
        return _bounded(float(ms) / 1000)
    return seconds_until(headers.get("retry-after"), now)


def renewed_after(headers: Mapping[str, str], now: float | None) -> float | None:
    """Seconds until all rate limits that are used up are whole again, by headers such as
    `x-ratelimit-reset-requests` and `anthropic-ratelimit-tokens-reset`. headers: names in lower
    case."""
    waits = (
        seconds_until(value, now)
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


def _moment(text: str, now: float | None) -> float | None:
    """Seconds since 1970 of a date. One without a zone is UTC."""
    try:
        if match := next((m for form in _HTTP_DATES if (m := form.fullmatch(text))), None):
            month = _MONTHS.index(match["month"].capitalize()) + 1
            year = _whole_year(match["year"], now or 0)
            day, time = int(match["day"]), match["time"]
            zone = match.groupdict().get("zone", "Z")
            zone = zone if zone[0] in "+-" else "Z"
            text = f"{year:04}-{month:02}-{day:02}T{time}{zone}"
        elif not _ISO_DATE.fullmatch(text):
            return None
        date = datetime.fromisoformat(text.upper())
        return (date if date.tzinfo else date.replace(tzinfo=UTC)).timestamp()
    except (ValueError, OverflowError):
        return None


def _whole_year(year: str, now: float) -> int:
    """The year that two digits mean: as RFC 9110 says, none that is more than 50 years ahead."""
    if len(year) == 4:
        return int(year)
    this = datetime.fromtimestamp(now, UTC).year
    ahead = (int(year) - this) % 100
    return this + (ahead if ahead <= 50 else ahead - 100)
