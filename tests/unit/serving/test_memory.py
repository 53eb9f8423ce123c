"""What requests hold of the memory, and that they give it back, whatever ends them."""

import asyncio
import gzip
import json
from typing import Any

import pytest

from proxy.core.errors import Fault
from proxy.core.ports import Outgoing
from tests.unit.api.making import generate, make_app
from tests.unit.callers import JSON, read_stream, request, send
from tests.unit.doubles import FakeReply
from tests.unit.routing.making import DONE, EVENTS, HELLO, STOP, whole
from tests.unit.serving.making_memory import held


async def test_beyond_the_bound_requests_are_put_off() -> None:
    answering = asyncio.Event()

    class Slow(FakeReply):
        async def read(self) -> bytes:
            await answering.wait()
            return await super().read()

    app, _ = make_app(lambda _: Slow(*whole("Hi!").pieces), BODY_MEMORY_BYTES="100000")
    large = request("POST", "/v1/generate", {"prompt": "x" * 60_000, "model": "openai/m"}, **JSON)
    first = asyncio.ensure_future(send(app, large))
    await asyncio.sleep(0.01)
    refused = await send(app, large)
    assert (refused.status, refused.headers["retry-after"]) == (503, "1")
    assert json.loads(refused.body)["error"]["message"].startswith("Too many large requests")
    small = request("POST", "/v1/generate", {"prompt": "hi", "model": "openai/m"}, **JSON)
    others = asyncio.ensure_future(send(app, small))
    answering.set()
    assert [(await first).status, (await others).status, await held(app)] == [200, 200, 0]
    assert (await send(app, large)).status == 200


async def test_what_could_never_be_held_is_too_large() -> None:
    app, _ = make_app(BODY_MEMORY_BYTES="100000")
    for body in (b"x" * 100_001, b"[" + b"0," * 20_000 + b"0]"):
        response = await send(app, request("POST", "/v1/generate", body, **JSON))
        assert response.status == 413
        assert await held(app) == 0


@pytest.mark.parametrize(
    "answer",
    [
        whole("Hi!"),
        Fault("network", "gone"),
        FakeReply(b"no answer"),
        FakeReply(b"x" * 200_000, status=500),
        FakeReply(b"[" * 70_000),
    ],
    ids=range(5),
)
@pytest.mark.parametrize("path", ["/v1/generate", "/v1/batch", "/v1/embeddings"])
async def test_nothing_is_held_after_the_end(answer: FakeReply | Fault, path: str) -> None:
    app, _ = make_app(lambda _: answer)
    item = {"prompt": "x" * 10_000, "model": "openai/m"}
    bodies = {
        "/v1/generate": item,
        "/v1/batch": {"requests": [item]},
        "/v1/embeddings": {"input": "x" * 10_000, "model": "openai/m"},
    }
    await send(app, request("POST", path, bodies[path], **JSON))
    assert await held(app) == 0


@pytest.mark.parametrize("gone_after", [None, 0, 1])
async def test_a_stream_gives_its_body_back_when_it_begins(gone_after: int | None) -> None:
    pieces = (HELLO, STOP, DONE)
    app, _ = make_app(lambda _: FakeReply(*pieces, headers=EVENTS))
    response = await generate(app, prompt="x" * 10_000, model="openai/m", stream=True)
    assert await held(app) == 0
    await read_stream(response, gone_after)
    assert await held(app) == 0


async def test_what_an_answer_repeats_of_its_request_is_held_until_it_is_over() -> None:
    pieces, key = (HELLO, STOP, DONE), {"MISTRAL_API_KEY": "key-of-mistral"}
    app, _ = make_app(lambda _: FakeReply(*pieces, headers=EVENTS), **key)
    body = {"input": "hi", "model": "mistral/m", "stream": True, "store": False}
    told = request("POST", "/v1/responses", body | {"instructions": "x" * 50_000}, **JSON)
    response = await send(app, told)
    assert await held(app) > 50_000
    assert b"x" * 50_000 in await read_stream(response)
    assert await held(app) == 0


async def test_what_was_masked_is_held_until_it_is_put_back() -> None:
    pieces = (HELLO, STOP, DONE)
    app, _ = make_app(lambda _: FakeReply(*pieces, headers=EVENTS), GUARDRAIL="mask")
    mails = " ".join(f"{number}@x.example" for number in range(1000))
    response = await generate(app, prompt=mails, model="openai/m", stream=True)
    assert 50_000 < await held(app) < 100_000
    await read_stream(response)
    assert await held(app) == 0


async def test_a_stream_that_finds_no_room_goes_on_and_is_not_kept() -> None:
    delta = b'data: {"choices":[{"index":0,"delta":{"content":"%s"}}]}\n\n' % (b"y" * 50_000)
    app, _ = make_app(
        lambda _: FakeReply(*[delta] * 9, STOP, DONE, headers=EVENTS), BODY_MEMORY_BYTES="200000"
    )
    response = await generate(app, prompt="hi", model="openai/m", stream=True)
    answer = await read_stream(response)
    assert answer.count(b"y") >= 450_000
    assert b"event: done" in answer
    assert await held(app) == 0


@pytest.mark.parametrize("path", ["/v1/generate", "/v1/chat/completions", "/v1/batch"])
async def test_a_compressed_body_is_what_it_holds(path: str) -> None:
    upstream: list[Outgoing] = []

    def answer(outgoing: Outgoing) -> FakeReply:
        upstream.append(outgoing)
        return whole("Hi!")

    app, _ = make_app(answer, MAX_BODY_BYTES="1024")
    fields: dict[str, Any] = {"model": "openai/m", "messages": [{"role": "user", "content": "hi"}]}
    if path == "/v1/batch":
        fields = {"requests": [fields]}
    packed = gzip.compress(json.dumps(fields).encode())
    response = await send(app, request("POST", path, packed, content_encoding="gzip", **JSON))
    assert response.status == 200
    assert "content-encoding" not in upstream[0].headers
    for body, coding, status in (
        (gzip.compress(b" " * 1025), "gzip", 413),
        (packed[:-2], "gzip", 400),
        (packed, "zstd", 415),
        (packed, "br", 415),
    ):
        refused = request("POST", path, body, content_encoding=coding, **JSON)
        assert (await send(app, refused)).status == status
        assert await held(app) == 0
