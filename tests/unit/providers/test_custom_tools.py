"""OpenAI's custom tools on their way to a provider: to the byte where it has them, and as functions
in the history where it has not."""

import json
from typing import Any

import pytest

from proxy.core.chat import ChatRequest
from proxy.dialects import native, openai, responses
from proxy.providers.registry import ADAPTERS
from tests.unit.providers import replay

INPUT = 'ls "é"\n'
MESSAGES = (
    b'[{"role":"user","content":"x"}, {"content":null,"role":"assistant","tool_calls":'
    b'[{"custom":{"input":%s, "name":"sh"}, "type":"custom","id":"c1","extra":1e3}]},'
    b'{"role":"tool","tool_call_id":"c1","content":"out"}]'
) % json.dumps(INPUT).encode()
TOOLS = b'[{"type":"custom", "custom":{"name":"sh","format":{"type":"text"}}}]'
CHOICE = b'{"custom":{"name":"sh"}, "type":"custom"}'


def sent(provider: str, chat: ChatRequest) -> bytes:
    target = replay.target(provider)
    body = ADAPTERS[target.wire].build_request(target, chat).body or b""
    return body if isinstance(body, bytes) else b"".join(body)


def test_tools_choice_and_calls_keep_their_bytes() -> None:
    body = b'{"model":"%b", "messages":%b, "tools":%b, "tool_choice":%b }' % (
        replay.target("openai").model.wire_id.encode(),
        MESSAGES,
        TOOLS,
        CHOICE,
    )
    chat = openai.parse_chat(body).chat
    assert chat.tool_choice == "custom:sh"
    assert sent("openai", chat) is body


@pytest.mark.parametrize("provider", ["openai", "openrouter"])
@pytest.mark.parametrize("dialect", [openai, native])
def test_a_body_that_is_built_anew_has_them_too(provider: str, dialect: Any) -> None:
    name = b"tool_choice" if dialect is openai else b"toolChoice"
    body = b'{"timeout":1000, "messages":%b, "tools":%b, "%b":%b}' % (MESSAGES, TOOLS, name, CHOICE)
    outgoing = sent(provider, dialect.parse_chat(body).chat)
    assert b'"tools":' + TOOLS in outgoing
    assert MESSAGES[MESSAGES.index(b'{"content":null') : -1] in outgoing
    assert json.loads(outgoing)["tool_choice"] == json.loads(CHOICE)


def test_a_call_of_the_history_is_a_functions_where_there_are_none() -> None:
    chat = openai.parse_chat(b'{"messages":%b}' % MESSAGES).chat
    for provider in ("deepseek", "groq", "huggingface", "local", "workers-ai"):
        [_, message, result] = json.loads(sent(provider, chat))["messages"]
        [call] = message["tool_calls"]
        assert not call.keys() - {"id", "type", "function", "extra"}
        assert (call["id"], call["type"], call["function"]["name"]) == ("c1", "function", "sh")
        assert json.loads(call["function"]["arguments"]) == {"input": INPUT}
        assert (result["tool_call_id"], result["content"]) == ("c1", "out")
    called = {"id": "c1", "name": "sh", "args": {"input": INPUT}}
    gemini = json.loads(sent("gemini", chat))["contents"]
    assert gemini[1]["parts"][0]["functionCall"] == called
    assert gemini[2]["parts"][0]["functionResponse"]["name"] == "sh"


ITEMS = [
    {"role": "user", "content": "x"},
    {"type": "custom_tool_call", "call_id": "c1", "name": "sh", "input": INPUT},
    {"type": "custom_tool_call_output", "call_id": "c1", "output": "out"},
]


def of_agent() -> ChatRequest:
    """The second turn of an agent that speaks Responses."""
    body = {"model": "m", "input": ITEMS, "tools": [{"type": "custom", "name": "sh"}]}
    return responses.parse_chat(json.dumps(body).encode()).chat


def test_a_call_of_another_dialects_history_is_a_functions_where_there_are_none() -> None:
    for provider in ("deepseek", "groq", "huggingface", "local"):
        [_, message, result] = json.loads(sent(provider, of_agent()))["messages"]
        [call] = message["tool_calls"]
        assert call.keys() == {"id", "type", "function"}
        assert (call["id"], call["type"], call["function"]["name"]) == ("c1", "function", "sh")
        assert json.loads(call["function"]["arguments"]) == {"input": INPUT}
        assert (result["tool_call_id"], result["content"]) == ("c1", "out")


def test_a_call_of_another_dialects_history_is_a_custom_tools_where_there_are_some() -> None:
    for provider in ("openai", "openrouter"):
        [_, message, _] = json.loads(sent(provider, of_agent()))["messages"]
        custom = {"name": "sh", "input": INPUT}
        assert message["tool_calls"] == [{"id": "c1", "type": "custom", "custom": custom}]
