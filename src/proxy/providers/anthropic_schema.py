"""JSON Schema as Messages takes it for the form of an answer and of a strict tool's input: no
object may have other fields than those that the schema names."""

from typing import Any

_HOLDERS = ("items", "not")
_LISTS = ("anyOf", "oneOf", "allOf", "prefixItems")
_MAPS = ("properties", "$defs", "definitions")


def close_objects(schema: Any) -> Any:
    """The schema with `additionalProperties: false` in every object that does not say what other
    fields it has. What is no schema stays as it is, for the provider to refuse."""
    if not isinstance(schema, dict):
        return schema
    closed = dict(schema)
    for word in _HOLDERS:
        if word in closed:
            closed[word] = close_objects(closed[word])
    for word in _LISTS:
        if isinstance(members := closed.get(word), list):
            closed[word] = [close_objects(member) for member in members]
    for word in _MAPS:
        if isinstance(named := closed.get(word), dict):
            closed[word] = {name: close_objects(member) for name, member in named.items()}
    kinds = closed.get("type")
    is_object = "object" in kinds if isinstance(kinds, list) else kinds == "object"
    if (is_object or "properties" in closed) and closed.get("additionalProperties", True) is True:
        closed["additionalProperties"] = False
    return closed
