"""An image's width and height by the first bytes of its `data:` URL."""

from binascii import Error, a2b_base64

_HEADER = 4 * 24 * 1024
"""Characters of base64 in which a JPEG's size is looked for; a camera's come late."""
_FRAMES = frozenset(range(0xFFC0, 0xFFD0)) - {0xFFC4, 0xFFC8, 0xFFCC}
"""The segments of a JPEG that begin with its size."""


def read_image_size(url: str) -> tuple[int, int] | None:
    """Width and height; None where the URL is no `data:` URL or its first bytes don't say."""
    comma = url.find(",", 0, 200)
    if comma < 0 or not url.startswith("data:image/"):
        return None
    begin = url[comma + 1 : comma + 41]
    try:
        head = a2b_base64(begin)
        if head.startswith(b"\xff\xd8"):
            piece = url[comma + 1 : comma + 1 + _HEADER]
            head = a2b_base64(piece[: len(piece) // 4 * 4])
    except (Error, ValueError):
        return None
    width, height = _read_size(head)
    return (width, height) if width and height else None


def _read_size(head: bytes) -> tuple[int, int]:
    """Width and height in an image's first bytes (30, more of a JPEG); 0 where they aren't."""
    if head.startswith(b"\x89PNG"):
        return _big(head[16:20]), _big(head[20:24])
    if head.startswith(b"GIF8"):
        return _little(head[6:8]), _little(head[8:10])
    if head[:4] == b"RIFF" and head[8:12] == b"WEBP":
        return _read_webp(head)
    return _read_jpeg(head) if head.startswith(b"\xff\xd8") else (0, 0)


def _read_webp(head: bytes) -> tuple[int, int]:
    match head[12:16]:
        case b"VP8X":
            return 1 + _little(head[24:27]), 1 + _little(head[27:30])
        case b"VP8L":
            bits = _little(head[21:25])
            return 1 + (bits & 0x3FFF), 1 + (bits >> 14 & 0x3FFF)
        case b"VP8 ":
            return _little(head[26:28]) & 0x3FFF, _little(head[28:30]) & 0x3FFF
        case _:
            return 0, 0


def _read_jpeg(head: bytes) -> tuple[int, int]:
    """Goes from segment to segment until one that begins a frame; none has many before it."""
    at = 2
    for _ in range(100):
        kind = _big(head[at : at + 2])
        if kind in _FRAMES:
            return _big(head[at + 7 : at + 9]), _big(head[at + 5 : at + 7])
        at += 2 + _big(head[at + 2 : at + 4])
    return 0, 0


def _big(data: bytes) -> int:
    return int.from_bytes(data, "big")


def _little(data: bytes) -> int:
    return int.from_bytes(data, "little")
