"""What is found in one text, also where its signs are spelled by JSON's escapes."""

import asyncio
import json
import re
from collections.abc import Generator, Iterable, Iterator
from io import BytesIO
from itertools import chain
from typing import TypeAlias, TypeVar

from msgspec import Struct

from proxy.core.own_patterns import OwnPattern
from proxy.privacy.kinds import KINDS, Finder, make_finder

T = TypeVar("T")
Steps: TypeAlias = Generator[None, None, T]
"""Work that pauses after each PIECE of it, so that others may have a turn, and then its result."""

PIECE = 64 * 1024
"""Characters that are looked at without a pause."""
TURN = 0.000_001
"""Seconds of a pause: one of none would give nobody a turn (platform.loop)."""
MOST_FOUND = 10_000
"""Findings in a body. Each takes some hundred bytes while it is masked."""
_SHORTEST = 5
"""Characters of the shortest text in which anything built in stands."""
_SHORTEST_OTHER = 13
"""The same of all but addresses."""
_ESCAPES = 10_000
"""Escapes that are read without a pause."""
_SEALED = re.compile(r"(?:data:[^,\s]{0,200},|aep1\.)?[A-Za-z0-9+/_-]{256,}+={0,2}\s{0,2}")
"""An image, a file, a provider's own state: base64, in which a match means nothing."""
_ESCAPE = re.compile(r'\\++(?:u[0-9a-fA-F]{4}|[nrtbf"/])?')
_SIGNS = {"n": "\n", "r": "\r", "t": "\t", "b": "\b", "f": "\f"}
_QUICK = (*((f"\\{name}", sign) for name, sign in _SIGNS.items()), ('\\"', '"'), ("\\/", "/"))


class TooMuchFound(ValueError):
    """A body holds more than MOST_FOUND of what is looked for."""


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
        self._finders: list[tuple[str, Finder]] = [
            *((pattern.name.lower(), make_finder(pattern.text)) for pattern in own),
            *((kind, each) for kind, all_ in KINDS.items() if kind in kinds for each in all_),
        ]
        self._short = [pair for pair in self._finders if pair[0] == "email"]
        """Those of what a text may hold that is shorter than all others."""
        self._has_own = bool(own)

    def find(self, text: str) -> list[Finding]:
        """What stands in a text, in order; of what overlaps the longest. Raises TooMuchFound."""
        return [] if self.is_blank(text) else finish(self.look(text))

    def look(self, text: str) -> Steps[list[Finding]]:
        """The same, with pauses."""
        if self.is_blank(text):
            return []
        if "\\" not in text:
            spans = yield from self._spans(text)
            return [Finding(start, end, kind, text[start:end]) for start, end, kind in spans]
        quick = _read_quickly(text)
        if quick is not None and self.is_blank(quick):
            return []
        if quick is not None and "\\u" in text:  # it says whether, not where
            if not (yield from self._spans(quick)):
                return []
            quick = None
        plain = (yield from _unescape(text)) if quick is None else quick
        if not (spans := (yield from self._spans(plain))):
            return []
        wanted = chain.from_iterable((start, end) for start, end, _ in spans)
        places = iter((yield from _find_places(text, wanted)))
        return [
            Finding(next(places), next(places), kind, plain[start:end])
            for start, end, kind in spans
        ]

    def is_blank(self, text: str) -> bool:
        """Whether a text is too short to hold anything, or sealed."""
        if not self._has_own and len(text) < _SHORTEST_OTHER:
            if len(text) < _SHORTEST:
                return True
            return "@" not in text and "%40" not in text and "\\" not in text
        return is_sealed(text)

    def _spans(self, text: str) -> Steps[list[tuple[int, int, str]]]:
        spans: list[tuple[int, int, str]] = []
        is_short = len(text) < _SHORTEST_OTHER and not self._has_own
        for kind, finder in self._short if is_short else self._finders:
            at = 0
            while at < len(text):
                begin, at = at, at + PIECE
                for start, end in finder(text, begin, at):
                    spans.append((start, end, kind))
                    if len(spans) > MOST_FOUND:
                        raise TooMuchFound
                    at = max(at, end)
                if at < len(text):
                    yield
        if len(spans) > 1:
            spans.sort(key=lambda span: span[0] - span[1])
            spans = sorted(_without_overlaps(spans))
        return spans


def finish(steps: Steps[T]) -> T:
    """The result of work that is done without its pauses."""
    while True:
        try:
            next(steps)
        except StopIteration as end:
            result: T = end.value
            return result


async def take_turns(steps: Steps[T]) -> T:
    """The result of work in whose pauses the isolate's other requests have their turn."""
    while True:
        try:
            next(steps)
        except StopIteration as end:
            result: T = end.value
            return result
        await asyncio.sleep(TURN)


def unescape(text: str) -> str:
    """A text with its escapes read, however often they are escaped themselves."""
    return finish(_unescape(text))


def _unescape(text: str) -> Steps[str]:
    plain, at = BytesIO(), 0  # a list of all pieces would be many times the text
    for number, found in enumerate(_ESCAPE.finditer(text), 1):
        if number % _ESCAPES == 0:
            yield
        piece = text[at : found.start()] + _read(found[0])
        plain.write(piece.encode(errors="surrogatepass"))
        at = found.end()
    plain.write(text[at:].encode(errors="surrogatepass"))
    return plain.getvalue().decode(errors="surrogatepass")


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


def _find_places(text: str, wanted: Iterable[int]) -> Steps[list[int]]:
    """Where places of the text with its escapes read are in the text as it came. wanted: in order.
    Nothing is kept of the escapes, of which a text may hold millions."""
    escapes = ((f.start(), f.end(), len(_read(f[0]))) for f in _ESCAPE.finditer(text))
    last = 2 * len(text) + 1, 0, 1  # beyond all that is wanted
    begin, end, size = next(escapes, last)
    here = there = number = 0
    places: list[int] = []
    for at in wanted:
        while at >= there + begin - here + size:
            here, there = end, there + begin - here + size
            begin, end, size = next(escapes, last)
            number += 1
            if number % _ESCAPES == 0:
                yield
        places.append(here + at - there)
    return places


def _read(escape: str) -> str:
    """The sign that an escape stands for; two backslashes stand for one."""
    name = escape.lstrip("\\")
    if not name:
        return escape[: (len(escape) + 1) // 2]
    if name[0] == "u":
        return chr(int(name[1:], 16))
    return _SIGNS.get(name, name)
