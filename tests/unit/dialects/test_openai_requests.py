"""Chats and embeddings out of OpenAI's dialect."""

import json
from typing import Any

import pytest

from proxy.core.cache_control import CacheControl
from proxy.core.chat import Routing
from proxy.core.embedding import EmbeddingRequest
from proxy.core.errors import InvalidRequest
from proxy.core.messages import Message
from proxy.dialects import openai
from proxy.dialects.contract import Dialect
from tests.unit.dialects.making_openai import TOOL, parse, raw

DIALECT: Dialect = openai


def test_a_body_of_openais_own_goes_on_unchanged() -> None:
    body = raw(model="gpt-4o", n=1, user="ann", logit_bias={"1": -1}, verbosity="low")
    call = openai.parse_chat(body)
    assert call.chat.body is body
    assert call.chat.messages == (Message("user", "hi"),)
    assert call.routing == Routing(model="gpt-4o")
    assert call.user == "ann"
    assert {name: bytes(value) for name, value in call.chat.extra.items()} == {
        "logit_bias": b'{"1": -1}',
        "verbosity": b'"low"',
    }


@pytest.mark.parametrize(
    "own",
    [
        {"provider": "groq"},
        {"provider": None},
        {"models": ["a"]},
        {"fallback": False},
        {"strategy": "fastest"},
        {"cache": {}},
        {"timeout": 5},
        {"metadata": {"team": "red"}},
    ],
)
def test_the_proxys_fields_go_no_further(own: dict[str, Any]) -> None:
    chat = parse(model="gpt-4o", **own).chat
    assert chat.body is None
    assert chat.extra == {}


def test_messages_and_tools_keep_their_bytes() -> None:
    messages = [
        b'{"role":"developer","content":"Be brief."}',
        b'{ "content":"h\\u00e9", "role":"user", "cache_control":{"type":"ephemeral"} }',
    ]
    tools = b'[ {"function":{"name":"f"},"type":"function","odd":1.0} ]'
    body = b'{"messages":[%b],"tools":%b}' % (b" , ".join(messages), tools)
    chat = openai.parse_chat(body).chat
    assert [bytes(message) for message in chat.raw_messages] == messages
    assert bytes(chat.raw_tools or b"") == tools
    assert [message.role for message in chat.messages] == ["developer", "user"]


def test_settings() -> None:
    call = parse(
        max_tokens=5,
        temperature=0,
        top_p=1,
        stop=["a", "b"],
        seed=1,
        frequency_penalty=-2,
        presence_penalty=2,
        logprobs=True,
        top_logprobs=20,
        tools=[TOOL],
        tool_choice="required",
        parallel_tool_calls=False,
        response_format={"type": "json_object"},
        reasoning_effort="low",
        stream=True,
        stream_options={"include_usage": True},
    )
    chat = call.chat
    assert (chat.max_tokens, chat.temperature, chat.top_p, chat.seed) == (5, 0.0, 1.0, 1)
    assert (chat.frequency_penalty, chat.presence_penalty) == (-2.0, 2.0)
    assert (chat.logprobs, chat.top_logprobs, chat.stop) == (True, 20, ("a", "b"))
    assert (chat.tool_choice, chat.parallel_tool_calls) == ("required", False)
    assert chat.response_format
    assert chat.response_format.type == "json_object"
    assert (chat.reasoning_effort, chat.stream, call.include_usage) == ("low", True, True)


def test_null_is_not_said() -> None:
    names = ("max_tokens", "stop", "tools", "stream_options", "n", "metadata", "stream", "model")
    nothing = parse()
    call = parse(**dict.fromkeys(names))
    assert (call.routing, call.metadata, call.include_usage) == (nothing.routing, {}, False)
    assert (call.chat.tools, call.chat.raw_tools, call.chat.stop) == ((), None, ())


def test_both_names_of_max_tokens() -> None:
    assert parse(max_tokens=6).chat.max_tokens == 6
    assert parse(max_completion_tokens=6).chat.max_tokens == 6
    assert parse(max_tokens=6, max_completion_tokens=6).chat.max_tokens == 6
    with pytest.raises(InvalidRequest, match="max_tokens: Differs from max_completion_tokens"):
        parse(max_tokens=5, max_completion_tokens=6)


def test_tool_choices() -> None:
    named = {"type": "function", "function": {"name": "f"}}
    assert parse(tools=[TOOL], tool_choice=named).chat.tool_choice == "function:f"
    allowed = {"type": "allowed_tools", "allowed_tools": {"mode": "auto", "tools": []}}
    chat = parse(tools=[TOOL], tool_choice=allowed).chat
    assert chat.tool_choice is None
    assert json.loads(bytes(chat.extra["tool_choice"])) == allowed


@pytest.mark.parametrize(
    ("cache", "expected"),
    [
        ({}, CacheControl()),
        ({"ttl": 60, "mode": "off"}, CacheControl(ttl=60, mode="off")),
        ({"no-cache": True}, CacheControl(mode="refresh")),
        ({"no-cache": True, "mode": "off"}, CacheControl(mode="off")),
        ({"no-store": True}, CacheControl(store=False)),
        ({"no-cache": False, "no-store": False}, CacheControl()),
        ({"s-maxage": 9, "namespace": "x"}, CacheControl(max_age=9, namespace="x")),
    ],
)
def test_cache(cache: dict[str, Any], expected: CacheControl) -> None:
    assert parse(cache=cache).cache == expected


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({}, Routing()),
        ({"provider": "groq", "timeout": 9}, Routing(provider="groq", timeout_ms=9)),
        (
            {"fallback": ["a"], "strategy": "reliable"},
            Routing(fallback=("a",), strategy="reliable"),
        ),
        ({"models": ["a", "b", "a"]}, Routing(model="a", models=("b",))),
        ({"model": "b", "models": ["a", "b"]}, Routing(model="b", models=("a",))),
        ({"models": []}, Routing()),
        (
            {"provider": {"order": ["a"], "only": ["a", "b"], "ignore": ["c"]}},
            Routing(order=("a",), only=("a", "b"), ignore=("c",)),
        ),
        ({"provider": {"sort": "price"}}, Routing(strategy="cheapest")),
        ({"provider": {"sort": "throughput"}}, Routing(strategy="fastest")),
        ({"provider": {"sort": "latency"}}, Routing(strategy="fastest")),
        ({"provider": {"sort": "price"}, "strategy": "balanced"}, Routing(strategy="balanced")),
        ({"provider": {"allow_fallbacks": False}, "fallback": True}, Routing(fallback=False)),
        ({"provider": {"allow_fallbacks": True}}, Routing()),
    ],
)
def test_routing(fields: dict[str, Any], expected: Routing) -> None:
    assert parse(**fields).routing == expected
    embed = json.dumps({"input": "a", **fields}).encode()
    assert openai.parse_embeddings(embed).routing == expected


@pytest.mark.parametrize(
    ("provider", "vendors"),
    [
        ("groq", None),
        ({"order": ["a"], "only": [], "zdr": None}, None),
        ({"zdr": True, "data_collection": "deny"}, '{"data_collection":"deny","zdr":true}'),
        ({"order": ["a"], "sort": {"by": "price"}}, '{"sort":{"by":"price"}}'),
    ],
)
def test_what_is_for_openrouter_alone(provider: Any, vendors: str | None) -> None:
    assert parse(provider=provider).chat.vendors == vendors
    embed = json.dumps({"input": "a", "provider": provider}).encode()
    assert openai.parse_embeddings(embed).vendors == vendors


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ("a", ("a",)),
        (["a", "b"], ("a", "b")),
        ([1, 2], ((1, 2),)),
        ([0] * 3000, ((0,) * 3000,)),
        ([[1], [2, 3]], ((1,), (2, 3))),
    ],
)
def test_inputs(given: Any, expected: Any) -> None:
    assert openai.parse_embeddings(json.dumps({"input": given}).encode()).input == expected


@pytest.mark.parametrize(
    ("inputs", "listed"),
    [("a", False), (["a"], True), ([1, 2], False), ([[1, 2]], True), (["a", "b"], True)],
)
def test_the_form_of_inputs_is_kept_in_mind(inputs: Any, listed: bool) -> None:
    assert openai.parse_embeddings(json.dumps({"input": inputs}).encode()).listed == listed


def test_embeddings_settings() -> None:
    body = b'{"input":"a","model":"e","dimensions":3,"encoding_format":"base64","user":"u","x":1 }'
    embedding = openai.parse_embeddings(body)
    assert {name: bytes(value) for name, value in embedding.extra.items()} == {"x": b"1"}
    assert (
        embedding.input,
        embedding.routing,
        embedding.dimensions,
        embedding.base64,
        embedding.user,
    ) == (
        ("a",),
        Routing(model="e"),
        3,
        True,
        "u",
    )
    assert openai.parse_embeddings(b'{"input":"a"}') == EmbeddingRequest(
        input=("a",), routing=Routing()
    )
