"""What is found in one text, also where its signs are spelled by JSON's escapes."""

import json
import re
from bisect import bisect_right
from collections.abc import Iterator, Mapping

from msgspec import Struct

from proxy.core.own_patterns import OwnPattern
from proxy.privacy.kinds import KINDS, Finder, make_finder

_SHORTEST = 5
"""Characters of the shortest text in which anything built in stands."""
_SEALED = re.compile(r"(?:data:[^,\s]{0,200},|aep1\.)?[A-Za-z0-9+/_-]{256,}+={0,2}\s{0,2}")
"""An image, a file, a provider's own state: base64, in which a match means nothing."""
_ESCAPE = re.compile(r'\\++(?:u[0-9a-fA-F]{4}|[nrtbf"/])?')
_SIGNS = {"n": "\n", "r": "\r", "t": "\t", "b": "\b", "f": "\f"}
_QUICK = (*((f"\\{name}", sign) for name, sign in _SIGNS.items()), ('\\"', '"'), ("\\/", "/"))


class Finding(Struct, frozen=True):
    """Something that is looked for: where it stands in its text, and its value without escapes."""

    start: int
    end: int
    kind: str
    value: str


class Detector:
    """Finds some kinds, and an operator's own patterns."""

    def __init__(self, kinds: tuple[str, ...], own: tuple[OwnPattern, ...] = ()) -> None:
        """kinds: of KINDS."""
        found = {kind: finder for kind, finder in KINDS.items() if kind in kinds}
        self._finders: Mapping[str, Finder] = {
            **{pattern.name.lower(): make_finder(pattern.text) for pattern in own},
            **found,
        }
        self._shortest = 1 if own else _SHORTEST

    def find(self, text: str) -> list[Finding]:
        """What stands in a text, in order; of what overlaps the longest."""
        if len(text) < self._shortest or is_sealed(text):
            return []
        if "\\" not in text:
            return [
                Finding(start, end, kind, text[start:end]) for start, end, kind in self._spans(text)
            ]
        quick = _read_quickly(text)
        if quick is not None and not self._spans(quick):
            return []
        plain = _Unescaped(text)
        return [
            Finding(plain.place(start), plain.place(end), kind, plain.text[start:end])
            for start, end, kind in self._spans(plain.text)
        ]

    def _spans(self, text: str) -> list[tuple[int, int, str]]:
        spans = [
            (start, end, kind)
            for kind, finder in self._finders.items()
            for start, end in finder(text)
        ]
        if len(spans) > 1:
            spans.sort(key=lambda span: span[0] - span[1])
            spans = sorted(_without_overlaps(spans))
        return spans


def unescape(text: str) -> str:
    """A text with its escapes read."""
    return _Unescaped(text).text


def is_sealed(text: str) -> bool:
    """Whether a text is base64 that is passed over."""
    return len(text) >= 256 and _SEALED.fullmatch(text) is not None


def _without_overlaps(spans: list[tuple[int, int, str]]) -> Iterator[tuple[int, int, str]]:
    """The spans, the longest first, that overlap none before them: one that does has its beginning
    or its end in it."""
    taken = bytearray(max(end for _, end, _ in spans))
    for span in spans:
        start, end, _ = span
        if not (taken[start] or taken[end - 1]):
            taken[start:end] = b"\1" * (end - start)
            yield span


def _read_quickly(text: str) -> str | None:
    """The same as `unescape`, by what C does at once; None where that is not all there is to it.
    It says nothing of places, and most texts hold nothing."""
    most = 2
    if "\\u" in text:
        try:
            text, most = json.loads(f'"{text}"', strict=False), 1
        except ValueError:  # half a text
            return None
    if "\\u" in text or "\\" * (most + 1) in text:
        return None
    if most == 2:
        text = text.replace("\\\\", "\\")
    for escape, sign in _QUICK:
        text = text.replace(escape, sign)
    return text


class _Unescaped:
    """A text with its escapes read, however often they are escaped themselves."""

    def __init__(self, text: str) -> None:
        pieces: list[str] = []
        self._there: list[int] = [0]
        """Places in the plain text from which on it differs by another number, and here the places
        of these in the text as it came."""
        self._here: list[int] = [0]
        at = length = 0
        for found in _ESCAPE.finditer(text):
            sign = _read(found[0])
            pieces += (text[at : found.start()], sign)
            length += found.start() - at
            self._there += (length, length + len(sign))
            self._here += (found.start(), found.end())
            length += len(sign)
            at = found.end()
        pieces.append(text[at:])
        self.text = "".join(pieces)

    def place(self, at: int) -> int:
        """Where a place of the plain text is in the text as it came."""
        number = bisect_right(self._there, at) - 1
        return self._here[number] + at - self._there[number]


def _read(escape: str) -> str:
    """The sign that an escape stands for; two backslashes stand for one."""
    name = escape.lstrip("\\")
    if not name:
        return escape[: (len(escape) + 1) // 2]
    if name[0] == "u":
        return chr(int(name[1:], 16))
    return _SIGNS.get(name, name)
