"""Tools of OpenAI's Responses as those that every provider knows."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.core.errors import InvalidRequest
from proxy.core.messages import BridgedTool, CustomTool, Function, Tool
from proxy.dialects.responses_tools import flat_name
from tests.unit.dialects.making_responses import parse

STRICT = {
    "type": "object",
    "properties": {"a": {"type": "object", "properties": {}, "additionalProperties": False}},
    "required": ["a"],
    "additionalProperties": False,
}
LOOSE: dict[str, Any] = {"type": "object", "properties": {"a": {"type": "string"}}}
GRAMMAR = {"type": "grammar", "syntax": "lark", "definition": "start: /.+/"}
F = {"type": "function", "name": "f", "parameters": LOOSE}
PATCH = {"type": "custom", "name": "patch", "description": "d", "format": GRAMMAR}
SPACE = {"type": "namespace", "name": "mcp__x", "description": "d", "tools": [F, PATCH]}
SEARCH = {"type": "web_search", "search_context_size": "low"}


def names(*tools: dict[str, Any], **body: Any) -> list[str]:
    return [tool.named.name for tool in parse(tools=tools, **body).chat.tools if tool.named]


@pytest.mark.parametrize(
    ("fields", "strict"),
    [
        ({"strict": True}, True),
        ({"strict": False, "parameters": STRICT}, False),
        ({"parameters": STRICT}, True),
        ({"parameters": LOOSE}, False),
        ({"parameters": {**STRICT, "required": []}}, False),
        ({"parameters": {**STRICT, "properties": {"a": LOOSE}}}, False),
        ({"parameters": {}}, False),
        ({"parameters": None, "strict": None}, False),
    ],
)
def test_a_function_says_whether_it_is_strict(fields: dict[str, Any], strict: bool) -> None:
    call = parse(tools=[{**F, "description": "d", **fields}])
    function = Function("f", "d", {**F, **fields}["parameters"], strict)
    assert call.chat.tools == (Tool("function", function),)
    assert call.bridged == {}


def test_a_custom_tool_is_bridged() -> None:
    call = parse(tools=[PATCH])
    assert call.chat.tools == (Tool("custom", custom=CustomTool("patch", "d", GRAMMAR)),)
    assert call.bridged == {"patch": BridgedTool("patch", custom=True)}
    assert call.chat.bridges_custom
    function = call.chat.with_functions_only().tools[0].function
    assert function
    assert GRAMMAR["definition"] in (function.description or "")


def test_a_namespace_is_flat() -> None:
    call = parse(tools=[SPACE, F])
    assert names(SPACE, F) == ["mcp__x__f", "mcp__x__patch", "f"]
    assert call.bridged == {
        "mcp__x__f": BridgedTool("f", "mcp__x"),
        "mcp__x__patch": BridgedTool("patch", "mcp__x", custom=True),
    }


def test_hosted_tools_are_left_out_and_named() -> None:
    call = parse(tools=[SEARCH, F, {"type": "mcp", "server_label": "x"}, SEARCH])
    assert [tool.named and tool.named.name for tool in call.chat.tools] == ["f"]
    assert call.dropped == ("tools.web_search", "tools.mcp")
    assert call.chat.native_only == ""
    assert call.chat.body is not None


@pytest.mark.parametrize("choice", ["auto", "none", "required", None])
def test_choices_by_a_word(choice: str | None) -> None:
    assert parse(tools=[F], tool_choice=choice).chat.tool_choice == choice


@pytest.mark.parametrize(
    ("choice", "expected"),
    [
        ({"type": "function", "name": "f"}, "function:f"),
        ({"type": "custom", "name": "patch"}, "custom:mcp__x__patch"),
        ({"type": "function", "name": "mcp__x__f"}, "function:mcp__x__f"),
    ],
)
def test_choices_by_a_name(choice: dict[str, str], expected: str) -> None:
    assert parse(tools=[F, SPACE], tool_choice=choice).chat.tool_choice == expected


@pytest.mark.parametrize(
    ("allowed", "mode", "left"),
    [
        ([{"type": "function", "name": "f"}], "required", ["f"]),
        ([{"type": "namespace", "name": "mcp__x"}], "auto", ["mcp__x__f", "mcp__x__patch"]),
        ([{"type": "web_search"}], "auto", []),
    ],
)
def test_only_allowed_tools_are_offered(
    allowed: list[dict[str, str]], mode: str, left: list[str]
) -> None:
    choice = {"type": "allowed_tools", "mode": mode, "tools": allowed}
    assert names(F, SPACE, SEARCH, tool_choice=choice) == left
    chat = parse(tools=[F, SPACE, SEARCH], tool_choice=choice).chat
    assert (chat.tool_choice, chat.native_only) == (mode, "")


@pytest.mark.parametrize(
    "choice",
    [
        {"type": "web_search"},
        {"type": "mcp", "server_label": "x", "name": "y"},
        "required",
        {"type": "allowed_tools", "mode": "required", "tools": [{"type": "web_search"}]},
    ],
)
def test_a_hosted_tool_that_must_be_called(choice: Any) -> None:
    chat = parse(tools=[SEARCH], tool_choice=choice).chat
    assert chat.native_only.startswith("tool_choice")
    assert chat.body is not None


@pytest.mark.parametrize(
    ("body", "param"),
    [
        ({"tools": [{"type": "function"}]}, "tools[0].name"),
        ({"tools": [{"name": "f"}]}, "tools[0].type"),
        ({"tools": [F, F]}, "tools[1].name"),
        ({"tools": [SPACE, {**F, "name": "mcp__x__f"}]}, "tools[1].name"),
        ({"tools": [{"type": "namespace", "tools": []}]}, "tools[0].name"),
        (
            {"tools": [{"type": "namespace", "name": "x", "tools": [{"type": "custom"}]}]},
            "tools[0].tools[0].name",
        ),
        ({"tools": [{**F, "parameters": []}]}, "tools[0].parameters"),
        ({"tools": [F] * 513}, "tools"),
        (
            {
                "tools": [
                    {
                        "type": "namespace",
                        "name": f"n{n}",
                        "tools": [{"type": "custom", "name": f"t{i}"} for i in range(300)],
                    }
                    for n in range(2)
                ]
            },
            "tools[1].tools[212]",
        ),
        ({"tool_choice": "required"}, "tool_choice"),
        ({"tool_choice": "any"}, "tool_choice"),
        ({"tool_choice": {"type": "function", "name": "g"}, "tools": [F]}, "tool_choice.name"),
        ({"tool_choice": {"type": "custom", "name": "f"}, "tools": [F]}, "tool_choice.name"),
        (
            {"tool_choice": {"type": "allowed_tools", "mode": "none", "tools": []}},
            "tool_choice.mode",
        ),
        (
            {
                "tool_choice": {
                    "type": "allowed_tools",
                    "mode": "auto",
                    "tools": [{"type": "function", "name": "g"}],
                }
            },
            "tool_choice.tools",
        ),
    ],
)
def test_tools_that_cannot_be_are_refused_by_name(body: dict[str, Any], param: str) -> None:
    with pytest.raises(InvalidRequest) as caught:
        parse(**body)
    assert caught.value.param == param


@given(st.text(min_size=1), st.none() | st.text(min_size=1))
def test_every_name_becomes_one_that_every_provider_takes(name: str, namespace: str | None) -> None:
    flat = flat_name(name, namespace)
    assert 1 <= len(flat) <= 64
    assert flat.isascii()
    assert flat.replace("_", "").replace("-", "").isalnum() or set(flat) <= {"_", "-"}
    assert flat == flat_name(name, namespace)


def test_long_names_stay_apart_and_lead_back() -> None:
    tools = [{**F, "name": "x" * 70 + end} for end in "ab"]
    call = parse(tools=tools)
    assert len(call.bridged) == 2
    assert {tool.name for tool in call.bridged.values()} == {tool["name"] for tool in tools}
