"""Pieces of text that are read as bytes are read as they always were."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.core.chat import Chunk
from proxy.providers.alike import Alike
from tests.unit.providers import replay

HEAD = {"id": "c-1", "object": "chat.completion.chunk", "model": "m-1"}
PARTS = ["<think>", "</think>", '"content":"', '"obfuscation":"', "\\", '"', "\n", "é🌍", ","]
HALVES = ["\ud83d", "\ude00"]
TEXTS = st.lists(st.sampled_from(PARTS + HALVES) | st.text(max_size=4), max_size=3).map("".join)
BESIDE: st.SearchStrategy[dict[str, Any]] = st.sampled_from(
    [{}, {}, {"obfuscation": "aB3"}, {"obfuscation": ""}, {"usage": None}]
)
CHANGES: st.SearchStrategy[dict[str, Any]] = st.sampled_from(
    [{}, {}, {}, {"id": "c-2"}, {"x_new": 1}, {"model": None}]
)
DELTAS: st.SearchStrategy[dict[str, Any]] = st.sampled_from(
    [{}, {}, {}, {"role": "assistant"}, {"reasoning": "Hm"}, {"refusal": "no"}]
)


def encode(chunk: Any, *, ascii: bool = True) -> bytes:
    """A chunk as OpenAI writes it."""
    text = json.dumps(chunk, ensure_ascii=ascii, separators=(",", ":"))
    return text.encode("utf-8", "replace")


@st.composite
def events(draw: st.DrawFn) -> list[bytes]:
    """A stream of mostly the same chunk."""
    beside, told = draw(BESIDE), list[bytes]()
    for text in draw(st.lists(TEXTS, min_size=1, max_size=8)):
        delta = {**draw(DELTAS), "content": text}
        choice = {"index": 0, "delta": delta, "finish_reason": None}
        noise = {"obfuscation": draw(st.text("aB3", max_size=3))} if "obfuscation" in beside else {}
        chunk = {**HEAD, **draw(CHANGES), "choices": [choice], **beside, **noise}
        told.append(encode(chunk, ascii=draw(st.booleans())))
    return told


def read(told: list[bytes], first: int | None = None) -> list[Chunk]:
    """The chunks of a stream. first: how many events come alone, the others come as one piece."""
    decoder = replay.adapter("openai").make_decoder(replay.target("openai"))
    events = [b"data: " + data + b"\n\n" for data in told]
    first = len(events) if first is None else first
    pieces = [*events[:first], b"".join(events[first:])]
    chunks = [chunk for piece in pieces for chunk in decoder.feed(piece)]
    return chunks + decoder.feed(b'data: {"choices":[{"finish_reason":"stop","delta":{}}]}\n\n')


@given(events())
def test_chunks_are_what_a_full_reading_gives(told: list[bytes]) -> None:
    quick = read(told)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Alike, "learn", lambda *_: None)
        assert quick == read(told)


@given(events(), st.integers(0, 8))
def test_chunks_that_come_together_are_what_they_are_alone(told: list[bytes], first: int) -> None:
    assert replay.merge(read(told, first)) == replay.merge(read(told))


def test_pieces_of_text_that_come_together_are_one_chunk() -> None:
    told = [chunk(text, obfuscation="x" * len(text)) for text in ("a", "b", "cc", 'd"d')]
    first, rest, _, _ = read([*told, chunk("e", x_new=1)], 1)
    assert (first.text, rest.text) == ("a", 'bccd"d')
    assert rest.raw == b"\n\ndata: ".join(told[1:])


def test_pieces_of_text_are_one_chunk_where_the_whole_stream_comes_at_once() -> None:
    texts = ("a", "b", "c", "d")
    told = [encode({**HEAD, "choices": [{"delta": {"role": "assistant"}}]}), *map(chunk, texts)]
    assert [each.text for each in read(told, 0)] == ["", "a", "bcd", ""]


def test_what_is_no_text_is_not_taken_for_one() -> None:
    alike = Alike.learn(chunk("one"), "one")
    assert alike
    for odd in (b'"one","x"', b"1", b'"a","b', b'c"', b"", b'"\xff"'):
        data = chunk("two") + b"\n\ndata: " + chunk("one").replace(b'"one"', odd)
        assert alike.read_run(b"data: " + data + b"\n\n") == ("", 0)


def chunk(text: str, **beside: Any) -> bytes:
    choice = {"index": 0, "delta": {"content": text}, "finish_reason": None}
    return encode({**HEAD, "choices": [choice], **beside})


def test_the_next_pieces_of_text_are_read_as_bytes() -> None:
    alike = Alike.learn(chunk("one"), "one")
    assert alike
    assert alike.read(chunk(' two "quoted" é')) == ' two "quoted" é'
    assert alike.read(chunk("one", usage={})) is None
    assert alike.read(chunk("one").replace(b'"one"', b'"one","tool_calls":"x"')) is None
    assert alike.read(chunk("one").replace(b'"one"', b"1")) is None
    assert alike.read(chunk("one").replace(b'"one"', b'"\xff"')) is None


def test_noise_beside_the_text_may_differ() -> None:
    alike = Alike.learn(chunk("one", obfuscation="abc"), "one")
    assert alike
    assert alike.read(chunk("two", obfuscation="z")) == "two"
    assert alike.read(chunk("two", obfuscation='z", "usage": "')) is None


def test_what_can_not_be_said_is_not_learnt() -> None:
    assert Alike.learn(chunk("one", other={"content": "two"}), "one") is None
    assert Alike.learn(chunk("one"), "another") is None
    assert Alike.learn(b'{"content":', "one") is None


def test_half_a_character_is_joined_before_the_next_piece() -> None:
    texts = [piece.text for piece in read([chunk("one"), chunk("\ud83d"), chunk("two")])]
    assert "".join(texts) == "one\ufffdtwo"
