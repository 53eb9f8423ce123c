"""What the cache holds: an answer with all that is to be known of it, as bytes.

The bytes: `APC`, the version of the form, a flag, CRC-32 of what follows and of the flag, then
msgpack, deflated unless it is short. Nothing is inflated or decoded whose checksum is wrong, that
is, which was not written here. Every tier holds these same bytes.
"""

import math
import zlib
from functools import cached_property

import msgspec
from msgspec import Struct, structs

from proxy.core.chat import Answer, Cost
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


class ForeignEntry(ValueError):
    """The bytes are no entry of this form: corrupt, cut off, or of another version."""


class Unstorable(ValueError):
    """The entry can't be written: too large, or with numbers beyond 64 bits."""


class CacheEntry(Struct, frozen=True, kw_only=True, dict=True):
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

    @cached_property
    def data(self) -> bytes:
        """Its bytes, less the answer's `raw`: once for all that they go to. Raises Unstorable."""
        return _encode(self)

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
    """The entry as bytes, see CacheEntry.data. Raises Unstorable."""
    return entry.data


def _encode(entry: CacheEntry) -> bytes:
    answer = entry.answer
    if answer.raw is not None:
        entry = structs.replace(entry, answer=structs.replace(answer, raw=None))
    try:
        body = _pack(entry)
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
