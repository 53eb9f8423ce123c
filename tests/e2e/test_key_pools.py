"""Pools of keys in the real Worker: the upstream tells which key was sent by its number."""

from collections.abc import Callable, Iterator
from typing import Any

import httpx
import pytest

from tests.e2e.deployments import KEYS, Deployments
from tests.e2e.sse import events

MODEL = {"model": "openai/gpt-5.4-mini"}
DEAD = {"status": 401}
LIMITED = {"status": 429, "headers": {"retry-after": "30"}}
EMPTY = {
    "status": 429,
    "body": {
        "error": {"message": "You exceeded your current quota.", "code": "insufficient_quota"}
    },
}


@pytest.fixture(autouse=True)
def fresh(later: httpx.Client) -> Iterator[None]:
    """Keys and limits as they are at first."""
    for path in ("/admin/breakers", "/admin/limits?provider=openai", "/admin/limits?provider=groq"):
        assert later.delete(path).status_code == 204
    yield


def ask(later: httpx.Client, prompt: str, session: str = "", **fields: Any) -> httpx.Response:
    headers = {"x-session-id": session} if session else {}
    body = MODEL | {"prompt": prompt, "cache": {"mode": "off"}} | fields
    return later.post("/v1/generate", json=body, headers=headers)


def told(answer: httpx.Response) -> list[tuple[str, int | None, str]]:
    attempts = answer.json()["metadata"]["attempts"]
    return [(each["provider"], each.get("key"), each["outcome"]) for each in attempts]


def test_a_session_keeps_to_its_key(
    later: httpx.Client, script: Any, received: Callable[[], list[Any]]
) -> None:
    sessions = [f"chat-{number}" for number in range(8)]
    for session in sessions * 2:
        assert ask(later, script(), session).json()["provider"] == "openai"
    numbers = [entry["key"] for entry in received()]
    assert numbers[:8] == numbers[8:]
    assert set(numbers) == {1, 2, 3}


def test_one_dead_and_one_limited_key_of_three(
    later: httpx.Client, script: Any, received: Callable[[], list[Any]], deployments: Deployments
) -> None:
    prompt = script(openai={"keys": {"1": DEAD, "2": LIMITED}})
    answers = [ask(later, prompt, f"chat-{number}") for number in range(8)]
    assert {told(answer)[-1] for answer in answers} == {("openai", 3, "ok")}
    failed = {each for answer in answers for each in told(answer)[:-1]}
    assert failed == {("openai", 1, "unauthorized"), ("openai", 2, "rate_limited")}
    blames = {a["blame"] for r in answers for a in r.json()["metadata"]["attempts"][:-1]}
    assert blames == {"key"}
    numbers = [entry["key"] for entry in received()]
    assert (numbers.count(1), numbers.count(2), numbers.count(3)) == (1, 1, 8)
    providers = later.get("/health/providers").json()["providers"]
    [report] = [each for each in providers if each["name"] == "openai"]
    dead, resting, usable = report["keys"]
    assert (dead["state"], usable["state"], usable["models"]) == ("refused", "usable", {})
    assert dead["until"]
    assert list(resting["models"]) == ["gpt-5.4-mini"]
    assert report["breaker"]["phase"] == "closed"
    assert later.get("/admin/breakers").json()["breakers"]["openai#1"]["reason"] == "misconfigured"
    assert later.get("/admin/limits?provider=openai").json()["closed_until"] == 0
    lines = [line for line in deployments.log("later").splitlines() if line.startswith('{"')]
    assert any("openai#1:unauthorized" in line for line in lines)
    shown = "".join([answer.text for answer in answers] + lines)
    assert KEYS["OPENAI_API_KEY"] not in shown


def test_when_all_keys_are_out_the_next_provider_answers(later: httpx.Client, script: Any) -> None:
    prompt = script(openai={"keys": {"1": DEAD, "2": EMPTY, "3": DEAD}})
    answer = ask(later, prompt, fallback=["groq"])
    assert sorted(told(answer)[:3]) == [
        ("openai", 1, "unauthorized"),
        ("openai", 2, "rate_limited"),
        ("openai", 3, "unauthorized"),
    ]
    assert told(answer)[-1] == ("groq", told(answer)[-1][1], "ok")
    assert ask(later, script(), fallback=["groq"]).json()["provider"] == "groq"


def test_a_stream_begins_with_the_next_key(later: httpx.Client, script: Any) -> None:
    prompt = script("Hello there.", openai={"keys": {"1": LIMITED, "2": DEAD}})
    for number in range(4):
        answer = ask(later, prompt, f"stream-{number}", stream=True)
        told_last = list(events(answer))[-1][1]
        assert "Hello" in answer.text
        assert told_last["metadata"]["attempts"][-1]["key"] == 3


def test_keys_of_one_account_are_limited_together(later: httpx.Client, script: Any) -> None:
    prompt = script(groq=LIMITED)
    answer = ask(later, prompt, model="groq/openai/gpt-oss-20b", fallback=["openai"])
    [first, *_, last] = told(answer)
    assert (first[0], first[2], last[0]) == ("groq", "rate_limited", "openai")
    assert [each[0] for each in told(answer)].count("groq") == 1
    assert later.get("/admin/limits?provider=groq").json()["closed_until"] > 0
