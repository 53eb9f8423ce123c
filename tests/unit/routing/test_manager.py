"""Attempts and fallback: which candidates are tried, for how long, and what the caller gets."""

import asyncio
import json

import pytest

from proxy.core.chat import Call, ChatRequest, Routing
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
from proxy.core.ports import Outgoing
from proxy.core.settings import RoutingSettings
from proxy.providers.catalog import Catalog
from proxy.routing.selection import Selection
from tests.unit.doubles import FakeReply, ManualClock, Unlimited, ports
from tests.unit.routing.making import (
    DEEP,
    Build,
    by_host,
    call,
    error,
    manager_of,
    whole,
)


async def test_the_first_that_answers(build: Build) -> None:
    answer, success = await build(by_host(openai=whole("Hi!", "gpt-2026"))).complete(
        call(), Unlimited()
    )
    assert (answer.text, answer.model) == ("Hi!", "gpt-2026")
    assert success.target.model.id == "gpt"
    assert [(a.provider, a.model, a.outcome) for a in success.attempts] == [("openai", "gpt", "ok")]


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
    answer, success = await build(by_host(openai=first, groq=whole("Hi!"))).complete(
        call(), Unlimited()
    )
    assert answer.text == "Hi!"
    assert [a.outcome for a in success.attempts] == [outcome, "ok"]


@pytest.mark.parametrize("status", [400, 422])
async def test_a_refused_request_goes_no_further(build: Build, status: int) -> None:
    with pytest.raises(InvalidRequest, match="refused") as caught:
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
    answer, success = await asyncio.wait_for(manager.complete(call(timeout_ms=400), Unlimited()), 2)
    assert answer.text == "Hi!"
    assert success.attempts[0].outcome == "timeout"


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


@pytest.mark.parametrize("first", [FakeReply(DEEP), FakeReply(DEEP, status=500)])
async def test_json_too_deep_is_never_decoded(build: Build, first: FakeReply) -> None:
    answer, success = await build(by_host(openai=first, groq=whole("Hi!"))).complete(
        call(), Unlimited()
    )
    assert answer.text == "Hi!"
    assert success.attempts[0].outcome in ("garbage", "unavailable")


def no(limit: str, retry_after: float | None) -> Refusal:
    return Refusal(limit=limit, message=f"No more of {limit}.", retry_after=retry_after)


async def test_a_provider_whose_bucket_is_empty_is_passed_over(build: Build) -> None:
    permit = Unlimited(no("provider:openai", 30))
    answer, success = await build(by_host(groq=whole("Hi!"))).complete(call(), permit)
    assert answer.text == "Hi!"
    assert [a.outcome for a in success.attempts] == ["limited", "ok"]
    assert permit.observed == [("groq", success.target.model.id, None)]


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
