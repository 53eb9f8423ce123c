"""Any conversation, and a request of each dialect that holds it, as its SDK would write it."""

import json
from typing import Any

from hypothesis import strategies as st
from msgspec import Struct

Fields = dict[str, Any]

PNG = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAAB"
PDF = "JVBERi0xLjQK"
NAMES = ("get", "put_it", "run-1")


class Part(Struct, frozen=True):
    """A piece of what a user says."""

    kind: str
    """`text`, `image` (its data), `link` (its address) or `document` (its name)."""
    text: str


class Made(Struct, frozen=True):
    """A call of a tool, and its result."""

    id: str
    name: str
    arguments: Fields
    result: str
    failed: bool
    shows: bool
    """Whether an image belongs to the result, where the dialect has a place for it there."""


class Round(Struct, frozen=True):
    """What the user says, what the system adds, and what the model answers; the results of its
    calls come at the beginning of the next round."""

    said: tuple[Part, ...]
    note: str
    answer: str
    calls: tuple[Made, ...]
    thought: str
    """What the model thought, which its provider has signed; empty: nothing."""


class Conversation(Struct, frozen=True):
    """Rounds, and the user's last words."""

    system: str
    rounds: tuple[Round, ...]
    last: tuple[Part, ...]
    settings: Fields


_texts = st.text(min_size=1, max_size=12).filter(lambda text: not text.isspace())
_parts = st.one_of(
    st.builds(Part, st.just("text"), _texts),
    st.just(Part("image", PNG)),
    st.just(Part("link", "https://images.test/a.png")),
    st.builds(Part, st.just("document"), _texts),
)
_said = st.lists(_parts, min_size=1, max_size=3).map(tuple)
_arguments = st.dictionaries(
    st.text(max_size=5), st.integers(-9, 9) | st.text(max_size=5) | st.none(), max_size=2
)
_schema = {"type": "object", "properties": {"a": {"type": "string"}}}
_closed = {**_schema, "required": ["a"], "additionalProperties": False}
_settings = st.fixed_dictionaries(
    {},
    optional={
        "max": st.integers(16, 4000),
        "temperature": st.sampled_from([0, 0.5, 1]),
        "choice": st.sampled_from(["auto", "none", "required", *NAMES]),
        "alone": st.just(True),
        "schema": st.just(_closed),
    },
) | st.fixed_dictionaries({"effort": st.sampled_from(["low", "medium", "high"])})


@st.composite
def _rounds(draw: st.DrawFn) -> tuple[Round, ...]:
    made: list[Round] = []
    for number in range(draw(st.integers(0, 3))):
        calls = [
            Made(
                f"call_{number}_{place}",
                draw(st.sampled_from(NAMES)),
                draw(_arguments),
                draw(_texts),
                draw(st.booleans()),
                draw(st.booleans()),
            )
            for place in range(draw(st.integers(0, 3)))
        ]
        answer = draw(_texts if not calls else _texts | st.just(""))
        note, thought = draw(st.just("") | _texts), draw(st.just("") | _texts)
        made.append(Round(draw(_said), note, answer, tuple(calls), thought))
    return tuple(made)


conversations = st.builds(Conversation, st.just("") | _texts, _rounds(), _said, _settings)


def list_result(call: Made) -> list[Part]:
    """The parts of a call's result."""
    return [Part("text", call.result), *([Part("image", PNG)] if call.shows else [])]


def write_chat(held: Conversation) -> Fields:
    """A chat completion's request."""
    messages: list[Fields] = []
    if held.system:
        messages.append({"role": "system", "content": held.system})
    for turn in held.rounds:
        messages.append({"role": "user", "content": [_chat_part(part) for part in turn.said]})
        if turn.note:
            messages.append({"role": "system", "content": turn.note})
        answer: Fields = {"role": "assistant", "content": turn.answer or None}
        if turn.calls:
            answer["tool_calls"] = [
                {
                    "id": call.id,
                    "type": "function",
                    "function": {"name": call.name, "arguments": json.dumps(call.arguments)},
                }
                for call in turn.calls
            ]
        if turn.thought:
            answer["reasoning_content"] = turn.thought
            answer["extra_content"] = {
                "anthropic": {"thinking_blocks": [_thinking(turn.thought)]},
                "openai": {"reasoning": [_reasoning(turn.thought)]},
            }
        messages.append(answer)
        messages += (
            {"role": "tool", "tool_call_id": call.id, "content": call.result} for call in turn.calls
        )
    messages.append({"role": "user", "content": [_chat_part(part) for part in held.last]})
    tools = [
        {"type": "function", "function": {"name": name, "description": "D", "parameters": _schema}}
        for name in NAMES
    ]
    return {"model": "m", "messages": messages, "tools": tools, **_chat_settings(held.settings)}


def _chat_part(part: Part) -> Fields:
    if part.kind == "text":
        return {"type": "text", "text": part.text}
    if part.kind == "document":
        data = f"data:application/pdf;base64,{PDF}"
        return {"type": "file", "file": {"filename": part.text, "file_data": data}}
    return {"type": "image_url", "image_url": {"url": find_address(part)}}


def find_address(part: Part) -> str:
    """The URL of an image, or of its data."""
    return part.text if part.kind == "link" else f"data:image/png;base64,{part.text}"


def _chat_settings(settings: Fields) -> Fields:
    choice = settings.get("choice")
    form = {"name": "a", "schema": settings.get("schema"), "strict": True}
    named = {"type": "function", "function": {"name": choice}}
    given = {
        "max_tokens": settings.get("max"),
        "temperature": settings.get("temperature"),
        "reasoning_effort": settings.get("effort"),
        "tool_choice": named if choice in NAMES else choice,
        "parallel_tool_calls": False if "alone" in settings else None,
        "response_format": {"type": "json_schema", "json_schema": form} if form["schema"] else None,
    }
    return {name: value for name, value in given.items() if value is not None}


def write_messages(held: Conversation) -> Fields:
    """A request of Messages."""
    messages: list[Fields] = []
    results: list[Fields] = []
    for turn in held.rounds:
        said = [*results, *map(_block, turn.said)]
        messages.append({"role": "user", "content": said})
        if turn.note:
            messages.append({"role": "system", "content": turn.note})
        blocks = [_thinking(turn.thought)] if turn.thought else []
        blocks += [{"type": "text", "text": turn.answer}] if turn.answer else []
        blocks += (
            {"type": "tool_use", "id": call.id, "name": call.name, "input": call.arguments}
            for call in turn.calls
        )
        messages.append({"role": "assistant", "content": blocks})
        results = [
            {
                "type": "tool_result",
                "tool_use_id": call.id,
                "content": [_block(part) for part in list_result(call)],
                "is_error": call.failed,
            }
            for call in turn.calls
        ]
    messages.append({"role": "user", "content": [*results, *map(_block, held.last)]})
    tools = [{"name": name, "description": "D", "input_schema": _schema} for name in NAMES]
    head = {"model": "m", "max_tokens": held.settings.get("max", 4096)}
    system = {"system": held.system} if held.system else {}
    said_of_it = _messages_settings(held.settings)
    return {**head, **system, "messages": messages, "tools": tools, **said_of_it}


def _block(part: Part) -> Fields:
    if part.kind == "text":
        return {"type": "text", "text": part.text}
    if part.kind == "document":
        source = {"type": "base64", "media_type": "application/pdf", "data": PDF}
        return {"type": "document", "source": source, "title": part.text}
    if part.kind == "link":
        return {"type": "image", "source": {"type": "url", "url": part.text}}
    source = {"type": "base64", "media_type": "image/png", "data": part.text}
    return {"type": "image", "source": source}


def _thinking(thought: str) -> Fields:
    return {"type": "thinking", "thinking": thought, "signature": "EqQBCg=="}


def _messages_settings(settings: Fields) -> Fields:
    choice = {"auto": "auto", "none": "none", "required": "any"}.get(settings.get("choice", ""))
    wanted: Fields = {"type": choice} if choice else {}
    if settings.get("choice") in NAMES:
        wanted = {"type": "tool", "name": settings["choice"]}
    if "alone" in settings:
        wanted = {"type": "auto", **wanted}
        if wanted["type"] != "none":
            wanted["disable_parallel_tool_use"] = True
    config = {"effort": settings["effort"]} if "effort" in settings else {}
    if "schema" in settings:
        config["format"] = {"type": "json_schema", "schema": settings["schema"]}
    given = {
        "temperature": settings.get("temperature"),
        "tool_choice": wanted or None,
        "output_config": config or None,
        "thinking": {"type": "adaptive"} if "effort" in settings else None,
    }
    return {name: value for name, value in given.items() if value is not None}


def write_responses(held: Conversation) -> Fields:
    """A request of Responses."""
    items: list[Fields] = []
    for turn in held.rounds:
        items.append({"role": "user", "content": [_item_part(part) for part in turn.said]})
        if turn.note:
            items.append({"role": "system", "content": turn.note})
        if turn.thought:
            items.append(_reasoning(turn.thought))
        if turn.answer:
            said = [{"type": "output_text", "text": turn.answer, "annotations": []}]
            items.append({"type": "message", "role": "assistant", "content": said})
        items += (
            {
                "type": "function_call",
                "call_id": call.id,
                "name": call.name,
                "arguments": json.dumps(call.arguments),
            }
            for call in turn.calls
        )
        items += (
            {
                "type": "function_call_output",
                "call_id": call.id,
                "output": [_item_part(part) for part in list_result(call)],
            }
            for call in turn.calls
        )
    items.append({"role": "user", "content": [_item_part(part) for part in held.last]})
    tools = [
        {"type": "function", "name": n, "description": "D", "parameters": _schema, "strict": False}
        for n in NAMES
    ]
    system = {"instructions": held.system} if held.system else {}
    settings = _responses_settings(held.settings)
    return {"model": "m", "store": False, "input": items, "tools": tools, **system, **settings}


def _item_part(part: Part) -> Fields:
    if part.kind == "text":
        return {"type": "input_text", "text": part.text}
    if part.kind == "document":
        data = f"data:application/pdf;base64,{PDF}"
        return {"type": "input_file", "filename": part.text, "file_data": data}
    return {"type": "input_image", "image_url": find_address(part), "detail": "auto"}


def _reasoning(thought: str) -> Fields:
    summary = [{"type": "summary_text", "text": thought}]
    return {"type": "reasoning", "summary": summary, "encrypted_content": "gAAAAA=="}


def _responses_settings(settings: Fields) -> Fields:
    choice = settings.get("choice")
    form = {"type": "json_schema", "name": "a", "schema": settings.get("schema"), "strict": True}
    given = {
        "max_output_tokens": settings.get("max"),
        "temperature": settings.get("temperature"),
        "reasoning": {"effort": settings["effort"]} if "effort" in settings else None,
        "tool_choice": {"type": "function", "name": choice} if choice in NAMES else choice,
        "parallel_tool_calls": False if "alone" in settings else None,
        "text": {"format": form} if form["schema"] else None,
    }
    return {name: value for name, value in given.items() if value is not None}
