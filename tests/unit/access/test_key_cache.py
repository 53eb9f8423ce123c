"""Issued keys: for how long an isolate knows them, and what ends them."""

import tracemalloc

import pytest
from msgspec import structs

from proxy.access.authenticator import format_secret, hash_secret
from proxy.access.key_cache import KNOWN_SECONDS, UNKNOWN_SECONDS
from proxy.access.keys import LOOKUP, Key, KeyRotation
from proxy.core.errors import AuthenticationFailed, InternalError
from proxy.core.principal import Budget, Limits, ModelGrant, Principal
from tests.unit.access.making import HERE, KEY, SECRET, Isolate
from tests.unit.doubles import LoopClock, ManualClock, in_no_time
from tests.unit.memory_objects import Keys, MemoryObjects


class TestIssuedKeys:
    async def test_who_calls(self, isolate: Isolate) -> None:
        assert await isolate.authenticate(SECRET) == Principal(
            user="ann",
            key_id="key_1",
            grant=ModelGrant(providers=("groq",)),
            limits=Limits(per_hour=5),
            budget=Budget(day=7),
            cache_scope="shared",
        )

    async def test_it_is_asked_for_once_in_a_while(
        self, isolate: Isolate, store: Keys, clock: ManualClock
    ) -> None:
        await isolate.authenticate(SECRET)
        clock.time += KNOWN_SECONDS - 0.1
        assert isinstance(isolate.authenticator.authenticate(f"Bearer {SECRET}", HERE), Principal)
        assert len(store.called(LOOKUP)) == 1
        clock.time += 0.1
        await isolate.authenticate(SECRET)
        assert len(store.called(LOOKUP)) == 2

    async def test_a_revoked_key_stops_in_all_isolates(
        self, isolate: Isolate, objects: MemoryObjects, store: Keys, clock: ManualClock
    ) -> None:
        other = Isolate(clock, objects)
        await isolate.authenticate(SECRET)
        await other.authenticate(SECRET)
        store.book.revoke("key_1", store.now)
        isolate.keys.forget()
        assert await isolate.refusal(SECRET) == "revoked_api_key"
        clock.time += KNOWN_SECONDS
        assert await other.refusal(SECRET) == "revoked_api_key"

    async def test_a_key_that_was_tried_too_early(
        self, isolate: Isolate, store: Keys, clock: ManualClock
    ) -> None:
        early = format_secret("production", "cd" * 32)
        assert await isolate.refusal(early) == "invalid_api_key"
        assert await isolate.refusal(early) == "invalid_api_key"
        assert len(store.called(LOOKUP)) == 1
        store.book.issue(Key(id="key_2", user="ben", created_at=0), hash_secret(early))
        clock.time += UNKNOWN_SECONDS
        assert (await isolate.authenticate(early)).user == "ben"

    async def test_it_expires_while_it_is_remembered(
        self, isolate: Isolate, store: Keys, clock: ManualClock
    ) -> None:
        secret = format_secret("production", "ef" * 32)
        ends = round(clock.time * 1000) + 5000
        key = Key(id="key_3", user="cy", created_at=0, expires_at=ends)
        store.book.issue(key, hash_secret(secret))
        await isolate.authenticate(secret)
        assert await isolate.keys.find("key_3") == await isolate.authenticate(secret)
        clock.time += 5
        assert await isolate.refusal(secret) == "expired_api_key"
        with pytest.raises(AuthenticationFailed):
            await isolate.keys.find("key_3")

    @pytest.mark.parametrize("overlap", [0, 60])
    async def test_rotation(
        self, isolate: Isolate, store: Keys, clock: ManualClock, overlap: int
    ) -> None:
        new = format_secret("production", "01" * 32)
        store.book.rotate(KeyRotation("key_1", hash_secret(new), overlap * 1000), store.now)
        assert (await isolate.authenticate(new)).key_id == "key_1"
        if overlap:
            assert (await isolate.authenticate(SECRET)).key_id == "key_1"
            clock.time += overlap
        assert await isolate.refusal(SECRET) == "invalid_api_key"
        assert (await isolate.authenticate(new)).key_id == "key_1"

    async def test_a_key_of_another_environment_is_told_apart(self, isolate: Isolate) -> None:
        foreign = format_secret("staging", "ab" * 32)
        with pytest.raises(AuthenticationFailed, match="belongs to staging; this is production"):
            await isolate.authenticate(foreign)

    async def test_nobody_is_let_in_while_the_store_is_down(
        self, isolate: Isolate, store: Keys, clock: ManualClock
    ) -> None:
        await isolate.authenticate(SECRET)
        store.down = True
        await isolate.authenticate(SECRET)  # still remembered
        clock.time += KNOWN_SECONDS
        with pytest.raises(InternalError) as caught:
            await isolate.authenticate(SECRET)
        assert (caught.value.status, caught.value.code) == (503, "key_store_unreachable")
        assert isolate.log.lines[0][:2] == ("error", "key store unreachable")
        assert (await isolate.authenticate("admin-key")).admin

    @in_no_time
    async def test_a_silent_store_is_not_waited_for(self) -> None:
        clock = LoopClock()
        objects = MemoryObjects(clock)
        objects.keys.silent = True
        assert await Isolate(clock, objects).refusal(SECRET) == "key_store_unreachable"


async def test_what_is_remembered_is_bounded_in_bytes(
    clock: ManualClock, objects: MemoryObjects, store: Keys
) -> None:
    isolate = Isolate(clock, objects)
    secrets = [format_secret("production", f"{number:064x}") for number in range(400)]
    for number, secret in enumerate(secrets):
        models = tuple(f"{number}-{place}-{'x' * 200}\U0001f600" for place in range(32))
        grant = ModelGrant(models=models)
        store.book.issue(structs.replace(KEY, id=f"k{number}", grant=grant), hash_secret(secret))
    tracemalloc.start()
    for secret in secrets:
        await isolate.authenticate(secret, "x" * 10_000)
    kept = tracemalloc.get_traced_memory()[0]
    tracemalloc.stop()
    assert kept < 5_000_000  # 3 MB of it are the store's
    assert (await isolate.authenticate(secrets[-1])).key_id == "k399"
