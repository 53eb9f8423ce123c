"""The operators' paths for keys: what may be said, what is told, and that a secret is told once."""

import hashlib
import json
from typing import Any

import pytest
from msgspec import structs

from proxy.access.key_cache import KeyCache
from proxy.api import keys
from proxy.api.services import Services
from proxy.core.errors import AuthenticationFailed, InternalError, InvalidRequest, NotFound
from proxy.core.principal import Budget, Limits
from proxy.core.web import Response
from proxy.dialects import native
from proxy.serving.context import RequestContext
from tests.unit.callers import request
from tests.unit.doubles import FakeReply, Logbook, ManualClock, ports
from tests.unit.memory_objects import MemoryObjects

HERE = "192.0.2.1"


class Office:
    """The paths of one isolate; `other` is the ring of another one."""

    def __init__(self) -> None:
        self.clock = ManualClock()
        self.log = Logbook()
        self.ports = structs.replace(ports(lambda _: FakeReply(), clock=self.clock), log=self.log)
        assert isinstance(self.ports.objects, MemoryObjects)
        self.store = self.ports.objects.keys
        self.services = Services({"ENVIRONMENT": "staging", "ANALYTICS": "off"}, self.ports)
        self.ring = self.services.ring
        self.other = KeyCache(self.ports.objects, self.clock, self.log)

    def context(self, method: str, path: str, body: bytes = b"") -> RequestContext:
        context = RequestContext(
            request(method, path, body), path, native, self.clock, self.ports.random
        )
        context.hold = self.services.memory.open()
        return context

    async def posted(self, body: bytes) -> Response:
        return await keys.issue_key(self.services, self.context("POST", "/admin/keys", body))

    async def issue(self, **fields: Any) -> Any:
        response = await self.posted(json.dumps({"user": "ann"} | fields).encode())
        assert response.status == 201
        assert response.headers["cache-control"] == "no-store"
        return json.loads(response.body)

    async def page(self, query: str = "") -> Any:
        context = self.context("GET", f"/admin/keys?{query}")
        response = await keys.list_keys(self.services, context)
        assert response.headers["cache-control"] == "no-store"
        return json.loads(response.body)

    async def keys(self) -> Any:
        page = await self.page()
        assert page["next"] is None
        return page["keys"]

    async def key(self, key_id: str) -> Any:
        context = self.context("GET", f"/admin/keys/{key_id}")
        return json.loads((await keys.show_key(self.services, context)).body)

    async def revoke(self, key_id: str) -> Response:
        context = self.context("DELETE", f"/admin/keys/{key_id}")
        return await keys.revoke_key(self.services, context)

    async def rotate(self, key_id: str, body: bytes = b"") -> Any:
        context = self.context("POST", f"/admin/keys/{key_id}/rotate", body)
        response = await keys.rotate_key(self.services, context)
        assert (response.status, response.headers["cache-control"]) == (200, "no-store")
        return json.loads(response.body)

    async def opens(self, secret: str, ring: KeyCache | None = None) -> str | None:
        """The id of the key that a secret opens, anew."""
        ring = ring or KeyCache(self.ports.objects, self.clock, self.log)
        return (await ring.lookup(hashlib.sha256(secret.encode()).hexdigest(), HERE)).key_id


@pytest.fixture
def office() -> Office:
    return Office()


class TestIssue:
    async def test_what_is_told(self, office: Office) -> None:
        told = await office.issue(
            name="laptop",
            note="Ann's",
            providers=["groq"],
            models=["groq/*"],
            limits={"perHour": 0, "burst": 5, "requestsPerMinute": 6, "tokensPerMinute": 7},
            budget={"day": 0.001, "month": 100},
            cacheScope="shared",
            expiresAt="2030-01-01T01:00:00.250+01:00",
        )
        assert told.pop("id").startswith("key_")
        secret = told.pop("key")
        assert secret.startswith("aep_staging_")
        assert len(secret) == len("aep_staging_") + 64
        assert told == {
            "user": "ann",
            "name": "laptop",
            "note": "Ann's",
            "providers": ["groq"],
            "models": ["groq/*"],
            "limits": {"perHour": 0, "burst": 5, "requestsPerMinute": 6, "tokensPerMinute": 7},
            "budget": {"day": 0.001, "month": 100},
            "cacheScope": "shared",
            "createdAt": "2023-11-14T22:13:20Z",
            "expiresAt": "2030-01-01T00:00:00.250Z",
            "revokedAt": None,
        }

    async def test_whom_it_lets_in(self, office: Office) -> None:
        told = await office.issue(limits={"burst": 5}, budget={"day": 1.5}, models=["gpt-*"])
        digest = hashlib.sha256(told["key"].encode()).hexdigest()
        principal = await office.other.lookup(digest, HERE)
        assert (principal.user, principal.admin, principal.key_id) == ("ann", False, told["id"])
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
        told = await office.issue(expiresAt=1_900_000_000_000)
        assert told["expiresAt"] == "2030-03-17T17:46:40Z"

    async def test_no_two_are_alike(self, office: Office) -> None:
        told = [await office.issue() for _ in range(3)]
        assert len({key["id"] for key in told}) == len({key["key"] for key in told}) == 3

    @pytest.mark.parametrize(
        ("fields", "param"),
        [
            ({"user": "(other)"}, "user"),
            ({"user": "admin"}, "user"),
            ({"user": "default"}, "user"),
            ({"user": "anonymous"}, "user"),
            ({"user": "ADMIN"}, "user"),
            ({"user": "Ad Min"}, "user"),
            ({"user": " admin"}, "user"),
            ({"user": "\uff41\uff44\uff4d\uff49\uff4e"}, "user"),
            ({"user": "ad\u034fmin\ufe0f"}, "user"),
            ({"user": "\u00e1dm\u0130n"}, "user"),
            ({"user": "adm\u0131n"}, "user"),
            ({"user": "ad\u200bmin"}, "user"),
            ({"user": "\u202eadmin"}, "user"),
            ({"user": "anonymous\u3164"}, "user"),
            ({"user": "   "}, "user"),
            ({"user": "\u00a0"}, "user"),
            ({"user": "\u2800"}, "user"),
            ({"user": "\u3164\u034f"}, "user"),
            ({"user": "a\u0000b"}, "user"),
            ({"user": "a\u0085b"}, "user"),
            ({"user": "a\ufdd0b"}, "user"),
            ({"user": ""}, "user"),
            ({"user": "a\nb"}, "user"),
            ({"user": "x" * 257}, "user"),
            ({"user": 5}, "user"),
            ({"name": "a\u2028b"}, "name"),
            ({"usr": "ann"}, "usr"),
            ({"key": "mine"}, "key"),
            ({"revokedAt": 1}, "revokedAt"),
            ({"admin": True}, "admin"),
            ({"models": [""]}, "models[0]"),
            ({"models": ["a b"]}, "models[0]"),
            ({"models": "gpt-4o"}, "models"),
            ({"limits": {"perHour": -1}}, "limits.perHour"),
            ({"limits": {"perHour": 10_000_001}}, "limits.perHour"),
            ({"limits": {"burst": 0}}, "limits.burst"),
            ({"limits": {"burst": True}}, "limits.burst"),
            ({"limits": {"requestsPerMinute": 0}}, "limits.requestsPerMinute"),
            ({"limits": {"tokensPerMinute": 1_000_000_001}}, "limits.tokensPerMinute"),
            ({"limits": {"per_hour": 1}}, "limits.per_hour"),
            ({"budget": {"day": 0}}, "budget.day"),
            ({"budget": {"day": -1}}, "budget.day"),
            ({"budget": {"month": 1_000_001}}, "budget.month"),
            ({"budget": {"year": 1}}, "budget.year"),
            ({"budget": 5}, "budget"),
            ({"cacheScope": "all"}, "cacheScope"),
            ({"expiresAt": "2030-01-01T00:00:00"}, "expiresAt"),
            ({"expiresAt": "tomorrow"}, "expiresAt"),
            ({"expiresAt": "2020-01-01T00:00:00Z"}, "expiresAt"),
            ({"expiresAt": 1_700_000_000_000}, "expiresAt"),
            ({"expiresAt": -1}, "expiresAt"),
        ],
    )
    async def test_what_makes_no_sense_is_named(
        self, office: Office, fields: dict[str, Any], param: str
    ) -> None:
        with pytest.raises(InvalidRequest) as caught:
            await office.issue(**fields)
        assert caught.value.param == param
        assert caught.value.message.startswith(f"{param}: ")
        assert await office.keys() == []

    async def test_a_provider_that_there_is_not(self, office: Office) -> None:
        with pytest.raises(InvalidRequest, match=r"providers.*'acme'.*gemini.*groq"):
            await office.issue(providers=["groq", "acme"])

    @pytest.mark.parametrize(
        "body",
        [
            b"",
            b" ",
            b"null",
            b"[]",
            b"{}",
            b'"ann"',
            b"{",
            b'{"user":"\xff"}',
            b'{"user":"\\ud800"}',
            b'{"user":"ann"} x',
            b'{"user":"ann","budget":{"day":1e999}}',
            b'{"user":"ann","budget":{"day":NaN}}',
            b'{"user":"ann","models":' + b"[" * 5000 + b"]" * 5000 + b"}",
            b'{"user":"ann","models":[' + b'"a",' * 600_000 + b'"a"]}',
        ],
    )
    async def test_hostile_bodies(self, office: Office, body: bytes) -> None:
        with pytest.raises(InvalidRequest) as caught:
            await office.posted(body)
        assert len(caught.value.message) < 1000
        assert await office.keys() == []


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

    async def test_who_knows_no_pages_gets_the_first(self, office: Office) -> None:
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

    async def test_a_secret_is_told_once_and_kept_nowhere(self, office: Office) -> None:
        told = await office.issue()
        turned = await office.rotate(told["id"])
        everywhere = [await office.keys(), await office.key(told["id"]), office.log.lines]
        kept = [office.store.rows(table) for table in ("keys", "secrets")]
        text = json.dumps(everywhere + kept)
        for secret in (told["key"], turned["key"]):
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


class TestRevoke:
    async def test_here_at_once_and_elsewhere_within_30_s(self, office: Office) -> None:
        told = await office.issue()
        digest = hashlib.sha256(told["key"].encode()).hexdigest()
        await office.opens(told["key"], office.ring)
        await office.opens(told["key"], office.other)
        response = await office.revoke(told["id"])
        assert (response.status, response.body) == (204, b"")
        assert office.ring.peek(digest) is None
        office.clock.time += 29.9
        assert office.other.peek(digest)
        office.clock.time += 0.1
        assert office.other.peek(digest) is None

    async def test_again_changes_nothing(self, office: Office) -> None:
        told = await office.issue()
        await office.revoke(told["id"])
        first = await office.key(told["id"])
        office.clock.time += 60
        assert (await office.revoke(told["id"])).status == 204
        assert await office.key(told["id"]) == first


class TestRotate:
    async def test_another_secret_of_the_same_key(self, office: Office) -> None:
        told = await office.issue(name="laptop")
        turned = await office.rotate(told["id"])
        assert turned["key"] != told["key"]
        assert turned | {"key": told["key"]} == told
        assert await office.opens(turned["key"]) == told["id"]
        with pytest.raises(Exception, match="not known"):
            await office.opens(told["key"])

    @pytest.mark.parametrize("body", [b'{"overlapSeconds":60}', b'{"overlapSeconds":86400}'])
    async def test_the_old_one_goes_on_for_as_long_as_is_said(
        self, office: Office, body: bytes
    ) -> None:
        told = await office.issue()
        await office.rotate(told["id"], body)
        office.clock.time += json.loads(body)["overlapSeconds"] - 0.1
        assert await office.opens(told["key"]) == told["id"]
        office.clock.time += 0.1
        with pytest.raises(Exception, match="not known"):
            await office.opens(told["key"])

    async def test_a_later_rotation_ends_an_overlap(self, office: Office) -> None:
        told = await office.issue()
        await office.rotate(told["id"], b'{"overlapSeconds":3600}')
        await office.rotate(told["id"], b"{}")
        with pytest.raises(Exception, match="not known"):
            await office.opens(told["key"])

    @pytest.mark.parametrize(
        "body",
        [
            b'{"overlapSeconds":-1}',
            b'{"overlapSeconds":86401}',
            b'{"overlapSeconds":"60"}',
            b'{"overlap":60}',
            b"[]",
            b"{",
            b"[" * 5000,
        ],
    )
    async def test_what_makes_no_sense_changes_nothing(self, office: Office, body: bytes) -> None:
        told = await office.issue()
        with pytest.raises(InvalidRequest):
            await office.rotate(told["id"], body)
        assert await office.opens(told["key"]) == told["id"]

    async def test_not_of_a_key_that_has_ended(self, office: Office) -> None:
        revoked = await office.issue()
        expired = await office.issue(expiresAt=round(office.clock.time * 1000) + 1000)
        await office.revoke(revoked["id"])
        office.clock.time += 1
        bound = len(office.store.rows("secrets"))
        for told in (revoked, expired):
            with pytest.raises((NotFound, InvalidRequest)):
                await office.rotate(told["id"])
        assert len(office.store.rows("secrets")) == bound


@pytest.mark.parametrize("moment", [10**18, "9999-12-31T23:59:59-12:00"])
async def test_an_expiry_that_cannot_be_told_is_refused(moment: object) -> None:
    office = Office()
    with pytest.raises(InvalidRequest, match="expiresAt"):
        await office.issue(expiresAt=moment)
    assert await office.keys() == []


@pytest.mark.parametrize("field", ["providers", "models"])
async def test_an_empty_list_does_not_mean_all(field: str) -> None:
    with pytest.raises(InvalidRequest, match=field):
        await Office().issue(**{field: []})


async def test_null_means_left_out() -> None:
    key = await Office().issue(limits=None, budget=None, providers=None, models=None)
    assert key["limits"] == {}


@pytest.mark.parametrize("action", ["issue", "keys", "key", "revoke", "rotate"])
async def test_a_store_that_is_down_is_told_as_such(action: str) -> None:
    office = Office()
    office.store.down = True
    with pytest.raises(InternalError) as caught:
        await getattr(office, action)(*(["key_1"] if action in ("key", "revoke", "rotate") else []))
    assert caught.value.status == 503


class TestRetention:
    """What has ended is deleted after a while, by the alarm of the keys' object."""

    DAY = 86_400_000

    def due(self, office: Office) -> int | None:
        return office.store.book.find_prune_at(30 * self.DAY)

    def prune(self, office: Office) -> None:
        office.store.book.prune(30 * self.DAY, office.store.now)

    async def test_nothing_is_due_while_nothing_ends(self, office: Office) -> None:
        assert self.due(office) is None
        await office.issue()
        assert self.due(office) is None

    async def test_a_revoked_key_with_its_secret(self, office: Office) -> None:
        gone, kept = await office.issue(), await office.issue()
        await office.revoke(gone["id"])
        due = self.due(office)
        assert due == office.store.now + 30 * self.DAY
        office.clock.time = due / 1000 - 1
        self.prune(office)
        assert len(await office.keys()) == 2
        office.clock.time = due / 1000
        self.prune(office)
        assert [key["id"] for key in await office.keys()] == [kept["id"]]
        assert await office.opens(kept["key"]) == kept["id"]
        with pytest.raises(AuthenticationFailed, match="not known"):
            await office.opens(gone["key"])
        assert len(office.store.rows("secrets")) == 1
        assert self.due(office) is None

    async def test_an_expired_key(self, office: Office) -> None:
        ends = office.store.now + self.DAY
        await office.issue(expiresAt=ends)
        assert self.due(office) == ends + 30 * self.DAY
        office.clock.time = (ends + 30 * self.DAY) / 1000
        self.prune(office)
        assert await office.keys() == []

    async def test_a_secret_that_was_rotated_away(self, office: Office) -> None:
        old = await office.issue()
        new = await office.rotate(old["id"])
        assert self.due(office) == office.store.now + 30 * self.DAY
        office.clock.time += 30 * 86_400
        self.prune(office)
        assert await office.opens(new["key"]) == old["id"]
        assert len(office.store.rows("secrets")) == 1
        assert self.due(office) is None
