"""The adapter of OpenAI's dialect as a whole: reading answers and streams in every form that
providers give them, embeddings, the probe."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import structs

from proxy.core.errors import Fault
from proxy.providers import openai
from tests.unit.providers import replay
from tests.unit.providers.making_openai import TO, body, events


def read(*deltas: dict[str, Any] | str) -> tuple[str, int, bool]:
    """The answer that a stream adds up to, how many chunks kept their bytes, and whether it
    was finished."""
    decoder = openai.make_decoder(TO)
    chunks = replay.decode(decoder, events(*deltas))
    kept = sum(chunk.raw is not None for chunk in chunks)
    return replay.describe(replay.collect(chunks)), kept, decoder.finished


# Whole answers


def test_what_an_answer_tells_beside_its_text() -> None:
    whole = body(
        {"role": "assistant", "content": "Hi", "audio": {"id": "a"}, "annotations": []},
        usage={"prompt_tokens": 3.0, "completion_tokens": None},
    )
    answer = openai.read_answer(TO, whole)
    assert (answer.id, answer.created, answer.model) == ("c-1", 7, "m-1")
    assert answer.extra == {"audio": {"id": "a"}}
    assert answer.raw is whole
    assert replay.describe_usage(answer.usage) == "tokens=3+0"


@pytest.mark.parametrize(
    ("message", "finish", "expected"),
    [
        ({"content": None}, "length", "None length"),
        ({"content": "x"}, "end_turn", "'x' stop"),
        ({"content": "x"}, None, "'x' stop"),
        ({"content": "x"}, "model_length", "'x' length"),
        ({"content": "x", "reasoning": "r"}, "stop", "'x' stop thought='r'"),
        (
            {"content": "<think>a</think>x", "reasoning_content": "r"},
            "stop",
            "'x' stop thought='ra'",
        ),
        (
            {
                "content": [
                    {"type": "thinking", "thinking": [{"type": "text", "text": "r"}]},
                    {"type": "text", "text": "x"},
                    {"type": "reference", "ids": [1]},
                    "?",
                ]
            },
            "stop",
            "'x' stop thought='r'",
        ),
        (
            {"function_call": {"name": "f", "arguments": "{}"}},
            "function_call",
            "None tool_calls f({})#call_f450bff873cd4df73e79452e",
        ),
        (
            {"tool_calls": [{"id": 0, "function": {"name": "f", "parameters": {"a": 1}}}]},
            "eos_token",
            'None tool_calls f({"a":1})#call_38e2209fb4eb482cd2099097',
        ),
        (
            {"tool_calls": [{"id": "c", "function": {"name": "f", "arguments": None}}, "?"]},
            None,
            "None tool_calls f({})#c",
        ),
    ],
)
def test_every_form_of_an_answer(message: dict[str, Any], finish: Any, expected: str) -> None:
    answer = openai.read_answer(TO, body(message, finish=finish))
    assert replay.describe(answer) == f"{expected} tokens=?"


@pytest.mark.parametrize(
    "answer",
    [
        body({"content": [{"type": "text", "text": "x"}]}),
        body({"content": "x"}, finish="eos_token"),
        body({"content": "x"}, object="text_completion"),
        body({"tool_calls": [{"id": "", "function": {"name": "f", "arguments": ""}}]}),
        body({"tool_calls": [{"id": "c", "function": {"name": "f", "arguments": {}}}]}),
        body({"tool_calls": [{"id": "c", "name": "f", "arguments": "{}"}]}),
    ],
)
def test_an_answer_in_another_form_is_not_passed_on(answer: bytes) -> None:
    assert openai.read_answer(TO, answer).raw is None


def test_signatures_of_calls_are_kept() -> None:
    signed = {"google": {"thought_signature": "s"}}
    call = {"id": "c", "function": {"name": "f", "arguments": "{}"}, "extra_content": signed}
    (answer,) = openai.read_answer(TO, body({"tool_calls": [call]})).tool_calls
    assert answer.extra_content == signed


@pytest.mark.parametrize(
    ("usage", "expected"),
    [
        ({}, "tokens=?"),
        ("many", "tokens=?"),
        ({"prompt_tokens": 9, "prompt_cache_hit_tokens": 4}, "tokens=9+0 cached=4"),
        ({"prompt_tokens": 9, "cached_tokens": 3}, "tokens=9+0 cached=3"),
        ({"prompt_tokens_details": {"cache_write_tokens": 2}}, "tokens=0+0 cache_write=2"),
        ({"cost": 0}, "tokens=0+0 cost=0"),
        ({"cost": 5.37e-06}, "tokens=0+0 cost=5370"),
        ({"cost": 1e-6, "cost_details": {"upstream_inference_cost": 2e-6}}, "tokens=0+0 cost=1000"),
        (
            {"cost": 1e-6, "is_byok": True, "cost_details": {"upstream_inference_cost": 2e-6}},
            "tokens=0+0 cost=3000",
        ),
        ({"cost": 1e-6, "is_byok": True, "cost_details": None}, "tokens=0+0 cost=1000"),
    ],
)
def test_usage(usage: Any, expected: str) -> None:
    assert replay.describe_usage(openai.read_answer(TO, body(usage=usage)).usage) == expected


@pytest.mark.parametrize(
    ("answer", "why"),
    [
        (b"Not now.", "JSON is malformed: invalid character (byte 0): Not now."),
        (b'{"id":"\xff"}', "'utf-8' codec can't decode byte 0xff"),
        (b'{"choices":[{"message":{"content":"a"}}],"x\xff":1}', "can't decode byte 0xff"),
        (b"{}", "It has no choices: {}"),
        (b'{"choices":[]}', 'It has no choices: {"choices":[]}'),
        (b'{"choices":[{}]}', 'Its choice has no message: {"choices":[{}]}'),
        (b'{"choices":[{"message":"Hi"}]}', "Expected `object | null`, got `str`"),
    ],
)
def test_an_answer_without_what_is_needed_is_garbage(answer: bytes, why: str) -> None:
    with pytest.raises(Fault) as raised:
        openai.read_answer(TO, answer)
    assert raised.value.kind == "garbage"
    assert why in raised.value.message


def test_an_error_of_a_choice() -> None:
    error = {"code": 502, "message": "Gone"}
    with pytest.raises(Fault) as raised:
        openai.read_answer(TO, json.dumps({"choices": [{"error": error}]}).encode())
    assert replay.describe_fault(raised.value) == "FAULT unavailable 502 'Gone'"


# Streams


def test_done_alone_finishes_nothing() -> None:
    assert read({"content": "Hi"}, "[DONE]") == ("'Hi' stop tokens=?", 1, False)
    assert read({"content": "Hi"}, {"finish": "stop"}, "[DONE]")[2]


def test_inline_thinking_is_parted_and_its_bytes_go_on() -> None:
    deltas = [{"content": piece} for piece in ("<thi", "nk>\nHm", ".\n</th", "ink>\n", "Hi", " <")]
    answer = read(*deltas, {"content": "", "finish": "stop"})
    assert answer == ("'Hi <' stop thought='Hm.' tokens=?", 7, True)


def test_what_was_held_back_goes_out_with_the_finish_reason() -> None:
    assert read({"content": "<thin"}, {"finish": "stop"})[0] == "'<thin' stop tokens=?"


def test_a_call_without_ids_and_indexes() -> None:
    first = {"tool_calls": [{"function": {"name": "f", "arguments": '{"a'}}]}
    rest = {"tool_calls": [{"function": {"arguments": '":1}'}}]}
    second = {"tool_calls": [{"name": "g", "arguments": {}}, {"function": {"name": None}}]}
    answer, kept, _ = read(first, rest, second, {"finish": "eos_token"})
    assert answer == (
        'None tool_calls f({"a":1})#call_4af8a124b349968ca75c8fcc'
        " g({})#call_c7c9bdad9cf46ca425b83a46 tokens=?"
    )
    assert kept == 0


def test_a_call_in_the_old_form() -> None:
    first = {"function_call": {"name": "f", "arguments": ""}}
    rest = {"function_call": {"arguments": "{}"}}
    answer, kept, _ = read(first, rest, {"finish": "function_call"})
    assert answer == "None tool_calls f({})#call_f450bff873cd4df73e79452e tokens=?"
    assert kept == 3


def test_of_several_answers_the_first_is_read_and_all_are_passed_on() -> None:
    other = '{"choices":[{"index":1,"delta":{"content":"No"},"finish_reason":"stop"}]}'
    assert read({"content": "Yes"}, other) == ("'Yes' stop tokens=?", 2, False)


def test_chunks_without_a_choice() -> None:
    decoder = openai.make_decoder(TO)
    usage = '{"choices":[],"usage":{"prompt_tokens":1,"completion_tokens":2}}'
    filters, counted = replay.decode(
        decoder, events('{"choices":[],"prompt_filter_results":[]}', usage, "[DONE]")
    )
    assert (filters.usage_only, filters.raw) == (
        False,
        b'{"choices":[],"prompt_filter_results":[]}',
    )
    assert (counted.usage_only, counted.raw) == (True, usage.encode())
    assert replay.describe_usage(counted.usage) == "tokens=1+2"


ERRORS = {
    "event": 'event: error\ndata: {"error":{"message":"late"}}\n\n',
    "chunk": 'data: {"error":{"message":"late"},"choices":[],"usage":{"prompt_tokens":1}}\n\n',
    "object": 'data: {"object":"error","message":"late","code":429}\n\n',
}


@pytest.mark.parametrize("error", ERRORS.values(), ids=ERRORS)
def test_an_error_after_the_finish_reason_is_told(error: str) -> None:
    decoder = openai.make_decoder(TO)
    pieces = [*events({"content": "Hi"}, {"finish": "length"}), error.encode()]
    with pytest.raises(Fault, match="late"):
        replay.decode(decoder, pieces)


@pytest.mark.parametrize("tail", [*ERRORS.values(), "data: {\n\n", "data: Not JSON\n\n"])
def test_after_done_nothing_is_read(tail: str) -> None:
    pieces = [*events({"content": "Hi"}, {"finish": "stop"}, "[DONE]"), tail.encode()]
    for cut in (pieces, [b"".join(pieces)]):
        decoder = openai.make_decoder(TO)
        answer = replay.describe(replay.collect(replay.decode(decoder, cut)))
        assert (answer, decoder.finished, decoder.over) == ("'Hi' stop tokens=?", True, True)


def test_usage_that_stands_beside_an_error_is_counted() -> None:
    decoder = openai.make_decoder(TO)
    error = '{"error":{"message":"broke"},"choices":[],"usage":{"prompt_tokens":1}}'
    content, failure = events({"content": "Hi"}, error)
    decoder.feed(content)
    (counted,) = decoder.feed(failure)
    assert (counted.usage_only, replay.describe_usage(counted.usage)) == (True, "tokens=1+0")
    with pytest.raises(Fault, match="broke"):
        decoder.end()


@pytest.mark.parametrize(
    ("event", "message"),
    [
        ("Not JSON", "JSON is malformed: invalid character (byte 0): Not JSON"),
        ('{"choices":17}', 'Expected `array | null`, got `int` - at `$.choices`: {"choices":17}'),
    ],
)
def test_an_event_that_cannot_be_read(event: str, message: str) -> None:
    with pytest.raises(Fault) as raised:
        read({"role": "assistant"}, event)
    assert raised.value.kind == "garbage"
    assert raised.value.message == f"The answer cannot be read. {message}"


# Whatever else a provider adds


@given(
    case=st.sampled_from(["tools", "refusal", "cached"]),
    name=st.text().map("new_".__add__),
    value=st.none() | st.integers() | st.text() | st.lists(st.text()),
)
def test_unknown_fields_break_nothing(case: str, name: str, value: Any) -> None:
    plain = replay.load("openai", case).body

    def grown(part: Any) -> Any:
        if isinstance(part, list):
            return [grown(item) for item in part]
        if isinstance(part, dict):
            return {name: value} | {key: grown(item) for key, item in part.items()}
        return part

    answer = openai.read_answer(TO, json.dumps(grown(json.loads(plain))).encode())
    assert structs.replace(answer, raw=None, extra={}, form=None) == structs.replace(
        openai.read_answer(TO, plain), raw=None, form=None
    )
