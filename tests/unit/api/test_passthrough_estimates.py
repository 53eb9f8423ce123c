"""What streams that are passed on count with where they do not say what they used."""

import json
from contextlib import suppress
from typing import Any

import pytest

from proxy.core.errors import Fault
from tests.unit.api.deployment import ADMIN
from tests.unit.api.making import request_lines
from tests.unit.api.passing import CHAT, Isolate
from tests.unit.doubles import FakeReply


def stream_events(*events: Any, broken: bool = False) -> FakeReply:
    pieces: list[bytes | Fault] = [f"data: {json.dumps(event)}\n\n".encode() for event in events]
    if broken:
        pieces.append(Fault("network", "gone"))
    return FakeReply(*pieces, headers={"content-type": "text/event-stream"})


SAID = [{"choices": [{"delta": {"content": "word " * 80}}]}] * 5
BEGUN = {"input_tokens": 50, "output_tokens": 1, "cache_read_input_tokens": 0}
MESSAGE: list[Any] = [
    {"type": "message_start", "message": {"model": "claude-haiku-4-5", "usage": BEGUN}},
    *({"type": "content_block_delta", "delta": {"text": "word " * 80}} for _ in range(5)),
]
ASKED = "word " * 400


@pytest.mark.parametrize("broken", [False, True])
async def test_a_stream_that_does_not_say_what_it_used_counts_as_estimated(broken: bool) -> None:
    isolate = Isolate(lambda _: stream_events(*SAID, broken=broken), ANALYTICS="off")
    key = await isolate.issue(limits={"tokensPerMinute": 1200}, passthrough=True)
    body = CHAT | {"stream": True, "messages": [{"role": "user", "content": ASKED}]}
    with suppress(Fault):
        await isolate.call("/openai/v1/chat/completions", body, key=key)
    line: Any = request_lines(isolate.ports)[-1]
    assert line["gen_ai.usage.output_tokens"] == 500
    assert 450 <= line["gen_ai.usage.input_tokens"] <= 550
    assert line["proxy.cost.origin"] == "estimated"
    assert line["proxy.cost.usd"] > 0
    [issued] = json.loads((await isolate.call("/admin/keys", b"", "GET", ADMIN)).body)["keys"]
    shown = await isolate.call(f"/admin/limits?key={issued['id']}", b"", "GET", ADMIN)
    assert 150 <= json.loads(shown.body)["tokens_left"] <= 250


@pytest.mark.parametrize(("broken", "output"), [(True, 500), (False, 1)])
async def test_one_that_broke_counts_what_it_had_said(broken: bool, output: int) -> None:
    isolate = Isolate(lambda _: stream_events(*MESSAGE, broken=broken), ANALYTICS="off")
    body = {"model": "claude-haiku-4-5", "stream": True, "messages": []}
    with suppress(Fault):
        await isolate.call("/anthropic/v1/messages", body)
    [line] = request_lines(isolate.ports)
    used = line["gen_ai.usage.input_tokens"], line["gen_ai.usage.output_tokens"]
    assert used == (50, output)


@pytest.mark.parametrize(
    "image",
    [
        {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{'A' * 90_000}"}},
        {"type": "image", "source": {"type": "base64", "data": "A" * 90_000}},
    ],
)
async def test_an_image_counts_as_one_and_not_by_its_bytes(image: dict[str, Any]) -> None:
    isolate = Isolate(lambda _: stream_events(*SAID), ANALYTICS="off")
    body = CHAT | {"stream": True, "messages": [{"role": "user", "content": [image]}]}
    await isolate.call("/openai/v1/chat/completions", body)
    line: Any = request_lines(isolate.ports)[0]
    assert 700 <= line["gen_ai.usage.input_tokens"] <= 900
