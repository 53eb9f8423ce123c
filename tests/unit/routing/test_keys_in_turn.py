"""Requests of a provider with several keys: which key they go with, and what is told of it."""

import asyncio
import json
from typing import Any

import pytest

from proxy.core.chat import Attempt, Routing
from proxy.core.embedding import EmbeddingRequest
from proxy.core.errors import OK, ProviderError, ProviderTimeout, RateLimitExceeded
from proxy.core.ports import Ports
from proxy.routing.breaker import Transition
from proxy.routing.fallback import Success
from proxy.routing.operations import RunOptions
from tests.unit.doubles import FakeReply, in_no_time
from tests.unit.routing.making import (
    DONE,
    EVENTS,
    HELLO,
    STOP,
    Given,
    Isolate,
    call,
    error,
    made_catalog,
    outside,
)
from tests.unit.routing.making_keys import KEYS, POOL, by_key, keys_sent

SESSION = RunOptions(session="one")
DEAD, LIMITED = error(401, "Incorrect API key provided."), error(429, **{"retry-after": "30"})


def isolate_on(out: Ports, **env: str) -> Isolate:
    return Isolate(made_catalog(), out, **POOL | {"RETRY_ATTEMPTS": "1"} | env)


async def ask(isolate: Isolate, session: str = "", **routing: Any) -> Success:
    options = RunOptions(session=session) if session else RunOptions()
    _, success = await isolate.manager.complete(call(**routing), isolate.permit, options)
    return success


def told(attempts: tuple[Attempt, ...]) -> list[tuple[str, str, int | None]]:
    return [(a.provider, a.outcome, a.key) for a in attempts]


def homes(count: int = 12) -> list[str]:
    return [f"session-{number}" for number in range(count)]


@in_no_time
async def test_a_session_keeps_to_its_key_and_all_are_used() -> None:
    out = outside(by_key({}))
    isolate = isolate_on(out)
    for session in homes():
        await ask(isolate, session)
    first = keys_sent(out)
    for session in homes():
        await ask(isolate, session)
    assert keys_sent(out) == first * 2
    assert set(first) == {1, 2, 3}


@in_no_time
async def test_a_dead_key_and_a_limited_one_cost_a_request_no_time() -> None:
    out = outside(by_key({1: DEAD, 2: LIMITED}))
    isolate = isolate_on(out)
    for session in homes():
        success = await ask(isolate, session)
        assert told(success.attempts)[-1] == ("openai", "ok", 3)
    assert asyncio.get_running_loop().time() < 1
    assert keys_sent(out).count(1) == keys_sent(out).count(2) == 1
    dead, resting, usable = isolate.watch.keys.views("openai")
    assert (dead.state, usable.state, usable.models) == ("refused", "usable", {})
    assert resting.models.keys() == {"gpt"}  # a 429 that names nobody is the model's
    assert isolate.watch.views()["openai"].phase == "closed"
    assert isolate.permit.charged == ["openai"] * 12  # a change of key charges nothing anew


@in_no_time
async def test_attempts_tell_the_keys_number_and_its_blame() -> None:
    out = outside(by_key({1: DEAD, 2: DEAD}))
    isolate = isolate_on(out)
    attempts = [a for s in homes() for a in (await ask(isolate, s)).attempts]
    failed = [a for a in attempts if a.outcome != "ok"]
    assert {(a.key, a.outcome, a.blame) for a in failed} == {
        (1, "unauthorized", "key"),
        (2, "unauthorized", "key"),
    }
    assert not any(key in repr(attempts) for key in KEYS)


@in_no_time
async def test_when_all_are_refused_the_provider_is_and_the_next_answers() -> None:
    out = outside(by_key(dict.fromkeys((1, 2, 3), DEAD)))
    isolate = isolate_on(out)
    success = await ask(isolate)
    assert [provider for provider, _, _ in told(success.attempts)] == ["openai"] * 3 + ["groq"]
    assert sorted(keys_sent(out)) == [1, 2, 3]
    assert isolate.watch.views()["openai"].reason == "misconfigured"
    assert told((await ask(isolate)).attempts) == [
        ("openai", "breaker_open", None),
        ("groq", "ok", None),
    ]


@in_no_time
async def test_when_all_are_limited_the_caller_hears_when_the_first_wakes() -> None:
    waits = {n: error(429, **{"retry-after": str(20 * n)}) for n in (1, 2, 3)}
    isolate = isolate_on(outside(by_key(waits)))
    with pytest.raises(RateLimitExceeded) as raised:
        await ask(isolate, fallback=False)
    assert raised.value.retry_after == 20
    assert len(raised.value.attempts) == 3
    assert isolate.permit.observed == [("openai", "gpt", "rate_limited")]


@in_no_time
async def test_a_refused_key_beside_resting_ones_is_no_refusal_of_the_provider() -> None:
    answers: dict[int, Given] = {1: LIMITED, 2: LIMITED}
    isolate = isolate_on(outside(by_key(answers)))
    for session in homes():
        await ask(isolate, session)
    answers[3] = DEAD
    with pytest.raises(RateLimitExceeded) as raised:
        await ask(isolate, fallback=False)
    assert raised.value.message == "No key of the provider is free now."
    assert 29 <= (raised.value.retry_after or 0) <= 30
    assert [(a.key, a.outcome) for a in raised.value.attempts] == [(3, "unauthorized")]
    assert isolate.watch.views()["openai"].phase == "closed"


@in_no_time
async def test_a_key_wakes_again() -> None:
    answers: dict[int, Given] = {2: LIMITED}
    out = outside(by_key(answers))
    isolate = isolate_on(out)
    numbers = {s: [a.key for a in (await ask(isolate, s)).attempts] for s in homes()}
    session = next(s for s, keys in numbers.items() if 2 in keys)
    del answers[2]
    await asyncio.sleep(29)
    assert (await ask(isolate, session)).target.key_number != 2
    await asyncio.sleep(2)
    assert (await ask(isolate, session)).target.key_number == 2


@in_no_time
async def test_one_account_is_limited_as_a_whole() -> None:
    out = outside(by_key(dict.fromkeys((1, 2, 3), LIMITED)))
    isolate = isolate_on(out, OPENAI_KEYS_SHARE_QUOTA="on")
    success = await ask(isolate)
    assert len(keys_sent(out)) == 1
    assert told(success.attempts)[1] == ("groq", "ok", None)
    assert success.attempts[0].blame == "provider"


@in_no_time
async def test_a_stream_changes_its_key_before_its_first_content() -> None:
    fault = (
        b'data: {"error": {"message": "Rate limit reached.", "code": "rate_limit_exceeded"}}\n\n'
    )
    streams = dict.fromkeys((1, 2), FakeReply(fault, headers=EVENTS))
    answers = streams | {3: FakeReply(HELLO, STOP, DONE, headers=EVENTS)}
    isolate = isolate_on(outside(by_key(answers)))
    for session in homes():
        options = RunOptions(session=session)
        _, success = await isolate.manager.stream(call(stream=True), isolate.permit, options)
        assert success.target.key_number == 3
        success.watched.end(OK)


@in_no_time
async def test_embeddings_take_the_keys_in_turn() -> None:
    data = [{"object": "embedding", "index": 0, "embedding": [0.5]}]
    vectors = FakeReply(json.dumps({"object": "list", "data": data, "model": "m"}).encode())
    out = outside(by_key(dict.fromkeys((1, 2, 3), vectors)))
    isolate = isolate_on(out)
    request = EmbeddingRequest(input=("hi",), routing=Routing(model="openai/embed-o"))
    for _ in range(3):
        await isolate.manager.embed(request, isolate.permit)
    assert sorted(keys_sent(out)) == [1, 2, 3]


@in_no_time
async def test_a_retry_of_a_provider_may_take_another_key() -> None:
    replies = dict.fromkeys((1, 2, 3), error(503))
    out = outside(by_key(replies))
    isolate = isolate_on(out, RETRY_ATTEMPTS="3")
    await ask(isolate, "one")
    assert len(set(keys_sent(out))) == 1  # it is the provider that fails, not the key
    assert len(keys_sent(out)) == 3


@in_no_time
async def test_isolates_share_a_refused_key() -> None:
    out = outside(by_key({2: DEAD}))
    here, there = isolate_on(out), isolate_on(out)
    for session in homes():
        await ask(here, session)
    await here.watch.sync()
    assert keys_sent(out).count(2) == 1
    for session in homes():
        await ask(there, session)
    assert keys_sent(out).count(2) == 1


@in_no_time
async def test_a_reset_of_the_breakers_tries_all_keys_again() -> None:
    answers: dict[int, Given] = {1: DEAD, 2: LIMITED}
    out = outside(by_key(answers))
    isolate = isolate_on(out)
    for session in homes():
        await ask(isolate, session)
    answers.clear()
    await isolate.watch.reset("openai")
    assert {(await ask(isolate, session)).target.key_number for session in homes()} == {1, 2, 3}


@in_no_time
async def test_no_key_is_in_an_error() -> None:
    quoting = {
        number: error(401, f"Incorrect API key provided: {key}; try {KEYS[number % 3]}.")
        for number, key in enumerate(KEYS, 1)
    }
    isolate = isolate_on(outside(by_key(quoting)))
    with pytest.raises(ProviderError) as raised:
        await ask(isolate, fallback=False)
    said = f"{raised.value} {raised.value.attempts}"
    assert "Incorrect API key" in said
    assert "key-of-openai" not in said


@in_no_time
async def test_the_deadline_ends_the_changes() -> None:
    slow = dict.fromkeys((1, 2, 3), FakeReply(0.3, *DEAD.pieces, status=401))
    out = outside(by_key(slow))
    with pytest.raises(ProviderTimeout):
        await ask(isolate_on(out), fallback=False, timeout_ms=500)
    assert len(keys_sent(out)) == 2


@in_no_time
async def test_each_key_is_tried_once_though_the_first_may_be_awake_again() -> None:
    short = FakeReply(0.3, *LIMITED.pieces, status=429, headers={"retry-after-ms": "100"})
    out = outside(by_key(dict.fromkeys((1, 2, 3), short)))
    success = await ask(isolate_on(out))
    assert sorted(keys_sent(out)) == [1, 2, 3]
    assert success.target.spec.name == "groq"


@in_no_time
async def test_a_provider_whose_keys_others_have_set_aside_is_left_alone() -> None:
    out = outside(by_key({}))
    isolate = isolate_on(out)
    now = isolate.watch.now
    opened = Transition(now, now + 60_000, 1, "misconfigured")
    isolate.watch.breakers.adopt({f"openai#{n}": opened for n in (1, 2)}, now)
    assert (await ask(isolate)).target.key_number == 3
    isolate.watch.breakers.adopt({"openai#3": opened}, now)
    assert told((await ask(isolate)).attempts)[0] == ("openai", "breaker_open", None)
    assert len(keys_sent(out)) == 1
    success = await ask(isolate, fallback=False)  # better than a blank refusal
    assert success.target.spec.name == "openai"


BARRED = error(403, "Project `proj_x` does not have access to model `gpt`")


@in_no_time
async def test_a_key_whose_project_lacks_the_model_costs_one_call_and_no_breaker() -> None:
    out = outside(by_key({1: BARRED}))
    isolate = isolate_on(out)
    for session in homes():
        success = await ask(isolate, session)
        assert told(success.attempts)[-1][:2] == ("openai", "ok")
    assert keys_sent(out).count(1) == 1
    assert all(view.phase == "closed" for view in isolate.watch.views().values())


@in_no_time
async def test_a_model_that_no_key_may_use_opens_its_breaker_alone() -> None:
    isolate = isolate_on(outside(by_key(dict.fromkeys((1, 2, 3), BARRED))))
    success = await ask(isolate)
    assert [provider for provider, _, _ in told(success.attempts)] == ["openai"] * 3 + ["groq"]
    views = isolate.watch.views()
    assert (views["openai/gpt"].reason, views["openai"].phase) == ("misconfigured", "closed")


@in_no_time
async def test_where_one_key_lacks_the_model_and_the_others_rest_the_caller_may_come_again() -> (
    None
):
    isolate = isolate_on(outside(by_key({1: LIMITED, 2: LIMITED, 3: BARRED})))
    for _ in range(3):
        with pytest.raises(RateLimitExceeded) as raised:
            await ask(isolate, fallback=False)
        assert raised.value.retry_after == 30
