"""Chat requests from end to end through App.handle: cached, coalesced, fallen over, stale."""

import asyncio
import json
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any

import pytest
from msgspec import structs

from proxy.cache.flight import KEEP_SECONDS, LEASE_SECONDS, PUBLISH, RENEW, Joined, Published
from proxy.cache.purge import HOLD_SECONDS
from proxy.core.errors import Fault, Unavailable
from proxy.core.ports import Outgoing
from proxy.core.web import Response
from proxy.host.maintenance import maintain
from tests.unit.callers import as_it_is, read_stream
from tests.unit.doubles import (
    Answerer,
    FakeReply,
    FakeUpstream,
    LoopClock,
    in_no_time,
)
from tests.unit.routing.making import DONE, HELLO, ROLE, STOP, error, event, whole
from tests.unit.serving.making import (
    GPT,
    GROQ,
    NATIVE,
    OPENAI,
    USAGE,
    House,
    Outcome,
    Received,
    by_host,
    call_event,
    counting,
    in_turn,
    stream_of,
    tool_call,
    usage_event,
)


class TestHit:
    async def test_a_miss_then_a_hit(self) -> None:
        house = House(by_host(openai=counting()))
        miss = await house.post()
        assert (miss.cache, miss.headers["cache-status"]) == ("MISS", "proxy-memory; fwd=miss")
        assert "age" not in miss.headers
        metadata = miss.json["metadata"]
        assert (metadata["cacheStatus"], metadata["cacheTier"]) == ("miss", None)
        assert metadata["cost"] > 0
        house.clock.time += 10.5
        hit = await house.post()
        assert (hit.status, hit.text, miss.text) == (200, "1", "1")
        assert hit.headers["cache-status"] == "proxy-memory; hit; ttl=3589"
        assert (hit.headers["age"], hit.cache) == ("10", "HIT")
        assert "x-proxy-cost" not in hit.headers
        assert "cf-aig-step" not in hit.headers
        assert hit.headers["x-proxy-provider"] == "openai"
        assert hit.headers["x-proxy-model"] == "gpt-4o"
        metadata = hit.json["metadata"]
        assert (metadata["cacheStatus"], metadata["cacheTier"]) == ("hit", "memory")
        assert (metadata["cost"], metadata["costOrigin"], metadata["attempts"]) == (0, None, [])
        assert hit.json["usage"] == miss.json["usage"]
        assert metadata["requestId"] != miss.json["metadata"]["requestId"]
        assert (house.line["proxy.cache.status"], house.line["proxy.cache.tier"]) == (
            "hit",
            "memory",
        )
        assert house.line["proxy.cost.usd"] == 0
        assert len(house.sent) == 1

    async def test_it_names_its_key_to_purge_by(self) -> None:
        house = House(by_host(openai=counting()))
        await house.post()
        hit = await house.post()
        assert [hit.headers["x-proxy-cache-key"]] == [*house.kv.held]

    @pytest.mark.parametrize(
        ("kv", "r2", "tier"), [(True, True, "kv"), (True, False, "kv"), (False, True, "r2")]
    )
    async def test_another_isolates_answer_from_below(self, kv: bool, r2: bool, tier: str) -> None:
        house = House(by_host(openai=counting()))
        await house.post()
        if not kv:
            house.kv.held.clear()
        if not r2:
            house.r2.held.clear()
        house.leave()
        house.clock.time += 5
        below, memory = await house.post(), await house.post()
        assert below.text == memory.text == "1"
        assert below.headers["cache-status"] == f"proxy-{tier}; hit; ttl=3595"
        assert below.json["metadata"]["cacheTier"] == tier
        assert memory.json["metadata"]["cacheTier"] == "memory"
        assert memory.headers["cache-status"] == "proxy-memory; hit; ttl=3595"

    async def test_a_hit_in_memory_waits_for_the_body_and_nothing_else(self) -> None:
        house = House(by_host(openai=counting()))
        await house.post()
        for store in (house.kv, house.r2):
            store.fault = AssertionError("not to be asked")
        house.purges.down = house.flights.down = True
        reaction = house.app.handle(house.chat_request({}, NATIVE, {}), as_it_is)
        assert not isinstance(reaction, Response)
        with pytest.raises(StopIteration) as caught:
            reaction.send(None)
        assert caught.value.value.headers["cf-aig-cache-status"] == "HIT"

    async def test_another_question_is_another_entry(self) -> None:
        house = House(by_host(openai=counting()))
        texts = [
            (await house.post(**body)).text
            for body in ({}, {"prompt": "Bye"}, {"temperature": 0.5}, {"model": "openai/gpt-4.1"})
        ]
        assert texts == ["1", "2", "3", "4"]

    async def test_the_same_question_in_the_other_dialect_is_the_same_entry(self) -> None:
        house = House(by_host(openai=counting()))
        native = await house.post(temperature=1)
        other = await house.post(OPENAI, user="me", metadata={"a": "b"})
        assert (native.text, other.text, other.cache) == ("1", "1", "HIT")

    async def test_it_is_over_after_its_ttl(self) -> None:
        house = House(by_host(openai=counting()), CACHE_TTL="100")
        await house.post()
        house.clock.time += 99.75
        assert (await house.post()).text == "1"
        house.clock.time += 0.25
        again = await house.post()
        assert (again.text, again.cache) == ("2", "MISS")
        assert (await house.post()).text == "2"

    async def test_a_deployment_without_kv_and_r2_has_its_memory(self) -> None:
        house = House(by_host(openai=counting()))
        house.ports = structs.replace(house.ports, kv=None, r2=None)
        house.leave()
        await house.post()
        assert (await house.post()).cache == "HIT"


TOOLS = [{"type": "function", "function": {"name": "f", "parameters": {"type": "object"}}}]
CALLS_STREAMED = (
    ROLE,
    call_event(id="c1", function={"name": "f", "arguments": ""}),
    call_event(function={"arguments": '{"a": '}),
    call_event(function={"arguments": "1}"}),
    event({}, "tool_calls"),
)
TEXT_STREAMED = (ROLE, HELLO, event({"content": ", wörld"}), STOP)
FORMS = [(path, stream) for path in (NATIVE, OPENAI) for stream in (False, True)]


class TestReplay:
    """One entry serves stream and non-stream callers of both dialects."""

    @pytest.mark.parametrize(("path", "stream"), FORMS)
    @pytest.mark.parametrize("first", ["streamed", "whole"])
    async def test_text(self, first: str, path: str, stream: bool) -> None:
        pieces = (*TEXT_STREAMED, usage_event(), DONE)
        reply = stream_of(*pieces) if first == "streamed" else whole("Hello, wörld")
        house = House(by_host(openai=reply))
        miss = await house.post(stream=first == "streamed")
        told = await house.post(path, stream=stream)
        assert miss.text == told.text == "Hello, wörld"
        assert (told.status, told.cache, len(house.sent)) == (200, "HIT", 1)
        assert told.headers["cache-status"].startswith("proxy-memory; hit; ttl=")
        kind = "text/event-stream; charset=utf-8" if stream else "application/json"
        assert told.headers["content-type"] == kind
        if not stream:
            return
        if path == NATIVE:
            assert b"event: done\n" in told.body
            assert told.events[-1]["metadata"]["cacheStatus"] == "hit"
            assert told.events[-1]["metadata"]["finishReason"] == "stop"
            assert told.events[-1]["metadata"]["cost"] == 0
        else:
            assert told.events[-1] == "[DONE]"
            reasons = [chunk["choices"][0]["finish_reason"] for chunk in told.events[:-1]]
            assert reasons == [None] * (len(reasons) - 1) + ["stop"]
            assert told.events[0]["choices"][0]["delta"]["role"] == "assistant"

    @pytest.mark.parametrize(("path", "stream"), FORMS)
    @pytest.mark.parametrize("first", ["streamed", "whole"])
    async def test_tool_calls_and_usage(self, first: str, path: str, stream: bool) -> None:
        pieces = (*CALLS_STREAMED, usage_event(), DONE)
        reply = stream_of(*pieces) if first == "streamed" else tool_call("f", '{"a": 1}')
        house = House(by_host(openai=reply))
        await house.post(stream=first == "streamed", tools=TOOLS)
        more = {"stream_options": {"include_usage": True}} if path == OPENAI and stream else {}
        told = await house.post(path, stream=stream, tools=TOOLS, **more)
        assert (told.cache, len(house.sent)) == ("HIT", 1)
        if path == NATIVE:
            last = told.events[-1] if stream else told.json
            [call] = last["toolCalls"]
            assert (last["usage"]["inputTokens"], last["usage"]["outputTokens"]) == (7, 9)
            assert last["metadata"]["finishReason"] == "tool_calls"
        elif stream:
            deltas = [c["choices"][0]["delta"] for c in told.events[:-1] if c["choices"]]
            [[call]] = [delta["tool_calls"] for delta in deltas if "tool_calls" in delta]
            assert told.events[-2]["usage"] == USAGE
        else:
            [call] = told.json["choices"][0]["message"]["tool_calls"]
            assert told.json["choices"][0]["finish_reason"] == "tool_calls"
            assert told.json["usage"] == USAGE
        assert (call["id"], call["function"]) == ("c1", {"name": "f", "arguments": '{"a": 1}'})

    async def test_a_stream_whose_caller_leaves_before_its_closing_event_is_whole(self) -> None:
        house = House(by_host(openai=stream_of(HELLO, STOP, DONE)))
        left = await read_stream(await house.begin(stream=True), gone_after=2)
        await house.settle()
        assert b"event: done" not in left
        assert house.line["proxy.stream.ended"] == "client_gone"
        hit = await house.post()
        assert (hit.cache, hit.text) == ("HIT", "Hello")

    async def test_an_answer_of_many_pieces_comes_in_one_body(self) -> None:
        text = "word " * 20_000
        house = House(by_host(openai=whole(text)))
        await house.post()
        response = await house.begin(stream=True)
        assert response.stream is None
        assert Received(200, response.headers, response.body).text == text


class TestBlame:
    async def test_a_callers_deadline_in_a_running_stream_is_nobodys_fault(self) -> None:
        house = House(by_host(openai=lambda _: stream_of(HELLO, 10.0, STOP, DONE)))
        for _ in range(6):
            told = await house.post(stream=True, timeout=20, fallback=False)
            met = told.events[-1]["error"]
            assert (met["type"], met["code"], met["source"]) == ("provider_timeout", 504, "proxy")
            assert "The request's own time was up" in met["message"]
        assert await phases(house) == {"openai": "closed", GPT: "closed"}

    async def test_a_stream_that_falls_silent_is_the_providers(self) -> None:
        silent = Fault("timeout", "silent")
        house = House(by_host(openai=lambda _: stream_of(HELLO, silent)))
        for _ in range(5):
            told = await house.post(stream=True, timeout=60_000, fallback=False)
            assert told.events[-1]["error"]["source"] == "provider"
        assert await phases(house) == {"openai": "open", GPT: "open"}

    async def test_a_caller_who_leaves_is_no_failure(self) -> None:
        house = House(by_host(openai=lambda _: stream_of(HELLO, HELLO, STOP, DONE)))
        for _ in range(6):
            await read_stream(await house.begin(stream=True), gone_after=1)
            await house.settle()
        assert set((await phases(house)).values()) == {"closed"}


async def phases(house: House) -> dict[str, str]:
    """How the breakers stand, as the operator sees them."""
    breakers = (await house.fetch("GET", "/admin/breakers")).json["breakers"]
    return {name: view["phase"] for name, view in breakers.items()}


class TestNotStored:
    async def never(self, reply: FakeReply, stream: bool, **env: str) -> None:
        """The answer leaves nothing behind, and the next caller asks the provider."""
        house = House(by_host(openai=in_turn(reply, whole("whole"))), **env)
        await house.post(stream=stream)
        assert house.kv.held == house.r2.held == {}
        after = await house.post()
        assert (after.text, after.cache) == ("whole", "MISS")

    @pytest.mark.parametrize(
        "pieces",
        [
            (HELLO, Fault("network", "broke")),
            (HELLO, Fault("timeout", "silent")),
            (HELLO, DONE),
            (HELLO,),
            (HELLO, b'data: {"error": {"message": "overloaded"}}\n\n'),
            (HELLO, b"data: {broken\n\n"),
        ],
        ids=["broken", "stalled", "unfinished", "cut", "error", "garbage"],
    )
    async def test_a_stream_that_does_not_end_well(self, pieces: Any) -> None:
        await self.never(stream_of(*pieces), stream=True)

    async def test_what_a_filter_cut_off(self) -> None:
        await self.never(stream_of(HELLO, event({}, "content_filter"), DONE), stream=True)
        message = {"role": "assistant", "content": "Hel"}
        choice = {"index": 0, "message": message, "finish_reason": "content_filter"}
        await self.never(FakeReply(json.dumps({"choices": [choice]}).encode()), stream=False)

    async def test_an_answer_that_is_empty(self) -> None:
        await self.never(whole(""), stream=False)
        await self.never(stream_of(ROLE, STOP, DONE), stream=True)
        thought = event({"reasoning_content": "Hm."})
        await self.never(stream_of(thought, STOP, DONE), stream=True)

    async def test_a_refusal_is_an_answer(self) -> None:
        house = House(by_host(openai=stream_of(event({"refusal": "No."}), STOP, DONE)))
        await house.post(stream=True)
        hit = await house.post()
        assert (hit.cache, hit.json["refusal"]) == ("HIT", "No.")

    async def test_an_answer_that_was_as_long_as_allowed_is_stored(self) -> None:
        house = House(by_host(openai=stream_of(HELLO, event({}, "length"), DONE)))
        await house.post(stream=True)
        hit = await house.post()
        assert (hit.cache, hit.json["metadata"]["finishReason"]) == ("HIT", "length")

    async def test_what_the_caller_left(self) -> None:
        house = House(
            by_host(openai=in_turn(stream_of(HELLO, HELLO, HELLO, STOP, DONE), whole("whole")))
        )
        await read_stream(await house.begin(stream=True), gone_after=1)
        await house.settle()
        assert house.kv.held == {}
        assert (await house.post()).text == "whole"

    async def test_what_the_deadline_cut_off(self) -> None:
        house = House(by_host(openai=in_turn(stream_of(HELLO, 10.0, STOP, DONE), whole("whole"))))
        told = await house.post(stream=True, timeout=50)
        assert told.events[-1]["error"]["code"] == 504
        assert house.kv.held == {}
        assert (await house.post()).text == "whole"

    async def test_a_stream_that_is_longer_than_is_kept(self) -> None:
        piece = event({"content": "x" * 1024 * 1024})
        house = House(by_host(openai=stream_of(*[piece] * 9, STOP, DONE)))
        told = await house.post(stream=True)
        assert len(told.text) == 9 * 1024 * 1024
        assert told.events[-1]["metadata"]["finishReason"] == "stop"
        assert house.kv.held == house.r2.held == {}

    async def test_an_error(self) -> None:
        house = House(by_host(openai=in_turn(error(500), error(400), error(429), whole("whole"))))
        statuses = [(await house.post(fallback=False)).status for _ in range(3)]
        assert statuses == [502, 400, 429]
        assert (await house.post(fallback=False)).text == "whole"

    async def test_an_answer_that_no_tier_can_hold(self) -> None:
        extra = {"n": 2**70}
        message = {"role": "assistant", "content": "x", "odd": extra}
        choice = {"index": 0, "message": message, "finish_reason": "stop"}
        house = House(by_host(openai=FakeReply(json.dumps({"choices": [choice]}).encode())))
        assert (await house.post()).text == "x"
        assert house.events("warning") == ["answer not cached"]
        assert (await house.post()).cache == "MISS"


class TestDirectives:
    async def test_only_if_cached(self) -> None:
        house = House(by_host(openai=counting()))
        only = {"cache_control": "only-if-cached"}
        missing = await house.post(headers=only)
        assert missing.status == 504
        assert missing.json["error"]["source"] == "proxy"
        assert "only-if-cached" in missing.json["error"]["message"]
        assert house.sent == []
        await house.post()
        assert (await house.post(headers=only)).cache == "HIT"
        house.clock.time += 3600
        assert (await house.post(headers=only)).status == 504

    @pytest.mark.parametrize(
        ("path", "headers", "body"),
        [
            (NATIVE, {"cache_control": "no-store"}, {}),
            (NATIVE, {"cf_aig_skip_cache": "true"}, {}),
            (NATIVE, {}, {"cache": {"mode": "off"}}),
            (OPENAI, {}, {"cache": {"no-cache": True, "no-store": True}}),
        ],
    )
    async def test_no_store(self, path: str, headers: Any, body: Any) -> None:
        house = House(by_host(openai=counting()))
        told = await house.post(path, headers, **body)
        assert (told.cache, told.headers["cache-status"]) == (
            "BYPASS",
            "proxy-memory; fwd=bypass",
        )
        assert house.kv.held == {}
        if path == NATIVE:
            assert told.json["metadata"]["cacheStatus"] == "bypass"
        assert (await house.post()).text == "2"
        assert (await house.post(path, headers, **body)).text == "3"
        assert (await house.post()).text == "2"

    @pytest.mark.parametrize(
        ("path", "headers", "body"),
        [
            (NATIVE, {"cache_control": "no-cache"}, {}),
            (NATIVE, {}, {"cache": {"mode": "refresh"}}),
            (OPENAI, {}, {"cache": {"no-cache": True}}),
        ],
    )
    async def test_refresh(self, path: str, headers: Any, body: Any) -> None:
        house = House(by_host(openai=counting()))
        await house.post()
        house.clock.time += 2
        told = await house.post(path, headers, **body)
        assert (told.text, told.headers["cache-status"]) == ("2", "proxy-memory; fwd=request")
        if path == NATIVE:
            assert told.json["metadata"]["cacheStatus"] == "miss"
        assert (await house.post()).text == "2"
        house.leave()
        assert (await house.post()).text == "2"

    async def test_reading_without_storing(self) -> None:
        house = House(by_host(openai=counting()))
        body = {"cache": {"no-store": True}}
        assert (await house.post(OPENAI, **body)).text == "1"
        assert house.kv.held == {}
        assert (await house.post(OPENAI)).text == "2"
        assert (await house.post(OPENAI, **body)).text == "2"

    async def test_ttl(self) -> None:
        house = House(by_host(openai=counting()))
        await house.post(cache={"ttl": 5})
        house.clock.time += 4
        assert (await house.post()).headers["cache-status"] == "proxy-memory; hit; ttl=1"
        house.clock.time += 1
        assert (await house.post(headers={"cf_aig_cache_ttl": "50"})).text == "2"
        house.clock.time += 49
        assert (await house.post()).text == "2"
        house.clock.time += 1
        assert (await house.post()).text == "3"

    async def test_max_age(self) -> None:
        house = House(by_host(openai=counting()))
        await house.post()
        house.clock.time += 10
        assert (await house.post(headers={"cache_control": "max-age=10"})).text == "1"
        assert (await house.post(headers={"cache_control": "max-age=9"})).text == "2"
        assert (await house.post(OPENAI, cache={"s-maxage": 1})).text == "2"

    async def test_a_cache_that_must_be_asked_for(self) -> None:
        house = House(by_host(openai=counting()), CACHE_TTL="0")
        assert (await house.post()).cache == "BYPASS"
        assert (await house.post()).text == "2"
        assert house.kv.held == {}
        assert (await house.post(cache={"ttl": 60})).text == "3"
        assert (await house.post(cache={"ttl": 60})).text == "3"
        assert (await house.post()).text == "4"

    async def test_namespaces_are_apart(self) -> None:
        house = House(by_host(openai=counting()))
        texts = [
            (await house.post(OPENAI, **({"cache": {"namespace": name}} if name else {}))).text
            for name in ("a", "b", None, "a", "b", None)
        ]
        assert texts == ["1", "2", "3", "1", "2", "3"]

    async def test_an_own_key(self) -> None:
        house = House(by_host(openai=counting()))
        own = {"cf_aig_cache_key": "mine"}
        assert (await house.post(headers=own)).text == "1"
        other = await house.post(headers=own, prompt="Something else", temperature=0.5)
        assert (other.text, other.cache) == ("1", "HIT")
        assert (await house.post(headers={"cf_aig_cache_key": "yours"})).text == "2"
        assert (await house.post()).text == "3"
        spaced = await house.post(OPENAI, headers=own, cache={"namespace": "n"})
        assert spaced.text == "4"

    @pytest.mark.parametrize(
        ("header", "text"),
        [("cf_aig_skip_cache", "maybe"), ("cf_aig_cache_ttl", "0"), ("cf_aig_cache_key", "")],
    )
    @pytest.mark.parametrize("path", [NATIVE, OPENAI])
    async def test_a_wrong_header_is_refused_before_it_costs(
        self, path: str, header: str, text: str
    ) -> None:
        house = House(by_host())
        told = await house.post(path, {header: text})
        assert told.status == 400
        assert told.json["error"]["param"] == header.replace("_", "-")


class TestScope:
    KEYS = {"PROXY_API_KEY": "one", "ADMIN_TOKEN": "two"}  # noqa: RUF012

    async def texts(self, **env: str) -> list[str]:
        house = House(by_host(openai=counting()), **self.KEYS, **env)
        own = {"cf_aig_cache_key": "own"}
        told = []
        for headers in ({}, own):
            for key in ("one", "two", "one", "two"):
                headers_ = {"authorization": f"Bearer {key}", **headers}
                told.append((await house.post(headers=headers_)).text)
                house.leave()
        return told

    async def test_tenants_are_apart(self) -> None:
        assert await self.texts() == ["1", "2", "1", "2", "3", "4", "3", "4"]

    async def test_shared(self) -> None:
        assert await self.texts(CACHE_SCOPE="shared") == ["1"] * 4 + ["2"] * 4


def gemini(text: str) -> FakeReply:
    candidate = {"content": {"parts": [{"text": text}]}, "finishReason": "STOP"}
    return FakeReply(json.dumps({"candidates": [candidate]}).encode())


class TestFallback:
    OSS = "groq/openai/gpt-oss-120b"

    async def test_the_answer_is_that_of_the_model_that_gave_it(self) -> None:
        house = House(
            by_host(
                openai=in_turn(error(500), error(500), whole("of openai")), groq=whole("of groq")
            ),
            **GROQ,
        )
        told = await house.post()
        assert (told.text, told.headers["x-proxy-model"]) == ("of groq", "openai/gpt-oss-120b")
        own = await house.post(model=self.OSS)
        assert (own.text, own.cache) == ("of groq", "HIT")
        named = await house.post()
        assert (named.text, named.cache) == ("of openai", "MISS")
        assert (await house.post()).text == "of openai"
        house.leave()
        assert (await house.post()).text == "of openai"

    @pytest.mark.parametrize("stream", [False, True])
    async def test_nor_does_it_when_it_is_streamed(self, stream: bool) -> None:
        reply = stream_of(HELLO, STOP, DONE) if stream else whole("Hello")
        house = House(by_host(openai=error(503), groq=reply), **GROQ)
        await house.post(stream=stream)
        assert (await house.post(fallback=False)).status == 502
        assert (await house.post(model=self.OSS)).cache == "HIT"

    async def test_a_tier_is_one_question_whoever_answers(self) -> None:
        answers = {"openai": error(500), "groq": whole("of groq")}
        house = House(lambda out: by_host(**answers)(out), **GROQ)
        assert (await house.post(model="auto")).text == "of groq"
        answers["openai"] = whole("of openai")
        hit = await house.post(model="auto")
        assert (hit.text, hit.headers["x-proxy-provider"]) == ("of groq", "groq")
        own = await house.post(model=self.OSS)  # a tier's entry is none of its model's
        assert (own.text, own.cache) == ("of groq", "MISS")

    async def test_tiers_are_apart_from_each_other_and_from_the_models(self) -> None:
        house = House(by_host(openai=counting()))
        models = ("auto", "smart", "fast", "openai/gpt-5.4-mini", "openai/auto")
        texts = [(await house.post(model=model)).text for model in models]
        assert texts[:4] == ["1", "2", "3", "4"]
        assert [(await house.post(model=model)).text for model in models] == texts

    async def test_who_may_answer_is_part_of_a_question_that_leaves_it_open(self) -> None:
        house = House(by_host(openai=counting(), groq=whole("of groq")), **GROQ)
        assert (await house.post(model="auto")).text == "1"
        assert (await house.post(model="auto", provider="groq")).text == "of groq"
        assert (await house.post(model="auto", strategy="cheapest")).cache == "MISS"

    async def test_what_one_provider_takes_for_granted_another_does_not(self) -> None:
        """top_p 1 is OpenAI's default, and said aloud; Gemini's is 0.95."""
        env = {"GEMINI_API_KEY": "key-of-gemini", "FALLBACK_CHAIN": "openai,gemini"}
        house = House(
            by_host(
                openai=error(500),
                gemini=in_turn(gemini("by top_p 1"), gemini("by Gemini's default")),
            ),
            **env,
        )
        told = await house.post(topP=1)
        assert told.text == "by top_p 1"
        assert house.sent_bodies[-1]["generationConfig"]["topP"] == 1
        own = await house.post(model="gemini/" + told.headers["x-proxy-model"])
        assert own.text == "by Gemini's default"


class TestStale:
    """Every provider fails."""

    @pytest.mark.parametrize(
        "failure",
        [error(500), error(401), error(429), error(408), Fault("network", "gone"), FakeReply(b"")],
        ids=["500", "401", "429", "408", "network", "garbage"],
    )
    @pytest.mark.parametrize(("path", "stream"), FORMS)
    async def test_the_last_answer_is_given_and_marked(
        self, path: str, stream: bool, failure: FakeReply | Fault
    ) -> None:
        house = House(by_host(openai=in_turn(whole("old"), failure)), CACHE_TTL="100")
        await house.post()
        house.clock.time += 160
        told = await house.post(path, stream=stream)
        assert (told.status, told.text) == (200, "old")
        status = "proxy-memory; hit; ttl=-60; detail=stale-if-error"
        assert (told.headers["cache-status"], told.headers["age"]) == (status, "160")
        if path == NATIVE:
            metadata = (told.events[-1] if stream else told.json)["metadata"]
            assert (metadata["cacheStatus"], metadata["cost"]) == ("stale", 0)
            assert metadata["cacheTier"] == "memory"
        assert house.line["proxy.cache.status"] == "stale"
        assert house.line["proxy.attempts"]

    @pytest.mark.parametrize("tier", ["kv", "r2"])
    async def test_from_below(self, tier: str) -> None:
        house = House(by_host(openai=in_turn(whole("old"), error(500))))
        await house.post()
        (house.r2 if tier == "kv" else house.kv).held.clear()
        house.leave()
        house.clock.time += 3600
        told = await house.post()
        assert told.headers["cache-status"] == f"proxy-{tier}; hit; ttl=0; detail=stale-if-error"

    async def test_not_while_a_provider_answers(self) -> None:
        house = House(by_host(openai=counting()), CACHE_TTL="100")
        await house.post()
        house.clock.time += 100
        assert (await house.post()).text == "2"

    @pytest.mark.parametrize("status", [400, 422])
    async def test_not_in_place_of_a_refusal(self, status: int) -> None:
        house = House(by_host(openai=in_turn(whole("old"), error(status))), CACHE_TTL="100")
        await house.post()
        house.clock.time += 100
        assert (await house.post()).status == status

    async def test_not_after_its_grace(self) -> None:
        house = House(
            by_host(openai=in_turn(whole("old"), error(500), error(500))),
            CACHE_TTL="100",
            CACHE_GRACE="50",
        )
        await house.post()
        house.clock.time += 149.75
        assert (await house.post()).text == "old"
        house.clock.time += 0.25
        assert (await house.post()).status == 502

    @pytest.mark.parametrize("headers", [{"cache_control": "no-cache"}])
    async def test_not_for_who_wants_nothing_from_the_cache(self, headers: Any) -> None:
        house = House(by_host(openai=in_turn(whole("old"), error(500))))
        await house.post()
        assert (await house.post(headers=headers)).status == 502

    async def test_a_fresh_one_that_is_too_old_for_the_caller(self) -> None:
        house = House(by_host(openai=in_turn(whole("old"), error(500))))
        await house.post()
        house.clock.time += 60
        told = await house.post(headers={"cache_control": "max-age=10"})
        assert (told.text, told.headers["age"]) == ("old", "60")
        assert "detail=stale-if-error" in told.headers["cache-status"]

    async def test_a_stream_that_breaks_after_it_began_ends_in_its_error(self) -> None:
        house = House(
            by_host(openai=in_turn(whole("old"), stream_of(HELLO, Fault("network", "broke")))),
            CACHE_TTL="100",
        )
        await house.post()
        house.clock.time += 100
        told = await house.post(stream=True)
        assert told.events[-1]["error"]["code"] == 502
        assert "old" not in told.text


ON = {"CACHE_COALESCE": "on"}


class GatedUpstream(FakeUpstream):
    """Answers once its gate is open."""

    def __init__(self, answer: Answerer, gate: asyncio.Event) -> None:
        super().__init__(answer)
        self.gate = gate

    async def send(self, request: Outgoing, *, idle: float) -> FakeReply:
        reply = await super().send(request, idle=idle)
        await self.gate.wait()
        return reply


class Gate:
    """Holds the provider's reply back until it is opened."""

    def __init__(self, reply: FakeReply) -> None:
        self.open = asyncio.Event()
        self.reply = reply

    def house(self, **env: str) -> House:
        house = House(by_host(), **(ON | env))
        house.upstream = GatedUpstream(by_host(openai=self.reply), self.open)
        house.ports = structs.replace(house.ports, upstream=house.upstream)
        house.leave()
        return house

    async def let(self, house: House, *asks: Coroutine[Any, Any, Received]) -> list[Received]:
        """Lets the provider answer once all who ask are there."""
        tasks = [asyncio.ensure_future(ask) for ask in asks]
        for _ in range(20):
            await asyncio.sleep(0)
        self.open.set()
        told = await asyncio.gather(*tasks)
        await house.settle()
        return list(told)


class TestFlight:
    @pytest.mark.parametrize("stream", [False, True])
    async def test_50_at_once_are_one_call(self, stream: bool) -> None:
        gate = Gate(stream_of(HELLO, STOP, DONE) if stream else whole("Hello"))
        house = gate.house()
        told = await gate.let(house, *(house.receive(stream=stream) for _ in range(50)))
        assert len(house.sent) == 1
        assert {(answer.status, answer.text) for answer in told} == {(200, "Hello")}
        states = sorted(answer.headers["cache-status"] for answer in told)
        assert states == [
            "proxy-memory; fwd=miss",
            *["proxy-memory; fwd=miss; collapsed"] * 49,
        ]
        follower = max(told, key=lambda answer: answer.headers["cache-status"])
        metadata = (follower.events[-1] if stream else follower.json)["metadata"]
        assert (metadata["cacheStatus"], metadata["cacheTier"]) == ("hit", None)
        assert metadata["cost"] == 0
        assert (await house.post(stream=stream)).cache == "HIT"

    @pytest.mark.parametrize("stream", [False, True])
    async def test_the_leader_reports_once(self, stream: bool) -> None:
        """Two reports might overtake each other."""
        house = House(by_host(openai=stream_of(HELLO, STOP, DONE) if stream else whole("x")), **ON)
        told: list[bytes | None] = []

        async def publish(_: str, report: Published, arrive: Callable[[], Awaitable[None]]) -> None:
            told.append(report.outcome)
            await arrive()

        house.flights.wrap(PUBLISH, publish)
        await house.post(stream=stream)
        assert [bool(outcome) for outcome in told] == [True]

    async def test_each_gets_the_form_that_it_asked_for(self) -> None:
        gate = Gate(whole("Hello"))
        house = gate.house()
        leader = house.receive()
        told = await gate.let(house, leader, *(house.receive(p, stream=s) for p, s in FORMS))
        assert len(house.sent) == 1
        assert {answer.text for answer in told} == {"Hello"}

    async def test_without_the_setting_each_asks(self) -> None:
        gate = Gate(whole("Hello"))
        house = gate.house(CACHE_COALESCE="off")
        await gate.let(house, *(house.receive() for _ in range(5)))
        assert len(house.sent) == 5
        assert house.flights.held == {}

    @pytest.mark.parametrize(
        "headers",
        [
            {"cache_control": "no-store"},
            {"cache_control": "no-cache"},
            {"cf_aig_skip_cache": "true"},
        ],
    )
    async def test_who_does_not_read_or_store_asks(self, headers: Any) -> None:
        gate = Gate(whole("Hello"))
        house = gate.house()
        await gate.let(house, *(house.receive(headers=headers) for _ in range(3)))
        assert len(house.sent) == 3
        assert house.flights.held == {}

    async def test_different_questions_do_not_wait_for_each_other(self) -> None:
        gate = Gate(whole("Hello"))
        house = gate.house()
        await gate.let(house, *(house.receive(prompt=prompt) for prompt in "aab"))
        assert len(house.sent) == 2

    async def test_tenants_do_not_wait_for_each_other(self) -> None:
        gate = Gate(whole("Hello"))
        house = gate.house(PROXY_API_KEY="one", ADMIN_TOKEN="two")
        asks = [house.receive(headers={"authorization": f"Bearer {key}"}) for key in ("one", "two")]
        await gate.let(house, *asks)
        assert len(house.sent) == 2

    @pytest.mark.parametrize(
        ("failure", "status"), [(error(500), 502), (error(429, **{"retry-after": "9"}), 429)]
    )
    async def test_the_leaders_error_is_everyones(self, failure: FakeReply, status: int) -> None:
        gate = Gate(failure)
        house = gate.house()
        told = await gate.let(house, *(house.receive(fallback=False) for _ in range(20)))
        assert len(house.sent) == 1
        assert {answer.status for answer in told} == {status}
        bodies = [answer.json for answer in told]
        assert {body["error"]["message"] for body in bodies} == {bodies[0]["error"]["message"]}
        assert {body["error"]["source"] for body in bodies} == {"provider"}
        assert {body["metadata"]["attempts"][0]["provider"] for body in bodies} == {"openai"}
        tried = [fields for *_, fields in house.log.lines if "proxy.attempts" in fields]
        assert len(tried) == 1  # it is told to all, and counted once
        assert {answer.headers.get("retry-after") for answer in told} == {
            "9" if status == 429 else None
        }

    async def test_a_stale_answer_is_given_to_all_in_place_of_an_error(self) -> None:
        gate = Gate(whole("old"))
        house = gate.house(CACHE_TTL="100")
        await gate.let(house, house.receive())
        gate.open.clear()
        house.upstream.answer = by_host(openai=error(500))
        house.clock.time += 100
        told = await gate.let(house, *(house.receive(fallback=False) for _ in range(10)))
        assert len(house.sent) == 2
        assert {answer.text for answer in told} == {"old"}
        assert {answer.json["metadata"]["cacheStatus"] for answer in told} == {"stale"}

    @in_no_time
    async def test_an_answer_that_is_not_kept_is_no_outcome(self) -> None:
        """Each of those who wait then asks in its turn."""
        house = House(by_host(openai=whole("")), LoopClock(), **ON)
        await asyncio.gather(*(house.post() for _ in range(3)))
        assert len(house.sent) == 3
        assert asyncio.get_running_loop().time() < 0.1

    @in_no_time
    async def test_nor_is_one_that_cannot_be_written(self) -> None:
        message = {"role": "assistant", "content": "x", "odd": {"n": 2**70}}
        choice = {"index": 0, "message": message, "finish_reason": "stop"}
        reply = FakeReply(json.dumps({"choices": [choice]}).encode())
        house = House(by_host(openai=reply), LoopClock(), **ON)
        told = await asyncio.gather(*(house.post() for _ in range(3)))
        assert {answer.text for answer in told} == {"x"}
        assert len(house.sent) == 3
        assert asyncio.get_running_loop().time() < 0.1

    async def test_a_bug_of_the_leader_is_not_everyones(self) -> None:
        count = 0

        def answer(_: Outgoing) -> FakeReply:
            nonlocal count
            count += 1
            if count == 1:
                raise AssertionError("a bug")
            return whole("Hello")

        house = House(answer, **ON)
        told = await asyncio.gather(*(house.post() for _ in range(5)))
        assert sorted(answer.status for answer in told) == [200] * 4 + [500]
        assert len(house.sent) == 2

    async def test_nor_is_its_isolates_want_of_room(self) -> None:
        """Another isolate has room."""
        count = 0

        def answer(_: Outgoing) -> FakeReply:
            nonlocal count
            count += 1
            if count == 1:
                raise Unavailable("No room.", code="overloaded")
            return whole("Hello")

        house = House(answer, **ON)
        told = await asyncio.gather(*(house.post() for _ in range(5)))
        assert sorted(answer.status for answer in told) == [200] * 4 + [503]

    @in_no_time
    async def test_a_leader_waits_for_no_flight_that_hangs(self) -> None:
        house = House(by_host(openai=FakeReply(30.0, *whole("Hello").pieces)), LoopClock(), **ON)
        asking = asyncio.ensure_future(house.receive())
        await asyncio.sleep(0.5)
        house.flights.silent = True
        assert (await asking).text == "Hello"
        assert len(house.flights.called(RENEW)) > 10  # a sign of life may come through
        await house.settle()
        assert asyncio.get_running_loop().time() < 35
        assert "flight unreachable" in house.events("error")

    async def test_a_leader_that_is_cancelled_hands_over(self) -> None:
        gate = Gate(whole("Hello"))
        house = gate.house()
        leader = asyncio.ensure_future(house.receive())
        for _ in range(20):
            await asyncio.sleep(0)
        asks = [asyncio.ensure_future(house.receive()) for _ in range(3)]
        for _ in range(20):
            await asyncio.sleep(0)
        leader.cancel()
        with pytest.raises(asyncio.CancelledError):
            await leader
        gate.open.set()
        assert {answer.text for answer in await asyncio.gather(*asks)} == {"Hello"}
        assert len(house.sent) == 2

    @pytest.mark.parametrize(
        "pieces",
        [
            (HELLO, Fault("network", "broke")),
            (HELLO, DONE),
            (HELLO, event({}, "content_filter"), DONE),
        ],
    )
    @in_no_time
    async def test_a_leader_whose_stream_ends_badly_hands_over(self, pieces: Any) -> None:
        after = stream_of(HELLO, event({"content": "!"}), STOP, DONE)
        house = House(by_host(openai=in_turn(stream_of(*pieces), after)), LoopClock(), **ON)
        response = await house.begin(stream=True)
        other = asyncio.ensure_future(house.post(stream=True))
        await asyncio.sleep(0.01)
        assert not other.done()
        await read_stream(response)
        assert (await other).text == "Hello!"
        assert asyncio.get_running_loop().time() < 0.1

    @in_no_time
    async def test_a_leader_whose_caller_leaves_hands_over(self) -> None:
        left = stream_of(HELLO, HELLO, HELLO, STOP, DONE)
        house = House(by_host(openai=in_turn(left, whole("Hello!"))), LoopClock(), **ON)
        response = await house.begin(stream=True)
        other = asyncio.ensure_future(house.post())
        await asyncio.sleep(0.01)
        await read_stream(response, gone_after=1)
        assert (await other).text == "Hello!"
        assert asyncio.get_running_loop().time() < 0.1

    @in_no_time
    async def test_a_leader_that_dies_is_replaced(self) -> None:
        """Its isolate is gone: no report, no sign of life."""
        house = House(by_host(openai=whole("Hello")), LoopClock(), **ON)
        await house.post()
        [key] = house.flights.held
        house.empty_below()
        house.leave()
        await asyncio.sleep(KEEP_SECONDS + LEASE_SECONDS)
        dead = Joined("leader", ticket=2)
        assert await house.flights.held[key].join(0) == dead
        began = asyncio.get_running_loop().time()
        told = await asyncio.gather(*(house.post() for _ in range(10)))
        assert asyncio.get_running_loop().time() - began == pytest.approx(LEASE_SECONDS, abs=0.01)
        assert {answer.text for answer in told} == {"Hello"}
        assert len(house.sent) == 2

    @in_no_time
    async def test_a_slow_leader_lives(self) -> None:
        slow = FakeReply(10 * LEASE_SECONDS, *whole("Hello").pieces)
        house = House(by_host(openai=slow), LoopClock(), **ON)
        told = await asyncio.gather(*(house.post() for _ in range(10)))
        assert {answer.text for answer in told} == {"Hello"}
        assert len(house.sent) == 1

    @in_no_time
    async def test_who_comes_late_gets_the_outcome_from_another_isolate(self) -> None:
        house = House(by_host(openai=counting()), LoopClock(), **ON)
        await house.post()
        house.empty_below()  # the tiers lag behind
        house.leave()
        await asyncio.sleep(KEEP_SECONDS - 0.01)
        late = await house.post()
        assert (late.text, late.headers["cache-status"][-9:]) == ("1", "collapsed")
        assert (await house.post()).json["metadata"]["cacheTier"] == "memory"

    @in_no_time
    async def test_who_waits_takes_over_from_a_leader_that_lived_for_long(self) -> None:
        answers: list[Outcome] = [FakeReply(50.0, b"never"), whole("Hello")]
        house = House(lambda _: answers.pop(0), LoopClock(), **ON)
        leader = asyncio.ensure_future(house.receive())
        await asyncio.sleep(1)
        asks = [asyncio.ensure_future(house.receive()) for _ in range(10)]
        await asyncio.sleep(19.5)
        assert not any(asking.done() for asking in asks)
        leader.cancel()
        assert {answer.text for answer in await asyncio.gather(*asks)} == {"Hello"}
        assert asyncio.get_running_loop().time() < 21
        assert len(house.sent) == 2

    async def test_flights_that_are_down_leave_everyone_alone(self) -> None:
        gate = Gate(whole("Hello"))
        house = gate.house()
        house.flights.down = True
        told = await gate.let(house, *(house.receive() for _ in range(5)))
        assert {(answer.status, answer.text) for answer in told} == {(200, "Hello")}
        assert len(house.sent) == 5
        assert "flight unreachable" in house.events("error")

    @pytest.mark.parametrize(
        ("reply", "stream"),
        [(error(500), False), (stream_of(HELLO, Fault("network", "broke")), True)],
    )
    @in_no_time
    async def test_whose_report_hangs_has_its_answer_at_once(
        self, reply: FakeReply, stream: bool
    ) -> None:
        house = House(by_host(openai=reply), LoopClock(), **ON)

        async def hang(*_: object) -> None:
            await asyncio.sleep(10_000)

        house.flights.wrap(PUBLISH, hang)
        asking = asyncio.ensure_future(house.receive(stream=stream))
        await asyncio.sleep(1)
        done = asking.done()
        asking.cancel()
        assert done

    @pytest.mark.parametrize("reply", [whole("Hello"), error(500)])
    async def test_flights_that_go_down_meanwhile_cost_nobody_an_answer(
        self, reply: FakeReply
    ) -> None:
        gate = Gate(reply)
        house = gate.house()
        asking = asyncio.ensure_future(house.receive())
        for _ in range(20):
            await asyncio.sleep(0)
        house.flights.down = True
        gate.open.set()
        assert (await asking).status == (200 if reply.status == 200 else 502)
        await house.settle()
        assert house.events("error").count("flight unreachable") == 1

    @in_no_time
    async def test_flights_that_hang_leave_everyone_alone(self) -> None:
        house = House(by_host(openai=whole("Hello")), LoopClock(), **ON)
        house.flights.silent = True
        asking = asyncio.ensure_future(house.post(timeout=5000))
        await asyncio.sleep(6)
        done = asking.done()
        asking.cancel()
        assert done

    @in_no_time
    async def test_flights_that_hang_cost_one_request_its_time(self) -> None:
        house = House(by_host(openai=lambda _: whole("Hello")), LoopClock(), **ON)
        house.flights.silent = True
        loop = asyncio.get_running_loop()
        for number in range(20):
            assert (await house.receive(prompt=f"Hello {number}")).status == 200
        assert loop.time() == pytest.approx(2, abs=0.1)
        await asyncio.sleep(5)
        began = loop.time()
        for number in range(20, 40):
            await house.receive(prompt=f"Hello {number}")
        assert loop.time() - began == pytest.approx(2, abs=0.1)
        house.flights.silent = False
        await asyncio.sleep(5)
        await house.post(prompt="Are you there?")
        told = await asyncio.gather(*(house.post(prompt="Hello again") for _ in range(5)))
        assert {answer.text for answer in told} == {"Hello"}
        assert len(house.sent) == 40 + 1 + 1

    @in_no_time
    async def test_a_flight_that_hangs_leaves_a_request_the_rest_of_its_time(self) -> None:
        house = House(by_host(openai=whole("Hello")), LoopClock(), **ON)
        house.flights.silent = True
        assert (await house.post(timeout=3000)).text == "Hello"

    @pytest.mark.parametrize("outcome", [b"", b"Aof another version", b"Eof another version"])
    async def test_an_outcome_that_cannot_be_read_leaves_one_alone(self, outcome: bytes) -> None:
        house = House(by_host(openai=whole("Hello")), **ON)
        await house.post()
        [flight] = house.flights.held.values()
        flight._outcome = outcome
        house.empty_below()
        house.leave()
        told = await house.post()
        assert told.status == 200
        assert told.text == "Hello"

    async def test_a_fallbacks_answer_never_fills_the_key_of_the_named_model(self) -> None:
        house = House(
            by_host(
                openai=in_turn(error(500), error(500), whole("of openai")), groq=whole("of groq")
            ),
            **ON,
            **GROQ,
        )
        told = await asyncio.gather(*(house.post() for _ in range(3)))
        assert {answer.text for answer in told} == {"of groq"}
        house.clock.time += KEEP_SECONDS
        assert (await house.post()).text == "of openai"

    async def test_what_was_purged_is_not_shown_by_a_flight_either(self) -> None:
        house = House(by_host(openai=counting()), **ON)
        await house.post()
        house.clock.time += 0.25
        assert (await house.fetch("DELETE", "/admin/cache?all=true")).status == 204
        house.clock.time += 0.25
        assert (await house.post()).text == "2"

    async def test_what_is_too_old_for_the_caller_is_not_shown_either(self) -> None:
        house = House(by_host(openai=counting()), **ON)
        await house.post()
        house.clock.time += 1.75
        assert (await house.post(headers={"cache_control": "max-age=0"})).text == "2"

    @in_no_time
    async def test_a_leader_in_a_hurry_does_not_time_out_the_patient(self) -> None:
        slow = FakeReply(2.0, *whole("Hello").pieces)
        house = House(by_host(openai=slow), LoopClock(), **ON)
        hasty = asyncio.ensure_future(house.post(timeout=1000))
        await asyncio.sleep(0.5)
        patient = await house.post(timeout=60_000)
        assert (await hasty).status == 504
        assert patient.status == 200
        assert patient.text == "Hello"

    @in_no_time
    async def test_waiting_counts_for_the_deadline(self) -> None:
        slow = FakeReply(100.0, *whole("Hello").pieces)
        house = House(by_host(openai=slow), LoopClock(), **ON)
        leader = asyncio.ensure_future(house.post())
        await asyncio.sleep(0.5)
        began = asyncio.get_running_loop().time()
        hasty = await house.post(timeout=1000)
        took = asyncio.get_running_loop().time() - began
        leader.cancel()
        assert hasty.status == 504
        assert took == pytest.approx(1, abs=0.1)


def slow_error(status: int = 500, seconds: float = 0.5) -> FakeReply:
    """An error that comes when others have joined the flight."""
    return FakeReply(seconds, *error(status).pieces, status=status)


ALONE: dict[str, Any] = {"fallback": False}


class TestTerms:
    """A leader's error is a follower's only where the leader had all that the follower has."""

    async def flown(self, house: House, *asks: Any) -> list[Received]:
        """Requests for the same, each of which begins a little later than the one before."""
        tasks = []
        for headers, body in asks:
            tasks.append(asyncio.ensure_future(house.receive(headers=headers, **body)))
            await asyncio.sleep(0.01)
        told = await asyncio.gather(*tasks)
        await house.settle()
        return list(told)

    @pytest.mark.parametrize(
        ("leader", "follower"),
        [
            (({}, {"fallback": False}), ({}, {})),
            (({}, {"fallback": []}), ({}, {"fallback": ["groq"]})),
            (({}, {"fallback": False, "timeout": 2000}), ({}, {"timeout": 60_000})),
        ],
    )
    @in_no_time
    async def test_who_may_fall_back_does(self, leader: Any, follower: Any) -> None:
        replies = by_host(openai=lambda _: slow_error(), groq=lambda _: whole("of groq"))
        house = House(replies, LoopClock(), **ON, **GROQ)
        first, *rest = await self.flown(house, leader, *[follower] * 10)
        assert first.status == 502
        assert {(told.status, told.text) for told in rest} == {(200, "of groq")}
        assert house.sent.count("api.groq.com") == 1  # those who have as much fly together

    @pytest.mark.parametrize(
        ("leader", "follower"),
        [
            (({}, ALONE | {"timeout": 2000}), ({}, ALONE)),
            (({"cf_aig_max_attempts": "1"}, ALONE), ({"cf_aig_max_attempts": "2"}, ALONE)),
            (({"cf_aig_retry_delay": "1"}, ALONE), ({"cf_aig_retry_delay": "100"}, ALONE)),
        ],
    )
    @in_no_time
    async def test_who_has_more_time_or_tries_asks_again(self, leader: Any, follower: Any) -> None:
        answers = [slow_error(), whole("Hello")]
        house = House(by_host(openai=lambda _: answers.pop(0)), LoopClock(), **ON)
        first, *rest = await self.flown(house, leader, *[follower] * 10)
        assert first.status == 502
        assert {(told.status, told.text) for told in rest} == {(200, "Hello")}
        assert len(house.sent) == 2

    @pytest.mark.parametrize(
        ("leader", "follower"),
        [
            (({}, {}), ({}, {"fallback": False})),
            (({}, {}), ({}, {"timeout": 20_000})),
            (({"cf_aig_max_attempts": "2"}, {}), ({"cf_aig_max_attempts": "1"}, {})),
            (({}, {}), ({}, {})),
        ],
    )
    @in_no_time
    async def test_who_has_no_more_is_told_the_leaders_error(
        self, leader: Any, follower: Any
    ) -> None:
        alone, house = (
            House(by_host(openai=lambda _: slow_error()), LoopClock(), **ON) for _ in range(2)
        )
        await self.flown(alone, leader)
        told = await self.flown(house, leader, *[follower] * 10)
        assert {answer.status for answer in told} == {502}
        assert house.sent == alone.sent

    @in_no_time
    async def test_a_time_out_is_the_leaders_alone(self) -> None:
        replies: list[Outcome] = [FakeReply(1000.0, b"never"), whole("Hello")]
        house = House(by_host(openai=lambda _: replies.pop(0)), LoopClock(), **ON)
        body = {"timeout": 2000}
        leader = asyncio.ensure_future(house.receive(**body))
        await asyncio.sleep(1)
        assert (await house.post(**body)).text == "Hello"
        assert (await leader).status == 504

    @pytest.mark.parametrize("fallback", [False, True])
    @in_no_time
    async def test_a_keys_limits_are_the_leaders_alone(self, fallback: bool) -> None:
        """The leader may not go to one provider any more, and the other fails."""
        replies = by_host(openai=lambda _: whole("of openai"), groq=lambda _: slow_error())
        keys = {"PROXY_API_KEY": "one", "ADMIN_TOKEN": "two", "CACHE_SCOPE": "shared"}
        limits = {"OPENAI_RATE_LIMIT_BURST": "1", "OPENAI_RATE_LIMIT_PER_HOUR": "1"}
        house = House(replies, LoopClock(), **ON, **GROQ, **keys, **limits)
        one, two = ({"authorization": f"Bearer {key}"} for key in ("one", "two"))
        await house.post(headers=one, prompt="Something else")
        body = {"fallback": fallback}
        leader, follower = await self.flown(house, (one, body), (two, body))
        assert leader.status == (502 if fallback else 429)
        assert (follower.status, follower.text) == (200, "of openai")


class TestWithoutNeed:
    """What fails without need does not fail the request."""

    @pytest.mark.parametrize("stream", [False, True])
    async def test_kv_and_r2_that_raise(self, stream: bool) -> None:
        reply = stream_of(HELLO, STOP, DONE) if stream else whole("Hello")
        house = House(by_host(openai=reply))
        house.kv.fault = house.r2.fault = RuntimeError("down")
        told = await house.post(stream=stream)
        assert (told.status, told.text) == (200, "Hello")
        assert (await house.post()).json["metadata"]["cacheTier"] == "memory"

    @in_no_time
    async def test_kv_and_r2_that_hang(self) -> None:
        house = House(by_host(openai=counting()), LoopClock())
        house.kv.silent = house.r2.silent = True
        told = await house.receive()
        assert (told.status, told.text) == (200, "1")
        assert asyncio.get_running_loop().time() == pytest.approx(0.1)
        await asyncio.sleep(0)
        again = await house.receive()
        assert again.json["metadata"]["cacheTier"] == "memory"
        assert house.events("warning") == ["cache tier slow"] * 2

    @in_no_time
    async def test_how_long_they_may_take_is_a_setting(self) -> None:
        house = House(by_host(openai=counting()), LoopClock(), CACHE_TIMEOUT_MS="7")
        house.kv.silent = house.r2.silent = True
        await house.receive()
        assert asyncio.get_running_loop().time() == pytest.approx(0.014)

    async def test_what_is_foreign_in_them(self) -> None:
        house = House(by_host(openai=counting()))
        await house.post()
        for store in (house.kv, house.r2):
            store.held = {key: (b"APC\x01" + bytes(50), 1) for key in store.held}
        house.leave()
        house.clock.time += 1
        assert (await house.post()).text == "2"
        house.leave()
        assert (await house.post()).text == "2"

    async def test_purges_that_are_unreachable(self) -> None:
        house = House(by_host(openai=counting()))
        house.purges.down = True
        texts = [(await house.post()).text for _ in range(2)]
        assert texts == ["1", "2"]
        assert house.events("error") == ["purges unreachable"] * 2
        house.purges.down = False
        assert (await house.post()).text == "2"
        house.purges.down = True
        house.clock.time += HOLD_SECONDS
        assert (await house.post()).text == "3"

    async def test_all_of_them_at_once(self) -> None:
        house = House(by_host(openai=counting()), **ON)
        house.kv.fault = house.r2.fault = RuntimeError("down")
        house.purges.down = house.flights.down = True
        assert (await house.post()).text == "1"
        assert (await house.post(OPENAI, stream=False)).text == "2"

    @in_no_time
    async def test_purges_that_hang(self) -> None:
        house = House(by_host(openai=counting()), LoopClock())
        house.purges.silent = True
        asking = asyncio.ensure_future(house.receive(timeout=5000))
        await asyncio.sleep(6)
        done = asking.done()
        asking.cancel()
        assert done

    async def test_the_cron_trigger_prunes_whatever_the_checks_do(self) -> None:
        house = House(by_host(openai=whole("")))

        house.objects.board.down = True
        with pytest.raises(RuntimeError):
            await maintain(house.app.services)
        assert "cache pruned" in house.events("info")


async def test_the_cron_trigger_prunes_the_keys_whose_turn_it_is() -> None:
    house = House(by_host(openai=whole("")))
    house.clock.time = 300.0 * (256 * 1000 + 0xAB)
    house.r2.held = {"ab1": (b"", 1), "ac1": (b"", 1)}
    await maintain(house.app.services)
    assert [*house.r2.held] == ["ac1"]
    house.ports = structs.replace(house.ports, r2=None)
    await maintain(house.isolate().services)
    assert house.events("info").count("cache pruned") == 1
