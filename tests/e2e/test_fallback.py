"""What happens when the chosen provider fails, whole and streamed, on both dialects."""

import time
from typing import Any

import httpx
import pytest

from tests.e2e.sse import events

FAILURES: dict[str, dict[str, Any]] = {
    "401": {"status": 401},
    "403": {"status": 403},
    "404": {"status": 404},
    "408": {"status": 408},
    "429": {"status": 429, "headers": {"retry-after": "7"}},
    "500": {"status": 500},
    "503": {"status": 503},
    "refused": {"refuse": True},
    "not HTTP": {"garbage": True},
    "empty": {"empty": True},
    "a page": {"html": True},
}


@pytest.mark.parametrize("provider", ["groq", "gemini"])
def test_half_a_body_is_no_answer(proxy: httpx.Client, script: Any, provider: str) -> None:
    prompt = script("Hello there.", **{provider: {"half_json": True}})
    answer = proxy.post(
        "/v1/generate", json={"prompt": prompt, "provider": provider, "fallback": ["openai"]}
    )
    assert answer.json()["provider"] == "openai"
    assert answer.json()["metadata"]["attempts"][0]["outcome"] == "garbage"


EARLY = {
    "silent from the start": {"stall_after": 0},
    "broken from the start": {"break_after": 0},
    "ended at once": {"end_after": 0},
    "an error for a first event": {"error_event_after": 0},
}


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "streamed"])
@pytest.mark.parametrize("provider", ["groq", "gemini"])
@pytest.mark.parametrize("failure", FAILURES)
def test_the_next_provider_answers(
    proxy: httpx.Client, script: Any, provider: str, failure: str, stream: bool
) -> None:
    prompt = script("Hello there.", **{provider: FAILURES[failure]})
    body = {"prompt": prompt, "provider": provider, "fallback": ["openai"], "stream": stream}
    answer = proxy.post("/v1/generate", json=body)
    assert answer.status_code == 200, answer.text
    told = list(events(answer))[-1][1] if stream else answer.json()
    assert told["provider"] == "openai"
    first, second = told["metadata"]["attempts"]
    assert (first["provider"], second["provider"]) == (provider, "openai")
    assert first["outcome"] != "ok"
    assert second["outcome"] == "ok"
    assert answer.headers["cf-aig-step"] == "1"


@pytest.mark.parametrize("failure", EARLY)
@pytest.mark.parametrize("provider", ["groq", "gemini", "workers-ai"])
def test_a_stream_falls_over_before_its_first_content(
    proxy: httpx.Client, script: Any, provider: str, failure: str
) -> None:
    prompt = script("Hello there.", **{provider: EARLY[failure]})
    body = {"prompt": prompt, "provider": provider, "fallback": ["openai"], "stream": True}
    told = list(events(proxy.post("/v1/generate", json=body)))
    assert told[-1][0] == "done"
    assert told[-1][1]["provider"] == "openai"
    assert "".join(data.get("text", "") for _, data in told[:-1]) == "echo: Hello there."


LATE = {
    "breaks": {"break_after": 4},
    "stalls": {"stall_after": 4},
    "ends unfinished": {"end_after": 4},
    "tells an error": {"error_event_after": 4},
}


@pytest.mark.parametrize("failure", LATE)
@pytest.mark.parametrize("provider", ["groq", "gemini", "workers-ai"])
def test_a_stream_that_fails_later_ends_in_an_error(
    proxy: httpx.Client, script: Any, provider: str, failure: str
) -> None:
    text = "one two three four five six seven eight"
    prompt = script(text, **{provider: LATE[failure]})
    body = {"prompt": prompt, "provider": provider, "stream": True}
    told = list(events(proxy.post("/v1/generate", json=body)))
    assert [name for name, _ in told].count("error") == 1
    name, error = told[-1]
    assert name == "error"
    assert error["success"] is False
    told_by_groq = failure == "tells an error" and provider == "groq"  # a 400, told late
    expected = 504 if failure == "stalls" else 400 if told_by_groq else 502
    assert error["error"]["code"] == expected
    said = "".join(data.get("text", "") for _, data in told[:-1])
    assert said
    assert f"echo: {text}".startswith(said)


@pytest.mark.parametrize("failure", LATE)
def test_the_same_in_openais_form(proxy: httpx.Client, script: Any, failure: str) -> None:
    prompt = script("one two three four five six", groq=LATE[failure])
    body = {"model": "groq/auto", "messages": [{"role": "user", "content": prompt}], "stream": True}
    told = [data for _, data in events(proxy.post("/v1/chat/completions", json=body))]
    last = told[-1]
    assert last["error"]["message"]
    assert last["choices"][0]["finish_reason"] == "error"
    assert not any(
        choice.get("finish_reason") == "stop" for chunk in told for choice in chunk["choices"]
    )


@pytest.mark.parametrize(("status", "kind"), [(400, "invalid_request"), (422, "invalid_request")])
def test_a_refused_request_does_not_wander(
    proxy: httpx.Client, script: Any, received: Any, status: int, kind: str
) -> None:
    behaviour = {"status": status, "message": "temperature is not to my taste"}
    prompt = script(groq=behaviour)
    answer = proxy.post("/v1/generate", json={"prompt": prompt, "provider": "groq"})
    error = answer.json()["error"]
    assert (answer.status_code, error["type"], error["source"]) == (status, kind, "provider")
    assert "not to my taste" in error["message"]
    assert len(received()) == 1


@pytest.mark.parametrize(
    ("behaviour", "status", "kind"),
    [
        ({"status": 401}, 502, "provider_error"),
        ({"status": 403}, 502, "provider_error"),
        ({"status": 404}, 404, "not_found"),
        ({"status": 413}, 413, "payload_too_large"),
        ({"status": 429, "headers": {"retry-after": "7"}}, 429, "rate_limit_exceeded"),
        ({"status": 408}, 504, "provider_timeout"),
        ({"status": 500}, 502, "provider_error"),
        ({"refuse": True}, 502, "provider_error"),
        ({"html": True}, 502, "provider_error"),
    ],
)
def test_the_last_word(
    proxy: httpx.Client, script: Any, behaviour: Any, status: int, kind: str
) -> None:
    prompt = script(groq=behaviour)
    body = {"prompt": prompt, "provider": "groq", "fallback": False}
    answer = proxy.post("/v1/generate", json=body)
    told = answer.json()
    assert (answer.status_code, told["error"]["type"]) == (status, kind), told
    assert told["metadata"]["attempts"][0]["provider"] == "groq"
    assert "test-groq-key" not in answer.text
    if status == 429:
        assert answer.headers["retry-after"] == "7"
        assert told["error"]["retryAfter"] == 7


def test_the_callers_deadline_holds_for_all_attempts(proxy: httpx.Client, script: Any) -> None:
    slow = {"delay_ms": 30_000}
    prompt = script(groq=slow, openai=slow)
    body = {"prompt": prompt, "provider": "groq", "fallback": ["openai"], "timeout": 1000}
    began = time.monotonic()
    answer = proxy.post("/v1/generate", json=body)
    assert time.monotonic() - began < 5
    assert answer.status_code == 504
    assert answer.json()["error"]["type"] == "provider_timeout"
    outcomes = [attempt["outcome"] for attempt in answer.json()["metadata"]["attempts"]]
    assert outcomes == ["timeout", "timeout"]


def test_a_slow_provider_leaves_time_for_the_next(
    proxy: httpx.Client, script: Any, received: Any
) -> None:
    prompt = script(groq={"delay_ms": 30_000})
    body = {"prompt": prompt, "provider": "groq", "fallback": ["openai"], "timeout": 3000}
    answer = proxy.post("/v1/generate", json=body)
    assert answer.json()["provider"] == "openai", answer.text
    assert received()[0]["ended"] == "client_gone"


def test_a_client_that_hangs_up_ends_the_upstream(
    proxy: httpx.Client, script: Any, received: Any
) -> None:
    prompt = script("word " * 200, openai={"event_delay_ms": 50})
    body = {"prompt": prompt, "provider": "openai", "stream": True}
    with proxy.stream("POST", "/v1/generate", json=body) as answer:
        next(answer.iter_lines())
    deadline = time.monotonic() + 5
    while time.monotonic() < deadline and received()[0]["ended"] == "open":
        time.sleep(0.1)
    assert received()[0]["ended"] == "client_gone"


def test_chunks_arrive_as_they_are_sent(proxy: httpx.Client, script: Any) -> None:
    prompt = script("one two three four five", openai={"event_delay_ms": 200})
    body = {"prompt": prompt, "provider": "openai", "stream": True}
    times = []
    with proxy.stream("POST", "/v1/generate", json=body) as answer:
        for name, _ in events(answer):
            times.append((name, time.monotonic()))
    assert times[-1][1] - times[0][1] > 0.5


@pytest.mark.parametrize("size", [1, 7])
@pytest.mark.parametrize("provider", ["groq", "gemini", "workers-ai"])
def test_split_anywhere(proxy: httpx.Client, script: Any, provider: str, size: int) -> None:
    behaviour = {provider: {"split": size}}
    text = "Grüße, 世界 🌍!"
    body = {"prompt": script(text, **behaviour), "provider": provider, "stream": True}
    told = list(events(proxy.post("/v1/generate", json=body)))
    assert "".join(data.get("text", "") for _, data in told[:-1]) == f"echo: {text}"
