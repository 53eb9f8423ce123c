"""Data URLs in a body, read where they stand: what they hold may be large."""

import re
from typing import NamedTuple

_HEAD = re.compile(
    rb'"data:([\w.+/\\-]{1,200})(?:;[\w-]{1,100}=[^;,"\\]{0,200}){0,9};base64,', re.IGNORECASE
)
"""As JSON, where `/` may be `\\/`, with what parameters the type has."""


class DataURL(NamedTuple):
    """A base64 data URL."""

    media_type: str
    digits: memoryview
    """The base64, up to and with the quote that ends the JSON string."""


def read_data_url(text: memoryview) -> DataURL | None:
    """The data URL that a JSON string holds; None: it holds none in base64."""
    head = _HEAD.match(text)
    if head is None:
        return None
    return DataURL(head[1].replace(b"\\", b"").decode(), text[head.end() :])
