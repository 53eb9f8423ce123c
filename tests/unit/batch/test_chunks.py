"""Batches whose parts run in invocations of their own."""

import asyncio
import json
from collections import Counter

import pytest

from proxy.batch.run import AT_ONCE, START_SECONDS
from proxy.core.ports import Outgoing
from tests.unit.batch.making import ROOMY, Slowly, batch, begin_stream, is_batch, item
from tests.unit.callers import read_stream
from tests.unit.doubles import FakeReply, LoopClock, in_no_time
from tests.unit.routing.making import error, whole
from tests.unit.serving.making import House, by_host, counting


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
