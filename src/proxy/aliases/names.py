"""The spellings of an alias's name in a request's `model`.

Cloudflare's dynamic routes are `dynamic/NAME`, OpenRouter's presets `@preset/NAME` and, with a
model of the request's own, `MODEL@preset/NAME`.
"""

from fnmatch import fnmatchcase

from msgspec import Struct

PREFIXES = ("custom/", "dynamic/", "@preset/")
_PRESET = "@preset/"


class Spelling(Struct, frozen=True):
    """What a request's `model` says of aliases."""

    alias: str
    """The name that an alias may have."""
    model: str = ""
    """The model that the request names beside it."""
    is_certain: bool = False
    """Whether nothing but an alias can be meant."""


def read_spelling(model: str) -> Spelling | None:
    """Reads a name; None: it can be no alias's."""
    for prefix in PREFIXES:
        if model.startswith(prefix):
            return Spelling(model.removeprefix(prefix), is_certain=True)
    named, found, alias = model.partition(_PRESET)
    if found:
        return Spelling(alias, named, is_certain=True)
    return None if "/" in model else Spelling(model)


def names_alias(patterns: tuple[str, ...], name: str) -> bool:
    """Whether a key's list of models names an alias, by any of its spellings."""
    spellings = (name, *(prefix + name for prefix in PREFIXES))
    return any(fnmatchcase(spelled, p) for p in patterns for spelled in spellings)
