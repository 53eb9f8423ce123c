"""Retries, breakers, hedging and the order of candidates, as one request and as many meet them."""

import asyncio
from collections.abc import Callable
from typing import Any

import msgspec
import pytest
from msgspec import structs

from proxy.core.chat import EmbeddingRequest, Routing
from proxy.core.errors import (
    OK,
    InvalidRequest,
    NotFound,
    ProviderError,
    ProviderTimeout,
    RateLimitExceeded,
)
from proxy.core.ports import Outgoing, Ports
from proxy.core.settings import read_settings
from proxy.providers.catalog import Catalog
from proxy.routing.manager import Manager
from proxy.routing.retry import Retrying
from proxy.routing.selection import Selection
from proxy.routing.watch import BOARD, EXCHANGE, SYNC_SECONDS, Watch
from tests.unit.doubles import (
    Answerer,
    FakeReply,
    FakeUpstream,
    LoopClock,
    Unlimited,
    in_no_time,
    ports,
)
from tests.unit.memory_objects import MemoryObjects
from tests.unit.routing.conftest import CATALOG, ENV
from tests.unit.routing.test_manager import (
    DONE,
    EVENTS,
    HELLO,
    ROLE,
    STOP,
    call,
    error,
    whole,
)


class Isolate:
    """A manager with its watch. Several may stand on the same ports."""

    def __init__(self, catalog: Catalog, outside: Ports, **env: str) -> None:
        settings = read_settings(ENV | {"RETRY_ATTEMPTS": "2"} | env, catalog.providers).routing
        selection = Selection(catalog, settings, frozenset())
        self.watch = Watch(settings, outside.objects, outside.clock, outside.random, outside.log)
        self.manager = Manager(settings, selection, self.watch, outside)
        self.permit = Unlimited()

    async def ask(self, **routing: Any) -> list[str]:
        """Who was tried, and how it went."""
        _, done = await self.manager.complete(call(**routing), self.permit)
        return [f"{a.provider} {a.outcome}" for a in done.attempts]


def outside(answer: Answerer) -> Ports:
    return ports(answer, clock=LoopClock())


def sent(ports: Ports) -> list[str]:
    assert isinstance(ports.upstream, FakeUpstream)
    return [out.url.split("/")[2].removesuffix(".test") for out in ports.upstream.sent]


def by_host(**answers: Any) -> Answerer:
    def answer(request: Outgoing) -> Any:
        given = answers[request.url.split("/")[2].removesuffix(".test")]
        return given(request) if callable(given) else given

    return answer


def failing(times: int, then: FakeReply, fault: FakeReply) -> Callable[[Outgoing], FakeReply]:
    left = iter([fault] * times)
    return lambda _: next(left, then)


class TestRetries:
    @in_no_time
    async def test_the_same_provider_again(self) -> None:
        catalog = made_catalog()
        out = outside(by_host(openai=failing(1, whole("Hi!"), error(503))))
        isolate = Isolate(catalog, out)
        assert await isolate.ask() == ["openai unavailable", "openai ok"]
        assert len(isolate.permit.charged) == 2

    @pytest.mark.parametrize("status", [400, 401, 403, 404, 413])
    def test_not_after_what_will_not_change(self, status: int) -> None:
        @in_no_time
        async def check() -> None:
            out = outside(by_host(openai=error(status), groq=whole("Hi!")))
            try:
                await Isolate(made_catalog(), out).ask()
            except Exception:
                assert status == 400
            assert sent(out).count("openai") == 1

        check()

    @in_no_time
    async def test_retry_after_is_waited_for_where_there_is_nobody_else(self) -> None:
        fault = error(429, **{"retry-after": "5"})
        out = outside(by_host(openai=failing(1, whole("Hi!"), fault)))
        await Isolate(made_catalog(), out).ask(fallback=False)
        assert 5 <= asyncio.get_running_loop().time() < 6

    @in_no_time
    async def test_and_not_where_there_is(self) -> None:
        out = outside(by_host(openai=error(429, **{"retry-after": "5"}), groq=whole("Hi!")))
        assert await Isolate(made_catalog(), out).ask() == ["openai rate_limited", "groq ok"]
        assert asyncio.get_running_loop().time() < 1

    @in_no_time
    async def test_nor_beyond_the_deadline(self) -> None:
        out = outside(by_host(openai=error(429, **{"retry-after": "5"})))
        with pytest.raises(RateLimitExceeded) as caught:
            await Isolate(made_catalog(), out).ask(fallback=False, timeout_ms=4000)
        assert caught.value.retry_after == 5
        assert len(sent(out)) == 1

    @in_no_time
    async def test_an_outage_is_not_multiplied(self) -> None:
        out = outside(by_host(openai=lambda _: error(503), groq=lambda _: error(503)))
        isolate = Isolate(made_catalog(), out, RETRY_ATTEMPTS="5")
        # A model of its own each time, so that no breaker opens and only the budget bounds it.
        for number in range(100):
            with pytest.raises(ProviderError):
                await isolate.ask(model=f"openai/m{number}", fallback=False)
        assert 100 < len(sent(out)) <= 100 + 2 + 20

    @in_no_time
    async def test_a_request_may_want_more_or_none(self) -> None:
        out = outside(by_host(openai=lambda _: error(503)))
        manager = Isolate(made_catalog(), out).manager
        for attempts in (1, 3):
            with pytest.raises(ProviderError):
                wanted = Retrying(attempts, 0)
                await manager.complete(call(fallback=False), Unlimited(), retrying=wanted)
        assert len(sent(out)) == 1 + 3


def dripping(text: str, seconds: float) -> FakeReply:
    """A whole answer, a byte at a time over so many seconds. Its headers come at once."""
    body = whole(text).pieces[0]
    assert isinstance(body, bytes)
    pieces: list[bytes | float] = []
    for at in range(len(body)):
        pieces += [seconds / len(body), body[at : at + 1]]
    return FakeReply(*pieces)


class TestTime:
    """An answer that drips takes no other's turn."""

    @in_no_time
    async def test_the_next_is_asked_within_the_deadline(self) -> None:
        out = outside(by_host(openai=dripping("o", 60.0), groq=slow(1.0, whole("g"))))
        assert await Isolate(made_catalog(), out).ask(timeout_ms=4000) == [
            "openai timeout",
            "groq ok",
        ]
        assert asyncio.get_running_loop().time() == pytest.approx(3)  # 4 s less a half, and 1 s

    @in_no_time
    async def test_each_leaves_a_share_to_those_behind(self) -> None:
        times: list[float] = []

        def drips(_: Outgoing) -> FakeReply:
            times.append(asyncio.get_running_loop().time())
            return dripping("late", 60.0)

        out = outside(by_host(gemini=drips, openai=drips, groq=drips))
        with pytest.raises(ProviderTimeout):
            await Isolate(made_catalog(), out).ask(fallback=("gemini", "groq"), timeout_ms=6000)
        assert times == pytest.approx([0, 4, 5])
        assert asyncio.get_running_loop().time() == pytest.approx(6)

    @in_no_time
    async def test_with_nobody_behind_all_the_time_is_its(self) -> None:
        out = outside(by_host(openai=lambda _: dripping("o", 3.5), groq=lambda _: error(401)))
        isolate = Isolate(made_catalog(), out)
        assert await isolate.ask(timeout_ms=4000, fallback=False) == ["openai ok"]
        # Nor are those kept a share whose breaker is open, or another model of its own.
        await isolate.ask(model="groq/llama", fallback=("openai",))
        assert await isolate.ask(timeout_ms=4000) == ["openai ok"]
        more = {"models": ("openai/gpt-big",), "fallback": False, "timeout_ms": 4000}
        assert await isolate.ask(**more) == ["openai ok"]

    @in_no_time
    async def test_a_stream_that_never_gets_to_its_content(self) -> None:
        comments = FakeReply(*[1.0, b": processing\n\n"] * 60, headers=EVENTS)
        out = outside(by_host(openai=comments, groq=stream(0.5)))
        assert await streamed(Isolate(made_catalog(), out), timeout_ms=4000) == "groq"
        assert asyncio.get_running_loop().time() < 4


class TestBreakers:
    @in_no_time
    async def test_who_fails_is_left_alone_and_then_probed(self) -> None:
        healthy = False

        def openai(_: Outgoing) -> FakeReply:
            return whole("openai") if healthy else error(503)

        out = outside(by_host(openai=openai, groq=lambda _: whole("groq")))
        isolate = Isolate(made_catalog(), out, RETRY_ATTEMPTS="1")
        for _ in range(5):
            assert await isolate.ask() == ["openai unavailable", "groq ok"]
        assert await isolate.ask() == ["openai breaker_open", "groq ok"]
        await asyncio.sleep(13)
        assert await isolate.ask() == ["openai unavailable", "groq ok"]
        assert await isolate.ask() == ["openai breaker_open", "groq ok"]
        healthy = True
        await asyncio.sleep(25)
        assert await isolate.ask() == ["openai ok"]
        assert await isolate.ask() == ["openai ok"]

    @in_no_time
    async def test_a_key_that_is_refused_is_known_at_once(self) -> None:
        out = outside(by_host(openai=lambda _: error(401), groq=lambda _: whole("groq")))
        isolate = Isolate(made_catalog(), out)
        assert await isolate.ask() == ["openai unauthorized", "groq ok"]
        assert await isolate.ask(model="openai/gpt-big") == ["openai breaker_open", "groq ok"]
        assert isolate.watch.views()["openai"].reason == "misconfigured"

    @in_no_time
    async def test_a_typo_harms_nobody(self) -> None:
        out = outside(by_host(openai=lambda _: error(404)))
        isolate = Isolate(made_catalog(), out)
        for _ in range(2):
            with pytest.raises(NotFound):
                await isolate.ask(model="openai/gtp", fallback=False)
        assert isolate.watch.views()["openai/gtp"].phase == "closed"

    @in_no_time
    async def test_with_all_open_the_least_bad_is_tried(self) -> None:
        out = outside(by_host(openai=lambda _: error(401), groq=lambda _: error(401)))
        isolate = Isolate(made_catalog(), out)
        for _ in range(2):
            with pytest.raises(ProviderError):
                await isolate.ask()
        assert sent(out) == ["openai", "groq", "openai"]

    @in_no_time
    async def test_isolates_tell_one_another(self) -> None:
        out = outside(by_host(openai=lambda _: error(401), groq=lambda _: whole("groq")))
        catalog = made_catalog()
        one, other = Isolate(catalog, out), Isolate(catalog, out)
        await other.ask(model="groq/llama", fallback=False)
        await one.ask()
        await one.watch.sync()
        await other.watch.sync()
        assert await other.ask() == ["openai breaker_open", "groq ok"]
        # A new isolate starts from what all have seen.
        assert await Isolate(catalog, out).ask() == ["openai breaker_open", "groq ok"]
        await one.watch.reset(None)
        await other.watch.sync()
        assert other.watch.views()["openai"].phase == "closed"

    @in_no_time
    async def test_the_board_is_on_no_requests_path(self) -> None:
        out = outside(by_host(openai=lambda _: whole("Hi!")))
        isolate = Isolate(made_catalog(), out)
        assert isinstance(out.objects, MemoryObjects)
        for _ in range(20):
            await isolate.ask()
        assert out.objects.board.called(EXCHANGE) == [BOARD]
        out.objects.board.down = True
        await asyncio.sleep(SYNC_SECONDS)
        assert await isolate.ask() == ["openai ok"]


class TestHedging:
    @in_no_time
    async def test_the_faster_wins_and_the_other_is_called_off(self) -> None:
        out = outside(by_host(openai=30.0, groq=whole("groq")))
        isolate = Isolate(made_catalog(), out, HEDGE_AFTER_MS="200")
        assert await isolate.ask() == ["groq ok"]
        assert 0.2 <= asyncio.get_running_loop().time() < 0.5
        assert isolate.permit.lost == 1
        assert isolate.watch.views()["openai"].failures == 0

    @in_no_time
    async def test_the_first_may_still_win(self) -> None:
        out = outside(by_host(openai=slow(0.3, whole("openai")), groq=30.0))
        isolate = Isolate(made_catalog(), out, HEDGE_AFTER_MS="200")
        assert await isolate.ask() == ["openai ok"]
        assert isolate.permit.lost == 1

    @in_no_time
    async def test_a_quick_one_is_alone(self) -> None:
        out = outside(by_host(openai=whole("openai"), groq=whole("groq")))
        assert await Isolate(made_catalog(), out, HEDGE_AFTER_MS="200").ask() == ["openai ok"]
        assert sent(out) == ["openai"]

    @in_no_time
    async def test_both_may_fail(self) -> None:
        out = outside(by_host(openai=10.0, groq=error(500)))
        isolate = Isolate(made_catalog(), out, HEDGE_AFTER_MS="200", RETRY_ATTEMPTS="1")
        with pytest.raises(ProviderError):
            await isolate.ask()


class TestStrategies:
    @in_no_time
    async def test_the_cheapest(self) -> None:
        out = outside(by_host(openai=whole("o"), groq=whole("g"), gemini=error(500)))
        catalog = priced(openai=1.0, groq=0.1, gemini=5.0, openrouter=9.0)
        isolate = Isolate(catalog, out)
        assert await isolate.ask(model="auto", strategy="cheapest", fallback=True) == ["groq ok"]

    @in_no_time
    async def test_the_deployment_may_choose_and_say_why(self) -> None:
        out = outside(by_host(openai=whole("o"), groq=whole("g")))
        catalog = priced(openai=0.1, groq=1.0, gemini=5.0, openrouter=9.0)
        isolate = Isolate(catalog, out, ROUTING_STRATEGY="cheapest")
        _, done = await isolate.manager.complete(call(model="auto", fallback=True), isolate.permit)
        [first, *_] = done.explain()[0].scores
        assert (first.provider, done.explain()[0].strategy) == ("openai", "cheapest")
        assert first.score is not None

    @in_no_time
    async def test_the_configured_order_can_be_explained_too(self) -> None:
        out = outside(by_host(gemini=error(500), groq=whole("g")))
        isolate = Isolate(made_catalog(), out, RETRY_ATTEMPTS="1")
        _, done = await isolate.manager.complete(call(model="auto", fallback=True), Unlimited())
        scores = done.explain()[0].scores
        assert [scored.provider for scored in scores[:2]] == ["gemini", "groq"]
        assert done.explain()[0].strategy == "priority"

    @in_no_time
    async def test_the_fastest_is_measured(self) -> None:
        out = outside(by_host(openai=stream(0.9), groq=stream(0.1)))
        isolate = Isolate(made_catalog(), out)
        for provider in ("openai", "groq"):
            for _ in range(5):
                await streamed(isolate, model=f"{provider}/auto", fallback=False)
        routing = {"model": "auto", "strategy": "fastest", "fallback": True, "ignore": IGNORED}
        assert await streamed(isolate, **routing) == "groq"


class TestContext:
    """The prompt is estimated at 10 tokens."""

    def isolate(self, **contexts: int) -> Isolate:
        catalog = made_catalog()
        for key, model in catalog.models.items():
            context = contexts.get(model.provider)
            catalog.models[key] = structs.replace(model, context=context)
        return Isolate(catalog, outside(by_host(openai=self.openai, groq=whole("g"))))

    def openai(self, request: Outgoing) -> FakeReply:
        vectors = b'{"data": [{"index": 0, "embedding": [0.5]}]}'
        return FakeReply(vectors) if request.url.endswith("/embeddings") else whole("o")

    @in_no_time
    async def test_who_has_room_is_asked(self) -> None:
        assert await self.isolate(openai=9, groq=10).ask() == ["groq ok"]
        assert await self.isolate(openai=9).ask() == ["groq ok"]

    @in_no_time
    async def test_a_wrong_estimate_refuses_nobody(self) -> None:
        assert await self.isolate(openai=5, groq=4).ask() == ["openai ok"]

    @in_no_time
    async def test_what_cannot_fit_is_told_of_each(self) -> None:
        isolate = self.isolate(openai=4, groq=3)
        with pytest.raises(InvalidRequest) as caught:
            await isolate.ask(ignore=("gemini",))
        assert caught.value.message == (
            "The prompt is too long, at about 10 tokens (openai: gpt has a context of 4 tokens;"
            " groq: llama has a context of 3 tokens)."
        )
        assert caught.value.code == "context_length_exceeded"

    @in_no_time
    async def test_with_those_that_something_else_excludes(self) -> None:
        isolate = self.isolate(groq=3)
        with pytest.raises(InvalidRequest, match=r"llama has .* 3 tokens; gemini: ruled out"):
            await isolate.ask(model="auto", fallback=True, only=("groq", "gemini"), ignore=IGNORED)

    @in_no_time
    async def test_texts_to_embed_have_a_context_each(self) -> None:
        isolate = self.isolate(openai=1)
        ask = EmbeddingRequest(input=("hi",), routing=Routing(model="embed-o", fallback=False))
        embedded, _ = await isolate.manager.embed(ask, isolate.permit)
        assert embedded.vectors


IGNORED = ("gemini", "openrouter")


def slow(seconds: float, reply: FakeReply) -> FakeReply:
    return FakeReply(seconds, *reply.pieces)


def stream(seconds: float) -> Callable[[Outgoing], FakeReply]:
    return lambda _: FakeReply(seconds, ROLE, HELLO, STOP, DONE, headers=EVENTS)


async def streamed(isolate: Isolate, **routing: Any) -> str:
    stream, done = await isolate.manager.stream(call(stream=True, **routing), isolate.permit)
    async for _ in stream.chunks():
        pass
    done.call.end(OK)
    return done.target.spec.name


def made_catalog() -> Catalog:
    return Catalog(msgspec.json.encode(CATALOG))


def priced(**prices: float) -> Catalog:
    """The catalogue with each provider's models at one price."""
    catalog = made_catalog()
    for key, model in list(catalog.models.items()):
        price = prices.get(model.provider)
        catalog.models[key] = structs.replace(model, input=price, output=price)
    return catalog
