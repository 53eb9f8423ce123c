"""By which name a request says to which conversation it belongs."""

import json
from typing import Any

import pytest
from msgspec import structs

from proxy.core.errors import InvalidRequest
from proxy.dialects import native
from proxy.dialects.session import find_session
from tests.unit.dialects.making_openai import parse


def found(headers: dict[str, str], **body: Any) -> str:
    return find_session(headers, parse(**body))


def found_in_messages(headers: dict[str, str], session: str, **body: Any) -> str:
    """With what Messages has found in the user's name."""
    call = parse(**body)
    chat = structs.replace(call.chat, dialect="messages")
    return find_session(headers, structs.replace(call, chat=chat, session=session))


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


def test_what_stands_in_the_users_name_is_before_the_prompt_cache_key() -> None:
    assert found_in_messages({}, "s", prompt_cache_key="d") == "s"
    assert found_in_messages({"session-id": "h"}, "s") == "h"


@pytest.mark.parametrize("name", ["", " ", "a b", "x" * 129, "größe", 'a"\n'])
def test_what_is_no_name(name: str) -> None:
    assert found({"x-session-id": name, "session-id": "next"}) == "next"
    assert found({}, prompt_cache_key=name) == ""


@pytest.mark.parametrize("value", [1, ["a"], {"a": 1}, "a\nb", "x" * 257])
def test_a_field_that_is_no_name(value: Any) -> None:
    with pytest.raises(InvalidRequest, match=r"^session_id: "):
        found({}, session_id=value)
    with pytest.raises(InvalidRequest, match=r"^sessionId: "):
        native.parse_chat(json.dumps({"prompt": "hi", "sessionId": value}).encode())
    assert found({}, session_id=None) == ""
    assert found({}, prompt_cache_key=value) == ""


def test_the_native_field() -> None:
    call = native.parse_chat(b'{"prompt": "hi", "sessionId": "a"}')
    assert find_session({"session-id": "b"}, call) == "a"


def test_the_field_is_the_proxys_own() -> None:
    call = parse(session_id="a", other=1)
    assert call.chat.body is None
    assert set(call.chat.extra) == {"other"}
