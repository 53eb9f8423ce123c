"""Patterns of an operator's own, in the part of regular expressions whose work is bounded.

Promise: whatever the text, a match that is tried at one place takes at most MOST_STEPS steps. Each
way through a pattern is counted: branches add up, what follows one another multiplies. Nothing
repeats without an upper bound, and there are no references, lookarounds and flags. So a matcher
that backtracks has no more ways than these, each as long as the longest match.
"""

import re
from typing import Literal

import msgspec
from msgspec import Struct

Kind = Literal["email", "card", "iban", "key", "jwt", "private_key"]
"""What is known without a pattern of one's own."""
MOST_PATTERNS = 20
LONGEST = 500
"""Characters of a pattern."""
MOST_STEPS = 10_000
_NAME = re.compile(r"[A-Z][A-Z0-9_]{0,30}")
_PUNCTUATION = frozenset("\\.-+*?()[]{}|^$/@#&%~!:;,=<>_'\" ")
_CLASSES = frozenset("dDwWsS")
_QUANTIFIER = re.compile(r"\{(\d{1,3})(?:,(\d{1,3}))?\}|\?")
_UNBOUNDED = "repeats without an upper bound: write {{0,64}} in place of {sign}"
_DECODER = msgspec.json.Decoder(dict[str, str])


class OwnPattern(Struct, frozen=True):
    """A pattern under its name: upper-case letters, digits and `_`."""

    name: str
    text: str


class Bound(Struct, frozen=True):
    """What a part of a pattern may take."""

    ways: int = 1
    least: int = 0
    most: int = 0
    """Characters of its shortest and its longest match."""

    def then(self, after: "Bound") -> "Bound":
        """Both, one after the other."""
        ways = self.ways * after.ways
        return Bound(ways, self.least + after.least, self.most + after.most)

    def either(self, other: "Bound") -> "Bound":
        """One of both."""
        least, most = min(self.least, other.least), max(self.most, other.most)
        return Bound(self.ways + other.ways, least, most)

    def times(self, low: int, high: int) -> "Bound":
        """`low` to `high` of it."""
        ways = sum(min(self.ways, MOST_STEPS) ** number for number in range(low, high + 1))
        return Bound(min(ways, MOST_STEPS + 1), self.least * low, self.most * high)


def read_own_patterns(text: str, taken: frozenset[str]) -> tuple[OwnPattern, ...]:
    """Reads a JSON object of patterns by name, or lines NAME=PATTERN. taken: names that mean
    something else. Raises ValueError that says what is wrong with which."""
    patterns = _read_object(text) if text.startswith("{") else _read_lines(text)
    if len(patterns) > MOST_PATTERNS:
        raise ValueError(f"must hold at most {MOST_PATTERNS} patterns")
    for pattern in patterns:
        name = pattern.name
        if not _NAME.fullmatch(name):
            raise ValueError(f"{name[:40]!r} must be upper-case letters, digits and _, 31 at most")
        if name in taken or [each.name for each in patterns].count(name) > 1:
            raise ValueError(f"names {name}, which is there already")
        try:
            check(pattern.text)
        except ValueError as error:
            raise ValueError(f"{name}: the pattern {error}") from None
    return patterns


def check(text: str) -> Bound:
    """What a pattern takes at most. Raises ValueError where that is not bounded, or too much."""
    if len(text) > LONGEST:
        raise ValueError(f"has more than {LONGEST} characters")
    bound = _Parser(text).parse()
    if bound.least == 0:
        raise ValueError("matches a text of no characters")
    if bound.ways * (bound.most + len(text)) > MOST_STEPS:
        raise ValueError(
            f"may take more than {MOST_STEPS} steps at each character of a text: repeat less, or in"
            " fewer places"
        )
    try:
        re.compile(text)
    except (re.error, OverflowError) as error:
        raise ValueError(f"is none: {error}") from None
    return bound


def _read_object(text: str) -> tuple[OwnPattern, ...]:
    try:
        found = _DECODER.decode(text)
    except msgspec.DecodeError as error:
        raise ValueError(f"must be a JSON object of patterns by name: {error}") from None
    return tuple(OwnPattern(name, pattern) for name, pattern in found.items())


def _read_lines(text: str) -> tuple[OwnPattern, ...]:
    patterns = []
    for line in filter(None, map(str.strip, text.splitlines())):
        name, equals, pattern = line.partition("=")
        if not equals:
            raise ValueError("must be lines NAME=PATTERN, or a JSON object of patterns by name")
        patterns.append(OwnPattern(name.strip(), pattern.strip()))
    return tuple(patterns)


class _Parser:
    """Reads a pattern from its beginning to its end."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._at = 0

    def parse(self) -> Bound:
        """The whole. Raises ValueError."""
        bound = self._read_branches()
        if self._at < len(self._text):
            raise ValueError("closes a group that is not open")
        return bound

    @property
    def _next(self) -> str:
        return self._text[self._at : self._at + 1]

    def _take(self) -> str:
        sign = self._next
        if not sign:
            raise ValueError("ends too early")
        self._at += 1
        return sign

    def _read_branches(self, depth: int = 0) -> Bound:
        if depth > 5:
            raise ValueError("nests more than 5 groups")
        bound = self._read_sequence(depth)
        while self._next == "|":
            self._at += 1
            bound = bound.either(self._read_sequence(depth))
        return bound

    def _read_sequence(self, depth: int) -> Bound:
        bound = Bound()
        while self._next not in ("", "|", ")"):
            bound = bound.then(self._read_repeated(depth))
            if bound.ways > MOST_STEPS:
                bound = Bound(MOST_STEPS + 1, bound.least, bound.most)
        return bound

    def _read_repeated(self, depth: int) -> Bound:
        atom = self._read_atom(depth)
        found = _QUANTIFIER.match(self._text, self._at)
        if found is None:
            return atom
        self._at = found.end()
        low, high = (int(found[1]), int(found[2] or found[1])) if found[1] else (0, 1)
        if high < low:
            raise ValueError(f"repeats {found[0]}: the second number is the larger one")
        if self._next and self._next in "?{*+":
            raise ValueError("repeats a repetition")
        return atom.times(low, high)

    def _read_atom(self, depth: int) -> Bound:
        sign = self._take()
        if sign == "(":
            return self._read_group(depth)
        if sign == "[":
            self._read_class()
        elif sign == "\\":
            if self._next == "b":
                self._at += 1
                return Bound()
            self._read_escape()
        elif sign in "*+":
            raise ValueError(_UNBOUNDED.format(sign=sign))
        elif sign in "?{}]^$":
            raise ValueError(f"holds {sign} where it means nothing: write \\{sign}")
        return Bound(1, 1, 1)

    def _read_group(self, depth: int) -> Bound:
        if self._next == "?":
            if self._text[self._at : self._at + 2] != "?:":
                raise ValueError("holds (? with another meaning than (?:")
            self._at += 2
        bound = self._read_branches(depth + 1)
        if self._take() != ")":
            raise ValueError("leaves a group open")
        return bound

    def _read_class(self) -> None:
        if self._next == "^":
            self._at += 1
        is_empty = True
        while (sign := self._take()) != "]" or is_empty:
            if sign in "[]&~|" or (sign == "-" and self._next == "-"):
                raise ValueError(f"holds {sign} in a class: write \\{sign}")
            if sign == "\\":
                self._read_escape()
            is_empty = False

    def _read_escape(self) -> None:
        sign = self._take()
        if sign not in _CLASSES and sign not in _PUNCTUATION:
            raise ValueError(f"holds \\{sign}, which is none of \\d \\w \\s \\b and escaped signs")
