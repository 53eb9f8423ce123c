"""A conversation stays with the provider that has its prompt, as far as it may."""

from collections import Counter
from typing import Any

import pytest
from msgspec import structs

from proxy.core.chat import Call, ChatRequest, Routing
from proxy.core.errors import Fault
from proxy.core.messages import Message
from proxy.core.permit import Refusal
from proxy.core.ports import Outgoing, Ports
from proxy.core.settings import read_settings
from proxy.routing.affinity import FORGET_MS, Conversation
from proxy.routing.fallback import Success
from proxy.routing.needs import Needs
from proxy.routing.operations import RunOptions
from proxy.routing.ranking import Ranker, Ranking
from tests.unit.doubles import CountingRandom, FakeReply, LoopClock, in_no_time, ports
from tests.unit.routing.making import (
    ENV,
    Isolate,
    by_host,
    call,
    error,
    made_catalog,
    priced,
    whole,
)

EVEN = {"ROUTING_STRATEGY": "weighted", "ROUTING_WEIGHTS": "groq=1, openai=1"}
IGNORED = ("gemini", "openrouter")
SEVERAL: dict[str, Any] = {"model": "auto", "fallback": True, "ignore": IGNORED}
"""Of groq and openai, which come in this order."""
SESSIONS = [f"session-{number}" for number in range(60)]


class Failing:
    """Providers that answer, but for those that are down."""

    def __init__(self) -> None:
        self.down: set[str] = set()
        self.clock = LoopClock()
        self.ports: Ports = ports(self.answer, clock=self.clock)

    def answer(self, request: Outgoing) -> FakeReply | Fault | float:
        host = request.url.split("/")[2].removesuffix(".test")
        return error(404) if host in self.down else whole(host)

    def isolate(self, **env: str) -> Isolate:
        return Isolate(made_catalog(), self.ports, **env)


async def run(
    isolate: Isolate, session: str = "", messages: tuple[Message, ...] = (), **routing: Any
) -> Success:
    made = call(**(SEVERAL | routing))
    if messages:
        made = structs.replace(made, chat=ChatRequest(messages=messages))
    options = RunOptions(session=session)
    _, success = await isolate.manager.complete(made, isolate.permit, options)
    return success


async def turn(isolate: Isolate, session: str = "", **given: Any) -> str:
    """Who is tried, in their order."""
    success = await run(isolate, session, **given)
    return " ".join(attempt.provider for attempt in success.attempts)


def user(text: str) -> Message:
    return Message("user", text)


@in_no_time
async def test_its_turns_meet_the_same_provider_in_every_isolate() -> None:
    world = Failing()
    first, second = world.isolate(**EVEN), world.isolate(**EVEN)
    met = [await turn(first, session) for session in SESSIONS]
    assert [await turn(second, session) for session in SESSIONS] == met
    assert [await turn(first, session) for session in reversed(SESSIONS)] == met[::-1]
    assert min(Counter(met).values()) > 15
    assert set(met) == {"groq", "openai"}


@in_no_time
async def test_without_a_name_it_is_known_by_its_beginning() -> None:
    world = Failing()
    first, second = world.isolate(**EVEN), world.isolate(**EVEN)
    met = set()
    for number in range(40):
        begun = (Message("system", "Be brief."), user(f"Question {number}"))
        more = (*begun, Message("assistant", "Yes."), user("And then?"))
        there = await turn(first, messages=begun)
        assert await turn(second, messages=more) == there
        met.add(there)
    assert met == {"groq", "openai"}


@pytest.mark.parametrize(("sticky", "named", "alike"), [
    ("on", True, False), ("on", False, True), ("off", True, False),
])  # fmt: skip
def test_a_named_conversation_draws_before_the_user(sticky: str, named: bool, alike: bool) -> None:
    @in_no_time
    async def play() -> None:
        isolate = Failing().isolate(**EVEN, ROUTING_STICKY=sticky)
        met = {
            await turn(isolate, session if named else "", messages=(user(session),))
            for session in SESSIONS
        }
        assert (len(met) == 1) == alike

    play()


@pytest.mark.parametrize("env", [{}, EVEN], ids=["priority", "weighted"])
def test_who_answered_in_the_place_of_another_is_its_home(env: dict[str, str]) -> None:
    @in_no_time
    async def play() -> None:
        world = Failing()
        isolate = world.isolate(**env)
        usual = await turn(isolate, "a")
        other = {"groq": "openai", "openai": "groq"}[usual]
        world.down = {usual}
        assert await turn(isolate, "a") == f"{usual} {other}"
        world.down = set()
        isolate.watch.breakers.reset(isolate.watch.now)
        assert [await turn(isolate, "a") for _ in range(3)] == [other] * 3
        assert await turn(world.isolate(**env), "a") == usual

    play()


@in_no_time
async def test_a_chain_stays_for_other_conversations() -> None:
    world = Failing()
    isolate = world.isolate()
    world.down = {"groq"}
    assert await turn(isolate, "a") == "groq openai"
    world.down = set()
    isolate.watch.breakers.reset(isolate.watch.now)
    assert [await turn(isolate, name) for name in ("b", "a", "")] == ["groq", "openai", "groq"]
    world.down = {"openai"}
    assert await turn(isolate, "a") == "openai groq"
    world.down = set()
    isolate.watch.breakers.reset(isolate.watch.now)
    assert await turn(isolate, "a") == "groq"


@pytest.mark.parametrize(
    "explicit",
    [{"strategy": "priority"}, {"order": ("groq", "openai")}, {"model": "groq/auto"}],
    ids=str,
)
def test_what_the_request_says_of_the_order_stays(explicit: dict[str, Any]) -> None:
    @in_no_time
    async def play() -> None:
        world = Failing()
        isolate = world.isolate()
        for routing in (SEVERAL, SEVERAL | explicit):
            world.down = {"groq"}
            assert await turn(isolate, "a", **routing) == "groq openai"
            world.down = set()
            isolate.watch.breakers.reset(isolate.watch.now)
        assert await turn(isolate, "a", **explicit) == "groq"

    play()


@in_no_time
async def test_it_does_not_stay_where_it_may_not() -> None:
    world = Failing()
    isolate = world.isolate()
    world.down = {"groq"}
    await turn(isolate, "a")
    isolate.watch.breakers.reset(isolate.watch.now)
    world.down = {"openai"}
    isolate.permit.refusals = [Refusal(limit="provider:openai", message="used up")]
    world.down = set()
    success = await run(isolate, "a")
    assert [(a.provider, a.outcome) for a in success.attempts] == [
        ("openai", "limited"),
        ("groq", "ok"),
    ]
    assert await turn(isolate, "a") == "groq"  # its cache is there now


@in_no_time
async def test_an_open_breaker_ends_its_stay() -> None:
    world = Failing()
    isolate = world.isolate()
    world.down = {"groq"}
    await turn(isolate, "a")
    isolate.watch.breakers.reset(isolate.watch.now)
    world.down = {"openai"}
    await turn(isolate, "other", model="openai/auto")
    world.down = set()
    assert isolate.watch.breakers.open == {"openai/gpt"}
    assert await turn(isolate, "a") == "groq"
    isolate.watch.breakers.reset(isolate.watch.now)
    assert await turn(isolate, "a") == "groq"


@in_no_time
async def test_a_home_is_forgotten_in_an_hour_without_use() -> None:
    world = Failing()
    isolate = world.isolate()
    world.down = {"groq"}
    await turn(isolate, "a")
    world.down = set()
    isolate.watch.breakers.reset(isolate.watch.now)
    for _ in range(3):
        world.clock.time += FORGET_MS / 1000 - 10
        assert await turn(isolate, "a") == "openai"
    world.clock.time += FORGET_MS / 1000 + 10
    assert await turn(isolate, "a") == "groq"


@in_no_time
async def test_it_can_be_switched_off() -> None:
    world = Failing()
    isolate = world.isolate(SESSION_AFFINITY="off")
    world.down = {"groq"}
    await turn(isolate, "a")
    world.down = set()
    isolate.watch.breakers.reset(isolate.watch.now)
    assert await turn(isolate, "a") == "groq"
    even = world.isolate(**EVEN, SESSION_AFFINITY="off")  # each draw is 0.5 here
    assert len({await turn(even, session) for session in SESSIONS}) == 1


@in_no_time
async def test_of_equal_prices_it_decides() -> None:
    catalog = priced(groq=1.0, openai=1.0, gemini=5.0, openrouter=0.5)
    isolate = Isolate(catalog, ports(by_host(groq=whole("g"), openai=whole("o"))))
    met = [await turn(isolate, session, strategy="cheapest") for session in SESSIONS]
    assert [await turn(isolate, session, strategy="cheapest") for session in SESSIONS] == met
    assert set(met) == {"groq", "openai"}


# What a turn carries of its provider


def sealed(owner: str) -> tuple[Message, ...]:
    state = {owner: {"thinking_blocks": [{"type": "thinking"}]}}
    return (user("hi"), Message("assistant", "Hm.", extra_content=state), user("go on"))


@in_no_time
async def test_thinking_goes_back_to_who_thought() -> None:
    world = Failing()
    for env in ({}, EVEN, {"ROUTING_STRATEGY": "fastest"}, {"ROUTING_STRATEGY": "cheapest"}):
        for owner in ("groq", "openai"):
            success = await run(world.isolate(**env), "a", sealed(owner))
            assert (success.target.spec.name, success.dropped) == (owner, ())
    world.down = {"openai"}
    success = await run(world.isolate(), "a", sealed("openai"))
    assert (success.target.spec.name, success.dropped) == ("groq", ("thinking",))
    success = await run(world.isolate(), "a", sealed("openai"), strategy="priority")
    assert (success.target.spec.name, success.dropped) == ("groq", ("thinking",))


@in_no_time
async def test_thinking_passes_no_open_breaker() -> None:
    world = Failing()
    isolate = world.isolate()
    world.down = {"openai"}
    await turn(isolate, model="openai/auto")
    success = await run(isolate, "a", sealed("openai"))
    assert [attempt.provider for attempt in success.attempts] == ["groq"]


@in_no_time
async def test_thinking_does_not_go_before_a_strategy_of_the_request() -> None:
    catalog = priced(groq=1.0, openai=2.0)
    out = ports(by_host(groq=whole("g"), openai=whole("o")))
    for strategy, provider in ((None, "openai"), ("cheapest", "groq")):
        isolate = Isolate(catalog, out, ROUTING_STRATEGY="cheapest")
        success = await run(isolate, "a", sealed("openai"), strategy=strategy)
        assert success.target.spec.name == provider


@in_no_time
async def test_what_another_dialect_cannot_take_is_named() -> None:
    isolate = Failing().isolate()
    for dialect, dropped in (("chat", ()), ("messages", ("betas",))):
        chat = ChatRequest(messages=(user("hi"),), dialect=dialect)  # type: ignore[arg-type]
        made = Call(chat=chat, routing=Routing(model="groq/auto"), dropped=("betas",))
        _, success = await isolate.manager.complete(made, isolate.permit)
        assert success.dropped == dropped


# What it costs


async def rank(session: str, env: dict[str, str], **routing: Any) -> Ranking:
    isolate = Failing().isolate()
    made, chat = Routing(**(SEVERAL | routing)), ChatRequest(messages=(user("hi"),))
    plan = isolate.selection.plan(made, Needs.of(chat), isolate.permit.grant)
    settings = read_settings(ENV | env, made_catalog().providers).routing
    ranker = Ranker(settings, isolate.watch, CountingRandom(), isolate.selection.calendar)
    conversation = Conversation(chat, session, "ann")
    return ranker.rank(plan, made, None, isolate.permit, lambda: conversation)


@in_no_time
async def test_where_there_is_no_choice_it_has_no_say() -> None:
    assert (await rank("a", EVEN)).conversation
    assert not (await rank("a", EVEN, model="groq/auto", fallback=False)).conversation


class Lucky(CountingRandom):
    def fraction(self) -> float:
        return 0.0


@in_no_time
async def test_where_it_was_answered_it_explores_nothing() -> None:
    isolate = Isolate(made_catalog(), Failing().ports)
    made, chat = Routing(**SEVERAL, strategy="reliable"), ChatRequest(messages=(user("hi"),))
    plan = isolate.selection.plan(made, Needs.of(chat), isolate.permit.grant)
    settings = read_settings(ENV, made_catalog().providers).routing
    ranker = Ranker(settings, isolate.watch, Lucky(), isolate.selection.calendar)

    def ranking() -> Ranking:
        return ranker.rank(plan, made, None, isolate.permit, lambda: Conversation(chat, "a", "ann"))

    first = ranking()
    assert first.explain()[0].explored
    ranker.settle(first, made, first.targets[0].spec.name)
    then = ranking()
    assert not then.explain()[0].explored
    assert then.targets[0] == first.targets[0]


@in_no_time
async def test_for_a_chain_no_text_is_read() -> None:
    assert "key" not in vars((await rank("", {})).conversation)
    assert "key" in vars((await rank("", EVEN)).conversation)
