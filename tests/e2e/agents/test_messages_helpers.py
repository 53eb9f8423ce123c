"""What Anthropic's SDK has beside a plain message: its async client, its betas, the runner of
tools, documents, cache marks, and the endpoints that the proxy lacks."""

import base64
import json
from typing import Any

import anthropic
import pytest
from anthropic import Anthropic, AsyncAnthropic, beta_async_tool, beta_tool

from tests.e2e.agents.test_messages import WEATHER, user

PROVIDERS = ["anthropic", "openai", "groq", "gemini"]
ALONE = {"fallback": False}
BETAS = ["context-1m-2025-08-07", "interleaved-thinking-2025-05-14"]
PDF = base64.b64encode(b"%PDF-1.4\n%%EOF\n").decode()


def async_client(open_url: str) -> AsyncAnthropic:
    return AsyncAnthropic(base_url=open_url, api_key="unused", max_retries=0, timeout=60)


@pytest.mark.parametrize("provider", PROVIDERS)
async def test_an_async_stream(open_url: str, script: Any, provider: str) -> None:
    prompt = script("think and say hello.")
    async with (
        async_client(open_url) as client,
        client.messages.stream(
            model=f"{provider}/auto",
            max_tokens=2048,
            thinking={"type": "enabled", "budget_tokens": 1024},
            messages=user(prompt),
            extra_body=ALONE,
        ) as stream,
    ):
        seen = {event.type async for event in stream}
        message = await stream.get_final_message()
    assert {"text", "content_block_stop", "message_stop"} <= seen
    assert message.content[-1].text == "echo: think and say hello."  # type: ignore[union-attr]
    thinks = [block.type for block in message.content] == ["thinking", "text"]
    assert thinks is (provider != "openai")  # which tells the count alone
    assert message.usage.input_tokens == 4


@pytest.mark.parametrize("provider", PROVIDERS)
def test_a_message_with_betas(claude: Anthropic, script: Any, received: Any, provider: str) -> None:
    message = claude.beta.messages.create(
        model=f"{provider}/auto",
        max_tokens=64,
        betas=BETAS,
        messages=user(script("Say hello.")),
        extra_body=ALONE,
    )
    assert message.content[0].text == "echo: Say hello."  # type: ignore[union-attr]
    [entry] = received()
    sent = entry["headers"].get("anthropic-beta")
    assert sent == (",".join(BETAS) if provider == "anthropic" else None)


@beta_tool
def get_weather(city: str) -> str:
    """The weather in a city."""
    return f"sunny in {city}"


@beta_async_tool
async def get_weather_later(city: str) -> str:
    """The weather in a city."""
    return f"sunny in {city}"


@pytest.mark.parametrize("provider", PROVIDERS)
def test_a_thread_that_nobody_holds_begins_anew(
    claude: Anthropic, script: Any, received: Any, provider: str
) -> None:
    """The SDK sends what is new of a thread alone, and all of it where the thread is not found."""
    thread = claude.beta.messages.thread(model=f"{provider}/auto", max_tokens=64, extra_body=ALONE)
    for prompt in ("My name is Ada.", "Who am I?", "And now?"):
        message: Any = thread.send({"role": "user", "content": script(prompt)})
    assert message.content[0].text == "echo: And now?"
    last = received()[-1]["raw"]
    assert "My name is Ada." in last and "echo: Who am I?" in last


@pytest.mark.parametrize("provider", PROVIDERS)
def test_the_runner_of_tools(claude: Anthropic, script: Any, provider: str) -> None:
    runner = claude.beta.messages.tool_runner(
        model=f"{provider}/auto",
        max_tokens=2048,
        tools=[get_weather],
        messages=user(script("call the tool")),
        extra_body=ALONE,
    )
    told: Any = runner.until_done()
    assert told.content[0].text == "tool said: sunny in Paris"


@pytest.mark.parametrize("provider", PROVIDERS)
async def test_the_runner_of_tools_streams(open_url: str, script: Any, provider: str) -> None:
    reasons: list[str | None] = []
    async with async_client(open_url) as client:
        runner = client.beta.messages.tool_runner(
            model=f"{provider}/auto",
            max_tokens=2048,
            thinking={"type": "enabled", "budget_tokens": 1024},
            tools=[get_weather_later],
            messages=user(script("think and call the tool")),
            stream=True,
            extra_body=ALONE,
        )
        async for stream in runner:
            message: Any = await stream.get_final_message()
            reasons.append(message.stop_reason)
    assert reasons == ["tool_use", "end_turn"]
    assert message.content[-1].text == "tool said: sunny in Paris"


@pytest.mark.parametrize("provider", PROVIDERS)
def test_documents(claude: Anthropic, script: Any, received: Any, provider: str) -> None:
    pdf = {"type": "base64", "media_type": "application/pdf", "data": PDF}
    text = {"type": "text", "media_type": "text/plain", "data": "A plain text."}
    content = [
        {"type": "document", "source": pdf, "title": "a.pdf"},
        {"type": "document", "source": text, "citations": {"enabled": False}},
        {"type": "text", "text": script("What?")},
    ]

    message = claude.messages.create(
        model=f"{provider}/auto", max_tokens=64, messages=user(content), extra_body=ALONE
    )
    assert message.stop_reason == "end_turn"
    [entry] = received()
    assert PDF in entry["raw"] and "A plain text." in entry["raw"]


@pytest.mark.parametrize("provider", PROVIDERS)
def test_cache_marks(claude: Anthropic, script: Any, received: Any, provider: str) -> None:
    mark: Any = {"cache_control": {"type": "ephemeral", "ttl": "1h"}}
    system: Any = {"type": "text", "text": "Be brief.", **mark}
    answer = claude.messages.with_raw_response.create(
        model=f"{provider}/auto",
        max_tokens=64,
        system=[system],
        tools=[WEATHER | mark],
        messages=user([{"type": "text", "text": script("Say hello."), **mark}]),
        extra_body=ALONE,
    )
    usage = answer.parse().usage
    assert (usage.cache_read_input_tokens or 0) == (2 if provider == "anthropic" else 0)
    [entry] = received()
    kept = json.dumps(entry["body"]).count("cache_control")
    assert kept == (3 if provider == "anthropic" else 0)
    dropped = answer.headers.get("x-proxy-dropped", "")
    assert ("cache_control" in dropped) is (provider != "anthropic")


def test_what_is_not_offered(claude: Anthropic) -> None:
    request: Any = {"custom_id": "a", "params": {"model": "auto", "max_tokens": 5}}
    with pytest.raises(anthropic.NotFoundError, match="use POST /v1/messages") as refused:
        claude.messages.batches.create(requests=[request])
    error: Any = refused.value.body
    assert error["error"]["type"] == "not_found_error"
    with pytest.raises(anthropic.NotFoundError, match="not offered here"):
        claude.messages.batches.list()
    with pytest.raises(anthropic.NotFoundError, match="not offered here"):
        claude.beta.files.list()
