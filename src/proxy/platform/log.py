"""Logging: one JSON line an event on the console, at its level."""

import json

import msgspec
from msgspec import Struct

from proxy.platform.convert import find_function

_ENCODER = msgspec.json.Encoder(enc_hook=str)  # six times as fast as json.dumps


def log(level: str, event: str, record: Struct | None = None, /, **fields: object) -> None:
    """core.ports.Log. Python's logging would make every line an error event here."""
    if record is None:
        line = _text({"level": level, "event": event, **fields})
    else:
        line = f'{{"level":"{level}","event":"{event}",{_text(record)[1:]}'
    find_function("console", "warn" if level == "warning" else level)(line)


def _text(line: object) -> str:
    try:
        return _ENCODER.encode(line).decode()
    except (UnicodeError, OverflowError):  # half a surrogate pair, a number beyond 64 bits
        return json.dumps(msgspec.to_builtins(line, enc_hook=str))
