"""The limits through App.handle: what is charged when, what is told, and what a fault costs."""

import asyncio
import json
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from email.utils import format_datetime
from hashlib import sha256
from typing import Any
from urllib.parse import urlencode

import pytest

from proxy.access.gate import digest_of, secret_for
from proxy.access.keys import Key
from proxy.core.principal import Budget, Grant, Limits
from proxy.limits.adaptive import SIGNAL
from proxy.limits.budget import View as AccountView
from proxy.limits.lease_messages import TAKE, Ask
from proxy.limits.lease_messages import Grant as Lease
from proxy.limits.limiter import bucket_name
from proxy.limits.quiet import CLOSED, _keep
from proxy.limits.token_bucket import Rate
from tests.unit.api.test_app import request
from tests.unit.callers import as_it_is
from tests.unit.doubles import (
    FakeReply,
    LoopClock,
    in_no_time,
)
from tests.unit.routing.test_manager import HELLO, ROLE, error, whole
from tests.unit.serving.test_chat import (
    GROQ,
    NATIVE,
    OPENAI,
    House,
    Told,
    by_host,
    in_turn,
    stream_of,
)

SECRET = secret_for("development", "ab" * 32)
KEYED = {"authorization": f"Bearer {SECRET}"}
ANYONE: dict[str, Any] = {"cache": {"mode": "off"}}
OFF = ANYONE | {"fallback": False}


class Limited(House):
    """A house whose caller has an issued key."""

    def __init__(
        self, answer: Any, clock: Any = None, key: Any = None, user: str = "ann", **env: str
    ) -> None:
        super().__init__(answer, clock, **{"ADMIN_TOKEN": "admin", "RATE_LIMIT_LEASE": "1"} | env)
        self.buckets, self.accounts = self.objects.buckets, self.objects.accounts
        self.pools = self.objects.pools
        issued = Key(id="key_1", user=user, created_at=0, **key or {})
        self.objects.keys.book.issue(issued, digest_of(SECRET))

    def issue(self, id: str, user: str = "ann", **fields: Any) -> str:
        """Another key."""
        secret = secret_for("development", sha256(id.encode()).hexdigest())
        key = Key(id=id, user=user, created_at=0, **fields)
        self.objects.keys.book.issue(key, digest_of(secret))
        return secret

    async def keyed(self, path: str = NATIVE, key: str = SECRET, **body: Any) -> Told:
        headers = {"authorization": f"Bearer {key}"}
        return await self.told(path, headers=headers, **body)

    def account(self) -> AccountView:
        return self.accounts.held["key_1"].show(round(self.clock.now() * 1000))


def house(*replies: Any, key: Any = None, user: str = "ann", **env: str) -> Limited:
    answers = by_host(openai=in_turn(*replies or (whole("Hi!"),)))
    return Limited(answers, key=key, user=user, **env)


def refused(code: str, message: str = "No.", /, **headers: str) -> FakeReply:
    body = {"error": {"message": message, "type": "x", "code": code}}
    return FakeReply(json.dumps(body).encode(), status=429, headers=headers)


class TestBuckets:
    async def test_the_burst_and_then_no_more(self) -> None:
        limited = house(key={"limits": Limits(burst=2, per_hour=60)})
        statuses = [(await limited.keyed(**OFF)).status for _ in range(3)]
        assert statuses == [200, 200, 429]
        told = await limited.keyed(**OFF)
        problem = told.json["error"]
        assert problem["type"] == "rate_limit_exceeded"
        assert problem["limit"] == "provider:openai"
        assert int(told.headers["retry-after"]) == problem["retryAfter"] > 0
        assert [a["outcome"] for a in told.json["metadata"]["attempts"]] == ["limited"]
        limited.clock.time += problem["retryAfter"]
        assert (await limited.keyed(**OFF)).status == 200

    async def test_answers_of_the_cache_cost_nothing(self) -> None:
        limited = house(key={"limits": Limits(burst=1, per_hour=1)})
        assert [(await limited.keyed()).status for _ in range(5)] == [200] * 5

    async def test_the_next_provider_answers_for_one_that_is_used_up(self) -> None:
        replies = by_host(openai=whole("openai"), groq=whole("groq"))
        limited = Limited(replies, key={"limits": Limits(burst=1, per_hour=1)}, **GROQ)
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
    async def test_the_nearest_limit_wins(self, key: Any, env: Any, quota: int) -> None:
        told = await house(key=key, **env).keyed()
        assert told.headers["ratelimit-policy"].startswith(f'"provider:openai";q={quota};w=')

    async def test_headers(self) -> None:
        limited = house(key={"limits": Limits(burst=10, per_hour=360)})
        told = await limited.keyed(OPENAI)
        assert told.headers["ratelimit-policy"] == '"provider:openai";q=10;w=100'
        assert told.headers["ratelimit"] == '"provider:openai";r=9;t=13'  # a lease's 3 s, then 10
        assert told.headers["x-ratelimit-limit-requests"] == "10"
        assert told.headers["x-ratelimit-remaining-requests"] == "9"
        assert told.headers["x-ratelimit-reset-requests"] == "13s"
        assert "x-ratelimit-limit-requests" not in (await limited.keyed()).headers

    async def test_a_users_keys_share_and_users_dont(self) -> None:
        limited = house(RATE_LIMIT_BURST="1", RATE_LIMIT_PER_HOUR="1")
        other = limited.issue("key_2")
        assert (await limited.keyed(**OFF)).status == 200
        assert (await limited.keyed(key=other, **OFF)).status == 429
        told = await limited.told(headers={"authorization": "Bearer admin"}, **OFF)
        assert told.status == 200
        assert set(limited.buckets.held) == {"openai:ann", "openai:admin"}

    @pytest.mark.parametrize("user", ["\U0001f600" * 256, "\u0906" * 256, "x" * 256, "\u674e"])
    async def test_users_of_any_length_and_script(self, user: str) -> None:
        env = {"RATE_LIMIT_BURST": "2", "RATE_LIMIT_PER_HOUR": "1"}
        limited = house(user=user, **env)
        assert [(await limited.keyed(**OFF)).status for _ in range(3)] == [200, 200, 429]
        [name] = limited.buckets.held
        assert len(name.encode()) <= 1024  # longer ones the platform does not tell an object
        path = f"/admin/limits?{urlencode({'provider': 'openai', 'user': user})}"
        shown: Any = await limited.app.handle(
            request("GET", path, authorization="Bearer admin"), as_it_is
        )  # type: ignore[misc]
        assert json.loads(shown.body)["level"] == 0

    async def test_users_with_long_names_are_told_apart(self) -> None:
        names = {bucket_name("openai", "x" * 600 + end) for end in ("", "y", "z")}
        assert len(names) == 3

    async def test_a_key_with_limits_of_its_own_shares_them_with_nobody(self) -> None:
        """Whichever of the two asks first, and in whatever order: each gets its own."""
        limited = house(key={"limits": Limits(burst=2, per_hour=1)})
        wide = limited.issue("key_2", limits=Limits(burst=5))
        plain = limited.issue("key_3")
        turns = [wide, SECRET, wide, SECRET, SECRET, wide, wide, wide, wide, plain]
        statuses = [(await limited.keyed(key=key, **OFF)).status for key in turns]
        assert statuses == [200, 200, 200, 200, 429, 200, 200, 200, 429, 200]
        told = await limited.keyed(key=wide, **OFF)
        assert told.headers["ratelimit-policy"].startswith('"provider:openai";q=5;')

    async def test_requests_a_minute_count_the_caches_answers(self) -> None:
        limited = house(key={"limits": Limits(requests_per_minute=2)})
        told = [await limited.keyed() for _ in range(3)]
        assert [answer.status for answer in told] == [200, 200, 429]
        assert told[2].json["error"]["limit"] == "requests_per_minute"

    @in_no_time
    async def test_most_requests_need_no_call(self) -> None:
        replies = by_host(openai=lambda _: whole("Hi!"))
        limited = Limited(replies, LoopClock(), RATE_LIMIT_BURST="1000", RATE_LIMIT_LEASE="16")
        for _ in range(100):
            await limited.ask(headers={"authorization": f"Bearer {SECRET}"}, **OFF)
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
        told = await limited.keyed(maxTokens=100)
        spent = round(told.json["metadata"]["cost"] * 1e9)
        view = limited.account()
        assert (view.spent_day, view.reserved, view.reservations) == (spent, 0, 0)

    async def test_a_stream_is_settled_when_it_ends(self) -> None:
        limited = house(
            stream_of(ROLE, HELLO, 1.0, error(500).pieces[0]), key={"budget": Budget(day=10**9)}
        )
        told = await limited.keyed(stream=True, maxTokens=100)
        assert told.events[-1]["error"]
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
            await limited.told(headers=headers, maxTokens=100, **OFF)
        once = limited.account().spent_day / 3
        assert once == int(once) > 0

    async def test_a_budget_that_is_used_up(self) -> None:
        limited = house(key={"budget": Budget(month=2_000_000)})
        assert (await limited.keyed(maxTokens=150)).status == 200
        told = await limited.keyed(maxTokens=195, **OFF)
        assert told.status == 402
        assert told.json["error"]["type"] == "budget_exceeded"
        assert told.json["error"]["limit"] == "budget_month"
        assert "$0.002 a month" in told.json["error"]["message"]

    async def test_a_cheaper_candidate_may_fit_a_budget(self) -> None:
        replies = by_host(openai=whole("dear"), groq=whole("cheap"))
        limited = Limited(replies, key={"budget": Budget(day=300_000)}, **GROQ)
        assert (await limited.keyed(maxTokens=100)).text == "cheap"

    async def test_tokens_a_minute_are_told(self) -> None:
        limited = house(key={"limits": Limits(tokens_per_minute=1000)})
        told = await limited.keyed(OPENAI, max_tokens=100)
        assert told.headers["x-ratelimit-limit-tokens"] == "1000"
        assert 0 < int(told.headers["x-ratelimit-remaining-tokens"]) < 1000
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


class TestFaults:
    @pytest.mark.parametrize(("choice", "status"), [("open", 200), ("closed", 503)])
    @pytest.mark.parametrize("fault", ["down", "silent"])
    @pytest.mark.parametrize("part", ["buckets", "accounts"])
    def test_an_object_out_of_reach(self, choice: str, status: int, fault: str, part: str) -> None:
        @in_no_time
        async def check() -> None:
            key = {"budget": Budget(day=10**9)}
            replies = by_host(openai=whole("Hi!"))
            limited = Limited(replies, LoopClock(), key=key, LIMITER_ON_ERROR=choice)
            setattr(getattr(limited, part), fault, True)
            told = await limited.keyed()
            assert told.status == status
            assert "limiter unreachable" in limited.events("error")
            if status == 503:
                assert told.json["error"]["limit"] == "limiter"

        check()

    @pytest.mark.parametrize(("choice", "status"), [("open", 200), ("closed", 503)])
    @pytest.mark.parametrize("part", ["buckets", "accounts"])
    def test_one_that_hangs_costs_one_request_its_time(
        self, choice: str, status: int, part: str
    ) -> None:
        @in_no_time
        async def check() -> None:
            replies = by_host(openai=lambda _: whole("Hi!"), groq=lambda _: whole("Hi!"))
            settings = GROQ | {"LIMITER_ON_ERROR": choice, "ADMIN_TOKEN": "admin"}
            key = {"budget": Budget(day=10**12)}
            limited = Limited(replies, LoopClock(), key=key, **settings)
            await limited.keyed(**ANYONE)
            objects = getattr(limited, part)
            objects.silent = True
            loop = asyncio.get_running_loop()
            began, calls = loop.time(), len(objects.calls)
            for _ in range(20):
                assert (await limited.ask(headers=KEYED, **ANYONE)).status == status
            assert loop.time() - began == pytest.approx(1)
            assert len(objects.calls) == calls + 1
            await asyncio.sleep(5)
            began = loop.time()
            for _ in range(20):
                await limited.ask(headers=KEYED, **ANYONE)
            assert loop.time() - began == pytest.approx(1)
            objects.silent = False
            await asyncio.sleep(5)
            assert (await limited.keyed(**ANYONE)).status == 200
            assert (await limited.keyed(**ANYONE)).status == 200
            await limited.settle()

        check()

    @in_no_time
    async def test_a_users_bucket_that_hangs_opens_nobody_elses(self) -> None:
        replies = by_host(openai=lambda _: whole("Hi!"))
        limited = Limited(
            replies, LoopClock(), RATE_LIMIT_BURST="2", RATE_LIMIT_PER_HOUR="1", ADMIN_TOKEN="admin"
        )

        async def hanging(name: str, _: Ask, take: Callable[[], Awaitable[Lease]]) -> Lease:
            if name == "openai:ann":
                await asyncio.sleep(10_000)
            return await take()

        limited.buckets.wrap(TAKE, hanging)
        admin = {"authorization": "Bearer admin"}
        statuses = []
        for _ in range(4):
            assert (await limited.ask(headers=KEYED, **OFF)).status == 200
            statuses.append((await limited.ask(headers=admin, **OFF)).status)
        assert statuses == [200, 200, 429, 429]

    async def test_a_provider_that_says_no_is_left_alone_by_all(self) -> None:
        limited = house(error(429, **{"retry-after": "20"}))
        assert (await limited.keyed(**OFF)).json["error"]["source"] == "provider"
        told = await limited.keyed(**OFF)
        assert (told.status, told.json["error"]["source"]) == (429, "proxy")
        assert told.headers["retry-after"] == "20"
        assert len(limited.sent) == 1
        pool = limited.pools.held["openai"].show(round(limited.clock.now() * 1000))
        assert pool.closed_until == round((limited.clock.now() + 20) * 1000)
        limited.clock.time += 20
        await limited.keyed(**OFF)
        assert len(limited.sent) == 2

    @pytest.mark.parametrize(
        ("code", "closed"), [("rate_limit_exceeded", False), ("insufficient_quota", True)]
    )
    async def test_only_what_the_provider_limits_is_closed(self, code: str, closed: bool) -> None:
        refusal = refused(code, **{"retry-after": "3000"})
        limited = house(refusal, whole("Hi!"), whole("Hi!"))
        await limited.keyed(**OFF)
        assert (await limited.keyed(**OFF)).json["error"]["source"] == "proxy"
        other = await limited.keyed(**OFF, model="openai/gpt-4o-mini")
        assert other.status == (429 if closed else 200)
        if closed:
            assert other.json["error"]["message"].startswith("openai has asked for quiet. ")
            assert other.headers["retry-after"] == "3000"

    async def test_a_shorter_wait_does_not_end_a_longer_one(self) -> None:
        slow = FakeReply(0.1, status=429, headers={"retry-after": "1"})
        limited = house(slow, refused("x", **{"retry-after": "3000"}))
        await asyncio.gather(limited.keyed(**OFF), limited.keyed(**OFF))
        assert (await limited.keyed(**OFF)).headers["retry-after"] == "3000"

    async def test_an_account_that_is_used_up_gets_quiet_without_a_time(self) -> None:
        limited = house(refused("insufficient_quota"), whole("Hi!"))
        first = await limited.keyed(**OFF)
        assert "retry-after" not in first.headers
        told = await limited.keyed(**OFF, model="openai/gpt-4o-mini")
        assert (told.status, told.headers["retry-after"]) == (429, "60")
        limited.clock.time += 60
        assert (await limited.keyed(**OFF)).status == 200

    async def test_a_free_quota_closes_the_free_models_alone(self) -> None:
        message = "Rate limit exceeded: free-models-per-day. Add 10 credits"
        body = {"error": {"code": 429, "message": message}}
        reset = f"{(house().clock.now() + 90) * 1000:.0f}"
        at = {"x-ratelimit-remaining": "0", "x-ratelimit-reset": reset}
        answers = in_turn(
            FakeReply(json.dumps(body).encode(), status=429, headers=at), whole("Hi!")
        )
        limited = Limited(by_host(openrouter=answers), OPENROUTER_API_KEY="k")
        free, other, paid = "openai/gpt-oss-20b:free", "a/b:free", "openai/gpt-4o-mini"
        ask = [
            await limited.keyed(**OFF, model=f"openrouter/{model}") for model in (free, other, paid)
        ]
        assert [told.status for told in ask] == [429, 429, 200]
        assert [told.json["error"]["retryAfter"] for told in ask[:2]] == [90, 90]
        assert "for its free models" in ask[1].json["error"]["message"]

    async def test_a_refusal_in_an_answer_of_status_200_counts(self) -> None:
        error_body = {"error": {"code": 429, "message": "Slow down", "metadata": {"raw": "x"}}}
        limited = house(FakeReply(json.dumps(error_body).encode()))
        assert (await limited.keyed(**OFF)).status == 429
        assert limited.pools.called(SIGNAL) == ["openai"]

    async def test_a_request_that_is_too_large_is_no_pressure(self) -> None:
        limited = house(refused("x", "Request too large for gpt-4o"), whole("Hi!"))
        assert (await limited.keyed(**OFF)).status == 413
        assert limited.pools.calls == []

    async def test_a_date_is_a_time_to_wait(self) -> None:
        at = datetime.fromtimestamp(house().clock.now() + 20, UTC)
        limited = house(refused("x", **{"retry-after": format_datetime(at, usegmt=True)}))
        assert (await limited.keyed(**OFF)).headers["retry-after"] == "20"
        assert (await limited.keyed(**OFF)).headers["retry-after"] == "20"

    async def test_a_share_tells_its_own_figures(self) -> None:
        limited = house(RATE_LIMIT_BURST="50", RATE_LIMIT_PER_HOUR="1000")
        told = await limited.keyed(**OFF)
        bucket, now = limited.buckets.held["openai:ann"], round(limited.clock.now() * 1000)
        model = told.json["model"]
        bucket.squeeze(Rate(1, 61), 0, now, model)
        refusal = await limited.keyed(**OFF)
        assert refusal.json["error"]["limit"] == "provider:openai"
        message = refusal.json["error"]["message"]
        assert f"openai bears less for {model} now" in message
        assert "61 requests an hour, 1 at once, all of it used up" in message
        assert "the configured 1000 requests an hour, 50 at once." in message
        assert message.endswith(f"Try again in {refusal.json['error']['retryAfter']} s.")
        assert refusal.headers["ratelimit-policy"] == '"provider:openai";q=1;w=60'
        bucket.squeeze(None, now + 900_000, now)
        message = (await limited.keyed(**OFF)).json["error"]["message"]
        assert message == "openai has asked for quiet. Try again in 900 s."

    async def test_until_an_operator_says_otherwise(self) -> None:
        limited = house(error(429, **{"retry-after": "20"}), whole("Hi!"))
        await limited.keyed(**OFF)
        admin = {"authorization": "Bearer admin"}
        reaction = limited.app.handle(
            request("DELETE", "/admin/limits?provider=openai", **admin), as_it_is
        )
        assert (await reaction).status == 204  # type: ignore[misc]
        assert (await limited.keyed(**OFF)).status == 200

    async def test_unless_limits_are_not_to_adapt(self) -> None:
        limited = house(error(429, **{"retry-after": "20"}), RATE_LIMIT_ADAPTIVE="off")
        for _ in range(2):
            await limited.keyed(**OFF)
        assert len(limited.sent) == 2
        assert limited.pools.held == {}


class TestGrants:
    async def test_a_model_that_the_key_may_not_use(self) -> None:
        limited = house(key={"grant": Grant(models=("groq/*",))})
        told = await limited.keyed()
        assert (told.status, told.json["error"]["type"]) == (403, "permission_denied")
        assert limited.sent == []

    async def test_a_key_sees_no_answer_of_a_model_that_it_may_not_use(self) -> None:
        limited = house(key={"grant": Grant(models=("groq/*",))}, CACHE_SCOPE="shared")
        admin = {"authorization": "Bearer admin"}
        assert (await limited.told(headers=admin)).status == 200
        assert (await limited.keyed()).status == 403

    async def test_a_keys_own_cache_scope(self) -> None:
        limited = house(key={"cache_scope": "shared"}, CACHE_SCOPE="shared")
        admin = {"authorization": "Bearer admin"}
        await limited.told(headers=admin)
        assert (await limited.keyed()).cache == "HIT"


@pytest.mark.parametrize(
    ("query", "holds"),
    [
        ("provider=openai&user=ann", "level"),
        ("provider=openai&key=key_1", "level"),
        ("key=key_1", "spentDay"),
        ("provider=openai", "users"),
    ],
)
async def test_operators_see_and_reset_limits(query: str, holds: str) -> None:
    limited = house(key={"limits": Limits(burst=1, per_hour=1), "budget": Budget(day=10**9)})
    await limited.keyed(maxTokens=10)

    async def operate(method: str) -> Told:
        admin = {"authorization": "Bearer admin"}
        reaction = limited.app.handle(request(method, f"/admin/limits?{query}", **admin), as_it_is)
        response: Any = await reaction  # type: ignore[misc]
        return Told(response.status, response.headers, response.body)

    shown = await operate("GET")
    assert shown.status == 200
    assert any(holds.lower() in name.lower().replace("_", "") for name in shown.json)
    assert (await operate("DELETE")).status == 204
    if "&" in query:
        assert (await limited.keyed(**OFF, maxTokens=10)).status == 200


async def test_many_at_once_get_what_the_bucket_holds() -> None:
    limited = Limited(
        by_host(openai=lambda _: whole("Hi!")), key={"limits": Limits(burst=25, per_hour=1)}
    )
    told = await asyncio.gather(*(limited.keyed(**OFF) for _ in range(60)))
    assert sorted(answer.status for answer in told) == [200] * 25 + [429] * 35


@pytest.mark.parametrize("query", ["provider=openai&user=ann", "key=key_1", "provider=openai"])
@pytest.mark.parametrize("method", ["GET", "DELETE"])
@pytest.mark.parametrize("fault", ["down", "silent"])
def test_operators_are_told_of_limits_out_of_reach(query: str, method: str, fault: str) -> None:
    @in_no_time
    async def check() -> None:
        limited = Limited(by_host(openai=whole("Hi!")), LoopClock())
        for objects in (limited.buckets, limited.accounts, limited.pools):
            setattr(objects, fault, True)
        admin = {"authorization": "Bearer admin"}
        asking = limited.app.handle(request(method, f"/admin/limits?{query}", **admin), as_it_is)
        response: Any = await asyncio.wait_for(asking, 10)  # type: ignore[arg-type]
        assert response.status == 503
        assert response.headers["retry-after"] == "1"
        assert "limiter unreachable" in limited.events("error")

    check()


@pytest.mark.parametrize("name", ["user", "key"])
async def test_a_name_that_nobody_can_have_is_refused(name: str) -> None:
    limited = house()
    query = f"{'provider=openai&' if name == 'user' else ''}{name}={'x' * 257}"
    asked = request("GET", f"/admin/limits?{query}", authorization="Bearer admin")
    response: Any = await limited.app.handle(asked, as_it_is)  # type: ignore[misc]
    assert response.status == 400
    assert json.loads(response.body)["error"]["message"].startswith(f"{name}:")


def test_an_isolate_remembers_no_more_closed_models_than_there_is_room_for() -> None:
    moments: dict[tuple[str, str], float] = {}
    for number in range(2 * CLOSED):
        _keep(moments, ("openai", f"{number}"), number)
    assert len(moments) <= CLOSED
    assert ("openai", f"{2 * CLOSED - 1}") in moments
