"""What the cache holds: an answer with all that is to be known of it, its bytes, and how it is
streamed again.

The bytes: `APC`, the version of the form, a flag, CRC-32 of what follows and of the flag, then
msgpack, deflated unless it is short. Nothing is inflated or decoded whose checksum is wrong, that
is, which was not written here. Every tier holds these same bytes.
"""

import math
import re
import zlib
from collections.abc import Iterator
from functools import partial

import msgspec
from msgspec import Struct, structs

from proxy.core.chat import Answer, Chunk, Cost, Form
from proxy.core.ports import ANSWER_BYTES

FORM = 1
"""Counts the changes of the form: entries of another one are not read but made anew."""
LARGEST = ANSWER_BYTES
"""Bytes of an entry, inflated: as many as the proxy takes of a provider's answer."""

_MAGIC = b"APC" + bytes([FORM])
_PLAIN, _DEFLATED = b"\x00", b"\x01"
_FLAG, _CHECKSUM, _BODY = slice(4, 5), slice(5, 9), 9
_SHORT = 1024
"""Bytes that are not worth deflating."""
_LEVEL = 4

PIECES = 8
"""The chunks that a text is streamed in, at the most: enough for a caller to see it come, and
a hit on a long answer still takes a few writes, each of which crosses into JavaScript."""
_SHORTEST = 40
"""Characters of a piece, the last one aside."""
_WORD_END = re.compile(r"(?<=\s)(?=\S)")
# Between two characters of which neither joins the other: no marks, joiners or flags.
_BETWEEN = re.compile(
    "(?<![\u200d\U0001f1e6-\U0001f1ff])(?![\u0300-\u036f\u200d\ufe00-\ufe0f\U0001f3fb-\U0001f3ff])"
)


class ForeignEntry(ValueError):
    """The bytes are no entry of this form: corrupt, cut off, or of another version."""


class Unstorable(ValueError):
    """The entry can't be written: too large, or with numbers beyond 64 bits."""


class CacheEntry(Struct, frozen=True, kw_only=True):
    """An answer, where it came from, and how long it may be used. Times in seconds."""

    answer: Answer
    """Without `raw`: every dialect renders it anew."""
    provider: str
    model: str
    """The catalogue's name of the model that answered."""
    cost: Cost = Cost(None)
    """What the original cost, which is what a hit saves."""
    born: float
    """When the request began that this answers: a purge concerns what was born before it."""
    stored: float
    """When it was stored: its age counts from here."""
    ttl: int
    grace: int = 0
    """How long it may still answer after `ttl`, when every provider fails."""
    user: str | None = None
    """The label of the user, for a purge by user."""

    @property
    def fresh_until(self) -> float:
        """The moment from which on it is stale."""
        return self.stored + self.ttl

    @property
    def gone_after(self) -> float:
        """The moment from which on it is not to be used at all."""
        return self.fresh_until + self.grace

    def age(self, now: float) -> int:
        """Whole seconds since it was stored; 0 where the clock has stepped back."""
        return max(0, math.floor(now - self.stored))

    def remaining(self, now: float) -> int:
        """Whole seconds that it stays fresh, rounded down: below 0 once it is stale."""
        return min(self.ttl, math.floor(self.fresh_until - now))


_pack = msgspec.msgpack.Encoder().encode
_unpack = msgspec.msgpack.Decoder(CacheEntry).decode


def encode(entry: CacheEntry) -> bytes:
    """The entry as bytes, less the answer's `raw`. Raises Unstorable."""
    try:
        body = _pack(structs.replace(entry, answer=structs.replace(entry.answer, raw=None)))
    except (OverflowError, UnicodeEncodeError) as error:
        raise Unstorable(str(error)) from error
    if len(body) > LARGEST:
        raise Unstorable(f"{len(body)} bytes are too large for an entry")
    flag = _PLAIN
    if len(body) > _SHORT:
        flag, body = _DEFLATED, zlib.compress(body, _LEVEL, wbits=-zlib.MAX_WBITS)
    return b"".join((_MAGIC, flag, _checksum(flag, body), body))


def decode(data: bytes) -> CacheEntry:
    """The entry that was encoded. Raises ForeignEntry, and nothing else, for other bytes."""
    flag, checksum, body = data[_FLAG], data[_CHECKSUM], memoryview(data)[_BODY:]
    if not data.startswith(_MAGIC) or len(data) > LARGEST + _BODY:
        raise ForeignEntry(f"no entry of form {FORM}")
    if checksum != _checksum(flag, body):
        raise ForeignEntry("its checksum is wrong")
    try:
        return _unpack(_inflated(body) if flag == _DEFLATED else body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError, zlib.error) as error:
        raise ForeignEntry(str(error)) from error


def _checksum(flag: bytes, body: bytes | memoryview) -> bytes:
    return zlib.crc32(body, zlib.crc32(flag)).to_bytes(4, "big")


def _inflated(body: memoryview) -> bytes:
    inflater = zlib.decompressobj(-zlib.MAX_WBITS)
    inflated = inflater.decompress(body, LARGEST + 1)
    if len(inflated) > LARGEST or not inflater.eof or inflater.unused_data:
        raise ForeignEntry(f"it inflates to over {LARGEST} bytes, or not to its end")
    return inflated


def replay(answer: Answer) -> Iterator[Chunk]:
    """The chunks by which the answer is streamed again; a Collector makes the same of them.

    Texts come in up to PIECES pieces, each call of a tool whole and in a chunk of its own, and
    with logprobs the text is one piece, so that they stand beside what they are about.
    """
    chunk = partial(Chunk, id=answer.id, model=answer.model)
    text, logprobs, form = answer.text or "", answer.logprobs, answer.form
    if form:
        yield chunk(form=_head(form))
    for piece in _pieces(answer.reasoning or ""):
        yield chunk(reasoning=piece)
    for piece in _pieces(text) if logprobs is None else filter(None, [text]):
        yield chunk(text=piece, logprobs=logprobs)
    if answer.refusal:
        yield chunk(refusal=answer.refusal)
    for index, call in enumerate(answer.tool_calls):
        yield chunk(tool_calls=(call.as_delta(index),))
    yield chunk(
        extra=answer.extra,
        logprobs=None if text else logprobs,
        finish_reason=answer.finish_reason,
        usage=answer.usage,
        form=form and structs.replace(form, inline=""),
    )


def _head(form: Form) -> Form:
    """What of the form must be known from the beginning: what stands in every chunk, the
    reasoning's place. All else comes with the last chunk."""
    return Form(completion=form.constant, reasoning=form.reasoning, inline=form.inline)


def _pieces(text: str) -> Iterator[str]:
    """The text in pieces of about one size, cut between words where there are any."""
    size = max(_SHORTEST, math.ceil(len(text) / PIECES))
    start = 0
    while len(text) - start > size:
        least = start + size
        cut = _WORD_END.search(text, least, least + size) or _BETWEEN.search(text, least)
        end = cut.start() if cut else len(text)
        yield text[start:end]
        start = end
    if start < len(text):
        yield text[start:]
