"""Nothing that Mallory sends puts an answer of hers where Ann's question looks for one: not across
tenants, and where all share their entries not under another question."""

import json
import unicodedata
from typing import Any

import pytest

from tests.unit.callers import JSON, send
from tests.unit.doubles import in_no_time
from tests.unit.routing.making import whole
from tests.unit.serving.making import NATIVE, OPENAI, Received, receive
from tests.unit.serving.neighbours import SECRETS, Street

QUESTION = "a caf\u00e9 question"
PLAIN = {"model": "openai/gpt-4o", "messages": [{"role": "user", "content": QUESTION}]}
STEERED: dict[str, tuple[dict[str, Any], dict[str, str]]] = {
    "the same": ({}, {}),
    "a key of her own": ({}, {"cf-aig-cache-key": "a-question"}),
    "a namespace": ({"cache": {"mode": "default", "namespace": "ann"}}, {}),
    "a user": ({"user": "ann"}, {}),
    "a label": ({}, {"cf-aig-metadata": '{"user": "ann", "tenant": "key_ann"}'}),
    "a safety identifier": ({"safety_identifier": "ann", "prompt_cache_key": "ann"}, {}),
    "a life without an end": ({"cache": {"mode": "default", "ttl": 31_000_000}}, {}),
    "a trace": ({}, {"traceparent": f"00-{'a' * 32}-{'b' * 16}-01"}),
    "a session": ({"session_id": "ann"}, {"x-session-id": "ann"}),
    "a forwarded address": ({}, {"x-forwarded-for": "192.0.2.1", "x-real-ip": "192.0.2.1"}),
    "another method": ({}, {"x-http-method-override": "PUT"}),
}


async def ask(street: Street, name: str, body: bytes, headers: dict[str, str]) -> Received:
    given = {"authorization": f"Bearer {SECRETS[name]}", **JSON, **headers}
    answer = await receive(await send(street.app, street.request("POST", OPENAI, body, **given)))
    await street.settle()
    return answer


def make_street(**env: str) -> Street:
    street = Street(lambda _: whole("Hi!"), **env)
    answers = iter(("poison", "for ann"))
    street.upstream.answer = lambda _: whole(next(answers))
    return street


@pytest.mark.parametrize("way", STEERED)
@in_no_time
async def test_no_way_of_steering_the_key_reaches_another_tenant(way: str) -> None:
    fields, headers = STEERED[way]
    street = make_street()
    poisoned = await ask(street, "mallory", json.dumps(PLAIN | fields).encode(), headers)
    if poisoned.status != 200:  # refused: nothing was kept
        street.upstream.answer = lambda _: whole("for ann")
    for given in ({}, headers):
        answer = await ask(street, "ann", json.dumps(PLAIN).encode(), given)
        assert answer.text == "for ann", way
        street.upstream.answer = lambda _: whole("for ann")


def _twice(field: str, first: Any, last: Any) -> bytes:
    rest = json.dumps({name: value for name, value in PLAIN.items() if name != field})[1:-1]
    return f'{{"{field}": {json.dumps(first)}, {rest}, "{field}": {json.dumps(last)}}}'.encode()


IMAGE = {"type": "image_url", "image_url": {"url": "https://a.example/x"}}
POISON = [{"role": "user", "content": "say poison"}]
OTHERS = {
    "another normal form": json.dumps(
        PLAIN | {"messages": [{"role": "user", "content": unicodedata.normalize("NFD", QUESTION)}]}
    ).encode(),
    "letters of another width": json.dumps(
        PLAIN | {"messages": [{"role": "user", "content": QUESTION.replace("a", "\uff41")}]}
    ).encode(),
    "a sign that is not seen": json.dumps(
        PLAIN | {"messages": [{"role": "user", "content": QUESTION + "\u200b"}]}
    ).encode(),
    "messages twice": _twice("messages", POISON, PLAIN["messages"]),
    "a model twice": _twice("model", "groq/openai/gpt-oss-120b", PLAIN["model"]),
    "a field that only the provider knows": json.dumps(PLAIN | {"steer": "poison"}).encode(),
    "a content twice": json.dumps(PLAIN)
    .replace('"content":', '"content": "say poison", "content":')
    .encode(),
    "an address twice": json.dumps(PLAIN | {"messages": [{"role": "user", "content": [IMAGE]}]})
    .replace('"url":', '"url": "https://poison.example/x", "url":')
    .encode(),
    "a name of another case": json.dumps(PLAIN | {"Messages": POISON}).encode(),
    "a prefix of null": json.dumps(
        PLAIN | {"messages": [{"role": "system", "content": ""}, *PLAIN["messages"]]}
    ).encode(),
}


@pytest.mark.parametrize("other", OTHERS)
@in_no_time
async def test_where_entries_are_shared_another_question_has_another(other: str) -> None:
    """A provider may read what stands there twice by its first, or know a field that is unknown
    here."""
    street = make_street(CACHE_SCOPE="shared")
    first = await ask(street, "mallory", OTHERS[other], {})
    if first.status != 200:
        street.upstream.answer = lambda _: whole("for ann")
    sent = [repr(outgoing.body) for outgoing in street.upstream.sent]
    answer = await ask(street, "ann", json.dumps(PLAIN).encode(), {})
    is_read_alike = bool(sent) and "poison" not in sent[0] and "twice" in other
    assert answer.text == "for ann" or is_read_alike, (other, sent)


@in_no_time
async def test_a_key_that_mallory_chose_is_no_question_of_anns() -> None:
    street = make_street(CACHE_SCOPE="shared")
    await ask(street, "mallory", json.dumps(PLAIN).encode(), {"cf-aig-cache-key": "k"})
    assert (await ask(street, "ann", json.dumps(PLAIN).encode(), {})).text == "for ann"


@in_no_time
async def test_the_native_dialect_is_steered_no_further() -> None:
    street = make_street()
    body = {"prompt": QUESTION, "model": "openai/gpt-4o", "user": "ann", "metadata": {"u": "ann"}}
    await street.call("mallory", NATIVE, **body)
    answer = await street.call("ann", NATIVE, prompt=QUESTION, model="openai/gpt-4o")
    assert answer.json["data"] == "for ann"
