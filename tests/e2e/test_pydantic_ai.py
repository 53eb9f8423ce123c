"""A second real client: pydantic-ai's agent, which loops over tools by itself."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import httpx2
import pytest
from pydantic_ai import Agent
from pydantic_ai.models.openai import OpenAIChatModel
from pydantic_ai.providers.openai import OpenAIProvider


@asynccontextmanager
async def agent(open_url: str, model: str) -> AsyncIterator[Agent[None, str]]:
    async with httpx2.AsyncClient(timeout=60) as client:
        provider = OpenAIProvider(base_url=f"{open_url}/v1", api_key="x", http_client=client)
        yield Agent(OpenAIChatModel(model, provider=provider))


@pytest.mark.parametrize("provider", ["gemini", "openai", "deepseek", "workers-ai"])
async def test_an_agent_runs_its_tool(open_url: str, script: Any, provider: str) -> None:
    asked = []

    def get_weather(city: str) -> str:
        asked.append(city)
        return "sunny"

    async with agent(open_url, f"{provider}/auto") as helper:
        helper.tool_plain(get_weather)
        result = await helper.run(script("Please call the tool."))
    assert asked == ["Paris"]
    assert "sunny" in result.output


async def test_an_agent_streams(open_url: str, script: Any) -> None:
    async with (
        agent(open_url, "groq/auto") as helper,
        helper.run_stream(script("One two three.")) as result,
    ):
        pieces = [piece async for piece in result.stream_text(delta=True)]
    assert "".join(pieces) == "echo: One two three."
