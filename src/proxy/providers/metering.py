"""What an answer used that goes to its caller as it came: read from what has gone by, by the names
that each API has for it, in bounds."""

import re
from typing import Any

import msgspec
from msgspec import Raw, Struct

from proxy.core.chat import Usage
from proxy.core.json_guard import Decoder
from proxy.core.loose_json import as_object, as_text
from proxy.core.splice import NULL, begins
from proxy.providers.anthropic_answer import read_usage as read_messages_usage
from proxy.providers.garbage import UNREADABLE
from proxy.providers.gemini_answer import read_usage as read_gemini_usage
from proxy.providers.responses_answer import read_report as read_responses_report
from proxy.providers.target import Target
from proxy.providers.usage import read_object, read_usage

WHOLE = 128 * 1024
"""Bytes of an answer that is read whole; of a longer one only its end."""
END = 64 * 1024
_LINE = 1024 * 1024
"""Bytes of a line of a stream; a longer one is passed over."""
_REPORTS = re.compile(rb'"usage(?:Metadata)?"[ \r\n\t]*:[ \r\n\t]*(?=\{)')
"""Where a report begins. In a string of JSON the quotes would have a backslash before them."""

_TEXTS = re.compile(
    rb'"(?:content|text|reasoning|reasoning_content|thinking|arguments|partial_json)"'
    rb' ?: ?"((?:[^"\\]++|\\.)*+)"'
)
"""What a model has written, in an event of chat completions, of Messages or of Gemini,"""
_DELTAS = re.compile(rb'"delta" ?: ?"((?:[^"\\]++|\\.)*+)"')
"""or of Responses, whose other events say it again."""
_RESPONSES = re.compile(rb'"type" ?: ?"response\.')


class _Inner(Struct):
    usage: Raw = NULL
    model: Any = None


class _Piece(Struct, rename={"usage_metadata": "usageMetadata", "model_version": "modelVersion"}):
    """An answer, or an event of one: chat completions and what is like them, Messages (`message`),
    Responses (`response`), Groq (`x_groq`), Gemini."""

    usage: Raw = NULL
    model: Any = None
    usage_metadata: Raw = NULL
    model_version: Any = None
    message: Raw = NULL
    response: Raw = NULL
    x_groq: Raw = NULL


_PIECE = Decoder(_Piece, float_hook=float)
_INNER = Decoder(_Inner, float_hook=float)


class Gauge:
    """Reads the usage of one answer as it goes by. streamed: it is one of server-sent events."""

    def __init__(self, *, streamed: bool) -> None:
        self._streamed = streamed
        self._kept = bytearray()
        self._size = 0
        self._skips = False
        """Whether the line is too long that is under way."""
        self._report: dict[str, Any] = {}
        self.model: str | None = None
        """The model as the answer names it."""
        self.written = 0
        """Bytes of what the model of a streamed answer has written, as JSON has them."""

    def feed(self, piece: bytes) -> None:
        """Takes what has gone by."""
        self._size += len(piece)
        self._kept += piece
        if self._streamed:
            self._read_lines()
        elif len(self._kept) > WHOLE:
            del self._kept[:-END]

    def read(self, target: Target) -> Usage | None:
        """The usage once all has gone by; None where none is reported that is to be believed."""
        if self._streamed:
            self._read_line(bytes(self._kept))
        elif self._size <= WHOLE:
            self._take(bytes(self._kept))
        else:
            self._find_last()
        self._kept.clear()
        return read_report(target, self._report) if self._report else None

    def _read_lines(self) -> None:
        end = self._kept.rfind(b"\n")
        if end >= 0:
            lines = bytes(self._kept[: end + 1])
            del self._kept[: end + 1]
            for line in lines.splitlines():
                if not self._skips:
                    self._read_line(line)
                self._skips = False
        if len(self._kept) > _LINE:
            self._kept.clear()
            self._skips = True

    def _read_line(self, line: bytes) -> None:
        if not line.startswith(b"data:"):
            return
        is_responses = b'"response.' in line and _RESPONSES.search(line)  # the search costs more
        texts = _DELTAS if is_responses else _TEXTS
        self.written += sum(map(len, texts.findall(line)))
        if _REPORTS.search(line):
            self._take(line[5:])

    def _take(self, text: bytes) -> None:
        try:
            piece = _PIECE.decode(text)
        except UNREADABLE:
            return
        for raw in (piece.x_groq, piece.message, piece.response):
            if begins(raw, b"{"):
                inner = _INNER.decode(raw)
                self._add(inner.usage, inner.model)
        self._add(piece.usage, piece.model)
        self._add(piece.usage_metadata, piece.model_version)

    def _add(self, report: Raw, model: Any) -> None:
        """Adds a report to those before it: a later one may leave out what has been said."""
        fields = read_object(report)
        self._report |= {name: value for name, value in fields.items() if value is not None}
        self.model = as_text(model) or self.model

    def _find_last(self) -> None:
        """Reads the last report of an answer whose beginning is not kept."""
        text = bytes(self._kept)
        found = [match.end() for match in _REPORTS.finditer(text)]
        for begin in reversed(found):
            end = text.find(b"}", begin)
            while 0 <= end < begin + 4096:
                if fields := read_object(Raw(text[begin : end + 1])):
                    self._report = fields
                    return
                end = text.find(b"}", end + 1)


def read_report(target: Target, fields: dict[str, Any]) -> Usage | None:
    """The usage that a report means, whichever API it is from."""
    report = Raw(msgspec.json.encode(fields))
    if "promptTokenCount" in fields or "totalTokenCount" in fields:
        return read_gemini_usage(target, report)
    if "cache_read_input_tokens" in fields or "cache_creation_input_tokens" in fields:
        return read_messages_usage(target, as_object(fields))
    if "input_tokens" in fields:
        return read_responses_report(target, report).usage
    return read_usage(target, report).usage
