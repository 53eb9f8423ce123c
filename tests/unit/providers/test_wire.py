"""What the adapters share: streams that are none, inline thinking, ids, vectors."""

from itertools import pairwise

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from proxy.core.chat import EmbeddingRequest, Routing
from proxy.core.errors import Fault
from proxy.providers.thinking import Thinking, split_thinking
from proxy.providers.tool_calls import make_call_id
from proxy.providers.vectors import convert_vectors
from tests.unit.providers import replay

TO = replay.target("openai")
CHUNK = (
    b'{"id":"c-1","object":"chat.completion.chunk","model":"m-1",'
    b'"choices":[{"index":0,"delta":{"content":"Hi"},"finish_reason":%s}]}'
)
PIECE = CHUNK % b"null"


def refusal(*pieces: bytes) -> Fault:
    with pytest.raises(Fault) as raised:
        replay.decode(replay.adapter("openai").make_decoder(TO), pieces)
    return raised.value


# Bodies that are no event stream


def test_json_in_place_of_a_stream_becomes_one_chunk() -> None:
    body = replay.load("openai", "tools").body
    decoder = replay.adapter("openai").make_decoder(TO)
    (chunk,) = replay.decode(decoder, [b" \n", body[:50], body[50:]])
    assert decoder.finished
    assert chunk.raw is None
    told = replay.adapter("openai").read_answer(TO, body)
    assert replay.tell(replay.collect([chunk])) == replay.tell(told)


def test_an_error_in_place_of_a_stream() -> None:
    fault = refusal(replay.load("openai", "error-401").body)
    assert (fault.kind, fault.code) == ("unauthorized", "invalid_api_key")


def test_a_page_in_place_of_a_stream() -> None:
    fault = refusal(b"<html><head><title>Hold on</title></head></html>")
    assert fault.kind == "garbage"
    assert fault.message.endswith("The provider answered with an HTML page: Hold on")


@pytest.mark.parametrize("body", [b"", b": only a comment\n\n", b"Service Unavailable"])
def test_a_stream_without_an_event_says_what_came(body: bytes) -> None:
    fault = refusal(body)
    assert fault.kind == "garbage"
    shown = body.decode().strip() or "(nothing)"
    assert fault.message == f"The answer cannot be read. The stream holds no event: {shown}"


def test_a_body_that_is_no_stream_has_a_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("proxy.providers.stream.EVENT_LIMIT", 10)
    assert refusal(b'{"a":"', b"0123456789").kind == "garbage"


# The end of a stream


def test_the_last_event_may_lack_its_empty_line() -> None:
    decoder = replay.adapter("openai").make_decoder(TO)
    chunks = replay.decode(decoder, [b"data: " + CHUNK % b'"stop"'])
    assert (replay.collect(chunks).text, decoder.finished) == ("Hi", True)


def test_half_an_event_is_none() -> None:
    decoder = replay.adapter("openai").make_decoder(TO)
    chunks = replay.decode(decoder, [b"data: " + PIECE + b"\n\ndata: " + PIECE[:40]])
    assert (replay.collect(chunks).text, decoder.finished) == ("Hi", False)


# Faults and what came before them

ERROR = b'event: error\ndata: {"error":{"message":"Boom","code":500}}\n\n'


def test_a_fault_waits_till_the_content_before_it_is_out() -> None:
    decoder = replay.adapter("openai").make_decoder(TO)
    event = b"data: " + PIECE + b"\n\n"
    assert [chunk.text for chunk in decoder.feed(event)] == ["Hi"]
    assert [chunk.text for chunk in decoder.feed(event + ERROR)] == ["Hi"]
    with pytest.raises(Fault, match="Boom"):
        decoder.feed(b"")
    with pytest.raises(Fault, match="Boom"):
        decoder.end()


def test_a_fault_before_any_content_is_told_at_once() -> None:
    decoder = replay.adapter("openai").make_decoder(TO)
    with pytest.raises(Fault, match="Boom"):
        decoder.feed(b"data: " + PIECE + b"\n\n" + ERROR)


# Inline thinking


@pytest.mark.parametrize(
    ("text", "answer", "thought"),
    [
        ("Hello", "Hello", ""),
        ("<think>\nHm.\n</think>\n\nHello", "Hello", "Hm."),
        (" \n<think>Hm.</think>Hello <think>x</think>", "Hello <think>x</think>", "Hm."),
        ("<think></think>Hello", "Hello", ""),
        ("<think>cut off", "", "cut off"),
        ("<think>a </thin b</think> c", "c", "a </thin b"),
        ("Say <think>", "Say <think>", ""),
        ("<thin", "<thin", ""),
        ("  ", "  ", ""),
    ],
)
def test_thinking(text: str, answer: str, thought: str) -> None:
    assert split_thinking(text) == (answer, thought)


@given(
    text=st.lists(st.sampled_from(["<think>", "</think>", "<", "/th", " ", "a"])).map("".join),
    cuts=st.lists(st.integers(0, 40)),
)
@example(text="<think>a</think>b", cuts=list(range(20)))
def test_thinking_reads_the_same_however_it_is_cut(text: str, cuts: list[int]) -> None:
    places = sorted({0, *(min(cut, len(text)) for cut in cuts), len(text)})
    thinking = Thinking()
    read = [thinking.feed(text[a:b]) for a, b in pairwise(places)]
    read.append(thinking.feed("", last=True))
    assert ("".join(t for t, _ in read), "".join(r for _, r in read)) == split_thinking(text)


# Ids


def test_a_made_up_id_tells_calls_apart_and_repeats() -> None:
    assert make_call_id("answer", 0, "f", "{}") == make_call_id("answer", 0, "f", "{}")
    assert make_call_id("answer", 0, "f", "{}") != make_call_id("answer", 1, "f", "{}")
    assert make_call_id("a", "b") != make_call_id("ab")


# Vectors


def ask(count: int, base64: bool) -> EmbeddingRequest:
    return EmbeddingRequest(input=("x",) * count, routing=Routing(), base64=base64)


def test_vectors_come_in_the_form_that_was_asked_for() -> None:
    floats, text = (0.5, -0.25, 1.0), "AAAAPwAAgL4AAIA/"
    for told in (floats, text):
        assert convert_vectors(TO, ask(1, base64=False), [told], b"") == (floats,)
        assert convert_vectors(TO, ask(1, base64=True), [told], b"") == (text,)


@given(st.lists(st.floats(width=32, allow_nan=False), max_size=8))
def test_packed_vectors_unpack_to_themselves(floats: list[float]) -> None:
    (packed,) = convert_vectors(TO, ask(1, base64=True), [tuple(floats)], b"")
    assert convert_vectors(TO, ask(1, base64=False), [packed], b"") == (tuple(floats),)


@pytest.mark.parametrize("told", [[], ["AAAAPw==", "AAAAPw=="], ["no base64!"], ["AAA="]])
def test_a_missing_or_broken_vector_is_garbage(told: list[str]) -> None:
    with pytest.raises(Fault) as raised:
        convert_vectors(TO, ask(1, base64=False), told, b"the body")
    assert raised.value.kind == "garbage"
    assert raised.value.message.endswith(": the body")


@pytest.mark.parametrize("before", ["", "<think>", "<think>hm", "<think>hm</think>"])
def test_white_space_that_may_belong_to_nobody_is_joined_once(before: str) -> None:
    thinking = Thinking()
    thinking.feed(before)
    for _ in range(200_000):
        assert thinking.feed(" ") == ("", "")
        assert len(thinking._held) <= len(before)
