"""How many tokens a request will use, told before it is asked for and without a tokenizer.

What is estimated is reserved; what was used replaces it. So it has to be cheap rather than right:
no provider counts as another does, and some put prompts of their own before the caller's. How far
off it is on recorded exchanges is what tests/unit/limits/test_estimate.py says.
"""

from binascii import Error, a2b_base64
from typing import Any

import msgspec

from proxy.core.chat import ChatRequest, EmbeddingRequest, ImageURL, Message, Tool

# Hundredths of a token:
_ASCII = 24
"""A character of English or of code."""
_DENSE = 40
"""A character of ASCII with hardly a space: base64, digits, minified JSON."""
_BEYOND = 38
"""A byte of UTF-8 more than the character: with it a CJK character is one token, a Cyrillic or
Arabic one more than half."""
_WORDS = 12
"""A text with fewer spaces than one in so many characters is dense,"""
_SHORT = 200
"""unless it is shorter than this."""

_SIGNATURE = 12
"""A character of what a provider wants back as it was: Gemini's thought signatures."""

# Tokens:
_REQUEST = 9
_MESSAGE = 4
_CALL = 12
_TOOLS = 90
"""What comes with the first tool: the providers' instructions for calling tools."""
_TOOL = 25
_SCHEMA = 10
_PART = 1000
"""A part that is neither text nor image: a recording, a file."""

_THUMBNAIL = 85
_TILE = 170
_TYPICAL_IMAGE = _THUMBNAIL + 4 * _TILE
"""An image whose size is not known: one of 1024 x 1024."""
_HEADER = 4 * 24 * 1024
"""Characters of base64 in which an image's size is looked for; a camera's come late."""

_FRAMES = frozenset(range(0xFFC0, 0xFFD0)) - {0xFFC4, 0xFFC8, 0xFFCC}
"""The segments of a JPEG that begin with its size."""

_TYPICAL_OUTPUT = 1000
_REASONING_OUTPUT = {"low": 2000, "medium": 4000, "high": 12_000, "xhigh": 24_000, "max": 24_000}
"""Reasoning included, by effort; the efforts that are missing hardly reason."""


def input_tokens(chat: ChatRequest) -> int:
    """Tokens of the prompt: messages, tools, the answer's schema and images. At least 1."""
    tokens = _REQUEST * 100 + sum(map(_message, chat.messages))
    if chat.tools:
        tokens += _TOOLS * 100 + sum(map(_tool, chat.tools))
    if chat.response_format and chat.response_format.json_schema:
        tokens += _SCHEMA * 100 + _json(chat.response_format.json_schema)
    return -(-tokens // 100)


def output_tokens(chat: ChatRequest, max_output: int | None) -> int:
    """Tokens of the answer, reasoning included: as many as the caller allows, else as is typical.

    max_output: the most that the model can give; None: not known.
    """
    tokens = chat.max_tokens
    if tokens is None:
        tokens = _REASONING_OUTPUT.get(chat.reasoning_effort or "", _TYPICAL_OUTPUT)
    return tokens if max_output is None else min(tokens, max_output)


def embedding_tokens(ask: EmbeddingRequest) -> int:
    """Tokens to embed; those of token lists are counted, not estimated."""
    return sum(
        -(-_text(entry) // 100) if isinstance(entry, str) else len(entry) for entry in ask.input
    )


def _text(text: str | None) -> int:
    """Hundredths of tokens. Takes one pass at the speed of memory."""
    if not text:
        return 0
    length = len(text)
    if text.isascii():
        dense = length >= _SHORT and text.count(" ") * _WORDS < length
        return length * (_DENSE if dense else _ASCII)
    beyond = len(text.encode("utf-8", "surrogatepass")) - length
    return length * _ASCII + beyond * _BEYOND


def _json(value: object) -> int:
    """Hundredths of tokens of what providers get as JSON."""
    return len(msgspec.json.encode(value)) * _ASCII


def _message(message: Message) -> int:
    tokens = _MESSAGE * 100 + _text(message.name) + _text(message.reasoning_content)
    if isinstance(message.content, str):
        tokens += _text(message.content)
    else:
        for part in message.content or ():
            if part.image_url:
                tokens += _image(part.image_url) * 100
            else:
                tokens += _text(part.text) if part.type == "text" else _PART * 100
    for call in message.tool_calls or ():
        tokens += _CALL * 100 + _text(call.function.name) + _text(call.function.arguments)
        tokens += _signature(call.extra_content)
    return tokens + _signature(message.extra_content)


def _signature(extra: dict[str, Any] | None) -> int:
    return len(msgspec.json.encode(extra)) * _SIGNATURE if extra else 0


def _tool(tool: Tool) -> int:
    return _TOOL * 100 + (_json(tool.function) if tool.function else 0)


def _image(image: ImageURL) -> int:
    """Tokens by OpenAI's rule: one scaled to 768 pixels is cut into tiles of 512."""
    if image.detail == "low":
        return _THUMBNAIL
    size = _pixels(image.url)
    if size is None:
        return _TYPICAL_IMAGE
    width, height = size
    scale = min(1.0, 2048 / max(size), 768 / min(size))
    tiles = -(-width * scale // 512) * -(-height * scale // 512)
    return _THUMBNAIL + _TILE * int(tiles)


def _pixels(url: str) -> tuple[int, int] | None:
    """Width and height as a `data:` URL's first bytes tell; None where they don't."""
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
    width, height = _size(head)
    return (width, height) if width and height else None


def _size(head: bytes) -> tuple[int, int]:
    """Width and height in an image's first bytes (30, more of a JPEG); 0 where they aren't."""
    if head.startswith(b"\x89PNG"):
        return _number(head[16:20]), _number(head[20:24])
    if head.startswith(b"GIF8"):
        return _little(head[6:8]), _little(head[8:10])
    if head[:4] == b"RIFF" and head[8:12] == b"WEBP":
        return _webp(head)
    return _jpeg(head) if head.startswith(b"\xff\xd8") else (0, 0)


def _webp(head: bytes) -> tuple[int, int]:
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


def _jpeg(head: bytes) -> tuple[int, int]:
    """Goes from segment to segment until one that begins a frame; none has many before it."""
    at = 2
    for _ in range(100):
        kind = _number(head[at : at + 2])
        if kind in _FRAMES:
            return _number(head[at + 7 : at + 9]), _number(head[at + 5 : at + 7])
        at += 2 + _number(head[at + 2 : at + 4])
    return 0, 0


def _number(data: bytes) -> int:
    return int.from_bytes(data, "big")


def _little(data: bytes) -> int:
    return int.from_bytes(data, "little")
