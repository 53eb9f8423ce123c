"""A stream holds what it promises in whichever way it goes: by the platform's own pipe, chunk by
chunk because a field must be taken out, or translated into the other dialect."""

import json
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from typing import Any

import httpx
import pytest

from tests.e2e.deployments import Deployments
from tests.e2e.sse import events
from tests.e2e.test_streams import COUNTED, DONE, HELLO, ROLE, STOP, USAGE, text

CHAT, NATIVE = "/v1/chat/completions", "/v1/generate"
IDLE_SECONDS = 1.5
"""The open deployment's IDLE_TIMEOUT_MS."""
USAGE_WANTED = {"stream_options": {"include_usage": True}}
MODES: dict[str, tuple[str, dict[str, Any]]] = {
    "piped": (CHAT, USAGE_WANTED),
    "without usage": (CHAT, {}),
    "translated": (NATIVE, {}),
}
modes = pytest.mark.parametrize("mode", MODES)
Script = Callable[..., str]
Clients = Callable[[str], httpx.Client]


@pytest.fixture
def client_of(deployments: Deployments) -> Iterator[Clients]:
    """Opens clients of deployments by their names."""
    with ExitStack() as stack:

        def open_client(name: str) -> httpx.Client:
            client = httpx.Client(base_url=deployments.get(name).url, timeout=60)
            return stack.enter_context(client)

        yield open_client


def body_of(mode: str, prompt: str, **fields: Any) -> tuple[str, dict[str, Any]]:
    path, beside = MODES[mode]
    messages = [{"role": "user", "content": prompt}]
    body = {"messages": messages, "model": "openai/gpt-4o", "fallback": False, "stream": True}
    return path, body | beside | fields


def ask(proxy: httpx.Client, mode: str, prompt: str, **fields: Any) -> httpx.Response:
    path, body = body_of(mode, prompt, **fields)
    return proxy.post(path, json=body)


def is_whole(mode: str, told: list[tuple[str, Any]]) -> bool:
    """Whether a stream ended as a complete answer."""
    name, last = told[-1]
    return name == "done" if mode == "translated" else bool(last == "[DONE]")


def error_of(mode: str, told: list[tuple[str, Any]]) -> dict[str, Any]:
    """The error in which a stream ended; it is in the form on which the SDKs raise."""
    name, last = told[-1]
    if mode == "translated":
        assert name == "error"
    else:
        assert last["choices"][0]["finish_reason"] == "error"
    error: dict[str, Any] = last["error"]
    return error


def row_of(proxy: httpx.Client, answer: httpx.Response) -> dict[str, Any]:
    """What is recorded of a request."""
    for _ in range(50):
        rows = proxy.get("/analytics/requests").json()["requests"]
        found = [row for row in rows if row["requestId"] == answer.headers["x-request-id"]]
        if found:
            row: dict[str, Any] = found[0]
            return row
        time.sleep(0.1)
    raise AssertionError("the request is not recorded")


def ending(received: Any, number: int = 0, within: float = 5) -> str:
    """How the upstream saw an answer end."""
    deadline = time.monotonic() + within
    while (ended := received()[number]["ended"]) == "open" and time.monotonic() < deadline:
        time.sleep(0.05)
    return str(ended)


def test_a_piped_stream_is_the_providers_own_bytes(
    proxy: httpx.Client, script: Script, received: Any
) -> None:
    odd = HELLO.replace('"choices"', '"x_new":   1e2,  "choices"')
    frames = [": a comment\n\n", ROLE, HELLO, odd, "id: 7\n" + HELLO, STOP, COUNTED, DONE]
    answer = ask(proxy, "piped", script(openai={"frames": frames, "event_delay_ms": 20}))
    assert answer.text == "".join(frames)
    row = row_of(proxy, answer)
    assert (row["ended"], row["usage"]["totalTokens"]) == ("ok", USAGE["total_tokens"])
    assert row["bytesOut"] == len(answer.content)
    assert ending(received) == "complete"


@modes
@pytest.mark.parametrize("pause", [0, 40])
def test_a_whole_stream(
    proxy: httpx.Client, script: Script, received: Any, mode: str, pause: int
) -> None:
    prompt = script(f"{mode} {pause} " + "word " * 30, openai={"event_delay_ms": pause})
    answer = ask(proxy, mode, prompt)
    told = list(events(answer))
    assert is_whole(mode, told)
    assert text(told) == f"echo: {mode} {pause} " + ("word " * 30).strip()
    usages = [data for _, data in told if data != "[DONE]" and data.get("usage")]
    assert len(usages) == (0 if mode == "without usage" else 1)
    row = row_of(proxy, answer)
    output = len(text(told).split())
    assert (row["ended"], row["usage"]["outputTokens"]) == ("ok", output)
    assert row["costOrigin"] == "computed"
    assert row["bytesOut"] == len(answer.content)
    hit = ask(proxy, mode, prompt)
    assert hit.headers["cf-aig-cache-status"] == "HIT"
    assert text(list(events(hit))) == text(told)
    assert len(received()) == 1


@modes
def test_up_to_the_first_content_another_provider_takes_over(
    proxy: httpx.Client, script: Script, received: Any, mode: str
) -> None:
    prompt = script(f"{mode} over", openai={"frames": [ROLE], "break_after": 1})
    answer = ask(proxy, mode, prompt, fallback=["groq"])
    assert answer.headers["x-proxy-provider"] == "groq"
    assert text(list(events(answer))) == f"echo: {mode} over"
    assert [one["provider"] for one in received()] == ["openai", "groq"]


BREAKS: dict[str, tuple[dict[str, Any], str, str]] = {
    "breaks": ({"break_after": 4}, "provider_error", "network"),
    "stalls": ({"stall_after": 4}, "provider_timeout", "timeout"),
    "stalls late": ({"stall_after": 30, "event_delay_ms": 30}, "provider_timeout", "timeout"),
    "has no finish": ({"end_after": 4}, "provider_error", "network"),
    "breaks in a word": ({"split": 100, "break_after": 8}, "provider_error", "network"),
}


@modes
@pytest.mark.parametrize("how", BREAKS)
def test_a_stream_that_breaks_off_ends_in_the_error_event(
    proxy: httpx.Client, script: Script, received: Any, mode: str, how: str
) -> None:
    behaviour, kind, ended = BREAKS[how]
    prompt = script(f"{mode} " + "word " * 40, openai=behaviour)
    path, body = body_of(mode, prompt)
    told, times = list[tuple[str, Any]](), [time.monotonic()]
    with proxy.stream("POST", path, json=body) as answer:
        lines = [(time.monotonic(), line) for line in answer.iter_lines() if line]
    for at, line in lines:
        name = line[7:] if line.startswith("event: ") else ""
        times.append(at)
        if line.startswith("data: ") and is_json(line[6:]):
            told.append(("error" if lines[-2][1] == "event: error" else name, json.loads(line[6:])))
    error = error_of(mode, told)
    assert error["source"] == "provider"
    assert kind in (error["type"], error.get("error_type"))
    assert f"echo: {mode}".startswith(text(told)[:6])
    assert times[-1] - times[-3] < 2 * IDLE_SECONDS
    row = row_of(proxy, answer)
    assert (row["ended"], row["costOrigin"]) == (ended, "estimated")
    assert row["usage"]["outputTokens"] > 0
    assert (
        ask(proxy, mode, script(f"{mode} " + "word " * 40)).headers["x-proxy-provider"] == "openai"
    )
    assert ending(received) in ("broken", "complete", "client_gone")


def is_json(line: str) -> bool:
    try:
        json.loads(line)
    except ValueError:
        return False
    return True


@modes
def test_the_whole_deadline_ends_a_stream(
    proxy: httpx.Client, script: Script, received: Any, mode: str
) -> None:
    prompt = script(f"{mode} " + "word " * 200, openai={"event_delay_ms": 50})
    began = time.monotonic()
    answer = ask(proxy, mode, prompt, timeout=1000)
    assert time.monotonic() - began < 4
    error = error_of(mode, told := list(events(answer)))
    assert "The request's own time was up" in error["message"]
    assert text(told).startswith(f"echo: {mode}")
    row = row_of(proxy, answer)
    assert (row["ended"], row["costOrigin"]) == ("timeout", "estimated")
    assert 5 < row["usage"]["outputTokens"] < 60
    assert ending(received) == "client_gone"


@modes
@pytest.mark.parametrize("provider_says", ["done", "finish"])
def test_a_provider_that_keeps_the_connection_open_keeps_nobody_waiting(
    proxy: httpx.Client, script: Script, received: Any, mode: str, provider_says: str
) -> None:
    frames = [ROLE, HELLO, STOP, COUNTED, *([DONE] if provider_says == "done" else [])]
    prompt = script(f"{mode} open", openai={"frames": frames, "stall_after": len(frames)})
    began = time.monotonic()
    told = list(events(ask(proxy, mode, prompt)))
    assert time.monotonic() - began < 2.5
    assert is_whole(mode, told)
    assert text(told) == "Hello"
    assert ask(proxy, mode, prompt).headers["cf-aig-cache-status"] == "HIT"
    assert ending(received) == "client_gone"


@modes
def test_a_missing_mark_of_the_end_is_added(proxy: httpx.Client, script: Script, mode: str) -> None:
    prompt = script(f"{mode} mark", openai={"frames": [HELLO, STOP, COUNTED.rstrip()]})
    told = list(events(ask(proxy, mode, prompt)))
    assert is_whole(mode, told)
    assert text(told) == "Hello"


@modes
def test_an_error_in_the_stream_is_told_and_counted(
    proxy: httpx.Client, script: Script, mode: str
) -> None:
    prompt = script(f"{mode} " + "word " * 10, openai={"error_event_after": 5})
    answer = ask(proxy, mode, prompt)
    assert "The server had an error" in error_of(mode, list(events(answer)))["message"]
    row = row_of(proxy, answer)
    assert (row["ended"], row["costOrigin"]) == ("unavailable", "estimated")
    assert ask(proxy, mode, prompt).headers["cf-aig-cache-status"] == "MISS"


@modes
@pytest.mark.parametrize("deployment", ["open", "routing"])
def test_a_caller_who_leaves(
    client_of: Clients, script: Script, received: Any, mode: str, deployment: str
) -> None:
    proxy = client_of(deployment)
    behaviour = {"event_delay_ms": 50}
    path, body = body_of(mode, script(f"{mode} " + "word " * 60, openai=behaviour))
    with proxy.stream("POST", path, json=body) as answer:
        next(answer.iter_lines())
    left = time.monotonic()
    if deployment == "open":
        assert ending(received) == "client_gone"
        assert time.monotonic() - left < 1
    else:
        assert ending(received, within=10) == "complete"
    row = row_of(proxy, answer)
    assert row["ended"] == "client_gone"
    if deployment == "open":
        assert row["costOrigin"] == "estimated"
        assert row["usage"]["outputTokens"] > 0
    else:
        assert row["costOrigin"] == "computed"
        assert row["usage"]["outputTokens"] >= 60
        assert proxy.post(path, json=body).headers["cf-aig-cache-status"] == "HIT"


@modes
def test_an_answer_beyond_what_is_kept_goes_on_flowing(
    proxy: httpx.Client, script: Script, received: Any, mode: str
) -> None:
    words = " ".join(["x" * 99_999] * 95)
    answer = ask(proxy, mode, script(words), model="openai/unheard-of")
    told = list(events(answer))
    assert is_whole(mode, told)
    assert text(told) == f"echo: {words}"
    row = row_of(proxy, answer)
    assert (row["ended"], row["usage"]["outputTokens"]) == ("ok", 96)
    again = ask(proxy, mode, script(words), model="openai/unheard-of")
    assert again.headers["cf-aig-cache-status"] == "MISS"


@modes
def test_long_streams_side_by_side_are_whole(
    proxy: httpx.Client, script: Script, mode: str
) -> None:
    words = "x" * 3000 + " "
    prompts = [script(f"{mode} {n} {words * 250}", openai={"event_delay_ms": 5}) for n in range(5)]
    with ThreadPoolExecutor(5) as pool:
        large = {"model": "openai/unheard-of"}  # a listed one has no room for so long a prompt
        answers = list(pool.map(lambda prompt: ask(proxy, mode, prompt, **large), prompts))
    for n, answer in enumerate(answers):
        told = list(events(answer))
        assert is_whole(mode, told)
        assert text(told) == f"echo: {mode} {n} {words * 250}".strip()


@modes
def test_followers_get_the_leaders_answer(
    client_of: Clients, script: Script, received: Any, mode: str
) -> None:
    proxy = client_of("coalescing")
    prompt = script(f"{mode} " + "word " * 20, openai={"event_delay_ms": 30})
    with ThreadPoolExecutor(4) as pool:
        answers = list(pool.map(lambda _: ask(proxy, mode, prompt), range(4)))
    texts = {text(list(events(answer))) for answer in answers}
    assert texts == {f"echo: {mode} " + ("word " * 20).strip()}
    assert all(is_whole(mode, list(events(answer))) for answer in answers)
    assert len(received()) == 1
