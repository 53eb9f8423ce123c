"""JSON Schema as Gemini's `parametersJsonSchema` and `responseJsonSchema` take it."""

from typing import Any

_WORDS = frozenset(
    {
        "$anchor",
        "$id",
        "$ref",
        "default",
        "description",
        "enum",
        "format",
        "maxItems",
        "maximum",
        "minItems",
        "minimum",
        "propertyOrdering",
        "required",
        "title",
        "type",
    }
)
"""The words of JSON Schema that Gemini knows, beside those that hold schemas themselves."""
_HOLDERS = ("items", "additionalProperties")
_STRING_FORMATS = (None, "date", "date-time", "time")
"""Others are refused on some models."""
_GROUPS = ("anyOf", "oneOf", "prefixItems", "properties", "$defs")


def known_words(schema: Any) -> Any:
    """A JSON Schema of the words that Gemini knows: `allOf` is merged into its place, a
    constant becomes an enum of one. What is no schema is for Gemini to refuse."""
    if not isinstance(schema, dict):
        return schema
    kept: dict[str, Any] = {"enum": [schema["const"]]} if "const" in schema else {}
    members = _schemas(schema.get("allOf"))
    for member in members if isinstance(members, list) else ():
        _merge(kept, member)
    known = {word: value for word, value in schema.items() if word in _WORDS}
    if known.get("type") == "string" and known.get("format") not in _STRING_FORMATS:
        del known["format"]
    known |= {word: known_words(schema[word]) for word in _HOLDERS if word in schema}
    known |= {word: _schemas(schema[word]) for word in _GROUPS if word in schema}
    _merge(kept, known)
    return kept


def _schemas(group: Any) -> Any:
    """A list of schemas, or schemas by name."""
    if isinstance(group, list):
        return [known_words(member) for member in group]
    if isinstance(group, dict):
        return {name: known_words(member) for name, member in group.items()}
    return group


def _merge(schema: dict[str, Any], more: Any) -> None:
    for word, value in more.items() if isinstance(more, dict) else ():
        old = schema.get(word)
        if isinstance(old, list) and isinstance(value, list):
            schema[word] = [*old, *value]
        elif isinstance(old, dict) and isinstance(value, dict):
            schema[word] = {**old, **value}
        else:
            schema[word] = value
