"""What one caller does takes no provider from another: who caused a failure is told apart."""

import json
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from tests.e2e.conftest import Script
from tests.e2e.deployments import Deployments
from tests.e2e.sse import events

TIMES = 7
"""Failures of one caller: more than open a breaker."""


@pytest.fixture
def routing(deployments: Deployments) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=deployments.get("routing").url, timeout=60) as client:
        assert client.delete("/admin/breakers").status_code == 204
        yield client


@pytest.fixture
def hasty(deployments: Deployments) -> Iterator[httpx.Client]:
    """A deployment that takes a stream for slow after 300 ms."""
    with httpx.Client(base_url=deployments.get("hasty").url, timeout=60) as client:
        assert client.delete("/admin/breakers").status_code == 204
        yield client


def ask(client: httpx.Client, prompt: str, **fields: Any) -> httpx.Response:
    headers = fields.pop("headers", None)
    body = {"prompt": prompt, "cache": {"mode": "off"}} | fields
    return client.post("/v1/generate", json=body, headers=headers)


def is_closed(client: httpx.Client, provider: str) -> bool:
    """Whether all breakers of a provider stand closed, wherever they are shown."""
    shown = client.get("/admin/breakers").json()["breakers"]
    ours = [view for name, view in shown.items() if name.partition("/")[0] == provider]
    providers = client.get("/health/providers").json()["providers"]
    [health] = [entry for entry in providers if entry["name"] == provider]
    phases = {view["phase"] for view in [*ours, health["breaker"]] if view}
    return phases == {"closed"} and health["models"] == {}


def answers_at_once(client: httpx.Client, script: Script, provider: str) -> bool:
    """Whether another caller's plain request is answered by that provider, tried first."""
    metadata = ask(client, script("another"), model=f"{provider}/fast").json()["metadata"]
    return [(a["provider"], a["outcome"]) for a in metadata["attempts"]] == [(provider, "ok")]


def refusal(message: str, code: str | None = None) -> dict[str, Any]:
    error = {"message": message, "type": "invalid_request_error", "param": None, "code": code}
    return {"status": 403, "body": {"error": error}}


NO_ACCESS = refusal("Project `p` does not have access to model `gpt-9`", "model_not_found")


@pytest.mark.parametrize(
    "refused",
    [
        NO_ACCESS,
        refusal("You are not allowed to sample from this model"),
        refusal("Forbidden"),
        refusal("You do not have permission to access the File abc or it may not exist."),
    ],
)
@pytest.mark.parametrize("stream", [False, True])
def test_a_403_for_a_request_leaves_the_provider_to_others(
    routing: httpx.Client, script: Script, refused: dict[str, Any], stream: bool
) -> None:
    for _ in range(TIMES):
        prompt = script(openai=refused)
        answer = ask(routing, prompt, model="openai/gpt-9", fallback=False, stream=stream)
        assert answer.status_code == 502
        assert answer.json()["metadata"]["attempts"][0]["blame"] == "caller"
        assert answers_at_once(routing, script, "openai")
    assert is_closed(routing, "openai")


@pytest.mark.parametrize("status", [400, 403, 422])
@pytest.mark.parametrize(
    "message",
    [
        "Invalid value for the tool 'api key not valid'.",
        "invalid_api_key is not a valid tool name",
        "Unknown tool: location not supported",
        "The function `model_not_found` does not exist",
    ],
)
def test_a_message_that_repeats_a_callers_words_does_so_too(
    routing: httpx.Client, script: Script, message: str, status: int
) -> None:
    refused = refusal(message) | {"status": status}
    for _ in range(TIMES):
        answer = ask(routing, script(openai=refused), model="openai/fast", fallback=False)
        assert answer.status_code in (404, status, 502)
    assert is_closed(routing, "openai")
    assert answers_at_once(routing, script, "openai")


def test_a_403_for_the_key_does_not(routing: httpx.Client, script: Script) -> None:
    prompt = script(openai=refusal("Your API key has been revoked"))
    assert ask(routing, prompt, model="openai/fast", fallback=False).status_code == 502
    assert not is_closed(routing, "openai")
    assert not answers_at_once(routing, script, "openai")


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("by_header", [False, True])
def test_a_callers_deadline_leaves_the_provider_to_others(
    routing: httpx.Client, script: Script, by_header: bool, stream: bool
) -> None:
    prompt = script(openai={"delay_ms": 2000})
    haste: dict[str, Any] = {"timeout": 50}
    if by_header:
        haste = {"headers": {"cf-aig-request-timeout": "50"}}
    for _ in range(TIMES):
        answer = ask(routing, prompt, model="openai/fast", fallback=False, stream=stream, **haste)
        error = answer.json()["error"]
        assert (answer.status_code, error["type"]) == (504, "provider_timeout")
        assert error["source"] == "proxy"
        assert "The request's own time was up" in error["message"]
    assert ask(routing, prompt, model="openai/fast", timeout=1).status_code == 504
    assert is_closed(routing, "openai")
    assert answers_at_once(routing, script, "openai")


def test_a_callers_deadline_in_a_running_stream_does_so_too(
    routing: httpx.Client, script: Script
) -> None:
    prompt = script("one two three four five", openai={"event_delay_ms": 200})
    body = {"model": "openai/fast", "fallback": False, "stream": True, "timeout": 700}
    for _ in range(TIMES):
        name, told = list(events(ask(routing, prompt, **body)))[-1]
        assert (name, told["error"]["code"], told["error"]["source"]) == ("error", 504, "proxy")
        assert "The request's own time was up" in told["error"]["message"]
    assert is_closed(routing, "openai")
    assert answers_at_once(routing, script, "openai")


def test_the_deployments_own_time_out_does_not(hasty: httpx.Client, script: Script) -> None:
    prompt = script(openai={"delay_ms": 3000})
    body = {"model": "openai/fast", "fallback": False, "stream": True}
    for _ in range(5):
        error = ask(hasty, prompt, **body).json()["error"]
        assert (error["code"], error["source"]) == (504, "provider")
    assert not is_closed(hasty, "openai")


def test_a_whole_answer_may_take_long(hasty: httpx.Client, script: Script) -> None:
    body = {"model": "openai/fast", "fallback": False}
    for _ in range(TIMES):
        assert ask(hasty, script(openai={"delay_ms": 400}), **body).status_code == 200
    assert is_closed(hasty, "openai")
    assert answers_at_once(hasty, script, "openai")
    for _ in range(10):
        list(events(ask(hasty, script(openai={"delay_ms": 400}), stream=True, **body)))
    assert not is_closed(hasty, "openai")


@pytest.mark.parametrize("reason", ["MALFORMED_FUNCTION_CALL", "OTHER", "LANGUAGE", "NO_IMAGE"])
@pytest.mark.parametrize("stream", [False, True])
def test_an_answer_that_one_request_can_not_have(
    routing: httpx.Client, script: Script, reason: str, stream: bool
) -> None:
    candidate = {"content": {"parts": []}, "finishReason": reason, "index": 0}
    told: Any = {"candidates": [candidate], "usageMetadata": {"promptTokenCount": 3}}
    behaviour: dict[str, Any] = {"body": told}
    if stream:
        behaviour = {
            "body": f"data: {json.dumps(told)}\n\n",
            "headers": {"content-type": "text/event-stream"},
        }
    for _ in range(TIMES):
        prompt = script(gemini=behaviour)
        answer = ask(routing, prompt, model="gemini/fast", fallback=["groq"], stream=stream)
        done = list(events(answer))[-1][1] if stream else answer.json()
        assert done["provider"] == "groq"
    assert is_closed(routing, "gemini")
    assert answers_at_once(routing, script, "gemini")


@pytest.mark.parametrize(
    "body",
    [
        '{"choices": [{"message": {"content": "\\ud800"}}]}',
        '{"choices": [{"message": {"content": "x"}, "logprobs": NaN}]}',
        {"choices": {"0": {"message": {"content": "x"}}}},
    ],
)
def test_what_only_the_proxy_can_not_read(routing: httpx.Client, script: Script, body: Any) -> None:
    for _ in range(TIMES):
        ask(routing, script(openai={"body": body}), model="openai/fast", fallback=False)
    assert is_closed(routing, "openai")
    assert answers_at_once(routing, script, "openai")


def test_with_all_breakers_open_somebody_is_tried(routing: httpx.Client, script: Script) -> None:
    for provider in ("openai", "groq"):
        ask(routing, script(**{provider: {"status": 401}}), provider=provider, fallback=False)
    told = ask(routing, script(), provider="openai", fallback=["groq"]).json()
    outcomes = [attempt["outcome"] for attempt in told["metadata"]["attempts"]]
    assert sorted(outcomes) == ["breaker_open", "ok"]
