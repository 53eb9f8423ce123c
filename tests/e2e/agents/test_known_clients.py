"""What Claude Code and Codex are known to send, in front of every provider.

`clients/` holds the first request of each (Claude Code 2.1.197, Codex 0.171.0), shortened: all
fields, tools and schemas are there, the long texts are not. `make test-agents` runs the programs
themselves.
"""

import copy
import json
from pathlib import Path
from typing import Any

import httpx
import pytest

from proxy.dialects import anthropic, responses
from proxy.dialects.session import find_session
from tests.e2e.sse import events

PROVIDERS = [
    "anthropic",
    "gemini",
    "deepseek",
    "groq",
    "openai",
    "openrouter",
    "huggingface",
    "workers-ai",
]
"""All but `local`, whose model calls no tools."""
CLIENTS = {
    path.stem: json.loads(path.read_text("utf-8"))
    for path in (Path(__file__).parent / "clients").glob("*.json")
}
CLAUDE, CODEX = CLIENTS["claude_code"], CLIENTS["codex"]
WRITE = {"file_path": "/home/dev/hello.txt", "content": "Grüße\n"}
PATCH = "*** Begin Patch\n*** Add File: hello.txt\n+Grüße\n*** End Patch\n"
EXEC = {"cmd": "ls"}
CLOSE = {"target": "agent-1"}


def prepare(client: Any, provider: str, turns: str, prompt: str) -> Any:
    """The client's request with a prompt of the test's in the place of its own."""
    body = copy.deepcopy(client["body"]) | {"model": f"{provider}/auto", "fallback": False}
    asked = [message for message in body[turns] if message["role"] == "user"]
    asked[-1]["content"][-1]["text"] = prompt
    return body


def send(url: str, client: Any, body: Any) -> list[Any]:
    """The events of the answer."""
    answer = httpx.post(url + client["path"], json=body, headers=client["headers"], timeout=60)
    assert answer.status_code == 200, answer.text
    return [data for _, data in events(answer)]


def scripted(script: Any, provider: str, *calls: tuple[str, Any]) -> str:
    made = [{"name": name, "arguments": arguments} for name, arguments in calls]
    behaviour = {"calls": made, "text": "All done."}
    prompt: str = script("think, then write.", **{provider: behaviour})
    return prompt


def read_message(told: list[Any]) -> list[Any]:
    """The blocks of a streamed message, as Claude Code puts them together."""
    blocks: list[Any] = []
    for event in told:
        match event["type"]:
            case "content_block_start":
                blocks.append(event["content_block"] | {"json": ""})
            case "content_block_delta":
                delta, block = event["delta"], blocks[event["index"]]
                for name in ("text", "thinking", "signature"):
                    block[name] = (
                        block.get(name, "") + delta[name] if name in delta else block.get(name)
                    )
                block["json"] += delta.get("partial_json", "")
    for block in blocks:
        text = block.pop("json")
        if block["type"] == "tool_use":
            block["input"] = json.loads(text)
    return [{k: v for k, v in block.items() if v is not None} for block in blocks]


@pytest.mark.parametrize("provider", PROVIDERS)
def test_claude_codes_turns(open_url: str, script: Any, received: Any, provider: str) -> None:
    body = prepare(CLAUDE, provider, "messages", scripted(script, provider, ("Write", WRITE)))
    told = send(open_url, CLAUDE, body)
    assert (told[0]["type"], told[-1]["type"]) == ("message_start", "message_stop")
    blocks = read_message(told)
    call = blocks[-1]
    assert (call["type"], call["name"], call["input"]) == ("tool_use", "Write", WRITE)
    result = {"type": "tool_result", "tool_use_id": call["id"], "content": "File created."}
    body["messages"] += [
        {"role": "assistant", "content": blocks},
        {"role": "user", "content": [result | {"cache_control": {"type": "ephemeral"}}]},
    ]
    again = read_message(send(open_url, CLAUDE, body))
    assert again[-1]["text"] == "All done."
    assert [entry["refused"] for entry in received()] == [None, None]
    assert "File created." in received()[1]["raw"]


@pytest.mark.parametrize("provider", PROVIDERS)
def test_codexs_turns(open_url: str, script: Any, received: Any, provider: str) -> None:
    calls = [("exec_command", EXEC), ("apply_patch", {"input": PATCH})]
    body = prepare(CODEX, provider, "input", scripted(script, provider, *calls))
    told = send(open_url, CODEX, body)
    assert told[-1]["type"] == "response.completed"
    done = [event["item"] for event in told if event["type"] == "response.output_item.done"]
    command, patch = [item for item in done if item["type"] != "reasoning"]
    assert (command["type"], json.loads(command["arguments"])) == ("function_call", EXEC)
    assert (patch["type"], patch["input"]) == ("custom_tool_call", PATCH)
    body["input"] += [
        *({name: value for name, value in item.items() if name != "id"} for item in done),
        {"type": "function_call_output", "call_id": command["call_id"], "output": "a.txt"},
        {"type": "custom_tool_call_output", "call_id": patch["call_id"], "output": "Success."},
    ]
    last = send(open_url, CODEX, body)[-1]
    assert last["response"]["output"][-1]["content"][0]["text"] == "All done."
    assert [entry["refused"] for entry in received()] == [None, None]
    assert "Success." in received()[1]["raw"]


@pytest.mark.parametrize("provider", ["anthropic", "gemini", "groq"])
def test_codexs_tool_of_a_namespace(open_url: str, script: Any, provider: str) -> None:
    name = "multi_agent_v1__close_agent"
    body = prepare(CODEX, provider, "input", scripted(script, provider, (name, CLOSE)))
    told = send(open_url, CODEX, body)
    [call] = [item for item in told[-1]["response"]["output"] if item["type"] == "function_call"]
    assert (call["namespace"], call["name"]) == ("multi_agent_v1", "close_agent")
    assert json.loads(call["arguments"]) == CLOSE


@pytest.mark.parametrize(("client", "dialect"), [(CLAUDE, anthropic), (CODEX, responses)])
def test_their_sessions_are_found(client: Any, dialect: Any) -> None:
    call = dialect.parse_chat(json.dumps(client["body"]).encode())
    headers = client["headers"]
    session = headers.get("x-claude-code-session-id") or headers["session-id"]
    assert find_session(headers, call) == find_session({}, call) == session
