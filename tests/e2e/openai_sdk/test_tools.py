"""Tools, functions and custom tools by the official SDK."""

import json
from typing import Any

import pytest
from openai import BadRequestError, OpenAI

from tests.e2e.openai_sdk.making import WEATHER, user, without_fallback


# OpenRouter repeats the role in every chunk, which the SDK's accumulator joins: not here.
@pytest.mark.parametrize("provider", ["gemini", "openai", "groq", "workers-ai", "deepseek"])
def test_tools_streamed_and_sent_back(sdk: OpenAI, script: Any, provider: str) -> None:
    model = f"{provider}/auto"
    messages = user(script("call the tool twice"))
    with sdk.chat.completions.stream(model=model, messages=messages, tools=[WEATHER]) as stream:
        for _ in stream:
            pass
        completion = stream.get_final_completion()
    message = completion.choices[0].message
    assert completion.choices[0].finish_reason == "tool_calls"
    assert message.tool_calls
    assert [call.function.name for call in message.tool_calls] == ["get_weather"] * 2
    messages.append(message)
    for call in message.tool_calls:
        assert json.loads(call.function.arguments) == {"city": "Paris"}
        messages.append({"role": "tool", "tool_call_id": call.id, "content": "sunny"})
    again = sdk.chat.completions.create(model=model, messages=messages, tools=[WEATHER])
    assert "sunny" in (again.choices[0].message.content or "")


@pytest.mark.parametrize("streamed", [False, True])
def test_a_model_of_openais_reasons_on_with_what_its_tool_says(
    sdk: OpenAI, script: Any, received: Any, streamed: bool
) -> None:
    asked: Any = {"model": "openai/auto", "tools": [WEATHER], "reasoning_effort": "high"}
    messages = user(script("think and call the tool"))
    if streamed:
        with sdk.chat.completions.stream(messages=messages, **asked) as stream:
            message = stream.get_final_completion().choices[0].message
    else:
        message = sdk.chat.completions.create(messages=messages, **asked).choices[0].message
    assert message.tool_calls
    result = {"role": "tool", "tool_call_id": message.tool_calls[0].id, "content": "sunny"}
    messages += [message, result]
    again = sdk.chat.completions.create(messages=messages, **asked)
    assert "sunny" in (again.choices[0].message.content or "")
    first, second = received()
    assert [first["path"], second["path"]] == ["/openai/v1/responses"] * 2
    assert first["body"]["reasoning"] == {"effort": "high"}
    _, reasoning, call, output = second["body"]["input"]
    assert reasoning["encrypted_content"].startswith("gAAAA")
    assert call["call_id"] == output["call_id"] == message.tool_calls[0].id


def test_a_named_tool_and_no_parallel_calls(sdk: OpenAI, script: Any, received: Any) -> None:
    answer = sdk.chat.completions.create(
        model="gpt-4o-mini",
        messages=user(script("hi")),
        tools=[WEATHER],
        tool_choice={"type": "function", "function": {"name": "get_weather"}},
        parallel_tool_calls=False,
        extra_body=without_fallback(),
    )
    assert answer.choices[0].message.tool_calls
    assert received()[0]["body"]["parallel_tool_calls"] is False


@pytest.mark.parametrize("provider", ["openai", "gemini"])
@pytest.mark.parametrize("stream", [False, True])
def test_functions_as_they_were_before_tools(
    sdk: OpenAI, script: Any, provider: str, stream: bool
) -> None:
    asked: dict[str, Any] = {
        "model": f"{provider}/auto",
        "functions": [WEATHER["function"]],
        "function_call": {"name": "get_weather"},
    }
    messages = user(script("call the tool"))
    if stream:
        chunks = sdk.chat.completions.create(messages=messages, stream=True, **asked)
        choices = [chunk.choices[0] for chunk in chunks if chunk.choices]
        calls = [choice.delta.function_call for choice in choices if choice.delta.function_call]
        name = calls[0].name
        arguments = "".join(call.arguments or "" for call in calls)
        finish = choices[-1].finish_reason
    else:
        choice = sdk.chat.completions.create(messages=messages, **asked).choices[0]
        assert choice.message.function_call
        assert not choice.message.tool_calls
        name, arguments = choice.message.function_call.name, choice.message.function_call.arguments
        finish = choice.finish_reason
    assert (name, json.loads(arguments), finish) == (
        "get_weather",
        {"city": "Paris"},
        "function_call",
    )
    made = {"name": name, "arguments": arguments}
    messages += [
        {"role": "assistant", "content": None, "function_call": made},
        {"role": "function", "name": name, "content": "sunny"},
    ]
    again = sdk.chat.completions.create(
        model=f"{provider}/auto", messages=messages, functions=[WEATHER["function"]]
    )
    assert "sunny" in (again.choices[0].message.content or "")


SHELL: Any = {
    "type": "custom",
    "custom": {"name": "shell", "description": "Runs a command", "format": {"type": "text"}},
}
ONLY_SHELL: Any = {"type": "custom", "custom": {"name": "shell"}}


@pytest.mark.parametrize("provider", ["openai", "openrouter"])
@pytest.mark.parametrize("stream_first", [False, True])
def test_custom_tools(
    sdk: OpenAI, script: Any, received: Any, provider: str, stream_first: bool
) -> None:
    model = f"{provider}/auto"
    messages = user(script("run it"))
    asked: dict[str, Any] = {"model": model, "tools": [SHELL], "tool_choice": ONLY_SHELL}
    for streamed in (stream_first, not stream_first):  # from the provider, then from the cache
        if not streamed:
            answer = sdk.chat.completions.create(messages=messages, **asked).choices[0]
            [call] = answer.message.to_dict()["tool_calls"]
            finish = answer.finish_reason
        else:
            stream = sdk.chat.completions.create(messages=messages, stream=True, **asked)
            choices = [chunk.choices[0] for chunk in stream if chunk.choices]
            deltas = [one.delta.to_dict().get("tool_calls") or [] for one in choices]
            call, *rest = [delta for told in deltas for delta in told]
            assert call.pop("index") == 0
            call["custom"]["input"] += "".join(one["custom"]["input"] for one in rest)
            finish = choices[-1].finish_reason or choices[-2].finish_reason
        assert call["custom"] == {"name": "shell", "input": 'weather --city "Paris"\n'}
        assert (call["type"], finish) == ("custom", "tool_calls")
    [first] = received()
    if provider == "openai":  # over Responses, where all is flat
        assert first["body"]["tools"] == [{"type": "custom", **SHELL["custom"]}]
        assert first["body"]["tool_choice"] == {"type": "custom", **ONLY_SHELL["custom"]}
    else:
        assert first["body"]["tools"] == [SHELL]
        assert first["body"]["tool_choice"] == ONLY_SHELL
    messages += [
        {"role": "assistant", "content": None, "tool_calls": [call]},
        {"role": "tool", "tool_call_id": call["id"], "content": "sunny"},
    ]
    again = sdk.chat.completions.create(model=model, messages=messages, tools=[SHELL])
    assert "sunny" in (again.choices[0].message.content or "")
    last = received()[-1]["body"]
    if provider == "openai":
        said = {"type": "custom_tool_call", "call_id": call["id"], **call["custom"]}
        assert said in last["input"]
    else:
        assert last["messages"][1]["tool_calls"] == [call]


@pytest.mark.parametrize("provider", ["gemini", "deepseek", "workers-ai"])
def test_custom_tools_where_there_are_none(sdk: OpenAI, script: Any, provider: str) -> None:
    asked: Any = {"model": f"{provider}/auto", "messages": user(script("run it"))}
    with pytest.raises(BadRequestError, match="function with one string parameter") as raised:
        sdk.chat.completions.create(**asked, tools=[WEATHER, SHELL], extra_body=without_fallback())
    assert raised.value.param == "tools[1].type"
    call = {"id": "call_1", **ONLY_SHELL}
    call["custom"] = call["custom"] | {"input": "ls"}
    asked["messages"] += [
        {"role": "assistant", "content": None, "tool_calls": [call]},
        {"role": "tool", "tool_call_id": "call_1", "content": "sunny"},
    ]
    answer = sdk.chat.completions.create(**asked, extra_body=without_fallback())
    assert "sunny" in (answer.choices[0].message.content or "")
