"""Images of each format as `data:` URLs, as far as their heads."""

from base64 import b64encode
from collections.abc import Sequence


def data(head: bytes, kind: str = "png") -> str:
    return f"data:image/{kind};base64," + b64encode(head + bytes(3000)).decode()


def png(width: int, height: int) -> str:
    begin = b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR"
    return data(begin + width.to_bytes(4, "big") + height.to_bytes(4, "big"))


def jpeg(width: int, height: int, before: Sequence[int] = (16,)) -> str:
    head = b"\xff\xd8"
    for length in before:
        head += b"\xff\xe1" + length.to_bytes(2, "big") + bytes(length - 2)
    head += b"\xff\xc4\0\4\0\0\xff\xc2\0\x11\x08"
    return data(head + height.to_bytes(2, "big") + width.to_bytes(2, "big"), "jpeg")


def gif(width: int, height: int) -> str:
    return data(b"GIF89a" + width.to_bytes(2, "little") + height.to_bytes(2, "little"), "gif")


def webp(kind: bytes, rest: bytes) -> str:
    return data(b"RIFF\0\0\0\0WEBP" + kind + b"\0\0\0\0" + rest, "webp")


def webp_lossless(width: int, height: int) -> str:
    bits = (width - 1) | (height - 1) << 14
    return webp(b"VP8L", b"\x2f" + bits.to_bytes(4, "little"))


def webp_lossy(width: int, height: int) -> str:
    frame = width.to_bytes(2, "little") + height.to_bytes(2, "little")
    return webp(b"VP8 ", b"\0\0\0\x9d\x01\x2a" + frame)


def webp_extended(width: int, height: int) -> str:
    size = (width - 1).to_bytes(3, "little") + (height - 1).to_bytes(3, "little")
    return webp(b"VP8X", b"\0\0\0\0" + size)
