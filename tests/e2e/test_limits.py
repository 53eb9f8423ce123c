"""Keys and limits on real Durable Objects: who may do how much, whatever is tried."""

import asyncio
import math
import time
from collections import Counter
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import Any

import httpx
import pytest

from tests.e2e.conftest import ADMIN_TOKEN, Deployments, Script

ADMIN = {"authorization": f"Bearer {ADMIN_TOKEN}"}
GPT = {"model": "openai/gpt-4o", "fallback": False, "cache": {"mode": "off"}}
ALLOWANCE = 100
"""RATE_LIMIT_BURST of this deployment; its refill brings a token in 36 s."""


@pytest.fixture
def url(deployments: Deployments) -> str:
    return deployments.get("limited").url


@pytest.fixture
def admin(url: str) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=url, headers=ADMIN, timeout=60) as client:
        yield client


Issue = Callable[..., dict[str, Any]]


@pytest.fixture
def issue(admin: httpx.Client, request: pytest.FixtureRequest) -> Issue:
    """Issues a key to a user of the test's own."""

    def key(**fields: Any) -> dict[str, Any]:
        answer = admin.post("/admin/keys", json={"user": request.node.name} | fields)
        assert answer.status_code == 201, answer.text
        told: dict[str, Any] = answer.json()
        return told

    return key


def bearer(key: dict[str, Any]) -> dict[str, str]:
    return {"authorization": f"Bearer {key['key']}"}


def ask(admin: httpx.Client, key: dict[str, Any], prompt: str, **fields: Any) -> httpx.Response:
    return admin.post("/v1/generate", json={"prompt": prompt} | GPT | fields, headers=bearer(key))


async def storm(
    url: str, key: dict[str, Any], prompt: str, *, times: int, body: dict[str, Any] | None = None
) -> list[httpx.Response]:
    """The same request many times over 50 connections."""
    body = body or {"prompt": prompt} | GPT
    left = iter(range(times))

    async with httpx.AsyncClient(base_url=url, headers=bearer(key), timeout=120) as client:

        async def connection() -> list[httpx.Response]:
            return [await client.post("/v1/generate", json=body) for _ in left]

        answers = await asyncio.gather(*(connection() for _ in range(50)))
    return [answer for some in answers for answer in some]


class TestBucket:
    def test_2000_requests_get_exactly_the_allowance(
        self, url: str, admin: httpx.Client, issue: Issue, script: Script
    ) -> None:
        heavy, quiet = issue(), issue(user="a quiet one")
        began = time.monotonic()
        answers = asyncio.run(storm(url, heavy, script(), times=2000))
        refilled = int((time.monotonic() - began) * ALLOWANCE / 3600)
        statuses = Counter(answer.status_code for answer in answers)
        assert statuses.keys() == {200, 429}
        assert ALLOWANCE <= statuses[200] <= ALLOWANCE + refilled
        refused = next(answer for answer in answers if answer.status_code == 429)
        error = refused.json()["error"]
        assert error["type"] == "rate_limit_exceeded"
        assert "openai" in error["message"]
        wait = int(refused.headers["retry-after"])
        assert wait == error["retryAfter"]
        assert 1 <= wait <= math.ceil(3600 / ALLOWANCE) + 13  # a lease's time, and a token's
        assert refused.headers["ratelimit-policy"] == '"provider:openai";q=100;w=3600'
        assert refused.headers["ratelimit"].startswith('"provider:openai";r=0;t=')
        # Another user's bucket is another's, and so is that of another provider.
        assert ask(admin, quiet, script()).status_code == 200
        assert ask(admin, heavy, script(), model="groq/fast").status_code == 200

    def test_who_waits_as_told_is_admitted(
        self, admin: httpx.Client, issue: Issue, script: Script
    ) -> None:
        key = issue(limits={"perHour": 1800, "burst": 2})
        statuses = [ask(admin, key, script()).status_code for _ in range(3)]
        assert statuses == [200, 200, 429]
        refused = ask(admin, key, script())
        time.sleep(int(refused.headers["retry-after"]))
        assert ask(admin, key, script()).status_code == 200

    def test_a_bucket_that_is_full_leaves_nothing_behind(
        self, admin: httpx.Client, issue: Issue, script: Script, deployments: Deployments
    ) -> None:
        key = issue(user="short of memory", limits={"perHour": 36_000, "burst": 5})
        assert ask(admin, key, script()).status_code == 200
        for _ in range(100):
            if '"name":"openai:short of memory"' in deployments.log("limited"):
                break
            time.sleep(0.1)
        assert '"name":"openai:short of memory"' in deployments.log("limited")
        assert "on_alarm" not in deployments.log("limited")

    def test_the_limit_outlives_a_restart(
        self, url: str, issue: Issue, script: Script, deployments: Deployments
    ) -> None:
        key = issue(limits={"perHour": 10, "burst": 3})
        statuses = [a.status_code for a in asyncio.run(storm(url, key, script(), times=4))]
        assert sorted(statuses) == [200, 200, 200, 429]
        deployments.restart("limited")
        again = asyncio.run(storm(deployments.get("limited").url, key, script(), times=2))
        assert [answer.status_code for answer in again] == [429, 429]


NOTHING_LEFT = {
    "retry-after": "1",
    "x-ratelimit-limit-requests": "500",
    "x-ratelimit-remaining-requests": "0",
    "x-ratelimit-reset-requests": "1s",
}


class TestAdaptive:
    def test_a_provider_that_asks_for_quiet_gets_it(
        self, admin: httpx.Client, issue: Issue, script: Script, received: Any
    ) -> None:
        key, other = issue(), issue(user="another")
        at = {"model": "deepseek/fast"}
        limited = script(deepseek={"status": 429, "times": 1, "headers": {"retry-after": "3"}})
        first = ask(admin, key, limited, **at)
        assert first.json()["error"]["source"] == "provider"
        began = time.monotonic()
        for who in (key, other):
            refused = ask(admin, who, limited, **at)
            assert refused.status_code == 429
            assert refused.json()["error"]["source"] == "proxy"
            assert 1 <= int(refused.headers["retry-after"]) <= 3
        assert len(received()) == 1
        pool = eventually(
            lambda: admin.get("/admin/limits", params={"provider": "deepseek"}), 200
        ).json()
        assert pool["closed_until"] > 0
        time.sleep(max(0, 3.1 - (time.monotonic() - began)))
        assert ask(admin, other, limited, **at).status_code == 200

    @pytest.fixture
    def groq(self, admin: httpx.Client) -> Iterator[dict[str, str]]:
        """A provider whose limits are forgotten before and after."""
        where = {"provider": "groq"}
        assert admin.delete("/admin/limits", params=where).status_code == 204
        yield where
        assert admin.delete("/admin/limits", params=where).status_code == 204

    def test_one_models_429_leaves_the_providers_other_models_alone(
        self, admin: httpx.Client, issue: Issue, script: Script, groq: dict[str, str]
    ) -> None:
        key, other = issue(), issue(user="who asks for another model")
        one, two = {"model": "groq/openai/gpt-oss-120b"}, {"model": "groq/openai/gpt-oss-20b"}
        limited = script(groq={"status": 429, "times": 1, "headers": {"retry-after": "3000"}})
        assert ask(admin, key, limited, **one).status_code == 429
        for who in (key, other):
            refused = ask(admin, who, script(), **one)
            assert refused.json()["error"]["source"] == "proxy"
            assert "groq has asked for quiet for openai/gpt-oss-120b" in refused.text
            assert 2990 <= int(refused.headers["retry-after"]) <= 3000
        for who in (key, other):
            assert ask(admin, who, script(), **two).status_code == 200
        shown = eventually_shown(admin, groq, lambda pool: bool(pool["scopes"]))
        assert [scope["scope"] for scope in shown["scopes"]] == ["openai/gpt-oss-120b"]
        assert admin.delete("/admin/limits", params=groq).status_code == 204
        assert admin.get("/admin/limits", params=groq).json()["scopes"] == []
        assert ask(admin, key, script(), **one).status_code == 200

    def test_an_accounts_429_closes_all_its_models(
        self, admin: httpx.Client, issue: Issue, script: Script, groq: dict[str, str]
    ) -> None:
        key, other = issue(), issue(user="who asks for another model")
        used_up = script(
            groq={
                "status": 429,
                "times": 1,
                "headers": {"retry-after": "3000"},
                "message": "Rate limit reached for your organization on requests per day",
            }
        )
        assert ask(admin, key, used_up, model="groq/openai/gpt-oss-120b").status_code == 429
        for who in (key, other):
            refused = ask(admin, who, script(), model="groq/openai/gpt-oss-20b")
            assert refused.status_code == 429
            assert "groq has asked for quiet. Try again" in refused.json()["error"]["message"]

    def test_a_date_of_retry_after_is_obeyed(
        self, admin: httpx.Client, issue: Issue, script: Script, groq: dict[str, str]
    ) -> None:
        until = format_datetime(datetime.now(UTC) + timedelta(seconds=100), usegmt=True)
        limited = script(groq={"status": 429, "times": 1, "headers": {"retry-after": until}})
        key = issue()
        first = ask(admin, key, limited, model="groq/openai/gpt-oss-120b")
        assert 90 <= first.json()["error"]["retryAfter"] <= 100
        refused = ask(admin, key, script(), model="groq/openai/gpt-oss-120b")
        assert refused.json()["error"]["source"] == "proxy"
        assert 90 <= int(refused.headers["retry-after"]) <= 100

    @pytest.mark.parametrize("headers", [{}, NOTHING_LEFT])
    def test_a_lone_429_costs_nothing_when_its_time_is_over(
        self,
        headers: dict[str, str],
        admin: httpx.Client,
        issue: Issue,
        script: Script,
        groq: dict[str, str],
    ) -> None:
        key = issue(limits={"perHour": 100_000, "burst": 1000})
        at = {"model": "groq/openai/gpt-oss-120b"}
        limited = script(groq={"status": 429, "times": 1, "headers": headers})
        assert ask(admin, key, limited, **at).status_code == 429
        time.sleep(int(headers.get("retry-after", 0)) * 1.1)
        statuses = [ask(admin, key, script(f"{n}"), **at).status_code for n in range(60)]
        assert statuses == [200] * 60
        assert admin.get("/admin/limits", params=groq).json()["capacity"] is None


class TestTokensAndMoney:
    def test_tokens_a_minute(self, admin: httpx.Client, issue: Issue, script: Script) -> None:
        key = issue(limits={"tokensPerMinute": 400})
        first = ask(admin, key, script(), maxTokens=300)
        assert first.status_code == 200
        # What was reserved and not used is there again once the answer is accounted for.
        second = eventually(lambda: ask(admin, key, script("Again."), maxTokens=300), 200)
        assert second.status_code == 200
        refused = ask(admin, key, script(), maxTokens=390)
        assert refused.status_code == 429
        assert refused.json()["error"]["code"] == 429
        assert "tokens a minute" in refused.json()["error"]["message"]
        assert 1 <= int(refused.headers["retry-after"]) <= 60

    def test_a_budget_says_what_is_left_and_when_it_is_renewed(
        self, admin: httpx.Client, issue: Issue, script: Script
    ) -> None:
        key = issue(budget={"day": 0.01})
        # At $10 a million tokens 950 fit as long as little was spent.
        assert ask(admin, key, script(), maxTokens=950).status_code == 200
        refused = eventually(lambda: ask(admin, key, script(), maxTokens=950), 402)
        assert refused.status_code == 402
        error = refused.json()["error"]
        assert error["type"] == "budget_exceeded"
        assert "$0.01 a day" in error["message"]
        assert "T00:00:00Z" in error["message"]
        assert 1 <= error["retryAfter"] <= 86400
        # A smaller request still fits, so what was refused has reserved nothing.
        assert ask(admin, key, script(), maxTokens=40).status_code == 200

    def test_a_budget_holds_against_many_at_once(
        self, url: str, admin: httpx.Client, issue: Issue, script: Script
    ) -> None:
        key = issue(budget={"day": 0.01}, limits={"burst": 1000})
        body = {"prompt": script(), "maxTokens": 100} | GPT
        answers = asyncio.run(storm(url, key, "", times=100, body=body))
        spent = sum(
            answer.json()["metadata"]["cost"] for answer in answers if answer.status_code == 200
        )
        assert {answer.status_code for answer in answers} == {200, 402}
        assert spent <= 0.01
        told = admin.get("/admin/limits", params={"key": key["id"]})
        assert told.status_code == 200

    def test_a_batch_in_parts_is_counted_one_by_one(
        self, admin: httpx.Client, issue: Issue, script: Script
    ) -> None:
        key = issue(limits={"burst": 40, "perHour": 10}, budget={"day": 1})
        requests = [{"prompt": script(f"{number}")} | GPT for number in range(60)]
        answer = admin.post("/v1/batch", json={"requests": requests}, headers=bearer(key))
        results = answer.json()["results"]
        assert Counter(result["status"] for result in results) == {200: 40, 429: 20}
        costs = [r["response"]["metadata"]["cost"] for r in results if r["status"] == 200]
        spent = round(sum(costs) * 1e9)
        assert spent > 0

        def account() -> Any:
            return admin.get("/admin/limits", params={"key": key["id"]}).json()

        for _ in range(50):
            if account()["reservations"] == 0:
                break
            time.sleep(0.1)
        assert (account()["reservations"], account()["spent_day"]) == (0, spent)


class TestKeys:
    def test_a_key_is_shown_once(self, admin: httpx.Client, issue: Issue) -> None:
        key = issue(name="laptop", note="Ann's", limits={"burst": 5}, budget={"month": 2.5})
        listed = admin.get("/admin/keys")
        assert key["key"] not in listed.text
        [found] = [entry for entry in listed.json()["keys"] if entry["id"] == key["id"]]
        assert found["name"] == "laptop"
        assert found["limits"] == {"burst": 5}
        assert found["budget"] == {"month": 2.5}

    def test_a_new_key_works_at_once_and_a_revoked_one_no_more(
        self, admin: httpx.Client, issue: Issue, script: Script
    ) -> None:
        key = issue()
        assert ask(admin, key, script()).status_code == 200
        assert admin.delete(f"/admin/keys/{key['id']}").status_code == 204
        refused = ask(admin, key, script())
        assert refused.status_code == 401
        assert refused.json()["error"]["type"] == "authentication_failed"

    def test_rotation(self, admin: httpx.Client, issue: Issue, script: Script) -> None:
        old = issue()
        answer = admin.post(f"/admin/keys/{old['id']}/rotate", json={})
        assert answer.status_code == 200
        new = answer.json()
        assert new["key"] != old["key"]
        assert ask(admin, new, script()).status_code == 200
        assert ask(admin, old, script()).status_code == 401

    def test_an_expired_key(self, admin: httpx.Client, issue: Issue, script: Script) -> None:
        key = issue(expiresAt=(datetime.now(UTC) + timedelta(seconds=2)).isoformat())
        assert ask(admin, key, script()).status_code == 200
        refused = eventually(lambda: ask(admin, key, script()), 401)
        assert "expired" in refused.json()["error"]["message"]

    def test_a_key_of_another_environment(self, admin: httpx.Client, issue: Issue) -> None:
        key = issue()
        foreign = {"key": key["key"].replace("development", "production")}
        refused = admin.get("/v1/models", headers=bearer(foreign))
        assert refused.status_code == 401
        assert "production" in refused.json()["error"]["message"]

    def test_wrong_keys_are_slowed_by_address_and_right_ones_are_not(
        self, admin: httpx.Client, issue: Issue
    ) -> None:
        known, new = issue(), issue()
        here = {"cf-connecting-ip": "192.0.2.77"}
        assert admin.get("/v1/models", headers=here | bearer(known)).status_code == 200
        for number in range(100):
            wrong = {"authorization": f"Bearer guess-{number}"}
            answer = admin.get("/v1/models", headers=here | wrong)
            if answer.status_code == 429:
                break
            assert answer.status_code == 401
        assert answer.status_code == 429
        assert int(answer.headers["retry-after"]) >= 1
        for key in (known, new, issue(), {"key": ADMIN_TOKEN}):
            assert admin.get("/v1/models", headers=here | bearer(key)).status_code == 200
            wrong = {"authorization": f"Bearer another-guess-{key['key']}"}
            assert admin.get("/v1/models", headers=here | wrong).status_code == 429
        elsewhere = {"cf-connecting-ip": "192.0.2.78"}
        assert admin.get("/v1/models", headers=elsewhere | bearer(new)).status_code == 200

    def test_what_a_key_may_use(self, admin: httpx.Client, issue: Issue, script: Script) -> None:
        key = issue(providers=["groq"], models=["groq/*"])
        refused = ask(admin, key, script())
        assert refused.status_code == 403
        assert refused.json()["error"]["type"] == "permission_denied"
        answer = ask(admin, key, script(), model="fast", fallback=True)
        assert answer.json()["provider"] == "groq"
        listed = admin.get("/v1/models", headers=bearer(key)).json()["data"]
        assert {entry["owned_by"] for entry in listed} == {"proxy", "groq"}

    def test_the_operators_paths_are_theirs(self, admin: httpx.Client, issue: Issue) -> None:
        key = issue()
        for method, path in (
            ("GET", "/admin/keys"),
            ("POST", "/admin/keys"),
            ("GET", "/admin/limits"),
        ):
            assert admin.request(method, path, headers=bearer(key)).status_code == 403

    def test_requests_a_minute_count_before_the_cache(
        self, admin: httpx.Client, issue: Issue, script: Script
    ) -> None:
        key = issue(limits={"requestsPerMinute": 3})
        asked = {"cache": {"ttl": 600}}
        answers = [ask(admin, key, script(), **asked) for _ in range(4)]
        assert [answer.status_code for answer in answers] == [200, 200, 200, 429]
        assert answers[2].json()["metadata"]["cacheStatus"] == "hit"


def test_a_limiter_out_of_reach_stops_nobody_where_it_may_not(
    deployments: Deployments, script: Script
) -> None:
    body = {"prompt": script()} | GPT
    answer = httpx.post(f"{deployments.get('faulty').url}/v1/generate", json=body, timeout=60)
    assert answer.status_code == 200
    assert '"event":"limiter unreachable"' in deployments.log("faulty")


def test_openais_clients_see_its_headers(admin: httpx.Client, issue: Issue, script: Script) -> None:
    key = issue()
    body = {"model": "openai/gpt-4o", "messages": [{"role": "user", "content": script()}]}
    answer = admin.post("/v1/chat/completions", json=body, headers=bearer(key))
    assert answer.headers["x-ratelimit-limit-requests"] == str(ALLOWANCE)
    assert 0 <= int(answer.headers["x-ratelimit-remaining-requests"]) < ALLOWANCE
    assert answer.headers["x-ratelimit-reset-requests"].endswith("s")


def eventually_shown(
    admin: httpx.Client, limit: dict[str, str], what: Callable[[Any], bool]
) -> Any:
    """What GET /admin/limits shows once it is `what`, or after some seconds."""
    for _ in range(40):
        shown = admin.get("/admin/limits", params=limit).json()
        if what(shown):
            break
        time.sleep(0.1)
    return shown


def eventually(attempt: Callable[[], httpx.Response], status: int) -> httpx.Response:
    """What `attempt` gives once it has the status, or after some seconds."""
    for _ in range(40):
        answer = attempt()
        if answer.status_code == status:
            break
        time.sleep(0.1)
    return answer


def test_a_runner_out_of_reach_fails_the_part_that_it_was_to_run(
    deployments: Deployments, script: Script
) -> None:
    requests = [{"prompt": script(f"{number}")} | GPT for number in range(30)]
    url = f"{deployments.get('faulty').url}/v1/batch"
    told = httpx.post(url, json={"requests": requests}, timeout=60).json()
    assert told["summary"] == {"total": 30, "succeeded": 0, "failed": 30}
    errors = [result["response"]["error"] for result in told["results"]]
    assert {(error["type"], error["code"]) for error in errors} == {("internal_error", 500)}
    assert '"event":"batch runner lost"' in deployments.log("faulty")
