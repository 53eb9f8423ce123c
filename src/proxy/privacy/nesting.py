"""How deep in strings of JSON a place stands: what is put there is escaped as often."""

import re

_MARKS = re.compile(r'\\+|"|\s+|[^\s\\"]+')
_VALUES = frozenset('{["-0123456789]')
"""With which an array goes on after its bracket; a placeholder is none."""


class Nesting:
    """The strings that are open in a JSON text which comes in pieces. One whose text begins like an
    object or an array holds JSON itself."""

    def __init__(self) -> None:
        self._open: list[bool | None] = []
        """Of each string whether it holds JSON; None: it has just begun."""
        self._begun = ""
        """The bracket with which the innermost has begun."""
        self._backslashes = 0

    @property
    def depth(self) -> int:
        """How many strings are open."""
        return len(self._open)

    def feed(self, text: str) -> None:
        """Takes the next piece."""
        for mark in _MARKS.finditer(text):
            sign = mark[0][0]
            if sign == "\\":
                self._backslashes += len(mark[0])
                continue
            if sign == '"':
                self._take_quote()
            elif not sign.isspace():
                self._take_word(mark[0])
            self._backslashes = 0

    def _take_quote(self) -> None:
        """Opens or closes a string: each level above escapes its backslashes and itself."""
        level = 1
        while self._backslashes & 1:
            self._backslashes >>= 1
            level += 1
        if level <= self.depth:
            del self._open[level - 1 :]
        elif not self._open or self._open[-1] or self._begun:
            if level == self.depth + 1:
                self._open[-1:] = [True] * bool(self._open)
                self._open.append(None)
        else:
            self._open[-1] = False
        self._begun = ""

    def _take_word(self, word: str) -> None:
        """Finds out what a string holds by what it begins with, white space and its escapes
        aside."""
        if not self._open or self._open[-1] is not None:
            return
        begun = self._begun + (word[1:] if self._backslashes else word)
        self._begun = begun if begun == "[" else ""
        if begun and not self._begun:
            self._open[-1] = begun[0] == "{" or (begun[0] == "[" and begun[1] in _VALUES)
