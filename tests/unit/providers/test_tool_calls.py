"""The calls of a stream are told apart, whatever their pieces are marked with."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.providers import openai
from proxy.providers.tool_calls import make_call_id
from tests.unit.providers import replay
from tests.unit.providers.making_openai import TO, body, chunks, read


def call(index: int | None = None, **fields: Any) -> dict[str, Any]:
    function = {name: fields.pop(name) for name in ("name", "arguments") if name in fields}
    placed = {} if index is None else {"index": index}
    return {"tool_calls": [{**placed, **fields, "function": function}]}


def calls(*deltas: dict[str, Any]) -> list[tuple[str, str, str]]:
    """The calls of a stream, and that its deltas add up to them for callers too."""
    answer = read(*deltas, {"finish": "tool_calls"})
    return [(c.id, c.function.name, str(c.function.arguments)) for c in answer.tool_calls]


def test_an_index_used_again_with_a_new_id_is_a_new_call() -> None:
    assert calls(
        call(0, id="a", name="f", arguments="{}"),
        call(0, id="b", name="g", arguments='{"x"'),
        call(0, arguments=":1}"),
    ) == [("a", "f", "{}"), ("b", "g", '{"x":1}')]


def test_the_id_on_every_delta_and_no_index_is_one_call() -> None:
    deltas = [call(id="a", name="f"), call(id="a", arguments='{"x"'), call(id="a", arguments=":1}")]
    assert calls(*deltas) == [("a", "f", '{"x":1}')]
    decoded = chunks(*deltas, {"finish": "tool_calls"})
    assert [c.id for chunk in decoded for c in chunk.tool_calls] == ["a", None, None]


def test_calls_by_id_may_come_mixed() -> None:
    assert calls(
        call(id="a", name="f", arguments="{"),
        call(id="b", name="g", arguments="["),
        call(id="a", arguments="}"),
        call(id="b", arguments="]"),
    ) == [("a", "f", "{}"), ("b", "g", "[]")]


def test_index_goes_before_name() -> None:
    assert calls(call(0, id="a", name="f", arguments="{"), call(0, name="f", arguments="}")) == [
        ("a", "f", "{}")
    ]


def test_an_id_made_anew_for_every_delta_is_no_new_call() -> None:
    assert calls(call(0, id="a", name="f", arguments="{"), call(0, id="b", arguments="}")) == [
        ("a", "f", "{}")
    ]


def test_no_id_at_all_gets_one_made() -> None:
    [(made, name, arguments)] = calls(call(0, name="f"), call(0, arguments="{}"))
    assert (made.startswith("call_"), name, arguments) == (True, "f", "{}")
    whole = body({"tool_calls": [{"function": {"name": "f", "arguments": "{}"}}]})
    assert openai.read_answer(TO, whole).tool_calls[0].id.startswith("call_")


@pytest.mark.parametrize("function", [{"name": "f"}, {"name": "f", "arguments": None}])
def test_a_call_without_arguments_has_an_empty_object(function: dict[str, Any]) -> None:
    made = {"id": "a", "type": "function", "function": function}
    whole = openai.read_answer(TO, body({"tool_calls": [made]}, finish="tool_calls"))
    assert (whole.tool_calls[0].function.arguments, whole.raw) == ("{}", None)
    deltas = ({"tool_calls": [{"index": 0, **made}]}, {"finish": "tool_calls"})
    decoded = chunks(*deltas)
    assert "".join(c.arguments for chunk in decoded for c in chunk.tool_calls) == "{}"
    assert decoded[-1].finish_reason == "tool_calls"


def test_calls_of_custom_tools_keep_their_name_and_input() -> None:
    made = {"id": "a", "type": "custom", "custom": {"name": "sh", "input": "ls"}}
    whole = openai.read_answer(TO, body({"tool_calls": [made]}, finish="tool_calls"))
    assert whole.raw
    rest = {"index": 0, "custom": {"input": " -l"}}
    decoded = chunks(
        {"tool_calls": [{"index": 0, **made}]}, {"tool_calls": [rest]}, {"finish": "stop"}
    )
    assert all(chunk.raw for chunk in decoded)
    for answer, text in ((whole, "ls"), (replay.collect(decoded), "ls -l")):
        [custom] = answer.tool_calls
        assert (custom.type, custom.function.name, custom.function.arguments) == (
            "custom",
            "sh",
            text,
        )


MARKS = st.sampled_from(["index", "id", "both", "one index"])


@given(st.data(), st.lists(st.integers(0, 8), min_size=1, max_size=3), MARKS)
def test_calls_read_the_same_however_they_are_cut_and_marked(
    data: st.DataObject, cuts: list[int], marks: str
) -> None:
    """One call after the other, cut anywhere: by an index, the id on each piece, both, or all
    under one index."""
    deltas, expected = [], []
    for number, cut in enumerate(cuts):
        arguments = json.dumps({"n": data.draw(st.integers(0, 99))})
        expected.append((f"id{number}", "f", arguments))
        for first, piece in ((True, arguments[:cut]), (False, arguments[cut:])):
            marked: dict[str, Any] = {"arguments": piece}
            if marks in ("id", "both") or first:
                marked["id"] = f"id{number}"
            if first:
                marked["name"] = "f"
            index = {"id": None, "one index": 0}.get(marks, number)
            deltas.append(call(index, **marked))
    assert calls(*deltas) == expected


def test_a_made_up_id_tells_calls_apart_and_repeats() -> None:
    assert make_call_id("answer", 0, "f", "{}") == make_call_id("answer", 0, "f", "{}")
    assert make_call_id("answer", 0, "f", "{}") != make_call_id("answer", 1, "f", "{}")
    assert make_call_id("a", "b") != make_call_id("ab")
