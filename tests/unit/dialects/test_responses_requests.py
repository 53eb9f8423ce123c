"""What the fields of a request of OpenAI's Responses mean."""

import json
from typing import Any

import pytest

from proxy.core.cache_control import CacheControl
from proxy.core.errors import InvalidRequest
from proxy.core.messages import JSONSchema, Message, ResponseFormat
from proxy.dialects import responses
from tests.unit.dialects.making_responses import USER, parse, raw, read


def test_a_text_is_a_message_of_the_user() -> None:
    call = parse()
    assert call.chat.messages == (Message("user", "hi"),)
    assert call.routing.model == "m"
    assert (call.chat.dialect, call.chat.body) == ("responses", raw())
    assert call.chat.bridges_custom
    assert not call.rebuilt


def test_instructions_come_first() -> None:
    call = parse(instructions="Be brief.", input=[{"role": "developer", "content": "x"}, USER])
    assert [m.role for m in call.chat.messages] == ["system", "developer", "user"]
    assert call.chat.messages[0].content == "Be brief."


def test_settings_are_those_of_a_chat() -> None:
    chat = parse(
        stream=True,
        max_output_tokens=20,
        temperature=0.5,
        top_p=0.9,
        top_logprobs=3,
        parallel_tool_calls=False,
        reasoning={"effort": "high", "summary": "auto"},
    ).chat
    assert chat.stream
    assert (chat.max_tokens, chat.temperature, chat.top_p) == (20, 0.5, 0.9)
    assert (chat.logprobs, chat.top_logprobs) == (True, 3)
    assert chat.parallel_tool_calls is False
    assert (chat.reasoning_effort, chat.reasoning_summary) == ("high", "auto")


def test_the_older_name_of_a_summary_counts_too() -> None:
    call = parse(reasoning={"generate_summary": "concise"})
    assert call.chat.reasoning_summary == "concise"
    assert call.echo["reasoning"] == {"effort": None, "summary": "concise"}


def test_logprobs_are_wanted_where_they_are_included() -> None:
    assert parse(include=["message.output_text.logprobs"]).chat.logprobs
    assert parse().chat.logprobs is None
    assert parse(top_logprobs=0).chat.top_logprobs is None


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({"type": "text"}, None),
        ({"type": "json_object"}, ResponseFormat("json_object")),
        (
            {"type": "json_schema", "name": "n", "schema": {"type": "object"}, "strict": True},
            ResponseFormat("json_schema", JSONSchema("n", {"type": "object"}, True)),
        ),
        (
            {"type": "json_schema", "schema": {}, "description": "d"},
            ResponseFormat("json_schema", JSONSchema("answer", {}, None, "d")),
        ),
    ],
)
def test_the_format_of_the_text(given: Any, expected: ResponseFormat | None) -> None:
    assert parse(text={"format": given}).chat.response_format == expected


def test_fields_that_chat_completions_have_too() -> None:
    call = parse(
        text={"verbosity": "low"},
        service_tier="flex",
        safety_identifier="s",
        prompt_cache_key="thread_1",
    )
    extra = {name: json.loads(bytes(value)) for name, value in call.chat.extra.items()}
    assert extra == {
        "verbosity": "low",
        "service_tier": "flex",
        "safety_identifier": "s",
        "prompt_cache_key": "thread_1",
    }
    assert call.session == "thread_1"


def test_labels() -> None:
    call = parse(user="u", metadata={"a": "b"}, session_id="s", prompt_cache_key="k")
    assert (call.user, call.metadata, call.session) == ("u", {"a": "b"}, "s")


def test_the_proxys_own_fields_choose_and_do_not_go_on() -> None:
    call = parse(
        provider={"order": ["groq"]},
        models=["n"],
        fallback=False,
        strategy="cheapest",
        timeout=500,
        cache={"ttl": 5},
        session_id="s",
        store=False,
    )
    routing = call.routing
    assert (routing.model, routing.models, routing.order) == ("m", ("n",), ("groq",))
    assert (routing.fallback, routing.strategy, routing.timeout_ms) == (False, "cheapest", 500)
    assert call.cache == CacheControl(ttl=5)
    assert json.loads(call.chat.body or b"") == {"model": "m", "input": "hi", "store": False}


def test_what_no_other_dialect_has_is_named() -> None:
    call = parse(
        truncation="auto",
        max_tool_calls=3,
        context_management=[{"type": "compaction"}],
        include=["reasoning.encrypted_content", "file_search_call.results"],
        reasoning={"effort": "low", "context": "auto"},
        stream_options={"include_obfuscation": False},
        client_metadata={"a": "b"},
        moderation=None,
    )
    assert call.dropped == (
        "context_management",
        "reasoning.context",
        "max_tool_calls",
        "truncation",
        "include.file_search_call.results",
    )
    assert parse(truncation="disabled").dropped == ()
    assert call.chat.body is not None
    assert call.chat.native_only == ""


@pytest.mark.parametrize(
    ("body", "param"),
    [
        ({"background": True}, "background"),
        ({"conversation": "conv_1"}, "conversation"),
        ({"conversation": {"id": "conv_1"}}, "conversation"),
        ({"prompt": {"id": "pmpt_1"}}, "prompt"),
        ({"input": None}, "input"),
        ({"input": ""}, "input"),
        ({"input": []}, "input"),
        ({"input": 7}, "input"),
        ({"input": [{"type": "web_search_call", "id": "ws_1"}]}, "input"),
        ({"temperature": 3}, "temperature"),
        ({"max_output_tokens": 0}, "max_output_tokens"),
        ({"top_logprobs": 21}, "top_logprobs"),
        ({"text": {"format": {"type": "json_schema"}}}, "text.format.schema"),
        ({"text": {"format": {"type": "yaml"}}}, "text.format.type"),
        ({"reasoning": {"summary": "long"}}, "reasoning.summary"),
        ({"provider": {"order": "groq"}}, "provider.order"),
        ({"cache": {"tll": 1}}, "cache.tll"),
    ],
)
def test_what_cannot_be_is_refused_by_name(body: dict[str, Any], param: str) -> None:
    with pytest.raises(InvalidRequest) as caught:
        parse(**body)
    assert caught.value.param == param
    assert caught.value.message.startswith(param)


def test_no_background_and_no_prompt_are_no_wish() -> None:
    call = parse(background=False, prompt=None, conversation=None, previous_response_id=None)
    assert call.chat.messages[0].content == "hi"


def test_a_body_that_is_no_json() -> None:
    with pytest.raises(InvalidRequest, match="not valid JSON"):
        responses.parse_chat(b'{"input": ')


@pytest.mark.parametrize(
    "field",
    [
        b'"odd": 1e999',
        b'"tools": [{"type": "web_search", "odd": 1e999}]',
        b'"tool_choice": {"type": "web_search", "odd": 1e999}',
    ],
)
def test_a_number_that_cannot_be_read(field: bytes) -> None:
    with pytest.raises(InvalidRequest, match="Number out of range"):
        responses.parse_chat(b'{"input": "hi", %b}' % field)


def test_the_settings_may_change_on_the_way() -> None:
    change = {
        "type": "configuration_update",
        "reasoning": {"effort": "low"},
        "text": {"format": {"type": "json_object"}},
    }
    call = read(change, reasoning={"effort": "high", "summary": "auto"}, text={"verbosity": "low"})
    assert (call.chat.reasoning_effort, call.chat.reasoning_summary) == ("low", "auto")
    assert call.chat.response_format == ResponseFormat("json_object")
    assert "verbosity" in call.chat.extra


def test_what_an_answer_repeats_holds_no_view_of_the_body() -> None:
    call = parse(tools=[{"type": "function", "name": "f"}], tool_choice="required", store=False)
    assert call.echo["tools"] == [
        {"type": "function", "name": "f", "description": None, "parameters": None, "strict": True}
    ]
    assert (call.echo["tool_choice"], call.echo["store"]) == ("required", False)
    assert parse().echo["store"] is True
    assert b"Raw" not in repr(call.echo).encode()
