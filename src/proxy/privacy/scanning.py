"""JSON as the strings and numbers that it holds, each with its place: a text is neither decoded nor
built anew, so that what need not change keeps its bytes. What is no JSON, or the beginning of one,
is gone through just the same."""

import json
import re
from collections.abc import Iterator
from contextlib import suppress

from msgspec import Struct

_TOKEN = re.compile(r'"((?:[^"\\]++|\\.)*+)"?|-?\d[\d.eE+-]*+|[{}\[\],]', re.DOTALL)
_SHOWN = re.compile(r"[A-Za-z_]{1,40}")
"""Names of fields that a message may show: a secret has digits."""


class _Level:
    """An object or an array that is open."""

    __slots__ = ("index", "is_array", "name")

    def __init__(self, is_array: bool) -> None:
        self.is_array = is_array
        self.index = 0
        self.name: str | None = None
        """Of the field whose value comes next, without escapes; None: a name does."""


class Token(Struct):
    """A string, with its escapes and without its quotes, or a number."""

    start: int
    end: int
    text: str
    is_string: bool
    is_name: bool
    """Whether it is a field's name."""


class Scanner:
    """Goes through a text once."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._levels: list[_Level] = []

    def tokens(self) -> Iterator[Token]:
        """The strings and numbers, in order."""
        for found in _TOKEN.finditer(self._text):
            sign = found[0][0]
            if sign == '"':
                is_name = self._is_name()
                if is_name:
                    self._levels[-1].name = _read_name(found[1])
                yield Token(found.start(1), found.end(1), found[1], True, is_name)
            elif sign in "{[":
                self._levels.append(_Level(sign == "["))
            elif sign in "}]":
                if self._levels:
                    self._levels.pop()
            elif sign == ",":
                self._go_on()
            else:
                yield Token(found.start(), found.end(), found[0], False, False)

    def _is_name(self) -> bool:
        level = self._levels[-1] if self._levels else None
        return level is not None and not level.is_array and level.name is None

    def _go_on(self) -> None:
        if self._levels:
            level = self._levels[-1]
            level.index += 1
            level.name = None

    @property
    def path(self) -> str:
        """The place of the last token, as far as its names may be shown:
        `messages[0].content[1].text`."""
        path = ""
        for level in self._levels:
            if level.is_array:
                path += f"[{level.index}]"
            elif level.name is None or not _SHOWN.fullmatch(level.name):
                break
            else:
                path += f".{level.name}" if path else level.name
        return path

    @property
    def part(self) -> tuple[object, int] | None:
        """Where the last token is the text of a part: the list of parts, and the part's place."""
        if len(self._levels) < 2:
            return None
        parts, part = self._levels[-2:]
        is_text = parts.is_array and _is_one_of(part.name, ("text",))
        return (parts, parts.index) if is_text else None

    @property
    def is_in_token_list(self) -> bool:
        """Whether the last token is an element of a list below the field `input` or `prompt`."""
        levels = self._levels
        if len(levels) < 2 or not _is_one_of(levels[0].name, ("input", "prompt")):
            return False
        return all(level.is_array for level in levels[1:])


def _read_name(text: str) -> str:
    """A name without its escapes; as it stands where it can't be read."""
    if "\\" in text:
        with suppress(ValueError):
            return str(json.loads(f'"{text}"'))
    return text


def _is_one_of(name: str | None, names: tuple[str, ...]) -> bool:
    """Whether a reader that knows no case takes a field for one of these."""
    return name is not None and name.casefold() in names
