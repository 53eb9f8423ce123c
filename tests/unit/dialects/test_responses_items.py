"""Input items of OpenAI's Responses as messages."""

import json
from typing import Any

import pytest

from proxy.core.errors import InvalidRequest, NotFound
from proxy.core.messages import FunctionCall, ImageURL, Message, Part, ToolCall
from proxy.dialects.seal import ProviderState, seal
from tests.unit.dialects.making_responses import USER, parse, read

PNG = "data:image/png;base64,iVBORw0KGgo="
CALL = {"type": "function_call", "call_id": "c1", "name": "f", "arguments": '{"a":1}'}
SAID = {
    "type": "message",
    "id": "msg_1",
    "role": "assistant",
    "status": "completed",
    "phase": "commentary",
    "content": [{"type": "output_text", "text": "Let me look.", "annotations": []}],
}


def turns(*items: dict[str, Any], **body: Any) -> tuple[Message, ...]:
    return read(*items, **body).chat.messages[1:]


def part(**fields: Any) -> Part:
    (message,) = turns({"role": "user", "content": [fields, {"type": "input_text", "text": "x"}]})
    assert isinstance(message.content, tuple)
    return message.content[0]


def thought(**fields: Any) -> dict[str, Any]:
    return {"type": "reasoning", "id": "rs_1", "summary": [], **fields}


@pytest.mark.parametrize("role", ["user", "system", "developer"])
@pytest.mark.parametrize("typed", [{}, {"type": "message"}])
def test_messages_keep_their_roles(role: str, typed: dict[str, str]) -> None:
    (message,) = turns({**typed, "role": role, "content": "x"})
    assert (message.role, message.content) == (role, "x")


def test_a_message_may_have_an_id_and_no_type() -> None:
    (message,) = turns({"id": "msg_1", "role": "user", "content": "x"})
    assert message.content == "x"


def test_a_text_alone_is_no_list() -> None:
    (message,) = turns({"role": "user", "content": [{"type": "input_text", "text": "x"}]})
    assert message.content == "x"


def test_images() -> None:
    found = part(type="input_image", image_url=PNG, detail="low")
    assert found == Part("image_url", image_url=ImageURL(PNG, "low"))
    found = part(type="input_image", image_url="https://a.test/b.png")
    assert found == Part("image_url", image_url=ImageURL("https://a.test/b.png"))


@pytest.mark.parametrize(
    "file",
    [
        {"file_data": "data:application/pdf;base64,JVBERg==", "filename": 'a".pdf'},
        {"file_url": "https://a.test/b.pdf"},
        {"file_id": "file-1"},
    ],
)
def test_files_keep_their_fields(file: dict[str, str]) -> None:
    found = part(type="input_file", **file)
    assert found.type == "file"
    assert json.loads(bytes(found.file)) == file


def test_audio_stays_as_it_is() -> None:
    found = part(type="input_audio", input_audio={"data": "AA==", "format": "wav"})
    assert json.loads(bytes(found.input_audio)) == {"data": "AA==", "format": "wav"}


def test_what_the_model_said_is_one_message() -> None:
    second = {**CALL, "call_id": "c2", "name": "g"}
    (message,) = turns(SAID, CALL, second)
    assert message == Message(
        "assistant",
        "Let me look.",
        tool_calls=(
            ToolCall("c1", FunctionCall("f", '{"a":1}')),
            ToolCall("c2", FunctionCall("g", '{"a":1}')),
        ),
    )


def test_several_texts_of_a_turn_are_its_parts() -> None:
    refusal = {"type": "message", "role": "assistant", "content": [{"type": "refusal"}]}
    refusal["content"] = [{"type": "refusal", "refusal": "No."}]
    (message,) = turns(SAID, refusal, {"role": "assistant", "content": ""})
    assert message.content == (Part("text", "Let me look."), Part("text", "No."))


def test_turns_end_where_others_speak() -> None:
    output = {"type": "function_call_output", "call_id": "c1", "output": "ok"}
    found = turns(CALL, output, SAID, {"role": "user", "content": "y"}, SAID)
    assert [m.role for m in found] == ["assistant", "tool", "assistant", "user", "assistant"]
    assert found[1] == Message("tool", "ok", tool_call_id="c1")


def test_an_output_may_hold_images() -> None:
    parts = [{"type": "input_text", "text": "see"}, {"type": "input_image", "image_url": PNG}]
    (message,) = turns({"type": "function_call_output", "call_id": "c1", "output": parts})
    assert message.content == (Part("text", "see"), Part("image_url", image_url=ImageURL(PNG)))


def test_custom_tools() -> None:
    call = {"type": "custom_tool_call", "call_id": "c1", "name": "patch", "input": "*** x"}
    output = {"type": "custom_tool_call_output", "call_id": "c1", "output": "done"}
    called, result = turns(call, output)
    assert called.tool_calls == (ToolCall("c1", FunctionCall("patch", "*** x"), "custom"),)
    assert result == Message("tool", "done", tool_call_id="c1")


def test_a_call_in_a_namespace_has_the_name_of_its_tool() -> None:
    inner = {"type": "function", "name": "f"}
    tools = [{"type": "namespace", "name": "mcp__x", "tools": [inner]}]
    call = read({**CALL, "namespace": "mcp__x"}, tools=tools)
    calls = call.chat.messages[1].tool_calls
    assert calls
    function = call.chat.tools[0].function
    assert function
    assert calls[0].function.name == function.name == "mcp__x__f"


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({"summary": [{"type": "summary_text", "text": t} for t in ("a", "b")]}, "a\n\nb"),
        ({"content": [{"type": "reasoning_text", "text": t} for t in ("a", "b")]}, "ab"),
        (
            {
                "summary": [{"type": "summary_text", "text": "short"}],
                "content": [{"type": "reasoning_text", "text": "long"}],
            },
            "long",
        ),
        ({"summary": None, "content": None}, None),
    ],
)
def test_the_text_of_reasoning(fields: dict[str, Any], expected: str | None) -> None:
    (message,) = turns(thought(**fields), CALL)
    assert message.reasoning_content == expected
    assert message.extra_content is None


def test_openais_own_reasoning_goes_back_to_it_as_it_came() -> None:
    own = thought(encrypted_content="gAAAA", summary=[{"type": "summary_text", "text": "a"}])
    call = read(own, SAID)
    message = call.chat.messages[1]
    assert message.extra_content == {"openai": {"reasoning": [own]}}
    assert message.reasoning_content == "a"
    assert call.chat.body is not None


def test_a_sealed_state_is_restored() -> None:
    block = {"type": "thinking", "thinking": "hm", "signature": "s"}
    state = ProviderState(
        {"anthropic": {"thinking_blocks": [block]}}, {"c1": {"google": {"thought_signature": "t"}}}
    )
    call = read(thought(encrypted_content=seal(state)), CALL)
    message = call.chat.messages[1]
    assert message.extra_content == {"anthropic": {"thinking_blocks": [block]}}
    assert message.tool_calls
    assert message.tool_calls[0].extra_content == {"google": {"thought_signature": "t"}}
    assert (call.chat.body, call.rebuilt) == (None, True)


def test_a_later_state_of_a_turn_counts() -> None:
    first, second = ProviderState({"google": {"a": 1}}), ProviderState({"google": {"a": 2}})
    (message,) = turns(
        thought(encrypted_content=seal(first)), SAID, thought(encrypted_content=seal(second))
    )
    assert message.extra_content == {"google": {"a": 2}}


def test_a_damaged_seal_is_no_state_and_goes_nowhere() -> None:
    call = read(thought(encrypted_content="aep1.damaged"), SAID)
    assert call.chat.messages[1].extra_content is None
    assert call.chat.body is None


def test_anothers_reasoning_is_taken_out_of_a_body_that_holds_more() -> None:
    sealed = thought(encrypted_content=seal(ProviderState()))
    unsealed = thought(content=[{"type": "reasoning_text", "text": "hm"}])
    call = read(sealed, unsealed, SAID, tools=[{"type": "web_search"}])
    assert json.loads(call.chat.body or b"")["input"] == [USER, SAID]
    assert not call.rebuilt


def test_reasoning_of_a_provider_with_other_ids_goes_on() -> None:
    call = read(thought(id="2cd8fbc0", content=[{"type": "reasoning_text", "text": "hm"}]), SAID)
    assert call.chat.body is not None
    assert call.chat.messages[1].reasoning_content == "hm"


def test_reasoning_that_leads_to_nothing_is_left_out() -> None:
    assert turns(thought(content=[{"type": "reasoning_text", "text": "hm"}])) == ()


@pytest.mark.parametrize(
    "kind", ["web_search_call", "mcp_call", "code_interpreter_call", "tool_search_call"]
)
def test_what_hosted_tools_did_is_left_out_and_named(kind: str) -> None:
    call = read({"type": kind, "id": "x_1", "action": {"type": "search"}, "output": [{}]}, SAID)
    assert [m.role for m in call.chat.messages] == ["user", "assistant"]
    assert call.dropped == (f"input.{kind}",)
    assert call.chat.native_only == ""


@pytest.mark.parametrize(
    "kind", ["compaction", "compaction_trigger", "shell_call", "computer_call_output", "new_thing"]
)
def test_what_only_a_provider_of_responses_can_take(kind: str) -> None:
    call = read({"type": kind, "output": {"any": "thing"}})
    assert call.chat.native_only.startswith("input[1].type: ")
    assert kind in call.chat.native_only
    assert call.chat.body is not None


def test_parts_that_only_a_provider_of_responses_can_take() -> None:
    image = {"type": "input_image", "file_id": "file-1"}
    call = read({"role": "user", "content": [image]})
    assert call.chat.native_only.startswith("input[1].content[0].file_id: ")
    call = read({"role": "user", "content": [{"type": "input_video", "url": "x"}]})
    assert call.chat.native_only.startswith("input[1].content[0].type: ")


@pytest.mark.parametrize("kind", ["additional_tools", "tool_search_output"])
def test_items_bring_tools(kind: str) -> None:
    given = {"type": "function", "name": "f"}
    call = read({"type": kind, "tools": [given, {"type": "function", "name": "g"}]}, tools=[given])
    assert [tool.function and tool.function.name for tool in call.chat.tools] == ["f", "g"]


@pytest.mark.parametrize("item", [{"type": "item_reference", "id": "rs_9"}, {"id": "rs_9"}])
def test_a_reference_that_nobody_resolved(item: dict[str, str]) -> None:
    with pytest.raises(NotFound) as caught:
        read(item)
    assert caught.value.message.startswith("Item with id 'rs_9' not found. Items are not persisted")


def test_a_previous_response_that_nobody_resolved() -> None:
    with pytest.raises(InvalidRequest) as caught:
        parse(previous_response_id="resp_9")
    error = caught.value
    assert error.message == "Previous response with id 'resp_9' not found."
    assert (error.param, error.code) == ("previous_response_id", "previous_response_not_found")


@pytest.mark.parametrize(
    ("item", "param"),
    [
        ({"role": "user"}, "input[1].content"),
        ({"role": "user", "content": None}, "input[1].content"),
        ({"role": "boss", "content": "x"}, "input[1].role"),
        ({"role": "tool", "content": "x"}, "input[1].role"),
        ({"content": "x"}, "input[1].role"),
        ({"role": "user", "content": 3}, "input[1].content"),
        ({"role": "user", "content": [{"type": "input_text"}]}, "input[1].content[0].text"),
        ({"role": "user", "content": [{"type": "refusal"}]}, "input[1].content[0].refusal"),
        ({"role": "user", "content": [{"type": "input_image"}]}, "input[1].content[0].image_url"),
        (
            {"role": "user", "content": [{"type": "input_image", "image_url": "http://a"}]},
            "input[1].content[0].image_url",
        ),
        (
            {"role": "user", "content": [{"type": "input_file", "filename": "a"}]},
            "input[1].content[0].file_data",
        ),
        (
            {"role": "user", "content": [{"type": "input_file", "file_id": 7}]},
            "input[1].content[0].file_id",
        ),
        (
            {"role": "user", "content": [{"type": "input_file", "file_id": None}]},
            "input[1].content[0].file_data",
        ),
        ({"type": "function_call", "name": "f", "arguments": "{}"}, "input[1].call_id"),
        ({"type": "function_call", "call_id": "c", "arguments": "{}"}, "input[1].name"),
        ({**CALL, "arguments": {"a": 1}}, "input[1].arguments"),
        ({"type": "function_call_output", "output": "x"}, "input[1].call_id"),
        (
            {"type": "function_call_output", "call_id": "c", "output": {"a": 1}},
            "input[1].output",
        ),
        ({"type": "additional_tools", "tools": [{"name": "f"}]}, "input[1].tools[0].type"),
        ("text", "input[1]"),
    ],
)
def test_items_that_say_nothing_are_refused_by_name(item: Any, param: str) -> None:
    with pytest.raises(InvalidRequest) as caught:
        read(item)
    assert caught.value.param == param


def test_images_have_a_limit_together() -> None:
    large = "data:image/png;base64," + "A" * (8 << 20)
    image = {"type": "input_image", "image_url": large}
    with pytest.raises(InvalidRequest, match="over 20 MB together") as caught:
        read(*({"role": "user", "content": [image]} for _ in range(4)))
    assert caught.value.param == "input[4].content[0].image_url"
