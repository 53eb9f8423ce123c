"""Draws a sample of the request log: the same rows whenever it is read, and whoever reads it."""

from zlib import crc32

_ALL = 2**32
_GOLDEN = 2654435769
"""2^32 divided by the golden ratio: its multiples spread evenly, whatever the rhythm of the log."""


def is_drawn(number: int, share: float) -> bool:
    """Whether a row is in the sample that has this share of all rows."""
    return number * _GOLDEN % _ALL < share * _ALL


def is_prompt_drawn(cache_key: str, share: float) -> bool:
    """Whether a prompt is in the sample that has this share of all prompts, with each of its
    requests; requests without a prompt are not."""
    return cache_key != "" and crc32(cache_key.encode()) < share * _ALL
