"""Streams put together again."""

import pytest

from proxy.core.chat import Chunk, FunctionCall, ToolCall, ToolCallDelta, Usage
from proxy.core.collect import Collector


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
