"""Requests of Messages: every field and its place in the house's vocabulary."""

import json
from typing import Any

import pytest

from proxy.core.cache_control import CacheControl
from proxy.core.errors import InvalidRequest
from proxy.core.messages import BridgedTool, Message, Part
from proxy.dialects import anthropic
from tests.unit.dialects.making_anthropic import TOOL, USER, parse, raw

LONG = "mcp__server__" + "x" * 80


def test_a_plain_request() -> None:
    body = raw(system="Be brief.", temperature=0.5, top_p=0.9, stop_sequences=["END"], stream=True)
    call = parse(
        system="Be brief.", temperature=0.5, top_p=0.9, stop_sequences=["END"], stream=True
    )
    chat = call.chat
    assert chat.messages == (Message("system", "Be brief."), Message("user", "hi"))
    assert (chat.max_tokens, chat.temperature, chat.top_p) == (100, 0.5, 0.9)
    assert (chat.stop, chat.stream) == (("END",), True)
    assert (chat.dialect, chat.body) == ("messages", body)
    assert (call.routing.model, call.dropped, chat.native_only, chat.extra) == ("flash", (), "", {})


def test_the_systems_words_without_the_line_of_claude_code() -> None:
    line = {"type": "text", "text": "x-anthropic-billing-header: cc_version=2.1; cch=00000;"}
    mark = {"type": "ephemeral"}
    words = {"type": "text", "text": "Be brief.", "cache_control": mark}
    late = {"role": "system", "content": [{"type": "text", "text": "Be quick."}]}
    call = parse(system=[line, words], messages=[USER, late])
    assert call.chat.messages == (
        Message("system", (Part(type="text", text="Be brief.", cache_control=mark),)),
        Message("user", "hi"),
        Message("system", "Be quick."),
    )
    assert call.dropped == ("cache_control",)
    assert call.chat.body is not None
    assert b"billing-header" in call.chat.body


@pytest.mark.parametrize(
    ("given", "effort", "summary"),
    [
        ({"thinking": {"type": "enabled", "budget_tokens": 4096}}, "high", "auto"),
        ({"thinking": {"type": "enabled", "budget_tokens": 2048}}, "medium", "auto"),
        ({"thinking": {"type": "enabled", "budget_tokens": 1024}}, "low", "auto"),
        ({"thinking": {"type": "enabled", "budget_tokens": 500}}, "minimal", "auto"),
        ({"thinking": {"type": "adaptive"}}, None, "auto"),
        ({"thinking": {"type": "adaptive", "display": "summarized"}}, None, "auto"),
        ({"thinking": {"type": "adaptive", "display": "omitted"}}, None, None),
        ({"thinking": {"type": "disabled"}}, "none", None),
        ({"thinking": {"type": "between_tools"}}, None, None),
        ({"output_config": {"effort": "max"}}, "max", None),
        ({"thinking": {"type": "adaptive"}, "output_config": {"effort": "low"}}, "low", "auto"),
        ({}, None, None),
    ],
)
def test_thinking(given: Any, effort: str | None, summary: str | None) -> None:
    call = parse(**given)
    assert (call.chat.reasoning_effort, call.chat.reasoning_summary) == (effort, summary)
    assert call.dropped == ()
    assert ("thinking" in call.chat.extra) == ("thinking" in given)  # to the letter, for Anthropic


@pytest.mark.parametrize("name", ["output_config", "output_format"])
def test_the_form_of_the_answer(name: str) -> None:
    form = {"type": "json_schema", "schema": {"type": "object"}}
    chat = parse(**{name: {"format": form} if name == "output_config" else form}).chat
    assert chat.response_format
    assert chat.response_format.json_schema
    assert chat.response_format.json_schema.schema_ == {"type": "object"}
    assert chat.response_format.json_schema.strict is True
    assert chat.extra == {}


def test_tools() -> None:
    mark = {"type": "ephemeral", "ttl": "1h"}
    given = {
        "name": "weather", "type": "custom", "description": "The weather.", "strict": True,
        "input_schema": {"type": "object", "properties": {"city": {"type": "string"}}},
        "cache_control": mark, "defer_loading": True, "eager_input_streaming": True,
        "input_examples": [{"city": "Paris"}], "allowed_callers": ["direct"],
    }  # fmt: skip
    call = parse(tools=[given])
    (tool,) = call.chat.tools
    assert tool.type == "function"
    assert tool.cache_control == mark
    assert tool.function
    assert (tool.function.name, tool.function.strict) == ("weather", True)
    assert tool.function.parameters == given["input_schema"]
    assert tool.function.description == 'The weather.\n\nExamples of input: [{"city": "Paris"}]'
    assert call.dropped == ("cache_control", "defer_loading", "eager_input_streaming")
    assert call.chat.native_only == ""


@pytest.mark.parametrize(
    ("choice", "expected", "parallel"),
    [
        ({"type": "auto"}, "auto", None),
        ({"type": "any"}, "required", None),
        ({"type": "none"}, "none", None),
        ({"type": "tool", "name": "weather"}, "function:weather", None),
        ({"type": "auto", "disable_parallel_tool_use": True}, "auto", False),
        ({"type": "auto", "disable_parallel_tool_use": False}, "auto", None),
    ],
)
def test_the_choice_of_tools(choice: Any, expected: str, parallel: bool | None) -> None:
    chat = parse(tools=[TOOL], tool_choice=choice).chat
    assert (chat.tool_choice, chat.parallel_tool_calls) == (expected, parallel)


def test_a_long_name_is_cut_wherever_it_stands() -> None:
    use = {"type": "tool_use", "id": "t1", "name": LONG, "input": {}}
    call = parse(
        tools=[{**TOOL, "name": LONG}],
        tool_choice={"type": "tool", "name": LONG},
        messages=[USER, {"role": "assistant", "content": [use]}],
    )
    (short,) = call.bridged
    assert call.bridged == {short: BridgedTool(LONG)}
    assert len(short) == 64
    assert short.startswith(LONG[:55] + "_")
    assert call.chat.tools[0].function
    assert call.chat.tools[0].function.name == short
    assert call.chat.tool_choice == f"function:{short}"
    assert call.chat.messages[1].tool_calls
    assert call.chat.messages[1].tool_calls[0].function.name == short
    assert call.chat.body is not None
    assert LONG.encode() in call.chat.body


@pytest.mark.parametrize(
    ("user_id", "user", "session"),
    [
        ("jane", "jane", ""),
        (json.dumps({"device_id": "d", "session_id": "s-1"}), None, "s-1"),
        ("{no json", None, ""),
        (json.dumps({"session_id": 5}), None, ""),
        ("[" * 200, "[" * 200, ""),
        ("user_1_account__session_" + "a" * 36, "user_1_account__session_" + "a" * 36, "a" * 36),
        ("two\nlines", None, ""),
    ],
)
def test_the_callers_user(user_id: str, user: str | None, session: str) -> None:
    call = parse(metadata={"user_id": user_id})
    assert (call.user, call.session) == (user, session)


def test_the_proxys_own_fields_do_not_go_on() -> None:
    call = parse(
        provider="groq", fallback=False, strategy="fastest", timeout=5000, models=["fast"],
        cache={"ttl": 60, "no-store": True}, top_k=5,
    )  # fmt: skip
    routing = call.routing
    assert (routing.provider, routing.fallback, routing.strategy) == ("groq", False, "fastest")
    assert (routing.timeout_ms, routing.models) == (5000, ("fast",))
    assert call.cache == CacheControl(ttl=60, store=False)
    assert call.chat.body is not None
    assert json.loads(call.chat.body) == json.loads(raw(top_k=5))


@pytest.mark.parametrize(
    "given",
    [
        {"context_management": {"edits": [{"type": "clear_tool_uses_20250919"}]}},
        {"safeguards": {}}, {"top_k": 40}, {"service_tier": "auto"}, {"speed": "fast"},
        {"inference_geo": "us"}, {"diagnostics": {"previous_message_id": None}},
        {"betas": ["x"]}, {"fallbacks": ["a"]},
    ],
)  # fmt: skip
def test_what_changes_no_answer_is_dropped(given: Any) -> None:
    call = parse(**given)
    assert call.chat.native_only == ""
    assert call.dropped == tuple(given)
    assert tuple(call.chat.extra) == tuple(given)
    assert call.chat.body == raw(**given)


def test_a_part_of_a_field_is_dropped_by_name() -> None:
    call = parse(output_config={"effort": "low", "task_budget": {"total": 1}})
    assert call.dropped == ("output_config.task_budget",)
    assert call.chat.native_only == ""
    assert list(call.chat.extra) == ["output_config"]


@pytest.mark.parametrize(
    ("given", "path", "feature"),
    [
        ({"mcp_servers": [{"type": "url"}]}, "mcp_servers", "mcp_servers"),
        ({"container": "c_1"}, "container", "container"),
        ({"thread": {"type": "continue", "id": "t"}}, "thread", "thread"),
        ({"anything": 1}, "anything", "anything"),
        ({"max_tokens": 0}, "max_tokens", "max_tokens"),
        ({"output_format": {"type": "grammar"}}, "output_format", "grammar"),
        (
            {"tools": [TOOL, {"type": "bash_20250124", "name": "bash"}]},
            "tools.1", "bash_20250124",
        ),
        ({"tools": [{"type": "code_execution_2", "name": "w"}]}, "tools.0", "code_execution_2"),
        (
            {"tools": [{**TOOL, "allowed_callers": ["code_execution_20250825"]}]},
            "tools.0.custom.allowed_callers", "allowed_callers",
        ),
    ],
)  # fmt: skip
def test_what_would_change_an_answer_is_for_those_who_know_it(
    given: Any, path: str, feature: str
) -> None:
    call = parse(**given)
    assert call.chat.native_only.startswith(f"{path}: ")
    assert f"capability_rejected: {feature}" in call.chat.native_only
    assert call.chat.body == raw(**given)
    words = ("Extra inputs are not permitted", "Input tag '", "Input should be")
    assert any(word in call.chat.native_only for word in words)


def test_a_thread_that_nobody_holds_is_not_found() -> None:
    """The SDKs send the whole conversation on this code alone."""
    call = parse(thread={"type": "continue", "previous_message_id": "msg_1"})
    refusal = InvalidRequest(call.chat.native_only)
    error = json.loads(anthropic.error(refusal, "req_1", 0.0))["error"]
    assert error["details"]["error_code"] == "thread_not_found"
    other = InvalidRequest(parse(container="c_1").chat.native_only)
    error = json.loads(anthropic.error(other, "req_1", 0.0))["error"]
    assert error["details"]["error_code"] == "invalid_request"


@pytest.mark.parametrize(
    "given", [{"mcp_servers": []}, {"container": None}, {"thread": {"type": "new"}}]
)
def test_fields_that_hold_nothing_are_for_everybody(given: Any) -> None:
    assert parse(**given).chat.native_only == ""


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"max_tokens": ...}, "max_tokens: Field required"),
        ({"messages": ...}, "messages: Field required"),
        ({"model": ...}, "model: Field required"),
        ({"max_tokens": "5"}, "max_tokens: Input should be a valid integer"),
        ({"max_tokens": -1}, "max_tokens: Input should be greater than or equal to 0"),
        ({"temperature": "x"}, "temperature: Input should be a valid number"),
        ({"temperature": 3}, "temperature: Input should be less than or equal to 2.0"),
        ({"stream": 1}, "stream: Input should be a valid boolean"),
        ({"messages": {}}, "messages: Input should be a valid list"),
        (
            {"messages": [{"role": "user", "content": 5}]},
            "messages.0.content: Input should be a valid list",
        ),
        ({"messages": [{"role": "user"}]}, "messages.0.content: Field required"),
        ({"messages": [{"content": "x"}]}, "messages.0.role: Field required"),
        (
            {"messages": [{"role": "tool", "content": "x"}]},
            "messages.0.role: Input should be a known value, not 'tool'",
        ),
        (
            {"messages": [{"role": "user", "content": [{"text": "x"}]}]},
            "messages.0.content.0.type: Field required",
        ),
        (
            {"messages": [{"role": "user", "content": [{"type": "text"}]}]},
            "messages.0.content.0.text: Field required",
        ),
        ({"messages": [{"role": "user", "content": ""}]},
         "messages: at least one message must have non-empty content"),
        ({"tools": [{"input_schema": {}}]}, "tools.0.custom.name: Field required"),
        ({"tools": [{"name": "x"}]}, "tools.0.custom.input_schema: Field required"),
        (
            {"tools": [{"name": "a b", "input_schema": {}}]},
            "tools.0.custom.name: String should match pattern '^[a-zA-Z0-9_-]{1,128}$'",
        ),
        ({"tools": [TOOL, TOOL]}, "tools: Tool names must be unique, there are two of weather"),
        ({"tool_choice": {"type": "any"}}, "tool_choice: There are no tools to choose from"),
        (
            {"tools": [TOOL], "tool_choice": {"type": "tool", "name": "x"}},
            "tool_choice: Tool 'x' not found in provided tools",
        ),
        (
            {"tools": [TOOL], "tool_choice": {"type": "tool"}}, "tool_choice.name: Field required"),
        (
            {"output_config": {"format": {"type": "json_schema"}}},
            "output_config.format.schema: Field required",
        ),
        ({"metadata": {"user_id": 5}}, "metadata.user_id: Input should be a valid string"),
        ({"timeout": 0}, "timeout: Input should be greater than or equal to 1"),
    ],
)  # fmt: skip
def test_a_wrong_body_is_refused_in_anthropics_words(given: Any, message: str) -> None:
    with pytest.raises(InvalidRequest) as caught:
        parse(**given)
    assert caught.value.message == message
    assert caught.value.param == message.partition(":")[0]
    assert caught.value.status == 400


def test_a_count_needs_no_limit() -> None:
    body = raw(max_tokens=..., system="Be brief.", tools=[TOOL])
    call = anthropic.parse_count(body)
    assert (call.chat.max_tokens, len(call.chat.messages), len(call.chat.tools)) == (None, 2, 1)
    with pytest.raises(InvalidRequest, match="max_tokens: Field required"):
        anthropic.parse_chat(body)


def test_a_body_that_is_no_object_is_refused() -> None:
    for body in (b"", b"[]", b"{", b"\xff"):
        with pytest.raises(InvalidRequest):
            anthropic.parse_chat(body)
