"""Keys and secrets that end: revoked, rotated away, expired and deleted."""

import hashlib
import json

import pytest

from proxy.core.errors import AuthenticationFailed, InvalidRequest, NotFound
from tests.unit.api.office import Office


class TestRevoke:
    async def test_here_at_once_and_elsewhere_within_30_s(self, office: Office) -> None:
        issued = await office.issue()
        digest = hashlib.sha256(issued["key"].encode()).hexdigest()
        await office.opens(issued["key"], office.cache)
        await office.opens(issued["key"], office.other)
        response = await office.revoke(issued["id"])
        assert (response.status, response.body) == (204, b"")
        assert office.cache.peek(digest) is None
        office.clock.time += 29.9
        assert office.other.peek(digest)
        office.clock.time += 0.1
        assert office.other.peek(digest) is None

    async def test_again_changes_nothing(self, office: Office) -> None:
        issued = await office.issue()
        await office.revoke(issued["id"])
        first = await office.key(issued["id"])
        office.clock.time += 60
        assert (await office.revoke(issued["id"])).status == 204
        assert await office.key(issued["id"]) == first


class TestRotate:
    async def test_another_secret_of_the_same_key(self, office: Office) -> None:
        issued = await office.issue(name="laptop")
        turned = await office.rotate(issued["id"])
        assert turned["key"] != issued["key"]
        assert turned | {"key": issued["key"]} == issued
        assert await office.opens(turned["key"]) == issued["id"]
        with pytest.raises(Exception, match="not known"):
            await office.opens(issued["key"])

    @pytest.mark.parametrize("body", [b'{"overlapSeconds":60}', b'{"overlapSeconds":86400}'])
    async def test_the_old_one_goes_on_for_as_long_as_is_said(
        self, office: Office, body: bytes
    ) -> None:
        issued = await office.issue()
        await office.rotate(issued["id"], body)
        office.clock.time += json.loads(body)["overlapSeconds"] - 0.1
        assert await office.opens(issued["key"]) == issued["id"]
        office.clock.time += 0.1
        with pytest.raises(Exception, match="not known"):
            await office.opens(issued["key"])

    async def test_a_later_rotation_ends_an_overlap(self, office: Office) -> None:
        issued = await office.issue()
        await office.rotate(issued["id"], b'{"overlapSeconds":3600}')
        await office.rotate(issued["id"], b"{}")
        with pytest.raises(Exception, match="not known"):
            await office.opens(issued["key"])

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
        issued = await office.issue()
        with pytest.raises(InvalidRequest):
            await office.rotate(issued["id"], body)
        assert await office.opens(issued["key"]) == issued["id"]

    async def test_a_key_that_has_ended_has_no_new_secret(self, office: Office) -> None:
        revoked = await office.issue()
        expired = await office.issue(expiresAt=round(office.clock.time * 1000) + 1000)
        await office.revoke(revoked["id"])
        office.clock.time += 1
        bound = len(office.store.secrets())
        for issued in (revoked, expired):
            with pytest.raises((NotFound, InvalidRequest)):
                await office.rotate(issued["id"])
        assert len(office.store.secrets()) == bound


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
        assert len(office.store.secrets()) == 1
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
        assert len(office.store.secrets()) == 1
        assert self.due(office) is None
