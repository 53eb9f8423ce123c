"""Many requests in one call: order, errors of their own, one answer for identical ones."""

import asyncio
import json
from collections import Counter
from typing import Any

import pytest

from proxy.batch.run import AT_ONCE, START_SECONDS
from proxy.core.ports import Outgoing
from proxy.core.web import Response
from tests.unit.callers import read_stream, send
from tests.unit.doubles import Caller, FakeReply, LoopClock, in_no_time
from tests.unit.routing.making import error, whole
from tests.unit.serving.making import GPT, House, by_host, counting

ROOMY = {"RATE_LIMIT_BURST": "1000"}


async def batch(house: House, *items: Any) -> Any:
    received = await house.fetch("POST", "/v1/batch", {"requests": items})
    return received.status, received.json


async def begin_stream(house: House, *items: Any) -> Response:
    """The response of a streamed batch, with its stream not yet read."""
    body = {"requests": items, "stream": True}
    return await send(house.app, house.request("POST", "/v1/batch", body))


def item(prompt: str, **fields: Any) -> dict[str, Any]:
    return {"model": GPT, "fallback": False, "prompt": prompt} | fields


def is_batch(fields: dict[str, Any]) -> bool:
    return bool(fields["http.route"] == "/v1/batch")


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


class Slowly:
    """A provider that takes a second for each answer, and counts how many are under way."""

    def __init__(self) -> None:
        self.now = self.most = 0

    def answer(self, _: object) -> FakeReply:
        provider = self

        class Reply(FakeReply):
            async def read(self) -> bytes:
                provider.now += 1
                provider.most = max(provider.most, provider.now)
                await asyncio.sleep(1)
                provider.now -= 1
                return await super().read()

        return Reply(*whole("Hi!").pieces)


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


class TestChunks:
    """A batch that one invocation can't hold."""

    def sizes(self, house: House) -> list[int]:
        return [len(json.loads(chunk)["parts"]) for _, chunk in house.batches.calls]

    async def test_a_large_batch_is_run_elsewhere_part_by_part(self) -> None:
        def answer(outgoing: Outgoing) -> FakeReply:
            assert outgoing.body
            return error(400, "too odd") if b"odd" in outgoing.body else whole("fine")

        house = House(by_host(openai=answer), **ROOMY)
        requests = [item(f"{number}") for number in range(58)] + [item("odd"), {"prompt": ""}]
        _, body = await batch(house, *requests)
        assert [result["index"] for result in body["results"]] == list(range(60))
        assert body["summary"] == {"total": 60, "succeeded": 58, "failed": 2}
        assert [result["status"] for result in body["results"][58:]] == [400, 400]
        assert self.sizes(house) == [24, 24, 12]
        ids = [result["response"]["metadata"]["requestId"] for result in body["results"]]
        [name] = {name for name, _ in house.batches.calls}
        id_, _, chance = name.rpartition(".")
        assert len(chance) == 16  # callers may choose the same id
        assert ids == [f"{id_}-{number}" for number in range(60)]

    async def test_a_batch_that_fits_is_run_here(self) -> None:
        house = House(by_host(openai=counting()))
        _, body = await batch(house, *(item(f"{number}") for number in range(24)))
        assert body["summary"]["succeeded"] == 24
        assert house.batches.calls == []

    async def test_identical_ones_are_one_call_over_all_parts(self) -> None:
        house = House(by_host(openai=counting()))
        _, body = await batch(house, *(item(f"{number % 30}") for number in range(90)))
        texts = [result["response"]["data"] for result in body["results"]]
        assert len(set(texts)) == len(house.sent) == 30
        assert texts[:30] == texts[30:60] == texts[60:]

    async def test_what_a_runner_gets(self) -> None:
        house = House(
            by_host(openai=counting()), PROXY_API_KEY="the-one-key", RATE_LIMIT_BURST="30"
        )
        headers = {
            "authorization": "Bearer the-one-key",
            "x-api-key": "the-one-key",
            "api-key": "the-one-key",
            "x-goog-api-key": "the-one-key",
            "cf-access-jwt-assertion": "the-one-key",
            "cf-aig-skip-cache": "true",
            "traceparent": f"00-{'a' * 32}-{'b' * 16}-01",
        }
        body = {"requests": [item(f"{number}") for number in range(40)]}
        results = (await house.fetch("POST", "/v1/batch", body, **headers)).json["results"]
        # Each is counted by itself, and the headers hold for each.
        assert Counter(result["status"] for result in results) == {200: 30, 429: 10}
        caching = [result["response"]["metadata"].get("cacheStatus") for result in results]
        assert set(caching) == {"bypass", None}
        for _, chunk in house.batches.calls:
            assert b"the-one-key" not in chunk
        each = house.lines
        assert len(each) == 40 + 1
        assert len({fields["enduser.id"] for fields in each}) == 1
        assert {fields["trace_id"] for fields in each} == {"a" * 32}

    async def test_a_runner_that_cannot_be_reached_fails_its_part_only(self) -> None:
        house = House(by_host(openai=counting()), **ROOMY)
        house.batches.down = (1,)
        _, body = await batch(house, *(item(f"{number}") for number in range(60)))
        assert body["summary"] == {"total": 60, "succeeded": 36, "failed": 24}
        lost = body["results"][24]["response"]
        assert (lost["error"]["type"], lost["error"]["code"]) == ("internal_error", 500)
        assert lost["metadata"]["requestId"].endswith("-24")
        assert house.events("error").count("batch runner lost") == 1

    @in_no_time
    async def test_a_runner_that_hangs_costs_its_time_once(self) -> None:
        house = House(by_host(openai=counting()), LoopClock(), SUBREQUEST_LIMIT="50")
        house.batches.silent = True
        began = asyncio.get_running_loop().time()
        _, body = await batch(house, *(item(f"{number}") for number in range(60)))
        assert body["summary"]["failed"] == 60
        assert asyncio.get_running_loop().time() - began == START_SECONDS
        assert len(house.batches.calls) < 10

    async def test_a_runner_that_is_lost_leaves_its_results(self) -> None:
        house = House(by_host(openai=counting()))
        house.batches.lost_after = 20
        same = [item(f"{number % 30}") for number in range(60)]
        _, body = await batch(house, *same)
        statuses = [result["status"] for result in body["results"]]
        assert statuses[:30] == statuses[30:]
        assert statuses[:30] == [200] * 20 + [500] * 4 + [200] * 6

    async def test_what_was_begun_by_a_runner_that_is_lost_is_recorded_once(self) -> None:
        house = House(by_host(openai=counting()), **ROOMY)
        house.batches.lost_after = 20
        house.batches.down = (1,)
        _, body = await batch(house, *(item(f"{number}") for number in range(60)))
        assert body["summary"] == {"total": 60, "succeeded": 32, "failed": 28}
        recorded = Counter(line["proxy.request_id"] for line in house.lines if not is_batch(line))
        ids = {result["response"]["metadata"]["requestId"] for result in body["results"]}
        assert recorded == dict.fromkeys(ids, 1)

    @pytest.mark.parametrize(
        ("limit", "count", "seconds", "names"),
        [
            ("10000", 50, 9, {""}),
            # Two at a time, three calls side by side.
            ("50", 50, 9, {""}),
            # 50 calls would be too many: who gets the first 90 makes 45, who gets the rest 5.
            ("50", 100, 17, {"", ".0", ".90"}),
        ],
    )
    @in_no_time
    async def test_never_more_at_once(
        self, limit: str, count: int, seconds: float, names: set[str]
    ) -> None:
        slow = Slowly()
        house = House(by_host(openai=slow.answer), LoopClock(), **ROOMY, SUBREQUEST_LIMIT=limit)
        _, body = await batch(house, *(item(f"{number}", fallback=True) for number in range(count)))
        assert body["summary"]["succeeded"] == count
        assert slow.most == AT_ONCE
        assert asyncio.get_running_loop().time() == pytest.approx(seconds, abs=0.5)
        name = body["results"][0]["response"]["metadata"]["requestId"].removesuffix("-0")
        suffixes = {called.removeprefix(name)[len(".") + 16 :] for called, _ in house.batches.calls}
        assert suffixes == names

    @in_no_time
    async def test_results_are_sent_as_they_come_and_not_begun_for_nobody(self) -> None:
        slow = by_host(openai=lambda _: FakeReply(1.0, *whole("Hi!").pieces))
        house = House(slow, LoopClock())
        requests = [item(f"{number}") for number in range(60)]
        response = await begin_stream(house, *requests)
        await read_stream(response, gone_after=10)
        assert asyncio.get_running_loop().time() == pytest.approx(2, abs=0.5)
        assert len(house.sent) == 12  # two sixes of the first part
        await asyncio.sleep(60)
        assert len(house.sent) == 12
        [ended] = [f.get("proxy.stream.ended") for f in house.lines if is_batch(f)]
        assert ended == "client_gone"
        assert sum(not is_batch(f) for f in house.lines) == 12  # what was called off is logged


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
