"""What the first version has stored serves this one: keys, figures, limits, breakers, the cache."""

import base64
import json
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.e2e.configuration import build, derive_config
from tests.e2e.deployments import ADMIN_TOKEN, DAY, KEYS, PATHS
from tests.upstream import Upstream
from tools import runtime
from tools.layout import ROOT

FIXTURES = ROOT / "tests" / "fixtures" / "first_version"
KNOWN: dict[str, Any] = json.loads((FIXTURES / "known.json").read_text())
ADMIN = {"authorization": f"Bearer {ADMIN_TOKEN}"}


def restore(place: Path) -> None:
    """Writes the stores of the first version: databases from their SQL, blobs as they were."""
    state: dict[str, list[str] | str] = json.loads((FIXTURES / "state.json").read_text())
    for name, content in state.items():
        path = place / name
        path.parent.mkdir(parents=True, exist_ok=True)
        if isinstance(content, str):
            path.write_bytes(base64.b64decode(content))
            continue
        with closing(sqlite3.connect(path)) as database:
            database.executescript("\n".join(content))


@pytest.fixture(scope="module")
def migrated(
    upstream: Upstream, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[httpx.Client]:
    """This version's Worker on the first one's stores."""
    place = tmp_path_factory.mktemp("migrated")
    restore(place / "state")
    urls = {f"{who}_BASE_URL": upstream.url + path for who, path in PATHS.items()}
    config = derive_config(place, vars=DAY | urls | KEYS | {"ADMIN_TOKEN": ADMIN_TOKEN})
    launch = runtime.Launch(
        runtime.free_port(),
        place / "worker.log",
        configs=(config,),
        env=None,
        persist_to=place / "state",
        snapshot=build().snapshot,
    )
    with (
        runtime.start(launch) as worker,
        httpx.Client(base_url=worker.url, timeout=60, headers=ADMIN) as client,
    ):
        yield client


def test_the_figures_go_on(migrated: httpx.Client) -> None:
    """First of all: what follows counts too."""
    counters = migrated.get("/metrics").text.splitlines()
    assert set(KNOWN["counters"]) <= set(counters)
    log = migrated.get("/analytics/requests?limit=100").json()["requests"]
    rows = [[row["requestId"], row["endpoint"], row["status"]] for row in log]
    assert [row for row in rows if row in KNOWN["requests"]] == KNOWN["requests"]
    for path in ("/analytics?window=730d&group_by=model", "/analytics/insights?window=730d"):
        assert migrated.get(path).status_code == 200


def test_keys_open_what_they_opened(migrated: httpx.Client) -> None:
    keys = KNOWN["keys"]
    kept = migrated.get(f"/admin/keys/{keys['kept']['id']}").json()
    assert (kept["user"], kept["note"], kept["models"]) == ("ann", "first version", ["openai/*"])
    assert kept["limits"] == {"perHour": 500, "tokensPerMinute": 100_000}
    assert kept["budget"] == {"day": 2.5, "month": 20.0}
    secrets = {
        keys["kept"]["key"]: 200,
        keys["rotated"]["key"]: 200,
        keys["rotated"]["before"]: 401,
        keys["revoked"]["key"]: 401,
    }
    for secret, status in secrets.items():
        headers = {"authorization": f"Bearer {secret}"}
        assert migrated.get("/v1/models", headers=headers).status_code == status


def test_requests_are_answered_and_counted(migrated: httpx.Client) -> None:
    headers = {"authorization": f"Bearer {KNOWN['keys']['kept']['key']}"}
    for prompt in ("Say one.", "Say three."):
        asked = {"prompt": prompt, "model": "openai/gpt-4o"}
        answer = migrated.post("/v1/generate", json=asked, headers=headers).json()
        assert answer["data"] == f"echo: {prompt}"
    body = {"prompt": "Hi.", "model": "gemini/fast", "fallback": False}
    refused = migrated.post("/v1/generate", json=body, headers=headers)
    assert refused.status_code == 403, refused.text
    assert migrated.get(f"/admin/limits?key={KNOWN['keys']['kept']['id']}").status_code == 200
    for path in ("/admin/limits?provider=openai", "/admin/breakers", "/health/providers"):
        assert migrated.get(path).status_code == 200


def test_what_came_later_works_beside_it(migrated: httpx.Client) -> None:
    """Objects that the first version did not have."""
    body = {"model": "openai/gpt-4o", "input": "Hi."}
    kept = migrated.post("/v1/responses", json=body).json()["id"]
    assert migrated.get(f"/v1/responses/{kept}").status_code == 200
    alias = {"name": "later", "targets": [{"model": "openai/gpt-4o"}]}
    assert migrated.post("/admin/aliases", json=alias).status_code == 201
