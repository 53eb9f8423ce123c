"""Keys: who gets in where, and what is said to those who don't."""

import httpx
import pytest

from tests.e2e.deployments import ADMIN_TOKEN, CALLER_KEY, METRICS_TOKEN

GUARDED = [
    ("POST", "/v1/generate"),
    ("POST", "/v1/chat/completions"),
    ("POST", "/v1/embeddings"),
    ("GET", "/v1/models"),
    ("GET", "/v1/models/auto"),
    ("GET", "/health/providers"),
]


@pytest.mark.parametrize(("method", "path"), GUARDED)
def test_a_key_is_wanted(keyed: httpx.Client, method: str, path: str) -> None:
    for header in (None, "Bearer wrong", "Basic eDp5", f"Bearer {CALLER_KEY}x"):
        headers = {"authorization": header} if header else {}
        answer = keyed.request(method, path, headers=headers)
        assert answer.status_code == 401
        assert answer.headers["www-authenticate"] == "Bearer"
        assert answer.json()["error"]["message"]
        assert CALLER_KEY not in answer.text


@pytest.mark.parametrize("key", [CALLER_KEY, ADMIN_TOKEN])
def test_either_key_opens(keyed: httpx.Client, key: str) -> None:
    headers = {"authorization": f"Bearer {key}"}
    assert keyed.get("/v1/models", headers=headers).status_code == 200
    answer = keyed.post("/v1/generate", json={"prompt": "Say hello."}, headers=headers)
    assert answer.json()["success"] is True


def test_health_and_options_need_none(keyed: httpx.Client, closed: httpx.Client) -> None:
    for client in (keyed, closed):
        assert client.get("/health").status_code == 200
        assert client.options("/v1/generate").status_code == 204


@pytest.mark.parametrize(("method", "path"), GUARDED)
def test_production_without_a_key_is_closed(closed: httpx.Client, method: str, path: str) -> None:
    for headers in ({}, {"authorization": "Bearer anything"}):
        answer = closed.request(method, path, headers=headers)
        assert answer.status_code == 401
        assert "wrangler secret put PROXY_API_KEY" in answer.json()["error"]["message"]


def test_wrong_settings_are_told_to_everyone(broken: httpx.Client) -> None:
    for path in ("/health", "/v1/models", "/nowhere"):
        answer = broken.get(path)
        assert answer.status_code == 500
        message = answer.json()["error"]["message"]
        assert "FALLBACK_CHAIN names nobody" in message
        assert "IDLE_TIMEOUT_MS must be a whole number" in message


def test_the_token_of_metrics_reads_and_does_no_more(keyed: httpx.Client) -> None:
    headers = {"authorization": f"Bearer {METRICS_TOKEN}"}
    told = keyed.get("/me", headers=headers).json()
    assert (told["user"], told["role"], told["via"]) == ("metrics", "viewer", "metrics_token")
    for path in ("/metrics", "/analytics", "/health/providers", "/admin/keys", "/admin/budgets"):
        assert keyed.get(path, headers=headers).status_code == 200
    for method, path in (
        *GUARDED[:5],
        ("POST", "/admin/keys"),
        ("PUT", "/admin/budgets/team:a"),
        ("DELETE", "/admin/cache?all=true"),
        ("DELETE", "/admin/breakers"),
        ("GET", "/openai/v1/models"),
    ):
        refused = keyed.request(method, path, headers=headers, json={})
        assert refused.status_code == 403
        assert "METRICS_TOKEN may only read" in refused.text
