"""Wrong keys: what an address may send, and that right ones are let in all the same."""

import asyncio
from collections.abc import Awaitable, Callable

import pytest

from proxy.access.authenticator import format_secret, hash_secret
from proxy.access.key_cache import LISTED_SECONDS, STORE_SECONDS
from proxy.access.keys import (
    ISSUE,
    LIST_PREFIXES,
    LOOKUP,
    REVOKE,
    FoundKey,
    Key,
    KeyLookup,
    KeyRotation,
    NewKey,
)
from proxy.access.wrong_keys import BURST, PER_MINUTE
from proxy.core.circuit import REST_SECONDS
from proxy.core.errors import RateLimitExceeded
from proxy.core.principal import Principal
from tests.unit.access.making import HERE, KEY, SECRET, THERE, Isolate
from tests.unit.doubles import LoopClock, ManualClock, in_no_time
from tests.unit.memory_objects import Keys, MemoryObjects


class TestGuessing:
    async def guess(self, isolate: Isolate, count: int, address: str = HERE) -> None:
        for number in range(count):
            assert await isolate.refusal(f"guess {address} {number}", address) == "invalid_api_key"

    async def test_too_many_wrong_keys_are_refused_for_a_while(
        self, isolate: Isolate, clock: ManualClock
    ) -> None:
        await self.guess(isolate, BURST)
        with pytest.raises(RateLimitExceeded) as caught:
            await isolate.authenticate("one more")
        wait = caught.value.retry_after
        assert wait is not None
        assert await isolate.refusal("one more", THERE) == "invalid_api_key"
        clock.time += wait
        assert await isolate.refusal("another") == "invalid_api_key"
        assert await isolate.refusal("one more than that") == "too_many_failed_attempts"

    @pytest.mark.parametrize("key", [SECRET, "user-key", "admin-key"])
    async def test_a_right_key_is_let_in_whatever_its_address_has_sent(
        self, isolate: Isolate, store: Keys, clock: ManualClock, key: str
    ) -> None:
        await self.guess(isolate, BURST)
        refused = []
        for number in range(200):  # 100 s: what the isolate knows of the key ends in between
            assert (await isolate.authenticate(key)).user in ("ann", "default", "admin")
            refused.append(await isolate.refusal(f"more {number}"))
            clock.time += 0.5
        assert set(refused) == {"invalid_api_key", "too_many_failed_attempts"}
        assert refused.count("invalid_api_key") <= 100 * PER_MINUTE / 60 + 1

    async def test_a_right_key_is_let_in_by_an_isolate_that_learns_of_the_guesses(
        self, isolate: Isolate, objects: MemoryObjects, clock: ManualClock
    ) -> None:
        await self.guess(isolate, BURST)
        other = Isolate(clock, objects)
        assert await other.refusal("one more") == "invalid_api_key"
        assert await other.refusal("and another") == "too_many_failed_attempts"
        assert (await other.authenticate(SECRET)).user == "ann"

    async def test_a_flood_of_wrong_keys_costs_the_store_next_to_nothing(
        self, isolate: Isolate, store: Keys, clock: ManualClock
    ) -> None:
        await self.guess(isolate, BURST)
        for number in range(1000):
            assert await isolate.refusal(f"flood {number}") == "too_many_failed_attempts"
            clock.time += 0.005
        assert len(store.called(LOOKUP)) == BURST
        assert len(store.called(LIST_PREFIXES)) <= 1 + 5 / LISTED_SECONDS

    async def test_a_new_key_works_at_once_where_its_address_guesses(
        self, isolate: Isolate, objects: MemoryObjects, store: Keys, clock: ManualClock
    ) -> None:
        other = Isolate(clock, objects)
        await self.guess(isolate, BURST)
        assert await isolate.refusal("one more") == "too_many_failed_attempts"
        new = format_secret("production", "cd" * 32)
        key = Key(id="key_2", user="ben", created_at=0)
        await isolate.keys.change(ISSUE, NewKey(key, hash_secret(new)))
        assert (await isolate.authenticate(new)).user == "ben"
        assert (await other.authenticate(new)).user == "ben"

    @in_no_time
    async def test_no_right_key_is_judged_by_an_old_list(self) -> None:
        """While another request fetches a new one, or failed to."""
        clock = LoopClock()
        objects = MemoryObjects(clock)
        isolate = Isolate(clock, objects)
        await self.guess(isolate, BURST)
        assert await isolate.refusal("lists the keys") == "too_many_failed_attempts"
        for fault, code in ((False, None), (True, "key_store_unreachable")):
            await asyncio.sleep(4 * LISTED_SECONDS)
            await self.guess(isolate, 1)
            new = format_secret("production", f"{fault:064x}")
            objects.keys.book.issue(
                Key(id=f"key {fault}", user="ben", created_at=0), hash_secret(new)
            )
            objects.keys.slow, objects.keys.down = 0.5, fault
            fetching = asyncio.ensure_future(isolate.refusal(f"fetches it {fault}"))
            await asyncio.sleep(0.1)
            if code:
                assert await isolate.refusal(new) == code
            else:
                assert (await isolate.authenticate(new)).user == "ben"
            await fetching

    async def test_a_subscriber_of_ipv6_is_one_address(self, isolate: Isolate) -> None:
        for number in range(BURST):
            await self.guess(isolate, 1, f"2001:db8:0:1::{number:x}")
        assert await isolate.refusal("x", "2001:db8:0:1:ffff::1") == "too_many_failed_attempts"
        assert await isolate.refusal("x", "2001:db8:0:2::1") == "invalid_api_key"

    @pytest.mark.parametrize("ended", ["revoked", "expired", "rotated"])
    async def test_a_key_that_has_ended_is_no_guess(
        self, isolate: Isolate, store: Keys, clock: ManualClock, ended: str
    ) -> None:
        secret = format_secret("production", "ef" * 32)
        ends = round(clock.time * 1000) + 1000 if ended == "expired" else None
        key = Key(id="key_3", user="cy", created_at=0, expires_at=ends)
        store.book.issue(key, hash_secret(secret))
        if ended == "revoked":
            store.book.revoke("key_3", store.now)
        elif ended == "rotated":
            store.book.rotate(KeyRotation("key_3", hash_secret("another"), 0), store.now)
        clock.time += 1
        code = {"rotated": "invalid_api_key"}.get(ended, f"{ended}_api_key")
        for _ in range(3 * BURST):
            assert await isolate.refusal(secret) == code
            isolate.keys.forget()
        await self.guess(isolate, BURST)

    @pytest.mark.parametrize("fault", ["down", "silent"])
    def test_an_outage_of_the_store_is_no_guessing(self, fault: str) -> None:
        @in_no_time
        async def check() -> None:
            clock = LoopClock()
            objects = MemoryObjects(clock)
            objects.keys.book.issue(KEY, hash_secret(SECRET))
            isolate = Isolate(clock, objects)
            setattr(objects.keys, fault, True)
            for number in range(3 * BURST):
                assert await isolate.refusal(f"key {number}") == "key_store_unreachable"
                assert (await isolate.authenticate("admin-key")).admin
            setattr(objects.keys, fault, False)
            await asyncio.sleep(REST_SECONDS)
            assert (await isolate.authenticate(SECRET)).user == "ann"
            await self.guess(isolate, BURST)

        check()

    @in_no_time
    async def test_a_silent_store_costs_one_caller_its_time(self) -> None:
        clock = LoopClock()
        objects = MemoryObjects(clock)
        objects.keys.silent = True
        isolate = Isolate(clock, objects)
        for number in range(20):
            assert await isolate.refusal(f"key {number}") == "key_store_unreachable"
        assert asyncio.get_running_loop().time() == STORE_SECONDS

    async def test_a_rotated_secret_ends_on_time_where_it_is_remembered(
        self, isolate: Isolate, store: Keys, clock: ManualClock
    ) -> None:
        store.book.rotate(KeyRotation("key_1", hash_secret("another"), 10_000), store.now)
        assert (await isolate.authenticate(SECRET)).key_id == "key_1"
        clock.time += 10
        assert await isolate.refusal(SECRET) == "invalid_api_key"

    async def test_a_clock_that_steps_back_keeps_no_revoked_key(
        self, isolate: Isolate, store: Keys, clock: ManualClock
    ) -> None:
        await isolate.authenticate(SECRET)
        store.book.revoke("key_1", store.now)
        clock.time -= 3600
        assert await isolate.refusal(SECRET) == "revoked_api_key"

    async def test_a_lookup_under_way_does_not_revive_a_revoked_key(
        self, isolate: Isolate, store: Keys
    ) -> None:
        caller = isolate.authenticator.authenticate(f"Bearer {SECRET}", HERE)
        assert not isinstance(caller, Principal)
        held = asyncio.Event()

        async def late(_: str, __: KeyLookup, find: Callable[[], Awaitable[FoundKey]]) -> FoundKey:
            found = await find()
            await held.wait()
            return found

        store.wrap(LOOKUP, late)
        under_way = asyncio.ensure_future(caller)
        await asyncio.sleep(0)
        await isolate.keys.change(REVOKE, "key_1")
        held.set()
        await under_way
        store.unwrap(LOOKUP)
        assert await isolate.refusal(SECRET) == "revoked_api_key"
