"""Who caused an attempt's end: what a caller does takes no provider from others."""

import asyncio
import json

import pytest

from proxy.core.chat import Routing
from proxy.core.embedding import EmbeddingRequest
from proxy.core.ports import Outgoing
from tests.unit.doubles import (
    FakeReply,
    in_no_time,
)
from tests.unit.routing.making import (
    DONE,
    EVENTS,
    HELLO,
    IGNORED,
    ROLE,
    STOP,
    by_host,
    error,
    made_catalog,
    slow,
    stream,
    streamed,
    whole,
)
from tests.unit.routing.making_blame import (
    failing,
    failing_streams,
    isolate_of,
    open_breakers,
    outcomes,
)


class TestSlow:
    @in_no_time
    async def test_a_whole_answer_may_take_long(self) -> None:
        isolate = isolate_of(
            by_host(openai=lambda _: slow(8.0, whole("o"))), BREAKER_SLOW_MS="5000"
        )
        for _ in range(6):
            await isolate.complete(fallback=False)
        assert open_breakers(isolate.watch) == set()

    @in_no_time
    async def test_a_stream_has_to_begin(self) -> None:
        isolate = isolate_of(by_host(openai=stream(8.0)), BREAKER_SLOW_MS="5000")
        for _ in range(5):
            await streamed(isolate, fallback=False)
        assert open_breakers(isolate.watch) == {"openai/gpt"}
        assert isolate.watch.views()["openai/gpt"].reason == "slow"

    @in_no_time
    async def test_only_a_streams_first_content_is_measured_as_such(self) -> None:
        isolate = isolate_of(by_host(openai=lambda r: self.openai(r)))
        target = isolate.selection.deployment.make_target(made_catalog().models["openai", "gpt"])
        await isolate.complete(fallback=False)
        await isolate.manager.embed(
            EmbeddingRequest(input=("hi",), routing=Routing(model="embed-o", fallback=False)),
            isolate.permit,
        )
        measured = isolate.watch.measure(target)
        assert (measured.first_ms, measured.total_ms) == (None, 8000)
        await streamed(isolate, fallback=False)
        assert isolate.watch.measure(target).first_ms == 2000

    def openai(self, request: Outgoing) -> FakeReply:
        if request.url.endswith("/embeddings"):
            return FakeReply(8.0, b'{"data": [{"index": 0, "embedding": [0.5]}]}')
        if b'"stream":true' in (request.body or b""):
            return FakeReply(2.0, ROLE, HELLO, 5.0, STOP, DONE, headers=EVENTS)
        return slow(8.0, whole("o"))

    @in_no_time
    async def test_long_answers_do_not_make_a_provider_slower_than_its_streams(self) -> None:
        def openai(request: Outgoing) -> FakeReply:
            streaming = b'"stream":true' in (request.body or b"")
            return stream(0.1)(request) if streaming else slow(30.0, whole("o"))

        isolate = isolate_of(by_host(openai=openai, groq=stream(0.9)))
        for provider in ("openai", "groq"):
            for _ in range(5):
                await streamed(isolate, model=f"{provider}/auto", fallback=False)
        for _ in range(5):
            await isolate.complete(model="openai/auto", fallback=False)
        routing = {"model": "auto", "strategy": "fastest", "fallback": True, "ignore": IGNORED}
        assert await streamed(isolate, **routing) == "openai"


NO_ACCESS = FakeReply(
    b'{"error": {"message": "Project `proj_x` does not have access to model `gpt-9`",'
    b' "type": "invalid_request_error", "param": null, "code": "model_not_found"}}',
    status=403,
)


class TestRefusals:
    @in_no_time
    async def test_a_model_that_the_key_may_not_use_takes_no_other_with_it(self) -> None:
        def openai(request: Outgoing) -> FakeReply:
            return NO_ACCESS if b"gpt-9" in (request.body or b"") else whole("o")

        isolate = isolate_of(by_host(openai=openai))
        for _ in range(20):
            await failing(isolate, times=1, model="openai/gpt-9", fallback=False)
            assert await isolate.complete(fallback=False) == ["openai ok"]
        assert open_breakers(isolate.watch) == set()

    @in_no_time
    async def test_a_listed_one_is_left_alone_itself(self) -> None:
        def openai(request: Outgoing) -> FakeReply:
            return NO_ACCESS if b"gpt-big" in (request.body or b"") else whole("o")

        isolate = isolate_of(by_host(openai=openai))
        await failing(isolate, times=1, model="openai/gpt-big", fallback=False)
        assert open_breakers(isolate.watch) == {"openai/gpt-big"}
        models = {"model": "openai/gpt-big", "models": ("openai/gpt",), "fallback": ()}
        assert await isolate.complete(**models) == ["openai breaker_open", "openai ok"]

    @in_no_time
    async def test_another_model_of_the_provider_is_tried(self) -> None:
        def openai(request: Outgoing) -> FakeReply:
            return NO_ACCESS if b"gpt-big" in (request.body or b"") else whole("o")

        isolate = isolate_of(by_host(openai=openai))
        models = {"model": "openai/gpt-big", "models": ("openai/gpt",), "fallback": ()}
        assert await isolate.complete(**models) == ["openai unauthorized", "openai ok"]

    @in_no_time
    async def test_what_can_not_succeed_does_not_keep_a_provider_half_open(self) -> None:
        bad = True

        def openai(request: Outgoing) -> FakeReply:
            if b"gpt-9" in (request.body or b""):
                return NO_ACCESS
            return error(401) if bad else whole("o")

        isolate = isolate_of(by_host(openai=openai, groq=lambda _: whole("g")))
        await isolate.complete()
        assert open_breakers(isolate.watch) == {"openai"}
        bad = False
        await asyncio.sleep(13)
        for timeout_ms in (None, 1000):
            await failing(isolate, 3, model="openai/gpt-9", fallback=False, timeout_ms=timeout_ms)
        assert isolate.watch.views()["openai"].phase == "half_open"
        assert await isolate.complete() == ["openai ok"]
        assert open_breakers(isolate.watch) == set()


def ended(reason: str) -> FakeReply:
    candidate = {"content": {"parts": []}, "finishReason": reason}
    return FakeReply(json.dumps({"candidates": [candidate]}).encode())


class TestAnswers:
    @pytest.mark.parametrize(
        "reason",
        ["MALFORMED_FUNCTION_CALL", "OTHER", "LANGUAGE", "NO_IMAGE", "UNEXPECTED_TOOL_CALL"],
    )
    def test_an_answer_that_this_request_can_not_have(self, reason: str) -> None:
        @in_no_time
        async def check() -> None:
            isolate = isolate_of(by_host(gemini=lambda _: ended(reason)))
            errors = await failing(isolate, model="gemini/flash", fallback=False)
            assert outcomes(errors[0]) == [("unavailable", "caller")]
            assert open_breakers(isolate.watch) == set()
            assert isolate.permit.lost == 6  # the provider may bill each

        check()

    @pytest.mark.parametrize(
        ("body", "blame"),
        [
            (b"<html>no</html>", "model"),
            (b'{"choices": [{"mess', "model"),
            (b"", "model"),
            (b"{}", "model"),
            (b"[" * 5000 + b"]" * 5000, "proxy"),
            (b'{"choices": [{"message": {"content": "x"}, "logprobs": NaN}]}', "proxy"),
            (b'{"choices": {"0": {"message": {"content": "x"}}}}', "proxy"),
            (b'{"choices": 5, "more": "' + b"x" * 2_000_000 + b'"}', "proxy"),
        ],
    )
    def test_what_only_the_proxy_can_not_read(self, body: bytes, blame: str) -> None:
        @in_no_time
        async def check() -> None:
            isolate = isolate_of(by_host(openai=lambda _: FakeReply(body)))
            errors = await failing(isolate, fallback=False)
            assert outcomes(errors[0]) == [("garbage", blame)]
            assert errors[0].source == ("proxy" if blame == "proxy" else "provider")
            assert open_breakers(isolate.watch) == ({"openai/gpt"} if blame == "model" else set())

        check()

    @in_no_time
    async def test_a_bug_of_the_proxys_is_not_held_against_the_provider(self) -> None:
        def openai(_: Outgoing) -> FakeReply:
            raise AssertionError("a bug")

        isolate = isolate_of(by_host(openai=openai))
        for _ in range(6):
            with pytest.raises(AssertionError):
                await isolate.complete(fallback=False)
        assert open_breakers(isolate.watch) == set()

    @in_no_time
    async def test_a_stream_without_its_end_is_the_models(self) -> None:
        unfinished = FakeReply(ROLE, headers=EVENTS)
        isolate = isolate_of(by_host(openai=unfinished))
        await failing_streams(isolate, fallback=False)
        assert open_breakers(isolate.watch) == {"openai/gpt"}
