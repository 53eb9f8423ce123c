"""The limits through App.handle: what is charged when, and what callers read of it."""

import asyncio
import json
from typing import Any
from urllib.parse import urlencode

import pytest

from proxy.core.principal import Budget, Limits, ModelGrant
from proxy.limits.limiter import name_bucket
from tests.unit.doubles import FakeReply, LoopClock, in_no_time
from tests.unit.routing.making import HELLO, ROLE, error, whole
from tests.unit.serving.limited import ADMIN, ANYONE, OFF, SECRET, Fields, Limited, house
from tests.unit.serving.making import GROQ, OPENAI, by_host, stream_of


class TestBuckets:
    async def test_the_burst_and_then_no_more(self) -> None:
        limited = house(key={"limits": Limits(burst=2, per_hour=60)})
        statuses = [(await limited.keyed(**OFF)).status for _ in range(3)]
        assert statuses == [200, 200, 429]
        answer = await limited.keyed(**OFF)
        problem = answer.json["error"]
        assert problem["type"] == "rate_limit_exceeded"
        assert problem["limit"] == "provider:openai"
        assert int(answer.headers["retry-after"]) == problem["retryAfter"] > 0
        assert [a["outcome"] for a in answer.json["metadata"]["attempts"]] == ["limited"]
        limited.clock.time += problem["retryAfter"]
        assert (await limited.keyed(**OFF)).status == 200

    async def test_a_bucket_that_does_not_refill_says_so(self) -> None:
        limited = house(key={"limits": Limits(burst=1, per_hour=0)})
        assert (await limited.keyed(**OFF)).status == 200
        answer = await limited.keyed(**OFF)
        assert answer.status == 429
        assert "It will not be admitted later either." in answer.json["error"]["message"]
        assert "retry-after" not in answer.headers

    async def test_answers_of_the_cache_cost_nothing(self) -> None:
        limited = house(key={"limits": Limits(burst=1, per_hour=1)})
        assert [(await limited.keyed()).status for _ in range(5)] == [200] * 5

    async def test_the_next_provider_answers_for_one_that_is_used_up(self) -> None:
        replies = by_host(openai=whole("openai"), groq=whole("groq"))
        limited = Limited(replies, key={"limits": Limits(burst=1, per_hour=1)}, env=GROQ)
        texts = [(await limited.keyed(**ANYONE)).text for _ in range(2)]
        assert texts == ["openai", "groq"]
        assert (await limited.keyed(**ANYONE)).status == 429

    @pytest.mark.parametrize(
        ("key", "env", "quota"),
        [
            ({}, {}, 50),
            ({}, {"RATE_LIMIT_BURST": "7"}, 7),
            ({}, {"RATE_LIMIT_BURST": "7", "OPENAI_RATE_LIMIT_BURST": "5"}, 5),
            ({"limits": Limits(burst=3)}, {"OPENAI_RATE_LIMIT_BURST": "5"}, 3),
        ],
    )
    async def test_the_nearest_limit_wins(
        self, key: Fields, env: dict[str, str], quota: int
    ) -> None:
        answer = await house(key=key, env=env).keyed()
        assert answer.headers["ratelimit-policy"].startswith(f'"provider:openai";q={quota};w=')

    async def test_headers(self) -> None:
        limited = house(key={"limits": Limits(burst=10, per_hour=360)})
        answer = await limited.keyed(OPENAI)
        assert answer.headers["ratelimit-policy"] == '"provider:openai";q=10;w=100'
        assert answer.headers["ratelimit"] == '"provider:openai";r=9;t=13'  # a lease's 3 s, then 10
        assert answer.headers["x-ratelimit-limit-requests"] == "10"
        assert answer.headers["x-ratelimit-remaining-requests"] == "9"
        assert answer.headers["x-ratelimit-reset-requests"] == "13s"
        assert "x-ratelimit-limit-requests" not in (await limited.keyed()).headers

    async def test_a_users_keys_share_and_users_dont(self) -> None:
        limited = house(env={"RATE_LIMIT_BURST": "1", "RATE_LIMIT_PER_HOUR": "1"})
        other = limited.issue("key_2")
        assert (await limited.keyed(**OFF)).status == 200
        assert (await limited.keyed(key=other, **OFF)).status == 429
        answer = await limited.post(headers=ADMIN, **OFF)
        assert answer.status == 200
        assert set(limited.buckets.held) == {"openai:ann", "openai:admin"}

    @pytest.mark.parametrize("user", ["\U0001f600" * 256, "\u0906" * 256, "x" * 256, "\u674e"])
    async def test_users_of_any_length_and_script(self, user: str) -> None:
        env = {"RATE_LIMIT_BURST": "2", "RATE_LIMIT_PER_HOUR": "1"}
        limited = house(user=user, env=env)
        assert [(await limited.keyed(**OFF)).status for _ in range(3)] == [200, 200, 429]
        [name] = limited.buckets.held
        assert len(name.encode()) <= 1024  # longer ones the platform keeps from an object
        query = urlencode({"provider": "openai", "user": user})
        assert (await limited.operate("GET", f"/admin/limits?{query}")).json["level"] == 0

    async def test_users_with_long_names_are_kept_apart(self) -> None:
        names = {name_bucket("openai", "x" * 600 + end) for end in ("", "y", "z")}
        assert len(names) == 3

    async def test_a_key_with_limits_of_its_own_shares_them_with_nobody(self) -> None:
        """Whichever of the two asks first, and in whatever order: each gets its own."""
        limited = house(key={"limits": Limits(burst=2, per_hour=1)})
        wide = limited.issue("key_2", limits=Limits(burst=5))
        plain = limited.issue("key_3")
        turns = [wide, SECRET, wide, SECRET, SECRET, wide, wide, wide, wide, plain]
        statuses = [(await limited.keyed(key=key, **OFF)).status for key in turns]
        assert statuses == [200, 200, 200, 200, 429, 200, 200, 200, 429, 200]
        answer = await limited.keyed(key=wide, **OFF)
        assert answer.headers["ratelimit-policy"].startswith('"provider:openai";q=5;')

    async def test_requests_a_minute_count_the_caches_answers(self) -> None:
        limited = house(key={"limits": Limits(requests_per_minute=2)})
        answers = [await limited.keyed() for _ in range(3)]
        assert [answer.status for answer in answers] == [200, 200, 429]
        assert answers[2].json["error"]["limit"] == "requests_per_minute"
        assert "the requests of this key (2 a minute)" in answers[2].json["error"]["message"]

    @pytest.mark.parametrize(
        ("path", "body"),
        [
            ("/v1/messages/count_tokens", {"messages": [{"role": "user", "content": "Hi"}]}),
            ("/v1/responses/input_tokens", {"input": "Hi"}),
        ],
    )
    async def test_so_do_counts_of_tokens(self, path: str, body: dict[str, Any]) -> None:
        limited = house(key={"limits": Limits(requests_per_minute=2)})
        answers = [await limited.keyed(path, model="auto", **body) for _ in range(3)]
        assert [answer.status for answer in answers] == [200, 200, 429]

    async def test_a_request_that_they_refuse_has_no_part_in_the_cache(self) -> None:
        limited = house(key={"limits": Limits(requests_per_minute=3)})
        answers = [await limited.keyed() for _ in range(4)]
        assert [answer.cache for answer in answers[:3]] == ["MISS", "HIT", "HIT"]
        assert answers[3].status == 429
        assert ["proxy.cache.key" in line for line in limited.lines] == [True, True, True, False]

    @in_no_time
    async def test_most_requests_need_no_call(self) -> None:
        replies = by_host(openai=lambda _: whole("Hi!"))
        limited = Limited(
            replies, LoopClock(), env={"RATE_LIMIT_BURST": "1000", "RATE_LIMIT_LEASE": "16"}
        )
        for _ in range(100):
            await limited.receive(headers={"authorization": f"Bearer {SECRET}"}, **OFF)
        assert len(limited.buckets.calls) < 30
        await limited.settle()  # what was left is given back
        assert (
            limited.buckets.held["openai:ann"].show(round(limited.clock.now() * 1000)).leases == 0
        )

    async def test_strict_is_a_call_a_request(self) -> None:
        limited = Limited(by_host(openai=lambda _: whole("Hi!")))
        for _ in range(20):
            await limited.keyed(**OFF)
        assert len(limited.buckets.calls) == 20


class TestAccounts:
    async def test_what_was_used_is_settled(self) -> None:
        limited = house(key={"budget": Budget(day=10**9)})
        answer = await limited.keyed(maxTokens=100)
        spent = round(answer.json["metadata"]["cost"] * 1e9)
        view = limited.account()
        assert (view.spent_day, view.reserved, view.reservations) == (spent, 0, 0)

    async def test_a_stream_is_settled_when_it_ends(self) -> None:
        limited = house(
            stream_of(ROLE, HELLO, 1.0, error(500).pieces[0]), key={"budget": Budget(day=10**9)}
        )
        answer = await limited.keyed(stream=True, maxTokens=100)
        assert answer.events[-1]["error"]
        view = limited.account()
        assert view.reservations == 0
        assert 0 < view.spent_day < 10**6  # estimated from what had come

    async def test_what_nobody_answered_costs_nothing(self) -> None:
        limited = house(error(500), key={"budget": Budget(day=10**9)})
        assert (await limited.keyed(maxTokens=100)).status == 502
        view = limited.account()
        assert (view.spent_day, view.reserved) == (0, 0)

    async def test_a_callers_request_id_is_no_reservation(self) -> None:
        limited = house(key={"budget": Budget(day=10**9)})
        headers = {"authorization": f"Bearer {SECRET}", "x-request-id": "again"}
        for _ in range(3):
            await limited.post(headers=headers, maxTokens=100, **OFF)
        once = limited.account().spent_day / 3
        assert once == int(once) > 0

    async def test_a_budget_that_is_used_up(self) -> None:
        limited = house(key={"budget": Budget(month=2_000_000)})
        assert (await limited.keyed(maxTokens=150)).status == 200
        answer = await limited.keyed(maxTokens=195, **OFF)
        assert answer.status == 402
        assert answer.json["error"]["type"] == "budget_exceeded"
        assert answer.json["error"]["limit"] == "budget_month"
        assert "$0.002 a month" in answer.json["error"]["message"]

    async def test_a_cheaper_candidate_may_fit_a_budget(self) -> None:
        replies = by_host(openai=whole("dear"), groq=whole("cheap"))
        limited = Limited(replies, key={"budget": Budget(day=300_000)}, env=GROQ)
        assert (await limited.keyed(maxTokens=100)).text == "cheap"

    async def test_tokens_a_minute_stand_in_the_headers(self) -> None:
        limited = house(key={"limits": Limits(tokens_per_minute=1000)})
        answer = await limited.keyed(OPENAI, max_tokens=100)
        assert answer.headers["x-ratelimit-limit-tokens"] == "1000"
        assert 0 < int(answer.headers["x-ratelimit-remaining-tokens"]) < 1000
        refused = await limited.keyed(OPENAI, max_tokens=995)
        assert refused.status == 429
        assert refused.json["error"]["code"] == "rate_limit_exceeded"
        assert refused.json["error"]["limit"] == "tokens_per_minute"

    async def test_embeddings_are_charged_too(self) -> None:
        vector = {"object": "embedding", "index": 0, "embedding": [0.5]}
        body = {"data": [vector], "usage": {"prompt_tokens": 2, "total_tokens": 2}}
        limited = house(
            FakeReply(json.dumps(body).encode()),
            key={"budget": Budget(day=10**9), "limits": Limits(burst=1, per_hour=1)},
        )
        ask = {"model": "openai/text-embedding-3-small", "input": "a cat"}
        assert (await limited.keyed("/v1/embeddings", **ask)).status == 200
        assert limited.account().spent_day > 0
        assert (await limited.keyed("/v1/embeddings", **ask)).status == 429


class TestGrants:
    async def test_a_model_that_the_key_may_not_use(self) -> None:
        limited = house(key={"grant": ModelGrant(models=("groq/*",))})
        answer = await limited.keyed()
        assert (answer.status, answer.json["error"]["type"]) == (403, "permission_denied")
        assert limited.sent == []

    async def test_a_key_sees_no_answer_of_a_model_that_it_may_not_use(self) -> None:
        limited = house(
            key={"grant": ModelGrant(models=("groq/*",))}, env={"CACHE_SCOPE": "shared"}
        )
        assert (await limited.post(headers=ADMIN)).status == 200
        assert (await limited.keyed()).status == 403

    async def test_a_keys_own_cache_scope(self) -> None:
        limited = house(key={"cache_scope": "shared"}, env={"CACHE_SCOPE": "shared"})
        await limited.post(headers=ADMIN)
        assert (await limited.keyed()).cache == "HIT"


async def test_many_at_once_get_what_the_bucket_holds() -> None:
    limited = Limited(
        by_host(openai=lambda _: whole("Hi!")), key={"limits": Limits(burst=25, per_hour=1)}
    )
    answers = await asyncio.gather(*(limited.keyed(**OFF) for _ in range(60)))
    assert sorted(answer.status for answer in answers) == [200] * 25 + [429] * 35
