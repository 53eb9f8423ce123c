"""Masks what is found in a JSON text: each value by a placeholder, the same by the same."""

import re
from bisect import bisect_right
from collections.abc import Callable
from contextlib import suppress
from itertools import accumulate

from msgspec import Struct

from proxy.privacy.findings import (
    MOST_FOUND,
    PIECE,
    Detector,
    Finding,
    Steps,
    TooMuchFound,
    finish,
    is_sealed,
    unescape,
)
from proxy.privacy.scanning import Scanner, Token

PLACEHOLDER = re.compile(r"\[[A-Z][A-Z0-9_]{0,40}_\d{1,9}\]")
_SIGN = r"(?:[A-Z0-9_]|\\{1,64}+u00(?:3[0-9]|4[1-9a-fA-F]|5[0-9aAfF]))"
_SPELLED = re.compile(
    rf"(?:\[|(?<!\\)\\{{1,64}}+u005[bB]){_SIGN}{{3,52}}+(?:\]|\\{{1,64}}+u005[dD])"
)
"""A placeholder, or what is spelled like one by escapes."""
_TOKEN = 64
"""What a string or a number costs beside its characters."""
_QUOTE = re.compile(r'\\++"')
_BEFORE_NUMBER = re.compile(r"[:\[,]\s{0,20}\Z")
_WHOLE = re.compile(r"-?(\d+)(?:\.0+)?")
"""A whole number of JSON, also as those write it who know no whole numbers."""
_CARDS = 1e19
"""Beyond all numbers of cards."""
_AFTER_NUMBER = re.compile(r"\s{0,20}[,}\]]")


class Sighting(Struct, frozen=True):
    """What was found, and the field that holds it."""

    kind: str
    field: str


class _Edit(Struct, frozen=True, order=True):
    start: int
    end: int
    text: str


class Placeholders:
    """The placeholders of one request, by kind and value, and what they stand for."""

    def __init__(self) -> None:
        self.values: dict[str, str] = {}
        self.counts: dict[str, int] = {}
        """How many different values there are of each kind."""
        self._known: dict[tuple[str, str], str] = {}
        self._taken: frozenset[str] | None = None
        self._numbers: dict[str, int] = {}

    def put(self, finding: Finding, read_all: Callable[[], str]) -> str:
        """The placeholder of what was found. read_all: the whole text, whose own placeholders mean
        nothing and are left alone. Raises TooMuchFound."""
        key = finding.kind, finding.value
        if (known := self._known.get(key)) is None:
            if self._taken is None:
                self._taken = _find_placeholders(read_all())
            kind = finding.kind.upper()
            number = self._numbers.get(kind, 0) + 1
            while f"[{kind}_{number}]" in self._taken:
                number += 1
            self._numbers[kind] = number
            self.counts[finding.kind] = self.counts.get(finding.kind, 0) + 1
            known = self._known[key] = f"[{kind}_{number}]"
            self.values[known] = finding.value
        return known


class Masking:
    """Goes through one JSON text, and gathers what to change in it."""

    def __init__(
        self,
        text: str,
        detector: Detector,
        placeholders: Placeholders,
        *,
        drops_sealed: bool = False,
    ) -> None:
        """drops_sealed: whether images and files are left out, in which nothing can be found."""
        self._text = text
        self._detector = detector
        self._placeholders = placeholders
        self._drops_sealed = drops_sealed
        self._edits: list[_Edit] = []
        self._run: list[Token] = []
        """Texts of parts that follow one another."""
        self._first_edit = 0
        """The first change that may lie in the run."""
        self._place: tuple[object, int] | None = None
        self._run_field = ""
        self.sightings: list[Sighting] = []
        self.has_tokens = False
        """Whether it holds a prompt as numbers of tokens, in which nothing can be found."""

    def run(self) -> str:
        """The text with all that is found masked. Raises TooMuchFound."""
        return finish(self.steps())

    def steps(self) -> Steps[str]:
        """The same, with pauses."""
        scanner, looked = Scanner(self._text), 0
        for token in scanner.tokens():
            looked += len(token.text) + _TOKEN
            if looked > PIECE:
                looked = 0
                yield
            if not token.is_string:
                self._take_number(token, scanner)
                continue
            yield from self._follow(token, scanner)
            if findings := (yield from self._detector.look(token.text)):
                self._take(token, findings, scanner)
            elif self._drops_sealed and is_sealed(token.text):
                self._edits.append(_Edit(token.start, token.end, f"[{len(token.text)} CHARACTERS]"))
        yield from self._end_run()
        return self._rewrite()

    def _take_number(self, token: Token, scanner: Scanner) -> None:
        self.has_tokens = self.has_tokens or scanner.is_in_token_list
        if self._detector.is_blank(number := _read_whole(token.text)):
            return
        for finding in self._detector.find(number):
            if finding.end - finding.start == len(number):
                self._sight(finding, scanner.path)
                self._edits.append(_Edit(token.start, token.end, f'"{self._put(finding)}"'))

    def _take(self, token: Token, findings: list[Finding], scanner: Scanner) -> None:
        for finding in findings:
            self._sight(finding, scanner.path)
            placeholder = self._put(finding)
            if _is_number(token.text, finding):
                quote = _QUOTE.search(token.text)
                sign = quote[0] if quote else '\\"'
                placeholder = f"{sign}{placeholder}{sign}"
            start = token.start
            self._edits.append(_Edit(start + finding.start, start + finding.end, placeholder))

    def _put(self, finding: Finding) -> str:
        return self._placeholders.put(finding, lambda: self._text)

    def _sight(self, finding: Finding, field: str) -> None:
        self.sightings.append(Sighting(finding.kind, field))
        if len(self.sightings) > MOST_FOUND:
            raise TooMuchFound

    def _follow(self, token: Token, scanner: Scanner) -> Steps[None]:
        """Joins a part's text to the one before, or begins anew."""
        place = None if token.is_name else scanner.part
        if place is None:
            return
        if self._place != (place[0], place[1] - 1):
            yield from self._end_run()
        if not self._run:
            self._first_edit = len(self._edits)
        if is_sealed(token.text):
            return
        self._place = place
        self._run_field = scanner.path
        self._run.append(token)

    def _end_run(self) -> Steps[None]:
        """Looks for what stands in several parts: its placeholder is in the first of them."""
        run, self._run = self._run, []
        if len(run) < 2:
            return
        known = sorted(self._edits[self._first_edit :])
        starts = [edit.start for edit in known]
        begins = [0, *accumulate(len(token.text) for token in run)]
        findings = yield from self._detector.look("".join(token.text for token in run))
        for finding in findings:
            pieces = _place_in(run, begins, finding)
            at = bisect_right(starts, pieces[-1][1] - 1) if pieces else 0
            if len(pieces) < 2 or (at and known[at - 1].end > pieces[0][0]):
                continue
            self._sight(finding, self._run_field)
            texts = [self._put(finding)] + [""] * len(pieces)
            self._edits += [_Edit(*piece, text) for piece, text in zip(pieces, texts, strict=False)]

    def _rewrite(self) -> str:
        if not self._edits:
            return self._text
        pieces: list[str] = []
        at = 0
        for edit in sorted(self._edits):
            pieces += (self._text[at : edit.start], edit.text)
            at = edit.end
        return "".join(pieces) + self._text[at:]


def _read_whole(number: str) -> str:
    """The digits of a whole number of JSON; any other number as it stands."""
    if "e" in number.lower():
        with suppress(ValueError):
            value = float(number)
            number = f"{value:.0f}" if abs(value) < _CARDS and value.is_integer() else number
    whole = _WHOLE.fullmatch(number)
    return whole[1] if whole else number


def _find_placeholders(text: str) -> frozenset[str]:
    """The placeholders that a text holds already. Raises TooMuchFound."""
    taken = set[str]()
    # No other escape spells a sign of one, and a copy of the text would be memory.
    for found in (_SPELLED if "\\u" in text else PLACEHOLDER).finditer(text):
        taken.add(unescape(found[0]))
        if len(taken) > MOST_FOUND:
            raise TooMuchFound
    return frozenset(taken)


def _is_number(text: str, finding: Finding) -> bool:
    """Whether a finding is a number of JSON that stands in a string."""
    number = text[finding.start : finding.end]
    if not (number.isascii() and number.isdigit() and text.lstrip()[:1] in ("{", "[")):
        return False
    before = text[max(0, finding.start - 24) : finding.start]
    return bool(_BEFORE_NUMBER.search(before) and _AFTER_NUMBER.match(text, finding.end))


def _place_in(run: list[Token], begins: list[int], finding: Finding) -> list[tuple[int, int]]:
    """Where a finding of joined texts stands in the whole text, by part. begins: of each text."""
    pieces: list[tuple[int, int]] = []
    for number in range(bisect_right(begins, finding.start) - 1, len(run)):
        token, at = run[number], begins[number]
        if at >= finding.end:
            break
        start, end = max(finding.start - at, 0), min(finding.end - at, len(token.text))
        if start < end:
            pieces.append((token.start + start, token.start + end))
    return pieces
