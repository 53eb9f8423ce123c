"""Moments as texts."""

from datetime import UTC, datetime

LAST_MS = 253_402_300_799_999
"""The end of the year 9999, the last moment that RFC 3339 can write."""


def format_time(ms: int) -> str:
    """Milliseconds since 1970 as RFC 3339 in UTC; without a fraction where it is 0."""
    whole, rest = divmod(ms, 1000)
    text = datetime.fromtimestamp(whole, UTC).replace(tzinfo=None).isoformat()
    return f"{text}.{rest:03d}Z" if rest else f"{text}Z"


def format_time_ms(ms: int) -> str:
    """The same with three digits of a second, whatever they are."""
    whole, rest = divmod(ms, 1000)
    return f"{format_time(whole * 1000)[:-1]}.{rest:03d}Z"
