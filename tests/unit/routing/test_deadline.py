"""Deadlines: the caller's own, the deployment's, and shares of both."""

import asyncio
import json

import pytest

from proxy.core.chat import Call, ChatRequest, Routing
from proxy.core.errors import (
    GIVEN_UP,
    Fault,
    InvalidRequest,
    ProviderTimeout,
    ProxyError,
)
from proxy.core.messages import ImageURL, Message, Part
from proxy.core.ports import Outgoing
from proxy.routing.operations import RunOptions
from tests.unit.doubles import (
    FakeReply,
    FakeUpstream,
    LoopClock,
    in_no_time,
)
from tests.unit.routing.making import (
    EVENTS,
    Given,
    Isolate,
    by_host,
    call,
    error,
    made_catalog,
    outside,
    slow,
    stream,
    streamed,
    whole,
)
from tests.unit.routing.making_blame import (
    MINUTE_MS,
    failing,
    failing_streams,
    isolate_of,
    open_breakers,
    outcomes,
)


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
        target = isolate.selection.deployment.make_target(made_catalog().models["openai", "gpt"])
        assert isolate.watch.measure(target).weight == 0
        assert await isolate.complete(fallback=False) == ["openai ok"]

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
            await isolate.manager.complete(
                call(timeout_ms=1), isolate.permit, RunOptions(began=clocked)
            )
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
        assert await isolate.complete(fallback=False, timeout_ms=10_000) == ["openai ok"]
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
                    await isolate.complete(models=named, fallback=())
                assert outcomes(caught.value)[0] == ("timeout", "caller")
            assert not open_breakers(isolate.watch) & {"openai", "openai/gpt"}

        check()

    @in_no_time
    async def test_a_chain_of_the_deployments_own_length_is_judged(self) -> None:
        both = by_host(openai=lambda _: 50.0, groq=lambda _: whole("g"))
        isolate = isolate_of(both, REQUEST_TIMEOUT_MS="6000")
        for _ in range(5):
            assert await isolate.complete() == ["openai timeout", "groq ok"]
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
                await isolate.complete(fallback=False)
            assert outcomes(caught.value) == [("network", "provider"), ("timeout", "caller")]

        check()

    @in_no_time
    async def test_nor_is_a_share_of_it(self) -> None:
        """16 s are left for four, after the first has broken off: 4 s to the headers of each."""
        answers: list[Given] = [FakeReply(44.0, Fault("network", "broke")), 20.0]
        replies = iter(answers)
        one_after_another = by_host(
            openai=lambda _: next(replies), groq=whole("x"), openrouter=whole("x")
        )
        isolate = isolate_of(one_after_another, RETRY_ATTEMPTS="2")
        chat = call(fallback=("groq", "openrouter", "gemini"))
        _, success = await isolate.manager.complete(chat, isolate.permit)
        assert [(a.outcome, a.blame) for a in success.attempts] == [
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
            chat_call = Call(chat=chat, routing=routing)
            _, success = await isolate.manager.stream(chat_call, isolate.permit)
            success.watched.end(GIVEN_UP)
        assert open_breakers(isolate.watch) == set()


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
        assert await Isolate(made_catalog(), out).complete(timeout_ms=4000) == [
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
            await Isolate(made_catalog(), out).complete(
                fallback=("gemini", "groq"), timeout_ms=6000
            )
        assert times == pytest.approx([0, 4, 5])
        assert asyncio.get_running_loop().time() == pytest.approx(6)

    @in_no_time
    async def test_with_nobody_behind_all_the_time_is_its(self) -> None:
        out = outside(by_host(openai=lambda _: dripping("o", 3.5), groq=lambda _: error(401)))
        isolate = Isolate(made_catalog(), out)
        assert await isolate.complete(timeout_ms=4000, fallback=False) == ["openai ok"]
        # Nor are those kept a share whose breaker is open, or another model of its own.
        await isolate.complete(model="groq/llama", fallback=("openai",))
        assert await isolate.complete(timeout_ms=4000) == ["openai ok"]
        more = {"models": ("openai/gpt-big",), "fallback": False, "timeout_ms": 4000}
        assert await isolate.complete(**more) == ["openai ok"]

    @in_no_time
    async def test_a_stream_that_never_gets_to_its_content(self) -> None:
        pieces: list[bytes | float] = [1.0, b": processing\n\n"] * 60
        comments = FakeReply(*pieces, headers=EVENTS)
        out = outside(by_host(openai=comments, groq=stream(0.5)))
        assert await streamed(Isolate(made_catalog(), out), timeout_ms=4000) == "groq"
        assert asyncio.get_running_loop().time() < 4
