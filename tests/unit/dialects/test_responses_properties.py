"""Whatever an answer holds and however its stream is cut, a caller of OpenAI's Responses reads the
same."""

import json
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from proxy.core.chat import Answer, Chunk
from proxy.core.errors import InvalidRequest, NotFound
from proxy.core.messages import FunctionCall, ToolCall, ToolCallDelta
from proxy.dialects import responses
from tests.unit.dialects.making_responses import (
    SEALED,
    USER,
    answered,
    client,
    collect,
    events,
    last,
    parse,
    stream,
)

TEXT = st.text(max_size=40)
TOOLS = [
    {"type": "custom", "name": "patch"},
    {"type": "namespace", "name": "x", "tools": [{"type": "function", "name": "f"}]},
]
CALL = parse(stream=True, include=SEALED, tools=TOOLS)
STATE = st.dictionaries(st.sampled_from(["google", "anthropic"]), st.integers(), max_size=2)
TOOL_CALL = st.one_of(
    st.builds(
        lambda name, args, state: (name, json.dumps({"a": args}), state),
        st.sampled_from(["f", "x__f"]),
        TEXT,
        STATE,
    ),
    st.builds(lambda text, state: ("patch", json.dumps({"input": text}), state), TEXT, STATE),
)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner),
    max_leaves=6,
)


@st.composite
def answers(draw: st.DrawFn) -> Answer:
    """An answer as a provider may give it."""
    calls = tuple(
        ToolCall(f"c{number}", FunctionCall(name, arguments), extra_content=state or None)
        for number, (name, arguments, state) in enumerate(draw(st.lists(TOOL_CALL, max_size=3)))
    )
    state = draw(STATE)
    return Answer(
        text=draw(TEXT),
        reasoning=draw(TEXT) or None,
        refusal=draw(TEXT) or None,
        tool_calls=calls,
        finish_reason=draw(st.sampled_from(["stop", "length", "content_filter", "tool_calls"])),
        extra={"extra_content": state} if state else {},
    )


def cut(draw: Any, text: str) -> list[str]:
    """The text in pieces, some of them empty."""
    ends = sorted(draw(st.lists(st.integers(0, len(text)), max_size=4)))
    return [text[a:b] for a, b in zip([0, *ends], [*ends, len(text)], strict=True)]


@st.composite
def streams(draw: st.DrawFn) -> tuple[Answer, list[Chunk]]:
    """An answer, and chunks that add up to it, those of its calls in any order."""
    answer = draw(answers())
    chunks = []
    if answer.extra:
        chunks.append(Chunk(extra=answer.extra))
    chunks += [Chunk(reasoning=piece) for piece in cut(draw, answer.reasoning or "")]
    chunks += [Chunk(text=piece) for piece in cut(draw, answer.text or "")]
    chunks += [Chunk(refusal=piece) for piece in cut(draw, answer.refusal or "")]
    for number, call in enumerate(answer.tool_calls):
        first = ToolCallDelta(
            index=number, id=call.id, name=call.function.name, extra_content=call.extra_content
        )
        chunks.append(Chunk(tool_calls=(first,)))
    queues = [
        [ToolCallDelta(index=n, arguments=a) for a in cut(draw, call.function.arguments or "")]
        for n, call in enumerate(answer.tool_calls)
    ]
    while any(queues):
        queue = draw(st.sampled_from([queue for queue in queues if queue]))
        chunks.append(Chunk(tool_calls=(queue.pop(0),)))
    chunks.append(Chunk(finish_reason=answer.finish_reason))
    return answer, chunks


def without_state(items: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The items less the sealed state, which stands at the beginning where it is known there."""
    said = [
        item
        for item in items
        if item["type"] != "reasoning" or item["summary"] or "content" in item
    ]
    dropped = ("id", "encrypted_content")
    return [{n: v for n, v in item.items() if n not in dropped} for item in said]


@settings(max_examples=200, deadline=None)
@given(streams())
def test_a_stream_says_what_the_whole_answer_says(given: tuple[Answer, list[Chunk]]) -> None:
    answer, chunks = given
    data = stream(chunks, CALL)
    response, whole = last(data), answered(answer, CALL)
    assert without_state(response["output"]) == without_state(whole["output"])
    assert response["status"] == whole["status"]


@settings(max_examples=200, deadline=None)
@given(streams())
def test_the_events_add_up_to_the_response(given: tuple[Answer, list[Chunk]]) -> None:
    found = events(stream(given[1], CALL))
    assert [event["sequence_number"] for event in found] == list(range(len(found)))
    open_: dict[int, str] = {}
    texts: dict[tuple[str, str], str] = {}
    done: list[dict[str, Any]] = []
    for event in found[2:-1]:
        kind, index = event["type"], event["output_index"]
        if kind == "response.output_item.added":
            assert not open_
            assert index == len(done)
            open_[index] = event["item"]["id"]
        elif kind == "response.output_item.done":
            assert open_.pop(index) == event["item"]["id"]
            done.append(event["item"])
        else:
            assert open_[index] == event["item_id"]
        if kind.endswith(".delta"):
            place = (event["item_id"], kind.removesuffix(".delta"))
            texts[place] = texts.get(place, "") + event["delta"]
        elif kind.removesuffix(".done") != kind and "part" not in event and "item" not in event:
            field = next(n for n in ("text", "refusal", "arguments", "input") if n in event)
            place = (event["item_id"], kind.removesuffix(".done"))
            assert texts.get(place, "") == event[field]
    assert not open_
    assert done == found[-1]["response"]["output"]


@settings(max_examples=50, deadline=None)
@given(streams())
def test_the_sdks_helper_takes_every_stream(given: tuple[Answer, list[Chunk]]) -> None:
    data = stream(given[1], CALL)
    kinds: list[str] = []
    with client(data) as caller, caller.responses.stream(model="m", input="hi") as read:
        kinds += (event.type for event in read)
        if kinds[-1] == "response.completed":
            items = read.get_final_response().output
            assert [getattr(item, "id", None) for item in items] == [
                item["id"] for item in last(data)["output"]
            ]
    assert kinds == [event["type"] for event in events(data)]


@settings(max_examples=200, deadline=None)
@given(streams())
def test_nothing_is_lost_on_the_way_back(given: tuple[Answer, list[Chunk]]) -> None:
    answer, chunks = given
    for items in (answered(answer, CALL)["output"], last(stream(chunks, CALL))["output"]):
        try:
            messages = parse(input=[USER, *items], tools=TOOLS).chat.messages[1:]
        except InvalidRequest:
            raise AssertionError("what was answered is refused") from None
        if not (answer.text or answer.refusal or answer.tool_calls):
            assert messages == ()
            continue
        (message,) = messages
        said = "".join(part.text or "" for part in message.parts)
        assert said == (answer.text or "") + (answer.refusal or "")
        assert message.reasoning_content == answer.reasoning
        assert message.extra_content == (answer.extra.get("extra_content") or None)
        calls = message.tool_calls or ()
        assert [(c.id, c.function.name) for c in calls] == [
            (c.id, c.function.name) for c in answer.tool_calls
        ]
        assert [c.as_function_call().function.arguments for c in calls] == [
            json.dumps(
                json.loads(c.function.arguments or ""), ensure_ascii=False, separators=(",", ":")
            )
            if c.function.name == "patch"
            else c.function.arguments
            for c in answer.tool_calls
        ]
        assert [c.extra_content for c in calls] == [c.extra_content for c in answer.tool_calls]


@settings(max_examples=300, deadline=None)
@given(
    st.dictionaries(
        st.sampled_from(["input", "tools", "tool_choice", "text", "reasoning", "include", "store"]),
        JSON,
    ),
    st.lists(
        st.dictionaries(
            st.sampled_from(
                [
                    "type",
                    "role",
                    "content",
                    "id",
                    "call_id",
                    "name",
                    "arguments",
                    "output",
                    "summary",
                ]
            ),
            JSON | st.sampled_from(["message", "reasoning", "function_call", "user", "assistant"]),
        ),
        max_size=3,
    ),
)
def test_any_body_is_read_or_refused(body: dict[str, Any], items: list[dict[str, Any]]) -> None:
    for fields in (body, {**body, "input": [USER, *items]}):
        try:
            call = responses.parse_chat(json.dumps(fields).encode())
        except (InvalidRequest, NotFound) as error:
            assert error.message
        else:
            assert answered(collect([Chunk(text="x")]), call)["output"]
