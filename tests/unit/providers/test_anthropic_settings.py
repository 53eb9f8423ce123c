"""What settings, tools and forms of an answer become in Anthropic's Messages."""

from typing import Any

import pytest
from msgspec import Raw

from proxy.core.errors import InvalidRequest
from proxy.core.messages import Function, JSONSchema, Message, ResponseFormat, Tool
from proxy.providers.anthropic_schema import close_objects
from tests.unit.providers import replay
from tests.unit.providers.making_anthropic import HELLO, TO, dropped, sent, shipped, target, text

GET = Tool(function=Function("get", "Gets", {"properties": {"n": {"type": "number"}}}))
MARK = {"type": "ephemeral"}
SENT = {"cache_control": {"type": "ephemeral"}}
ADAPTIVE = {"type": "adaptive", "display": "summarized"}


def thinking(model: str, effort: str, **fields: Any) -> tuple[Any, Any]:
    body = sent(to=shipped(model), reasoning_effort=effort, **fields)
    return body.get("thinking"), body.get("output_config", {}).get("effort")


# The limit of an answer


@pytest.mark.parametrize(
    ("most", "asked", "expected"),
    [(4096, None, 4096), (4096, 10, 10), (4096, 9999, 4096), (None, None, 32_000), (None, 9, 9)],
)
def test_there_is_always_a_limit(most: int | None, asked: int | None, expected: int) -> None:
    assert sent(to=target({"max_output": most}), max_tokens=asked)["max_tokens"] == expected


# Tools


def test_tools() -> None:
    bare = Tool(function=Function("now", strict=True), cache_control=MARK)
    assert sent(tools=(GET, bare))["tools"] == [
        {
            "name": "get",
            "description": "Gets",
            "input_schema": {"type": "object", "properties": {"n": {"type": "number"}}},
        },
        {
            "name": "now",
            "input_schema": {"type": "object", "properties": {}, "additionalProperties": False},
            "strict": True,
            "cache_control": MARK,
        },
    ]


def test_other_tools_are_refused_by_name() -> None:
    with pytest.raises(InvalidRequest, match="web_search") as caught:
        sent(tools=(GET, Tool(type="web_search")))
    assert caught.value.param == "tools[1]"


@pytest.mark.parametrize(
    ("choice", "parallel", "expected"),
    [
        (None, None, None),
        (None, True, None),
        (None, False, {"type": "auto", "disable_parallel_tool_use": True}),
        ("auto", None, {"type": "auto"}),
        ("none", False, {"type": "none"}),
        ("required", None, {"type": "any"}),
        ("function:get", False, {"type": "tool", "name": "get", "disable_parallel_tool_use": True}),
    ],
)
def test_the_choice_of_a_tool(choice: str | None, parallel: bool | None, expected: Any) -> None:
    fields: dict[str, Any] = {"tool_choice": choice, "parallel_tool_calls": parallel}
    assert sent(tools=(GET,), **fields).get("tool_choice") == expected
    assert "tool_choice" not in sent(**fields)


def test_a_model_that_cannot_be_made_to_call_a_tool_is_left_the_choice() -> None:
    to = shipped("claude-opus-5-5")
    assert sent(to=to, tools=(GET,), tool_choice="required")["tool_choice"] == {"type": "auto"}
    assert dropped(to=to, tools=(GET,), tool_choice="required") == ("tool_choice",)
    assert dropped(to=to, tools=(GET,), tool_choice="none") == ()


def test_a_choice_among_some_tools_is_refused() -> None:
    with pytest.raises(InvalidRequest) as caught:
        sent(tools=(GET,), extra={"tool_choice": Raw(b'{"type":"allowed_tools"}')})
    assert caught.value.param == "tool_choice"


# Thinking


@pytest.mark.parametrize(
    ("model", "effort", "expected"),
    [
        ("claude-opus-5-5", "high", (ADAPTIVE, "high")),
        ("claude-opus-5-5", "minimal", (ADAPTIVE, "low")),
        ("claude-opus-5-5", "none", (ADAPTIVE, "low")),
        ("claude-opus-5", "none", ({"type": "disabled"}, None)),
        ("claude-opus-5", "xhigh", (ADAPTIVE, "xhigh")),
        ("claude-sonnet-4-6", "xhigh", (ADAPTIVE, "max")),
        ("claude-haiku-4-5", "low", ({"type": "enabled", "budget_tokens": 2048}, None)),
        ("claude-haiku-4-5", "max", ({"type": "enabled", "budget_tokens": 32_000}, None)),
        ("claude-haiku-4-5", "none", ({"type": "disabled"}, None)),
    ],
)
def test_an_effort_is_what_the_model_knows(model: str, effort: str, expected: Any) -> None:
    assert thinking(model, effort) == expected


def test_without_an_effort_the_models_own_thinking_holds() -> None:
    assert not {"thinking", "output_config"} & sent(to=shipped("claude-opus-5")).keys()


def test_thinking_leaves_room_for_the_answer() -> None:
    budget, _ = thinking("claude-haiku-4-5", "high", max_tokens=4000)
    assert budget == {"type": "enabled", "budget_tokens": 2000}
    to = shipped("claude-haiku-4-5")
    assert "thinking" not in sent(to=to, reasoning_effort="high", max_tokens=2000)
    assert dropped(to=to, reasoning_effort="high", max_tokens=2000) == ("reasoning_effort",)


def test_a_forced_tool_is_called_without_thinking() -> None:
    forced: dict[str, Any] = {"tools": (GET,), "tool_choice": "required"}
    assert thinking("claude-opus-5", "high", **forced) == (None, "high")
    assert thinking("claude-haiku-4-5", "high", **forced) == (None, None)


# Sampling and the rest


@pytest.mark.parametrize(
    ("fields", "kept", "gone"),
    [
        ({"temperature": 1.7}, {"temperature": 1}, ()),
        ({"temperature": 0.5}, {"temperature": 0.5}, ()),
        ({"top_p": 0.9}, {"top_p": 0.9}, ()),
        ({"temperature": 0.5, "top_p": 0.9}, {"temperature": 0.5}, ("top_p",)),
        ({"temperature": 0.5, "reasoning_effort": "high"}, {}, ("temperature",)),
        ({"temperature": 0.5, "reasoning_effort": "none"}, {"temperature": 0.5}, ()),
        ({"stop": ("END", "x")}, {"stop_sequences": ["END", "x"]}, ()),
        (
            {"seed": 0, "logprobs": True, "top_logprobs": 2},
            {},
            ("seed", "logprobs", "top_logprobs"),
        ),
        (
            {"frequency_penalty": 1, "presence_penalty": 1},
            {},
            ("frequency_penalty", "presence_penalty"),
        ),
        ({"logprobs": False}, {}, ()),
    ],
)
def test_settings(fields: Any, kept: Any, gone: tuple[str, ...]) -> None:
    body = sent(to=target({"max_output": 64_000}), **fields)
    for name in ("model", "max_tokens", "messages", "thinking", "output_config"):
        body.pop(name, None)
    assert body == kept
    assert dropped(**fields) == gone


@pytest.mark.parametrize("model", ["claude-opus-4-7", "claude-sonnet-5-5", "claude-haiku-5-5"])
def test_newer_models_are_sent_no_sampling(model: str) -> None:
    to = shipped(model)
    body = sent(to=to, temperature=0.5, top_p=0.9)
    assert not {"temperature", "top_p"} & body.keys()
    assert dropped(to=to, temperature=0.5, top_p=0.9) == ("temperature", "top_p")


@pytest.mark.parametrize("stop", ["", " ", "\n\n"])
def test_a_stop_of_white_space_is_refused(stop: str) -> None:
    with pytest.raises(InvalidRequest) as caught:
        sent(stop=("END", stop))
    assert caught.value.param == "stop"


def test_who_the_caller_serves_is_said_and_the_rest_is_named() -> None:
    extra = {"safety_identifier": Raw(b'"u-1"'), "logit_bias": Raw(b"{}"), "store": Raw(b"true")}
    assert sent(extra=extra)["metadata"] == {"user_id": "u-1"}
    assert dropped(extra=extra) == ("logit_bias", "store")
    assert dropped(extra={"safety_identifier": Raw(b"1")}) == ("safety_identifier",)


def test_the_catalogue_can_have_the_prompt_cached() -> None:
    to = target({"send": SENT})
    assert sent(to=to)["cache_control"] == MARK
    marked = Message(role="user", content=(text("Hi", cache_control=MARK),))
    assert "cache_control" not in sent(marked, to=to)
    assert "cache_control" not in sent(
        to=to, tools=(Tool(function=Function("a"), cache_control=MARK),)
    )
    assert (
        sent(to=to, cache_control={"type": "ephemeral", "ttl": "1h"})["cache_control"]["ttl"]
        == "1h"
    )


# The form of the answer


def form(schema: Any) -> ResponseFormat:
    return ResponseFormat("json_schema", JSONSchema(schema_=schema))


SCHEMA = {"type": "object", "properties": {"a": {"type": "object"}}, "required": ["a"]}


def test_a_schema_goes_with_closed_objects() -> None:
    assert sent(response_format=form(SCHEMA))["output_config"] == {
        "format": {
            "type": "json_schema",
            "schema": {
                "type": "object",
                "properties": {"a": {"type": "object", "additionalProperties": False}},
                "required": ["a"],
                "additionalProperties": False,
            },
        }
    }


def test_a_schema_stands_beside_the_effort() -> None:
    body = sent(to=shipped("claude-opus-5"), response_format=form(SCHEMA), reasoning_effort="low")
    assert body["output_config"].keys() == {"effort", "format"}


@pytest.mark.parametrize(
    ("wanted", "to"),
    [(ResponseFormat("json_object"), TO), (form(SCHEMA), target({"json_schema": False}))],
)
def test_other_forms_are_words_after_the_system_prompt(wanted: ResponseFormat, to: Any) -> None:
    body = sent(Message(role="system", content="Be brief."), HELLO, to=to, response_format=wanted)
    assert body["system"][0]["text"] == "Be brief."
    assert "JSON" in body["system"][1]["text"]
    assert "output_config" not in body


def test_text_is_no_form() -> None:
    assert not {"system", "output_config"} & sent(response_format=ResponseFormat("text")).keys()


@pytest.mark.parametrize(
    ("schema", "expected"),
    [
        ({"type": ["object", "null"]}, {"type": ["object", "null"], "additionalProperties": False}),
        (
            {"type": "object", "additionalProperties": True},
            {"type": "object", "additionalProperties": False},
        ),
        ({"type": "object", "additionalProperties": {"type": "string"}}, None),
        ({"type": "string", "enum": ["object"]}, None),
        (
            {"$defs": {"properties": {"type": "object"}}, "items": {"anyOf": [{"properties": {}}]}},
            {
                "$defs": {"properties": {"type": "object", "additionalProperties": False}},
                "items": {"anyOf": [{"properties": {}, "additionalProperties": False}]},
            },
        ),
        (True, None),
    ],
)
def test_objects_are_closed(schema: Any, expected: Any) -> None:
    assert close_objects(schema) == (schema if expected is None else expected)


def test_what_the_shipped_models_refuse_is_data() -> None:
    models = [m for m in replay.CATALOG.models.values() if m.provider == "anthropic"]
    assert len(models) > 10
    for model in models:
        assert model.cache_write == pytest.approx(1.25 * (model.input or 0))
        assert model.cache_write_1h == pytest.approx(2 * (model.input or 0))
        assert model.max_output and model.context
