"""Providers that say no, through App.handle: for how long they are left alone, and which models."""

import asyncio
import json
from datetime import UTC, datetime
from email.utils import format_datetime

import pytest

from proxy.limits.pool_messages import SIGNAL
from proxy.limits.token_bucket import Rate
from tests.unit.doubles import FakeReply
from tests.unit.routing.making import error, whole
from tests.unit.serving.limited import OFF, Limited, house, refused
from tests.unit.serving.making import by_host, in_turn


class TestCooldowns:
    async def test_a_provider_that_says_no_is_left_alone_by_all(self) -> None:
        limited = house(error(429, **{"retry-after": "20"}))
        assert (await limited.keyed(**OFF)).json["error"]["source"] == "provider"
        answer = await limited.keyed(**OFF)
        assert (answer.status, answer.json["error"]["source"]) == (429, "proxy")
        assert answer.headers["retry-after"] == "20"
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
        answer = await limited.keyed(**OFF, model="openai/gpt-4o-mini")
        assert (answer.status, answer.headers["retry-after"]) == (429, "60")
        limited.clock.time += 60
        assert (await limited.keyed(**OFF)).status == 200

    async def test_a_free_quota_closes_the_free_models_alone(self) -> None:
        message = "Rate limit exceeded: free-models-per-day. Add 10 credits"
        body = {"error": {"code": 429, "message": message}}
        reset = f"{(house().clock.now() + 90) * 1000:.0f}"
        at = {"x-ratelimit-remaining": "0", "x-ratelimit-reset": reset}
        replies = in_turn(
            FakeReply(json.dumps(body).encode(), status=429, headers=at), whole("Hi!")
        )
        limited = Limited(by_host(openrouter=replies), env={"OPENROUTER_API_KEY": "k"})
        free, other, paid = "openai/gpt-oss-20b:free", "a/b:free", "openai/gpt-4o-mini"
        answers = [
            await limited.keyed(**OFF, model=f"openrouter/{model}") for model in (free, other, paid)
        ]
        assert [answer.status for answer in answers] == [429, 429, 200]
        assert [answer.json["error"]["retryAfter"] for answer in answers[:2]] == [90, 90]
        assert "for its free models" in answers[1].json["error"]["message"]

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

    async def test_a_share_names_its_own_figures(self) -> None:
        limited = house(env={"RATE_LIMIT_BURST": "50", "RATE_LIMIT_PER_HOUR": "1000"})
        answer = await limited.keyed(**OFF)
        bucket, now = limited.buckets.held["openai:ann"], round(limited.clock.now() * 1000)
        model = answer.json["model"]
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
        assert (await limited.operate("DELETE", "/admin/limits?provider=openai")).status == 204
        assert (await limited.keyed(**OFF)).status == 200

    async def test_unless_limits_are_not_to_adapt(self) -> None:
        limited = house(error(429, **{"retry-after": "20"}), env={"RATE_LIMIT_ADAPTIVE": "off"})
        for _ in range(2):
            await limited.keyed(**OFF)
        assert len(limited.sent) == 2
        assert limited.pools.held == {}
