"""Streams of OpenAI's dialect as providers really send them: with frames that are no chunks, tails
that say nothing, characters cut in two, calls that are marked in every way."""

import json
import re
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.core.chat import Answer, Chunk
from proxy.core.errors import Fault
from proxy.providers import openai, workers_ai
from proxy.providers.surrogates import has_halves
from tests.unit.providers import replay
from tests.unit.providers.test_openai import TO, body, events

USAGE = '{"choices":[],"usage":{"prompt_tokens":3,"completion_tokens":2}}'
STOP: dict[str, Any] = {"finish": "stop"}


def chunks(*deltas: dict[str, Any] | str | bytes) -> list[Chunk]:
    """The chunks of a stream of these deltas; bytes are frames as they stand."""
    pieces = [piece for delta in deltas for piece in _frames(delta)]
    decoder = openai.make_decoder(TO)
    told = replay.decode(decoder, pieces)
    assert decoder.finished
    return told


def _frames(delta: dict[str, Any] | str | bytes) -> list[bytes]:
    return [delta] if isinstance(delta, bytes) else events(delta)


def read(*deltas: dict[str, Any] | str | bytes) -> Answer:
    return replay.collect(chunks(*deltas))


# Frames that are no chunks

STRANGE = {
    "choices null": b'data: {"choices": null}\n\n',
    "an object of another kind": b'data: {"hook_results": {}}\n\n',
    "a warning": b'data: {"warning": "deprecated"}\n\n',
    "a message": b'data: {"message": "x"}\n\n',
    "null": b"data: null\n\n",
    "a number": b"data: 5\n\n",
    "a text": b'data: "ping"\n\n',
    "a list": b"data: []\n\n",
    "a ping": b"event: ping\n\n",
    "a ping with data": b'event: ping\ndata: {"type": "ping"}\n\n',
    "a ping with text": b"event: ping\ndata: 2026-11-28T23:00:00Z\n\n",
    "empty data": b"data:\n\n",
    "blank data": b"data: \n\n",
    "an unknown event": b"event: metrics\ndata: [1, 2]\n\n",
    "a comment": b": keep-alive\n\n",
    "retry and id": b"retry: 100\nid: 7\n\n",
}


@pytest.mark.parametrize("place", range(4))
@pytest.mark.parametrize("frame", STRANGE.values(), ids=STRANGE)
def test_a_frame_without_choices_is_passed_over(frame: bytes, place: int) -> None:
    deltas: list[dict[str, Any] | str | bytes] = [{"content": "Hi"}, dict(STOP), "[DONE]"]
    deltas.insert(place, frame)
    told = chunks(*deltas)
    assert replay.tell(replay.collect(told)) == "'Hi' stop tokens=?"
    assert [chunk.raw for chunk in told if b"Hi" not in (chunk.raw or b"Hi")] == [told[-1].raw]


@pytest.mark.parametrize("frame", STRANGE.values(), ids=STRANGE)
def test_workers_ai_passes_over_frames_too(frame: bytes) -> None:
    decoder = workers_ai.make_decoder(replay.target("workers-ai"))
    pieces = [frame, b'data: {"response": "Hi"}\n\n', frame, b"data: [DONE]\n\n"]
    told = replay.collect(replay.decode(decoder, pieces))
    assert (told.text, told.finish_reason, decoder.finished) == ("Hi", "stop", True)


def test_usage_beside_null_choices_is_counted() -> None:
    counted = '{"choices":null,"usage":{"prompt_tokens":3,"completion_tokens":2}}'
    assert replay.tell(read({"content": "Hi"}, dict(STOP), counted)) == "'Hi' stop tokens=3+2"


def test_a_stream_of_nothing_but_strange_frames_says_what_came() -> None:
    with pytest.raises(Fault, match=r'holds no chunk: \{"hook_results": \{\}\}') as raised:
        replay.decode(openai.make_decoder(TO), [STRANGE["an object of another kind"]])
    assert raised.value.kind == "garbage"


def test_an_event_in_several_lines_goes_on_in_one() -> None:
    frame = b'data: {"object":"chat.completion.chunk",\ndata: "choices":[{"index":0,\n'
    frame += b'data: "delta":{"content":"Hi"},"finish_reason":null}]}\n\n'
    [told] = replay.decode(openai.make_decoder(TO), [frame])
    assert told.text == "Hi"
    assert told.raw and b"\n" not in told.raw
    assert json.loads(told.raw)["choices"][0]["delta"] == {"content": "Hi"}


def test_fields_of_a_strangers_making_are_kept_within_bounds() -> None:
    deltas = (f'{{"choices":[],"x_{n}":"{"y" * 100_000}"}}' for n in range(9))
    form = read(*deltas, {"content": "Hi"}, dict(STOP)).form
    assert form
    assert form.completion.keys() & {"x_0", "x_1", "x_2"} == {"x_0", "x_1"}
    assert sum(len(str(value)) for value in form.completion.values()) < 256 * 1024


# The end


def test_done_finishes_what_is_whole_and_counted() -> None:
    assert replay.tell(read({"content": "Hi"}, USAGE, "[DONE]")) == "'Hi' stop tokens=3+2"


CALL = {"index": 0, "id": "c1", "function": {"name": "f", "arguments": '{"a":1}'}}


def test_done_finishes_whole_calls() -> None:
    told = read({"tool_calls": [CALL]}, USAGE, "[DONE]")
    assert replay.tell(told) == 'None tool_calls f({"a":1})#c1 tokens=3+2'


HALF = {**CALL, "function": {"name": "f", "arguments": '{"a":'}}


@pytest.mark.parametrize(
    "deltas",
    [
        ({"content": "Hi"}, "[DONE]"),
        (USAGE, "[DONE]"),
        ({"reasoning": "Hm"}, USAGE, "[DONE]"),
        ({"tool_calls": [HALF]}, USAGE, "[DONE]"),
        ({"content": "Hi"}, USAGE),
    ],
    ids=["not counted", "nothing", "only reasoning", "half a call", "not done"],
)
def test_done_finishes_nothing_else(deltas: Any) -> None:
    decoder = openai.make_decoder(TO)
    replay.decode(decoder, events(*deltas))
    assert not decoder.finished


@pytest.mark.parametrize(
    "tail",
    [b"data: <html>late</html>\n\n", b'data: {"half\n\n', b'data: {"choices": 5}\n\n'],
)
def test_no_tail_makes_a_whole_answer_an_error(tail: bytes) -> None:
    told = read({"content": "Hi"}, dict(STOP), tail, USAGE, "[DONE]")
    assert replay.tell(told) == "'Hi' stop tokens=3+2"


def test_no_endless_tail_makes_a_whole_answer_an_error() -> None:
    tail = [b"data: ", *[b"x" * 1024 * 1024] * 13]
    assert read({"content": "Hi"}, dict(STOP), *tail).finish_reason == "stop"


@pytest.mark.parametrize(
    "tail", [b"event: error\ndata: the limit\n\n", b'data: {"error":{"message":"the limit"}}\n\n']
)
def test_an_error_after_the_finish_reason_is_reported(tail: bytes) -> None:
    with pytest.raises(Fault, match="the limit"):
        read({"content": "Hi"}, dict(STOP), tail, "[DONE]")


# Finish reasons


@pytest.mark.parametrize(
    ("said", "means"),
    [
        ("MAX_TOKENS", "length"),
        ("max_tokens", "length"),
        ("incomplete", "length"),
        ("model_length", "length"),
        ("SAFETY", "content_filter"),
        ("Prohibited_Content", "content_filter"),
        ("eos_token", "stop"),
        ("STOP", "stop"),
        ("end_turn", "stop"),
        ("tool_use", "tool_calls"),
        ("something_new", "something_new"),
        ("max-tokens", "length"),
        ("maxTokens", "length"),
        ("FINISH_REASON_MAX_TOKENS", "length"),
        ("contentFilter", "content_filter"),
    ],
)
def test_finish_reasons(said: str, means: str) -> None:
    whole = openai.read_answer(TO, body({"content": "Hi"}, finish=said))
    told = chunks({"content": "Hi"}, {"finish": said})
    assert (whole.finish_reason, replay.collect(told).finish_reason) == (means, means)
    for raw in (whole.raw, told[-1].raw):  # the caller sees one of OpenAI's words, or the new one
        assert (raw is None) == (said != means)


@pytest.mark.parametrize(
    "said", ["network_error", "error", "cancelled", "ERROR", "abort", "serverError"]
)
def test_a_finish_reason_that_is_a_failure(said: str) -> None:
    with pytest.raises(Fault, match=f"broke off: {said}"):
        openai.read_answer(TO, body({"content": "Hi"}, finish=said))
    with pytest.raises(Fault, match=f"broke off: {said}"):
        chunks({"content": "Hi"}, {"finish": said})


@pytest.mark.parametrize("said", [5, True, {"type": "x"}])
def test_a_finish_reason_that_is_no_text_is_no_stop(said: Any) -> None:
    whole = openai.read_answer(TO, body({"content": "Hi"}, finish=said))
    told = read({"content": "Hi"}, {"finish": said})
    assert (whole.finish_reason, told.finish_reason) == (str(said), str(said))


# Numbers beyond all bounds


@pytest.mark.parametrize("field", ["id", "object", "created", "model", "index", "logprob", "new"])
def test_a_number_beyond_a_float_breaks_no_answer(field: str) -> None:
    for kind, message in (("", "message"), (".chunk", "delta")):
        fields = f'"id":"c","object":"chat.completion{kind}","created":1,"model":"m"'
        choice = f'"index":0,"{message}":{{"content":"Hi","new":1}},"finish_reason":"stop"'
        whole = f'{{{fields},"choices":[{{{choice},"logprobs":{{"logprob":1}}}}]}}'
        odd = re.sub(rf'("{field}"):("[^"]*"|[01])', r"\1:1e999", whole)
        assert odd != whole
        told = read(odd) if kind else openai.read_answer(TO, odd.encode())
        assert (told.text, told.finish_reason) == ("Hi", "stop")


def test_a_number_of_many_digits_beside_half_a_character() -> None:
    chunk = '{"choices":[{"index":0,"delta":{"content":"%s"}}],"x":' + "1" * 5000 + "}"
    told = read(chunk % r"a\ud83d", chunk % r"\ude00", dict(STOP))
    assert told.text == "a\U0001f600"


def test_a_whole_answer_without_a_finish_reason_is_given_one() -> None:
    told = openai.read_answer(TO, body({"content": "Hi"}, finish=None))
    assert (told.finish_reason, told.raw) == ("stop", None)


# Halves of characters

CUT = "ab\ud83d\ude00c\ud83d\U0001f600\ude00d"
WHOLE = "ab\U0001f600c\ufffd\U0001f600\ufffdd"


def test_a_character_that_is_cut_over_two_chunks_is_joined() -> None:
    told = chunks({"content": "a\ud83d"}, {"content": "\ude00b"}, dict(STOP))
    assert replay.collect(told).text == "a\U0001f600b"
    assert all(b"\\ud83d" not in (chunk.raw or b"").lower() for chunk in told)


@pytest.mark.parametrize("field", ["content", "reasoning", "reasoning_content", "refusal"])
def test_half_a_character_at_the_end_is_replaced(field: str) -> None:
    answer = read({field: "a\ud83d"}, {"content": "b"}, dict(STOP))
    told = [answer.text, answer.reasoning, answer.refusal]
    if field == "content":
        assert answer.text == "a\ufffdb"
    else:
        assert "a\ufffd" in told


def test_halves_where_no_text_is() -> None:
    extra = {"content": "Hi", "id\udc00": "x\ud83d", "note": ["\ude00"]}
    answer = read(extra, dict(STOP))
    assert answer.extra == {"id\ufffd": "x\ufffd", "note": ["\ufffd"]}


def test_halves_in_a_whole_answer() -> None:
    call = {"id": "c", "type": "function", "function": {"name": "f", "arguments": '{"a":"\ud83d"}'}}
    told = openai.read_answer(TO, body({"content": "a\ud83d", "tool_calls": [call]}))
    assert told.text == "a\ufffd"
    assert told.tool_calls[0].function.arguments == '{"a":"\ufffd"}'
    assert told.raw and b"\\ud83d" not in told.raw


def test_halves_in_an_error() -> None:
    fault = openai.read_fault(TO, 400, {}, b'{"error":{"message":"No \\ud83d"}}')
    assert fault.message == "No \ufffd"


def test_escaped_backslashes_are_no_halves() -> None:
    text = '\\ud83d and \\\\ud83d {"a":"\\ud83d"}'
    told = chunks({"content": text}, dict(STOP))
    assert replay.collect(told).text == text
    assert told[0].raw


def joined(text: str) -> str:
    return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")


HALVES = st.text(st.sampled_from('ab\\"\ud83d\ude00\U0001f600é'), max_size=12)


@given(HALVES, st.lists(st.integers(0, 12), max_size=4), st.sampled_from(["content", "reasoning"]))
def test_texts_read_the_same_however_their_characters_are_cut(
    text: str, cuts: list[int], field: str
) -> None:
    units = text.encode("utf-16-le", "surrogatepass")
    places = sorted({0, *(2 * min(cut, len(units) // 2) for cut in cuts), len(units)})
    pieces = [units[a:b].decode("utf-16-le", "surrogatepass") for a, b in pairwise(places)]
    answer = read(*({field: piece} for piece in pieces), dict(STOP))
    assert (answer.text if field == "content" else answer.reasoning or "") == joined(text)
    for chunk in chunks(*({field: piece} for piece in pieces), dict(STOP)):
        assert chunk.text.encode() is not None
        assert not has_halves(chunk.raw or b"")


@given(HALVES, st.integers(0, 12))
def test_arguments_read_the_same_however_their_characters_are_cut(text: str, cut: int) -> None:
    units = json.dumps({"a": text}, ensure_ascii=False).encode("utf-16-le", "surrogatepass")
    place = 2 * min(cut, len(units) // 2)
    one, two = (p.decode("utf-16-le", "surrogatepass") for p in (units[:place], units[place:]))
    first = {**CALL, "function": {"name": "f", "arguments": one}}
    rest = {"index": 0, "function": {"arguments": two}}
    answer = read({"tool_calls": [first]}, {"tool_calls": [rest]}, {"finish": "tool_calls"})
    [call] = answer.tool_calls
    assert call.function.arguments == joined(units.decode("utf-16-le", "surrogatepass"))


def test_workers_ai_joins_halves() -> None:
    decoder = workers_ai.make_decoder(replay.target("workers-ai"))
    pieces = [b'data: {"response":"\\ud83d"}\n\n', b'data: {"response":"\\ude00 \\ud83d"}\n\n']
    told = replay.decode(decoder, [*pieces, b"data: [DONE]\n\n"])
    assert replay.collect(told).text == "\U0001f600 \ufffd"


# Tool calls


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
    told = chunks(*deltas, {"finish": "tool_calls"})
    assert [c.id for chunk in told for c in chunk.tool_calls] == ["a", None, None]


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
    told = chunks(*deltas)
    assert "".join(c.arguments for chunk in told for c in chunk.tool_calls) == "{}"
    assert told[-1].finish_reason == "tool_calls"


def test_calls_of_custom_tools_keep_their_name_and_input() -> None:
    made = {"id": "a", "type": "custom", "custom": {"name": "sh", "input": "ls"}}
    whole = openai.read_answer(TO, body({"tool_calls": [made]}, finish="tool_calls"))
    assert whole.raw
    rest = {"index": 0, "custom": {"input": " -l"}}
    told = chunks(
        {"tool_calls": [{"index": 0, **made}]}, {"tool_calls": [rest]}, {"finish": "stop"}
    )
    assert all(chunk.raw for chunk in told)
    for answer, text in ((whole, "ls"), (replay.collect(told), "ls -l")):
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
