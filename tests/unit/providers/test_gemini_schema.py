"""Which words of a JSON Schema go on to Gemini, and what becomes of the others."""

import copy
from typing import Any

import pytest

from proxy.providers.gemini_schema import MOST, SchemaError, keep_known_words


@pytest.mark.parametrize(
    ("schema", "expected"),
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
                "items": {"type": "integer"},
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
            {"anyOf": [{}, {"type": "null"}], "prefixItems": [{}]},
        ),
        ({"type": "string", "format": "uri"}, {"type": "string"}),
        ({"type": "integer", "format": "int32"}, {"type": "integer", "format": "int32"}),
        ({"properties": 1, "anyOf": "x", "allOf": 2}, {"properties": 1, "anyOf": "x"}),
    ],
)
def test_the_words_that_gemini_knows(schema: Any, expected: Any) -> None:
    assert keep_known_words(schema) == expected


CITY = {"type": "object", "properties": {"name": {"type": "string"}}, "description": "a city"}


@pytest.mark.parametrize("group", ["$defs", "definitions"])
def test_what_a_reference_points_to_stands_in_its_place(group: str) -> None:
    schema = {
        "properties": {
            "from": {"$ref": f"#/{group}/a~1city", "description": "where from"},
            "to": {"allOf": [{"$ref": f"#/{group}/a~1city"}]},
            "like": {"$ref": "#/properties/from"},
            "$ref": {"type": "string"},
        },
        "default": {"$ref": "kept, since it is no schema"},
        group: {"a/city": CITY},
    }
    assert keep_known_words(schema) == {
        "properties": {
            "from": CITY | {"description": "where from"},
            "to": CITY,
            "like": CITY | {"description": "where from"},
            "$ref": {"type": "string"},
        },
        "default": {"$ref": "kept, since it is no schema"},
    }


def test_what_is_referred_to_twice_is_no_recursion() -> None:
    schema = {"items": {"$ref": "#/$defs/b"}, "$defs": {"a": CITY, "b": {"$ref": "#/$defs/a"}}}
    assert keep_known_words({"anyOf": [schema["items"]] * 2, **schema})["anyOf"] == [CITY, CITY]


@pytest.mark.parametrize(
    ("schema", "said"),
    [
        ({"$ref": "#"}, "refers to itself"),
        ({"properties": {"child": {"$ref": "#"}}}, "refers to itself"),
        ({"$ref": "#/$defs/a", "$defs": {"a": {"items": {"$ref": "#/$defs/a"}}}}, "itself"),
        ({"$ref": "#/$defs/nothing"}, "points to nothing"),
        ({"$ref": "#/anyOf/7", "anyOf": []}, "points to nothing"),
        ({"$ref": "https://x.test/schema.json"}, "no reference into the schema"),
        ({"$ref": "#anchor"}, "no reference into the schema"),
        ({"$ref": "#/anyOf/" + "9" * 5000, "anyOf": [{}]}, "points to nothing"),
    ],
)
def test_a_reference_that_leads_nowhere_is_named(schema: Any, said: str) -> None:
    with pytest.raises(SchemaError, match=said):
        keep_known_words(schema)


def test_references_that_multiply_are_bounded() -> None:
    laughs: dict[str, Any] = {"l0": {"type": "string"}}
    for number in range(1, 40):
        laughs[f"l{number}"] = {"anyOf": [{"$ref": f"#/$defs/l{number - 1}"}] * 10}
    with pytest.raises(SchemaError, match=str(MOST)):
        keep_known_words({"$ref": "#/$defs/l39", "$defs": laughs})


def test_references_that_nest_are_bounded() -> None:
    chain: dict[str, Any] = {f"d{n}": {"$ref": f"#/$defs/d{n + 1}"} for n in range(5000)}
    with pytest.raises(SchemaError, match="deep"):
        keep_known_words({"$ref": "#/$defs/d0", "$defs": chain | {"d5000": CITY}})


def test_what_many_references_copy_is_bounded() -> None:
    group = {"long": {"description": "x" * 100_000}}
    places: dict[str, Any] = {f"p{number}": {"$ref": "#/$defs/long"} for number in range(5000)}
    with pytest.raises(SchemaError, match="bytes"):
        keep_known_words({"properties": places, "$defs": group})


def test_reading_a_schema_leaves_it_as_it_is() -> None:
    schema = {"allOf": [{"required": ["a"]}, {"required": ["b"]}], "required": ["c"]}
    before = copy.deepcopy(schema)
    assert keep_known_words(schema) == {"required": ["a", "b", "c"]}
    assert schema == before
