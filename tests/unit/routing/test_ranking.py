"""Strategies and contexts, as a request meets them."""

import asyncio
from typing import Any

import pytest
from msgspec import structs

from proxy.core.chat import Routing, Usage
from proxy.core.embedding import EmbeddingRequest
from proxy.core.errors import (
    InvalidRequest,
)
from proxy.core.ports import Outgoing
from proxy.providers.catalog import Catalog
from proxy.routing.measures import AttemptSample, Picture
from tests.unit.doubles import (
    FakeReply,
    Unlimited,
    in_no_time,
)
from tests.unit.routing.making import (
    IGNORED,
    Isolate,
    by_host,
    call,
    error,
    made_catalog,
    outside,
    priced,
    stream,
    streamed,
    whole,
)


class TestStrategies:
    @in_no_time
    async def test_the_cheapest(self) -> None:
        out = outside(by_host(openai=whole("o"), groq=whole("g"), gemini=error(500)))
        catalog = priced(openai=1.0, groq=0.1, gemini=5.0, openrouter=9.0)
        isolate = Isolate(catalog, out)
        assert await isolate.complete(model="auto", strategy="cheapest", fallback=True) == [
            "groq ok"
        ]

    @in_no_time
    async def test_the_deployment_may_choose_and_say_why(self) -> None:
        out = outside(by_host(openai=whole("o"), groq=whole("g")))
        catalog = priced(openai=0.1, groq=1.0, gemini=5.0, openrouter=9.0)
        isolate = Isolate(catalog, out, ROUTING_STRATEGY="cheapest")
        _, success = await isolate.manager.complete(
            call(model="auto", fallback=True), isolate.permit
        )
        [first, *_] = success.explain()[0].scores
        assert (first.provider, success.explain()[0].strategy) == ("openai", "cheapest")
        assert first.score is not None

    @in_no_time
    async def test_the_configured_order_can_be_explained_too(self) -> None:
        out = outside(by_host(gemini=error(500), groq=whole("g")))
        isolate = Isolate(made_catalog(), out, RETRY_ATTEMPTS="1")
        _, success = await isolate.manager.complete(call(model="auto", fallback=True), Unlimited())
        scores = success.explain()[0].scores
        assert [scored.provider for scored in scores[:2]] == ["gemini", "groq"]
        assert success.explain()[0].strategy == "priority"

    @in_no_time
    async def test_the_fastest_is_measured(self) -> None:
        out = outside(by_host(openai=stream(0.9), groq=stream(0.1)))
        isolate = Isolate(made_catalog(), out)
        for provider in ("openai", "groq"):
            for _ in range(5):
                await streamed(isolate, model=f"{provider}/auto", fallback=False)
        routing = {"model": "auto", "strategy": "fastest", "fallback": True, "ignore": IGNORED}
        assert await streamed(isolate, **routing) == "groq"


class TestKeptStandings:
    """Candidates are compared anew for what changes their order, and for nothing else."""

    def isolate(self, strategy: str, catalog: Catalog | None = None) -> Isolate:
        out = outside(by_host(openai=whole("o"), groq=whole("g")))
        return Isolate(
            catalog or made_catalog(), out, ROUTING_STRATEGY=strategy, SESSION_AFFINITY="off"
        )

    def see(self, isolate: Isolate, provider: str, times: int, **sample: Any) -> None:
        models = {"openai": "gpt", "groq": "llama"}
        made = AttemptSample(provider=provider, model=models[provider], **({"ok": True} | sample))
        for _ in range(times):
            isolate.watch.measures.add(made, isolate.watch.now)

    async def first(self, isolate: Isolate, tokens: int = 10) -> str:
        isolate.permit.usage = Usage(input=tokens, output=5)
        attempts = await isolate.complete(model="auto", fallback=True, ignore=IGNORED)
        return attempts[0].split()[0]

    @in_no_time
    async def test_who_becomes_slow_is_noticed_with_the_next_request(self) -> None:
        isolate = self.isolate("fastest")
        self.see(isolate, "groq", 100, first_ms=100)
        self.see(isolate, "openai", 100, first_ms=150)
        assert [await self.first(isolate) for _ in range(2)] == ["groq", "groq"]
        self.see(isolate, "groq", 1, first_ms=60_000)
        assert await self.first(isolate) == "openai"

    @in_no_time
    async def test_who_becomes_slow_by_and_by_is_noticed_too(self) -> None:
        isolate = self.isolate("fastest")
        self.see(isolate, "groq", 10_000, first_ms=100)
        self.see(isolate, "openai", 100, first_ms=150)
        assert await self.first(isolate) == "groq"
        for _ in range(20):
            self.see(isolate, "groq", 1_000, first_ms=300)
        assert await self.first(isolate) == "openai"

    @in_no_time
    async def test_who_fails_is_noticed_with_the_next_request(self) -> None:
        isolate = self.isolate("reliable")
        self.see(isolate, "openai", 20)
        self.see(isolate, "groq", 18)
        self.see(isolate, "groq", 1, ok=False)
        assert await self.first(isolate) == "openai"
        self.see(isolate, "openai", 2, ok=False)
        assert await self.first(isolate) == "groq"

    @in_no_time
    async def test_what_other_isolates_have_seen_counts_at_once(self) -> None:
        isolate, other = self.isolate("fastest"), self.isolate("fastest")
        self.see(isolate, "groq", 5, first_ms=100)
        self.see(isolate, "openai", 5, first_ms=150)
        assert await self.first(isolate) == "groq"
        self.see(other, "groq", 50, first_ms=500)
        self.see(other, "openai", 50, first_ms=150)
        picture = Picture()
        now = isolate.watch.now
        isolate.watch.measures.adopt(picture.report(other.watch.measures.take_batch(), now))
        assert await self.first(isolate) == "openai"

    @in_no_time
    async def test_an_outage_fades_with_the_time(self) -> None:
        isolate = self.isolate("reliable")
        self.see(isolate, "groq", 3, ok=False)
        self.see(isolate, "openai", 1_000)
        assert [await self.first(isolate) for _ in range(3)] == ["openai"] * 3
        await asyncio.sleep(12 * 3600)
        assert await self.first(isolate) == "groq"

    @in_no_time
    async def test_long_prompts_and_short_ones_have_a_cheapest_of_their_own(self) -> None:
        catalog = made_catalog()
        for key, model in list(catalog.models.items()):
            input, output = (1, 9) if model.provider == "openai" else (2, 1)
            catalog.models[key] = structs.replace(model, input=input, output=output)
        isolate = self.isolate("cheapest", catalog)
        sizes = [10, 1_000, 10, 36, 44, 1_000_000]
        firsts = [await self.first(isolate, tokens) for tokens in sizes]
        assert firsts == ["groq", "openai", "groq", "groq", "openai", "openai"]

    @in_no_time
    async def test_costs_are_explained_where_they_do_not_decide(self) -> None:
        isolate = self.isolate("fastest", priced(openai=1.0, groq=2.0))
        for tokens in (995, 1_095):
            isolate.permit.usage = Usage(input=tokens, output=5)
            asked = call(model="auto", fallback=True, ignore=IGNORED)
            _, success = await isolate.manager.complete(asked, isolate.permit)
            costs = {s.provider: s.parts["cost_usd"] for s in success.explain()[0].scores}
            dollars = (tokens + 5) / 1_000_000
            assert costs == pytest.approx({"openai": dollars, "groq": 2 * dollars})


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
        assert await self.isolate(openai=9, groq=10).complete() == ["groq ok"]
        assert await self.isolate(openai=9).complete() == ["groq ok"]

    @in_no_time
    async def test_a_wrong_estimate_refuses_nobody(self) -> None:
        assert await self.isolate(openai=5, groq=4).complete() == ["openai ok"]

    @in_no_time
    async def test_what_cannot_fit_is_told_of_each(self) -> None:
        isolate = self.isolate(openai=4, groq=3)
        with pytest.raises(InvalidRequest) as caught:
            await isolate.complete(ignore=("gemini",))
        assert caught.value.message == (
            "The prompt is too long, at about 10 tokens (openai: gpt has a context of 4 tokens;"
            " groq: llama has a context of 3 tokens)."
        )
        assert caught.value.code == "context_length_exceeded"

    @in_no_time
    async def test_with_those_that_something_else_excludes(self) -> None:
        isolate = self.isolate(groq=3)
        with pytest.raises(InvalidRequest, match=r"llama has .* 3 tokens; gemini: ruled out"):
            await isolate.complete(
                model="auto", fallback=True, only=("groq", "gemini"), ignore=IGNORED
            )

    @in_no_time
    async def test_texts_to_embed_have_a_context_each(self) -> None:
        isolate = self.isolate(openai=1)
        request = EmbeddingRequest(input=("hi",), routing=Routing(model="embed-o", fallback=False))
        embedded, _ = await isolate.manager.embed(request, isolate.permit)
        assert embedded.vectors
