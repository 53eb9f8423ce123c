"""Logging: one JSON line an event on the console, at its level."""

import json

import js
import msgspec

LEVELS = frozenset({"debug", "info", "warning", "error"})

_ENCODER = msgspec.json.Encoder(enc_hook=str)  # six times as fast as json.dumps


def log(level: str, event: str, /, **fields: object) -> None:
    """core.ports.Log. Python's logging would make every line an error event here."""
    told = {"level": level, "event": event, **fields}
    try:
        line = _ENCODER.encode(told).decode()
    except (UnicodeError, OverflowError):  # half a surrogate pair, a number beyond 64 bits
        line = json.dumps(told, default=str)
    getattr(js.console, "warn" if level == "warning" else level)(line)
