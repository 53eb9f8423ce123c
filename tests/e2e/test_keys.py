"""Keys and the objects behind them: how they are sent, how long they are kept, what hangs."""

import time
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from tests.e2e.conftest import Script
from tests.e2e.deployments import ADMIN_TOKEN, CALLER_KEY, Deployments

ADMIN = {"authorization": f"Bearer {ADMIN_TOKEN}"}
UNCACHED = {"provider": "openai", "cache": {"mode": "off"}}


@pytest.fixture(scope="module")
def hanging(deployments: Deployments) -> Iterator[httpx.Client]:
    """A deployment whose buckets and flights never answer, and which keeps revoked keys 2 s."""
    with httpx.Client(base_url=deployments.get("hanging").url, headers=ADMIN, timeout=60) as client:
        yield client


def seconds_of(client: httpx.Client, bodies: list[dict[str, Any]]) -> float:
    began = time.monotonic()
    for body in bodies:
        answer = client.post("/v1/generate", json=body)
        assert answer.status_code == 200, answer.text
    return time.monotonic() - began


def test_a_limiter_that_hangs_costs_one_request_its_time(
    hanging: httpx.Client, script: Script, deployments: Deployments
) -> None:
    body = UNCACHED | {"prompt": script()}
    time.sleep(5)  # another test may have met it a moment ago
    assert 1 <= seconds_of(hanging, [body]) < 3
    assert seconds_of(hanging, [body] * 10) < 1
    assert '"event":"limiter unreachable"' in deployments.log("hanging")
    time.sleep(5)
    assert seconds_of(hanging, [body] * 10) < 3


def test_a_flight_that_hangs_costs_one_request_its_time(
    hanging: httpx.Client, script: Script, deployments: Deployments
) -> None:
    bodies = [{"provider": "openai", "prompt": script(f"Number {n}.")} for n in range(10)]
    assert seconds_of(hanging, bodies[:1]) < 5
    assert seconds_of(hanging, bodies[1:]) < 2
    assert '"event":"flight unreachable"' in deployments.log("hanging")


def test_a_revoked_key_is_deleted_after_its_time(hanging: httpx.Client) -> None:
    kept, gone, old = (
        hanging.post("/admin/keys", json={"user": "ann", "name": name}).json()
        for name in ("kept", "gone", "old")
    )
    hanging.post(f"/admin/keys/{old['id']}/rotate")
    assert hanging.delete(f"/admin/keys/{gone['id']}").status_code == 204
    listed = {key["id"]: key for key in hanging.get("/admin/keys").json()["keys"]}
    assert listed[gone["id"]]["revokedAt"]
    for _ in range(60):
        time.sleep(0.1)
        listed = {key["id"]: key for key in hanging.get("/admin/keys").json()["keys"]}
        if gone["id"] not in listed:
            break
    assert {kept["id"], old["id"]} <= listed.keys()
    assert gone["id"] not in listed
    assert hanging.get(f"/admin/keys/{gone['id']}").status_code == 404
    headers = {"authorization": f"Bearer {kept['key']}"}
    assert hanging.get("/v1/models", headers=headers).status_code == 200


def test_keys_are_listed_page_by_page(hanging: httpx.Client) -> None:
    issued = [hanging.post("/admin/keys", json={"user": "ben"}).json()["id"] for _ in range(5)]
    listed: list[str] = []
    params: dict[str, str] = {"limit": "2"}
    while True:
        page = hanging.get("/admin/keys", params=params).json()
        assert len(page["keys"]) <= 2
        listed += [key["id"] for key in page["keys"]]
        if page["next"] is None:
            break
        params["cursor"] = page["next"]
    assert [key for key in listed if key in issued] == issued
    assert len(set(listed)) == len(listed)
    assert hanging.get("/admin/keys").json()["next"] is None
    assert hanging.get("/admin/keys?limit=0").status_code == 400


@pytest.mark.parametrize("name", ["authorization", "x-api-key", "api-key"])
def test_a_key_may_come_in_three_headers(
    keyed: httpx.Client, script: Script, received: Any, deployments: Deployments, name: str
) -> None:
    key = f"Bearer {CALLER_KEY}" if name == "authorization" else CALLER_KEY
    answer = keyed.post("/v1/generate", json=UNCACHED | {"prompt": script()}, headers={name: key})
    assert answer.status_code == 200
    [request] = received()
    assert CALLER_KEY not in str(request)
    logged = [line for line in deployments.log("keyed").splitlines() if '"event"' in line]
    assert logged
    assert CALLER_KEY not in "".join(logged)
    assert keyed.get("/v1/models", headers={name: "wrong"}).status_code == 401
    both = {"authorization": "Bearer", "x-api-key": CALLER_KEY}
    assert keyed.get("/v1/models", headers=both).status_code == 200


def test_a_browser_may_send_them(proxy: httpx.Client) -> None:
    asked = {"origin": "https://app.example", "access-control-request-method": "POST"}
    told = proxy.options("/v1/generate", headers=asked).headers["access-control-allow-headers"]
    assert {"authorization", "x-api-key", "api-key"} <= set(told.split(", "))


def test_missing_bindings_are_named(deployments: Deployments) -> None:
    for path in ("/health", "/v1/models", "/nowhere"):
        answer = httpx.get(f"{deployments.get('unbound').url}{path}", timeout=60)
        assert answer.status_code == 500
        assert "RATE_BUCKET, STATISTICS" in answer.json()["error"]["message"]


def test_users_of_any_script_are_limited(deployments: Deployments, script: Script) -> None:
    user = "\U0001f600" * 256
    limits = {"burst": 2, "perHour": 1}
    url = deployments.get("limited").url
    with httpx.Client(base_url=url, headers=ADMIN, timeout=60) as admin:
        key = admin.post("/admin/keys", json={"user": user, "limits": limits}).json()["key"]
        body = UNCACHED | {"prompt": script(), "fallback": False}
        headers = {"authorization": f"Bearer {key}"}
        answers = [admin.post("/v1/generate", json=body, headers=headers) for _ in range(3)]
        assert [answer.status_code for answer in answers] == [200, 200, 429]
        told = admin.get("/admin/limits", params={"provider": "openai", "user": user})
        assert told.json()["level"] == 0


@pytest.mark.parametrize("user", ["admin", "Default", "ANONYMOUS", "\uff41dmin", " ", "a\x00b"])
def test_the_proxys_own_users_are_not_issued(hanging: httpx.Client, user: str) -> None:
    answer = hanging.post("/admin/keys", json={"user": user})
    assert answer.status_code == 400
    assert answer.json()["error"]["message"].startswith("user: ")
