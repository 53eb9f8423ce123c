"""Reads a stream's pieces of text at the speed of bytes: they are mostly the same chunk again, but
for the text."""

from typing import Self

from proxy.core.json_guard import decode_string, decode_strings

_CONTENT = b'"content":'
_NOISE = b'"obfuscation":"'
"""Hides a chunk's length: another text in each."""


class Alike:
    """What stands around the text of a chunk.

    A chunk that begins and ends with the same bytes, and has one JSON text in between, differs in
    that text alone: its structure is the same.
    """

    def __init__(self, before: bytes, noise_lead: bytes, after: bytes) -> None:
        """noise_lead: what stands between the text and the noise; empty where there is none."""
        self._before = before
        self._noise_lead = noise_lead
        self._after = after
        self._least = len(before) + len(after)
        self._lead = b"data: " + before
        self._end = after + b"\n\n"

    @classmethod
    def learn(cls, data: bytes, text: str) -> Self | None:
        """What stands around the content of a chunk that has been read to be nothing but `text`.
        None: it can't be said."""
        if data.count(_CONTENT) != 1 or b"\n" in data:
            return None
        start = data.index(_CONTENT) + len(_CONTENT)
        start = data.find(b'"', start)
        end = start + 1
        while (end := data.find(b'"', end)) > 0:
            end += 1
            if decode_string(data[start:end]) is not None:
                break
        lead, key, rest = data[end:].partition(_NOISE)
        _, quote, rest = rest.partition(b'"')
        found = cls(data[:start], lead + key, quote + rest) if key else cls(data[:start], b"", lead)
        return found if found.read(data) == text else None

    def read(self, data: bytes) -> str | None:
        """The text of a chunk that is otherwise the same; None: it is not."""
        if not (data.startswith(self._before) and data.endswith(self._after)):
            return None
        if len(data) < self._least:
            return None
        return decode_string(self._quiet(data[len(self._before) : len(data) - len(self._after)]))

    def read_run(self, stream: bytes) -> tuple[str, int]:
        """The text of all such chunks with which a stream goes on, and the bytes that their events
        take; none where they can't be read."""
        if not stream.startswith(self._lead):
            return "", 0
        *texts, rest = stream[len(self._lead) :].split(self._end + self._lead)
        size = len(stream) - len(self._lead) - len(rest)
        last, end, rest = rest.partition(self._end)
        if end:
            texts.append(last)
            size = len(stream) - len(rest)
        if self._noise_lead:
            texts = [self._quiet(text) for text in texts]
        read = decode_strings(texts)
        return ("".join(read), size) if read else ("", 0)

    def _quiet(self, text: bytes) -> bytes:
        """A text without its noise; empty where that may be more."""
        if not self._noise_lead:
            return text
        text, found, noise = text.rpartition(self._noise_lead)
        return text if found and (noise.isalnum() or not noise) else b""
