"""A stream holds what it promises in whichever way it goes: by the platform's own pipe, chunk by
chunk because a field must be taken out, or translated into the other dialect."""

import json
import time
from collections.abc import Callable
from typing import Any

import httpx
import pytest

from tests.e2e.sse import events
from tests.e2e.test_streams import COUNTED, DONE, HELLO, ROLE, STOP, USAGE, frame, text

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
    return name == "done" if mode == "translated" else last == "[DONE]"


def error_of(mode: str, told: list[tuple[str, Any]]) -> dict[str, Any]:
    """The error in which a stream ended; it is in the form on which the SDKs raise."""
    name, last = told[-1]
    assert name == "error" if mode == "translated" else last["choices"][0]["finish_reason"] == "error"
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
    assert (row["ended"], row["input"], row["output"]) == ("ok", 3, 2)
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
    assert text(told) == f"echo: {mode} {pause} " + "word " * 29 + "word"
    usages = [data for _, data in told if data != "[DONE]" and data.get("usage")]
    assert len(usages) == (0 if mode == "without usage" else 1)
    row = row_of(proxy, answer)
    assert (row["ended"], row["output"], row["costOrigin"]) == ("ok", 33 + len(mode.split()) - 1, "computed")
    hit = ask(proxy, mode, prompt)
    assert hit.headers["cf-aig-cache-status"] == "HIT"
    assert text(list(events(hit))) == text(told)
    assert len(received()) == 1
