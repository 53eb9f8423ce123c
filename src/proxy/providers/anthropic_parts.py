"""Builds blocks of Messages from the parts of a message. What is large stays where it is."""

from base64 import b64decode
from typing import Any

from msgspec import Raw, Struct

from proxy.core.chat import Wire
from proxy.core.errors import invalid
from proxy.core.json_guard import Decoder, decode_string
from proxy.core.messages import NOTHING, ImageURL, Message, Part
from proxy.core.splice import Piece, find_large_texts
from proxy.providers.data_urls import DataURL, read_data_url, split_image
from proxy.providers.garbage import UNREADABLE

Block = dict[str, Any]

_MEDIA = {"image/jpg": "image/jpeg"}
"""Names of types that are in use beside the one that Messages knows."""


class _File(Struct):
    file_data: Raw = NOTHING
    file_url: str | None = None
    file_id: str | None = None
    filename: str | None = None


_FILE = Decoder(_File)


def build_blocks(message: Message, raw: Raw | None, dialect: Wire, place: str) -> list[Block]:
    """The blocks of a message, less those that hold nothing. raw: the message's own bytes, if they
    are in OpenAI's form; dialect: the caller's. Raises InvalidRequest."""
    texts = find_large_texts(message, raw)
    return [
        _mark(part, _build_block(part, texts[number], dialect, f"{place}.content[{number}]"))
        for number, part in enumerate(message.parts)
        if part.type != "text" or (part.text and not part.text.isspace())
    ]


def _mark(part: Part, block: Block) -> Block:
    if part.cache_control is not None:
        block["cache_control"] = part.cache_control
    return block


def _build_block(part: Part, large: memoryview | None, dialect: Wire, place: str) -> Block:
    """large: the JSON string of its text or URL, where that is not to be copied."""
    if part.type == "text":
        return {"type": "text", "text": part.text if large is None else Piece(large)}
    if part.type == "image_url" and part.image_url:
        return {"type": "image", "source": _build_image(part.image_url, large)}
    if part.type == "file" and part.file is not NOTHING:
        return _build_file(part.file, dialect, f"{place}.file")
    raise invalid(place, f"The Messages API takes no part of type {part.type!r}.")


def _build_image(image: ImageURL, url: memoryview | None) -> Block:
    found = split_image(image, url)
    if found is None:
        return {"type": "url", "url": image.url}
    kind, data = found
    return {"type": "base64", "media_type": _MEDIA.get(kind, kind), "data": data}


def _build_file(raw: Raw, dialect: Wire, place: str) -> Block:
    try:
        file = _FILE.decode(raw)
    except UNREADABLE as error:
        raise invalid(place, f"{error}.") from error
    if data := read_data_url(memoryview(file.file_data)):
        kind = data.media_type.lower()
        if kind.startswith("image/"):
            source = {"media_type": _MEDIA.get(kind, kind), "data": Piece(b'"', data.digits)}
            return {"type": "image", "source": {"type": "base64", **source}}
        source = _build_source(kind, data, f"{place}.file_data")
    elif file.file_url:
        source = {"type": "url", "url": file.file_url}
    elif file.file_id and dialect == "messages":
        source = {"type": "file", "file_id": file.file_id}
    else:
        reason = "Expected file_data, a base64 data URL of a PDF, a text or an image, or a file_url"
        raise invalid(place, f"{reason}.")
    return {"type": "document", "source": source} | (
        {"title": file.filename} if file.filename else {}
    )


def _build_source(kind: str, data: DataURL, place: str) -> Block:
    """The source of a document. Messages takes texts as they are, and of other kinds only PDF."""
    if kind == "application/pdf":
        return {"type": "base64", "media_type": kind, "data": Piece(b'"', data.digits)}
    try:
        if kind.startswith("text/"):
            digits = decode_string(b'"' + data.digits.tobytes()) or ""
            text = b64decode(digits, validate=True).decode()
            return {"type": "text", "media_type": "text/plain", "data": text}
        reason = f"The Messages API takes no file of type {kind}"
    except ValueError as error:  # no base64, no UTF-8
        reason = str(error)
    raise invalid(place, f"{reason}.")
