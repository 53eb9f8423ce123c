"""Data URLs in a body, read where they stand: what they hold may be large."""

import re
from typing import NamedTuple

from proxy.core.messages import ImageURL
from proxy.core.splice import Piece

_HEAD = re.compile(
    rb'"data:([\w.+/\\-]{1,200})(?:;[\w-]{1,100}=[^;,"\\]{0,200}){0,9};base64,', re.IGNORECASE
)
"""As JSON, where `/` may be `\\/`, with what parameters the type has."""


_DATA, _BASE64 = "data:", ";base64,"


class DataURL(NamedTuple):
    """A base64 data URL."""

    media_type: str
    digits: memoryview
    """The base64, up to and with the quote that ends the JSON string."""


def split_image(image: ImageURL, large: memoryview | None) -> tuple[str, str | Piece] | None:
    """The media type of an image and its base64; None: it is not there by value. large: the JSON
    string of its URL, where that is not to be copied."""
    end = image.url.find(_BASE64)
    if end < 0 or not image.url.startswith(_DATA):
        return None
    begin = end + len(_BASE64)
    data = image.url[begin:] if large is None else Piece(b'"', large[1 + begin :])
    return image.url[len(_DATA) : end].partition(";")[0], data


def read_data_url(text: memoryview) -> DataURL | None:
    """The data URL that a JSON string holds; None: it holds none in base64."""
    head = _HEAD.match(text)
    if head is None:
        return None
    return DataURL(head[1].replace(b"\\", b"").decode(), text[head.end() :])
