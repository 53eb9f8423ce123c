"""Logging: one JSON line an event on the console, at its level."""

import json
from functools import cache
from typing import Any

import js
import msgspec
from msgspec import Struct

_ENCODER = msgspec.json.Encoder(enc_hook=str)  # six times as fast as json.dumps


def log(level: str, event: str, record: Struct | None = None, /, **fields: object) -> None:
    """core.ports.Log. Python's logging would make every line an error event here."""
    if record is None:
        line = _text({"level": level, "event": event, **fields})
    else:
        line = f'{{"level":"{level}","event":"{event}",{_text(record)[1:]}'
    _console(level)(line)


@cache  # what is looked up in JavaScript is looked up dearly
def _console(level: str) -> Any:
    return getattr(js.console, "warn" if level == "warning" else level)


def _text(line: object) -> str:
    try:
        return _ENCODER.encode(line).decode()
    except (UnicodeError, OverflowError):  # half a surrogate pair, a number beyond 64 bits
        return json.dumps(msgspec.to_builtins(line, enc_hook=str))
