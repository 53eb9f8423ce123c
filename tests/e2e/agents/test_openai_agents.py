"""OpenAI's Agents SDK with its own Responses model, in front of every kind of provider."""

from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest
from agents import (
    Agent,
    ModelSettings,
    OpenAIResponsesModel,
    Runner,
    SQLiteSession,
    function_tool,
    set_tracing_disabled,
)
from openai import AsyncOpenAI
from openai.types.shared import Reasoning
from pydantic import BaseModel

PROVIDERS = ["anthropic", "openai", "groq", "gemini"]

pytestmark = pytest.mark.parametrize("provider", PROVIDERS)


@pytest.fixture(autouse=True, scope="module")
def untraced() -> Iterator[None]:
    """Nothing is sent to OpenAI's own servers."""
    set_tracing_disabled(True)
    yield
    set_tracing_disabled(False)


@pytest.fixture
async def agent(open_url: str, provider: str) -> AsyncIterator[Any]:
    """Makes an agent in front of the provider."""
    settings: Any = {"base_url": f"{open_url}/v1", "api_key": "unused", "max_retries": 0}
    async with AsyncOpenAI(timeout=60, **settings) as client:
        model = OpenAIResponsesModel(f"{provider}/auto", client)
        default = {"name": "Helper", "instructions": "Be brief.", "model": model}
        yield lambda **given: Agent(**default | given)


@function_tool
def get_weather(city: str) -> str:
    """The weather in a city."""
    return f"sunny in {city}"


async def run(streamed: bool, agent: Agent[None], given: Any, **more: Any) -> Any:
    if not streamed:
        return await Runner.run(agent, given, **more)
    result = Runner.run_streamed(agent, given, **more)
    pieces = [
        event.data.delta
        async for event in result.stream_events()
        if event.type == "raw_response_event" and event.data.type == "response.output_text.delta"
    ]
    assert "".join(pieces) == result.final_output
    return result


@pytest.mark.parametrize("streamed", [False, True])
async def test_a_tool(agent: Any, script: Any, received: Any, streamed: bool) -> None:
    helper = agent(tools=[get_weather])
    result = await run(streamed, helper, script("call the tool twice"))
    assert "sunny in Paris" in result.final_output
    assert [item.type for item in result.new_items if "tool" in item.type] == [
        *["tool_call_item"] * 2,
        *["tool_call_output_item"] * 2,
    ]
    assert [entry["status"] for entry in received()] == [200, 200]


@pytest.mark.parametrize("streamed", [False, True])
async def test_reasoning_goes_back(agent: Any, script: Any, received: Any, streamed: bool) -> None:
    reasoning = Reasoning(effort="high", summary="auto")
    settings = ModelSettings(reasoning=reasoning, response_include=["reasoning.encrypted_content"])
    helper = agent(tools=[get_weather], model_settings=settings)
    result = await run(streamed, helper, script("think and call the tool"))
    thoughts = [item.raw_item for item in result.new_items if item.type == "reasoning_item"]
    told = [part.text for thought in thoughts for part in thought.summary]
    assert told == ["thinking about: think and call the tool"] * 2
    assert result.final_output == "tool said: sunny in Paris"
    assert [entry["status"] for entry in received()] == [200, 200]


async def test_a_handoff(agent: Any, script: Any, received: Any) -> None:
    poet = agent(name="Poet", instructions="Rhyme.", handoff_description="Writes poems.")
    helper = agent(handoffs=[poet])
    result = await Runner.run(helper, script("call the tool"))
    assert result.last_agent.name == "Poet"
    assert result.final_output.startswith("tool said: ")
    assert "Rhyme." in received()[1]["raw"]


class Place(BaseModel):
    city: str


async def test_an_object_of_a_type(agent: Any, script: Any) -> None:
    result = await Runner.run(agent(output_type=Place), script("A city."))
    assert result.final_output == Place(city="text")


@pytest.mark.parametrize("streamed", [False, True])
async def test_a_turn_by_the_response_before_it(
    agent: Any, script: Any, received: Any, streamed: bool
) -> None:
    helper = agent(tools=[get_weather])
    first = await run(streamed, helper, script("call the tool"))
    previous = first.last_response_id
    second = await run(streamed, helper, script("And now?"), previous_response_id=previous)
    assert second.final_output == "echo: And now?"
    assert "tool said: sunny in Paris" in received()[-1]["raw"]
    assert second.last_response_id != previous


async def test_every_step_by_the_response_before_it(agent: Any, script: Any, received: Any) -> None:
    helper = agent(tools=[get_weather])
    result = await Runner.run(helper, script("call the tool"), auto_previous_response_id=True)
    assert result.final_output == "tool said: sunny in Paris"
    assert "call the tool" in received()[-1]["raw"]


async def test_a_turn_by_a_session(agent: Any, script: Any, received: Any) -> None:
    helper, session = agent(tools=[get_weather]), SQLiteSession("one")
    await Runner.run(helper, script("call the tool"), session=session)
    second = await Runner.run(helper, script("And now?"), session=session)
    session.close()
    assert second.final_output == "echo: And now?"
    assert "tool said: sunny in Paris" in received()[-1]["raw"]


async def test_a_turn_by_the_whole_input(agent: Any, script: Any, received: Any) -> None:
    helper = agent(tools=[get_weather], model_settings=ModelSettings(store=False))
    first = await Runner.run(helper, script("call the tool"))
    items: Any = [*first.to_input_list(), {"role": "user", "content": script("And now?")}]
    second = await Runner.run(helper, items)
    assert second.final_output == "echo: And now?"
    assert "tool said: sunny in Paris" in received()[-1]["raw"]
