"""A conversation that is translated is the same conversation: what its caller's dialect and its
provider's can both say goes from the one to the other, and back."""

import json
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from msgspec import Struct, structs

from proxy.core.chat import Call, ChatRequest, Wire
from proxy.core.messages import Part
from proxy.dialects import anthropic, openai, responses
from proxy.providers.registry import ADAPTERS
from proxy.providers.specs import Endpoint, Model, ProviderSpec
from proxy.providers.target import Target
from tests.unit.serving.conversations import (
    NAMES,
    PDF,
    Conversation,
    conversations,
    find_address,
    list_result,
    write_chat,
    write_messages,
    write_responses,
)
from tests.unit.serving.conversations import Part as Said

WRITE: dict[Wire, Callable[[Conversation], dict[str, Any]]] = {
    "chat": write_chat,
    "messages": write_messages,
    "responses": write_responses,
}
PARSE: dict[Wire, Callable[[bytes], Call]] = {
    "chat": openai.parse_chat,
    "messages": anthropic.parse_chat,
    "responses": responses.parse_chat,
}
MOST = 4096
Turn = tuple[str, tuple[Any, ...]]
"""The role, with the call that a result is of, and the pieces."""


class Meant(Struct, frozen=True):
    """A request in no dialect. A `state` is what a provider has sealed, by its name."""

    turns: tuple[Turn, ...]
    thoughts: tuple[str | None, ...]
    """Of each turn, and so are the states."""
    states: tuple[Any, ...]
    failures: tuple[str | None, ...]
    tools: tuple[Any, ...]
    settings: dict[str, Any]


def make_target(wire: Wire) -> Target:
    name = "anthropic" if wire == "messages" else "openai"
    return Target(
        spec=ProviderSpec(name=name, endpoints={wire: Endpoint()}),
        model=Model(provider=name, id="m", max_output=MOST, late_system=True),
        base_url="https://provider.test/v1",
        wire=wire,
    )


def build(wire: Wire, chat: ChatRequest) -> bytes:
    """The body that a provider gets."""
    outgoing = ADAPTERS[wire].build_request(make_target(wire), chat)
    assert outgoing.dropped == ()
    body = outgoing.body or b""
    return body if isinstance(body, bytes) else b"".join(map(bytes, body))


def understand(chat: ChatRequest, states: str) -> Meant:
    """What a request means. states: the provider whose sealed states count."""
    form = chat.response_format
    turns: list[Turn] = []
    for message in chat.messages:
        pieces = tuple(map(_show_part, message.parts)) + tuple(
            ("call", call.id, call.function.name, json.loads(call.function.arguments or ""))
            for call in message.tool_calls or ()
        )
        turns.append((f"{message.role} {message.tool_call_id or ''}".strip(), pieces))
    own = [(message.extra_content or {}).get(states) for message in chat.messages]
    return Meant(
        turns=tuple(turns),
        thoughts=tuple(message.reasoning_content for message in chat.messages),
        states=tuple(own),
        failures=tuple(m.tool_call_id for m in chat.messages if m.is_error),
        tools=tuple(
            (f.name, f.description, f.parameters, bool(f.strict))
            for f in (tool.function for tool in chat.tools)
            if f
        ),
        settings={
            "max": chat.max_tokens,
            "temperature": chat.temperature,
            "choice": chat.tool_choice,
            "alone": chat.parallel_tool_calls is False,
            "effort": chat.reasoning_effort,
            "schema": form and form.json_schema and form.json_schema.schema_,
        },
    )


def _show_part(part: Part) -> Any:
    if part.image_url:
        return ("image", part.image_url.url)
    return ("file", json.loads(bytes(part.file))) if part.file else ("text", part.text)


def expect(meant: Meant, wire: Wire) -> Meant:
    """What of a request a provider's dialect can say, if it is built anew. But for chat completions
    none shows it thoughts that it has not sealed itself."""
    settings, thoughts = dict(meant.settings), meant.thoughts
    if wire == "messages":
        settings["max"] = settings["max"] or MOST
        if settings["choice"] == "none":  # nobody is called, so nobody alone
            settings["alone"] = False
        elif settings["alone"]:
            settings["choice"] = settings["choice"] or "auto"
    if wire != "chat":
        sealed = zip(thoughts, meant.states, strict=True)
        thoughts = tuple(thought if state else None for thought, state in sealed)
    failures = meant.failures if wire == "messages" else ()
    return structs.replace(meant, settings=settings, failures=failures, thoughts=thoughts)


def fit(held: Conversation, *dialects: Wire) -> Conversation:
    """The conversation without images in results, for which chat completions have no place."""
    if "chat" not in dialects:
        return held
    rounds = [
        structs.replace(
            turn, calls=tuple(structs.replace(call, shows=False) for call in turn.calls)
        )
        for turn in held.rounds
    ]
    return structs.replace(held, rounds=tuple(rounds))


def pass_on(chat: ChatRequest, wire: Wire) -> ChatRequest:
    """What a provider reads of a request that is built anew for it."""
    return PARSE[wire](build(wire, structs.replace(chat, body=None))).chat


PAIRS = [(caller, wire) for caller in WRITE for wire in WRITE]


@pytest.mark.parametrize(("caller", "wire"), PAIRS)
@given(held=conversations)
def test_nothing_is_lost_on_the_way(caller: Wire, wire: Wire, held: Conversation) -> None:
    held = fit(held, caller, wire)
    asked = PARSE[caller](json.dumps(WRITE[caller](held)).encode()).chat
    got = pass_on(asked, wire)
    name = make_target(wire).spec.name
    assert understand(got, name) == expect(understand(asked, name), wire)
    name = make_target(caller).spec.name
    again = pass_on(got, caller)
    assert understand(again, name) == expect(understand(got, name), caller)


def tell(held: Conversation) -> list[Turn]:
    """The turns of a conversation."""
    turns: list[Turn] = [("system", (("text", held.system),))] if held.system else []
    for turn in held.rounds:
        turns.append(("user", tuple(map(_tell_part, turn.said))))
        if turn.note:
            turns.append(("system", (("text", turn.note),)))
        said = (("text", turn.answer),) if turn.answer else ()
        calls = tuple(("call", call.id, call.name, call.arguments) for call in turn.calls)
        turns.append(("assistant", said + calls))
        turns += (
            (f"tool {call.id}", tuple(map(_tell_part, list_result(call)))) for call in turn.calls
        )
    return [*turns, ("user", tuple(map(_tell_part, held.last)))]


def _tell_part(part: Said) -> Any:
    if part.kind == "document":
        data = f"data:application/pdf;base64,{PDF}"
        return ("file", {"filename": part.text, "file_data": data})
    return ("text", part.text) if part.kind == "text" else ("image", find_address(part))


@pytest.mark.parametrize("caller", WRITE)
@given(held=conversations)
def test_a_request_is_read_as_it_was_written(caller: Wire, held: Conversation) -> None:
    held = fit(held, caller)
    chat = PARSE[caller](json.dumps(WRITE[caller](held)).encode()).chat
    meant = understand(chat, "")
    assert list(meant.turns) == tell(held)
    failed = [call.id for turn in held.rounds for call in turn.calls if call.failed]
    assert list(meant.failures) == (failed if caller == "messages" else [])
    thoughts = [turn.thought for turn in held.rounds if turn.thought]
    assert [thought for thought in meant.thoughts if thought] == thoughts
    settings = {name: value for name, value in meant.settings.items() if value}
    written = {name: value for name, value in held.settings.items() if value}
    if written.get("choice") in NAMES:
        written["choice"] = f"function:{written['choice']}"
    expected = expect(structs.replace(meant, settings={**meant.settings, **written}), caller)
    assert settings == {name: value for name, value in expected.settings.items() if value}


REFUSED = "I won't. " * 1000
"""Larger than what is copied."""


@pytest.mark.parametrize(("wire", "kind"), [("messages", "text"), ("responses", "output_text")])
def test_a_refusal_is_what_the_model_has_said(wire: Wire, kind: str) -> None:
    turns = [
        {"role": "user", "content": "Do it."},
        {"role": "assistant", "content": None, "refusal": REFUSED},
        {"role": "user", "content": "Please."},
    ]
    chat = openai.parse_chat(json.dumps({"model": "m", "messages": turns}).encode()).chat
    body = json.loads(build(wire, chat))
    _, answer, _ = body.get("messages") or body["input"]
    assert answer == {"role": "assistant", "content": [{"type": kind, "text": REFUSED}]}
