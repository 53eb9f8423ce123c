"""Vercel's AI SDK with its providers for Anthropic and OpenAI, in front of every kind of provider.

`openai(model)` speaks Responses, and has its responses kept: what the model said before goes back
as references to its items.
"""

from collections.abc import Callable
from typing import Any

import pytest

from tests.e2e.agents.node_client import NodeClient

SDKS = ["anthropic", "openai"]
PROVIDERS = ["anthropic", "openai", "groq", "gemini"]
WAYS = ["generate", "stream"]
CALLED = [["weather", {"city": "Paris"}]]
REASONS = {"openai": {"forceReasoning": True}}
"""The SDK knows OpenAI's reasoning models by their names alone."""

Ask = Callable[..., Any]

pytestmark = [pytest.mark.parametrize("sdk", SDKS), pytest.mark.parametrize("provider", PROVIDERS)]


@pytest.fixture
def ask(ai_sdk: NodeClient, sdk: str, provider: str) -> Ask:
    """Runs a scenario and returns its value, or the SDK's error."""

    def run(scenario: str, prompt: str, **given: Any) -> Any:
        given = {"sdk": sdk, "model": f"{provider}/auto", **given}
        return ai_sdk.run(scenario=scenario, prompt=prompt, **given)

    return run


@pytest.mark.parametrize("way", WAYS)
def test_a_text(ask: Ask, script: Any, received: Any, provider: str, way: str) -> None:
    assert ask("text", script("Say hello."), way=way)["value"] == {
        "text": "echo: Say hello.",
        "reasoning": [""],
        "finish": "stop",
        "usage": [4, 3],
        "calls": [],
        "steps": 1,
    }
    assert [entry["provider"] for entry in received()] == [provider]


@pytest.mark.parametrize("way", WAYS)
def test_a_tool_and_the_step_after_it(ask: Ask, script: Any, received: Any, way: str) -> None:
    told = ask("tools", script("call the tool"), way=way)["value"]
    assert (told["calls"], told["steps"], told["finish"]) == (CALLED, 2, "stop")
    assert told["text"] == "tool said: sunny in Paris"
    assert [entry["status"] for entry in received()] == [200, 200]


@pytest.mark.parametrize("way", WAYS)
def test_reasoning_and_the_step_after_it(ask: Ask, script: Any, received: Any, way: str) -> None:
    prompt = script("think and call the tool")
    told = ask("reasoning", prompt, way=way, providerOptions=REASONS)["value"]
    assert told["reasoning"] == ["thinking about: think and call the tool"] * 2
    assert (told["calls"], told["text"]) == (CALLED, "tool said: sunny in Paris")
    assert [entry["status"] for entry in received()] == [200, 200]


@pytest.mark.parametrize("way", WAYS)
def test_an_image(ask: Ask, script: Any, way: str) -> None:
    told = ask("image", script("What?"), way=way)["value"]
    assert told["text"] == "saw 1 images: image/png"


@pytest.mark.parametrize("scenario", ["output", "object", "partial"])
def test_an_object_of_a_schema(ask: Ask, script: Any, sdk: str, scenario: str) -> None:
    """For a model whose name it does not know the SDK has Anthropic call a tool in its place."""
    city = "Paris" if sdk == "anthropic" else "text"
    assert ask(scenario, script("A city.")) == {"value": {"city": city}}


@pytest.mark.parametrize("store", [True, False])
@pytest.mark.parametrize("way", WAYS)
def test_a_second_turn(ask: Ask, script: Any, received: Any, way: str, store: bool) -> None:
    options = {"openai": REASONS["openai"] | ({} if store else {"store": False})}
    given = {"reasoning": "high", "providerOptions": options, "next": script("And now?")}
    told = ask("turns", script("think and call the tool"), way=way, **given)["value"]
    assert told["text"] == "echo: And now?"
    first, after_tool, second = received()
    assert "sunny in Paris" in after_tool["raw"]
    assert "tool said: sunny in Paris" in second["raw"]
    assert "item_reference" not in second["raw"]
    assert [entry["status"] for entry in (first, after_tool, second)] == [200] * 3


@pytest.mark.parametrize(("status", "retryable"), [(400, False), (429, True)])
def test_a_refusal(ask: Ask, script: Any, status: int, retryable: bool) -> None:
    refused = {"status": status, "message": "Odd!"}
    behaviour = dict.fromkeys((*PROVIDERS, "deepseek", "openrouter", "huggingface"), refused)
    behaviour |= {"local": refused, "workers_ai": refused}
    error = ask("text", script("x", **behaviour), way="generate")["error"]
    assert error["name"] == "AI_APICallError"
    assert (error["statusCode"], error["isRetryable"]) == (status, retryable)
    assert error["message"] == error["data"]["error"]["message"]
    if status == 400:
        assert error["message"] == "Odd!"


@pytest.mark.parametrize("way", WAYS)
def test_a_model_that_nobody_has(ask: Ask, sdk: str, way: str) -> None:
    error = ask("text", "x", way=way, model="nobody-has-this")["error"]
    status = 404 if sdk == "anthropic" else 400
    assert (error["name"], error["statusCode"]) == ("AI_APICallError", status)
    assert "nobody-has-this" in error["message"]


def test_a_stream_that_breaks(ask: Ask, script: Any, provider: str) -> None:
    prompt = script(
        "One two three four five six seven eight nine ten.", **{provider: {"break_after": 7}}
    )
    error = ask("text", prompt, way="stream")["error"]
    assert "broke" in error["message"]
