"""What providers say in places of their own reaches callers and the accounts."""

from typing import Any

import pytest

from tests.unit.doubles import FakeReply
from tests.unit.providers import replay
from tests.unit.serving.making import NATIVE, OPENAI, House, Received
from tests.unit.serving.stage import make_env

CITED = "https://page.test/1"


async def answer(provider: str, case: str, path: str = OPENAI, **fields: Any) -> Received:
    fixture = replay.load(provider, case)
    reply = FakeReply(fixture.body, headers=fixture.headers, status=fixture.status)
    house = House(lambda _: reply, **make_env())
    return await house.post(path, model=f"{provider}/auto", fallback=False, **fields)


async def test_what_perplexity_found_comes_with_the_answer() -> None:
    whole = (await answer("perplexity", "basic")).json
    assert whole["citations"] == [CITED]
    assert whole["search_results"][0]["title"] == "A page"
    assert whole["usage"]["cost"]["total_cost"] == 0.00501


async def test_what_perplexity_found_comes_with_the_stream() -> None:
    streamed = await answer(
        "perplexity", "stream", stream=True, stream_options={"include_usage": True}
    )
    *chunks, done = streamed.events
    assert done == "[DONE]"
    assert next(chunk["citations"] for chunk in chunks if "citations" in chunk) == [CITED]
    assert {chunk["object"] for chunk in chunks} == {"chat.completion.chunk"}
    assert chunks[-1]["usage"]["cost"]["total_cost"] == 0.00501  # that of the last chunk


@pytest.mark.parametrize(
    ("provider", "case", "dollars"),
    [
        ("perplexity", "basic", 0.00501),  # its fee for the search is no matter of tokens
        ("xai", "tools", 0.0001399),  # ticks: ten billion to the dollar
        ("deepinfra", "basic", 0.0000015),
    ],
)
async def test_a_cost_that_the_provider_tells_is_the_cost(
    provider: str, case: str, dollars: float
) -> None:
    metadata = (await answer(provider, case, NATIVE)).json["metadata"]
    assert metadata["cost"] == pytest.approx(dollars)


async def test_a_signature_on_a_call_of_googles_comes_back_to_it() -> None:
    message = (await answer("vertex", "tools")).json["choices"][0]["message"]
    [call] = message["tool_calls"]
    assert call["extra_content"] == {"google": {"thought_signature": "c2lnbmF0dXJl"}}
    fixture = replay.load("vertex", "tools")
    house = House(lambda _: FakeReply(fixture.body, headers=fixture.headers), **make_env())
    turns = [
        {"role": "user", "content": "Weather?"},
        {"role": "assistant", "content": None, "tool_calls": [call]},
        {"role": "tool", "tool_call_id": call["id"], "content": "18"},
    ]
    await house.post(OPENAI, model="vertex/auto", fallback=False, messages=turns)
    [sent] = house.sent_bodies
    [returned] = sent["messages"][1]["tool_calls"]
    assert returned["extra_content"] == call["extra_content"]
