"""Limits on real Durable Objects: who may do how much, whatever is tried."""

import asyncio
import math
import time
from collections import Counter

import httpx

from tests.e2e.conftest import Script
from tests.e2e.deployments import Deployments
from tests.e2e.limits.making import (
    ALLOWANCE,
    GPT,
    Issue,
    bearer,
    eventually,
    generate,
    is_logged,
    read_account,
    storm,
)


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
        assert generate(admin, quiet, script()).status_code == 200
        assert generate(admin, heavy, script(), model="groq/fast").status_code == 200

    def test_a_caller_that_waits_as_long_as_it_reads_is_admitted(
        self, admin: httpx.Client, issue: Issue, script: Script
    ) -> None:
        key = issue(limits={"perHour": 1800, "burst": 2})
        statuses = [generate(admin, key, script()).status_code for _ in range(3)]
        assert statuses == [200, 200, 429]
        refused = generate(admin, key, script())
        time.sleep(int(refused.headers["retry-after"]))
        assert generate(admin, key, script()).status_code == 200

    def test_a_bucket_that_is_full_leaves_nothing_behind(
        self, admin: httpx.Client, issue: Issue, script: Script, deployments: Deployments
    ) -> None:
        key = issue(user="short of memory", limits={"perHour": 36_000, "burst": 5})
        assert generate(admin, key, script()).status_code == 200
        assert is_logged(deployments, "limited", '"name":"openai:short of memory"')
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


class TestTokensAndMoney:
    def test_tokens_a_minute(self, admin: httpx.Client, issue: Issue, script: Script) -> None:
        key = issue(limits={"tokensPerMinute": 400})
        first = generate(admin, key, script(), maxTokens=300)
        assert first.status_code == 200
        # What was reserved and not used is there again once the answer is accounted for.
        second = eventually(lambda: generate(admin, key, script("Again."), maxTokens=300), 200)
        assert second.status_code == 200
        refused = generate(admin, key, script(), maxTokens=390)
        assert refused.status_code == 429
        assert refused.json()["error"]["code"] == 429
        assert "tokens a minute" in refused.json()["error"]["message"]
        assert 1 <= int(refused.headers["retry-after"]) <= 60

    def test_a_budget_says_what_is_left_and_when_it_is_renewed(
        self, admin: httpx.Client, issue: Issue, script: Script
    ) -> None:
        key = issue(budget={"day": 0.01})
        # At $10 a million tokens 950 fit as long as little was spent.
        assert generate(admin, key, script(), maxTokens=950).status_code == 200
        refused = eventually(lambda: generate(admin, key, script(), maxTokens=950), 402)
        assert refused.status_code == 402
        error = refused.json()["error"]
        assert error["type"] == "budget_exceeded"
        assert "$0.01 a day" in error["message"]
        assert "T00:00:00Z" in error["message"]
        assert 1 <= error["retryAfter"] <= 86400
        # A smaller request still fits, so what was refused has reserved nothing.
        assert generate(admin, key, script(), maxTokens=40).status_code == 200

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
        shown = admin.get("/admin/limits", params={"key": key["id"]})
        assert shown.status_code == 200

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

        shown = read_account(admin, key)
        assert (shown["reservations"], shown["spent_day"]) == (0, spent)


def test_a_limiter_out_of_reach_stops_nobody_where_it_may_not(
    deployments: Deployments, script: Script
) -> None:
    body = {"prompt": script()} | GPT
    answer = httpx.post(f"{deployments.get('faulty').url}/v1/generate", json=body, timeout=60)
    assert answer.status_code == 200
    assert is_logged(deployments, "faulty", '"event":"limiter unreachable"')


def test_openais_clients_see_its_headers(admin: httpx.Client, issue: Issue, script: Script) -> None:
    key = issue()
    body = {"model": "openai/gpt-4o", "messages": [{"role": "user", "content": script()}]}
    answer = admin.post("/v1/chat/completions", json=body, headers=bearer(key))
    assert answer.headers["x-ratelimit-limit-requests"] == str(ALLOWANCE)
    assert 0 <= int(answer.headers["x-ratelimit-remaining-requests"]) < ALLOWANCE
    assert answer.headers["x-ratelimit-reset-requests"].endswith("s")


def test_a_runner_out_of_reach_fails_the_part_that_it_was_to_run(
    deployments: Deployments, script: Script
) -> None:
    requests = [{"prompt": script(f"{number}")} | GPT for number in range(30)]
    url = f"{deployments.get('faulty').url}/v1/batch"
    answer = httpx.post(url, json={"requests": requests}, timeout=60).json()
    assert answer["summary"] == {"total": 30, "succeeded": 0, "failed": 30}
    errors = [result["response"]["error"] for result in answer["results"]]
    assert {(error["type"], error["code"]) for error in errors} == {("internal_error", 500)}
    assert is_logged(deployments, "faulty", '"event":"batch runner lost"')
