"""Issued keys on a real Durable Object: who may do what, whatever is tried."""

from datetime import UTC, datetime, timedelta

import httpx

from tests.e2e.conftest import Script
from tests.e2e.deployments import ADMIN_TOKEN
from tests.e2e.limits.making import Issue, bearer, eventually, generate


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
        assert generate(admin, key, script()).status_code == 200
        assert admin.delete(f"/admin/keys/{key['id']}").status_code == 204
        refused = generate(admin, key, script())
        assert refused.status_code == 401
        assert refused.json()["error"]["type"] == "authentication_failed"

    def test_rotation(self, admin: httpx.Client, issue: Issue, script: Script) -> None:
        old = issue()
        answer = admin.post(f"/admin/keys/{old['id']}/rotate", json={})
        assert answer.status_code == 200
        new = answer.json()
        assert new["key"] != old["key"]
        assert generate(admin, new, script()).status_code == 200
        assert generate(admin, old, script()).status_code == 401

    def test_an_expired_key(self, admin: httpx.Client, issue: Issue, script: Script) -> None:
        key = issue(expiresAt=(datetime.now(UTC) + timedelta(seconds=2)).isoformat())
        assert generate(admin, key, script()).status_code == 200
        refused = eventually(lambda: generate(admin, key, script()), 401)
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
        refused = generate(admin, key, script())
        assert refused.status_code == 403
        assert refused.json()["error"]["type"] == "permission_denied"
        answer = generate(admin, key, script(), model="fast", fallback=True)
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
        fields = {"cache": {"ttl": 600}}
        answers = [generate(admin, key, script(), **fields) for _ in range(4)]
        assert [answer.status_code for answer in answers] == [200, 200, 200, 429]
        assert answers[2].json()["metadata"]["cacheStatus"] == "hit"
