"""Logging: one JSON line an event on the console, at its level."""

import js
import msgspec

LEVELS = frozenset({"debug", "info", "warning", "error"})

_ENCODER = msgspec.json.Encoder(enc_hook=str)  # six times as fast as json.dumps


def log(level: str, event: str, /, **fields: object) -> None:
    """core.ports.Log. Python's logging would make every line an error event here."""
    line = _ENCODER.encode({"level": level, "event": event, **fields}).decode()
    getattr(js.console, "warn" if level == "warning" else level)(line)
