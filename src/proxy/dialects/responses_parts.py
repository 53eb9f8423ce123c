"""The content of items of OpenAI's Responses as parts of messages."""

import msgspec
from msgspec import Raw, Struct

from proxy.core.errors import invalid
from proxy.core.messages import NOTHING, ImageURL, Part
from proxy.core.splice import ITEMS, NULL, begins
from proxy.dialects import reading
from proxy.dialects.messages import check_image

_TEXTS = ("input_text", "output_text", "text")
_FILE_FIELDS = ("file_data", "file_url", "file_id", "filename")


class _Part(Struct, frozen=True):
    """A part of any type."""

    type: str
    text: str | None = None
    refusal: str | None = None
    image_url: str | None = None
    file_id: str | None = None
    detail: str | None = None
    input_audio: Raw = NOTHING


class _File(Struct, frozen=True):
    """The fields of a file, unread: they may be large."""

    file_data: Raw = NOTHING
    file_url: Raw = NOTHING
    file_id: Raw = NOTHING
    filename: Raw = NOTHING


_CONTENT = msgspec.json.Decoder(str | tuple[_Part, ...])
_FILE = msgspec.json.Decoder(_File)


class PartReader:
    """Reads the contents of one request."""

    def __init__(self) -> None:
        self.native_only = ""
        """As in ChatRequest."""
        self._image_bytes = 0

    def read(self, content: Raw, path: str) -> str | tuple[Part, ...]:
        """The content of a message, or the output of a tool. Raises InvalidRequest."""
        given = reading.decode(_CONTENT, content, path)
        if isinstance(given, str):
            return given
        parts = tuple(
            self._read(part, content, index, f"{path}[{index}]") for index, part in enumerate(given)
        )
        alone = parts[0] if len(parts) == 1 else None
        if alone and alone.type == "text" and alone.text is not None:
            return alone.text
        return parts

    def _read(self, part: _Part, content: Raw, index: int, path: str) -> Part:
        """content, index: where the part's own bytes are."""
        if part.type in _TEXTS:
            if part.text is None:
                raise invalid(f"{path}.text", "Missing")
            return Part("text", part.text)
        if part.type == "refusal":
            if part.refusal is None:
                raise invalid(f"{path}.refusal", "Missing")
            return Part("text", part.refusal)
        if part.type == "input_image":
            return self._read_image(part, path)
        if part.type == "input_file":
            return Part("file", file=_read_file(ITEMS.decode(content)[index], path))
        if part.type == "input_audio" and part.input_audio:
            return Part("input_audio", input_audio=part.input_audio)
        self._bind(
            f"{path}.type: only a provider of OpenAI's Responses can take {part.type[:40]!r}"
        )
        return Part(part.type, file=ITEMS.decode(content)[index])

    def _read_image(self, part: _Part, path: str) -> Part:
        if part.image_url is None:
            if part.file_id is None:
                raise invalid(f"{path}.image_url", "Missing")
            self._bind(f"{path}.file_id: only OpenAI has the file; send the image itself")
            return Part(part.type, file=Raw(msgspec.json.encode({"file_id": part.file_id})))
        at = f"{path}.image_url"
        self._image_bytes = check_image(part.image_url, at, self._image_bytes)
        return Part("image_url", image_url=ImageURL(part.image_url, part.detail))

    def _bind(self, why: str) -> None:
        self.native_only = self.native_only or why


def _read_file(raw: Raw, path: str) -> Raw:
    """A file in the form of core.messages.Part, its data copied once."""
    file = reading.decode(_FILE, raw, path)
    given = [(name, getattr(file, name)) for name in _FILE_FIELDS]
    texts = [(name, value) for name, value in given if value and value != NULL]
    for name, value in texts:
        if not begins(value, b'"'):
            raise invalid(f"{path}.{name}", "Expected str")
    if not any(name != "filename" for name, _ in texts):
        raise invalid(f"{path}.file_data", "Missing; or give file_url or file_id")
    pieces: list[bytes | Raw] = []
    for name, value in texts:
        pieces += (b"," if pieces else b"{", f'"{name}":'.encode(), value)
    return Raw(b"".join((*pieces, b"}")))
