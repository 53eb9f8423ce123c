"""What every provider is known to answer, as a caller of Messages gets it."""

from typing import Any

import pytest
from anthropic.types import Message

from proxy.core.chat import Answer, Chunk
from proxy.core.errors import Fault
from proxy.dialects import anthropic
from proxy.dialects.seal import unseal
from tests.unit.dialects.making_anthropic import (
    SERVED,
    USER,
    answered,
    assemble,
    collect,
    parse,
    streamed,
)
from tests.unit.providers import replay

OTHERS = [name for name, spec in replay.CATALOG.providers.items() if spec.main != "messages"]


def read_stream(provider: str, case: str) -> list[Chunk]:
    """The chunks of a fixture, none where it is no stream or breaks."""
    fixture = replay.load(provider, case)
    if fixture.status >= 300 or not fixture.streams:
        return []
    try:
        decoder = replay.adapter(provider).make_decoder(replay.target(provider))
        return replay.decode(decoder, [fixture.body])
    except Fault:
        return []


def read_answer(provider: str, case: str) -> Answer | None:
    """The answer of a fixture, None where it is none or not whole."""
    fixture = replay.load(provider, case)
    if fixture.status >= 300 or fixture.streams:
        return None
    try:
        return replay.adapter(provider).read_answer(replay.target(provider), fixture.body)
    except Fault:
        return None


CASES = [(provider, case) for provider in OTHERS for case in replay.cases(provider)]
STREAMS = {"/".join(case): chunks for case in CASES if (chunks := read_stream(*case))}
ANSWERS = {"/".join(case): answer for case in CASES if (answer := read_answer(*case))}


def unsigned(message: Any) -> Any:
    """The message without its seals, and what they hold of the calls: a stream may come to know
    later what it wants back."""
    blocks = [
        {name: value for name, value in block.items() if name != "signature"}
        for block in message["content"]
        if block["type"] != "redacted_thinking"
    ]
    return {**message, "content": blocks}


def sealed(message: Any) -> Any:
    """What is given back to the provider, by the last seal."""
    texts = [block.get("signature") or block.get("data") for block in message["content"]]
    states = [state for text in texts if text and (state := unseal(text))]
    return states[-1] if states else None


@pytest.mark.parametrize("case", STREAMS)
def test_a_stream_adds_up_to_the_whole_answer(case: str) -> None:
    chunks = STREAMS[case]
    message, whole = assemble(streamed(chunks)), answered(collect(chunks))
    assert unsigned(message) == {**unsigned(whole), "model": message["model"]}
    assert sealed(message) == sealed(whole)
    Message.model_validate(message, strict=True)


@pytest.mark.parametrize("case", ANSWERS)
def test_a_whole_answer_can_go_back(case: str) -> None:
    answer = ANSWERS[case]
    body = anthropic.answer(answer, parse(), SERVED)
    content = Message.model_validate_json(body).model_dump(exclude_none=True)["content"]
    if not content:
        return
    (_, turn) = parse(messages=[USER, {"role": "assistant", "content": content}]).chat.messages
    assert turn.reasoning_content == (answer.reasoning or None)
    assert turn.extra_content == answer.extra.get("extra_content")
    made = [(call.id, call.function.name, call.extra_content) for call in turn.tool_calls or ()]
    given = [(call.id, call.function.name, call.extra_content) for call in answer.tool_calls]
    assert made == given
