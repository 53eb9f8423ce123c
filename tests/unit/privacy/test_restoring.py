"""What was masked comes back, whole and in pieces."""

import json
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.core.chat import Answer, Chunk, Native, Usage
from proxy.core.messages import FunctionCall, ToolCall, ToolCallDelta
from proxy.privacy.restoring import MOST_RESTORED, Restoring, StreamRestoring
from tests.unit.work import count_steps

HARD = 'a "b"\n\\c'
VALUES = {"[EMAIL_1]": "joe@x.example", "[EMAIL_12]": "ann@x.example", "[OWN_1]": HARD}


def restoring() -> Restoring:
    return Restoring(VALUES)


def stream(chunks: list[Chunk], *, answers_json: bool = False) -> list[Chunk]:
    found = restoring()
    found.answers_json = answers_json
    restored = StreamRestoring(found)
    out = [each for chunk in chunks for each in restored.restore(chunk)]
    return out + restored.flush()


def test_a_body_gets_its_values_escaped_as_deep_as_they_stand() -> None:
    arguments = json.dumps({"to": "[OWN_1]"})
    body = {
        "text": "[OWN_1] [EMAIL_1][EMAIL_12] [EMAIL_2]",
        "arguments": arguments,
        "input": {"to": "[OWN_1]"},
        "[EMAIL_1]": "{not json [OWN_1]",
    }
    back = json.loads(restoring().restore_json(json.dumps(body).encode()))
    assert back["text"] == f"{HARD} joe@x.exampleann@x.example [EMAIL_2]"
    assert json.loads(back["arguments"]) == {"to": HARD}
    assert back["input"] == {"to": HARD}
    assert back["joe@x.example"] == f"{{not json {HARD}"


def test_a_body_without_a_placeholder_keeps_its_bytes() -> None:
    for body in (b'{"a":  "[EMAIL_2]"}', b"\xff[", b""):
        assert restoring().restore_json(body) is body
    assert restoring().restore_json(b'{"a": "\xff[EMAIL_1]"}') == b'{"a": "\xffjoe@x.example"}'


@given(
    st.lists(st.sampled_from([*VALUES, "[EMAIL_2]", "[", "[E", "text ", "é", "]", "[["])), st.data()
)
def test_however_a_stream_is_cut_its_text_is_the_same(
    pieces: list[str], data: st.DataObject
) -> None:
    text = "".join(pieces)
    cuts = sorted(data.draw(st.lists(st.integers(0, len(text)), max_size=8)))
    ends = [0, *cuts, len(text)]
    cut = [text[a:b] for a, b in pairwise(ends)]
    expected = restoring().restore_text(text)
    for last in (Chunk(finish_reason="stop"), Chunk(text="", usage=Usage(), finish_reason="stop")):
        out = stream([*(Chunk(text=piece) for piece in cut), last])
        assert "".join(chunk.text for chunk in out) == expected
        assert [chunk.finish_reason for chunk in out if chunk.finish_reason] == ["stop"]
        assert out[-1].finish_reason == "stop"
    assert "".join(chunk.text for chunk in stream([Chunk(text=piece) for piece in cut])) == expected


def test_the_work_of_an_answer_does_not_grow_with_what_was_masked() -> None:
    def work(size: int) -> int:
        found = Restoring({f"[EMAIL_{n}]": "joe@x.example" for n in range(size)})

        def restore() -> None:
            assert found.restore_text("[EMAIL_7] [") == "joe@x.example ["
            assert found.could_begin("a [EMAIL_3") == 8
            assert found.could_begin("a [EMAIL_x") == 0

        return count_steps(restore)

    assert work(2_000) <= work(20) + 200


def test_no_more_waits_than_may_be_a_placeholder() -> None:
    restored = StreamRestoring(restoring())

    def say(text: str) -> str:
        return "".join(chunk.text for chunk in restored.restore(Chunk(text=text)))

    assert say("Hello [EM") == "Hello "
    assert say("AIL_") == ""
    assert say("9] [x") == "[EMAIL_9] [x"
    assert say("[EMAIL_1") == ""
    assert say("] and") == "joe@x.example and"


def test_what_waits_comes_before_what_follows_it() -> None:
    out = stream(
        [
            Chunk(reasoning="see [EMAIL_1"),
            Chunk(text="[EMAIL_1"),
            Chunk(text="] [E", raw=b"{}"),
            Chunk(tool_calls=(ToolCallDelta(index=0, id="a", name="f", arguments='{"a":"[OW'),)),
            Chunk(tool_calls=(ToolCallDelta(index=1, id="b", name="g", arguments='{"b":"[EMAIL'),)),
            Chunk(tool_calls=(ToolCallDelta(index=0, arguments='N_1]"}'),)),
            Chunk(tool_calls=(ToolCallDelta(index=1, arguments='_1]"}'),)),
            Chunk(finish_reason="tool_calls", usage=Usage(output=1)),
        ]
    )
    assert all(chunk.raw is None for chunk in out)
    kinds = [
        "reasoning" if chunk.reasoning else "text" if chunk.text else "call"
        for chunk in out
        if chunk.has_content
    ]
    assert kinds == ["reasoning", "reasoning", "text", "text", *["call"] * 4]
    assert "".join(chunk.reasoning for chunk in out) == "see [EMAIL_1"
    assert "".join(chunk.text for chunk in out) == "joe@x.example [E"
    calls = [delta for chunk in out for delta in chunk.tool_calls]
    told = {
        index: json.loads("".join(each.arguments for each in calls if each.index == index))
        for index in (0, 1)
    }
    assert told == {0: {"a": HARD}, 1: {"b": "joe@x.example"}}
    assert out[-1].usage == Usage(output=1)


def test_the_last_chunk_ends_all_that_waits() -> None:
    last = Chunk(text="[EMAIL_1", finish_reason="stop", usage=Usage(output=3), id="x", model="m")
    first, second, end = stream([last])
    assert (first.text, second.text) == ("", "[EMAIL_1")
    assert end == Chunk(finish_reason="stop", usage=Usage(output=3), id="x", model="m")


@pytest.mark.parametrize("answers_json", [True, False])
def test_an_answer_that_is_to_be_json_stays_json(answers_json: bool) -> None:
    out = stream([Chunk(text='{"a": "[OWN'), Chunk(text='_1]"}')], answers_json=answers_json)
    text = "".join(chunk.text for chunk in out)
    assert text == (json.dumps({"a": HARD}) if answers_json else f'{{"a": "{HARD}"}}')


def test_custom_tools_get_text_and_what_else_comes_is_restored() -> None:
    call = ToolCallDelta(index=0, name="f", arguments="[OWN_1]", type="custom")
    native = Native("messages", b'{"text":"[EMAIL_1]"}')
    (chunk,) = stream([Chunk(tool_calls=(call,), native=native, extra={"a": [{"b": "[EMAIL_1]"}]})])
    assert chunk.tool_calls[0].arguments == HARD
    assert chunk.native == Native("messages", b'{"text":"joe@x.example"}')
    assert chunk.extra == {"a": [{"b": "joe@x.example"}]}


def test_signs_beyond_the_first_plane_come_back() -> None:
    surrogates = "\ud83d\ude00"
    found = Restoring({"[OWN_1]": surrogates + "\ud800"})
    assert found.restore_json(b'{"a":"[OWN_1]"}').decode() == '{"a":"\U0001f600�"}'


TEXTS = st.sampled_from(["[OWN_1]", 'said "[OWN_1]"', "[OWN_1]\\", '{"no', "[1] x", '"', "a\n[x"])


@st.composite
def nested(draw: st.DrawFn, depth: int = 4) -> Any:
    """A value whose texts may be JSON of their own, levels deep."""
    text = draw(TEXTS)
    kind = draw(st.sampled_from(["text", "object", "array", "inner"])) if depth else "text"
    if kind == "text":
        return text
    inner = draw(nested(depth=depth - 1))
    if kind == "inner":
        indent = draw(st.sampled_from([None, 1]))
        return inner if isinstance(inner, str) else json.dumps(inner, indent=indent)
    return {"k": text, "n": inner} if kind == "object" else [inner, 1, text]


def with_values(value: Any) -> Any:
    """What is to come back, however deep it is written."""
    if isinstance(value, dict):
        return {name: with_values(each) for name, each in value.items()}
    if isinstance(value, list):
        return [with_values(each) for each in value]
    if not isinstance(value, str):
        return value
    try:
        inner = json.loads(value)
    except ValueError:
        inner = None
    if isinstance(inner, dict | list):
        return with_values(inner)
    return value.replace("[OWN_1]", HARD)


def read_deep(value: Any) -> Any:
    """The same of what has come back."""
    if isinstance(value, dict):
        return {name: read_deep(each) for name, each in value.items()}
    if isinstance(value, list):
        return [read_deep(each) for each in value]
    try:
        inner = json.loads(value)
    except (TypeError, ValueError):
        return value
    return read_deep(inner) if isinstance(inner, dict | list) else value


@given(nested(), st.integers(1, 9))
def test_json_in_json_stays_json_however_deep(value: Any, size: int) -> None:
    arguments = json.dumps({"v": value})
    wanted = with_values({"v": value})
    pieces = [arguments[at : at + size] for at in range(0, len(arguments), size)]
    chunks = [Chunk(tool_calls=(ToolCallDelta(index=0, arguments=each),)) for each in pieces]
    streamed = "".join(c.arguments for chunk in stream(chunks) for c in chunk.tool_calls)
    assert read_deep(json.loads(streamed)) == wanted
    call = ToolCall(id="c", function=FunctionCall(name="f", arguments=arguments))
    whole = restoring().restore_answer(Answer(tool_calls=(call,))).tool_calls[0]
    assert whole.function.arguments == streamed
    body = json.dumps({"arguments": arguments})
    back = json.loads(restoring().restore_json(body.encode()))
    assert back["arguments"] == streamed


def test_no_answer_makes_many_of_a_long_value() -> None:
    long = "x" * (MOST_RESTORED // 10)
    whole = Restoring({"[OWN_1]": long}).restore_answer(Answer(text="[OWN_1]" * 1000)).text
    assert whole == long * 10 + "[OWN_1]" * 990
    streamed = StreamRestoring(Restoring({"[OWN_1]": long}))
    chunks = [each for _ in range(1000) for each in streamed.restore(Chunk(text="[OWN_1]"))]
    assert sum(len(chunk.text) for chunk in chunks) < MOST_RESTORED + 10_000


def test_nor_do_many_levels() -> None:
    """Each doubles the backslashes of a line break."""
    text = "[OWN_1]"
    for _ in range(16):
        text = json.dumps([text])
    body = Restoring({"[OWN_1]": "\n" * 10_000}).restore_json(text.encode())
    assert len(body) < len(text) + MOST_RESTORED
