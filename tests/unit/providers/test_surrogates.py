"""Characters that are cut in two are joined or replaced."""

import json
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.providers import openai, workers_ai
from proxy.providers.surrogates import has_halves
from tests.unit.providers import replay
from tests.unit.providers.making_openai import CALL, STOP, TO, body, chunks, read


def test_a_character_that_is_cut_over_two_chunks_is_joined() -> None:
    decoded = chunks({"content": "a\ud83d"}, {"content": "\ude00b"}, dict(STOP))
    assert replay.collect(decoded).text == "a\U0001f600b"
    assert all(b"\\ud83d" not in (chunk.raw or b"").lower() for chunk in decoded)


@pytest.mark.parametrize("field", ["content", "reasoning", "reasoning_content", "refusal"])
def test_half_a_character_at_the_end_is_replaced(field: str) -> None:
    answer = read({field: "a\ud83d"}, {"content": "b"}, dict(STOP))
    texts = [answer.text, answer.reasoning, answer.refusal]
    if field == "content":
        assert answer.text == "a\ufffdb"
    else:
        assert "a\ufffd" in texts


def test_halves_where_no_text_is() -> None:
    extra = {"content": "Hi", "id\udc00": "x\ud83d", "note": ["\ude00"]}
    answer = read(extra, dict(STOP))
    assert answer.extra == {"id\ufffd": "x\ufffd", "note": ["\ufffd"]}


def test_halves_in_a_whole_answer() -> None:
    call = {"id": "c", "type": "function", "function": {"name": "f", "arguments": '{"a":"\ud83d"}'}}
    answer = openai.read_answer(TO, body({"content": "a\ud83d", "tool_calls": [call]}))
    assert answer.text == "a\ufffd"
    assert answer.tool_calls[0].function.arguments == '{"a":"\ufffd"}'
    assert answer.raw and b"\\ud83d" not in answer.raw


def test_halves_in_an_error() -> None:
    fault = openai.read_fault(TO, 400, {}, b'{"error":{"message":"No \\ud83d"}}')
    assert fault.message == "No \ufffd"


def test_escaped_backslashes_are_no_halves() -> None:
    text = '\\ud83d and \\\\ud83d {"a":"\\ud83d"}'
    decoded = chunks({"content": text}, dict(STOP))
    assert replay.collect(decoded).text == text
    assert decoded[0].raw


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
    decoded = replay.decode(decoder, [*pieces, b"data: [DONE]\n\n"])
    assert replay.collect(decoded).text == "\U0001f600 \ufffd"
