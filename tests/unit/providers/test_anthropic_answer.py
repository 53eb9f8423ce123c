"""What answers of Anthropic's Messages become, whole or streamed."""

import json
from itertools import pairwise
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.core.chat import Answer, Cost, Usage
from proxy.core.errors import Fault
from proxy.providers import anthropic, anthropic_stream
from tests.unit.providers import replay
from tests.unit.providers.making_anthropic import TO, event, shipped, stream

USAGE = {
    "input_tokens": 10,
    "cache_creation_input_tokens": 200,
    "cache_read_input_tokens": 1300,
    "output_tokens": 7,
    "output_tokens_details": {"thinking_tokens": 3},
}


def message(*content: Any, stop: str = "end_turn", **fields: Any) -> dict[str, Any]:
    return {
        "model": "claude-1",
        "id": "msg_1",
        "type": "message",
        "role": "assistant",
        "content": list(content),
        "stop_reason": stop,
        "usage": USAGE,
        **fields,
    }


def text(words: str) -> dict[str, Any]:
    return {"type": "text", "text": words}


def use(id_: str, **arguments: Any) -> dict[str, Any]:
    return {"type": "tool_use", "id": id_, "name": "get", "input": arguments}


def thought(words: str, signature: str) -> dict[str, Any]:
    return {"type": "thinking", "thinking": words, "signature": signature}


def read(whole: dict[str, Any], to: Any = TO) -> Answer:
    return anthropic.read_answer(to, json.dumps(whole).encode())


def play(data: bytes, *cuts: int, to: Any = TO) -> Answer:
    decoder = anthropic.make_decoder(to)
    places = sorted({0, *(cut % len(data) for cut in cuts), len(data)})
    chunks = replay.decode(decoder, [data[a:b] for a, b in pairwise(places)])
    assert decoder.finished
    return replay.collect(chunks)


def native(answer: Answer) -> Any:
    assert answer.native is not None and answer.native.wire == "messages"
    return json.loads(answer.native.body)


def seen(answer: Answer) -> Any:
    """All of an answer but the spelling of its JSON."""
    calls = [
        (c.id, c.function.name, json.loads(c.function.arguments or "")) for c in answer.tool_calls
    ]
    fields = (answer.text, answer.reasoning, answer.refusal, answer.finish_reason, answer.usage)
    return (*fields, answer.model, answer.id, answer.extra, calls, native(answer))


def test_the_parts_of_the_prompt_count_as_the_prompt() -> None:
    usage = read(message(text("Hi"))).usage
    assert usage == Usage(input=1510, output=7, cached=1300, cache_write=200, reasoning=3)
    prices = shipped("claude-haiku-4-5").model.prices
    assert prices.compute_cost(usage) == Cost(10_000 + 130_000 + 250_000 + 35_000, "computed")


def test_what_the_cache_keeps_for_an_hour_has_its_own_price() -> None:
    split = {"ephemeral_5m_input_tokens": 50, "ephemeral_1h_input_tokens": 150}
    whole = message(text("Hi"), usage={**USAGE, "cache_creation": split})
    usage = read(whole).usage
    assert usage == play(stream(whole)).usage
    assert usage and (usage.cache_write, usage.cache_write_1h) == (200, 150)
    prices = shipped("claude-haiku-4-5").model.prices
    cost = 10_000 + 130_000 + 50 * 1250 + 150 * 2000 + 35_000
    assert prices.compute_cost(usage) == Cost(cost, "computed")


@pytest.mark.parametrize(
    "report",
    [
        {},
        {"input_tokens": "9", "output_tokens": 1},
        {"input_tokens": 9, "output_tokens": -1},
        {"input_tokens": 9, "cache_read_input_tokens": -5, "output_tokens": 1},
        {"input_tokens": True, "output_tokens": 1},
        {"input_tokens": 10**12, "output_tokens": 1},
        None,
        "none",
    ],
)
def test_usage_that_cannot_be_is_none(report: Any) -> None:
    answer = read(message(text("Hi"), usage=report))
    assert (answer.text, answer.usage) == ("Hi", None)


def test_a_resellers_cost_counts() -> None:
    usage = read(message(text("Hi"), usage={**USAGE, "cost": 0.001})).usage
    assert usage is not None and usage.cost == 1_000_000


def test_thinking_goes_back_under_its_providers_name() -> None:
    blocks = [thought("Hm", "s1"), {"type": "redacted_thinking", "data": "x", "later": 1}]
    whole = message(*blocks, text("Hi"), use("a", n=1), stop="tool_use")
    to = msgspec.structs.replace(TO, spec=msgspec.structs.replace(TO.spec, name="openrouter"))
    for answer in (read(whole, to), play(stream(whole), to=to)):
        assert answer.extra == {"extra_content": {"openrouter": {"thinking_blocks": blocks}}}
        assert (answer.reasoning, answer.text) == ("Hm", "Hi")


def test_what_is_not_known_survives_in_the_message_itself() -> None:
    odd = {"type": "container_upload", "file_id": "f"}
    whole = message(odd, text("Hi"), container={"id": "c"}, stop="pause_turn")
    assert native(read(whole)) == whole
    assert native(play(stream(whole))) == whole
    assert read(whole).finish_reason == "pause_turn"


def test_the_bytes_of_a_whole_message_are_kept() -> None:
    body = (
        b'{"type": "message", "content": [ {"type":"text","text":"Hi"} ], "stop_reason":"end_turn"}'
    )
    answer = anthropic.read_answer(TO, body)
    assert answer.native is not None and answer.native.body is body
    assert answer.raw is None


@pytest.mark.parametrize(
    ("body", "said"),
    [
        (b"{}", "no content"),
        (b'{"content":"Hi"}', "Expected `array`"),
        (b'{"content":[{"type":"tool_use","id":"a","name":"g","input":[1]}]}', "no object"),
        (b"<html><title>Bad gateway</title>", "Bad gateway"),
        (b'{"content":[', "truncated"),
    ],
)
def test_what_is_no_message_is_garbage(body: bytes, said: str) -> None:
    with pytest.raises(Fault, match=said) as caught:
        anthropic.read_answer(TO, body)
    assert caught.value.kind == "garbage"


# Streams

WORDS = st.text(st.characters(codec="utf-8"), min_size=1, max_size=30)
BLOCKS = st.lists(
    st.one_of(
        WORDS.map(text),
        st.builds(thought, WORDS, st.text("abc=", min_size=1)),
        st.just({"type": "redacted_thinking", "data": "eA=="}),
        st.builds(lambda key, value: use("toolu_1", **{key: value}), WORDS, WORDS),
    ),
    max_size=5,
)


@given(BLOCKS, st.lists(st.integers(1, 9), max_size=4), st.lists(st.integers(0), max_size=8))
def test_events_cut_anywhere_are_the_whole_answer(
    blocks: list[Any], lengths: list[int], cuts: list[int]
) -> None:
    for number, block in enumerate(blocks):
        blocks[number] = {**block, "id": f"toolu_{number}"} if "id" in block else block
    whole = message(*blocks)
    assert seen(play(stream(whole, lengths), *cuts)) == seen(read(whole))


def test_every_event_goes_on_as_it_came() -> None:
    data = replay.load("anthropic", "stream").body
    decoder = anthropic.make_decoder(TO)
    raws = [chunk.raw for chunk in replay.decode(decoder, [data])]
    assert raws == [line[6:] for line in data.splitlines() if line.startswith(b"data: ")]
    assert decoder.closed


def test_a_piece_of_text_that_only_looks_like_the_last_is_read_in_full() -> None:
    start, *rest = stream(message(text("ab")), [1]).split(b"\n\n")
    delta = rest[1]
    odd = delta.replace(b'"text":"a"', b'"text":"c","more":"d"')
    again = delta.replace(b'"text":"a"', b'"text":"\\ud83d"')
    data = b"\n\n".join([start, rest[0], delta, odd, again, *rest[1:]])
    answer = play(data)
    assert answer.text == "aac\ufffdab"[1:]
    assert native(answer)["content"][0]["text"] == answer.text


def test_an_event_that_cannot_be_read_breaks_the_answer() -> None:
    data = stream(message(text("ab")), [1]).replace(b'"text":"b"', b'"text":"b')
    with pytest.raises(Fault) as caught:
        play(data)
    assert caught.value.kind == "garbage"


def test_counts_may_come_after_the_reason_to_stop() -> None:
    data = stream(message(text("Hi"))).removesuffix(event("message_stop"))
    late = event("message_delta", delta={}, usage={"output_tokens": 9})
    answer = play(data + late)
    assert answer.usage is not None and answer.usage.output == 9
    assert native(answer)["usage"]["output_tokens"] == 9
    assert native(answer)["stop_reason"] == "end_turn"


def test_counts_of_the_beginning_are_none_of_the_whole() -> None:
    end = event("message_delta", delta={"stop_reason": "end_turn"}, usage=USAGE)
    uncounted = event("message_delta", delta={"stop_reason": "end_turn"})
    assert play(stream(message(text("Hi"))).replace(end, uncounted)).usage is None


def test_blocks_that_all_have_one_index_keep_their_own_text() -> None:
    data = stream(message(text("a"), text("bc")), [1]).replace(b'"index":1', b'"index":0')
    answer = play(data)
    assert answer.text == "abc"
    assert native(answer)["content"] == [text("bc")]


@pytest.mark.parametrize("cut", range(0, 900, 30))
def test_a_stream_that_breaks_off_is_not_finished(cut: int) -> None:
    data = stream(message(text("Hello there")), [4])
    end = data.index(b"event: message_delta")
    decoder = anthropic.make_decoder(TO)
    decoder.feed(data[: min(cut, end)])
    assert not decoder.finished


def test_a_message_too_long_to_keep_is_passed_on_all_the_same(monkeypatch: Any) -> None:
    monkeypatch.setattr(anthropic_stream, "LIMIT", 20)
    whole = message(thought("Hm", "s"), text("word " * 9), use("a", n=1), stop="tool_use")
    answer = play(stream(whole, [5]))
    assert answer.text == "word " * 9
    assert json.loads(answer.tool_calls[0].function.arguments or "") == {"n": 1}
    assert answer.native is None


@pytest.mark.parametrize(
    ("kind", "status_kind", "blame"),
    [
        ("overloaded_error", "unavailable", "model"),
        ("api_error", "unavailable", "model"),
        ("rate_limit_error", "rate_limited", "provider"),
        ("authentication_error", "unauthorized", "provider"),
        ("billing_error", "unauthorized", "provider"),
        ("permission_error", "unauthorized", "provider"),
        ("not_found_error", "not_found", "model"),
        ("request_too_large", "too_large", "caller"),
        ("invalid_request_error", "bad_request", "caller"),
        ("timeout_error", "timeout", "provider"),
    ],
)
def test_errors_in_a_stream_mean_what_their_status_would(
    kind: str, status_kind: str, blame: str
) -> None:
    data = event("error", error={"type": kind, "message": "No"}, request_id="req_1")
    with pytest.raises(Fault) as caught:
        anthropic.make_decoder(TO).feed(data)
    fault = caught.value
    assert (fault.kind, fault.blame) == (status_kind, blame)
    assert fault.native and fault.native[0] == "messages"
    assert json.loads(fault.native[1])["request_id"] == "req_1"


def test_what_texts_cite_by_an_address() -> None:
    """The places are those of the blocks in the whole text."""
    cited = {"type": "web_search_result_location", "url": "https://a.test", "title": "A"}
    quoted = {"type": "char_location", "cited_text": "x", "document_index": 0}
    blocks = [text("It is "), {**text("5."), "citations": [quoted, cited]}]
    source = {"url": "https://a.test", "title": "A", "start_index": 6, "end_index": 8}
    expected = {"annotations": [{"type": "url_citation", "url_citation": source}]}
    assert read(message(*blocks)).extra == expected
    data = stream(message(*blocks))
    assert play(data).extra == play(data, *range(0, len(data), 3)).extra == expected
