"""Streams of Responses: however their events come, they add up to what the whole response says."""

import json
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from proxy.core.chat import Answer, Chunk
from proxy.core.errors import Fault
from proxy.core.messages import ToolCallDelta
from proxy.providers import responses
from tests.unit.providers import replay
from tests.unit.providers.making_responses import (
    CALL,
    CUSTOM,
    SEALED,
    USAGE,
    chunks,
    events,
    frame,
    read,
    response,
    says,
    target,
    thinks,
)

CITATION = {"type": "url_citation", "url": "https://a.test", "title": "A"}
LOGPROB = {"token": "Hi", "logprob": -0.5, "bytes": [72, 105], "top_logprobs": []}
ANSWERS: dict[str, list[dict[str, Any]]] = {
    "text": [says("Grüße, 世界! 🙂")],
    "nothing": [],
    "an empty text": [says("")],
    "a summary": [thinks("First.", "Second."), says("Done.")],
    "raw reasoning": [thinks(content=("Hm.", "Well.")), says("Done.")],
    "sealed reasoning and calls": [SEALED, CALL, SEALED | {"id": "rs_2"}, CUSTOM],
    "a call without arguments": [CALL | {"arguments": ""}],
    "two messages": [says("Let me see."), CALL, says("So.") | {"id": "msg_2"}],
    "citations": [says("See A.", annotations=[CITATION, CITATION | {"title": "B"}])],
    "log probabilities": [says("Hi", logprobs=[LOGPROB])],
    "a tool of the provider's": [{"id": "ws_1", "type": "web_search_call", "status": "completed"}],
    "a refusal": [
        says("") | {"content": [{"type": "refusal", "refusal": "I can't help with that."}]}
    ],
}


def told(answer: Answer) -> Any:
    """What callers see of an answer."""
    fields = ("text", "reasoning", "refusal", "tool_calls", "finish_reason", "usage", "extra")
    found = [getattr(answer, name) or None for name in (*fields, "logprobs", "model", "id")]
    return [*found, answer.native and json.loads(answer.native.body)]


@pytest.mark.parametrize("name", ANSWERS)
@settings(max_examples=25)
@given(step=st.integers(1, 9), cuts=st.lists(st.integers(0, 4000), max_size=8))
def test_a_stream_reads_as_the_whole_response_however_it_is_cut(
    name: str, step: int, cuts: list[int]
) -> None:
    body = b"".join(events(*ANSWERS[name], step=step))
    places = sorted({0, *(cut % len(body) for cut in cuts), len(body)})
    pieces = [body[a:b] for a, b in pairwise(places)]
    assert told(replay.collect(chunks(*pieces))) == told(read(*ANSWERS[name]))


@given(st.lists(st.sampled_from(sorted(ANSWERS)), max_size=4), st.integers(1, 9))
def test_any_items_read_the_same_in_pieces_and_whole(names: list[str], step: int) -> None:
    output = [item | {"id": f"{n}{item['id']}"} for n in names for item in ANSWERS[n]]
    assert told(replay.collect(chunks(*events(*output, step=step)))) == told(read(*output))


@given(st.text(max_size=30), st.integers(1, 5))
def test_any_text_comes_through(text: str, step: int) -> None:
    assert replay.collect(chunks(*events(says(text), step=step))).text == text


@pytest.mark.parametrize("name", ANSWERS)
@pytest.mark.parametrize("kept", ["done", "last"])
def test_what_the_pieces_leave_out_the_whole_says(name: str, kept: str) -> None:
    items = ("response.output_item.done",) if kept == "done" else ()
    ends = ("response.created", "response.completed", *items)
    frames = [f for f in events(*ANSWERS[name]) if f[7 : f.index(b"\n")].decode() in ends]
    assert told(replay.collect(chunks(*frames))) == told(read(*ANSWERS[name]))


def test_every_event_goes_on_as_it_came() -> None:
    frames = events(SEALED, says("Hello"), CALL)
    frames.insert(-1, frame("response.of_a_later_day", novelty=1))
    assert [b"data: %b\n\n" % (chunk.raw or b"") for chunk in chunks(*frames)] == [
        f[f.index(b"\n") + 1 :] for f in frames
    ]


def test_the_chunks_of_a_call() -> None:
    found = [c.tool_calls for c in chunks(*events(SEALED, CALL, CUSTOM, step=9)) if c.tool_calls]
    assert found == [
        (ToolCallDelta(index=0, id="call_1", name="weather"),),
        (ToolCallDelta(index=0, arguments='{"city":"'),),
        (ToolCallDelta(index=0, arguments='Oslo"}'),),
        (ToolCallDelta(index=1, id="call_2", name="apply_patch", type="custom"),),
        (ToolCallDelta(index=1, arguments="*** Begin", type="custom"),),
        (ToolCallDelta(index=1, arguments="\n*** End", type="custom"),),
    ]


OPEN_MODEL = """\
event: response.created
data: {"type":"response.created","response":{"id":"7c","object":"response","created_at":1790000000,\
"status":"in_progress","completed_at":null,"content_filters":null,"error":null,"model":"deepseek-flash",\
"output":[],"usage":null},"sequence_number":0}

event: response.output_item.added
data: {"type":"response.output_item.added","item":{"type":"reasoning","id":"2c",\
"status":"in_progress","content":[],"summary":[]},"output_index":0,"sequence_number":1}

event: response.content_part.added
data: {"type":"response.content_part.added","content_index":0,"item_id":"2c","output_index":0,\
"part":{"type":"reasoning_text","text":""},"sequence_number":2}

event: response.reasoning_text.delta
data: {"type":"response.reasoning_text.delta","content_index":0,"delta":"Just ","item_id":"2c",\
"output_index":0,"sequence_number":3}

event: response.reasoning_text.delta
data: {"type":"response.reasoning_text.delta","content_index":0,"delta":"add.","item_id":"2c",\
"output_index":0,"sequence_number":4}

event: response.output_item.done
data: {"type":"response.output_item.done","item":{"type":"reasoning","id":"2c",\
"status":"completed","content":[{"type":"reasoning_text","text":"Just add."}],"summary":[]},\
"output_index":0,"sequence_number":5}

event: response.output_text.delta
data: {"type":"response.output_text.delta","content_index":0,"delta":"4","item_id":"a8",\
"logprobs":[],"obfuscation":"mZhSFj","output_index":1,"sequence_number":6}

event: response.incomplete
data: {"type":"response.incomplete","sequence_number":7,"response":{"id":"7c",\
"status":"incomplete","incomplete_details":{"reason":"max_output_tokens"},"model":"deepseek-flash","output":[],"usage":\
{"input_tokens":9,"input_tokens_details":{"cached_tokens":0},"output_tokens":5,\
"output_tokens_details":{"reasoning_tokens":4},"total_tokens":14}}}

"""


def test_the_form_in_which_an_open_model_answers() -> None:
    answer = replay.collect(chunks(OPEN_MODEL.encode()))
    described = "'4' length thought='Just add.' tokens=9+5 cached=0 reasoning=4"
    assert replay.describe(answer) == described
    assert (answer.id, answer.model, answer.extra) == ("7c", "deepseek-flash", {})


def test_calls_whose_pieces_come_in_turn() -> None:
    other = CALL | {"id": "fc_2", "call_id": "call_9", "arguments": '{"city":"Rome"}'}
    frames = events(CALL, other)
    mixed = [piece for pair in zip(frames[2:9], frames[9:16], strict=True) for piece in pair]
    answer = replay.collect(chunks(*frames[:2], *mixed, frames[-1]))
    assert told(answer) == told(read(CALL, other))


def test_the_reasoning_so_far_comes_whole_each_time() -> None:
    second = SEALED | {"id": "rs_2"}
    found = [c.extra for c in chunks(*events(SEALED, CALL, second, says("Hi"))) if c.extra]
    assert found == [
        {"extra_content": {"acme": {"reasoning": kept}}} for kept in ([SEALED], [SEALED, second])
    ]


def test_sealed_reasoning_beyond_what_is_kept_is_left_out() -> None:
    large = [SEALED | {"id": f"rs_{n}", "encrypted_content": "x" * (3 << 20)} for n in range(3)]
    found = [
        c.extra["extra_content"]["acme"]["reasoning"] for c in chunks(*events(*large)) if c.extra
    ]
    assert found == [large[:1], large[:2]]


@pytest.mark.parametrize(
    ("status", "reason", "finish"),
    [
        ("completed", None, "stop"),
        ("incomplete", "max_output_tokens", "length"),
        ("incomplete", "content_filter", "content_filter"),
        ("incomplete", None, "length"),
        ("incomplete", "steered", "steered"),
    ],
)
def test_why_it_ended(status: str, reason: str | None, finish: str) -> None:
    details = {"reason": reason} if reason else None
    ended: dict[str, Any] = {"status": status, "incomplete_details": details}
    assert read(says("Hi"), **ended).finish_reason == finish
    assert chunks(*events(says("Hi"), **ended))[-1].finish_reason == finish


def test_a_stream_without_its_last_event_is_not_finished() -> None:
    for end in (b"", b"data: [DONE]\n\n"):
        decoder = responses.make_decoder(target())
        found = replay.decode(decoder, [*events(says("Hi"))[:-1], end])
        assert replay.collect(found).text == "Hi"
        assert not decoder.finished


def test_nothing_is_read_after_the_last_event() -> None:
    decoder = responses.make_decoder(target())
    found = decoder.feed(b"".join(events(says("Hi"))) + frame("error", message="late"))
    assert (decoder.over, decoder.closed, decoder.finished) == (True, True, True)
    assert found[-1].finish_reason == "stop"
    assert decoder.end() == []


def test_json_in_place_of_a_stream() -> None:
    decoder = responses.make_decoder(target())
    found = replay.decode(decoder, [json.dumps(response(SEALED, CALL)).encode()])
    assert told(replay.collect(found)) == told(read(SEALED, CALL))


def feed(*frames: bytes) -> tuple[list[Chunk], Fault]:
    """What comes before a fault, and the fault."""
    decoder, found = responses.make_decoder(target()), list[Chunk]()
    with pytest.raises(Fault) as raised:
        for piece in frames:
            found += decoder.feed(piece)
        found += decoder.end()
    return found, raised.value


ERROR = {"code": "rate_limit_exceeded", "message": "Try again in 2 s."}
FAILURES = {
    "flat": frame("error", **ERROR, param=None, sequence_number=2),
    "nested": frame("error", error={"type": "tokens", **ERROR}, sequence_number=2),
    "failed": frame("response.failed", response=response(status="failed", error=ERROR)),
    "as in chat": b"data: " + json.dumps({"error": ERROR}).encode() + b"\n\n",
}


@pytest.mark.parametrize("form", FAILURES)
@pytest.mark.parametrize("begun", [False, True])
def test_a_stream_that_fails(form: str, begun: bool) -> None:
    frames = events(says("Hello"))
    found, fault = feed(*frames[: 6 if begun else 2], FAILURES[form], frames[-1])
    assert (fault.kind, fault.code, fault.blame) == ("rate_limited", ERROR["code"], "provider")
    assert fault.message == ERROR["message"]
    assert replay.collect(found).text == ("Hello" if begun else "")


def test_what_a_failed_response_has_used_is_counted() -> None:
    _, fault = feed(FAILURES["failed"])
    assert fault.kind == "rate_limited"
    found, _ = feed(*events(says("Hello"))[:5], FAILURES["failed"])
    used = replay.collect(found).usage
    assert used and (used.input, used.output) == (USAGE["input_tokens"], USAGE["output_tokens"])


@pytest.mark.parametrize("data", [b"<html>", b'{"choices":[]}', b'{"type":"message_start"}'])
def test_what_is_no_stream_of_responses(data: bytes) -> None:
    _, fault = feed(b"data: %b\n\n" % data)
    assert fault.kind == "garbage"


def test_a_response_of_an_unknown_form_is_no_answer() -> None:
    _, fault = feed(frame("response.completed", response={"output": 5}))
    assert fault.kind == "garbage"
