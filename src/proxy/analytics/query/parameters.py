"""What the query parameters of several paths share: errors, lengths of time, filters, cursors."""

import re
from collections.abc import Collection, Mapping, Sequence
from typing import TypeVar

import msgspec

from proxy.analytics.store.messages import Position
from proxy.core import base64url
from proxy.core.errors import PermissionDenied, invalid
from proxy.core.time import parse_time

Column = TypeVar("Column", bound=str)

LONGEST = 256
"""Characters of a value."""
LONGEST_WINDOW = 730 * 86400
"""Seconds."""
MOST_ROWS = 500
"""Rows of a page."""
PAGE = "100"
"""Rows of a page of a list, where the request does not say how many."""
LONGEST_CURSOR = 2_000
_UNITS = {"m": 60, "h": 3600, "d": 86400}
LABEL = "label."
"""How the parameters begin that are labels."""
MOST_LABELS = 8
_CLASS = re.compile(r"[1-5]xx")
_IS_ZONED = re.compile(r"T.*(?:Z|[+-]\d\d:\d\d)\Z", re.ASCII | re.IGNORECASE)
_DURATION = re.compile(r"([1-9][0-9]{0,6})([mhd])")
_POSITIONS = msgspec.json.Decoder(tuple[Position, ...])


def check_names(
    params: Mapping[str, str], known: Collection[str], *, has_labels: bool = False
) -> None:
    """Raises InvalidRequest for an unknown parameter. has_labels: whether `label.NAME` is known."""
    for name in params:
        if name not in known and not (has_labels and name.startswith(LABEL)):
            shown = (*known, f"{LABEL}NAME") if has_labels else known
            raise invalid(name, f"Unknown parameter; there are {', '.join(shown)}")


def read_labels(params: Mapping[str, str]) -> dict[str, str]:
    """The labels that rows must have, from the parameters `label.NAME`. Raises InvalidRequest."""
    labels = {name[len(LABEL) :]: text for name, text in params.items() if name.startswith(LABEL)}
    for name, text in labels.items():
        if not 0 < len(name) <= LONGEST:
            raise invalid(LABEL + name, f"The name of a label has 1 to {LONGEST} characters")
        _check_text(LABEL + name, text)
    if len(labels) > MOST_LABELS:
        raise invalid(LABEL + next(iter(labels)), f"There may be {MOST_LABELS} labels at most")
    return labels


def read_format(params: Mapping[str, str]) -> str:
    """The parameter `format`: `json` or `csv`. Raises InvalidRequest."""
    found = params.get("format", "json")
    if found not in ("json", "csv"):
        raise invalid("format", "Must be json or csv")
    return found


def read_moment(params: Mapping[str, str], name: str, now: float) -> int | None:
    """Milliseconds since 1970 of a parameter that is a moment of RFC 3339; None: it is not there.
    Raises InvalidRequest."""
    text = params.get(name)
    if text is None:
        return None
    is_zoned = len(text) <= LONGEST and _IS_ZONED.search(text)
    seconds = parse_time(text, now) if is_zoned else None
    if seconds is None:
        raise invalid(name, "Must be a moment of RFC 3339, as in 2026-11-25T20:00:00Z")
    return max(0, round(seconds * 1000))


def read_duration(name: str, text: str) -> int:
    """The seconds of `90m`, `24h`, `7d`, up to two years. Raises InvalidRequest."""
    found = _DURATION.fullmatch(text)
    length = int(found[1]) * _UNITS[found[2]] if found else 0
    if not 0 < length <= LONGEST_WINDOW:
        raise invalid(name, "Must be a number of minutes, hours or days from 1m to 730d, as in 24h")
    return length


def read_filters(
    params: Mapping[str, str], columns: Collection[Column], user: str | None
) -> dict[Column, str | int]:
    """What rows must have, by the parameters that are columns. user: the only one whose rows the
    caller may see. Raises InvalidRequest; PermissionDenied for another user."""
    filters: dict[Column, str | int] = {}
    for name in columns:
        text = params.get(name)
        if text is not None:
            filters[name] = _read_status(text) if name == "status" else _check_text(name, text)
    for name in columns:
        if name == "user" and user is not None and filters.setdefault(name, user) != user:
            raise PermissionDenied("user: This key sees the figures of its own user only.")
    return filters


def _read_status(text: str) -> int:
    if _CLASS.fullmatch(text):
        return int(text[0])
    if not re.fullmatch(r"[1-5][0-9]{2}", text, re.ASCII):
        raise invalid("status", "Must be an HTTP status or a class of them, as in 200 or 5xx")
    return int(text)


def _check_text(name: str, text: str) -> str:
    if not 0 < len(text) <= LONGEST:
        raise invalid(name, f"Must have 1 to {LONGEST} characters; leave it out for all")
    return text


def read_limit(text: str) -> int:
    """How many rows a page has, from the parameter `limit`. Raises InvalidRequest."""
    if not (text.isascii() and text.isdecimal() and len(text) < 5 and 1 <= int(text) <= MOST_ROWS):
        raise invalid("limit", f"Must be a whole number from 1 to {MOST_ROWS}")
    return int(text)


def read_page(params: Mapping[str, str]) -> tuple[int, int]:
    """The page of a list that the parameters `limit` and `cursor` name: how many rows, and after
    which position. Raises InvalidRequest."""
    cursor = params.get("cursor")
    after = 0 if cursor is None else read_cursor(cursor, 1)[0]
    return read_limit(params.get("limit", PAGE)), after


def encode_next(position: int | None) -> str | None:
    """The cursor of the page after a position; None: there is none."""
    return None if position is None else encode_cursor([position])


def encode_cursor(positions: Sequence[int]) -> str:
    """The cursor of a page that begins below these positions."""
    return base64url.encode(msgspec.json.encode(positions))


def read_cursor(cursor: str, count: int) -> tuple[int, ...]:
    """The positions in the parameter `cursor`. Raises InvalidRequest for what is no cursor of so
    many positions."""
    try:
        if len(cursor) > LONGEST_CURSOR:
            raise ValueError("too long")
        positions = _POSITIONS.decode(base64url.decode(cursor))
        if encode_cursor(positions) != cursor or len(positions) != count:
            raise ValueError("another's")
    except ValueError as error:  # msgspec's errors are ValueErrors
        raise invalid("cursor", "Must be `next` of the page before") from error
    return positions


def find_borders(now: int, seconds: int, row: int) -> tuple[int, int]:
    """The rows that hold the last `seconds` up to `now`, this second too: where the first begins,
    and where the last ends. All in seconds, `now` and the borders since 1970; row: of one."""
    return (now - seconds) // row * row, (now // row + 1) * row
