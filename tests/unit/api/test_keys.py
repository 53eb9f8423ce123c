"""The operators' paths for keys: what is issued and listed, and that a secret is shown once."""

import hashlib
import json

import pytest

from proxy.core.errors import InternalError, InvalidRequest, NotFound
from proxy.core.principal import Budget, Limits
from tests.unit.api.office import HERE, Office


class TestIssue:
    async def test_what_is_shown(self, office: Office) -> None:
        issued = await office.issue(
            name="laptop",
            note="Ann's",
            providers=["groq"],
            models=["groq/*"],
            limits={"perHour": 0, "burst": 5, "requestsPerMinute": 6, "tokensPerMinute": 7},
            budget={"day": 0.001, "month": 100},
            cacheScope="shared",
            expiresAt="2030-01-01T01:00:00.250+01:00",
        )
        assert issued.pop("id").startswith("key_")
        secret = issued.pop("key")
        assert secret.startswith("aep_staging_")
        assert len(secret) == len("aep_staging_") + 64
        assert issued == {
            "user": "ann",
            "name": "laptop",
            "note": "Ann's",
            "role": "user",
            "team": None,
            "tags": [],
            "providers": ["groq"],
            "models": ["groq/*"],
            "limits": {"perHour": 0, "burst": 5, "requestsPerMinute": 6, "tokensPerMinute": 7},
            "budget": {"day": 0.001, "month": 100},
            "cacheScope": "shared",
            "passthrough": False,
            "createdAt": "2023-11-14T22:13:20Z",
            "expiresAt": "2030-01-01T00:00:00.250Z",
            "revokedAt": None,
        }

    async def test_the_principal_that_it_opens_to(self, office: Office) -> None:
        issued = await office.issue(limits={"burst": 5}, budget={"day": 1.5}, models=["gpt-*"])
        digest = hashlib.sha256(issued["key"].encode()).hexdigest()
        principal = await office.other.lookup(digest, HERE)
        assert (principal.user, principal.admin, principal.key_id) == ("ann", False, issued["id"])
        assert principal.grant.models == ("gpt-*",)
        assert principal.limits == Limits(burst=5)
        assert principal.budget == Budget(day=1_500_000_000)

    @pytest.mark.parametrize(
        "user",
        [
            "administrator",
            "Ann Lee",
            "\u674e\u96f7",
            "\u0906\u0928\u0902\u0926",
            "ann@example.com",
            "\U0001f600" * 256,
        ],
    )
    async def test_users_of_any_script(self, office: Office, user: str) -> None:
        assert (await office.issue(user=user))["user"] == user

    async def test_an_expiry_in_milliseconds(self, office: Office) -> None:
        issued = await office.issue(expiresAt=1_900_000_000_000)
        assert issued["expiresAt"] == "2030-03-17T17:46:40Z"

    async def test_no_two_are_alike(self, office: Office) -> None:
        issued = [await office.issue() for _ in range(3)]
        assert len({key["id"] for key in issued}) == len({key["key"] for key in issued}) == 3


class TestList:
    async def test_the_oldest_first_and_revoked_ones_too(self, office: Office) -> None:
        first, second = await office.issue(user="ann"), await office.issue(user="ben")
        office.clock.time += 1
        await office.revoke(first["id"])
        listed = await office.keys()
        assert [key["id"] for key in listed] == [first["id"], second["id"]]
        assert [key["revokedAt"] for key in listed] == ["2023-11-14T22:13:21Z", None]
        assert await office.key(second["id"]) == listed[1]

    @pytest.mark.parametrize("limit", [1, 2, 3, 7, 8, 500])
    async def test_page_by_page(self, office: Office, limit: int) -> None:
        issued = [(await office.issue())["id"] for _ in range(7)]
        listed, cursor = [], ""
        while True:
            page = await office.page(f"limit={limit}{cursor}")
            assert 0 < len(page["keys"]) <= limit
            listed += [key["id"] for key in page["keys"]]
            if page["next"] is None:
                break
            cursor = f"&cursor={page['next']}"
        assert listed == issued

    async def test_a_caller_that_knows_no_pages_gets_the_first(self, office: Office) -> None:
        for _ in range(103):
            await office.issue()
        page = await office.page()
        assert len(page["keys"]) == 100
        assert len((await office.page(f"cursor={page['next']}"))["keys"]) == 3

    @pytest.mark.parametrize(
        "query", ["limit=0", "limit=501", "limit=x", "cursor=x", "cursor=WzEsMl0", "page=2"]
    )
    async def test_a_page_that_makes_no_sense(self, office: Office, query: str) -> None:
        with pytest.raises(InvalidRequest) as caught:
            await office.page(query)
        assert caught.value.param == query.partition("=")[0]

    async def test_a_secret_is_shown_once_and_kept_nowhere(self, office: Office) -> None:
        issued = await office.issue()
        turned = await office.rotate(issued["id"])
        everywhere = [await office.keys(), await office.key(issued["id"]), office.log.lines]
        kept = [office.store.rows(table) for table in ("keys", "secrets")]
        text = json.dumps(everywhere + kept)
        for secret in (issued["key"], turned["key"]):
            assert secret not in text
            assert secret.removeprefix("aep_staging_") not in text
            assert hashlib.sha256(secret.encode()).hexdigest() not in json.dumps(everywhere)

    @pytest.mark.parametrize("key_id", ["key_0", "rotate", "%00", "x" * 5000])
    async def test_a_key_that_there_is_not(self, office: Office, key_id: str) -> None:
        await office.issue()
        for call in (office.key, office.revoke, office.rotate):
            with pytest.raises(NotFound) as caught:
                await call(key_id)
            assert len(caught.value.message) < 300


async def test_null_means_left_out() -> None:
    key = await Office().issue(limits=None, budget=None, providers=None, models=None)
    assert key["limits"] == {}


@pytest.mark.parametrize("action", ["issue", "keys", "key", "revoke", "rotate"])
async def test_a_store_that_is_down_is_an_error_of_the_proxys(action: str) -> None:
    office = Office()
    office.store.down = True
    with pytest.raises(InternalError) as caught:
        await getattr(office, action)(*(["key_1"] if action in ("key", "revoke", "rotate") else []))
    assert caught.value.status == 503
