"""Identical requests at once share one call of a provider."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from proxy.cache.flight import KEEP_SECONDS, PUBLISH, Published
from proxy.core.errors import Unavailable
from proxy.core.ports import Outgoing
from tests.unit.doubles import FakeReply, LoopClock, in_no_time
from tests.unit.routing.making import DONE, HELLO, STOP, error, whole
from tests.unit.serving.making import (
    FORMS,
    GROQ,
    House,
    by_host,
    completion_of,
    counting,
    in_turn,
    stream_of,
)
from tests.unit.serving.making_coalescing import ON, Gate


class TestSharing:
    @pytest.mark.parametrize("stream", [False, True])
    async def test_50_at_once_are_one_call(self, stream: bool) -> None:
        gate = Gate(stream_of(HELLO, STOP, DONE) if stream else whole("Hello"))
        house = gate.house()
        answers = await gate.let(house, *(house.receive(stream=stream) for _ in range(50)))
        assert len(house.sent) == 1
        assert {(answer.status, answer.text) for answer in answers} == {(200, "Hello")}
        states = sorted(answer.headers["cache-status"] for answer in answers)
        assert states == [
            "proxy-memory; fwd=miss",
            *["proxy-memory; fwd=miss; collapsed"] * 49,
        ]
        follower = max(answers, key=lambda answer: answer.headers["cache-status"])
        metadata = (follower.events[-1] if stream else follower.json)["metadata"]
        assert (metadata["cacheStatus"], metadata["cacheTier"]) == ("hit", None)
        assert metadata["cost"] == 0
        assert (await house.post(stream=stream)).cache == "HIT"

    @pytest.mark.parametrize("stream", [False, True])
    async def test_the_leader_reports_once(self, stream: bool) -> None:
        """Two reports might overtake each other."""
        house = House(by_host(openai=stream_of(HELLO, STOP, DONE) if stream else whole("x")), **ON)
        outcomes: list[bytes | None] = []

        async def publish(_: str, report: Published, arrive: Callable[[], Awaitable[None]]) -> None:
            outcomes.append(report.outcome)
            await arrive()

        house.flights.wrap(PUBLISH, publish)
        await house.post(stream=stream)
        assert [bool(outcome) for outcome in outcomes] == [True]

    async def test_each_gets_the_form_that_it_wants(self) -> None:
        gate = Gate(whole("Hello"))
        house = gate.house()
        leader = house.receive()
        answers = await gate.let(house, leader, *(house.receive(p, stream=s) for p, s in FORMS))
        assert len(house.sent) == 1
        assert {answer.text for answer in answers} == {"Hello"}

    async def test_without_the_setting_each_calls_the_provider(self) -> None:
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
    async def test_a_request_that_does_not_read_or_store_calls_the_provider(
        self, headers: Any
    ) -> None:
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
        chats = [
            house.receive(headers={"authorization": f"Bearer {key}"}) for key in ("one", "two")
        ]
        await gate.let(house, *chats)
        assert len(house.sent) == 2

    @pytest.mark.parametrize(
        ("failure", "status"), [(error(500), 502), (error(429, **{"retry-after": "9"}), 429)]
    )
    async def test_the_leaders_error_is_everyones(self, failure: FakeReply, status: int) -> None:
        gate = Gate(failure)
        house = gate.house()
        answers = await gate.let(house, *(house.receive(fallback=False) for _ in range(20)))
        assert len(house.sent) == 1
        assert {answer.status for answer in answers} == {status}
        bodies = [answer.json for answer in answers]
        assert {body["error"]["message"] for body in bodies} == {bodies[0]["error"]["message"]}
        assert {body["error"]["source"] for body in bodies} == {"provider"}
        assert {body["metadata"]["attempts"][0]["provider"] for body in bodies} == {"openai"}
        tried = [fields for *_, fields in house.log.lines if "proxy.attempts" in fields]
        assert len(tried) == 1  # all get it, and it is counted once
        assert {answer.headers.get("retry-after") for answer in answers} == {
            "9" if status == 429 else None
        }

    async def test_a_stale_answer_is_given_to_all_in_place_of_an_error(self) -> None:
        gate = Gate(whole("old"))
        house = gate.house(CACHE_TTL="100")
        await gate.let(house, house.receive())
        gate.open.clear()
        house.upstream.answer = by_host(openai=error(500))
        house.clock.time += 100
        answers = await gate.let(house, *(house.receive(fallback=False) for _ in range(10)))
        assert len(house.sent) == 2
        assert {answer.text for answer in answers} == {"old"}
        assert {answer.json["metadata"]["cacheStatus"] for answer in answers} == {"stale"}

    @in_no_time
    async def test_an_answer_that_is_not_kept_is_no_outcome(self) -> None:
        """Each of those that wait then calls the provider in its turn."""
        house = House(by_host(openai=whole("")), LoopClock(), **ON)
        await asyncio.gather(*(house.post() for _ in range(3)))
        assert len(house.sent) == 3
        assert asyncio.get_running_loop().time() < 0.1

    @in_no_time
    async def test_an_answer_that_cannot_be_written_is_no_outcome(self) -> None:
        message = {"role": "assistant", "content": "x", "odd": {"n": 2**70}}
        house = House(by_host(openai=completion_of(message)), LoopClock(), **ON)
        answers = await asyncio.gather(*(house.post() for _ in range(3)))
        assert {answer.text for answer in answers} == {"x"}
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
        answers = await asyncio.gather(*(house.post() for _ in range(5)))
        assert sorted(answer.status for answer in answers) == [200] * 4 + [500]
        assert len(house.sent) == 2

    async def test_a_leaders_want_of_room_is_not_everyones(self) -> None:
        """Another isolate has room."""
        count = 0

        def answer(_: Outgoing) -> FakeReply:
            nonlocal count
            count += 1
            if count == 1:
                raise Unavailable("No room.", code="overloaded")
            return whole("Hello")

        house = House(answer, **ON)
        answers = await asyncio.gather(*(house.post() for _ in range(5)))
        assert sorted(answer.status for answer in answers) == [200] * 4 + [503]


class TestOutcomes:
    """What a flight does not show its followers."""

    @pytest.mark.parametrize("outcome", [b"", b"Aof another version", b"Eof another version"])
    async def test_an_outcome_that_cannot_be_read_leaves_one_alone(self, outcome: bytes) -> None:
        house = House(by_host(openai=whole("Hello")), **ON)
        await house.post()
        [flight] = house.flights.held.values()
        flight._outcome = outcome
        house.empty_below()
        house.leave()
        answer = await house.post()
        assert answer.status == 200
        assert answer.text == "Hello"

    async def test_a_fallbacks_answer_never_fills_the_key_of_the_named_model(self) -> None:
        house = House(
            by_host(
                openai=in_turn(error(500), error(500), whole("of openai")), groq=whole("of groq")
            ),
            **ON,
            **GROQ,
        )
        answers = await asyncio.gather(*(house.post() for _ in range(3)))
        assert {answer.text for answer in answers} == {"of groq"}
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
