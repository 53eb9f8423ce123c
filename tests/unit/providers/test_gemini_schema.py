"""Which words of a JSON Schema go on to Gemini, and what becomes of the others."""

from typing import Any

import pytest

from proxy.providers.gemini_schema import known_words


@pytest.mark.parametrize(
    ("schema", "told"),
    [
        (
            {
                "$schema": "https://json-schema.org/draft/2020-12/schema",
                "type": "object",
                "strict": True,
                "properties": {
                    "const": {"type": "string", "pattern": "^a", "format": "date"},
                    "kind": {"const": "cat"},
                    "any": True,
                },
                "required": ["const"],
                "additionalProperties": False,
                "examples": [{}],
            },
            {
                "type": "object",
                "properties": {
                    "const": {"type": "string", "format": "date"},
                    "kind": {"enum": ["cat"]},
                    "any": True,
                },
                "required": ["const"],
                "additionalProperties": False,
            },
        ),
        (
            {
                "$ref": "#/$defs/A",
                "$defs": {"A": {"items": {"$comment": "x", "type": "integer"}}},
                "default": {"$schema": "kept, since it is no schema"},
            },
            {
                "$ref": "#/$defs/A",
                "$defs": {"A": {"items": {"type": "integer"}}},
                "default": {"$schema": "kept, since it is no schema"},
            },
        ),
        (
            {
                "allOf": [
                    {"properties": {"a": {"type": "string"}}, "required": ["a"]},
                    {"properties": {"b": {"not": {}}}, "title": "x"},
                    "?",
                ],
                "required": ["b"],
                "title": "y",
            },
            {
                "properties": {"a": {"type": "string"}, "b": {}},
                "required": ["a", "b"],
                "title": "y",
            },
        ),
        (
            {"anyOf": [{"uniqueItems": True}, {"type": "null"}], "prefixItems": [{"$id": "x"}]},
            {"anyOf": [{}, {"type": "null"}], "prefixItems": [{"$id": "x"}]},
        ),
        ({"type": "string", "format": "uri"}, {"type": "string"}),
        ({"type": "integer", "format": "int32"}, {"type": "integer", "format": "int32"}),
        ({"properties": 1, "anyOf": "x", "allOf": 2}, {"properties": 1, "anyOf": "x"}),
    ],
)
def test_the_words_that_gemini_knows(schema: Any, told: Any) -> None:
    assert known_words(schema) == told
