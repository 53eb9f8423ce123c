"""Nothing of a request outlives it, whatever ends it."""

import gc
import tracemalloc
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from msgspec import structs

from proxy.core.errors import Fault
from tests.unit.callers import JSON, read_stream, request, send
from tests.unit.doubles import Answerer, FakeReply
from tests.unit.routing.making import DONE, HELLO, ROLE, STOP, whole
from tests.unit.serving.making import NATIVE, OPENAI, House, by_host, stream_of


@pytest.fixture
def uncollected() -> Iterator[None]:
    """No garbage is collected: what is in a ring stays, as it does for long in a busy isolate."""
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
        items = [{"prompt": f"{number}.{n}" + "x" * BODY} for n in range(3)]
        body = {"requests": [*items, {"prompt": "x" * BODY, "stream": 1}], "stream": end != "whole"}
        response = await send(
            house.app, structs.replace(request("POST", "/v1/batch", body), defer=house.defer)
        )
        if response.stream:
            await read_stream(response, 1 if end == "caller gone" else None)

    assert await kept_of(house, use) < BODY / 4


@pytest.mark.usefixtures("uncollected")
@pytest.mark.parametrize("stream", [False, True])
async def test_a_hit_leaves_nothing_of_its_request(stream: bool) -> None:
    """Instructions, which a Response repeats, and betas."""
    house = House(lambda _: whole("Hi!"), MISTRAL_API_KEY="key", RESPONSES_STORE="off")
    message = {"role": "user", "content": "Hi"}

    async def use(number: int) -> None:
        long = f"{number}" + "x" * BODY
        bodies: dict[str, dict[str, Any]] = {
            "/v1/responses": {"input": "Hi", "instructions": long},
            "/v1/messages": {"messages": [message], "max_tokens": 9},
        }
        for path, body in bodies.items():
            given = {"model": "mistral/m", "stream": stream, **body}
            for _ in range(3):
                answer = await house.fetch("POST", path, given, anthropic_beta=long, **JSON)
                assert answer.status == 200
                await house.settle()

    assert await kept_of(house, use) < BODY / 4


@pytest.mark.usefixtures("uncollected")
async def test_a_refused_body_leaves_nothing_behind() -> None:
    house = House(lambda _: whole("Hi!"))
    message = {"role": "user", "content": "x" * BODY}

    async def use(number: int) -> None:
        body = {"model": f"{number}", "messages": [message], "user": ["no text"]}
        for path in (OPENAI, "/v1/messages", "/v1/responses", "/v1/embeddings", "/v1/generate"):
            assert (await house.fetch("POST", path, body, **JSON)).status == 400

    assert await kept_of(house, use) < BODY / 4


@pytest.mark.usefixtures("uncollected")
@pytest.mark.parametrize("length", [4000, 100_000])
async def test_no_key_of_a_caller_is_remembered_in_its_spellings(length: int) -> None:
    house = House(lambda _: FakeReply(b'{"error": {"message": "no"}}', status=400))

    async def use(number: int) -> None:
        await house.receive(headers={"x-goog-api-key": f"{number}" + "k/" * length}, prompt="Hi")

    assert await kept_of(house, use) < length
