"""Providers that say no: whom an isolate leaves alone, on real Durable Objects."""

import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import Any

import httpx
import pytest

from tests.e2e.conftest import Script
from tests.e2e.limits.making import Issue, eventually, generate, show_limit

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
        first = generate(admin, key, limited, **at)
        assert first.json()["error"]["source"] == "provider"
        began = time.monotonic()
        for caller in (key, other):
            refused = generate(admin, caller, limited, **at)
            assert refused.status_code == 429
            assert refused.json()["error"]["source"] == "proxy"
            assert 1 <= int(refused.headers["retry-after"]) <= 3
        assert len(received()) == 1
        pool = eventually(
            lambda: admin.get("/admin/limits", params={"provider": "deepseek"}), 200
        ).json()
        assert pool["closed_until"] > 0
        time.sleep(max(0, 3.1 - (time.monotonic() - began)))
        assert generate(admin, other, limited, **at).status_code == 200

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
        key, other = issue(), issue(user="a user of another model")
        one, two = {"model": "groq/openai/gpt-oss-120b"}, {"model": "groq/openai/gpt-oss-20b"}
        limited = script(groq={"status": 429, "times": 1, "headers": {"retry-after": "3000"}})
        assert generate(admin, key, limited, **one).status_code == 429
        for caller in (key, other):
            refused = generate(admin, caller, script(), **one)
            assert refused.json()["error"]["source"] == "proxy"
            assert "groq has asked for quiet for openai/gpt-oss-120b" in refused.text
            assert 2990 <= int(refused.headers["retry-after"]) <= 3000
        for caller in (key, other):
            assert generate(admin, caller, script(), **two).status_code == 200
        shown = show_limit(admin, groq, lambda pool: bool(pool["scopes"]))
        assert [scope["scope"] for scope in shown["scopes"]] == ["openai/gpt-oss-120b"]
        assert admin.delete("/admin/limits", params=groq).status_code == 204
        assert admin.get("/admin/limits", params=groq).json()["scopes"] == []
        assert generate(admin, key, script(), **one).status_code == 200

    def test_an_accounts_429_closes_all_its_models(
        self, admin: httpx.Client, issue: Issue, script: Script, groq: dict[str, str]
    ) -> None:
        key, other = issue(), issue(user="a user of another model")
        used_up = script(
            groq={
                "status": 429,
                "times": 1,
                "headers": {"retry-after": "3000"},
                "message": "Rate limit reached for your organization on requests per day",
            }
        )
        assert generate(admin, key, used_up, model="groq/openai/gpt-oss-120b").status_code == 429
        for caller in (key, other):
            refused = generate(admin, caller, script(), model="groq/openai/gpt-oss-20b")
            assert refused.status_code == 429
            assert "groq has asked for quiet. Try again" in refused.json()["error"]["message"]

    def test_a_date_of_retry_after_is_obeyed(
        self, admin: httpx.Client, issue: Issue, script: Script, groq: dict[str, str]
    ) -> None:
        until = format_datetime(datetime.now(UTC) + timedelta(seconds=100), usegmt=True)
        limited = script(groq={"status": 429, "times": 1, "headers": {"retry-after": until}})
        key = issue()
        first = generate(admin, key, limited, model="groq/openai/gpt-oss-120b")
        assert 90 <= first.json()["error"]["retryAfter"] <= 100
        refused = generate(admin, key, script(), model="groq/openai/gpt-oss-120b")
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
        assert generate(admin, key, limited, **at).status_code == 429
        time.sleep(int(headers.get("retry-after", 0)) * 1.1)
        statuses = [generate(admin, key, script(f"{n}"), **at).status_code for n in range(60)]
        assert statuses == [200] * 60
        assert admin.get("/admin/limits", params=groq).json()["capacity"] is None
