"""Anthropic's Messages and OpenAI's Responses at the scripted upstream."""

from typing import Any

import pytest
from openai import OpenAI

from tests.upstream import Upstream
from tests.upstream.anthropic_checks import signature
from tests.upstream.client import Client

TOOL = {"name": "get_weather", "input_schema": {"type": "object"}}
USE = {"type": "tool_use", "id": "toolu_1", "name": "get_weather", "input": {}}
RESULT = {"type": "tool_result", "tool_use_id": "toolu_1", "content": "sunny"}
HI = {"role": "user", "content": "hi"}


def send(client: Client, content: Any = "say hello", **fields: Any) -> Any:
    messages = fields.pop("messages", [{"role": "user", "content": content}])
    body = {"model": "claude", "max_tokens": 100, "messages": messages, **fields}
    headers = {"x-api-key": "test-anthropic-key", "anthropic-version": "2023-06-01"}
    headers["content-type"] = "application/json"
    return client.send("POST", "/anthropic/v1/messages", body, headers)


def test_a_message(client: Client) -> None:
    message = send(client).json
    assert message["content"] == [{"type": "text", "text": "echo: say hello"}]
    assert message["stop_reason"] == "end_turn"
    assert (message["usage"]["input_tokens"], message["usage"]["output_tokens"]) == (2, 3)


def test_a_stream_of_a_message(client: Client) -> None:
    fields = {"thinking": {"type": "adaptive"}, "tools": [TOOL], "stream": True}
    events = send(client, "think and call the tool", **fields).events
    kinds = [event["type"] for event in events]
    assert kinds[0] == "message_start"
    assert kinds[-2:] == ["message_delta", "message_stop"]
    begun = [e["content_block"]["type"] for e in events if e["type"] == "content_block_start"]
    assert begun == ["thinking", "tool_use"]
    assert events[-2]["delta"]["stop_reason"] == "tool_use"


@pytest.mark.parametrize(
    ("fields", "told"),
    [
        ({"seed": 1}, "seed: Extra inputs are not permitted"),
        ({"messages": [HI, {"role": "assistant", "content": [USE]}, HI]}, "without `tool_result`"),
        (
            {"messages": [HI, {"role": "assistant", "content": [{"type": "text", "text": ""}]}]},
            "non-empty",
        ),
        ({"tools": [{"name": "a b", "input_schema": {}}]}, "tools.0.name"),
    ],
)
def test_what_anthropic_refuses(client: Client, fields: Any, told: str) -> None:
    answer = send(client, **fields)
    assert (answer.status, answer.json["error"]["type"]) == (400, "invalid_request_error")
    assert told in answer.json["error"]["message"]


@pytest.mark.parametrize(("signed", "status"), [(signature("hm"), 200), ("aep1.other", 400)])
def test_a_signature_is_checked(client: Client, signed: str, status: int) -> None:
    thought = {"type": "thinking", "thinking": "hm", "signature": signed}
    turns = [
        HI,
        {"role": "assistant", "content": [thought, USE]},
        {"role": "user", "content": [RESULT]},
    ]
    answer = send(client, messages=turns, tools=[TOOL])
    assert answer.status == status
    if status == 200:
        assert answer.json["content"][0]["text"] == "tool said: sunny"


def test_responses_by_the_official_sdk(up: Upstream) -> None:
    tool: Any = {"type": "function", "name": "get_weather", "parameters": {}, "strict": False}
    with OpenAI(base_url=f"{up.url}/openai/v1", api_key="test-openai-key", max_retries=0) as sdk:
        response = sdk.responses.create(model="gpt", input="say hello")
        assert (response.status, response.output_text) == ("completed", "echo: say hello")
        with sdk.responses.stream(
            model="gpt",
            input="think and call the tool",
            tools=[tool],
            reasoning={"summary": "auto"},
        ) as stream:
            for _ in stream:
                pass
            final = stream.get_final_response()
        assert [item.type for item in final.output] == ["reasoning", "function_call"]
