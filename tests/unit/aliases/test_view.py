"""The aliases as an isolate knows them."""

import asyncio
from collections.abc import Awaitable, Callable

import msgspec
import pytest
from msgspec import Raw

from proxy.aliases.book import AliasBook
from proxy.aliases.messages import (
    DELETE_ALIAS,
    PUT_ALIAS,
    READ_ALIASES,
    STORE,
    AliasSet,
    NewAlias,
    OldAlias,
)
from proxy.aliases.model import Alias, AliasTarget
from proxy.aliases.view import (
    HOLD_SECONDS,
    RENEW_SECONDS,
    RETRY_SECONDS,
    AliasView,
)
from proxy.core.errors import Unavailable
from proxy.core.replica import UNREAD
from tests.unit.callers import DEFERRED, defer
from tests.unit.doubles import Logbook, ManualClock
from tests.unit.memory_objects import MemoryObjects


class Ground:
    """An object, and two isolates that read it."""

    def __init__(self) -> None:
        self.clock, self.log = ManualClock(), Logbook()
        self.objects = MemoryObjects(self.clock)
        self.namespace = self.objects.aliases
        self.view = AliasView(self.objects, self.clock, self.log)
        self.other = AliasView(self.objects, self.clock, self.log)

    @property
    def book(self) -> AliasBook:
        return self.namespace.at(STORE)

    def put(self, name: str) -> NewAlias:
        alias = Alias(name=name, targets=(AliasTarget(model="openai/gpt-4o"),))
        return NewAlias(name, Raw(msgspec.json.encode(alias)), True)

    def is_usable(self) -> bool:
        return self.view.is_usable(self.clock.now(), defer)


@pytest.fixture
def ground() -> Ground:
    return Ground()


async def test_what_is_read_holds_for_its_time(ground: Ground) -> None:
    assert not ground.is_usable()
    await ground.view.read()
    await ground.other.change(PUT_ALIAS, ground.put("a"))
    assert ground.is_usable() and not ground.view.aliases
    ground.clock.time += HOLD_SECONDS
    assert not ground.is_usable()
    await ground.view.read()
    assert ground.view.aliases.keys() == {"a"}
    ground.clock.time -= 1  # a clock that steps back
    assert not ground.is_usable()


async def test_it_is_read_anew_beside_one_request(ground: Ground) -> None:
    await ground.view.read()
    ground.book.put(ground.put("a"), 0)
    ground.clock.time += RENEW_SECONDS
    ground.namespace.calls.clear()
    assert all(ground.is_usable() for _ in range(5))
    await asyncio.gather(*DEFERRED)
    assert ground.namespace.calls == [("read_aliases", STORE)]
    assert ground.view.aliases.keys() == {"a"}
    assert ground.is_usable()


async def test_what_has_not_changed_is_not_sent(ground: Ground) -> None:
    ground.book.put(ground.put("a"), 0)
    await ground.view.read()
    known = ground.view.aliases
    ground.clock.time += HOLD_SECONDS
    await ground.view.read()
    assert ground.view.aliases is known
    assert ground.is_usable()


async def test_a_change_is_known_at_once(ground: Ground) -> None:
    await ground.view.read()
    await ground.view.change(PUT_ALIAS, ground.put("a"))
    assert ground.is_usable() and ground.view.aliases.keys() == {"a"}
    assert (await ground.view.change(DELETE_ALIAS, OldAlias("a"))).outcome == "deleted"
    assert ground.is_usable() and not ground.view.aliases


async def test_an_object_that_is_down(ground: Ground) -> None:
    ground.namespace.down = True
    await ground.view.read()
    assert not ground.is_usable() and ground.view.version == UNREAD
    with pytest.raises(Unavailable):
        await ground.view.change(PUT_ALIAS, ground.put("a"))
    ground.namespace.down = False
    ground.book.put(ground.put("a"), 0)
    await ground.view.read()
    ground.namespace.down = True
    ground.clock.time += 100 * HOLD_SECONDS
    assert not ground.is_usable()
    await ground.view.read()
    assert ground.is_usable() and ground.view.aliases.keys() == {"a"}
    ground.clock.time += RETRY_SECONDS
    assert not ground.is_usable()
    assert all(event == "aliases unreachable" for _, event, _ in ground.log.lines)


async def test_a_reading_that_is_late_changes_nothing(ground: Ground) -> None:
    ground.book.put(ground.put("old"), 0)

    async def deliver_late(_: str, __: int, answer: Callable[[], Awaitable[AliasSet]]) -> AliasSet:
        found = await answer()
        await asyncio.sleep(0.05)
        return found

    ground.namespace.wrap(READ_ALIASES, deliver_late)
    late = asyncio.ensure_future(ground.view.read())
    await asyncio.sleep(0.01)
    ground.namespace.unwrap(READ_ALIASES)
    ground.clock.time += 1
    await ground.view.change(DELETE_ALIAS, OldAlias("old"))
    await late
    assert not ground.view.aliases


async def test_a_clock_that_steps_back_keeps_no_change_away(ground: Ground) -> None:
    await ground.view.read()
    ground.clock.time -= 600
    ground.book.put(ground.put("a"), 0)
    await ground.view.read()
    assert ground.is_usable() and ground.view.aliases.keys() == {"a"}


async def test_an_alias_of_another_version_of_the_proxy_is_left_out(ground: Ground) -> None:
    ground.book.put(ground.put("a"), 0)
    ground.book.put(NewAlias("b", Raw(b'{"name": "b", "future": 1, "targets": []}'), True), 0)
    await ground.view.read()
    assert ground.view.aliases.keys() == {"a"}
    assert ("error", "alias unreadable") in [line[:2] for line in ground.log.lines]
