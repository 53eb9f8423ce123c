"""Streams of OpenAI's dialect as providers really send them: with frames that are no chunks, tails
that say nothing, characters cut in two, calls that are marked in every way."""

import json
import re
from typing import Any

import pytest

from proxy.core.errors import Fault
from proxy.providers import openai, workers_ai
from tests.unit.providers import replay
from tests.unit.providers.making_openai import CALL, STOP, TO, body, chunks, events, read

USAGE = '{"choices":[],"usage":{"prompt_tokens":3,"completion_tokens":2}}'


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
    decoded = chunks(*deltas)
    assert replay.describe(replay.collect(decoded)) == "'Hi' stop tokens=?"
    assert [chunk.raw for chunk in decoded if b"Hi" not in (chunk.raw or b"Hi")] == [
        decoded[-1].raw
    ]


@pytest.mark.parametrize("frame", STRANGE.values(), ids=STRANGE)
def test_workers_ai_passes_over_frames_too(frame: bytes) -> None:
    decoder = workers_ai.make_decoder(replay.target("workers-ai"))
    pieces = [frame, b'data: {"response": "Hi"}\n\n', frame, b"data: [DONE]\n\n"]
    answer = replay.collect(replay.decode(decoder, pieces))
    assert (answer.text, answer.finish_reason, decoder.finished) == ("Hi", "stop", True)


def test_usage_beside_null_choices_is_counted() -> None:
    counted = '{"choices":null,"usage":{"prompt_tokens":3,"completion_tokens":2}}'
    assert replay.describe(read({"content": "Hi"}, dict(STOP), counted)) == "'Hi' stop tokens=3+2"


def test_a_stream_of_nothing_but_strange_frames_says_what_came() -> None:
    with pytest.raises(Fault, match=r'holds no chunk: \{"hook_results": \{\}\}') as raised:
        replay.decode(openai.make_decoder(TO), [STRANGE["an object of another kind"]])
    assert raised.value.kind == "garbage"


def test_an_event_in_several_lines_goes_on_in_one() -> None:
    frame = b'data: {"object":"chat.completion.chunk",\ndata: "choices":[{"index":0,\n'
    frame += b'data: "delta":{"content":"Hi"},"finish_reason":null}]}\n\n'
    [decoded] = replay.decode(openai.make_decoder(TO), [frame])
    assert decoded.text == "Hi"
    assert decoded.raw and b"\n" not in decoded.raw
    assert json.loads(decoded.raw)["choices"][0]["delta"] == {"content": "Hi"}


def test_fields_of_a_strangers_making_are_kept_within_bounds() -> None:
    deltas = (f'{{"choices":[],"x_{n}":"{"y" * 100_000}"}}' for n in range(9))
    form = read(*deltas, {"content": "Hi"}, dict(STOP)).form
    assert form
    assert form.completion.keys() & {"x_0", "x_1", "x_2"} == {"x_0", "x_1"}
    assert sum(len(str(value)) for value in form.completion.values()) < 256 * 1024


# The end


def test_done_finishes_what_is_whole_and_counted() -> None:
    assert replay.describe(read({"content": "Hi"}, USAGE, "[DONE]")) == "'Hi' stop tokens=3+2"


def test_done_finishes_whole_calls() -> None:
    answer = read({"tool_calls": [CALL]}, USAGE, "[DONE]")
    assert replay.describe(answer) == 'None tool_calls f({"a":1})#c1 tokens=3+2'


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
    answer = read({"content": "Hi"}, dict(STOP), tail, USAGE, "[DONE]")
    assert replay.describe(answer) == "'Hi' stop tokens=3+2"


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
    decoded = chunks({"content": "Hi"}, {"finish": said})
    assert (whole.finish_reason, replay.collect(decoded).finish_reason) == (means, means)
    for raw in (
        whole.raw,
        decoded[-1].raw,
    ):  # the caller sees one of OpenAI's words, or the new one
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
    answer = read({"content": "Hi"}, {"finish": said})
    assert (whole.finish_reason, answer.finish_reason) == (str(said), str(said))


# Numbers beyond all bounds


@pytest.mark.parametrize("field", ["id", "object", "created", "model", "index", "logprob", "new"])
def test_a_number_beyond_a_float_breaks_no_answer(field: str) -> None:
    for kind, message in (("", "message"), (".chunk", "delta")):
        fields = f'"id":"c","object":"chat.completion{kind}","created":1,"model":"m"'
        choice = f'"index":0,"{message}":{{"content":"Hi","new":1}},"finish_reason":"stop"'
        whole = f'{{{fields},"choices":[{{{choice},"logprobs":{{"logprob":1}}}}]}}'
        odd = re.sub(rf'("{field}"):("[^"]*"|[01])', r"\1:1e999", whole)
        assert odd != whole
        answer = read(odd) if kind else openai.read_answer(TO, odd.encode())
        assert (answer.text, answer.finish_reason) == ("Hi", "stop")


def test_a_number_of_many_digits_beside_half_a_character() -> None:
    chunk = '{"choices":[{"index":0,"delta":{"content":"%s"}}],"x":' + "1" * 5000 + "}"
    answer = read(chunk % r"a\ud83d", chunk % r"\ude00", dict(STOP))
    assert answer.text == "a\U0001f600"


def test_a_whole_answer_without_a_finish_reason_is_given_one() -> None:
    answer = openai.read_answer(TO, body({"content": "Hi"}, finish=None))
    assert (answer.finish_reason, answer.raw) == ("stop", None)
