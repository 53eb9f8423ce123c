"""The name of a conversation, as providers get it."""

import json
from hashlib import sha256
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.core.chat import Wire
from proxy.core.ports import Body, Outgoing
from proxy.core.splice import SMALL
from proxy.providers.session import name_session
from proxy.providers.specs import Endpoint, Model, ProviderSpec
from proxy.providers.target import Target
from tests.unit.providers.replay import CATALOG

LONG = "n" * 65
DIGEST = sha256(LONG.encode()).hexdigest()


def target(wire: Wire = "chat", **fields: str) -> Target:
    spec = ProviderSpec(name="p", endpoints={wire: Endpoint()}, **fields)  # type: ignore[arg-type]
    return Target(spec, Model(provider="p", id="m"), "https://p.test", wire)


def named(session: str, wire: Wire = "chat", body: Body = b'{"a":1}', **fields: str) -> Outgoing:
    return name_session(Outgoing(url="https://p.test", body=body), target(wire, **fields), session)


def joined(body: Body | None) -> bytes:
    return b"".join(map(bytes, (body,) if isinstance(body, bytes) else body or ()))


@pytest.mark.parametrize(
    ("field", "session", "value"),
    [
        ("prompt_cache_key", "s-1", "s-1"),
        ("prompt_cache_key", LONG[1:], LONG[1:]),
        ("prompt_cache_key", LONG, DIGEST),
        ("session_id", LONG, LONG),
    ],
)
def test_it_stands_in_the_field_that_the_catalogue_names(
    field: str, session: str, value: str
) -> None:
    for wire in ("chat", "responses"):
        body = named(session, wire, session_field=field).body
        assert body == b'{"%b":"%b","a":1}' % (field.encode(), value.encode())


def test_or_in_a_header() -> None:
    outgoing = named("s-1", session_header="x-session-affinity")
    assert outgoing.headers == {"x-session-affinity": "s-1"}
    assert outgoing.body == b'{"a":1}'


@pytest.mark.parametrize(
    ("wire", "session", "fields"),
    [
        ("chat", "", {"session_field": "session_id", "session_header": "x-s"}),
        ("chat", "s-1", {}),
        ("messages", "s-1", {"session_field": "session_id"}),
        ("gemini", "s-1", {"session_field": "session_id"}),
    ],
)
def test_who_has_no_place_for_it_gets_nothing(wire: Any, session: str, fields: Any) -> None:
    before = Outgoing(url="https://p.test", body=b'{"a":1}')
    assert name_session(before, target(wire, **fields), session) is before


@pytest.mark.parametrize("field", ["prompt_cache_key", "session_id"])
def test_what_the_caller_says_itself_stays(field: str) -> None:
    own = b'{"a": 1, "%b": "mine"}' % field.encode()
    assert named("s-1", body=own, session_field=field).body == own
    parts = (b'{"a":', memoryview(b'"%b"' % (b"x" * SMALL)), b',"%b":"mine"}' % field.encode())
    assert named("s-1", body=parts, session_field=field).body == parts


def test_a_session_that_came_as_the_prompts_cache_key_is_named_once() -> None:
    own = b'{"prompt_cache_key":"s-1"}'
    assert named("s-1", body=own, session_field="session_id").body == own


OBJECTS = st.dictionaries(st.text(max_size=3), st.text(), min_size=1)
SPACE = st.text(" \t\r\n", max_size=3).map(str.encode)


@given(OBJECTS, SPACE, st.sampled_from([0, SMALL]), st.text(st.characters(min_codepoint=33,
       max_codepoint=126), min_size=1, max_size=64))  # fmt: skip
def test_no_other_byte_changes(
    fields: dict[str, str], space: bytes, size: int, session: str
) -> None:
    body = space + json.dumps(fields | {"long": "x" * size}).encode() + space
    changed = joined(named(session, body=body, session_field="session_id").body)
    begin = b'"session_id":' + json.dumps(session).encode() + b","
    assert changed.replace(begin, b"", 1) == body.lstrip()
    assert json.loads(changed) == {"session_id": session} | json.loads(body)


def test_a_body_in_parts_stays_in_parts() -> None:
    large = memoryview(b'"%b"' % (b"x" * (SMALL + 1)))
    body = named("s-1", body=(b'{"a":', large, b"}"), session_field="session_id").body
    assert isinstance(body, tuple)
    assert body[2] is large
    assert joined(body)[:30] == b'{"session_id":"s-1","a":"xxxxx'


def test_who_takes_it() -> None:
    places: dict[str, ProviderSpec | Endpoint] = dict(CATALOG.providers)
    for name, spec in CATALOG.providers.items():
        places |= {f"{name}/{wire}": endpoint for wire, endpoint in spec.endpoints.items()}
    found = {name: place.session_field or place.session_header for name, place in places.items()}
    taken = {name: field for name, field in found.items() if field}
    assert taken == {
        "openai": "prompt_cache_key",
        "openrouter": "session_id",
        "workers-ai": "x-session-affinity",
        "mistral": "prompt_cache_key",
        "xai/chat": "x-grok-conv-id",
        "xai/responses": "prompt_cache_key",
        "fireworks": "x-session-affinity",
        "moonshot": "prompt_cache_key",
        "azure": "prompt_cache_key",
    }
