"""Who is let in: the deployment's keys, issued ones, and nobody else."""

import asyncio
import tracemalloc
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any

import pytest
from msgspec import structs

from proxy.access.gate import Gate, authorization_of, digest_of, require_admin, secret_for
from proxy.access.guesses import BURST, PER_MINUTE
from proxy.access.keys import (
    ISSUE,
    LIST_PREFIXES,
    LOOKUP,
    REVOKE,
    Found,
    Issue,
    Key,
    Lookup,
    Rotation,
)
from proxy.access.ring import (
    KNOWN_SECONDS,
    LISTED_SECONDS,
    STORE_SECONDS,
    UNKNOWN_SECONDS,
    KeyRing,
)
from proxy.core.circuit import REST_SECONDS
from proxy.core.errors import (
    AuthenticationFailed,
    InternalError,
    PermissionDenied,
    ProxyError,
    RateLimitExceeded,
)
from proxy.core.principal import Budget, Grant, Limits, Principal
from proxy.core.settings import read_settings
from tests.unit.doubles import Logbook, LoopClock, ManualClock, in_no_time
from tests.unit.memory_objects import Keys, MemoryObjects

HERE, THERE = "192.0.2.1", "192.0.2.2"
TWO = {"PROXY_API_KEY": "user-key", "ADMIN_TOKEN": "admin-key"}
SECRET = secret_for("production", "ab" * 32)
KEY = Key(
    id="key_1",
    user="ann",
    created_at=0,
    grant=Grant(providers=("groq",)),
    limits=Limits(per_hour=5),
    budget=Budget(day=7),
    cache_scope="shared",
)


class Isolate:
    """The gate of an isolate, on a store that several may share."""

    def __init__(self, clock: ManualClock, objects: MemoryObjects, **env: str) -> None:
        self.log = Logbook()
        self.ring = KeyRing(objects, clock, self.log)
        self.gate = Gate(read_settings(env or TWO, ()).access, self.ring)

    async def admit(self, key: str | None, address: str = HERE) -> Principal:
        """Who is let in with a key."""
        caller = self.gate.admit(f"Bearer {key}" if key is not None else None, address)
        return caller if isinstance(caller, Principal) else await caller

    async def code(self, key: str | None, address: str = HERE) -> str | None:
        """The code of the refusal."""
        with pytest.raises(ProxyError) as caught:
            await self.admit(key, address)
        assert key is None or len(key) < 8 or key not in caught.value.message
        return caught.value.code


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
def objects(clock: ManualClock) -> MemoryObjects:
    objects = MemoryObjects(clock)
    objects.keys.book.issue(KEY, digest_of(SECRET))
    return objects


@pytest.fixture
def store(objects: MemoryObjects) -> Keys:
    return objects.keys


@pytest.fixture
def isolate(clock: ManualClock, objects: MemoryObjects) -> Isolate:
    return Isolate(clock, objects)


class TestOwnKeys:
    def test_they_need_no_waiting(self, isolate: Isolate) -> None:
        admit = isolate.gate.admit
        assert admit("Bearer user-key", HERE) == Principal(user="default")
        assert admit("bearer  admin-key ", HERE) == Principal(user="admin", admin=True)

    @pytest.mark.parametrize(
        ("header", "code"),
        [
            (None, "missing_api_key"),
            ("", "missing_api_key"),
            ("Basic dXNlcg==", "invalid_api_key"),
            ("Bearer", "invalid_api_key"),
            ("Bearer ", "invalid_api_key"),
            ("user-key", "invalid_api_key"),
        ],
    )
    def test_headers_without_a_key(self, isolate: Isolate, header: str, code: str) -> None:
        with pytest.raises(AuthenticationFailed) as caught:
            isolate.gate.admit(header, HERE)
        assert caught.value.code == code

    @pytest.mark.parametrize("key", ["user-key2", "USER-KEY", "\udcff", "aep_", SECRET[:-1]])
    async def test_other_keys(self, isolate: Isolate, key: str) -> None:
        assert await isolate.code(key) == "invalid_api_key"

    @pytest.mark.parametrize("key", ["user-key", "admin-key", "another", SECRET])
    async def test_each_is_compared_with_all_of_them(
        self, isolate: Isolate, key: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """So that the time tells neither which nor how much of it is right."""
        compared: list[object] = []
        monkeypatch.setattr(
            "proxy.access.gate.hmac.compare_digest",
            lambda own, given: bool(compared.append(own)) or own == given,
        )
        caller = isolate.gate.admit(f"Bearer {key}", HERE)
        waits(caller)
        assert compared == [digest_of("user-key"), digest_of("admin-key")]

    async def test_closed_without_any_and_says_how_to_set_one(
        self, clock: ManualClock, objects: MemoryObjects
    ) -> None:
        closed = Isolate(clock, objects, ENVIRONMENT="staging")
        with pytest.raises(AuthenticationFailed, match="wrangler secret put PROXY_API_KEY"):
            await closed.admit(SECRET)

    async def test_open_in_development_whatever_is_sent(
        self, clock: ManualClock, objects: MemoryObjects, store: Keys
    ) -> None:
        development = Isolate(clock, objects, ENVIRONMENT="development")
        assert (await development.admit(None)).user == "anonymous"
        assert (await development.admit("sk-anything")).user == "anonymous"
        assert len(store.called(LOOKUP)) == 0

    async def test_only_admins_administrate(self, isolate: Isolate) -> None:
        require_admin(await isolate.admit("admin-key"))
        for key in ("user-key", SECRET):
            with pytest.raises(PermissionDenied, match="admin token"):
                require_admin(await isolate.admit(key))


class TestIssuedKeys:
    async def test_who_calls(self, isolate: Isolate) -> None:
        assert await isolate.admit(SECRET) == Principal(
            user="ann",
            key_id="key_1",
            grant=Grant(providers=("groq",)),
            limits=Limits(per_hour=5),
            budget=Budget(day=7),
            cache_scope="shared",
        )

    async def test_it_is_asked_for_once_in_a_while(
        self, isolate: Isolate, store: Keys, clock: ManualClock
    ) -> None:
        await isolate.admit(SECRET)
        clock.time += KNOWN_SECONDS - 0.1
        assert isinstance(isolate.gate.admit(f"Bearer {SECRET}", HERE), Principal)
        assert len(store.called(LOOKUP)) == 1
        clock.time += 0.1
        await isolate.admit(SECRET)
        assert len(store.called(LOOKUP)) == 2

    async def test_a_revoked_key_stops_in_all_isolates(
        self, isolate: Isolate, objects: MemoryObjects, store: Keys, clock: ManualClock
    ) -> None:
        other = Isolate(clock, objects)
        await isolate.admit(SECRET)
        await other.admit(SECRET)
        store.book.revoke("key_1", store.now)
        isolate.ring.forget()
        assert await isolate.code(SECRET) == "revoked_api_key"
        clock.time += KNOWN_SECONDS
        assert await other.code(SECRET) == "revoked_api_key"

    async def test_a_key_that_was_tried_too_early(
        self, isolate: Isolate, store: Keys, clock: ManualClock
    ) -> None:
        early = secret_for("production", "cd" * 32)
        assert await isolate.code(early) == "invalid_api_key"
        assert await isolate.code(early) == "invalid_api_key"
        assert len(store.called(LOOKUP)) == 1
        store.book.issue(Key(id="key_2", user="ben", created_at=0), digest_of(early))
        clock.time += UNKNOWN_SECONDS
        assert (await isolate.admit(early)).user == "ben"

    async def test_it_expires_while_it_is_remembered(
        self, isolate: Isolate, store: Keys, clock: ManualClock
    ) -> None:
        secret = secret_for("production", "ef" * 32)
        ends = round(clock.time * 1000) + 5000
        key = Key(id="key_3", user="cy", created_at=0, expires_at=ends)
        store.book.issue(key, digest_of(secret))
        await isolate.admit(secret)
        clock.time += 5
        assert await isolate.code(secret) == "expired_api_key"

    @pytest.mark.parametrize("overlap", [0, 60])
    async def test_rotation(
        self, isolate: Isolate, store: Keys, clock: ManualClock, overlap: int
    ) -> None:
        new = secret_for("production", "01" * 32)
        store.book.rotate(Rotation("key_1", digest_of(new), overlap * 1000), store.now)
        assert (await isolate.admit(new)).key_id == "key_1"
        if overlap:
            assert (await isolate.admit(SECRET)).key_id == "key_1"
            clock.time += overlap
        assert await isolate.code(SECRET) == "invalid_api_key"
        assert (await isolate.admit(new)).key_id == "key_1"

    async def test_a_key_of_another_environment_is_told_apart(self, isolate: Isolate) -> None:
        foreign = secret_for("staging", "ab" * 32)
        with pytest.raises(AuthenticationFailed, match="belongs to staging; this is production"):
            await isolate.admit(foreign)

    async def test_nobody_is_let_in_while_the_store_is_down(
        self, isolate: Isolate, store: Keys, clock: ManualClock
    ) -> None:
        await isolate.admit(SECRET)
        store.down = True
        await isolate.admit(SECRET)  # still remembered
        clock.time += KNOWN_SECONDS
        with pytest.raises(InternalError) as caught:
            await isolate.admit(SECRET)
        assert (caught.value.status, caught.value.code) == (503, "key_store_unreachable")
        assert isolate.log.lines[0][:2] == ("error", "key store unreachable")
        assert (await isolate.admit("admin-key")).admin

    @in_no_time
    async def test_a_silent_store_is_not_waited_for(self) -> None:
        clock = LoopClock()
        objects = MemoryObjects(clock)
        objects.keys.silent = True
        assert await Isolate(clock, objects).code(SECRET) == "key_store_unreachable"


class TestGuessing:
    async def guess(self, isolate: Isolate, count: int, address: str = HERE) -> None:
        for number in range(count):
            assert await isolate.code(f"guess {address} {number}", address) == "invalid_api_key"

    async def test_too_many_wrong_keys_are_refused_for_a_while(
        self, isolate: Isolate, clock: ManualClock
    ) -> None:
        await self.guess(isolate, BURST)
        with pytest.raises(RateLimitExceeded) as caught:
            await isolate.admit("one more")
        wait = caught.value.retry_after
        assert wait is not None
        assert await isolate.code("one more", THERE) == "invalid_api_key"
        clock.time += wait
        assert await isolate.code("another") == "invalid_api_key"
        assert await isolate.code("one more than that") == "too_many_failed_attempts"

    @pytest.mark.parametrize("key", [SECRET, "user-key", "admin-key"])
    async def test_a_right_key_is_let_in_whatever_its_address_has_sent(
        self, isolate: Isolate, store: Keys, clock: ManualClock, key: str
    ) -> None:
        await self.guess(isolate, BURST)
        refused = []
        for number in range(200):  # 100 s: what the isolate knows of the key ends in between
            assert (await isolate.admit(key)).user in ("ann", "default", "admin")
            refused.append(await isolate.code(f"more {number}"))
            clock.time += 0.5
        assert set(refused) == {"invalid_api_key", "too_many_failed_attempts"}
        assert refused.count("invalid_api_key") <= 100 * PER_MINUTE / 60 + 1

    async def test_a_right_key_is_let_in_by_an_isolate_that_learns_of_the_guesses(
        self, isolate: Isolate, objects: MemoryObjects, clock: ManualClock
    ) -> None:
        await self.guess(isolate, BURST)
        other = Isolate(clock, objects)
        assert await other.code("one more") == "invalid_api_key"
        assert await other.code("and another") == "too_many_failed_attempts"
        assert (await other.admit(SECRET)).user == "ann"

    async def test_a_flood_of_wrong_keys_costs_the_store_next_to_nothing(
        self, isolate: Isolate, store: Keys, clock: ManualClock
    ) -> None:
        await self.guess(isolate, BURST)
        for number in range(1000):
            assert await isolate.code(f"flood {number}") == "too_many_failed_attempts"
            clock.time += 0.005
        assert len(store.called(LOOKUP)) == BURST
        assert len(store.called(LIST_PREFIXES)) <= 1 + 5 / LISTED_SECONDS

    async def test_a_new_key_works_at_once_where_its_address_guesses(
        self, isolate: Isolate, objects: MemoryObjects, clock: ManualClock
    ) -> None:
        other = Isolate(clock, objects)
        await self.guess(isolate, BURST)
        assert await isolate.code("one more") == "too_many_failed_attempts"
        new = secret_for("production", "cd" * 32)
        key = Key(id="key_2", user="ben", created_at=0)
        await isolate.ring.change(ISSUE, Issue(key, digest_of(new)))
        assert (await isolate.admit(new)).user == "ben"
        assert (await other.admit(new)).user == "ben"

    @in_no_time
    async def test_no_right_key_is_judged_by_an_old_list(self) -> None:
        """While another request fetches a new one, or failed to."""
        clock = LoopClock()
        objects = MemoryObjects(clock)
        isolate = Isolate(clock, objects)
        await self.guess(isolate, BURST)
        assert await isolate.code("lists the keys") == "too_many_failed_attempts"
        for fault, code in ((False, None), (True, "key_store_unreachable")):
            await asyncio.sleep(4 * LISTED_SECONDS)
            await self.guess(isolate, 1)
            new = secret_for("production", f"{fault:064x}")
            key = Key(id=f"key {fault}", user="ben", created_at=0)
            objects.keys.book.issue(key, digest_of(new))
            objects.keys.slow, objects.keys.down = 0.5, fault
            fetching = asyncio.ensure_future(isolate.code(f"fetches it {fault}"))
            await asyncio.sleep(0.1)
            if code:
                assert await isolate.code(new) == code
            else:
                assert (await isolate.admit(new)).user == "ben"
            await fetching

    async def test_a_subscriber_of_ipv6_is_one_address(self, isolate: Isolate) -> None:
        for number in range(BURST):
            await self.guess(isolate, 1, f"2001:db8:0:1::{number:x}")
        assert await isolate.code("x", "2001:db8:0:1:ffff::1") == "too_many_failed_attempts"
        assert await isolate.code("x", "2001:db8:0:2::1") == "invalid_api_key"

    @pytest.mark.parametrize("ended", ["revoked", "expired", "rotated"])
    async def test_a_key_that_has_ended_is_no_guess(
        self, isolate: Isolate, store: Keys, clock: ManualClock, ended: str
    ) -> None:
        secret = secret_for("production", "ef" * 32)
        ends = round(clock.time * 1000) + 1000 if ended == "expired" else None
        key = Key(id="key_3", user="cy", created_at=0, expires_at=ends)
        store.book.issue(key, digest_of(secret))
        if ended == "revoked":
            store.book.revoke("key_3", store.now)
        elif ended == "rotated":
            store.book.rotate(Rotation("key_3", digest_of("another"), 0), store.now)
        clock.time += 1
        code = {"rotated": "invalid_api_key"}.get(ended, f"{ended}_api_key")
        for _ in range(3 * BURST):
            assert await isolate.code(secret) == code
            isolate.ring.forget()
        await self.guess(isolate, BURST)

    @pytest.mark.parametrize("fault", ["down", "silent"])
    def test_an_outage_of_the_store_is_no_guessing(self, fault: str) -> None:
        @in_no_time
        async def check() -> None:
            clock = LoopClock()
            objects = MemoryObjects(clock)
            objects.keys.book.issue(KEY, digest_of(SECRET))
            isolate = Isolate(clock, objects)
            setattr(objects.keys, fault, True)
            for number in range(3 * BURST):
                assert await isolate.code(f"key {number}") == "key_store_unreachable"
                assert (await isolate.admit("admin-key")).admin
            setattr(objects.keys, fault, False)
            await asyncio.sleep(REST_SECONDS)
            assert (await isolate.admit(SECRET)).user == "ann"
            await self.guess(isolate, BURST)

        check()

    @in_no_time
    async def test_a_silent_store_costs_one_caller_its_time(self) -> None:
        clock = LoopClock()
        objects = MemoryObjects(clock)
        objects.keys.silent = True
        isolate = Isolate(clock, objects)
        for number in range(20):
            assert await isolate.code(f"key {number}") == "key_store_unreachable"
        assert asyncio.get_running_loop().time() == STORE_SECONDS

    async def test_a_rotated_secret_ends_on_time_where_it_is_remembered(
        self, isolate: Isolate, store: Keys, clock: ManualClock
    ) -> None:
        store.book.rotate(Rotation("key_1", digest_of("another"), 10_000), store.now)
        assert (await isolate.admit(SECRET)).key_id == "key_1"
        clock.time += 10
        assert await isolate.code(SECRET) == "invalid_api_key"

    async def test_a_clock_that_steps_back_keeps_no_revoked_key(
        self, isolate: Isolate, store: Keys, clock: ManualClock
    ) -> None:
        await isolate.admit(SECRET)
        store.book.revoke("key_1", store.now)
        clock.time -= 3600
        assert await isolate.code(SECRET) == "revoked_api_key"

    async def test_a_lookup_under_way_does_not_revive_a_revoked_key(
        self, isolate: Isolate, store: Keys
    ) -> None:
        caller = isolate.gate.admit(f"Bearer {SECRET}", HERE)
        assert not isinstance(caller, Principal)
        held = asyncio.Event()

        async def late(_: str, __: Lookup, answer: Callable[[], Awaitable[Found]]) -> Found:
            found = await answer()
            await held.wait()
            return found

        store.wrap(LOOKUP, late)
        under_way = asyncio.ensure_future(caller)
        await asyncio.sleep(0)
        await isolate.ring.change(REVOKE, "key_1")
        held.set()
        await under_way
        store.unwrap(LOOKUP)
        assert await isolate.code(SECRET) == "revoked_api_key"


def waits(caller: Principal | Coroutine[Any, Any, Principal]) -> bool:
    if isinstance(caller, Principal):
        return False
    caller.close()
    return True


def test_a_known_key_needs_no_waiting(isolate: Isolate) -> None:
    assert waits(isolate.gate.admit(f"Bearer {SECRET}", HERE))
    assert not waits(isolate.gate.admit("Bearer user-key", HERE))


@pytest.mark.parametrize(
    ("headers", "key"),
    [
        ({"x-api-key": "k"}, "k"),
        ({"api-key": " k "}, "k"),
        ({"authorization": "Bearer k", "x-api-key": "other", "api-key": "third"}, "k"),
        ({"x-api-key": "k", "api-key": "other"}, "k"),
        ({"authorization": "Bearer", "x-api-key": "k"}, "k"),
        ({"authorization": "Bearer  ", "api-key": "k"}, "k"),
        ({"authorization": "", "x-api-key": "", "api-key": "k"}, "k"),
        ({"authorization": "Basic dXNlcg==", "x-api-key": "k"}, "k"),
    ],
)
def test_where_a_key_may_stand(headers: dict[str, str], key: str) -> None:
    given = authorization_of(headers)
    assert given is not None
    scheme, _, found = given.partition(" ")
    assert (scheme.lower(), found.strip()) == ("bearer", key)


@pytest.mark.parametrize("headers", [{}, {"authorization": "Basic x"}, {"x-api-key": " "}])
def test_what_is_no_key_is_told_as_before(headers: dict[str, str]) -> None:
    assert authorization_of(headers) == headers.get("authorization")


async def test_what_is_remembered_is_bounded_in_bytes(
    clock: ManualClock, objects: MemoryObjects, store: Keys
) -> None:
    isolate = Isolate(clock, objects)
    secrets = [secret_for("production", f"{number:064x}") for number in range(400)]
    for number, secret in enumerate(secrets):
        models = tuple(f"{number}-{place}-{'x' * 200}\U0001f600" for place in range(32))
        grant = Grant(models=models)
        store.book.issue(structs.replace(KEY, id=f"k{number}", grant=grant), digest_of(secret))
    tracemalloc.start()
    for secret in secrets:
        await isolate.admit(secret, "x" * 10_000)
    kept = tracemalloc.get_traced_memory()[0]
    tracemalloc.stop()
    assert kept < 5_000_000  # 3 MB of it are the store's
    assert (await isolate.admit(secrets[-1])).key_id == "k399"
