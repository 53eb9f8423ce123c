"""Attempts and fallback: who is tried, for how long, and what the caller hears in the end."""

import asyncio
import json
from collections.abc import Callable
from typing import Any

import pytest

from proxy.core.chat import Call, ChatRequest, Chunk, EmbeddingRequest, Routing, Usage
from proxy.core.errors import (
    BudgetExceeded,
    Fault,
    InvalidRequest,
    NoProviderAvailable,
    NotFound,
    PayloadTooLarge,
    ProviderError,
    ProviderTimeout,
    ProxyError,
    RateLimitExceeded,
)
from proxy.core.messages import ImageURL, Message, Part
from proxy.core.permit import Refusal
from proxy.core.ports import Outgoing, Ports
from proxy.core.settings import RoutingSettings, read_settings
from proxy.providers.catalog import Catalog
from proxy.routing.manager import Manager
from proxy.routing.selection import Selection
from proxy.routing.stream import Stream
from proxy.routing.watch import Watch
from tests.unit.doubles import Answerer, FakeReply, ManualClock, Unlimited, ports
from tests.unit.routing.conftest import ENV

EVENTS = {"content-type": "text/event-stream"}


def whole(text: str, model: str = "m") -> FakeReply:
    message = {"role": "assistant", "content": text}
    body = {
        "id": "1",
        "model": model,
        "choices": [{"index": 0, "message": message, "finish_reason": "stop"}],
        "usage": {"prompt_tokens": 1, "completion_tokens": 2, "total_tokens": 3},
    }
    return FakeReply(json.dumps(body).encode())


def error(status: int, message: str = "told", **headers: str) -> FakeReply:
    body = {"error": {"message": message, "type": "x", "code": None}}
    return FakeReply(json.dumps(body).encode(), status=status, headers=headers)


def event(delta: dict[str, Any], finish: str | None = None) -> bytes:
    choice = {"index": 0, "delta": delta, "finish_reason": finish}
    return b"data: " + json.dumps({"id": "1", "model": "m", "choices": [choice]}).encode() + b"\n\n"


ROLE = event({"role": "assistant", "content": ""})
HELLO = event({"content": "Hello"})
STOP = event({}, "stop")
DONE = b"data: [DONE]\n\n"


def call(stream: bool = False, **routing: Any) -> Call:
    routing = {"model": "openai/gpt", "fallback": ("groq",)} | routing
    chat = ChatRequest(messages=(Message("user", "hi"),), stream=stream)
    return Call(chat=chat, routing=Routing(**routing))


Build = Callable[..., Manager]


def manager_of(settings: RoutingSettings, selection: Selection, outside: Ports) -> Manager:
    watch = Watch(settings, outside.objects, outside.clock, outside.random, outside.log)
    return Manager(settings, selection, watch, outside)


@pytest.fixture
def build(catalog: Catalog, settings: RoutingSettings) -> Build:
    def manager(answer: Answerer, **env: str) -> Manager:
        changed = read_settings(ENV | env, catalog.providers).routing if env else settings
        selection = Selection(catalog, changed, frozenset())
        return manager_of(changed, selection, ports(answer))

    return manager


def by_host(**answers: FakeReply | Fault | float) -> Answerer:
    def answer(request: Outgoing) -> FakeReply | Fault | float:
        return answers[request.url.split("/")[2].removesuffix(".test")]

    return answer


async def test_the_first_that_answers(build: Build) -> None:
    answer, done = await build(by_host(openai=whole("Hi!", "gpt-2026"))).complete(
        call(), Unlimited()
    )
    assert (answer.text, answer.model) == ("Hi!", "gpt-2026")
    assert done.target.model.id == "gpt"
    assert [(a.provider, a.model, a.outcome) for a in done.attempts] == [("openai", "gpt", "ok")]


@pytest.mark.parametrize(
    ("first", "outcome"),
    [
        (error(401), "unauthorized"),
        (error(403), "unauthorized"),
        (error(404), "not_found"),
        (error(408), "timeout"),
        (error(413), "too_large"),
        (error(429), "rate_limited"),
        (error(500), "unavailable"),
        (error(529), "unavailable"),
        (FakeReply(b""), "garbage"),
        (FakeReply(b"<html>"), "garbage"),
        (Fault("network", "no connection"), "network"),
        (FakeReply(b'{"cho', Fault("network", "broke")), "network"),
        (FakeReply(Fault("network", "broke"), status=500), "unavailable"),
        (error(400, "This model does not support image input."), "bad_request"),
    ],
)
async def test_the_next_takes_over(build: Build, first: FakeReply | Fault, outcome: str) -> None:
    answer, done = await build(by_host(openai=first, groq=whole("Hi!"))).complete(
        call(), Unlimited()
    )
    assert answer.text == "Hi!"
    assert [a.outcome for a in done.attempts] == [outcome, "ok"]


@pytest.mark.parametrize("status", [400, 422])
async def test_a_refused_request_goes_no_further(build: Build, status: int) -> None:
    with pytest.raises(InvalidRequest, match="told") as caught:
        await build(by_host(openai=error(status))).complete(call(), Unlimited())
    assert (caught.value.status, caught.value.source) == (status, "provider")
    assert len(caught.value.attempts) == 1


@pytest.mark.parametrize(
    ("last", "raised", "status"),
    [
        (error(404), NotFound, 404),
        (error(413), PayloadTooLarge, 413),
        (error(429, **{"retry-after": "9"}), RateLimitExceeded, 429),
        (error(401), ProviderError, 502),
        (error(503), ProviderError, 502),
        (error(408), ProviderTimeout, 504),
        (Fault("network", "gone"), ProviderError, 502),
        (FakeReply(b"{}"), ProviderError, 502),
    ],
)
async def test_the_last_word(
    build: Build, last: FakeReply | Fault, raised: type[ProxyError], status: int
) -> None:
    with pytest.raises(raised) as caught:
        await build(by_host(openai=error(500), groq=last)).complete(call(), Unlimited())
    assert caught.value.status == status
    assert [a.provider for a in caught.value.attempts] == ["openai", "groq"]
    if status == 429:
        assert caught.value.retry_after == 9


async def test_silence_is_cut_and_time_is_left_for_the_next(build: Build) -> None:
    manager = build(by_host(openai=10.0, groq=whole("Hi!")))
    answer, done = await asyncio.wait_for(manager.complete(call(timeout_ms=400), Unlimited()), 2)
    assert answer.text == "Hi!"
    assert done.attempts[0].outcome == "timeout"


async def test_all_silent_is_a_timeout(build: Build) -> None:
    with pytest.raises(ProviderTimeout, match=r"tried openai \(timeout\), groq \(timeout\)"):
        await build(by_host(openai=10.0, groq=10.0)).complete(call(timeout_ms=100), Unlimited())


async def test_a_body_may_take_the_time_that_is_left(build: Build) -> None:
    slow = FakeReply(b'{"choices": [{"message": ', 0.3, b'{"content": "Hi"}}]}')
    alone = call(timeout_ms=500, fallback=False)
    answer, _ = await build(by_host(openai=slow)).complete(alone, Unlimited())
    assert answer.text == "Hi"


async def test_no_time_left_ends_the_attempts(catalog: Catalog, settings: RoutingSettings) -> None:
    clock = ManualClock()

    def answer(_: Outgoing) -> FakeReply:
        clock.time += 1
        return error(500)

    selection = Selection(catalog, settings, frozenset())
    manager = manager_of(settings, selection, ports(answer, clock=clock))
    with pytest.raises(ProviderError) as caught:
        await manager.complete(call(timeout_ms=900), Unlimited())
    assert len(caught.value.attempts) == 1


async def test_images_are_fetched_for_those_who_cannot(build: Build) -> None:
    sent: list[Outgoing] = []

    def answer(request: Outgoing) -> FakeReply:
        sent.append(request)
        if request.method == "GET":
            return FakeReply(b"png", headers={"content-type": "image/png"})
        parts = [{"text": "A cat."}]
        candidate = {"content": {"parts": parts}, "finishReason": "STOP"}
        return FakeReply(json.dumps({"candidates": [candidate]}).encode())

    image = Part("image_url", image_url=ImageURL("https://pictures.test/cat.png"))
    chat = ChatRequest(messages=(Message("user", (Part("text", "What?"), image)),))
    routing = Routing(model="gemini/flash", fallback=False)
    result, _ = await build(answer).complete(Call(chat=chat, routing=routing), Unlimited())
    assert result.text == "A cat."
    assert b'"cG5n"' in (sent[1].body or b"")
    openai = Routing(model="openai/gpt", fallback=False)
    sent.clear()
    with pytest.raises(ProxyError):
        await build(answer).complete(Call(chat=chat, routing=openai), Unlimited())
    assert b"https://pictures.test/cat.png" in (sent[0].body or b"")


async def read_all(stream: Stream) -> list[Chunk]:
    return [chunk async for chunks in stream.chunks() for chunk in chunks]


async def test_a_stream_is_held_back_to_its_first_content(build: Build) -> None:
    reply = FakeReply(ROLE, HELLO, STOP, DONE, headers=EVENTS)
    stream, done = await build(by_host(openai=reply)).stream(call(stream=True), Unlimited())
    chunks = await read_all(stream)
    assert "".join(chunk.text for chunk in chunks) == "Hello"
    assert chunks[-1].finish_reason == "stop" or chunks[-2].finish_reason == "stop"
    assert done.attempts[-1].outcome == "ok"
    stream.abort()
    assert reply.aborted


@pytest.mark.parametrize(
    "pieces",
    [
        (),
        (ROLE,),
        (ROLE, DONE),
        (ROLE, Fault("network", "broke")),
        (ROLE, b'data: {"error": {"message": "overloaded"}}\n\n'),
        (ROLE, b"data: {broken\n\n"),
        (b"<html>no</html>",),
        (ROLE, 5.0, HELLO),
    ],
    ids=["empty", "role only", "no finish", "break", "error", "bad JSON", "page", "silence"],
)
async def test_a_stream_falls_over_before_content(build: Build, pieces: Any) -> None:
    first = FakeReply(*pieces, headers=EVENTS)
    second = FakeReply(HELLO, STOP, DONE, headers=EVENTS)
    manager = build(by_host(openai=first, groq=second), REQUEST_TIMEOUT_MS="300")
    stream, done = await manager.stream(call(stream=True), Unlimited())
    assert "".join(chunk.text for chunk in await read_all(stream)) == "Hello"
    assert [a.provider for a in done.attempts] == ["openai", "groq"]
    assert first.aborted


async def test_an_empty_but_finished_answer_is_an_answer(build: Build) -> None:
    reply = FakeReply(ROLE, STOP, DONE, headers=EVENTS)
    stream, done = await build(by_host(openai=reply)).stream(call(stream=True), Unlimited())
    assert [c.finish_reason for c in await read_all(stream) if c.finish_reason] == ["stop"]
    assert len(done.attempts) == 1


@pytest.mark.parametrize(
    ("pieces", "kind"),
    [
        ((Fault("network", "broke"),), "network"),
        ((Fault("timeout", "silent"),), "timeout"),
        ((DONE,), "network"),
        ((), "network"),
        ((b'data: {"error": {"message": "overloaded"}}\n\n',), "unavailable"),
    ],
)
async def test_after_content_a_fault_is_told(build: Build, pieces: Any, kind: str) -> None:
    reply = FakeReply(HELLO, *pieces, headers=EVENTS)
    stream, _ = await build(by_host(openai=reply)).stream(call(stream=True), Unlimited())
    seen = []
    with pytest.raises(Fault) as caught:
        async for chunks in stream.chunks():
            seen += chunks
    assert caught.value.kind == kind
    assert "".join(chunk.text for chunk in seen) == "Hello"


async def test_a_streaming_provider_has_its_own_first_byte_limit(build: Build) -> None:
    second = FakeReply(HELLO, STOP, DONE, headers=EVENTS)
    manager = build(by_host(openai=10.0, groq=second), FIRST_BYTE_TIMEOUT_MS="50")
    stream, done = await asyncio.wait_for(manager.stream(call(stream=True), Unlimited()), 2)
    assert done.attempts[0].outcome == "timeout"
    stream.abort()


async def test_embeddings(build: Build) -> None:
    data = [{"index": 0, "embedding": [0.5, 1.0]}]
    reply = FakeReply(json.dumps({"data": data, "usage": {"prompt_tokens": 2}}).encode())
    ask = EmbeddingRequest(input=("hi",), routing=Routing(model="embed-o"))
    vectors, done = await build(by_host(openai=error(500), openrouter=reply)).embed(
        ask, Unlimited()
    )
    assert vectors.vectors == ((0.5, 1.0),)
    assert [a.provider for a in done.attempts] == ["openai", "openrouter"]


async def test_more_texts_than_a_provider_embeds_at_once_are_sent_in_parts(build: Build) -> None:
    def embed(outgoing: Outgoing) -> FakeReply:
        texts = json.loads(outgoing.body or b"")["input"]
        data = [{"index": n, "embedding": [float(text)]} for n, text in enumerate(texts)]
        return FakeReply(json.dumps({"data": data, "usage": {"prompt_tokens": 2}}).encode())

    sent: list[int] = []

    def answer(outgoing: Outgoing) -> FakeReply:
        sent.append(len(json.loads(outgoing.body or b"")["input"]))
        return embed(outgoing)

    texts = tuple(map(str, range(7)))
    ask = EmbeddingRequest(input=texts, routing=Routing(model="openrouter/embed-o"))
    vectors, done = await build(answer).embed(ask, Unlimited())
    assert sent == [3, 3, 1]
    assert vectors.vectors == tuple((float(text),) for text in texts)
    assert vectors.usage == Usage(input=6)
    assert len(done.attempts) == 1


DEEP = b"[" * 5000 + b"]" * 5000


@pytest.mark.parametrize("first", [FakeReply(DEEP), FakeReply(DEEP, status=500)])
async def test_json_too_deep_is_never_decoded(build: Build, first: FakeReply) -> None:
    answer, done = await build(by_host(openai=first, groq=whole("Hi!"))).complete(
        call(), Unlimited()
    )
    assert answer.text == "Hi!"
    assert done.attempts[0].outcome in ("garbage", "unavailable")


async def test_an_event_too_deep_is_never_decoded(build: Build) -> None:
    first = FakeReply(b"data: " + DEEP + b"\n\n", headers=EVENTS)
    second = FakeReply(HELLO, STOP, DONE, headers=EVENTS)
    _, done = await build(by_host(openai=first, groq=second)).stream(call(stream=True), Unlimited())
    assert done.attempts[0].outcome == "garbage"


def no(limit: str, retry_after: float | None) -> Refusal:
    return Refusal(limit=limit, message=f"No more of {limit}.", retry_after=retry_after)


async def test_a_provider_whose_bucket_is_empty_is_passed_over(build: Build) -> None:
    permit = Unlimited(no("provider:openai", 30))
    answer, done = await build(by_host(groq=whole("Hi!"))).complete(call(), permit)
    assert answer.text == "Hi!"
    assert [a.outcome for a in done.attempts] == ["limited", "ok"]
    assert permit.observed == [("groq", done.target.model.id, None)]


async def test_when_every_bucket_is_empty_the_first_to_refill_is_told(build: Build) -> None:
    permit = Unlimited(no("provider:openai", 30), no("provider:groq", 7))
    with pytest.raises(RateLimitExceeded) as caught:
        await build(by_host()).complete(call(), permit)
    assert (caught.value.retry_after, caught.value.limit) == (7, "provider:groq")
    assert [attempt.outcome for attempt in caught.value.attempts] == ["limited", "limited"]


async def test_a_failure_beside_an_empty_bucket_is_what_counts(build: Build) -> None:
    permit = Unlimited(no("provider:openai", 30))
    with pytest.raises(ProviderError):
        await build(by_host(groq=error(500))).complete(call(), permit)


@pytest.mark.parametrize(
    ("limit", "kind", "status"),
    [("budget_day", BudgetExceeded, 402), ("limiter", NoProviderAvailable, 503)],
)
async def test_what_a_refusal_becomes(
    build: Build, limit: str, kind: type[ProxyError], status: int
) -> None:
    permit = Unlimited(no(limit, None), no(limit, None))
    with pytest.raises(kind) as caught:
        await build(by_host()).complete(call(), permit)
    assert caught.value.status == status
