"""Strategies and contexts, as a request meets them."""

import pytest
from msgspec import structs

from proxy.core.chat import Routing
from proxy.core.embedding import EmbeddingRequest
from proxy.core.errors import (
    InvalidRequest,
)
from proxy.core.ports import Outgoing
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
