"""Conversations in the real runtime: they keep to their provider, and can be found again."""

import json
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from tests.e2e.conftest import Script
from tests.e2e.deployments import ADMIN_TOKEN, Deployments

SESSIONS = [f"talk-{number}" for number in range(30)]
OPENAI = "/v1/chat/completions"


@pytest.fixture
def canary(deployments: Deployments) -> Iterator[httpx.Client]:
    """A deployment that draws openai four times of five, else groq."""
    headers = {"authorization": f"Bearer {ADMIN_TOKEN}"}
    url = deployments.get("canary").url
    with httpx.Client(base_url=url, headers=headers, timeout=60) as client:
        assert client.delete("/admin/breakers").status_code == 204
        yield client


def take_turn(client: httpx.Client, prompt: str, session: str) -> str:
    """Who answers a turn of a conversation."""
    body = {"prompt": prompt, "cache": {"mode": "off"}}
    answer = client.post("/v1/generate", json=body, headers={"x-session-id": session})
    assert answer.status_code == 200, answer.text
    return str(answer.json()["provider"])


def test_its_turns_meet_the_same_provider(canary: httpx.Client, script: Script) -> None:
    first = [take_turn(canary, script(f"first {name}"), name) for name in SESSIONS]
    assert set(first) == {"openai", "groq"}
    assert [take_turn(canary, script(f"then {name}"), name) for name in SESSIONS] == first


def test_who_answered_in_the_place_of_another_is_its_home(
    canary: httpx.Client, script: Script
) -> None:
    name = next(
        f"moved-{number}"
        for number in range(100)
        if take_turn(canary, script(f"{number}"), f"moved-{number}") == "openai"
    )
    assert take_turn(canary, script("and", openai={"status": 500}), name) == "groq"
    assert [take_turn(canary, script(f"then {n}"), name) for n in range(3)] == ["groq"] * 3
    rows = canary.get("/analytics/requests", params={"session": name}).json()["requests"]
    assert [row["provider"] for row in rows] == ["groq"] * 4 + ["openai"]
    assert {row["session"] for row in rows} == {name}
    assert canary.get("/analytics/requests?session=nobodys").json()["requests"] == []


def test_providers_get_its_name_and_nothing_else_changes(
    proxy: httpx.Client, script: Script, received: Any
) -> None:
    messages = [{"role": "user", "content": script()}]
    for model in ("gpt-5.4-mini", "groq/openai/gpt-oss-20b", "workers-ai/auto"):
        body = json.dumps({"model": model, "messages": messages, "seed": 7}, indent=1)
        for name in ({}, {"x-session-id": "s-1"}):
            headers = name | {"content-type": "application/json", "cache-control": "no-store"}
            answer = proxy.post(OPENAI, content=body, headers=headers)
            assert answer.status_code == 200, answer.text
    plain, named = received()[:2]
    assert "\n " in plain["raw"]
    assert named["raw"] == '{"prompt_cache_key":"s-1",' + plain["raw"][1:]
    for plain, named in (received()[2:4], received()[4:]):
        assert named["raw"] == plain["raw"]
    assert "x-session-affinity" not in plain["headers"]
    assert named["headers"]["x-session-affinity"] == "s-1"


def test_the_bodys_field_reaches_who_takes_it_only(
    proxy: httpx.Client, script: Script, received: Any
) -> None:
    for model in ("openrouter/openai/gpt-5.4-mini", "groq/openai/gpt-oss-20b"):
        body = {
            "model": model,
            "messages": [{"role": "user", "content": script(model)}],
            "session_id": "s-2",
        }
        assert proxy.post(OPENAI, json=body).status_code == 200
    assert [entry["body"].get("session_id") for entry in received()] == ["s-2", None]
