"""Content codings (RFC 9110, 8.4): bodies that come compressed.

Promise: no more than `limit` bytes are ever inflated, whatever a body claims to hold.
"""

import zlib
from collections.abc import Callable
from typing import Literal

from proxy.core.errors import InvalidRequest, PayloadTooLarge, UnsupportedMediaType

Coding = Literal["gzip", "deflate", "br"]
Unbrotli = Callable[[bytes, int], bytes]
"""Decodes Brotli up to so many bytes. Raises PayloadTooLarge beyond, ValueError for no Brotli."""

WITHOUT = frozenset({"gzip", "br"})
"""The codings that the platform takes off an answer which a Worker reads or pipes; a body in any
other comes and goes as it is. Compressing it again is the platform's too."""
_ALIASES: dict[str, Coding] = {"gzip": "gzip", "x-gzip": "gzip", "deflate": "deflate", "br": "br"}
_GZIP, _ZLIB, _RAW = 31, 15, -15
"""What zlib calls the formats."""
_STEP = 64 * 1024


def find_coding(header: str, *, brotli: bool) -> Coding | None:
    """The coding that a Content-Encoding header names, None for none. brotli: whether that can be
    decoded here. Raises UnsupportedMediaType for any other, and for several at once."""
    names = [name.strip().lower() for name in header.split(",")]
    codings = [name for name in names if name not in ("", "identity")]
    if not codings:
        return None
    coding = _ALIASES.get(codings[0])
    if len(codings) > 1 or coding is None or (coding == "br" and not brotli):
        taken = "gzip, deflate, br" if brotli else "gzip, deflate"
        raise UnsupportedMediaType(
            f"The content-encoding {header[:100]!r} is not taken; one of {taken} is, or none.",
            param="content-encoding",
        )
    return coding


def decode(coding: Coding, body: bytes, limit: int, unbrotli: Unbrotli | None) -> bytes:
    """The body without its coding. Raises PayloadTooLarge beyond `limit` bytes, InvalidRequest for
    a body that is broken or not coded so."""
    try:
        if coding == "br":
            assert unbrotli  # else coding_of refuses it
            return unbrotli(body, limit)
        if coding == "gzip":
            return _inflate(body, limit, _GZIP)
        # RFC 9110 means zlib's format; some clients send the bare deflate stream.
        zlibs = body[:1] and body[0] & 0x0F == 8 and int.from_bytes(body[:2], "big") % 31 == 0
        return _inflate(body, limit, _ZLIB if zlibs else _RAW)
    except (zlib.error, ValueError) as error:
        raise InvalidRequest(
            f"The body can't be decoded as {coding}, which its content-encoding names: {error}.",
            param="content-encoding",
        ) from error


def too_large(limit: int) -> PayloadTooLarge:
    """The error for a body of over `limit` bytes."""
    return PayloadTooLarge(f"The body is over {limit} bytes (MAX_BODY_BYTES).")


def _inflate(body: bytes, limit: int, form: int) -> bytes:
    """All members of a gzip body, the single stream of another."""
    pieces: list[bytes] = []
    size = 0
    inflater = zlib.decompressobj(form)
    for start in range(0, len(body), _STEP):
        data = body[start : start + _STEP]
        while data:
            if inflater.eof:
                if form != _GZIP:
                    raise ValueError("something follows its end")
                inflater = zlib.decompressobj(form)
            piece = inflater.decompress(data, min(_STEP, limit + 1 - size))
            data = inflater.unused_data if inflater.eof else inflater.unconsumed_tail
            size += len(piece)
            if size > limit:
                raise too_large(limit)
            pieces.append(piece)
    pieces.append(inflater.flush())  # of a single match at most
    if not inflater.eof:
        raise ValueError("it ends too early")
    if size + len(pieces[-1]) > limit:
        raise too_large(limit)
    return b"".join(pieces)
