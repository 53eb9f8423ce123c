"""What a request refers to of kept responses counts before it is put in its place."""

import json
import tracemalloc
from typing import Any

import pytest

from tests.unit.callers import JSON
from tests.unit.routing.making import whole
from tests.unit.serving.making import House, by_host

PATH, MISTRAL = "/v1/responses", {"MISTRAL_API_KEY": "key", "BODY_MEMORY_BYTES": "400000"}


async def say(house: House, **fields: Any) -> Any:
    answer = await house.fetch("POST", PATH, {"model": "mistral/m", **fields}, **JSON)
    await house.settle()
    return answer


@pytest.mark.parametrize(("times", "status"), [(2, 200), (30, 413), (1500, 413)])
async def test_an_item_counts_as_often_as_it_is_repeated(times: int, status: int) -> None:
    house = House(by_host(mistral=whole("Hi!")), **MISTRAL)
    text = {"type": "message", "role": "user", "content": "x" * 20_000, "id": "msg_1"}
    assert (await say(house, input=[text])).status == 200
    tracemalloc.start()
    answer = await say(house, input=[{"type": "item_reference", "id": "msg_1"}] * times)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert (answer.status, peak < 10_000_000) == (status, True)
    if status == 200:
        assert json.dumps(house.sent_bodies[-1]).count("x" * 20_000) == times
