"""What OpenAI's SDK has beside a plain response: its async client, streams of a type, pages of
input, and what the proxy refuses."""

from typing import Any

import openai
import pytest
from openai import AsyncOpenAI, OpenAI

from tests.e2e.agents.test_responses import ALONE, WEATHER, Person

PROVIDERS = ["anthropic", "openai", "groq", "gemini"]


@pytest.mark.parametrize("provider", PROVIDERS)
def test_a_stream_of_a_type(sdk: OpenAI, script: Any, provider: str) -> None:
    with sdk.responses.stream(
        model=f"{provider}/auto", input=script("A name."), text_format=Person, extra_body=ALONE
    ) as stream:
        pieces = [event.delta for event in stream if event.type == "response.output_text.delta"]
        response = stream.get_final_response()
    assert response.output_parsed == Person(name="text")
    assert "".join(pieces) == response.output_text


@pytest.mark.parametrize("provider", PROVIDERS)
async def test_an_async_stream(open_url: str, script: Any, provider: str) -> None:
    settings: Any = {"base_url": f"{open_url}/v1", "api_key": "unused", "max_retries": 0}
    async with (
        AsyncOpenAI(timeout=60, **settings) as client,
        client.responses.stream(
            model=f"{provider}/auto",
            input=script("think and call the tool"),
            reasoning={"effort": "high", "summary": "auto"},
            tools=[WEATHER],
            extra_body=ALONE,
        ) as stream,
    ):
        seen = {event.type async for event in stream}
        response = await stream.get_final_response()
    assert "response.reasoning_summary_text.delta" in seen
    assert "response.function_call_arguments.done" in seen
    kinds = {item.type for item in response.output}
    assert kinds == {"reasoning", "function_call"}


def test_input_is_listed_in_pages(sdk: OpenAI, script: Any) -> None:
    items: Any = [{"role": "user", "content": f"Line {n}."} for n in range(4)]
    items.append({"role": "user", "content": script("Say hello.")})
    id_ = sdk.responses.create(model="groq/auto", input=items, extra_body=ALONE).id

    def texts(page: Any) -> list[str]:
        contents = [item.content for item in page]
        return [each if isinstance(each, str) else each[0].text for each in contents]

    first = sdk.responses.input_items.list(id_, limit=2, order="asc")
    assert texts(first.data) == ["Line 0.", "Line 1."]
    assert first.has_next_page()
    assert texts(first)[:4] == [f"Line {n}." for n in range(4)]
    newest = sdk.responses.input_items.list(id_, limit=1)
    assert texts(newest.data)[0].startswith("Say hello.")
    with pytest.raises(openai.BadRequestError, match="limit"):
        sdk.responses.input_items.list(id_, limit=0)
    with pytest.raises(openai.NotFoundError):
        sdk.responses.input_items.list("resp_unknown")


def test_what_would_go_on_without_its_caller_is_refused(sdk: OpenAI, script: Any) -> None:
    with pytest.raises(openai.BadRequestError, match="stream long answers") as refused:
        sdk.responses.create(model="groq/auto", input="x", background=True)
    assert refused.value.param == "background"
    kept = sdk.responses.create(model="groq/auto", input=script("x"), extra_body=ALONE)
    with pytest.raises(openai.NotFoundError, match="not offered here"):
        sdk.responses.cancel(kept.id)


def test_conversations_are_refused(sdk: OpenAI) -> None:
    with pytest.raises(openai.NotFoundError, match="previous_response_id"):
        sdk.conversations.create()
    with pytest.raises(openai.BadRequestError, match="previous_response_id") as refused:
        sdk.responses.create(model="groq/auto", input="x", conversation="conv_1")
    assert refused.value.param == "conversation"
