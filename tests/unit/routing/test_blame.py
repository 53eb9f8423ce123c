"""Who caused an attempt's end: what a caller does takes no provider from others."""

import asyncio
import json
from typing import Any, ClassVar

import pytest

from proxy.core.chat import Call, ChatRequest, EmbeddingRequest, Routing
from proxy.core.errors import (
    GIVEN_UP,
    Fault,
    InvalidRequest,
    ProviderError,
    ProviderTimeout,
    ProxyError,
    RateLimitExceeded,
)
from proxy.core.messages import ImageURL, Message, Part
from proxy.core.permit import Refusal
from proxy.core.ports import Outgoing, Ports
from proxy.routing.watch import Watch
from tests.unit.doubles import (
    Answerer,
    FakeReply,
    FakeUpstream,
    LoopClock,
    Unlimited,
    in_no_time,
    ports,
)
from tests.unit.routing.test_attempts import (
    IGNORED,
    Isolate,
    by_host,
    made_catalog,
    slow,
    stream,
    streamed,
)
from tests.unit.routing.test_manager import DONE, EVENTS, HELLO, ROLE, STOP, call, error, whole

MINUTE_MS = "60000"


def outside(answer: Answerer) -> Ports:
    return ports(answer, clock=LoopClock())


def open_breakers(watch: Watch) -> set[str]:
    return {name for name, view in watch.views().items() if view.phase != "closed"}


def outcomes(error: ProxyError) -> list[tuple[str, str | None]]:
    return [(attempt.outcome, attempt.blame) for attempt in error.attempts]


def isolate_of(answer: Answerer, **env: str) -> Isolate:
    settings = {"RETRY_ATTEMPTS": "1", "REQUEST_TIMEOUT_MS": MINUTE_MS} | env
    return Isolate(made_catalog(), outside(answer), **settings)


async def failing(isolate: Isolate, times: int = 6, **routing: Any) -> list[ProxyError]:
    """The errors of requests that all fail."""
    errors = []
    for _ in range(times):
        with pytest.raises(ProxyError) as caught:
            await isolate.ask(**routing)
        errors.append(caught.value)
    return errors


async def failing_streams(isolate: Isolate, times: int = 6, **routing: Any) -> list[ProxyError]:
    errors = []
    for _ in range(times):
        with pytest.raises(ProxyError) as caught:
            await streamed(isolate, **routing)
        errors.append(caught.value)
    return errors


class TestCallersDeadline:
    @in_no_time
    async def test_a_deadline_of_the_callers_opens_nothing(self) -> None:
        isolate = isolate_of(by_host(openai=lambda _: slow(2.0, whole("o"))))
        for met in await failing(isolate, fallback=False, timeout_ms=1000):
            assert isinstance(met, ProviderTimeout)
            assert (met.source, met.status) == ("proxy", 504)
            assert "The request's own time was up" in met.message
            assert outcomes(met) == [("timeout", "caller")]
        assert open_breakers(isolate.watch) == set()
        target = isolate.manager._selection.target(made_catalog().models["openai", "gpt"])
        assert isolate.watch.measure(target).weight == 0
        assert await isolate.ask(fallback=False) == ["openai ok"]

    @in_no_time
    async def test_nor_does_it_in_a_stream(self) -> None:
        isolate = isolate_of(by_host(openai=stream(2.0)))
        errors = await failing_streams(isolate, fallback=False, timeout_ms=1000)
        assert {outcomes(error)[0] for error in errors} == {("timeout", "caller")}
        assert open_breakers(isolate.watch) == set()

    @in_no_time
    async def test_nor_before_the_headers(self) -> None:
        isolate = isolate_of(by_host(openai=lambda _: 2.0))
        await failing(isolate, fallback=False, timeout_ms=1000)
        await failing_streams(isolate, fallback=False, timeout_ms=1000)
        assert open_breakers(isolate.watch) == set()

    @in_no_time
    async def test_nor_one_of_which_nothing_is_left_at_once(self) -> None:
        isolate = isolate_of(by_host())
        with pytest.raises(ProviderTimeout, match="The request's own time was up") as caught:
            began = asyncio.get_running_loop().time() - 5
            clocked = LoopClock().now() + began
            await isolate.manager.complete(call(timeout_ms=1), isolate.permit, began=clocked)
        assert caught.value.source == "proxy"

    @in_no_time
    async def test_what_the_deployment_itself_gives_is_the_providers_time(self) -> None:
        """Silence for as long opens its breaker, however the caller words his deadline."""
        for timeout_ms in (None, 6000, 10_000):
            isolate = isolate_of(by_host(openai=lambda _: 50.0), REQUEST_TIMEOUT_MS="6000")
            errors = await failing(isolate, times=5, fallback=False, timeout_ms=timeout_ms)
            assert outcomes(errors[0]) == [("timeout", "provider")]
            assert open_breakers(isolate.watch) == {"openai", "openai/gpt"}

    @in_no_time
    async def test_a_longer_deadline_of_the_callers_is_the_providers_too(self) -> None:
        out = outside(by_host(openai=lambda _: slow(8.0, whole("o"))))
        isolate = Isolate(made_catalog(), out, RETRY_ATTEMPTS="1", REQUEST_TIMEOUT_MS="6000")
        assert await isolate.ask(fallback=False, timeout_ms=10_000) == ["openai ok"]
        assert isinstance(out.upstream, FakeUpstream)
        assert out.upstream.idles == pytest.approx([10])

    @in_no_time
    async def test_a_time_out_of_the_deployments_counts_within_a_callers_deadline(self) -> None:
        times = {"FIRST_BYTE_TIMEOUT_MS": "5000"}
        isolate = isolate_of(by_host(openai=lambda _: 30.0), **times)
        errors = await failing_streams(isolate, times=5, fallback=False, timeout_ms=20_000)
        assert outcomes(errors[0]) == [("timeout", "provider")]
        assert open_breakers(isolate.watch) == {"openai", "openai/gpt"}

    @in_no_time
    async def test_a_body_that_falls_silent_within_a_callers_deadline(self) -> None:
        silent = FakeReply(b'{"choices": ', 5.0, b"[]}")
        out = outside(by_host(openai=silent, groq=silent))
        isolate = Isolate(made_catalog(), out, RETRY_ATTEMPTS="1", REQUEST_TIMEOUT_MS=MINUTE_MS)
        errors = await failing(isolate, timeout_ms=4000)
        assert set(outcomes(errors[0])) == {("timeout", "caller")}
        assert open_breakers(isolate.watch) == set()
        assert isinstance(out.upstream, FakeUpstream)
        # Of silence, the platform's word, the provider has what the deployment itself would give.
        assert min(out.upstream.idles) == pytest.approx(30)

    @pytest.mark.parametrize("others", [5, 19])
    def test_many_candidates_take_no_time_from_the_first(self, others: int) -> None:
        """6 models of the caller's leave each 10 s of a minute, 20 leave 3 s; the deployment's 4
        providers have 15 s each."""

        @in_no_time
        async def check() -> None:
            named = tuple(f"openrouter/m{number}" for number in range(others))
            isolate = isolate_of(by_host(openai=lambda _: 50.0, openrouter=lambda _: error(500)))
            for _ in range(6):
                with pytest.raises(ProxyError) as caught:
                    await isolate.ask(models=named, fallback=())
                assert outcomes(caught.value)[0] == ("timeout", "caller")
            assert not open_breakers(isolate.watch) & {"openai", "openai/gpt"}

        check()

    @in_no_time
    async def test_a_chain_of_the_deployments_own_length_is_judged(self) -> None:
        both = by_host(openai=lambda _: 50.0, groq=lambda _: whole("g"))
        isolate = isolate_of(both, REQUEST_TIMEOUT_MS="6000")
        for _ in range(5):
            assert await isolate.ask() == ["openai timeout", "groq ok"]
        assert open_breakers(isolate.watch) == {"openai", "openai/gpt"}

    @pytest.mark.parametrize("second", [FakeReply(20.0), 20.0], ids=["body", "headers"])
    def test_what_others_left_over_is_too_little_to_judge_by(
        self, second: FakeReply | float
    ) -> None:
        """A second try has 5 s of the minute, once the first has broken off late."""

        @in_no_time
        async def check() -> None:
            replies = iter([FakeReply(55.0, Fault("network", "broke")), second])
            isolate = isolate_of(by_host(openai=lambda _: next(replies)), RETRY_ATTEMPTS="2")
            with pytest.raises(ProviderTimeout) as caught:
                await isolate.ask(fallback=False)
            assert outcomes(caught.value) == [("network", "provider"), ("timeout", "caller")]

        check()

    @in_no_time
    async def test_nor_is_a_share_of_it(self) -> None:
        """16 s are left for four, after the first has broken off: 4 s to the headers of each."""
        replies = iter([FakeReply(44.0, Fault("network", "broke")), 20.0])
        others = {name: lambda _: whole("x") for name in ("groq", "openrouter")}
        isolate = isolate_of(by_host(openai=lambda _: next(replies), **others), RETRY_ATTEMPTS="2")
        chat = call(fallback=("groq", "openrouter", "gemini"))
        _, done = await isolate.manager.complete(chat, isolate.permit)
        assert [(a.outcome, a.blame) for a in done.attempts] == [
            ("network", "provider"),
            ("timeout", "caller"),
            ("ok", None),
        ]

    @in_no_time
    async def test_images_that_come_late_are_the_requests_own(self) -> None:
        def answer(request: Outgoing) -> FakeReply | float:
            return 90.0 if request.method == "GET" else whole("never")

        isolate = isolate_of(answer)
        image = Part("image_url", image_url=ImageURL("https://pictures.test/cat.png"))
        chat = ChatRequest(messages=(Message("user", (Part("text", "What?"), image)),))
        routing = Routing(model="gemini/flash", fallback=False)
        for _ in range(6):
            with pytest.raises(InvalidRequest, match="did not come in time") as caught:
                await isolate.manager.complete(Call(chat=chat, routing=routing), isolate.permit)
            assert (caught.value.source, caught.value.attempts) == ("proxy", ())
        assert open_breakers(isolate.watch) == set()
        assert isolate.permit.charged == []

    @in_no_time
    async def test_images_that_come_slowly_make_no_model_slow(self) -> None:
        def answer(request: Outgoing) -> FakeReply:
            if request.method == "GET":
                return FakeReply(9.0, b"png", headers={"content-type": "image/png"})
            part = {"content": {"parts": [{"text": "A cat."}]}, "finishReason": "STOP"}
            return FakeReply(
                b"data: " + json.dumps({"candidates": [part]}).encode() + b"\n\n", headers=EVENTS
            )

        isolate = isolate_of(answer, BREAKER_SLOW_MS="5000")
        image = Part("image_url", image_url=ImageURL("https://pictures.test/cat.png"))
        messages = (Message("user", (Part("text", "What?"), image)),)
        chat = ChatRequest(messages=messages, stream=True)
        routing = Routing(model="gemini/flash", fallback=False)
        for _ in range(5):
            asked = Call(chat=chat, routing=routing)
            _, done = await isolate.manager.stream(asked, isolate.permit)
            done.call.end(GIVEN_UP)
        assert open_breakers(isolate.watch) == set()


class TestSlow:
    @in_no_time
    async def test_a_whole_answer_may_take_long(self) -> None:
        isolate = isolate_of(
            by_host(openai=lambda _: slow(8.0, whole("o"))), BREAKER_SLOW_MS="5000"
        )
        for _ in range(6):
            await isolate.ask(fallback=False)
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
        target = isolate.manager._selection.target(made_catalog().models["openai", "gpt"])
        await isolate.ask(fallback=False)
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
            await isolate.ask(model="openai/auto", fallback=False)
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
            assert await isolate.ask(fallback=False) == ["openai ok"]
        assert open_breakers(isolate.watch) == set()

    @in_no_time
    async def test_a_listed_one_is_left_alone_itself(self) -> None:
        def openai(request: Outgoing) -> FakeReply:
            return NO_ACCESS if b"gpt-big" in (request.body or b"") else whole("o")

        isolate = isolate_of(by_host(openai=openai))
        await failing(isolate, times=1, model="openai/gpt-big", fallback=False)
        assert open_breakers(isolate.watch) == {"openai/gpt-big"}
        models = {"model": "openai/gpt-big", "models": ("openai/gpt",), "fallback": ()}
        assert await isolate.ask(**models) == ["openai breaker_open", "openai ok"]

    @in_no_time
    async def test_another_model_of_the_provider_is_tried(self) -> None:
        def openai(request: Outgoing) -> FakeReply:
            return NO_ACCESS if b"gpt-big" in (request.body or b"") else whole("o")

        isolate = isolate_of(by_host(openai=openai))
        models = {"model": "openai/gpt-big", "models": ("openai/gpt",), "fallback": ()}
        assert await isolate.ask(**models) == ["openai unauthorized", "openai ok"]

    @in_no_time
    async def test_what_can_not_succeed_does_not_keep_a_provider_half_open(self) -> None:
        bad = True

        def openai(request: Outgoing) -> FakeReply:
            if b"gpt-9" in (request.body or b""):
                return NO_ACCESS
            return error(401) if bad else whole("o")

        isolate = isolate_of(by_host(openai=openai, groq=lambda _: whole("g")))
        await isolate.ask()
        assert open_breakers(isolate.watch) == {"openai"}
        bad = False
        await asyncio.sleep(13)
        for timeout_ms in (None, 1000):
            await failing(isolate, 3, model="openai/gpt-9", fallback=False, timeout_ms=timeout_ms)
        assert isolate.watch.views()["openai"].phase == "half_open"
        assert await isolate.ask() == ["openai ok"]
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
                await isolate.ask(fallback=False)
        assert open_breakers(isolate.watch) == set()

    @in_no_time
    async def test_a_stream_without_its_end_is_the_models(self) -> None:
        unfinished = FakeReply(ROLE, headers=EVENTS)
        isolate = isolate_of(by_host(openai=unfinished))
        await failing_streams(isolate, fallback=False)
        assert open_breakers(isolate.watch) == {"openai/gpt"}


def no(limit: str) -> Refusal:
    return Refusal(limit=limit, message=f"No more of {limit}.", retry_after=7)


class Waiting(Unlimited):
    """A permit that takes a second to charge."""

    async def charge(self, *args: Any) -> Refusal | None:
        await asyncio.sleep(1)
        return await super().charge(*args)


class TestLeastBad:
    async def opened(self, isolate: Isolate, *providers: str) -> None:
        for provider in providers:
            await failing(isolate, 1, model=f"{provider}/auto", fallback=False)

    @in_no_time
    async def test_all_that_opened_meanwhile_are_no_lack_of_time(self) -> None:
        out = outside(by_host(openai=lambda _: error(401), groq=lambda _: error(401)))
        isolate = Isolate(made_catalog(), out, RETRY_ATTEMPTS="1")
        isolate.permit = Waiting()
        for met in await asyncio.gather(isolate.ask(), isolate.ask(), return_exceptions=True):
            assert isinstance(met, ProviderError)
            assert met.status == 502
            assert "unauthorized" in [attempt.outcome for attempt in met.attempts]

    @in_no_time
    async def test_the_open_one_is_tried_where_the_others_bucket_is_empty(self) -> None:
        isolate = isolate_of(by_host(openai=lambda _: error(401), groq=lambda _: whole("g")))
        await self.opened(isolate, "openai")
        isolate.permit = Unlimited(no("provider:groq"))
        with pytest.raises(ProviderError) as caught:
            await isolate.ask(model="groq/llama", fallback=("openai",))
        assert outcomes(caught.value) == [("limited", None), ("unauthorized", "provider")]

    @in_no_time
    async def test_wherever_it_stands(self) -> None:
        isolate = isolate_of(by_host(openai=lambda _: error(401), groq=lambda _: whole("g")))
        await self.opened(isolate, "openai")
        isolate.permit = Unlimited(no("provider:groq"))
        with pytest.raises(ProviderError) as caught:
            await isolate.ask()
        assert outcomes(caught.value) == [("limited", None), ("unauthorized", "provider")]

    @in_no_time
    async def test_of_two_the_less_bad_and_then_the_other(self) -> None:
        isolate = isolate_of(by_host(openai=lambda _: error(401), groq=lambda _: error(401)))
        await self.opened(isolate, "openai")
        await asyncio.sleep(1)
        await self.opened(isolate, "groq")
        isolate.permit = Unlimited(no("provider:openai"))
        with pytest.raises(ProviderError) as caught:
            await isolate.ask(model="groq/llama", fallback=("openai",))
        tried = [(attempt.provider, attempt.outcome) for attempt in caught.value.attempts]
        assert tried == [("openai", "limited"), ("groq", "unauthorized")]

    @in_no_time
    async def test_with_all_of_them_limited_it_is_a_limit(self) -> None:
        isolate = isolate_of(by_host(openai=lambda _: error(401), groq=lambda _: whole("g")))
        await self.opened(isolate, "openai")
        isolate.permit = Unlimited(no("provider:groq"), no("provider:openai"))
        with pytest.raises(RateLimitExceeded):
            await isolate.ask()
        assert isolate.permit.charged == ["groq", "openai"]

    @in_no_time
    async def test_it_is_not_tried_beside_one_that_was(self) -> None:
        isolate = isolate_of(by_host(openai=lambda _: error(401), groq=lambda _: error(500)))
        await self.opened(isolate, "openai")
        with pytest.raises(ProviderError) as caught:
            await isolate.ask()
        assert [a.outcome for a in caught.value.attempts] == ["breaker_open", "unavailable"]

    @in_no_time
    async def test_two_that_wait_for_their_charge_are_not_both_the_probe(self) -> None:
        healthy = False

        def openai(_: Outgoing) -> FakeReply:
            return slow(5.0, whole("o")) if healthy else error(401)

        isolate = isolate_of(by_host(openai=openai, groq=lambda _: whole("g")))
        await isolate.ask()
        healthy = True
        await asyncio.sleep(13)
        isolate.permit = Waiting()
        both = await asyncio.gather(isolate.ask(), isolate.ask())
        assert sorted(both) == [["openai breaker_open", "groq ok"], ["openai ok"]]


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
        asked = asyncio.ensure_future(isolate.ask(fallback=False))
        await asyncio.sleep(1)
        asked.cancel()
        with pytest.raises(asyncio.CancelledError):
            await asked
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
        await isolate.ask()
        assert isolate.permit.lost == 1


class TestTimedOut:
    @in_no_time
    async def test_a_provider_that_timed_out_is_not_asked_again(self) -> None:
        isolate = isolate_of(by_host(openai=lambda _: 700.0, groq=lambda _: whole("g")))
        models = {"models": ("openai/gpt-big", "groq/llama"), "fallback": ()}
        assert await isolate.ask(**models) == ["openai timeout", "groq ok"]


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
        for streaming in (False, True):
            asked = call(stream=streaming, fallback=False)
            asked = Call(chat=asked.chat, routing=asked.routing, passed_on=self.PASSED)
            run = isolate.manager.stream if streaming else isolate.manager.complete
            await run(asked, isolate.permit)
        routing = Routing(model="embed-o", fallback=False)
        ask = EmbeddingRequest(input=("hi",), routing=routing, passed_on=self.PASSED)
        await isolate.manager.embed(ask, isolate.permit)
        assert len(seen) == 3
        for request in seen:
            assert self.PASSED.items() <= request.headers.items()
            assert request.headers["authorization"] == "Bearer key-of-openai"
