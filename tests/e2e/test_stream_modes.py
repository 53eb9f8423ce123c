"""A stream holds what it promises in whichever way it goes: by the platform's own pipe, chunk by
chunk because a field must be taken out, or translated into the other dialect."""

import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from itertools import pairwise
from typing import Any

import httpx
import pytest

from tests.e2e import forms
from tests.e2e.deployments import Deployments
from tests.e2e.forms import Told, text, told_by
from tests.e2e.sse import parse
from tests.e2e.stream_modes import (
    MODES,
    ask,
    behave,
    body_of,
    check_error,
    error_of,
    is_whole,
    unheard,
)
from tests.e2e.test_streams import USAGE

IDLE_SECONDS = 1.5
"""The open deployment's IDLE_TIMEOUT_MS."""


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


@pytest.mark.parametrize("mode", [name for name, mode in MODES.items() if mode.flows])
def test_a_piped_stream_is_the_providers_own_bytes(
    proxy: httpx.Client, script: Script, received: Any, mode: str
) -> None:
    pieces = MODES[mode].pieces
    odd = pieces.hello.replace("data: {", 'data: {"x_new":   1e2,  ')
    content = [pieces.hello, odd, "id: 7\n" + pieces.hello]
    frames = [": a comment\n\n", *pieces.begun, *content, *pieces.stop, *pieces.done]
    behaviour = behave(mode, frames=frames, event_delay_ms=20)
    answer = ask(proxy, mode, script(mode, **behaviour))
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
    prompt = script(f"{mode} {pause} " + "word " * 30, **behave(mode, event_delay_ms=pause))
    answer = ask(proxy, mode, prompt)
    told = told_by(answer)
    assert is_whole(mode, told)
    assert text(told) == f"echo: {mode} {pause} " + ("word " * 30).strip()
    row = row_of(proxy, answer)
    output = len(text(told).split())
    assert (row["ended"], row["usage"]["outputTokens"]) == ("ok", output)
    assert usages(told) == ([] if mode == "without usage" else [output])
    assert row["costOrigin"] == "computed"
    assert row["bytesOut"] == len(answer.content)
    hit = ask(proxy, mode, prompt)
    assert hit.headers["cf-aig-cache-status"] == "HIT"
    assert text(told_by(hit)) == text(told)
    assert is_whole(mode, told_by(hit))
    assert len(received()) == 1


def usages(told: Told) -> list[int]:
    """The tokens of the answer, as often as a stream tells them."""
    found = list[int]()
    for name, data in told:
        body = data if isinstance(data, dict) else {}
        usage = (body.get("response") or body).get("usage")
        if usage and name != "message_start":
            names = ("completion_tokens", "output_tokens", "outputTokens")
            found += [usage[name] for name in names if name in usage]
    return found


@modes
def test_up_to_the_first_content_another_provider_takes_over(
    proxy: httpx.Client, script: Script, received: Any, mode: str
) -> None:
    begun = MODES[mode].pieces.begun
    prompt = script(f"{mode} over", **behave(mode, frames=begun, break_after=len(begun)))
    answer = ask(proxy, mode, prompt, fallback=["groq"])
    assert answer.headers["x-proxy-provider"] == "groq"
    assert text(told_by(answer)) == f"echo: {mode} over"
    assert [one["provider"] for one in received()] == [MODES[mode].provider, "groq"]


BREAKS: dict[str, tuple[dict[str, Any], str, str]] = {
    "breaks": ({"break_after": 8}, "provider_error", "network"),
    "stalls": ({"stall_after": 8}, "provider_timeout", "timeout"),
    "stalls late": ({"stall_after": 30, "event_delay_ms": 30}, "provider_timeout", "timeout"),
    "has no finish": ({"end_after": 8}, "provider_error", "network"),
    "breaks in a word": ({"split": 500, "break_after": 9}, "provider_error", "network"),
}


@modes
@pytest.mark.parametrize("how", BREAKS)
def test_a_stream_that_breaks_off_ends_in_the_error_event(
    proxy: httpx.Client, script: Script, received: Any, mode: str, how: str
) -> None:
    behaviour, kind, ended = BREAKS[how]
    prompt = script(f"{mode} " + "word " * 40, **behave(mode, **behaviour))
    path, body = body_of(mode, prompt)
    with proxy.stream("POST", path, json=body) as answer:
        timed = [(time.monotonic(), line) for line in answer.iter_lines()]
    # A provider's own bytes may end within an event; callers of Messages are spared that.
    cut = MODES[mode].flows and MODES[mode].dialect != "messages"
    told = list(parse((line for _, line in timed), cut=cut))
    check_error(mode, error_of(mode, told), kind)
    assert f"echo: {mode}".startswith(text(told)[:6])
    times = [at for at, _ in timed]
    assert max(after - before for before, after in pairwise(times)) < 2 * IDLE_SECONDS
    row = row_of(proxy, answer)
    assert (row["ended"], row["costOrigin"]) == (ended, "estimated")
    assert row["usage"]["outputTokens"] > 0
    again = ask(proxy, mode, script(f"{mode} " + "word " * 40))
    assert again.headers["x-proxy-provider"] == MODES[mode].provider
    assert ending(received) in ("broken", "complete", "client_gone")


@modes
def test_the_whole_deadline_ends_a_stream(
    proxy: httpx.Client, script: Script, received: Any, mode: str
) -> None:
    prompt = script(f"{mode} " + "word " * 200, **behave(mode, event_delay_ms=50))
    began = time.monotonic()
    answer = ask(proxy, mode, prompt, timeout=1000)
    assert time.monotonic() - began < 4
    error = error_of(mode, told := told_by(answer))
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
    pieces = MODES[mode].pieces
    frames = [*pieces.begun, pieces.hello, *pieces.stop]
    frames += pieces.done if provider_says == "done" else ()
    prompt = script(f"{mode} open", **behave(mode, frames=frames, stall_after=len(frames)))
    began = time.monotonic()
    told = told_by(ask(proxy, mode, prompt))
    assert time.monotonic() - began < 2.5
    assert is_whole(mode, told)
    assert text(told) == "Hello"
    assert ask(proxy, mode, prompt).headers["cf-aig-cache-status"] == "HIT"
    assert ending(received) == "client_gone"


@modes
def test_a_missing_mark_of_the_end_is_added(proxy: httpx.Client, script: Script, mode: str) -> None:
    pieces = MODES[mode].pieces
    frames = [*pieces.begun, pieces.hello, *pieces.stop]
    frames[-1] = frames[-1].rstrip()
    prompt = script(f"{mode} mark", **behave(mode, frames=frames))
    told = told_by(ask(proxy, mode, prompt))
    assert is_whole(mode, told)
    assert text(told) == "Hello"


@modes
def test_an_error_in_the_stream_is_told_and_counted(
    proxy: httpx.Client, script: Script, mode: str
) -> None:
    prompt = script(f"{mode} " + "word " * 10, **behave(mode, error_event_after=8))
    answer = ask(proxy, mode, prompt)
    message = error_of(mode, told_by(answer))["message"]
    assert "The server had an error" in message or "Overloaded" in message
    row = row_of(proxy, answer)
    assert (row["ended"], row["costOrigin"]) == ("unavailable", "estimated")
    assert ask(proxy, mode, prompt).headers["cf-aig-cache-status"] == "MISS"


@modes
@pytest.mark.parametrize("deployment", ["open", "routing"])
def test_a_caller_who_leaves(
    client_of: Clients, script: Script, received: Any, mode: str, deployment: str
) -> None:
    proxy = client_of(deployment)
    prompt = script(f"{mode} " + "word " * 60, **behave(mode, event_delay_ms=50))
    path, body = body_of(mode, prompt)
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
    answer = ask(proxy, mode, script(words), **unheard(mode))
    told = told_by(answer)
    assert is_whole(mode, told)
    assert text(told) == f"echo: {words}"
    row = row_of(proxy, answer)
    assert (row["ended"], row["usage"]["outputTokens"]) == ("ok", 96)
    again = ask(proxy, mode, script(words), **unheard(mode))
    assert again.headers["cf-aig-cache-status"] == "MISS"


@modes
def test_long_streams_side_by_side_are_whole(
    proxy: httpx.Client, script: Script, mode: str
) -> None:
    words = "x" * 3000 + " "
    prompts = [
        script(f"{mode} {n} {words * 250}", **behave(mode, event_delay_ms=5)) for n in range(5)
    ]
    with ThreadPoolExecutor(5) as pool:
        large = unheard(mode)
        answers = list(pool.map(lambda prompt: ask(proxy, mode, prompt, **large), prompts))
    for n, answer in enumerate(answers):
        told = told_by(answer)
        assert is_whole(mode, told)
        assert text(told) == f"echo: {mode} {n} {words * 250}".strip()


@modes
def test_followers_get_the_leaders_answer(
    client_of: Clients, script: Script, received: Any, mode: str
) -> None:
    proxy = client_of("coalescing")
    prompt = script(f"{mode} " + "word " * 20, **behave(mode, event_delay_ms=30))
    with ThreadPoolExecutor(4) as pool:
        answers = list(pool.map(lambda _: ask(proxy, mode, prompt), range(4)))
    texts = {text(told_by(answer)) for answer in answers}
    assert texts == {f"echo: {mode} " + ("word " * 20).strip()}
    assert all(is_whole(mode, told_by(answer)) for answer in answers)
    assert len(received()) == 1


def test_followers_of_every_dialect_get_the_leaders_answer(
    client_of: Clients, script: Script, received: Any
) -> None:
    proxy = client_of("coalescing")
    prompt = script("All of " + "word " * 20, openai={"event_delay_ms": 30, "delay_ms": 500})
    asked = ["piped", "translated", "messages translated", "responses native"]

    def follow(mode: str) -> httpx.Response:
        return ask(proxy, mode, prompt, stream=mode != "translated", **same_limit(mode))

    with ThreadPoolExecutor(len(asked)) as pool:
        answers = list(pool.map(follow, asked))
    for mode, answer in zip(asked, answers, strict=True):
        told = told_by(answer)
        assert text(told) == "echo: All of " + ("word " * 20).strip(), mode
        assert forms.is_whole(MODES[mode].dialect, told)
    assert len(received()) == 1


def same_limit(mode: str) -> dict[str, int]:
    """The limit that callers of Messages must set, in the other dialects."""
    names = {"responses": "max_output_tokens", "native": "maxTokens"}
    return {names.get(MODES[mode].dialect, "max_tokens"): 4000}
