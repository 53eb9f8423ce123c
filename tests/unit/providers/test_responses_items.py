"""What the messages of a conversation become at a provider of Responses."""

import json
from typing import Any

import pytest
from msgspec import Raw

from proxy.core.chat import ChatRequest
from proxy.core.errors import InvalidRequest
from proxy.core.messages import (
    FunctionCall,
    ImageURL,
    Message,
    Part,
    ToolCall,
)
from proxy.providers import responses
from tests.unit.providers.making_responses import (
    CALL,
    HELLO,
    SEALED,
    items,
    sent,
    target,
)

CALLED = ToolCall(id="call_1", function=FunctionCall("weather", '{"city":"Oslo"}'))
PATCHED = ToolCall(id="call_2", function=FunctionCall("apply_patch", "*** Begin"), type="custom")
PNG = "data:image/png;base64,iVBORw0KGgo="


def test_each_role_becomes_its_item() -> None:
    assert items(
        Message(role="system", content="Be brief."),
        Message(role="developer", content="Be kind."),
        Message(role="user", content="Hello"),
        Message(role="assistant", content="Hi"),
        Message(role="user", content=(Part("text", "Bye"), Part("text", ""), Part("text", "now"))),
    ) == [
        {"role": "system", "content": "Be brief."},
        {"role": "developer", "content": "Be kind."},
        {"role": "user", "content": "Hello"},
        {"role": "assistant", "content": [{"type": "output_text", "text": "Hi"}]},
        {
            "role": "user",
            "content": [
                {"type": "input_text", "text": "Bye"},
                {"type": "input_text", "text": "now"},
            ],
        },
    ]


def test_roles_that_the_provider_does_not_know() -> None:
    to = target(roles={"developer": "system"})
    [item] = items(Message(role="developer", content="Be kind."), to=to)
    assert item["role"] == "system"


def test_a_turn_with_calls_and_their_results() -> None:
    found = items(
        Message(role="assistant", content="Let me see.", tool_calls=(CALLED, PATCHED)),
        Message(role="tool", content="rain", tool_call_id="call_1"),
        Message(role="tool", content="Done.", tool_call_id="call_2"),
    )
    assert found == [
        {"role": "assistant", "content": [{"type": "output_text", "text": "Let me see."}]},
        {k: CALL[k] for k in ("type", "call_id", "name", "arguments")},
        {
            "type": "custom_tool_call",
            "call_id": "call_2",
            "name": "apply_patch",
            "input": "*** Begin",
        },
        {"type": "function_call_output", "call_id": "call_1", "output": "rain"},
        {"type": "custom_tool_call_output", "call_id": "call_2", "output": "Done."},
    ]


def test_a_result_with_an_image() -> None:
    parts = (Part("text", "See"), Part("image_url", image_url=ImageURL(PNG)))
    [item] = items(Message(role="tool", content=parts, tool_call_id="call_1"))
    assert item["output"] == [
        {"type": "input_text", "text": "See"},
        {"type": "input_image", "image_url": PNG, "detail": "auto"},
    ]


def test_ids_of_calls_are_within_the_limit_of_the_provider() -> None:
    id_ = "call_" + "x" * 60
    call = ToolCall(id=id_, function=FunctionCall("f", None))
    made, result = items(
        Message(role="assistant", tool_calls=(call,)),
        Message(role="tool", content="1", tool_call_id=id_),
        to=target(tool_id_limit=40),
    )
    assert made["call_id"] == result["call_id"] and len(made["call_id"]) == 40
    assert made["arguments"] == "{}"


def test_reasoning_goes_back_to_its_provider_in_front_of_its_turn() -> None:
    shown = {**SEALED, "summary": [{"type": "summary_text", "text": "Hm."}], "novelty": 1}
    state = {"acme": {"reasoning": [shown, {"type": "evil"}, 5]}, "other": {"reasoning": [SEALED]}}
    turn = Message(role="assistant", content="Hi", tool_calls=(CALLED,), extra_content=state)
    assert items(turn)[0] == shown
    assert [item.get("type") for item in items(turn)] == ["reasoning", None, "function_call"]
    assert "reasoning" not in [item.get("type") for item in items(turn, to=target(name="b"))]


@pytest.mark.parametrize("state", [{"acme": {"reasoning": [SEALED]}}, {"acme": 1}, {"acme": {}}])
def test_reasoning_that_nothing_follows_stays_out(state: Any) -> None:
    assert items(Message(role="assistant", content=None, extra_content=state), *HELLO) == [
        {"role": "user", "content": "Hello"}
    ]


FILE = {"filename": "a.pdf", "file_data": "data:application/pdf;base64,JVBERi0="}


@pytest.mark.parametrize(
    ("part", "expected"),
    [
        (
            Part("image_url", image_url=ImageURL("https://a.test/b.png", "low")),
            {"type": "input_image", "image_url": "https://a.test/b.png", "detail": "low"},
        ),
        (Part("file", file=Raw(json.dumps(FILE).encode())), {"type": "input_file", **FILE}),
        (Part("file", file=Raw(b'{"file_id":"f","x":1}')), {"type": "input_file", "file_id": "f"}),
        (
            Part("file", file=Raw(b'{"file_url":"https://a.test"}')),
            {"type": "input_file", "file_url": "https://a.test"},
        ),
        (
            Part("input_audio", input_audio=Raw(b'{"data":"AA","format":"wav"}')),
            {"type": "input_audio", "input_audio": {"data": "AA", "format": "wav"}},
        ),
    ],
)
def test_parts(part: Part, expected: Any) -> None:
    [item] = items(Message(role="user", content=(part,)))
    assert item["content"] == [expected]


@pytest.mark.parametrize(
    "part",
    [
        Part("video"),
        Part("file"),
        Part("image_url"),
        Part("file", file=Raw(b"[1]")),
        Part("refusal"),
    ],
)
def test_parts_that_it_lacks(part: Part) -> None:
    with pytest.raises(InvalidRequest) as raised:
        items(*HELLO, Message(role="user", content=(Part("text", "See"), part)))
    assert (raised.value.param or "").startswith("messages[1].content[1]")


def test_a_part_of_the_callers_own_dialect_may_be_of_any_type() -> None:
    part = Part("input_image", file=Raw(b'{"file_id":"file-1"}'))
    chat = ChatRequest(messages=(Message(role="user", content=(part,)),), dialect="responses")
    [item] = sent(target(), chat)["input"]
    assert item["content"] == [{"type": "input_image", "file_id": "file-1"}]


def test_a_refusal_comes_back_as_such() -> None:
    content = [{"type": "text", "text": "Well."}, {"type": "refusal", "refusal": "No."}]
    raw = json.dumps({"role": "assistant", "content": content}).encode()
    turn = Message(role="assistant", content=(Part("text", "Well."), Part("refusal")))
    [item] = sent(target(), ChatRequest(messages=(turn,), raw_messages=(Raw(raw),)))["input"]
    assert item["content"][1] == {"type": "refusal", "refusal": "No."}


def test_what_is_large_stays_where_it_is() -> None:
    url, text = "data:image/png;base64," + "A" * 200_000, "é" * 100_000
    content = [{"type": "image_url", "image_url": {"url": url}}, {"type": "text", "text": text}]
    given = [{"role": "user", "content": content}, {"role": "system", "content": text}]
    raws = tuple(Raw(json.dumps(message).encode()) for message in given)
    parts = (Part("image_url", image_url=ImageURL(url)), Part("text", text))
    messages = (Message(role="user", content=parts), Message(role="system", content=text))
    chat = ChatRequest(messages=messages, raw_messages=raws)
    body = responses.build_request(target(), chat).body
    assert isinstance(body, tuple) and sum(isinstance(part, memoryview) for part in body) == 3
    user, system = sent(target(), chat)["input"]
    assert [part.get("text", part.get("image_url")) for part in user["content"]] == [url, text]
    assert system["content"] == text


def test_a_large_file_stays_where_it_is() -> None:
    file = Raw(
        b'{"filename":"a.pdf","file_data":"data:application/pdf;base64,%b"}' % (b"A" * 200_000)
    )
    chat = ChatRequest(messages=(Message(role="user", content=(Part("file", file=file),)),))
    assert isinstance(responses.build_request(target(), chat).body, tuple)
    [item] = sent(target(), chat)["input"]
    assert item["content"] == [{"type": "input_file", **json.loads(bytes(file))}]


def test_a_custom_tools_call_is_a_functions_where_there_are_none() -> None:
    result = Message(role="tool", tool_call_id="call_2", content="Done")
    called = Message(role="assistant", tool_calls=(PATCHED,))
    assert items(called, result, to=target(custom_tools=False)) == [
        {
            "type": "function_call",
            "call_id": "call_2",
            "name": "apply_patch",
            "arguments": '{"input":"*** Begin"}',
        },
        {"type": "function_call_output", "call_id": "call_2", "output": "Done"},
    ]
