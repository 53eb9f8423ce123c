"""Requests of the same bytes again and again: each gets what the first hit got."""

import json

import pytest

from proxy.serving.replay import LONGEST_KEPT
from tests.unit.doubles import FakeReply
from tests.unit.routing.making import whole
from tests.unit.serving.making import FORMS, OPENAI, House, Received, by_host, counting

OF_THE_REQUEST = ("x-request-id", "age", "cache-status", "server-timing")
OF_THE_LINE = ("proxy.request_id",)


def without_id(answer: Received) -> bytes:
    id_ = answer.headers["x-request-id"].removeprefix("req_")
    return answer.body.replace(id_.encode(), b"ID")


def lasting(answer: Received) -> dict[str, str]:
    """The headers that are the same for each hit."""
    return {name: text for name, text in answer.headers.items() if name not in OF_THE_REQUEST}


def unnamed(text: str) -> FakeReply:
    """An answer without an id, so that it gets that of the request."""
    body = json.loads(whole(text).pieces[0])  # type: ignore[arg-type]
    del body["id"]
    return FakeReply(json.dumps(body).encode())


@pytest.mark.parametrize("answer", [whole("Hi"), unnamed("Hi"), whole("long " * LONGEST_KEPT)])
@pytest.mark.parametrize(("path", "stream"), FORMS)
async def test_each_hit_is_as_the_first(path: str, stream: bool, answer: FakeReply) -> None:
    house = House(by_host(openai=answer))
    await house.post(path, stream=stream)
    first = await house.post(path, stream=stream)
    line = house.line
    assert line["proxy.cost.saved_usd"] > 0
    for count in range(1, 4):
        house.clock.time += 10
        hit = await house.post(path, stream=stream)
        assert without_id(hit) == without_id(first)
        assert hit.headers["x-request-id"] != first.headers["x-request-id"]
        assert lasting(hit) == lasting(first)
        assert hit.headers["age"] == f"{10 * count}"
        assert hit.headers["cache-status"] == f"proxy-memory; hit; ttl={3600 - 10 * count}"
        assert house.line == line | {name: house.line[name] for name in OF_THE_LINE}
    assert len(house.sent) == 1


async def test_an_id_that_stands_in_the_answer_changes_nothing() -> None:
    house = House(by_host(openai=whole("Hi")))
    bodies = {
        (await house.post(OPENAI, {"x-request-id": given})).body
        for given in ("a", "a", "a", "Hi", "Hi", "b", "zzz", "zzz")
    }
    assert len(bodies) == 1


async def test_a_new_answer_takes_the_place_of_the_old_one() -> None:
    house = House(by_host(openai=counting()), CACHE_TTL="60")
    assert [(await house.post(OPENAI)).text for _ in range(4)] == ["1"] * 4
    house.clock.time += 61
    assert [(await house.post(OPENAI)).text for _ in range(4)] == ["2"] * 4
    assert (await house.post(OPENAI, {"cache-control": "no-cache"})).text == "3"
    assert [(await house.post(OPENAI)).text for _ in range(4)] == ["3"] * 4


async def test_what_was_purged_is_shown_no_more() -> None:
    house = House(by_host(openai=counting()))
    assert [(await house.post(OPENAI)).text for _ in range(4)] == ["1"] * 4
    house.clock.time += 1
    await house.app.services.cache.purge("all", "")
    house.clock.time += 1
    assert [(await house.post(OPENAI)).text for _ in range(4)] == ["2"] * 4


async def test_headers_of_a_hit_are_its_own() -> None:
    house = House(by_host(openai=whole("Hi")), CORS_ORIGINS="https://page.example")
    for _ in range(3):
        plain = await house.post(OPENAI)
        page = await house.post(OPENAI, {"origin": "https://page.example"})
        assert "access-control-allow-origin" not in plain.headers
        assert page.headers["access-control-allow-origin"] == "https://page.example"
