"""The parameters of the paths of analytics: what they share, and how times are told."""

import re
from collections.abc import Collection, Mapping
from datetime import UTC, datetime
from typing import Any

from proxy.core.errors import InvalidRequest, PermissionDenied

LONGEST = 256
"""Characters of a value."""
LONGEST_WINDOW = 730 * 86400
"""Seconds."""
_UNITS = {"m": 60, "h": 3600, "d": 86400}
_SPAN = re.compile(r"([1-9][0-9]{0,6})([mhd])")


def invalid(name: str, reason: str) -> InvalidRequest:
    """The error for a parameter."""
    name = name[:LONGEST]
    return InvalidRequest(f"{name}: {reason}", param=name)


def check_names(params: Mapping[str, str], known: Collection[str]) -> None:
    """Raises InvalidRequest for a parameter that there is not."""
    for name in params:
        if name not in known:
            raise invalid(name, f"Unknown parameter; there are {', '.join(known)}")


def seconds(name: str, text: str) -> int:
    """A length of time: `90m`, `24h`, `7d`, up to two years. Raises InvalidRequest."""
    found = _SPAN.fullmatch(text)
    length = int(found[1]) * _UNITS[found[2]] if found else 0
    if not 0 < length <= LONGEST_WINDOW:
        raise invalid(name, "Must be a number of minutes, hours or days from 1m to 730d, as in 24h")
    return length


def filters(
    params: Mapping[str, str], columns: Collection[str], only: Mapping[Any, str | int]
) -> dict[str, str | int]:
    """What rows must have, by those of the parameters that are columns, and by `only`, whatever
    is asked for. Raises InvalidRequest; PermissionDenied for what `only` rules out."""
    asked: dict[str, str | int] = {}
    for name in columns:
        text = params.get(name)
        if text is not None:
            asked[name] = _status(text) if name == "status" else _text(name, text)
    for name, value in only.items():
        if asked.setdefault(name, value) != value:
            raise PermissionDenied(f"{name}: This key sees the figures of its own {name} only.")
    return asked


def moment(at: int) -> str:
    """Whole seconds since 1970 as RFC 3339 in UTC."""
    return f"{datetime.fromtimestamp(at, UTC).replace(tzinfo=None).isoformat()}Z"


def _status(text: str) -> int:
    if not re.fullmatch(r"[1-5][0-9]{2}", text, re.ASCII):
        raise invalid("status", "Must be an HTTP status, as in 200")
    return int(text)


def _text(name: str, text: str) -> str:
    if not 0 < len(text) <= LONGEST:
        raise invalid(name, f"Must have 1 to {LONGEST} characters; leave it out for all")
    return text
