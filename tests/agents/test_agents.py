"""Claude Code and Codex at their work, with each kind of provider behind the proxy."""

import json
from typing import Any

import pytest

from tests.agents.agents import Agent, ClaudeCode, Codex

PROVIDERS = ["anthropic", "openai", "groq", "gemini"]
TEXT = "Grüße\n"
DONE = "I made the file."
MID_SYSTEM = "mid-conversation-system-2026-04-07"


def task(script: Any, agent: Agent, provider: str, **more: Any) -> str:
    """A prompt on which the provider's model reasons and makes hello.txt."""
    behaviour = {"calls": [agent.writes("hello.txt", TEXT)], "text": DONE}
    prompt: str = script("think, then make hello.txt.", **{provider: behaviour, **more})
    return prompt


def follow_up(text: str, provider: str) -> str:
    """The next prompt: the one before stays in the conversation, and so does its directive."""
    return f"{text} upstream:{json.dumps({provider: {'calls': [], 'text': None}})}"


def served(entries: list[Any]) -> list[tuple[str, int]]:
    return [(entry["provider"], entry["status"]) for entry in entries]


@pytest.mark.parametrize("provider", PROVIDERS)
def test_it_makes_a_file_and_goes_on(
    agent: Agent, provider: str, script: Any, received: Any
) -> None:
    run = agent.ask(task(script, agent, provider), f"{provider}/auto")
    assert (run.status, run.said) == (0, DONE), run.log
    assert (agent.work / "hello.txt").read_text("utf-8") == TEXT
    assert served(received()) == [(provider, 200)] * 2
    assert not any(entry["unknown"] for entry in received())
    assert agent.result in received()[1]["raw"]
    again = agent.ask(follow_up("What now?", provider), f"{provider}/auto", again=True)
    assert (again.status, again.said) == (0, "echo: What now?"), again.log
    assert served(received()) == [(provider, 200)] * 3


@pytest.mark.parametrize(("first", "second"), [("gemini", "anthropic"), ("anthropic", "openai")])
def test_a_session_goes_on_with_another_provider(
    agent: Agent, first: str, second: str, script: Any, received: Any
) -> None:
    run = agent.ask(task(script, agent, first), f"{first}/auto")
    assert (run.status, run.said) == (0, DONE), run.log
    again = agent.ask("What do you think?", f"{second}/auto", again=True)
    assert (again.status, again.said) == (0, "echo: What do you think?"), again.log
    assert served(received())[2:] == [(second, 200)]


def test_it_does_not_notice_that_a_provider_is_down(
    agent: Agent, script: Any, received: Any
) -> None:
    prompt = task(script, agent, "gemini", groq={"status": 503})
    run = agent.ask(prompt, "groq/auto")
    assert (run.status, run.said) == (0, DONE), run.log
    assert (agent.work / "hello.txt").read_text("utf-8") == TEXT
    answered = [provider for provider, status in served(received()) if status == 200]
    assert answered == ["gemini"] * 2
    assert ("groq", 503) in served(received())


@pytest.mark.parametrize("provider", ["anthropic", "openai", "groq"])
def test_it_asks_again_when_a_stream_breaks(
    agent: Agent, provider: str, script: Any, received: Any
) -> None:
    broken = {"break_after": 6, "times": 1}
    run = agent.ask(script("One two three four five.", **{provider: broken}), f"{provider}/auto")
    assert run.status == 0, run.log
    assert run.said.startswith("echo: ")
    assert run.said.endswith("One two three four five.")
    first, second = received()
    assert (first["ended"], second["ended"]) == ("broken", "complete")
    conversations = [e["body"].get("messages") or e["body"]["input"] for e in (first, second)]
    assert conversations[0] == conversations[1]


def test_it_reports_that_no_provider_answers(agent: Agent, script: Any) -> None:
    prompt = script("Hello.", **{"*": {"status": 400, "message": "The prompt is odd."}})
    run = agent.ask(prompt, "groq/auto")
    assert run.status == 1
    assert "The prompt is odd." in run.said + run.log


def test_claude_codes_session_and_betas_reach_anthropic(
    claude: ClaudeCode, script: Any, received: Any
) -> None:
    claude.ask(script("Hello."), "claude-sonnet-5")
    claude.ask("And now?", "claude-sonnet-5", again=True)
    assert len(received()) == 2
    [session] = {entry["headers"]["x-claude-code-session-id"] for entry in received()}
    for entry in received():
        assert session in entry["body"]["metadata"]["user_id"]
        assert MID_SYSTEM in entry["headers"]["anthropic-beta"]
        assert entry["body"]["model"] == "claude-sonnet-5"


def test_codexs_session_reaches_openai(codex: Codex, script: Any, received: Any) -> None:
    codex.ask(script("Hello."), "openai/auto")
    codex.ask("And now?", "openai/auto", again=True)
    first, second = [entry["body"] for entry in received()]
    assert first["prompt_cache_key"] == second["prompt_cache_key"]
    assert first["prompt_cache_key"] == first["client_metadata"]["session_id"]


def test_claude_code_does_without_a_beta_that_is_refused(
    claude: ClaudeCode, script: Any, received: Any
) -> None:
    told = f"Unexpected value(s) `{MID_SYSTEM}` for the `anthropic-beta` header."
    error = {"type": "error", "error": {"type": "invalid_request_error", "message": told}}
    refusal = {"status": 400, "body": error, "times": 1}
    run = claude.ask(script("Hello.", anthropic=refusal), "anthropic/auto")
    assert run.status == 0, run.said
    first, second = received()
    assert "system" in {message["role"] for message in first["body"]["messages"]}
    assert "system" not in {message["role"] for message in second["body"]["messages"]}
