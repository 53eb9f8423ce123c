"""JSON Schema as Gemini's `parametersJsonSchema` and `responseJsonSchema` take it."""

import sys
from copy import copy
from typing import Any
from urllib.parse import unquote

import msgspec

_WORDS = frozenset({
    "default", "description", "enum", "format", "maxItems", "maximum", "minItems", "minimum",
    "propertyOrdering", "required", "title", "type",
})  # fmt: skip
"""The words of JSON Schema that Gemini knows, beside those that hold schemas themselves."""
_HOLDERS = ("items", "additionalProperties")
_STRING_FORMATS = (None, "date", "date-time", "time")
"""Others are refused on some models."""
_GROUPS = ("anyOf", "oneOf", "prefixItems", "properties")
MOST = 10_000
"""Schemas within one, each reference counted with all that it stands for."""
MOST_DEEP = 100
"""Levels of schemas, each reference one more."""
MOST_BYTES = 1_000_000
"""What stands in the place of all references together, as JSON."""


class SchemaError(ValueError):
    """A schema that Gemini can't be sent; the message says what in it."""


def keep_known_words(schema: Any) -> Any:
    """A JSON Schema of the words that Gemini knows: `allOf` is merged into its place, a constant
    becomes an enum of one, and what a `$ref` points to stands in its place, since Gemini takes no
    other word beside one and no `definitions`. What is no schema is for Gemini to refuse.

    Raises SchemaError for a reference to nowhere or to what it is part of, and for references
    that would make the schema too large or too deep.
    """
    return _Reader(schema).read(schema, ())


class _Reader:
    """Reads one schema; `root` is what its references point into."""

    def __init__(self, root: Any) -> None:
        self._root = root
        self._left = MOST
        self._room = MOST_BYTES
        self._depth = 0

    def read(self, schema: Any, within: tuple[str, ...]) -> Any:
        """within: the references that led here."""
        if not isinstance(schema, dict):
            return schema
        self._left -= 1
        if self._left < 0:
            raise SchemaError(f"with its references it has more than {MOST} parts")
        self._depth += 1
        if self._depth > MOST_DEEP:
            raise SchemaError(f"with its references it is nested over {MOST_DEEP} deep")
        kept: dict[str, Any] = {"enum": [schema["const"]]} if "const" in schema else {}
        if isinstance(reference := schema.get("$ref"), str):
            if reference in within:
                raise SchemaError(f"{reference[:100]} refers to itself; Gemini takes no recursion")
            _merge(kept, self.read(self._find(reference), (*within, reference)))
        members = self._read_group(schema.get("allOf"), within)
        for member in members if isinstance(members, list) else ():
            _merge(kept, member)
        known = {word: value for word, value in schema.items() if word in _WORDS}
        if known.get("type") == "string" and known.get("format") not in _STRING_FORMATS:
            del known["format"]
        known |= {w: self.read(schema[w], within) for w in _HOLDERS if w in schema}
        known |= {w: self._read_group(schema[w], within) for w in _GROUPS if w in schema}
        _merge(kept, known)
        self._depth -= 1
        return kept

    def _read_group(self, group: Any, within: tuple[str, ...]) -> Any:
        """A list of schemas, or schemas by name."""
        if isinstance(group, list):
            return [self.read(member, within) for member in group]
        if isinstance(group, dict):
            return {name: self.read(member, within) for name, member in group.items()}
        return group

    def _find(self, reference: str) -> Any:
        """What a reference within the schema points to: a JSON Pointer in a fragment (RFC 6901,
        section 6)."""
        found = self._root
        address, _, pointer = reference.partition("#")
        steps = unquote(pointer).split("/")
        if address or steps[0]:
            raise SchemaError(f"{reference[:100]} is no reference into the schema itself")
        for step in steps[1:]:
            name = step.replace("~1", "/").replace("~0", "~")
            if isinstance(found, dict) and name in found:
                found = found[name]
            elif isinstance(found, list) and (place := _read_index(name)) < len(found):
                found = found[place]
            else:
                raise SchemaError(f"{reference[:100]} points to nothing")
        self._room -= len(msgspec.json.encode(found))
        if self._room < 0:
            raise SchemaError(f"its references stand for more than {MOST_BYTES} bytes")
        return found


def _read_index(name: str) -> int:
    """The place in a list that a step of a pointer names; beyond any list where it names none."""
    return int(name) if name.isdecimal() and len(name) < 10 else sys.maxsize


def _merge(schema: dict[str, Any], more: Any) -> None:
    for word, value in more.items() if isinstance(more, dict) else ():
        old = schema.get(word)
        if isinstance(old, list) and isinstance(value, list):
            old += value
        elif isinstance(old, dict) and isinstance(value, dict):
            old |= value
        else:
            schema[word] = copy(value)
