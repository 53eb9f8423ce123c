"""Many requests in one call: order, errors of their own, one answer for identical ones."""

import json
from typing import Any

import pytest

from proxy.batch.run import AT_ONCE
from proxy.core.ports import Outgoing
from tests.unit.batch.making import Slowly, batch, begin_stream, is_batch, item
from tests.unit.callers import read_stream
from tests.unit.doubles import Caller, FakeReply, LoopClock, in_no_time
from tests.unit.routing.making import error, whole
from tests.unit.serving.making import House, by_host, counting


async def test_each_has_its_own_answer_in_order() -> None:
    house = House(by_host(openai=counting()))
    status, body = await batch(house, *(item(f"{number}") for number in range(10)))
    assert status == 200
    assert [result["index"] for result in body["results"]] == list(range(10))
    assert sorted(r["response"]["data"] for r in body["results"]) == sorted(
        str(number) for number in range(1, 11)
    )
    assert body["summary"] == {"total": 10, "succeeded": 10, "failed": 0}


async def test_a_wrong_header_refuses_the_whole() -> None:
    """It would refuse each request."""
    house = House(by_host(openai=counting()))
    wrong = {"cf-aig-skip-cache": "perhaps"}
    refused = await house.fetch("POST", "/v1/batch", {"requests": [item("a")]}, **wrong)
    assert (refused.status, refused.json["error"]["param"]) == (400, "cf-aig-skip-cache")
    assert house.sent == []


async def test_a_failure_is_ones_own() -> None:
    def answer(outgoing: Outgoing) -> FakeReply:
        assert outgoing.body
        return error(400, "too odd") if b"odd" in outgoing.body else whole("fine")

    house = House(by_host(openai=answer))
    requests = (
        item("a"),
        item("odd"),
        {"prompt": ""},
        item("b", stream=True),
        item("c"),
        "no object",
    )
    status, body = await batch(house, *requests)
    assert status == 200
    assert [result["status"] for result in body["results"]] == [200, 400, 400, 400, 200, 400]
    errors = [result["response"].get("error", {}) for result in body["results"]]
    assert errors[1]["source"] == "provider"
    assert "prompt" in errors[2]["message"]
    assert errors[3]["param"] == "stream"
    assert body["summary"] == {"total": 6, "succeeded": 2, "failed": 4}


async def test_identical_ones_are_one_call() -> None:
    house = House(by_host(openai=counting()))
    same = [item("a"), item("b"), {**dict(reversed(item("a").items()))}]
    _, body = await batch(house, *same)
    texts = [result["response"]["data"] for result in body["results"]]
    assert texts[0] == texts[2] != texts[1]
    assert len(house.sent) == 2


async def test_identical_ones_that_skip_the_cache_are_a_call_each() -> None:
    house = House(by_host(openai=counting()))
    await batch(house, *[item("a", cache={"mode": "off"})] * 3)
    assert len(house.sent) == 3


@in_no_time
async def test_so_many_at_once_and_no_more() -> None:
    slow = Slowly()
    house = House(by_host(openai=slow.answer), LoopClock())
    await batch(house, *(item(f"{number}") for number in range(20)))
    assert slow.most == AT_ONCE


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"requests": []}, "requests"),
        ({"requests": [{}] * 101}, "requests"),
        ({}, "requests"),
        ({"requests": [{}], "steam": True}, "steam"),
    ],
)
async def test_a_batch_that_is_wrong(fields: Any, param: str) -> None:
    house = House(by_host())
    refused = await house.fetch("POST", "/v1/batch", fields)
    assert refused.status == 400
    assert param in refused.json["error"]["message"]


@in_no_time
async def test_streamed_results_come_as_they_are_done() -> None:
    def answer(outgoing: Outgoing) -> FakeReply:
        assert outgoing.body
        wait = 5.0 if b"slow" in outgoing.body else 0.1
        return FakeReply(wait, *whole("done").pieces)

    house = House(by_host(openai=answer), LoopClock())
    response = await begin_stream(house, item("slow"), item("quick"))
    text = (await read_stream(response)).decode()
    events = [line.removeprefix("data: ") for line in text.split("\n") if "data: " in line]
    sent = [json.loads(event) for event in events]
    assert [result.get("index") for result in sent] == [1, 0, None]
    assert sent[-1]["summary"] == {"total": 2, "succeeded": 2, "failed": 0}
    assert text.count("event: result") == 2
    assert text.count("event: done") == 1


@in_no_time
async def test_when_the_caller_is_gone_nothing_more_is_begun() -> None:
    house = House(by_host(openai=lambda _: FakeReply(1.0, *whole("Hi!").pieces)), LoopClock())
    requests = [item(f"{number}") for number in range(50)]
    response = await begin_stream(house, *requests)
    await read_stream(response, gone_after=0)
    assert len(house.sent) <= 2 * AT_ONCE
    assert house.line["proxy.stream.ended"] == "client_gone"


async def test_each_is_counted_by_itself() -> None:
    house = House(by_host(openai=counting()), RATE_LIMIT_BURST="3", RATE_LIMIT_LEASE="1")
    _, body = await batch(house, *(item(f"{number}") for number in range(5)))
    assert sorted(result["status"] for result in body["results"]) == [200, 200, 200, 429, 429]
    logged = house.lines
    assert len(logged) == 5 + 1
    assert sum(map(is_batch, logged)) == 1
    assert len({fields["proxy.request_id"] for fields in logged}) == 6


BEYOND = 18446744073709551616


@pytest.mark.parametrize("number", [BEYOND, -(10**30), 1e308, 2**63])
async def test_a_schema_may_hold_any_number(number: Any) -> None:
    """In one item it is no matter of the others', and goes on to the provider as it is."""
    house = House(by_host(openai=counting()))
    schema = {"type": "object", "properties": {"n": {"type": "integer", "maximum": number}}}
    tool = {"type": "function", "function": {"name": "f", "parameters": schema}}
    requests = (item("a", tools=[tool]), item("b"), item("a", tools=[tool]), item("a"))
    status, received = await batch(house, *requests)
    assert status == 200
    assert received["summary"] == {"total": 4, "succeeded": 4, "failed": 0}
    answers = [result["response"]["data"] for result in received["results"]]
    assert answers[0] == answers[2]  # identical ones are still one call
    assert len(house.sent) == 3
    assert [body["tools"] for body in house.sent_bodies if "tools" in body] == [[tool]]


async def test_an_answer_counts_at_each_of_its_places() -> None:
    """All of them are in one body at the end."""
    house = House(by_host(openai=whole("y" * 10_000)), BODY_MEMORY_BYTES="100000")
    status, body = await batch(house, *[item("a")] * 20)
    assert status == 200
    statuses = [result["status"] for result in body["results"]]
    assert 5 <= statuses.count(200) <= 9
    assert statuses.count(503) == 20 - statuses.count(200)
    assert len(house.sent) == 1


async def test_a_stream_has_one_place_in_each_write() -> None:
    house = House(by_host(openai=whole("y" * 10_000)))
    response = await begin_stream(house, *[item("a")] * 20)
    assert response.stream
    caller = Caller()
    await response.stream(caller)
    assert len(caller.pieces) == 21
    assert max(map(len, caller.pieces)) < 12_000
