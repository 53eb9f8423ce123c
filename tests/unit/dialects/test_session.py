"""By which name a request says to which conversation it belongs."""

import json
from typing import Any

import pytest
from msgspec import structs

from proxy.dialects.session import find_session
from tests.unit.dialects.making_openai import parse


def found(headers: dict[str, str], session: str = "", **body: Any) -> str:
    return find_session(headers, structs.replace(parse(**body), session=session))


NAMES = [
    ({"x-session-id": "a"}, {}, "a"),
    ({"x-claude-code-session-id": "a"}, {}, "a"),
    ({"session-id": "a"}, {}, "a"),
    ({"session_id": "a"}, {}, "a"),
    ({"thread-id": "a"}, {}, "a"),
    ({"cf-aig-session-id": "a"}, {}, "a"),
    ({}, {"session_id": "a"}, "a"),
    ({}, {"prompt_cache_key": "a"}, "a"),
    ({"x-session-id": "a", "session-id": "b"}, {"session_id": "c"}, "a"),
    ({"session-id": "b"}, {"session_id": "c", "prompt_cache_key": "d"}, "c"),
    ({"session-id": "b"}, {"prompt_cache_key": "d"}, "b"),
    ({}, {}, ""),
]


@pytest.mark.parametrize(("headers", "body", "name"), NAMES, ids=lambda v: json.dumps(v))
def test_the_nearest_name(headers: dict[str, str], body: dict[str, Any], name: str) -> None:
    assert found(headers, **body) == name


def test_what_the_dialect_has_found_stands_before_the_prompt_cache_key() -> None:
    assert found({}, "s", prompt_cache_key="d") == "s"
    assert found({"session-id": "h"}, "s") == "h"


@pytest.mark.parametrize("name", ["", " ", "a b", "x" * 129, "größe", 'a"\n'])
def test_what_is_no_name(name: str) -> None:
    assert found({"x-session-id": name, "session-id": "next"}) == "next"
    assert found({}, prompt_cache_key=name) == ""


@pytest.mark.parametrize("value", [1, None, ["a"], {"a": 1}])
def test_a_field_that_is_no_text(value: Any) -> None:
    assert found({}, session_id=value) == ""
