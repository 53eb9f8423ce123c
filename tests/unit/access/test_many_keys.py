"""Many keys: what a call costs among them, and that none is refused for their number."""

from collections.abc import Callable

import pytest
from msgspec import structs

from proxy.access.authenticator import format_secret, hash_secret
from proxy.access.key_book import KeyBook
from proxy.access.keys import LIST_PREFIXES, LISTED, LOOKUP, KeyRange, KeyRotation
from proxy.access.wrong_keys import BURST
from tests.unit.access.making import HERE, KEY, Isolate
from tests.unit.analytics.shards import PlatformSQL
from tests.unit.doubles import ManualClock
from tests.unit.memory_objects import MemoryObjects

NOW = 1_700_000_000_000


def make_secret(number: int) -> str:
    return format_secret("production", f"{number:064x}")


def issue_many(book: KeyBook, count: int) -> None:
    for number in range(count):
        ends = {
            "expires_at": NOW + number if number % 2 else None,
            "revoked_at": NOW + number if number % 5 == 0 else None,
        }
        key = structs.replace(KEY, id=f"k{number}", **ends)
        book.issue(key, hash_secret(make_secret(number)))


CALLS: dict[str, Callable[[KeyBook], object]] = {
    "a key is looked up": lambda book: book.lookup(hash_secret(make_secret(7)), HERE, NOW),
    "a wrong key is": lambda book: book.lookup(hash_secret("wrong"), HERE, NOW),
    "a page is read": lambda book: book.read_page(KeyRange(0, 5)),
    "a key is shown": lambda book: book.find_key("k7"),
    "it is revoked": lambda book: book.revoke("k7", NOW),
    "it is issued": lambda book: book.issue(structs.replace(KEY, id="new"), hash_secret("new")),
    "it is rotated": lambda book: book.rotate(KeyRotation("k7", hash_secret("other"), 0), NOW),
    "the next end is found": lambda book: book.find_prune_at(0),
    "what ended is deleted": lambda book: book.prune(0, NOW),
    "the list is read on": lambda book: book.list_prefixes(9),
}


@pytest.mark.parametrize("name", CALLS)
def test_a_call_takes_as_long_among_many_keys_as_among_few(name: str) -> None:
    def count(keys: int) -> int:
        sql = PlatformSQL()
        book = KeyBook(sql)
        issue_many(book, 10)
        if name == "the list is read on":
            CALLS[name] = lambda book: book.list_prefixes(keys - 1)
        for number in range(10, keys):
            key = structs.replace(KEY, id=f"k{number}", revoked_at=NOW + 1)
            book.issue(key, hash_secret(make_secret(number)))
        with sql.counting() as steps:
            CALLS[name](book)
        return len(steps)

    assert count(10_000) <= 1.2 * count(20) + 20


async def flood(isolate: Isolate, name: str, count: int) -> list[str | None]:
    return [await isolate.refusal(f"{name} {number}") for number in range(count)]


async def test_a_flood_among_many_keys_costs_the_store_little(
    clock: ManualClock, objects: MemoryObjects
) -> None:
    store = objects.keys
    issue_many(store.book, 3 * LISTED)
    isolate = Isolate(clock, objects)
    await flood(isolate, "first", BURST)
    parts = await flood(isolate, "then", 3)
    assert set(await flood(isolate, "later", 500)) == {"too_many_failed_attempts"}
    assert len(store.called(LOOKUP)) == BURST + parts.count("invalid_api_key")
    assert len(store.called(LIST_PREFIXES)) <= 5
    clock.time += 3
    assert await isolate.refusal("and another") == "too_many_failed_attempts"
    assert len(store.called(LIST_PREFIXES)) <= 6  # what is known is not read again
    for number in range(1, 3 * LISTED, 500):
        if number % 5:
            clock.time = NOW / 1000 - 60
            caller = await isolate.authenticate(make_secret(number))
            assert caller.key_id == f"k{number}"


async def test_a_key_that_follows_a_deleted_one_is_listed(
    clock: ManualClock, objects: MemoryObjects
) -> None:
    store, now = objects.keys, round(clock.time * 1000)
    store.book.issue(structs.replace(KEY, id="gone", revoked_at=now), hash_secret("gone"))
    isolate = Isolate(clock, objects)
    await flood(isolate, "first", BURST)
    assert await isolate.refusal("reads the list") == "too_many_failed_attempts"
    store.book.prune(0, now)
    new = make_secret(1)
    store.book.issue(structs.replace(KEY, id="new"), hash_secret(new))
    clock.time += 5
    assert (await isolate.authenticate(new)).key_id == "new"
