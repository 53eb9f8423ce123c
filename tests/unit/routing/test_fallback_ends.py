"""What becomes of an attempt beside its answer: what it may cost, and the headers of its trace."""

import asyncio
from typing import ClassVar

import pytest

from proxy.core.chat import Routing
from proxy.core.embedding import EmbeddingRequest
from proxy.core.ports import Outgoing
from proxy.routing.operations import RunOptions
from tests.unit.doubles import (
    Answerer,
    FakeReply,
    in_no_time,
)
from tests.unit.routing.making import (
    by_host,
    call,
    error,
    slow,
    stream,
    whole,
)
from tests.unit.routing.making_blame import failing, isolate_of


class TestMoney:
    @pytest.mark.parametrize("timeout_ms", [None, 1000])
    def test_an_attempt_that_timed_out_may_cost(self, timeout_ms: int | None) -> None:
        @in_no_time
        async def check() -> None:
            isolate = isolate_of(by_host(openai=lambda _: 700.0))
            await failing(isolate, 1, fallback=False, timeout_ms=timeout_ms)
            assert isolate.permit.lost == 1

        check()

    @in_no_time
    async def test_one_that_was_called_off_may_cost(self) -> None:
        isolate = isolate_of(by_host(openai=lambda _: 700.0))
        running = asyncio.ensure_future(isolate.complete(fallback=False))
        await asyncio.sleep(1)
        running.cancel()
        with pytest.raises(asyncio.CancelledError):
            await running
        assert isolate.permit.lost == 1

    @pytest.mark.parametrize("status", [400, 401, 404, 408, 429, 500])
    def test_a_refusal_costs_nothing(self, status: int) -> None:
        @in_no_time
        async def check() -> None:
            isolate = isolate_of(by_host(openai=lambda _: error(status)))
            await failing(isolate, 1, fallback=False)
            assert isolate.permit.lost == 0

        check()

    @in_no_time
    async def test_a_loser_that_had_answered_is_counted(self) -> None:
        """Both have their result at the same moment; one is taken, the other was paid for."""
        both = by_host(openai=lambda _: slow(0.5, whole("o")), groq=lambda _: slow(0.3, whole("g")))
        isolate = isolate_of(both, HEDGE_AFTER_MS="200")
        await isolate.complete()
        assert isolate.permit.lost == 1


class TestTimedOut:
    @in_no_time
    async def test_a_provider_that_timed_out_is_not_asked_again(self) -> None:
        isolate = isolate_of(by_host(openai=lambda _: 700.0, groq=lambda _: whole("g")))
        models = {"models": ("openai/gpt-big", "groq/llama"), "fallback": ()}
        assert await isolate.complete(**models) == ["openai timeout", "groq ok"]


class TestTrace:
    """The headers of a trace go on to whoever answers."""

    PASSED: ClassVar = {
        "traceparent": "00-" + "a" * 32 + "-" + "b" * 16 + "-01",
        "tracestate": "x=1",
    }

    def answers(self, seen: list[Outgoing]) -> Answerer:
        def answer(request: Outgoing) -> FakeReply:
            seen.append(request)
            if request.url.endswith("/embeddings"):
                return FakeReply(b'{"data": [{"index": 0, "embedding": [0.5]}]}')
            streaming = b'"stream":true' in (request.body or b"")
            return stream(0.0)(request) if streaming else whole("o")

        return answer

    @in_no_time
    async def test_of_all_sorts_of_requests(self) -> None:
        seen: list[Outgoing] = []
        isolate = isolate_of(self.answers(seen))
        options = RunOptions(passed_on=self.PASSED)
        for streaming in (False, True):
            run = isolate.manager.stream if streaming else isolate.manager.complete
            await run(call(stream=streaming, fallback=False), isolate.permit, options)
        routing = Routing(model="embed-o", fallback=False)
        request = EmbeddingRequest(input=("hi",), routing=routing)
        await isolate.manager.embed(request, isolate.permit, options)
        assert len(seen) == 3
        for outgoing in seen:
            assert self.PASSED.items() <= outgoing.headers.items()
            assert outgoing.headers["authorization"] == "Bearer key-of-openai"
