"""Settings that are bound to secrets of Cloudflare's Secrets Store, by wrangler's own local one."""

from pathlib import Path

import httpx
import pytest

from tests.e2e.deployments import ADMIN_TOKEN, BOUND, KEYS, Deployments, store_secret
from tests.upstream import Upstream

LATER = "can't be read from the Secrets Store now. Try again."
ADMIN = {"authorization": f"Bearer {ADMIN_TOKEN}"}


def test_a_setting_is_read_where_it_is_bound(
    upstream: Upstream, tmp_path_factory: pytest.TempPathFactory
) -> None:
    directory: Path = tmp_path_factory.mktemp("bound")
    deployments = Deployments(upstream, directory)
    try:
        with httpx.Client(base_url=deployments.get("secrets").url, timeout=60) as client:
            for _ in range(2):
                refused = client.get("/health")
                assert refused.status_code == 503
                assert refused.headers["retry-after"] == "1"
                said = refused.json()["error"]["message"]
                assert said == f"ADMIN_TOKEN, OPENAI_API_KEY {LATER}"
            for name, value in zip(BOUND, (KEYS["OPENAI_API_KEY"], ADMIN_TOKEN), strict=True):
                store_secret(directory / "secrets", name, value)
            assert client.get("/health").status_code == 200
            assert client.get("/admin/breakers").status_code == 401
            assert client.get("/admin/breakers", headers=ADMIN).status_code == 200
            shown = client.get("/admin/settings", headers=ADMIN).json()["settings"]
            sources = {view["name"]: view["source"] for view in shown}
            assert sources["OPENAI_API_KEY"] == sources["ADMIN_TOKEN"] == "secrets_store"
            assert (sources["SUBREQUEST_LIMIT"], sources["CACHE_TTL"]) == ("deployment", "default")
            asked = {"model": "openai/gpt-5.4-mini", "prompt": "hi", "fallback": False}
            answer = client.post("/v1/generate", json=asked, headers=ADMIN)
            assert answer.json()["provider"] == "openai"
            issued = client.post("/admin/keys", json={"user": "ann"}, headers=ADMIN).json()
            mine = {"authorization": f"Bearer {issued['key']}"}
            assert client.post("/v1/generate", json=asked, headers=mine).status_code == 200
            items = [asked | {"prompt": f"{number}"} for number in range(12)]  # in several parts
            results = client.post("/v1/batch", json={"requests": items}, headers=mine).json()
            assert [each["status"] for each in results["results"]] == [200] * 12
        log = deployments.log("secrets")
        assert KEYS["OPENAI_API_KEY"] not in log
        assert ADMIN_TOKEN not in log
    finally:
        deployments.stop()
