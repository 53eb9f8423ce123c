"""Where the headers of Cloudflare AI Gateway are read, and what is recorded if they are wrong."""

import asyncio

import pytest

from tests.unit.doubles import FakeReply, LoopClock, in_no_time
from tests.unit.routing.making import whole
from tests.unit.serving.making import GPT, House, by_host, receive
from tests.unit.serving.making_coalescing import ON

VECTORS = FakeReply(
    b'{"object":"list","data":[{"object":"embedding","index":0,"embedding":[0.5]}],'
    b'"model":"m","usage":{"prompt_tokens":1,"total_tokens":1}}'
)
WRONG = {
    "cf-aig-cache-ttl": "x",
    "cf-aig-skip-cache": "yes",
    "cf-aig-max-attempts": "9",
    "cf-aig-request-timeout": "0",
}


@pytest.mark.parametrize("header", ["cf-aig-cache-ttl", "cf-aig-skip-cache"])
async def test_embeddings_have_no_cache_that_a_header_could_be_wrong_about(header: str) -> None:
    house = House(by_host(openai=VECTORS))
    body = {"model": "openai/text-embedding-3-small", "input": "Hi"}
    response = await house.fetch("POST", "/v1/embeddings", body, **{header: WRONG[header]})
    assert response.status == 200


async def test_a_timeout_of_the_body_leaves_the_headers_unread() -> None:
    house = House(by_host(openai=whole("Hi")))
    answer = await house.post(headers={"cf-aig-request-timeout": "0"}, timeout=5_000)
    assert answer.status == 200


@pytest.mark.parametrize(("header", "text"), WRONG.items())
async def test_a_request_with_a_wrong_header_is_recorded_with_its_model(
    header: str, text: str
) -> None:
    house = House(by_host(openai=whole("Hi")))
    answer = await house.post(headers={header: text}, strategy="cheapest")
    assert (answer.status, answer.json["error"]["param"]) == (400, header)
    assert (house.line["gen_ai.request.model"], house.line["proxy.strategy"]) == (GPT, "cheapest")


@in_no_time
async def test_a_follower_of_a_failure_is_shown_the_leaders_time() -> None:
    house = House(lambda _: 1.0, LoopClock(), **ON)
    leader, follower = house.begin(), house.begin()
    answers = [await receive(each) for each in await asyncio.gather(leader, follower)]
    times = [answer.headers["server-timing"].split(", ") for answer in answers]
    assert [answer.status for answer in answers] == [502, 502]
    assert all("upstream;dur=1000" in parts for parts in times)
