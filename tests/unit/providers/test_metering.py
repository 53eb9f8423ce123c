"""What has gone by says what it used, in any form, in whichever pieces, within bounds."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.core.chat import Usage
from proxy.providers.metering import WHOLE, Gauge
from tests.unit.providers.making_openai_request import target

CHAT = {"usage": {"prompt_tokens": 7, "completion_tokens": 3, "total_tokens": 10}, "model": "m"}
USED = {"input_tokens": 2, "cache_read_input_tokens": 5, "output_tokens": 3}
MESSAGE = {"usage": USED, "model": "m"}
BEGUN = {"usage": USED | {"output_tokens": 1}, "model": "m"}
RESPONSE = {"usage": {"input_tokens": 7, "output_tokens": 3, "total_tokens": 10}, "model": "m"}
GEMINI = {
    "usageMetadata": {
        "promptTokenCount": 7,
        "candidatesTokenCount": 1,
        "thoughtsTokenCount": 2,
        "totalTokenCount": 10,
    },
    "modelVersion": "m",
}
WHOLES = [CHAT, MESSAGE, RESPONSE, GEMINI]
STREAMS = [
    [{"usage": None, "choices": []}, CHAT | {"choices": []}],
    [{"choices": []}, {"x_groq": CHAT, "choices": []}],
    [
        {"type": "message_start", "message": BEGUN},
        {"type": "message_delta", "usage": {"output_tokens": 3, "input_tokens": None}},
    ],
    [{"type": "response.created", "response": {"usage": None}}, {"response": RESPONSE}],
    [GEMINI | {"usageMetadata": {"promptTokenCount": 7}}, GEMINI],
]  # fmt: skip


def read(body: bytes, *, streamed: bool, size: int = 7) -> tuple[Usage | None, str | None]:
    gauge = Gauge(streamed=streamed)
    for at in range(0, len(body), size):
        gauge.feed(body[at : at + size])
    return gauge.read(target()), gauge.model


def frames(events: list[Any], end: str = "\n\n") -> bytes:
    return "".join(f"event: x\ndata: {json.dumps(event)}{end}" for event in events).encode()


@pytest.mark.parametrize("answer", WHOLES)
def test_a_whole_answer(answer: Any) -> None:
    usage, model = read(json.dumps({"content": 'a "usage": {', **answer}).encode(), streamed=False)
    assert usage and (usage.input, usage.output, model) == (7, 3, "m")


@pytest.mark.parametrize("answer", WHOLES)
def test_a_long_answer_is_read_at_its_end(answer: Any) -> None:
    text = '\\"usage": {"prompt_tokens": 1}' * 9000
    body = json.dumps({"content": text, **answer, "user": None}, indent=1).encode()
    assert len(body) > WHOLE
    usage, _ = read(body, streamed=False, size=50_000)
    assert usage and (usage.input, usage.output) == (7, 3)


@pytest.mark.parametrize("end", ["\n\n", "\r\n\r\n", "\n"])
@pytest.mark.parametrize("events", STREAMS)
def test_a_stream(events: list[Any], end: str) -> None:
    usage, model = read(frames(events, end) + b"data: [DONE]\n\n", streamed=True)
    assert usage and (usage.input, usage.output, model) == (7, 3, "m")


@pytest.mark.parametrize(
    "events",
    [
        [{"choices": [{"delta": {"role": "assistant", "content": None}}]}]
        + [{"choices": [{"delta": {"content": text}}]} for text in ("Par", "is.")],
        [{"choices": [{"delta": {"reasoning_content": "Par", "content": "is."}}]}],
        [{"choices": [{"delta": {"tool_calls": [{"function": {"arguments": "Paris."}}]}}]}],
        [{"choices": [{"text": "Paris."}]}],
        [
            {"type": "content_block_start", "content_block": {"type": "text", "text": ""}},
            {"type": "content_block_delta", "delta": {"type": "text_delta", "text": "Pa"}},
            {"type": "content_block_delta", "delta": {"type": "x", "thinking": "ri"}},
            {"type": "content_block_delta", "delta": {"type": "x", "partial_json": "s."}},
        ],
        [
            {"type": "response.output_text.delta", "delta": "Paris."},
            {"type": "response.output_text.done", "text": "Paris."},
            {"type": "response.output_item.done", "item": {"content": [{"text": "Paris."}]}},
        ],
        [{"candidates": [{"content": {"parts": [{"text": "Paris."}]}}]}],
    ],
)
def test_how_much_a_stream_has_said(events: list[Any]) -> None:
    gauge = Gauge(streamed=True)
    gauge.feed(frames(events))
    assert gauge.written == len("Paris.")


def test_what_is_said_may_hold_quotes() -> None:
    gauge = Gauge(streamed=True)
    text = 'say "content": "x" \\'
    gauge.feed(frames([{"choices": [{"delta": {"content": text}}]}]))
    assert gauge.written == len(json.dumps(text)) - 2


def test_what_says_nothing_is_not_known() -> None:
    for body in (b"", b"[]", b"{", b'{"usage": 3}', b'{"usage": {"prompt_tokens": -1}}', b"\xff"):
        assert read(body, streamed=False)[0] is None
        assert read(b"data: " + body + b"\n\n", streamed=True)[0] is None


def test_a_line_without_an_end_takes_no_memory() -> None:
    gauge = Gauge(streamed=True)
    for _ in range(40):
        gauge.feed(b"x" * 100_000)
    assert len(gauge._kept) <= 1024 * 1024
    gauge.feed(b"\n" + frames([CHAT]))
    usage = gauge.read(target())
    assert usage and usage.input == 7


@given(body=st.binary(max_size=300), streamed=st.booleans(), size=st.integers(1, 50))
def test_nothing_breaks_it(body: bytes, streamed: bool, size: int) -> None:
    read(body, streamed=streamed, size=size)
    read(b'data: {"usage":' + body, streamed=streamed, size=size)
