"""What an alias says stands in each form of a request, and nothing of the caller's is lost."""

import json
from collections.abc import Callable
from typing import Any

import msgspec
import pytest

from proxy.core.chat import Call
from proxy.core.messages import JSONSchema, ResponseFormat
from proxy.core.preset import Parameters, Preset
from proxy.dialects import anthropic, native, openai, responses
from proxy.dialects.preset import put_preset

USER = {"role": "user", "content": "Hello"}
PLAN = Parameters(max_tokens=100, temperature=0.5, stop="END", reasoning_effort="high")
FORM = ResponseFormat("json_schema", JSONSchema("answer", {"type": "object"}))
Read = Callable[[bytes], Call]


def put(read: Read, preset: Preset, **body: Any) -> Call:
    return put_preset(read(json.dumps(body).encode()), preset)


def body_of(call: Call) -> dict[str, Any]:
    assert call.chat.body is not None
    body: dict[str, Any] = json.loads(call.chat.body)
    return body


def chat(preset: Preset, **body: Any) -> Call:
    return put(openai.parse_chat, preset, **{"model": "a", "messages": [USER]} | body)


def message(preset: Preset, **body: Any) -> Call:
    given = {"model": "a", "messages": [USER], "max_tokens": 7} | body
    return put(anthropic.parse_chat, preset, **given)


def respond(preset: Preset, **body: Any) -> Call:
    return put(responses.parse_chat, preset, **{"model": "a", "input": "Hello"} | body)


def generate(preset: Preset, **body: Any) -> Call:
    return put(native.parse_chat, preset, **{"model": "a", "messages": [USER]} | body)


EVERY = (chat, message, respond, generate)


@pytest.mark.parametrize("ask", EVERY)
def test_nothing_is_changed_by_nothing(ask: Callable[..., Call]) -> None:
    plain = ask(Preset())
    again = put_preset(plain, Preset(defaults=Parameters(), system_mode="replace"))
    assert again is plain


EFFORTS: dict[str, Any] = {
    "reasoning": {"effort": "high", "max_tokens": 9000},
    "thinking": {"type": "enabled"},
    "enable_thinking": True,
}


@pytest.mark.parametrize("effort", ["high", "low"])
@pytest.mark.parametrize("cache", [{}, {"cache": {"ttl": 60}}])
def test_a_fixed_effort_has_no_rival(effort: str, cache: dict[str, Any]) -> None:
    fixed = Preset(fixed=Parameters(reasoning_effort="low"))
    call = chat(fixed, reasoning_effort=effort, top_k=3, **EFFORTS, **cache)
    assert call.chat.reasoning_effort == "low"
    assert call.chat.extra.keys() == {"top_k"}
    if not cache:
        assert body_of(call).keys() == {"model", "messages", "reasoning_effort", "top_k"}


@pytest.mark.parametrize("name", list(EFFORTS))
def test_an_effort_in_a_provider_s_words_needs_no_default(name: str) -> None:
    plan = Preset(defaults=Parameters(reasoning_effort="low"))
    call = chat(plan, **{name: EFFORTS[name]})
    assert call.chat.reasoning_effort is None
    assert body_of(call)[name] == EFFORTS[name]


@pytest.mark.parametrize("ask", EVERY)
def test_defaults_are_for_what_is_not_said(ask: Callable[..., Call]) -> None:
    preset = Preset(defaults=Parameters(temperature=0.5, top_p=0.9))
    put = ask(preset, temperature=0.1).chat
    assert (put.temperature, put.top_p) == (0.1, 0.9)


@pytest.mark.parametrize("ask", EVERY)
def test_what_is_fixed_holds_whatever_is_said(ask: Callable[..., Call]) -> None:
    preset = Preset(defaults=Parameters(temperature=0.4), fixed=Parameters(temperature=0.5))
    assert ask(preset, temperature=0.1).chat.temperature == 0.5


def test_the_settings_in_a_body_of_chat_completions() -> None:
    put = body_of(chat(Preset(fixed=PLAN), max_completion_tokens=9, user="ann", top_k=3))
    assert put == {
        "model": "a", "messages": [USER], "user": "ann", "top_k": 3,
        "max_tokens": 100, "temperature": 0.5, "stop": ["END"], "reasoning_effort": "high",
    }  # fmt: skip


def test_the_settings_in_a_body_of_messages() -> None:
    put = body_of(message(Preset(fixed=PLAN), output_config={"effort": "low", "other": 1}, top_k=3))
    assert put == {
        "model": "a", "messages": [USER], "top_k": 3, "max_tokens": 100, "temperature": 0.5,
        "stop_sequences": ["END"], "thinking": {"type": "adaptive"},
        "output_config": {"effort": "high", "other": 1},
    }  # fmt: skip


def test_messages_know_no_temperature_above_one() -> None:
    assert body_of(message(Preset(fixed=Parameters(temperature=1.5))))["temperature"] == 1


def test_no_thinking_in_messages() -> None:
    call = message(
        Preset(fixed=Parameters(reasoning_effort="none")),
        thinking={"type": "enabled", "budget_tokens": 2000},
    )
    assert body_of(call)["thinking"] == {"type": "disabled"}
    assert msgspec.json.decode(call.chat.extra["thinking"]) == {"type": "disabled"}


def test_the_settings_in_a_body_of_responses() -> None:
    call = respond(Preset(fixed=PLAN), reasoning={"effort": "low", "summary": "auto"}, unknown=1)
    assert body_of(call) == {
        "model": "a", "input": "Hello", "unknown": 1, "max_output_tokens": 100, "temperature": 0.5,
        "reasoning": {"effort": "high", "summary": "auto"},
    }  # fmt: skip
    assert (call.echo["temperature"], call.echo["max_output_tokens"]) == (0.5, 100)
    assert call.echo["reasoning"]["effort"] == "high"
    assert call.chat.stop == ("END",)


def test_the_form_of_the_answer() -> None:
    preset = Preset(defaults=Parameters(response_format=FORM))
    schema = {"type": "object"}
    assert body_of(chat(preset))["response_format"] == {
        "type": "json_schema",
        "json_schema": {"name": "answer", "schema": schema},
    }
    assert body_of(message(preset, output_config={"effort": "low"}))["output_config"] == {
        "effort": "low",
        "format": {"type": "json_schema", "schema": schema},
    }
    assert body_of(respond(preset, text={"verbosity": "low"}))["text"] == {
        "verbosity": "low",
        "format": {"type": "json_schema", "name": "answer", "schema": schema},
    }


PREPENDED = Preset(system="Be brief.")
ONLY = Preset(system="Be brief.", system_mode="default")
ANEW = Preset(system="Be brief.", system_mode="replace")


def roles(call: Call) -> list[tuple[str, Any]]:
    """The messages, as other dialects are built from them."""
    return [(m.role, m.content) for m in call.chat.messages]


@pytest.mark.parametrize("ask", EVERY)
@pytest.mark.parametrize("preset", [PREPENDED, ONLY, ANEW])
def test_words_for_a_caller_that_has_none(ask: Callable[..., Call], preset: Preset) -> None:
    assert roles(ask(preset))[0] == ("system", "Be brief.")


OWN: list[tuple[Callable[..., Call], dict[str, Any]]] = [
    (chat, {"messages": [{"role": "system", "content": "Be kind."}, USER]}),
    (chat, {"messages": [{"role": "developer", "content": "Be kind."}, USER]}),
    (message, {"system": "Be kind."}),
    (respond, {"instructions": "Be kind."}),
    (generate, {"prompt": "Hello", "messages": None, "system": "Be kind."}),
]


@pytest.mark.parametrize(("ask", "own"), OWN)
def test_words_beside_the_callers(ask: Callable[..., Call], own: dict[str, Any]) -> None:
    assert roles(ask(PREPENDED, **own))[0][1] == "Be brief.\n\nBe kind."
    assert roles(ask(ONLY, **own))[0][1] == "Be kind."
    put = ask(ANEW, **own)
    assert (roles(put)[0][1], len(put.chat.messages)) == ("Be brief.", 2)


def test_words_in_the_bytes_of_chat_completions() -> None:
    own = {"role": "developer", "content": "Be kind.", "name": "op", "unknown": 1}
    put = chat(PREPENDED, messages=[own, USER])
    sent = [{**own, "content": "Be brief.\n\nBe kind."}, USER]
    assert (
        body_of(put)["messages"]
        == [msgspec.json.decode(raw) for raw in put.chat.raw_messages]
        == sent
    )
    late = chat(PREPENDED, messages=[USER, own])
    assert [m["role"] for m in body_of(late)["messages"]] == ["developer", "user", "developer"]
    parts = [{"type": "text", "text": "Be kind.", "cache_control": {"type": "ephemeral"}}]
    put = chat(PREPENDED, messages=[{"role": "system", "content": parts}, USER])
    first = body_of(put)["messages"][0]["content"]
    assert first == [{"type": "text", "text": "Be brief."}, *parts]
    put = chat(ANEW, messages=[USER, own, USER])
    assert [m["role"] for m in body_of(put)["messages"]] == ["developer", "user", "user"]


def test_words_in_the_bytes_of_messages() -> None:
    blocks = [{"type": "text", "text": "Be kind.", "cache_control": {"type": "ephemeral"}}]
    assert body_of(message(PREPENDED))["system"] == "Be brief."
    assert body_of(message(PREPENDED, system="Be kind."))["system"] == "Be brief.\n\nBe kind."
    put = message(PREPENDED, system=blocks, messages=[USER])
    assert body_of(put)["system"] == [{"type": "text", "text": "Be brief."}, *blocks]
    late = [USER, {"role": "system", "content": "Be kind."}, USER]
    put = message(ANEW, system=blocks, messages=late)
    assert (body_of(put)["system"], body_of(put)["messages"]) == ("Be brief.", [USER, USER])
    assert [role for role, _ in roles(put)] == ["system", "user", "user"]


def test_words_in_the_bytes_of_responses() -> None:
    items = [{"role": "developer", "content": "Be kind."}, USER]
    put = respond(PREPENDED, input=items)
    assert (body_of(put)["instructions"], body_of(put)["input"]) == ("Be brief.", items)
    assert [text for _, text in roles(put)] == ["Be brief.", "Be kind.", "Hello"]
    put = respond(PREPENDED, instructions="Be fair.", input=items)
    assert body_of(put)["instructions"] == "Be brief.\n\nBe fair."
    assert [text for _, text in roles(put)] == ["Be brief.\n\nBe fair.", "Be kind.", "Hello"]
    put = respond(ANEW, instructions="Be fair.", input=items)
    assert (body_of(put)["instructions"], body_of(put)["input"]) == ("Be brief.", [USER])
    assert [text for _, text in roles(put)] == ["Be brief.", "Hello"]
    assert body_of(respond(ANEW))["input"] == "Hello"


def test_a_body_that_cannot_go_on_as_it_is_has_the_fields_alone() -> None:
    put = chat(Preset(fixed=Parameters(temperature=0.5), system="Be brief."), provider="openai")
    assert put.chat.body is None
    assert [msgspec.json.decode(raw) for raw in put.chat.raw_messages] == [
        {"role": "system", "content": "Be brief."},
        USER,
    ]
    assert put.chat.temperature == 0.5
