"""What a request takes of the memory, and that it gives it back, whatever ends it."""

import asyncio
import gc
import gzip
import json
import tracemalloc
from collections.abc import Callable, Iterator
from typing import Any

import msgspec
import pytest
from msgspec import structs

from proxy.api.app import App
from proxy.cache.key import KeyParts, cache_key
from proxy.core.chat import Call
from proxy.core.errors import Fault
from proxy.core.ports import Outgoing
from proxy.dialects import native, openai
from proxy.limits.estimate import count_input_tokens
from proxy.providers.registry import ADAPTERS
from tests.unit.api.making import make_app
from tests.unit.callers import JSON, read_stream, request, send
from tests.unit.doubles import Answerer, FakeReply
from tests.unit.providers import replay
from tests.unit.routing.making import DONE, EVENTS, HELLO, ROLE, STOP, whole
from tests.unit.serving.making import NATIVE, OPENAI, House, by_host, stream_of

SIZE = 1_000_000
URL = f"data:image/png;base64,{'A' * SIZE}"
IMAGE = {"type": "image_url", "image_url": {"url": URL}}
MESSAGES = [
    {"role": "system", "content": "Look."},
    {"role": "user", "content": [{"type": "text", "text": "hi"}, IMAGE]},
    {"role": "assistant", "content": "Nice."},
    {"role": "user", "content": "And?"},
]
TEXT = [{"role": "user", "content": "é" * SIZE}]
OLDER = [
    {"role": "user", "content": [{"type": "image_url", "image_url": URL}]},
    {"role": "assistant", "content": None, "function_call": {"name": "f", "arguments": "{}"}},
    {"role": "function", "name": "f", "content": "1"},
]
FUNCTIONS = [{"name": "f", "parameters": {"type": "object"}}]
SMALL_PART = {"type": "text", "text": 'a "word"\n é'}
PARTS = [{"role": "user", "content": [SMALL_PART, {"type": "text", "text": "a" * SIZE}]}]
PROVIDERS = ("openai", "gemini", "workers-ai", "deepseek")


def sent(provider: str, call: Call) -> Any:
    target = replay.target(provider)
    body = ADAPTERS[target.spec.dialect].build_request(target, call.chat).body
    assert body
    return body if isinstance(body, bytes) else b"".join(body)


@pytest.mark.parametrize("provider", PROVIDERS)
@pytest.mark.parametrize(
    ("dialect", "asked"),
    [
        (openai, {"model": "m", "messages": MESSAGES}),
        (native, {"messages": MESSAGES}),
        (openai, {"model": "m", "messages": TEXT}),
        (native, {"messages": PARTS}),
        (native, {"prompt": "a" * SIZE}),
        (openai, {"model": "m", "messages": OLDER, "functions": FUNCTIONS}),
        (native, {"messages": OLDER}),
    ],
    ids=["image", "native image", "text", "native text", "prompt", "older", "native older"],
)
def test_a_body_takes_three_times_its_size_at_the_most(
    dialect: Any, asked: dict[str, Any], provider: str
) -> None:
    target = replay.target(provider)
    body = json.dumps(asked, ensure_ascii=False).encode()
    size = len(body)
    tracemalloc.start()
    body = bytes(bytearray(body))
    tracemalloc.reset_peak()
    call = dialect.parse_chat(body)
    del body
    cache_key(KeyParts(chat=call.chat))
    count_input_tokens(call.chat)
    outgoing = ADAPTERS[target.spec.dialect].build_request(target, call.chat)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert outgoing.body
    assert peak <= 3.1 * size


@pytest.mark.parametrize("provider", PROVIDERS)
@pytest.mark.parametrize("messages", [MESSAGES, TEXT, PARTS], ids=["image", "text", "parts"])
def test_what_is_spliced_is_what_would_be_encoded(
    provider: str, messages: list[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    bodies = []
    for small in (64 * 1024, 10 * SIZE):
        monkeypatch.setattr("proxy.core.splice.SMALL", small)
        asked = json.dumps({"model": "m", "messages": messages}).encode()
        bodies.append(json.loads(sent(provider, openai.parse_chat(asked))))
    assert bodies[0] == bodies[1]


@pytest.mark.parametrize("provider", PROVIDERS)
@pytest.mark.parametrize("content", [{}, {"content": None}, {"content": ""}, {"content": []}])
def test_a_large_call_of_a_tool_needs_no_text_beside_it(
    provider: str, content: dict[str, Any]
) -> None:
    arguments = json.dumps({"x": "y" * 100_000})
    call = {"id": "c1", "type": "function", "function": {"name": "f", "arguments": arguments}}
    messages = [
        {"role": "user", "content": "hi"},
        {"role": "assistant", "tool_calls": [call], **content},
        {"role": "tool", "tool_call_id": "c1", "content": "done"},
    ]
    asked = json.dumps({"model": "m", "messages": messages}).encode()
    assert b"y" * 100_000 in sent(provider, openai.parse_chat(asked))


def test_a_zero_byte_in_a_body_is_no_mark() -> None:
    raw = (
        b'{"messages": [{"role": "user", "content": [{"type": "x", "y": "\\u0000"}, %s]}], "n": 1}'
    )
    call = openai.parse_chat(raw % msgspec.json.encode(IMAGE))
    assert json.loads(sent("openai", call))["messages"][0]["content"][0]["y"] == "\0"


async def held(app: App) -> int:
    await asyncio.sleep(0)
    return app.services.memory.held


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
    asked = {"prompt": "x" * 10_000, "model": "openai/m", "stream": True}
    response = await send(app, request("POST", "/v1/generate", asked, **JSON))
    assert await held(app) == 0
    await read_stream(response, gone_after)
    assert await held(app) == 0


async def test_a_stream_that_finds_no_room_goes_on_and_is_not_kept() -> None:
    delta = b'data: {"choices":[{"index":0,"delta":{"content":"%s"}}]}\n\n' % (b"y" * 50_000)
    app, _ = make_app(
        lambda _: FakeReply(*[delta] * 9, STOP, DONE, headers=EVENTS), BODY_MEMORY_BYTES="200000"
    )
    asked = {"prompt": "hi", "model": "openai/m", "stream": True}
    response = await send(app, request("POST", "/v1/generate", asked, **JSON))
    told = await read_stream(response)
    assert told.count(b"y") >= 450_000
    assert b"event: done" in told
    assert await held(app) == 0


@pytest.mark.parametrize("path", ["/v1/generate", "/v1/chat/completions", "/v1/batch"])
async def test_a_compressed_body_is_what_it_holds(path: str) -> None:
    upstream: list[Outgoing] = []

    def answer(outgoing: Outgoing) -> FakeReply:
        upstream.append(outgoing)
        return whole("Hi!")

    app, _ = make_app(answer, MAX_BODY_BYTES="1024")
    asked: dict[str, Any] = {"model": "openai/m", "messages": [{"role": "user", "content": "hi"}]}
    if path == "/v1/batch":
        asked = {"requests": [asked]}
    packed = gzip.compress(json.dumps(asked).encode())
    response = await send(app, request("POST", path, packed, content_encoding="gzip", **JSON))
    assert response.status == 200
    assert "content-encoding" not in upstream[0].headers
    for body, coding, status in (
        (gzip.compress(b" " * 1025), "gzip", 413),
        (packed[:-2], "gzip", 400),
        (packed, "zstd", 415),
        (packed, "br", 415),
    ):
        asked_so = request("POST", path, body, content_encoding=coding, **JSON)
        assert (await send(app, asked_so)).status == status
        assert await held(app) == 0


@pytest.fixture
def uncollected() -> Iterator[None]:
    """No garbage is collected: what is in a ring stays, as it does for long in a busy isolate."""
    gc.collect()
    gc.disable()
    yield
    gc.enable()


BODY = 200_000
FALLEN = FakeReply(b"{}", status=500)
PAIR = {"GROQ_API_KEY": "key-of-groq", "FALLBACK_CHAIN": "openai,groq"}
GEMINI = {"GEMINI_API_KEY": "key-of-gemini", "FALLBACK_CHAIN": "gemini"}
PICTURE = {"type": "image_url", "image_url": {"url": "https://pictures.example/1.png"}}
LOOK = [{"role": "user", "content": [{"type": "text", "text": "Look."}, PICTURE]}]


def pictured(*pieces: bytes | float, status: int = 200) -> Answerer:
    """An image in pieces, and a provider that fails."""
    image = FakeReply(*pieces, status=status, headers={"content-type": "image/png"})
    return lambda outgoing: image if "pictures" in outgoing.url else FALLEN


WAYS: dict[str, tuple[Answerer, dict[str, str], dict[str, Any]]] = {
    "whole": (lambda _: whole("Hi!"), {}, {}),
    "long answer": (lambda _: whole("y" * BODY), {"CACHE_TTL": "0"}, {}),
    "streamed": (lambda _: stream_of(ROLE, HELLO, STOP, DONE), {}, {"stream": True}),
    "stream broken": (
        lambda _: stream_of(ROLE, HELLO, Fault("network", "gone")),
        {},
        {"stream": True},
    ),
    "refused": (lambda _: FakeReply(b"{}", status=400), {}, {}),
    "unavailable": (lambda _: FALLEN, {}, {}),
    "unreadable": (lambda _: FakeReply(b"{"), {}, {}),
    "unreachable": (lambda _: Fault("network", "gone"), {}, {}),
    "fallen over": (by_host(openai=FALLEN, groq=whole("Hi!")), PAIR, {}),
    "hedged": (by_host(openai=0.3, groq=whole("Hi!")), PAIR | {"HEDGE_AFTER_MS": "100"}, {}),
    "hedged stream": (
        by_host(openai=0.3, groq=stream_of(ROLE, HELLO, STOP, DONE)),
        PAIR | {"HEDGE_AFTER_MS": "100"},
        {"stream": True},
    ),
    "timed out": (lambda _: 5.0, {}, {"headers": {"cf-aig-request-timeout": "100"}}),
    "coalesced": (lambda _: whole("Hi!"), {"CACHE_COALESCE": "on"}, {}),
    "coalesced failure": (lambda _: FALLEN, {"CACHE_COALESCE": "on"}, {}),
    "missed": (lambda _: FALLEN, {}, {"headers": {"cache-control": "only-if-cached"}}),
    "wrong": (lambda _: FALLEN, {}, {"temperature": 99}),
    "image, then failure": (
        pictured(bytes(BODY)),
        GEMINI,
        {"messages": LOOK, "model": "gemini/fast"},
    ),
    "image too slow": (
        pictured(bytes(BODY), 5.0),
        GEMINI,
        {
            "messages": LOOK,
            "model": "gemini/fast",
            "headers": {"cf-aig-request-timeout": "100"},
        },
    ),
    "image not there": (
        pictured(bytes(BODY), status=404),
        GEMINI,
        {"messages": LOOK, "model": "gemini/fast"},
    ),
}


async def kept_of(house: House, use: Callable[[int], Any]) -> float:
    """Bytes of the heap that each request leaves behind, the cache's and the doubles' aside."""
    tracemalloc.start()
    sizes = []
    for number in range(6):
        await use(number)
        await house.settle()
        for held in (house.upstream.sent, house.kv.held, house.r2.held, house.flights.held):
            held.clear()
        house.log.lines.clear()
        sizes.append(tracemalloc.get_traced_memory()[0])
    tracemalloc.stop()
    return (sizes[-1] - sizes[1]) / 4


@pytest.mark.parametrize("path", [NATIVE, OPENAI])
@pytest.mark.parametrize("way", WAYS)
@pytest.mark.usefixtures("uncollected")
async def test_nothing_of_a_request_outlives_it(way: str, path: str) -> None:
    answer, env, fields = WAYS[way]
    house = House(answer, **env)

    async def use(number: int) -> None:
        content = f"{number}" + "x" * BODY
        given: dict[str, Any] = {"messages": [{"role": "user", "content": content}], **fields}
        await house.receive(path, **given)

    assert await kept_of(house, use) < BODY / 4


@pytest.mark.parametrize("end", ["whole", "streamed", "caller gone"])
@pytest.mark.parametrize("answer", [whole("Hi!"), FALLEN], ids=["answered", "fallen"])
@pytest.mark.usefixtures("uncollected")
async def test_nothing_of_a_batch_outlives_it(answer: FakeReply, end: str) -> None:
    house = House(lambda _: answer)

    async def use(number: int) -> None:
        asked = [{"prompt": f"{number}.{n}" + "x" * BODY} for n in range(3)]
        body = {"requests": [*asked, {"prompt": "x" * BODY, "stream": 1}], "stream": end != "whole"}
        response = await send(
            house.app, structs.replace(request("POST", "/v1/batch", body), defer=house.defer)
        )
        if response.stream:
            await read_stream(response, 1 if end == "caller gone" else None)

    assert await kept_of(house, use) < BODY / 4
