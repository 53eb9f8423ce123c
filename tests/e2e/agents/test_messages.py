"""Anthropic's own SDK in front of every provider."""

import json
from typing import Any

import anthropic
import httpx
import pytest
from anthropic import Anthropic
from pydantic import BaseModel

from tests.e2e.deployments import CALLER_KEY
from tests.e2e.openai_sdk import making

PROVIDERS = ["anthropic", *making.PROVIDERS]
WEATHER: Any = {
    "name": "get_weather",
    "description": "The weather in a city.",
    "input_schema": {"type": "object", "properties": {"city": {"type": "string"}}},
}


def user(text: Any) -> Any:
    return [{"role": "user", "content": text}]


def ask(claude: Anthropic, provider: str, messages: Any, **more: Any) -> Any:
    return claude.messages.create(
        model=f"{provider}/auto",
        max_tokens=2048,
        messages=messages,
        extra_body={"fallback": False},
        **more,
    )


@pytest.mark.parametrize("provider", PROVIDERS)
def test_a_message(claude: Anthropic, script: Any, provider: str) -> None:
    message = ask(claude, provider, user(script("Say hello.")), system="Be brief.")
    assert [block.type for block in message.content] == ["text"]
    assert message.content[0].text == "echo: Say hello."
    assert message.stop_reason == "end_turn"
    assert (message.usage.input_tokens, message.usage.output_tokens) == (4, 3)
    assert message._request_id


@pytest.mark.parametrize("provider", [name for name in PROVIDERS if name != "local"])
def test_a_stream_with_tools_and_its_next_turn(
    claude: Anthropic, script: Any, provider: str
) -> None:
    messages = user(script("call the tool twice"))
    with claude.messages.stream(
        model=f"{provider}/auto",
        max_tokens=2048,
        messages=messages,
        tools=[WEATHER],
        extra_body={"fallback": False},
    ) as stream:
        for _ in stream:
            pass
        message = stream.get_final_message()
    calls = [block for block in message.content if block.type == "tool_use"]
    assert message.stop_reason == "tool_use"
    assert [(call.name, call.input) for call in calls] == [("get_weather", {"city": "Paris"})] * 2
    messages.append({"role": "assistant", "content": message.content})
    results = [
        {"type": "tool_result", "tool_use_id": call.id, "content": "sunny"} for call in calls
    ]
    messages.append({"role": "user", "content": results})
    again = ask(claude, provider, messages, tools=[WEATHER])
    assert "sunny" in again.content[0].text


@pytest.mark.parametrize("provider", ["anthropic", "deepseek", "gemini", "openrouter"])
def test_thinking_comes_back_to_its_provider(claude: Anthropic, script: Any, provider: str) -> None:
    thinking: Any = {"type": "enabled", "budget_tokens": 1024}
    messages = user(script("think and call the tool"))
    message = ask(claude, provider, messages, thinking=thinking, tools=[WEATHER])
    kinds = [block.type for block in message.content]
    assert kinds[0] == "thinking"
    assert message.content[0].thinking.startswith("thinking about")
    assert message.content[0].signature
    call = message.content[-1]
    messages.append({"role": "assistant", "content": message.content})
    result = {"type": "tool_result", "tool_use_id": call.id, "content": "sunny"}
    messages.append({"role": "user", "content": [result]})
    again = ask(claude, provider, messages, thinking=thinking, tools=[WEATHER])
    assert "sunny" in again.content[-1].text


class Person(BaseModel):
    name: str


@pytest.mark.parametrize("provider", ["anthropic", "openai", "gemini"])
def test_structured_output(claude: Anthropic, script: Any, provider: str) -> None:
    message = claude.messages.parse(
        model=f"{provider}/auto",
        max_tokens=100,
        messages=user(script("A name.")),
        output_format=Person,
        extra_body={"fallback": False},
    )
    assert message.parsed_output == Person(name="text")


@pytest.mark.parametrize("provider", ["anthropic", "gemini", "openai"])
def test_an_image(claude: Anthropic, script: Any, provider: str) -> None:
    source = {"type": "base64", "media_type": "image/png", "data": "iVBORw0KGgo="}
    content = [{"type": "image", "source": source}, {"type": "text", "text": script("What?")}]
    message = ask(claude, provider, user(content))
    assert message.content[0].text == "saw 1 images: image/png"


def test_a_provider_of_the_dialect_gets_the_bytes_and_the_betas(
    open_url: str, script: Any, received: Any
) -> None:
    content = json.dumps(script("Say hello."))
    head = '{"max_tokens": 64,  "model":"claude-sonnet-5", "messages":[{"role":"user","content":'
    body = f"{head}{content}}}]}}"
    headers = {
        "content-type": "application/json",
        "anthropic-version": "2026-10-21",
        "anthropic-beta": "a,b",
        "x-claude-code-session-id": "s-1",
    }
    answer = httpx.post(f"{open_url}/v1/messages?beta=true", content=body, headers=headers)
    assert answer.status_code == 200
    [entry] = received()
    assert entry["provider"] == "anthropic"
    model = entry["body"]["model"]
    assert entry["raw"] == body.replace("claude-sonnet-5", model)
    assert entry["headers"]["x-api-key"] == "test-anthropic-key"
    for name, value in headers.items():
        assert entry["headers"][name] == value
    assert answer.json()["id"].startswith("msg_upstream")


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("provider", ["anthropic", "groq"])
def test_one_entry_serves_every_dialect(
    open_url: str, script: Any, provider: str, stream: bool
) -> None:
    prompt = script(f"Keep this {stream}.")
    messages = user(prompt)
    body = {"model": f"{provider}/auto", "max_tokens": 77, "messages": messages}
    first = httpx.post(f"{open_url}/v1/messages", json=body | {"stream": stream})
    assert (first.status_code, first.headers["cf-aig-cache-status"]) == (200, "MISS")
    again = httpx.post(f"{open_url}/v1/messages", json=body).json()
    chat = httpx.post(f"{open_url}/v1/chat/completions", json=body)
    assert chat.headers["cf-aig-cache-status"] == "HIT"
    text = f"echo: Keep this {stream}."
    assert again["content"] == [{"type": "text", "text": text}]
    assert chat.json()["choices"][0]["message"]["content"] == text
    if not stream:
        assert again == first.json()


def test_errors_raise_the_sdks_own_exceptions(claude: Anthropic, script: Any) -> None:
    with pytest.raises(anthropic.NotFoundError) as missing:
        claude.messages.create(model="nobody-has-this", max_tokens=5, messages=user("hi"))
    error: Any = missing.value.body
    assert error["error"]["type"] == "not_found_error"
    with pytest.raises(anthropic.BadRequestError, match="max_tokens"):
        claude.post("/v1/messages", body={"model": "auto", "messages": user("x")}, cast_to=object)
    with pytest.raises(anthropic.RateLimitError):
        ask(claude, "groq", user(script("x", groq={"status": 429})))


def test_an_error_of_the_dialects_own_provider_is_left_as_it_is(open_url: str, script: Any) -> None:
    error = {"type": "error", "error": {"type": "invalid_request_error", "message": "Odd!"}}
    body = {
        "model": "anthropic/auto",
        "max_tokens": 5,
        "messages": user(script("x", anthropic={"status": 400, "body": error})),
    }
    answer = httpx.post(f"{open_url}/v1/messages", json=body)
    assert (answer.status_code, answer.json()) == (400, error)


@pytest.mark.parametrize("provider", ["anthropic", "groq"])
def test_a_stream_that_breaks_ends_in_an_error(
    claude: Anthropic, script: Any, provider: str
) -> None:
    behaviour = {provider: {"break_after": 5}}
    with (
        pytest.raises(anthropic.APIStatusError) as broken,
        claude.messages.stream(
            model=f"{provider}/auto",
            max_tokens=50,
            messages=user(script("One two three four five six.", **behaviour)),
            extra_body={"fallback": False},
        ) as stream,
    ):
        for _ in stream:
            pass
    error: Any = broken.value.body
    assert error["type"] == "error"


def test_tokens_are_counted_for_nothing(claude: Anthropic) -> None:
    counted = claude.messages.count_tokens(model="auto", messages=user("word " * 100))
    assert 90 <= counted.input_tokens <= 200


def test_probes_and_the_list_of_models(claude: Anthropic, open_url: str) -> None:
    for path in ("/", "/api/hello"):
        assert httpx.head(open_url + path).status_code == 200
    listed = claude.models.list(limit=1000)
    assert {"auto", "smart"} <= {model.id for model in listed}
    assert claude.models.retrieve("smart").display_name == "smart"


@pytest.mark.parametrize("right", ["x-api-key", "authorization"])
def test_of_two_keys_one_may_be_wrong(keyed_url: str, right: str) -> None:
    keys = {"x-api-key": "sk-ant-old", "authorization": "Bearer sk-ant-old"}
    keys[right] = CALLER_KEY if right == "x-api-key" else f"Bearer {CALLER_KEY}"
    answer = httpx.post(f"{keyed_url}/v1/messages", json={}, headers=keys)
    assert answer.status_code == 400
    refused = httpx.post(f"{keyed_url}/v1/messages", json={}, headers={"x-api-key": "wrong"})
    assert refused.json()["error"]["type"] == "authentication_error"
