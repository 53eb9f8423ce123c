"""The cron trigger's checks and what /health/providers shows of them."""

from typing import Any

import httpx

from tests.upstream import Upstream

CRON = "/cdn-cgi/handler/scheduled?format=json"


def test_checks_are_made_and_shown(proxy: httpx.Client, upstream: Upstream) -> None:
    upstream.plan({"groq": {"status": 503}, "deepseek": {"status": 401}})
    try:
        assert proxy.get(CRON).json()["outcome"] == "ok"
    finally:
        upstream.plan({})
    shown: dict[str, Any] = {
        provider["name"]: provider
        for provider in proxy.get("/health/providers").json()["providers"]
    }
    assert list(shown)[:4] == ["gemini", "deepseek", "groq", "openai"]
    assert shown["openai"]["configured"] is True
    assert shown["openai"]["lastCheck"]["healthy"] is True
    assert shown["openai"]["lastCheck"]["latencyMs"] >= 0
    assert shown["workers-ai"]["lastCheck"]["healthy"] is True
    assert shown["groq"]["lastCheck"]["healthy"] is False
    assert shown["groq"]["lastCheck"]["status"] == 503
    assert shown["deepseek"]["lastCheck"]["status"] == 401
    assert "test-deepseek-key" not in str(shown)
    assert proxy.get(CRON).json()["outcome"] == "ok"
    again = proxy.get("/health/providers").json()["providers"]
    assert [
        p["lastCheck"] for p in again if p["configured"] and not p["lastCheck"]["healthy"]
    ] == []
