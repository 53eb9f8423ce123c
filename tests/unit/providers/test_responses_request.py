"""What tools and settings of another dialect become at a provider of Responses."""

import json
from typing import Any

import pytest
from msgspec import Raw

from proxy.core.chat import ChatRequest
from proxy.core.messages import (
    CustomTool,
    Function,
    JSONSchema,
    ResponseFormat,
    Tool,
)
from proxy.dialects import anthropic
from proxy.providers import responses
from tests.unit.providers import replay
from tests.unit.providers.making_responses import (
    HELLO,
    dropped,
    sent,
    target,
)

REASONS: dict[str, Any] = {"can": frozenset({"reasoning", "tools"})}
TALKS: dict[str, Any] = {"can": frozenset({"tools"})}
SCHEMA: dict[str, Any] = {"type": "object", "properties": {"city": {"type": "string"}}}
WEATHER = Tool(function=Function("weather", "Tells it.", SCHEMA))


def settings(to: dict[str, Any] | None = None, **fields: Any) -> Any:
    """What is sent beside model and input."""
    found = sent(target(to), ChatRequest(messages=HELLO, **fields))
    return {name: value for name, value in found.items() if name not in ("model", "input")}


def test_the_call() -> None:
    to = target({"upstream": "wire-1", **TALKS}, headers={"x-title": "proxy"})
    outgoing = responses.build_request(to, ChatRequest(messages=HELLO))
    assert (outgoing.method, outgoing.url) == ("POST", "https://acme.test/v1/responses")
    assert outgoing.headers == {
        "authorization": "Bearer secret",
        "content-type": "application/json",
        "accept": "application/json",
        "x-title": "proxy",
    }
    expected = {"model": "wire-1", "input": [{"role": "user", "content": "Hello"}], "store": False}
    assert replay.decode_body(outgoing) == expected


def test_a_stream() -> None:
    outgoing = responses.build_request(target(), ChatRequest(messages=HELLO, stream=True))
    assert outgoing.headers["accept"] == "text/event-stream"
    assert settings(stream=True) == {"store": False, "stream": True}


# Tools and the form of the answer


def test_tools_are_flat_and_say_whether_they_are_strict() -> None:
    strict = Tool(function=Function("f", strict=True))
    patch = Tool("custom", custom=CustomTool("apply_patch", "Patches.", {"type": "text"}))
    assert settings(tools=(WEATHER, strict, patch))["tools"] == [
        {
            "type": "function",
            "name": "weather",
            "description": "Tells it.",
            "parameters": SCHEMA,
            "strict": False,
        },
        {
            "type": "function",
            "name": "f",
            "parameters": {"type": "object", "properties": {}},
            "strict": True,
        },
        {
            "type": "custom",
            "name": "apply_patch",
            "description": "Patches.",
            "format": {"type": "text"},
        },
    ]


@pytest.mark.parametrize("inner", [False, True])
def test_a_grammar_stands_flat_whichever_form_it_came_in(inner: bool) -> None:
    grammar = {"syntax": "lark", "definition": "start: /a/"}
    form: Any = {"type": "grammar", **({"grammar": grammar} if inner else grammar)}
    [tool] = settings(tools=(Tool("custom", custom=CustomTool("f", format=form)),))["tools"]
    assert tool == {"type": "custom", "name": "f", "format": {"type": "grammar", **grammar}}


def test_tools_of_other_types_are_sent_as_they_came() -> None:
    raw = Raw(b'[{"type":"web_search","filters":{"a":1}}]')
    assert settings(tools=(Tool("web_search"),), raw_tools=raw)["tools"] == [
        {"type": "web_search", "filters": {"a": 1}}
    ]


ALLOWED = {
    "type": "allowed_tools",
    "allowed_tools": {
        "mode": "required",
        "tools": [{"type": "function", "function": {"name": "weather"}}],
    },
}
FLAT = {
    "type": "allowed_tools",
    "mode": "required",
    "tools": [{"type": "function", "name": "weather"}],
}


@pytest.mark.parametrize(
    ("choice", "extra", "expected"),
    [
        ("required", None, "required"),
        ("function:weather", None, {"type": "function", "name": "weather"}),
        ("custom:f", None, {"type": "custom", "name": "f"}),
        (None, ALLOWED, FLAT),
        (None, {"type": "web_search"}, {"type": "web_search"}),
    ],
)
def test_the_choice_of_a_tool(choice: str | None, extra: Any, expected: Any) -> None:
    beside = {"tool_choice": Raw(json.dumps(extra).encode())} if extra else {}
    chat = ChatRequest(messages=HELLO, tools=(WEATHER,), tool_choice=choice, extra=beside)
    assert sent(target(), chat)["tool_choice"] == expected
    assert dropped(target(), chat) == ()


@pytest.mark.parametrize(
    ("form", "expected"),
    [
        (ResponseFormat("text"), None),
        (ResponseFormat("json_object"), {"type": "json_object"}),
        (
            ResponseFormat("json_schema", JSONSchema("city", SCHEMA, True, "A city.")),
            {
                "type": "json_schema",
                "name": "city",
                "schema": SCHEMA,
                "strict": True,
                "description": "A city.",
            },
        ),
        (
            ResponseFormat("json_schema", JSONSchema(schema_=SCHEMA)),
            {"type": "json_schema", "name": "answer", "schema": SCHEMA},
        ),
    ],
)
def test_the_form_of_the_answer(form: ResponseFormat, expected: Any) -> None:
    found = settings(response_format=form)
    assert found.get("text") == (expected and {"format": expected})


# Settings


def test_settings_that_have_their_place() -> None:
    same = {"prompt_cache_key": "k", "service_tier": "flex", "metadata": {"a": "b"}}
    given = {**same, "verbosity": "low"}
    extra = {name: Raw(json.dumps(value).encode()) for name, value in given.items()}
    chat = ChatRequest(
        messages=HELLO,
        max_tokens=500,
        temperature=0.5,
        top_p=0.9,
        logprobs=True,
        top_logprobs=2,
        parallel_tool_calls=False,
        reasoning_effort="high",
        reasoning_summary="auto",
        extra=extra,
    )
    found = sent(target(REASONS), chat)
    assert dropped(target(REASONS), chat) == ()
    del found["model"], found["input"]
    assert found == {
        "max_output_tokens": 500,
        "temperature": 0.5,
        "top_p": 0.9,
        "top_logprobs": 2,
        "parallel_tool_calls": False,
        "reasoning": {"effort": "high", "summary": "auto"},
        "text": {"verbosity": "low"},
        **same,
        "store": False,
        "include": ["reasoning.encrypted_content", "message.output_text.logprobs"],
    }


def test_settings_that_have_none_are_left_out_and_named() -> None:
    chat = ChatRequest(
        messages=HELLO,
        stop=("x",),
        seed=1,
        frequency_penalty=0.5,
        presence_penalty=0.5,
        extra={"logit_bias": Raw(b"{}"), "top_k": Raw(b"4"), "verbosity": Raw(b'"low"')},
    )
    names = ("stop", "seed", "frequency_penalty", "presence_penalty", "logit_bias", "top_k")
    assert dropped(target(), chat) == names
    assert sent(target(), chat).keys() == {"model", "input", "text", "store"}


def test_what_the_model_refuses_is_left_out_and_named() -> None:
    to = target({"drop": ("temperature", "reasoning_effort", "logprobs")}, drop=("store", "stop"))
    chat = ChatRequest(
        messages=HELLO,
        temperature=1,
        reasoning_effort="low",
        reasoning_summary="auto",
        logprobs=True,
        extra={"verbosity": Raw(b'"low"')},
    )
    names = {"temperature", "reasoning_effort", "reasoning_summary", "logprobs"}
    assert set(dropped(to, chat)) == names
    assert sent(to, chat).keys() == {"model", "input", "text"}


def test_the_lowest_limit_that_there_is() -> None:
    assert settings(max_tokens=1)["max_output_tokens"] == 16


@pytest.mark.parametrize(
    ("model", "effort", "included"),
    [
        (REASONS, None, True),
        (REASONS, "none", True),
        (TALKS, None, False),
        ({}, None, False),
        ({}, "none", False),
        ({}, "low", True),
    ],
)
def test_reasoning_is_to_be_sealed_where_the_model_reasons(
    model: dict[str, Any], effort: str | None, included: bool
) -> None:
    found = settings(model, reasoning_effort=effort)
    assert found.get("include", []) == ["reasoning.encrypted_content"] * included


def test_a_response_that_the_provider_stores_has_no_need_of_sealed_reasoning() -> None:
    found = settings(REASONS, extra={"store": Raw(b"true")})
    assert found == {"store": True}


def test_efforts_become_those_that_the_model_knows() -> None:
    to = target({"efforts": {"max": "high"}}, efforts={"minimal": "low", "max": "low"})
    for requested, expected in (("minimal", "low"), ("max", "high"), ("medium", "medium")):
        chat = ChatRequest(messages=HELLO, reasoning_effort=requested)
        assert sent(to, chat)["reasoning"] == {"effort": expected}


def test_a_model_has_fields_of_its_own_and_names_of_its_own() -> None:
    to = target({"send": {"top_k": 4, "temperature": 0}}, rename={"max_output_tokens": "most"})
    found = sent(to, ChatRequest(messages=HELLO, temperature=1, max_tokens=50))
    assert (found["top_k"], found["temperature"], found["most"]) == (4, 1, 50)
    assert "max_output_tokens" not in found


def test_the_user_of_a_chat_completion_goes_on() -> None:
    body = b'{"model":"fast","messages":[],"user":"ann"}'
    assert settings(body=body)["user"] == "ann"
    assert "user" not in settings(body=b'{"user":null}')


def test_fields_of_messages_are_none_of_this_dialects() -> None:
    """A service tier has other names there, and what is thought is translated."""
    thinking = {"type": "enabled", "budget_tokens": 2048}
    body = {"model": "m", "max_tokens": 4096, "messages": [{"role": "user", "content": "Hello"}]}
    body |= {"service_tier": "standard_only", "thinking": thinking}
    chat = anthropic.parse_chat(json.dumps(body).encode()).chat
    found = sent(target(), chat)
    assert "service_tier" not in found
    assert found["reasoning"] == {"effort": "medium", "summary": "auto"}
    assert dropped(target(), chat) == ()
