"""Logging: one JSON line an event on the console, at its level."""

import json

import js

LEVELS = frozenset({"debug", "info", "warning", "error"})


def log(level: str, event: str, /, **fields: object) -> None:
    """core.ports.Log. Python's logging would make every line an error event here."""
    line = json.dumps({"level": level, "event": event, **fields}, default=str)
    getattr(js.console, "warn" if level == "warning" else level)(line)
