"""Deadlines, silence and hang-ups of Mallory's are no matter of Ann's."""

import asyncio

import pytest

from proxy.core.errors import Fault
from proxy.core.ports import Outgoing
from tests.unit.doubles import FakeReply, in_no_time
from tests.unit.routing.making import DONE, HELLO, ROLE, STOP, whole
from tests.unit.serving.making import OPENAI, stream_of
from tests.unit.serving.neighbours import MARK, REPEATS, Street


@pytest.mark.parametrize("stream", [False, True])
@in_no_time
async def test_a_silent_model_that_only_mallory_names(stream: bool) -> None:
    street = Street(lambda _: 10_000.0)
    hanging = {"model": "openai/a-model-that-hangs", "stream": stream}
    for answer in await asyncio.gather(*(street.mallory(**hanging) for _ in range(REPEATS))):
        assert answer.status == 504
        assert [a["blame"] for a in answer.json["metadata"]["attempts"]] == ["model"]
    await street.ann_is_served()


@in_no_time
async def test_a_stream_that_stalls_of_a_model_that_only_mallory_names() -> None:
    street = Street(lambda _: stream_of(ROLE, HELLO, Fault("timeout", "It stalled.")))
    for _ in range(REPEATS):
        await street.mallory(model="openai/a-model-that-hangs", stream=True)
    await street.ann_is_served()


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("how", ["body", "header"])
@in_no_time
async def test_a_callers_own_deadline(how: str, stream: bool) -> None:
    street = Street(lambda _: 5.0)
    headers = {"cf-aig-request-timeout": "1"} if how == "header" else {}
    fields = {"timeout": 1} if how == "body" else {}
    for _ in range(REPEATS):
        answer = await street.mallory(
            headers=headers, model="openai/gpt-4o", stream=stream, **fields
        )
        assert answer.status == 504
    await street.ann_is_served()


@in_no_time
async def test_a_callers_own_deadline_in_a_running_stream() -> None:
    street = Street(lambda _: stream_of(ROLE, HELLO, 5.0, STOP, DONE))
    for _ in range(REPEATS):
        await street.mallory(model="openai/gpt-4o", stream=True, timeout=100)
    await street.ann_is_served()


EMBEDDINGS = "/v1/embeddings"


@pytest.mark.parametrize("slow", [5.0, FakeReply(b"{", 5.0, b"}")], ids=["headers", "body"])
@in_no_time
async def test_a_callers_own_deadline_of_embeddings(slow: FakeReply | float) -> None:
    street = Street(lambda _: slow)
    headers = {"cf-aig-request-timeout": "50"}
    for _ in range(REPEATS):
        fields = {"model": "openai/text-embedding-3-small", "input": [MARK]}
        answer = await street.call("mallory", EMBEDDINGS, headers, **fields)
        assert (answer.status, answer.json["error"]["message"].count("own time was up")) == (504, 1)
    await street.ann_is_served()


@in_no_time
async def test_callers_own_deadlines_in_a_batch() -> None:
    street = Street(lambda _: 5.0)
    hasty = {"prompt": f"{MARK} x", "model": "openai/gpt-4o", "fallback": False, "timeout": 50}
    items = [hasty | {"prompt": f"{MARK} {number}"} for number in range(REPEATS)]
    answer = await street.call("mallory", "/v1/batch", requests=items)
    assert {item["status"] for item in answer.json["results"]} == {504}
    await street.ann_is_served()


@pytest.mark.parametrize("stream", [False, True])
@in_no_time
async def test_a_callers_own_deadline_in_hedged_attempts(stream: bool) -> None:
    street = Street(lambda _: 5.0, HEDGE_AFTER_MS="10")
    for _ in range(REPEATS):
        answer = await street.mallory(model="auto", fallback=True, timeout=100, stream=stream)
        assert answer.status == 504
    for model in ("openai/gpt-4o", "gemini/gemini-2.5-flash"):
        await street.ann_is_served(model)


@in_no_time
async def test_followers_of_a_request_that_gives_up_early() -> None:
    street = Street(lambda _: 5.0, CACHE_COALESCE="on")
    hasty = {"model": "openai/gpt-4o", "timeout": 50, "cache": None}
    for answer in await asyncio.gather(*(street.mallory(**hasty) for _ in range(REPEATS))):
        assert answer.status == 504
    await street.ann_is_served()


@pytest.mark.parametrize("stream", [False, True])
@in_no_time
async def test_a_list_of_many_models(stream: bool) -> None:
    """Each has little of the time, and the provider as little that hears of all."""
    street = Street(lambda _: 10_000.0)
    models = ["openai/gpt-4o", *(f"openai/gpt-4o-{number}" for number in range(30))]
    fields = {"models": models, "fallback": [], "stream": stream}
    for answer in await asyncio.gather(*(street.mallory(OPENAI, **fields) for _ in range(REPEATS))):
        assert answer.status in (200, 502, 504), answer.body
    await street.ann_is_served()


@pytest.mark.parametrize("stream", [False, True])
@in_no_time
async def test_callers_who_hang_up(stream: bool) -> None:
    street = Street(lambda _: stream_of(ROLE, HELLO, 5.0, STOP, DONE) if stream else 5.0)
    said = [
        asyncio.ensure_future(street.mallory(model="openai/gpt-4o", stream=stream))
        for _ in range(REPEATS)
    ]
    await asyncio.sleep(1)
    for each in said:
        each.cancel()
    await asyncio.gather(*said, return_exceptions=True)
    await street.ann_is_served()


@in_no_time
async def test_a_whole_answer_that_takes_long_where_streams_must_not() -> None:
    street = Street(lambda _: FakeReply(9.0, *whole("x").pieces), BREAKER_SLOW_MS="2000")
    for _ in range(REPEATS):
        assert (await street.mallory(model="openai/gpt-4o")).status == 200
    await street.ann_is_served()


@in_no_time
async def test_a_slow_image_host() -> None:
    street = Street(lambda _: 20.0)
    image = {"type": "image_url", "image_url": {"url": "https://image.example/slow.png"}}
    text = {"type": "text", "text": MARK}
    messages = [{"role": "user", "content": [text, image]}]
    for _ in range(REPEATS):
        answer = await street.mallory(
            prompt=None, messages=messages, model="gemini/gemini-2.5-flash", timeout=1000
        )
        assert answer.status in (400, 504)
    await street.ann_is_served("gemini/gemini-2.5-flash")


@in_no_time
async def test_a_leader_with_less_patience() -> None:
    """Ann sends what Mallory sent before, who wants it within 10 ms and of one provider only."""
    street = Street(lambda _: whole("x"), CACHE_COALESCE="on", CACHE_SCOPE="shared")
    slow_first = [0.05]

    def answer(outgoing: Outgoing) -> FakeReply | Fault | float:
        return slow_first.pop() if slow_first else whole("for ann")

    street.upstream.answer = answer
    fields = {"prompt": "the same", "model": "openai/gpt-4o"}
    mallory = asyncio.ensure_future(street.call("mallory", **fields, fallback=False, timeout=10))
    await asyncio.sleep(0)
    received = await street.call("ann", **fields)
    assert (await mallory).status == 504
    assert (received.status, received.json["data"]) == (200, "for ann")
