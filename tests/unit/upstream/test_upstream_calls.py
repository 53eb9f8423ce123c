"""The directive `calls`: what the fake model calls, in every dialect."""

import json
from collections.abc import Callable
from typing import Any

import pytest

from tests.upstream.client import LLAMA, Client, Response, directive

ARGUMENTS = {"path": "a b", "lines": [1, 2], "input": "x\né"}
CALLS = [{"name": "Write", "arguments": ARGUMENTS}, {"name": "Absent", "arguments": {}}]
PROMPT = f"go {directive({'calls': CALLS, 'text': 'All done.'})}"
SCHEMA = {"type": "object"}
TURN = [{"role": "user", "content": PROMPT}]
MESSAGES_KEY = {
    "x-api-key": "test-anthropic-key",
    "anthropic-version": "2023-06-01",
    "content-type": "application/json",
}


def functions(kind: str = "function") -> list[Any]:
    names = ("Other", "Write")
    return [{"type": kind, kind: {"name": name, "parameters": SCHEMA}} for name in names]


def chat(client: Client, turns: list[Any]) -> Response:
    return client.chat(turns, tools=functions())


def workers(client: Client, turns: list[Any]) -> Response:
    return client.send("POST", LLAMA, {"messages": turns, "tools": functions()})


def message(client: Client, turns: list[Any]) -> Response:
    tools = [{"name": name, "input_schema": SCHEMA} for name in ("Other", "Write")]
    body = {"model": "claude", "max_tokens": 9, "messages": turns, "tools": tools}
    return client.send("POST", "/anthropic/v1/messages", body, MESSAGES_KEY)


def respond(client: Client, turns: list[Any]) -> Response:
    tools = [
        {"type": "function", "name": name, "parameters": SCHEMA} for name in ("Other", "Write")
    ]
    return client.send(
        "POST", "/openai/v1/responses", {"model": "m", "input": turns, "tools": tools}
    )


def gemini(client: Client, turns: list[Any]) -> Response:
    declared = [{"name": name, "parametersJsonSchema": SCHEMA} for name in ("Other", "Write")]
    return client.gemini(turns, tools=[{"functionDeclarations": declared}])


def custom(client: Client, turns: list[Any], name: str = "Write") -> Response:
    body = {"model": "m", "input": turns, "tools": [{"type": "custom", "name": name}]}
    return client.send("POST", "/openai/v1/responses", body)


CALLED: list[tuple[Callable[..., Response], list[Any], Callable[[Any], Any]]] = [
    (
        chat,
        TURN,
        lambda b: json.loads(_only(b["choices"][0]["message"]["tool_calls"])["arguments"]),
    ),
    (workers, TURN, lambda b: b["tool_calls"][0]["arguments"]),
    (message, TURN, lambda b: b["content"][0]["input"]),
    (respond, TURN, lambda b: json.loads(b["output"][0]["arguments"])),
    (
        gemini,
        [{"role": "user", "parts": [{"text": PROMPT}]}],
        lambda b: b["candidates"][0]["content"]["parts"][0]["functionCall"]["args"],
    ),
]


def _only(calls: list[Any]) -> Any:
    [call] = calls
    assert call["function"]["name"] == "Write"
    return call["function"]


@pytest.mark.parametrize(("send", "turns", "read"), CALLED)
def test_the_tool_is_called_as_scripted(client: Client, send: Any, turns: Any, read: Any) -> None:
    answer = send(client, turns)
    assert answer.status == 200
    assert read(answer.json) == ARGUMENTS


def test_a_custom_tool_is_called_with_its_input(client: Client) -> None:
    [item] = custom(client, TURN).json["output"]
    assert (item["type"], item["name"]) == ("custom_tool_call", "Write")
    assert item["input"] == ARGUMENTS["input"]
    tools = [{"type": "custom", "custom": {"name": "Write"}}]
    [call] = client.chat(TURN, tools=tools).json["choices"][0]["message"]["tool_calls"]
    assert call["custom"] == {"name": "Write", "input": ARGUMENTS["input"]}


def test_after_the_result_it_says_the_text(client: Client) -> None:
    [call] = chat(client, TURN).json["choices"][0]["message"]["tool_calls"]
    said = {"role": "assistant", "content": None, "tool_calls": [call]}
    result = {"role": "tool", "tool_call_id": call["id"], "content": "written"}
    answer = chat(client, [*TURN, said, result]).json
    assert answer["choices"][0]["message"]["content"] == "All done."


def test_a_tool_that_is_not_offered_is_not_called(client: Client) -> None:
    [item] = custom(client, TURN, "Other").json["output"]
    assert item["content"][0]["text"] == "All done."


def test_a_stream_has_the_arguments_in_pieces(client: Client) -> None:
    events = client.chat(TURN, tools=functions(), stream=True).events
    deltas = [e["choices"][0]["delta"] for e in events if e != "data: [DONE]" and e["choices"]]
    pieces = [d["tool_calls"][0]["function"]["arguments"] for d in deltas if "tool_calls" in d]
    assert json.loads("".join(pieces)) == ARGUMENTS


@pytest.mark.parametrize(
    ("betas", "status"), [("a,context-management-2025-06-27", 200), ("a", 400)]
)
def test_a_field_of_a_beta_wants_its_header(client: Client, betas: str, status: int) -> None:
    body = {"model": "c", "max_tokens": 9, "messages": [{"role": "user", "content": "hi"}]}
    headers = MESSAGES_KEY | {"anthropic-beta": betas}
    sent = body | {"context_management": {"edits": []}}
    assert client.send("POST", "/anthropic/v1/messages", sent, headers).status == status
