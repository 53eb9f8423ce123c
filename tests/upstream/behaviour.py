"""What a test asks the upstream to do, written into the prompt itself.

The text of any message may hold `upstream:{...}`, a JSON object that maps a provider's name,
or "*" for all of them, to a behaviour. So a test that only speaks to the proxy scripts each
provider behind it, and tests that run side by side do not disturb each other. The directive
is cut out before the fake model reads the text. README.md describes every key.
"""

import json
from collections.abc import Iterator
from dataclasses import dataclass, fields
from typing import Any

from .request import Json

MARK = "upstream:{"


class BadDirectiveError(Exception):
    """A directive that means nothing: a mistake in the test, answered with a plain 400."""


@dataclass(frozen=True)
class Behaviour:
    """One provider's part of a directive; the defaults are a provider in good health."""

    tag: str = ""
    times: int | None = None
    # What is answered.
    fixture: str | None = None
    status: int | None = None
    headers: dict[str, str] | None = None
    body: Any = None
    frames: list[str] | None = None
    message: str | None = None
    text: str | None = None
    calls: list[Json] | None = None
    finish: str | None = None
    no_usage: bool = False
    big_event: int | None = None
    error_event_after: int | None = None
    empty: bool = False
    html: bool = False
    half_json: bool = False
    content_type: str | None = None
    # How it travels.
    delay_ms: float = 0
    body_delay_ms: float = 0
    event_delay_ms: float = 0
    drip_ms: float = 0
    split: int | None = None
    stall_after: int | None = None
    break_after: int | None = None
    break_mid_utf8: bool = False
    end_after: int | None = None
    garbage: bool = False
    refuse: bool = False


_KEYS = {field.name for field in fields(Behaviour)}


def extract(value: Any) -> tuple[Any, Json]:
    """A JSON value with all directives cut out of its strings, and the directives merged."""
    found: Json = {}
    return _cut(value, found), found


def behaviour_for(provider: str, *directives: Json, key: int = 1) -> Behaviour:
    """What the directives ask of one provider: its own keys win over "*", later ones over earlier,
    and what they ask where its `key`-th API key is sent (`keys`) over both.

    Raises BadDirectiveError for a key that does not exist.
    """
    merged: Json = {}
    for name in ("*", provider):
        for directive in directives:
            merged |= directive.get(name, {})
    merged |= merged.pop("keys", {}).get(str(key), {})
    if unknown := sorted(merged.keys() - _KEYS):
        raise BadDirectiveError(f"unknown key {unknown[0]!r} for {provider}")
    return Behaviour(**merged)


def _cut(value: Any, found: Json) -> Any:
    if isinstance(value, str):
        return _cut_text(value, found) if MARK in value else value
    if isinstance(value, list):
        return [_cut(item, found) for item in value]
    if isinstance(value, dict):
        return {key: _cut(item, found) for key, item in value.items()}
    return value


def _cut_text(text: str, found: Json) -> str:
    kept = []
    for piece, directive in _split(text):
        kept.append(piece)
        for name, part in directive.items():
            if not isinstance(part, dict):
                raise BadDirectiveError(f"{name!r} maps to no object")
            found[name] = found.get(name, {}) | part
    return " ".join(piece.strip() for piece in kept if piece.strip())


def _split(text: str) -> Iterator[tuple[str, Json]]:
    """The stretches of text, each with the directive that follows it."""
    while (at := text.find(MARK)) >= 0:
        start = at + len(MARK) - 1
        try:
            directive, length = json.JSONDecoder().raw_decode(text[start:])
        except ValueError as error:
            raise BadDirectiveError(f"not JSON: {text[start : start + 80]}") from error
        yield text[:at], directive
        text = text[start + length :]
    yield text, {}
