"""What clients of older and other interfaces send is understood, and answered in their form."""

import json
from typing import Any

import pytest

from proxy.core.chat import Answer, Call, Chunk, Served
from proxy.core.errors import InvalidRequest
from proxy.core.messages import FunctionCall, ToolCall, ToolCallDelta
from proxy.dialects import native, openai

SERVED = Served(request_id="req_1", answer_id="1", provider="openai", model="gpt-4o")
F = {"name": "f", "parameters": {"type": "object"}}
TOOL = {"type": "function", "function": F}
HELLO = {"role": "user", "content": "Hello"}


def parse(**fields: Any) -> Call:
    return openai.parse_chat(json.dumps({"messages": [HELLO], **fields}).encode())


def body(**fields: Any) -> Any:
    """What goes on to a provider of this dialect."""
    sent = parse(**fields).chat.body
    assert sent is not None
    return json.loads(sent)


@pytest.mark.parametrize(
    ("choice", "today"),
    [
        (None, None),
        ("auto", "auto"),
        ("none", "none"),
        ({"name": "f"}, {"type": "function", "function": {"name": "f"}}),
    ],
)
def test_functions_are_tools(choice: Any, today: Any) -> None:
    call = parse(functions=[F], function_call=choice)
    assert call.functions
    assert [tool.function and tool.function.name for tool in call.chat.tools] == ["f"]
    sent = body(functions=[F], function_call=choice)
    assert sent["tools"] == [TOOL]
    assert sent.get("tool_choice") == today
    assert sent["parallel_tool_calls"] is False
    assert not {"functions", "function_call"} & sent.keys()


def test_the_history_in_the_older_form() -> None:
    made = {"role": "assistant", "content": None, "function_call": {"name": "f", "arguments": "{}"}}
    result = {"role": "function", "name": "f", "content": "1"}
    messages = [HELLO, made, result, made, result]
    first, second = (
        {"id": id_, "type": "function", "function": made["function_call"]}
        for id_ in ("call_1", "call_3")
    )
    assert body(messages=messages, functions=[F])["messages"] == [
        HELLO,
        {"role": "assistant", "content": None, "tool_calls": [first]},
        {"role": "tool", "tool_call_id": "call_1", "content": "1"},
        {"role": "assistant", "content": None, "tool_calls": [second]},
        {"role": "tool", "tool_call_id": "call_3", "content": "1"},
    ]


def test_the_answer_in_the_older_form() -> None:
    call = ToolCall(id="c", function=FunctionCall("f", '{"a": 1}'))
    answer = Answer(tool_calls=(call,), finish_reason="tool_calls", raw=b"not this")
    choice = json.loads(openai.answer(answer, parse(functions=[F]), SERVED))["choices"][0]
    assert choice["finish_reason"] == "function_call"
    assert choice["message"]["function_call"] == {"name": "f", "arguments": '{"a": 1}'}
    assert "tool_calls" not in choice["message"]
    text = json.loads(
        openai.answer(Answer(text="Hi", raw=b"not this"), parse(functions=[F]), SERVED)
    )["choices"][0]
    assert (text["message"]["content"], text["finish_reason"]) == ("Hi", "stop")


def test_a_stream_in_the_older_form() -> None:
    writer = openai.writer(parse(functions=[F]), SERVED)
    named = ToolCallDelta(index=0, id="c", name="f")
    more = ToolCallDelta(index=0, arguments="{}")
    written = writer.chunk(Chunk(tool_calls=(named,), raw=b"not this"))
    written += writer.chunk(Chunk(tool_calls=(more,)))
    written += writer.chunk(Chunk(finish_reason="tool_calls"))
    choices = [json.loads(line[6:])["choices"][0] for line in written.decode().split("\n\n")[:-1]]
    assert [choice["delta"] for choice in choices] == [
        {"role": "assistant", "function_call": {"name": "f", "arguments": ""}},
        {"function_call": {"arguments": "{}"}},
        {},
    ]
    assert choices[-1]["finish_reason"] == "function_call"


@pytest.mark.parametrize(
    ("choice", "today"),
    [
        ("any", "required"),
        (
            {"function": {"name": "f"}},
            {"type": "function", "function": {"name": "f"}},
        ),
    ],
)
def test_looser_choices(choice: Any, today: Any) -> None:
    assert body(tools=[TOOL], tool_choice=choice)["tool_choice"] == today
    fields = {"prompt": "Hi", "tools": [TOOL], "toolChoice": choice}
    chat = native.parse_chat(json.dumps(fields).encode()).chat
    assert chat.tool_choice == ("required" if choice == "any" else "function:f")


@pytest.mark.parametrize("parse_chat", [native.parse_chat, openai.parse_chat])
def test_an_image_as_plain_text(parse_chat: Any) -> None:
    url = "https://images.example/a.png"
    text, image = {"type": "text", "text": "See"}, {"type": "image_url", "image_url": url}
    messages = [{"role": "user", "content": [text, image | {"detail": 10**30}]}, HELLO]
    chat = parse_chat(json.dumps({"messages": messages}).encode()).chat
    assert chat.messages[0].parts[1].image_url.url == url
    sent = json.loads(bytes(chat.raw_messages[0]))["content"]
    assert sent == [text, {"type": "image_url", "image_url": {"url": url}, "detail": 10**30}]


@pytest.mark.parametrize("empty", ["[]", "[ ]", "[\n]"])
def test_empty_lists_are_as_if_left_out(empty: str) -> None:
    text = '{"messages":[{"role":"user","content":"Hello","tool_calls":%s}],"tools":%s,"stop":%s}'
    sent = openai.parse_chat((text % (empty, empty, empty)).encode()).chat.body
    assert json.loads(sent or b"") == {"messages": [HELLO]}
    assert body(tools=[], tool_choice="auto", parallel_tool_calls=True) == {"messages": [HELLO]}
    assert body(functions=[], function_call="none") == {"messages": [HELLO]}
    assert not parse(functions=[]).functions


def test_what_is_in_todays_form_keeps_its_bytes() -> None:
    text = (
        b'{ "messages" : [{"role":"user","content":"\\"function_call\\": any"}],'
        b' "tools":[{"type":"function","function":{"name":"f"}}],"tool_choice":"auto" }'
    )
    assert openai.parse_chat(text).chat.body is text


@pytest.mark.parametrize("name", ["json", "regex", "grammar", "x" * 500])
def test_a_response_format_of_another_name(name: str) -> None:
    with pytest.raises(InvalidRequest, match="use json_schema with a schema") as raised:
        parse(response_format={"type": name, "value": {}})
    assert raised.value.param == "response_format.type"
    assert len(raised.value.message) < 200
