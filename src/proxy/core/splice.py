"""JSON that is put together from pieces of other JSON, which stay where they are.

A body may be as large as an isolate's memory allows: a copy of it, and the encoder's own buffer
that is half as large again, would be too much beside the body that the pieces lie in.
"""

import re
from collections.abc import Sequence
from typing import Any

import msgspec
from msgspec import Raw, Struct

from proxy.core.json_guard import Text, decode_string
from proxy.core.messages import Message, Part
from proxy.core.ports import Body

SMALL = 64 * 1024
"""Bytes that the encoder may copy."""
_SHORT = 16 * 1024
"""Bytes of a body that is searched faster than its fields are walked through."""
_MARK = b"\x00"
"""Stands for a piece while the rest is encoded: JSON holds no such byte."""

LEAD = re.compile(rb'\s*[{,]\s*("(?:[^"\\]|\\.)*+")\s*:\s*', re.DOTALL)
"""What stands before a field's value, and its name."""

_encode = msgspec.json.Encoder().encode
FIELDS = msgspec.json.Decoder(dict[str, Raw])
ITEMS = msgspec.json.Decoder(tuple[Raw, ...])
NULL, TRUE = Raw(b"null"), Raw(b"true")


class Piece:
    """JSON text in parts, which stays where it is until it is put into place."""

    def __init__(self, *parts: Text) -> None:
        self.parts = parts


def repeats_a_name(body: bytes, fields: dict[str, Raw]) -> bool:
    """Whether an object of JSON has a field twice, of which one reader takes the first and another
    the last. fields: as they were read of it."""
    # A name that stands there with and without an escape has one of these.
    is_plain = len(body) <= _SHORT and not (b"\\u" in body or b"\\/" in body)
    if is_plain and all(body.count(b'"%b"' % name.encode()) == 1 for name in fields):
        return False
    at = 0
    for name, raw in fields.items():
        lead, value = LEAD.match(body, at), memoryview(raw)
        is_next = lead and decode_string(lead[1]) == name and body.startswith(value, lead.end())
        if not (lead and is_next):
            return True
        at = lead.end() + len(value)
    return bool(fields) and body[at:].strip() != b"}"


def as_raw(value: object) -> Raw:
    """The JSON of a value, which is encoded no more."""
    return Raw(_encode(value))


def begins(raw: Raw, sign: bytes) -> bool:
    """Whether a JSON text begins with a sign: `{`, `[` or a quote."""
    return memoryview(raw)[:1] == sign


def wrap(raw: Raw) -> Raw | Piece:
    """`raw`, as it is best encoded."""
    return raw if len(memoryview(raw)) <= SMALL else Piece(raw)


def encode_fields(fields: dict[str, Any]) -> Body:
    """The JSON of an object, of which what is large stays where it is."""
    large = {
        name: Piece(value)
        for name, value in fields.items()
        if isinstance(value, Raw) and len(memoryview(value)) > SMALL
    }
    return encode(fields | large if large else fields)


def encode(value: object) -> Body:
    """The JSON of a value that may hold Pieces: in parts, if it does."""
    try:
        return _encode(value)
    except TypeError:  # it holds some
        return _encode_in_parts(value)


def _encode_in_parts(value: object) -> Body:
    pieces: list[Piece] = []

    def mark(found: Piece) -> Raw:
        pieces.append(found)
        return Raw(_MARK)

    skeleton = msgspec.json.encode(value, enc_hook=mark)
    between = skeleton.split(_MARK)
    if len(between) != len(pieces) + 1:  # a text that the caller sent holds the byte
        return msgspec.json.encode(value, enc_hook=lambda found: Raw(b"".join(found.parts)))
    parts: list[Text] = [between[0]]
    for found, after in zip(pieces, between[1:], strict=True):
        parts += (*found.parts, after)
    return tuple(parts)


class _Image(Struct):
    url: Raw = Raw()


class _Part(Struct):
    text: Raw = Raw()
    image_url: _Image | None = None


class _Content(Struct):
    content: Raw


_CONTENT = msgspec.json.Decoder(_Content)
_PARTS = msgspec.json.Decoder(tuple[_Part, ...])


def find_large_texts(message: Message, raw: Raw | None) -> Sequence[memoryview | None]:
    """For each part of a message the JSON string of its text or of its image's URL, where it is
    large and, of a URL, spelled without an escape. raw: the message's own bytes."""
    parts = message.parts
    if not (parts and message.content) or raw is None or len(memoryview(raw)) <= SMALL:
        return [None] * len(parts)
    content = _CONTENT.decode(raw).content
    if isinstance(message.content, str):
        return [memoryview(content)] * len(parts)
    raw_parts = _PARTS.decode(content)
    return [_large_text(part, raws) for part, raws in zip(parts, raw_parts, strict=True)]


def join_texts(message: Message, raw: Raw | None) -> str | Piece:
    """The texts of a message's parts, a line between them. raw: the message's own bytes."""
    parts, texts = message.parts, find_large_texts(message, raw)
    if not any(texts):
        return "\n".join(part.text or "" for part in parts)
    pieces: list[Text] = []
    for part, text in zip(parts, texts, strict=True):
        quoted = memoryview(msgspec.json.encode(part.text or "") if text is None else text)
        pieces += (b"\\n" if pieces else b'"', quoted[1:-1])
    return Piece(*pieces, b'"')


def _large_text(part: Part, raws: _Part) -> memoryview | None:
    url = part.image_url.url if part.image_url else None
    text = memoryview(raws.text if raws.image_url is None else raws.image_url.url)
    escaped = url is not None and len(text) != len(url) + 2
    return None if escaped or len(text) <= SMALL else text
