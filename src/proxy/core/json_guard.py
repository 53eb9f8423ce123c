"""Decodes JSON that comes from outside, if it is safe to: the only way to it.

Under Pyodide a decoder that recurses some 3,000 levels deep overruns WebAssembly's stack: that
kills the isolate and can't be caught, though CPython itself would raise RecursionError. And
20 MB of empty lists become some hundred MB of objects. So text that comes from outside
(bodies, answers, and JSON that is carried in strings) is looked at first, at the speed of
`bytes` and a piece at a time, as a copy of a body would be memory too.
"""

import json
from collections.abc import Callable
from typing import Any, Generic, TypeAlias, TypeVar

import msgspec

T = TypeVar("T")
Text: TypeAlias = bytes | memoryview | msgspec.Raw

MAX_DEPTH = 64
"""Levels of nesting; no API that is spoken here needs as many."""
MAX_VALUES = 500_000
"""Values, keys counted: above the 300,000 tokens that OpenAI takes in an embedding request."""

_PIECE = 256 * 1024
_SHAPE = b'[]{},"'
_REST = bytes(set(range(256)) - set(_SHAPE))
_AS_SQUARE = bytes.maketrans(b"{}", b"[]")


class Unsafe(msgspec.DecodeError):
    """The text is not to be decoded; the message says why."""


class Decoder(Generic[T]):
    """Decodes what `excess` lets pass. `float_hook` is msgspec's."""

    def __init__(self, kind: type[T], float_hook: Callable[[str], object] | None = None) -> None:
        self._decoder = msgspec.json.Decoder(kind, float_hook=float_hook)

    def decode(self, text: Text, max_values: int = MAX_VALUES) -> T:
        """The value. Raises Unsafe, and what msgspec raises: its DecodeError, UnicodeDecodeError
        for text that is no UTF-8, RecursionError."""
        if reason := find_excess(text, max_values):
            raise Unsafe(f"{reason[0].upper()}{reason[1:]}")
        return self._decoder.decode(text)


_STRING = msgspec.json.Decoder(str)
_STRINGS = msgspec.json.Decoder(list[str])


def decode_string(text: bytes) -> str | None:
    """The value of JSON that is one string, None for any other: a string holds no values, so that
    nothing has to be looked at before."""
    try:
        return _STRING.decode(text)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return None


def decode_strings(texts: list[bytes]) -> list[str] | None:
    """The values of JSON texts each of which is one string, None where any is not. No string holds
    a line break, so none reaches from one text into the next."""
    try:
        values = _STRINGS.decode(b"[" + b",\n".join(texts) + b"]")
    except (msgspec.DecodeError, UnicodeDecodeError):
        return None
    return values if len(values) == len(texts) else None


def spell(text: str) -> bytes:
    """A regular expression of the JSON string of an ASCII word, however it is escaped. A quote
    within a string is escaped itself, so no text holds a match."""
    signs = (f"(?:{sign}|\\\\u00{_spell_hex(f'{ord(sign):x}')})" for sign in text)
    return f'"{"".join(signs)}"'.encode()


def _spell_hex(digits: str) -> str:
    return "".join(f"[{d}{d.upper()}]" if d.isalpha() else d for d in digits)


def is_json(text: bytes) -> bool:
    """Whether a lenient reader takes it: lone surrogates and NaN are more than msgspec does."""
    try:
        decode_leniently(text)
    except (ValueError, RecursionError):
        return False
    return True


def decode_leniently(
    text: bytes, make_object: Callable[[list[tuple[str, Any]]], object] | None = None
) -> Any:
    """The value of JSON that may hold lone surrogates and NaN. make_object: makes each object of
    its fields. Raises ValueError, RecursionError."""
    if reason := find_excess(text):
        raise ValueError(reason)
    return json.loads(text, parse_int=_number, object_pairs_hook=make_object)


class Pairs(list[tuple[str, Any]]):
    """The fields of an object in their order, those of one name all."""


READ_FOR_NAMES = 256 * 1024
"""Bytes of a text that is read for names that stand twice: to read it takes its size twice over."""


def may_repeat_a_name(text: bytes) -> bool:
    """Whether an object in it has a name twice, of which one reader takes the first and another the
    last; True as well for what is too large to be read for that, or can't be read."""
    if len(text) > READ_FOR_NAMES:
        return True
    try:
        decode_leniently(text, _refuse_repeats)
    except (ValueError, RecursionError):
        return True
    return False


def _refuse_repeats(pairs: list[tuple[str, Any]]) -> None:
    if len({name for name, _ in pairs}) < len(pairs):
        raise ValueError("a name stands there twice")


def _number(digits: str) -> int | float:
    """An integer, infinite where it has more digits than CPython reads."""
    try:
        return int(digits)
    except ValueError:
        return float(digits)


def find_excess(text: Text, max_values: int = MAX_VALUES) -> str | None:
    """Why `text` is not to be decoded, None if it may be. Text that is not JSON may pass: it
    is at most twice MAX_DEPTH deep wherever a decoder could get."""
    if (
        isinstance(text, bytes)
        and len(text) <= max_values
        and text.count(b"[") + text.count(b"{") <= MAX_DEPTH
    ):
        return None  # as most are
    view = memoryview(text)
    brackets = commas = 0
    for start in range(0, len(view), _PIECE):
        piece = bytes(view[start : start + _PIECE])
        brackets += piece.count(b"[") + piece.count(b"{")
        commas += piece.count(b",")
    if brackets <= MAX_DEPTH and commas < max_values:
        return None
    values, left = _outside(view, max_values)
    if values > max_values:
        return f"it holds more than {max_values} values"
    for _ in range(MAX_DEPTH):  # each round takes the innermost level away
        left = left.replace(b"[]", b"")
    if b"[]" in left or left.count(b"[") > MAX_DEPTH:
        return f"it is nested deeper than {MAX_DEPTH} levels"
    return None


def count_values(text: Text) -> int:
    """How many values `text` holds, about; at most MAX_VALUES + 1."""
    return min(_outside(memoryview(text), MAX_VALUES)[0], MAX_VALUES + 1)


def _outside(view: memoryview, max_values: int) -> tuple[int, bytes]:
    """How many values there are, and the brackets outside of strings, all as square ones. It
    stops where there are more than `max_values`."""
    kept: list[bytes] = []
    quotes = values = start = 0
    while start < len(view):
        piece = bytes(view[start : start + _PIECE])
        if (len(piece) - len(piece.rstrip(b"\\"))) % 2:  # an escape is not cut in two
            piece = bytes(view[start : start + len(piece) + 1])
        start += len(piece)
        # Without escapes every other quote ends a string, so every other piece lies outside.
        unescaped = piece.replace(b"\\\\", b"").replace(b'\\"', b"")
        strings = unescaped.translate(_AS_SQUARE, _REST).split(b'"')
        outside = b"".join(strings[quotes % 2 :: 2])
        quotes += len(strings) - 1
        values += outside.count(b"[") + outside.count(b",")
        values = max(values, quotes // 2 if quotes > 2 * max_values else 0)
        if values > max_values:
            break
        kept.append(outside.replace(b",", b""))
    return values, b"".join(kept)
