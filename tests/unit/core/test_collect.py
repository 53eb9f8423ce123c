"""Streams put together again."""

import pytest

from proxy.core.chat import Chunk, Usage
from proxy.core.collect import Collector
from proxy.core.messages import FunctionCall, ToolCall, ToolCallDelta


def collected(*chunks: Chunk) -> Collector:
    collector = Collector()
    for chunk in chunks:
        collector.add(chunk)
    return collector


def test_text_reasoning_and_refusal_are_joined() -> None:
    answer = collected(
        Chunk(reasoning="I th", id="a", model="m"),
        Chunk(reasoning="ink"),
        Chunk(text="Hel"),
        Chunk(text="lo", finish_reason="length"),
    ).answer()
    assert (answer.text, answer.reasoning, answer.finish_reason) == ("Hello", "I think", "length")
    assert (answer.id, answer.model, answer.refusal) == ("a", "m", None)
    assert collected(Chunk(refusal="No"), Chunk(refusal=".")).answer().refusal == "No."


def test_tool_calls_come_together_by_index() -> None:
    signature = {"google": {"thought_signature": "s"}}
    answer = collected(
        Chunk(tool_calls=(ToolCallDelta(index=1, id="b", name="two", arguments="{"),)),
        Chunk(tool_calls=(ToolCallDelta(index=0, id="a", name="one", extra_content=signature),)),
        Chunk(tool_calls=(ToolCallDelta(index=1, arguments="}"),), finish_reason="tool_calls"),
    ).answer()
    assert answer.text is None
    assert answer.tool_calls == (
        ToolCall(id="a", function=FunctionCall("one", "{}"), extra_content=signature),
        ToolCall(id="b", function=FunctionCall("two", "{}")),
    )


def test_repeated_usage_is_counted_once() -> None:
    full, closing = Usage(input=5, output=7), Usage()
    assert collected(Chunk(usage=full), Chunk(usage=closing)).usage == full
    assert collected(Chunk(usage=Usage(input=5, output=1)), Chunk(usage=full)).usage == full


def test_unknown_fields_and_logprobs_grow() -> None:
    answer = collected(
        Chunk(text="a", extra={"annotations": [1], "note": "x"}, logprobs={"content": [1]}),
        Chunk(text="b", extra={"annotations": [2], "note": "y"}, logprobs={"content": [2]}),
    ).answer()
    assert answer.extra == {"annotations": [1, 2], "note": "y"}
    assert answer.logprobs == {"content": [1, 2]}


def test_nothing_streamed_is_an_empty_answer() -> None:
    answer = Collector().answer()
    assert (answer.text, answer.finish_reason, answer.usage) == ("", "stop", None)


@pytest.mark.parametrize(("text", "pieces"), [("a", 15), ("a" * 936, 1), ("\U0001f600" * 234, 1)])
def test_the_limit_is_of_memory_and_not_of_characters(text: str, pieces: int) -> None:
    collector = Collector(limit=1000)
    for _ in range(pieces):
        collector.add(Chunk(text=text))
    assert not collector.overflowed
    collector.add(Chunk(text=text))
    assert collector.overflowed
    assert collector.characters == (pieces + 1) * len(text)


BIG = "x" * 1000


@pytest.mark.parametrize(
    "chunk",
    [
        Chunk(logprobs={"content": [{"token": BIG, "logprob": -1, "top_logprobs": []}]}),
        Chunk(logprobs={"content": [[[[[[0]]]]] * 3]}),
        Chunk(extra={"reasoning_details": [{"data": BIG}]}),
        Chunk(extra={"reasoning_details": [{BIG: 1}]}),
        Chunk(tool_calls=(ToolCallDelta(index=0, arguments=BIG),)),
    ],
)
def test_whatever_a_stream_carries_counts(chunk: Chunk) -> None:
    collector = Collector(limit=100_000)
    for _ in range(50):
        collector.add(chunk)
    assert not collector.overflowed
    for _ in range(60):
        collector.add(chunk)
    assert collector.overflowed
    answer = collector.answer()
    assert (answer.tool_calls, answer.logprobs, answer.extra) == ((), None, {})


def test_calls_without_end_count() -> None:
    for name, id_, extra in (
        ("", "", None),
        (BIG, "", None),
        ("", BIG, None),
        ("", "", {"s": BIG}),
    ):
        collector = Collector(limit=100_000)
        for index in range(300):
            delta = ToolCallDelta(index=index, name=name, id=id_, extra_content=extra)
            collector.add(Chunk(tool_calls=(delta,)))
        assert collector.overflowed


def test_what_is_replaced_counts_once() -> None:
    collector = Collector(limit=20_000)
    for number in range(1000):
        signed = ToolCallDelta(index=0, name=BIG, id=BIG, extra_content={"s": f"{number}{BIG}"})
        extra = {"note": f"{number}{BIG}", "count": number, "empty": None}
        collector.add(Chunk(model=BIG, id=BIG, extra=extra, tool_calls=(signed,)))
    assert not collector.overflowed


def test_joining_is_linear() -> None:
    collector = Collector(limit=10**9)
    lists = set()
    for number in range(200_000):
        collector.add(Chunk(text="a", extra={"details": [number]}, logprobs={"content": [number]}))
        lists |= {id(collector._extra["details"]), id(collector._logprobs["content"])}
    assert len(lists) == 2  # each grows in its place, and is not copied with each chunk
    answer = collector.answer()
    assert answer.extra == {"details": list(range(200_000))}
    assert answer.logprobs == {"content": list(range(200_000))}
    assert answer.text == "a" * 200_000


def test_an_answer_is_not_changed_by_what_comes_later() -> None:
    collector = Collector()
    chunk = Chunk(extra={"details": [1]}, logprobs={"content": [1]})
    collector.add(chunk)
    before = collector.answer()
    collector.add(chunk)
    assert (before.extra, before.logprobs) == ({"details": [1]}, {"content": [1]})
    assert (chunk.extra, chunk.logprobs) == ({"details": [1]}, {"content": [1]})
    assert collector.answer().extra == {"details": [1, 1]}
