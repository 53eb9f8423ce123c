"""Purges: here at once, everywhere within HOLD_SECONDS, and nothing but what was meant."""

import asyncio
from typing import Any

import msgspec
import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from proxy.cache.entry import CacheEntry
from proxy.cache.purge import (
    HOLD_SECONDS,
    READ_PURGES,
    RENEW_SECONDS,
    RETRY_SECONDS,
    Purge,
    PurgeView,
    Scope,
)
from tests.unit.cache.making import KEY, NOW, make_entry
from tests.unit.doubles import LoopClock, ManualClock, in_no_time
from tests.unit.memory_objects import MemoryObjects


def make_purgeable(**fields: Any) -> CacheEntry:
    usual: dict[str, Any] = {"born": NOW - 10, "model": "openai/gpt"}
    return make_entry(**(usual | fields))


OLD = make_purgeable()


class Isolates:
    """Two isolates with one ledger."""

    def __init__(self) -> None:
        self.clock = ManualClock(NOW)
        self.objects = MemoryObjects(self.clock)
        self.purges = self.objects.purges
        self.here = PurgeView(self.objects, self.clock)
        self.there = PurgeView(self.objects, self.clock)


@pytest.fixture
async def two() -> Isolates:
    isolates = Isolates()
    await isolates.here.read()
    await isolates.there.read()
    return isolates


def test_a_view_that_has_read_nothing_is_not_usable_and_due() -> None:
    clock = ManualClock(NOW)
    view = PurgeView(MemoryObjects(clock), clock)
    assert (view.is_usable, view.is_due) == (False, True)


async def test_a_purge_holds_here_at_once(two: Isolates) -> None:
    assert not two.here.hides(KEY, OLD)
    await two.here.purge("all", "")
    assert two.here.hides(KEY, OLD)


async def test_a_purge_holds_elsewhere_within_hold_seconds(two: Isolates) -> None:
    two.clock.time += 0.25
    await two.here.purge("all", "")
    two.clock.time = NOW + HOLD_SECONDS - 0.25
    assert two.there.is_usable
    assert not two.there.hides(KEY, OLD)
    two.clock.time = NOW + HOLD_SECONDS
    assert not two.there.is_usable
    await two.there.read()
    assert two.there.is_usable
    assert two.there.hides(KEY, OLD)


async def test_an_isolate_that_starts_later_knows_it_from_its_first_reading(two: Isolates) -> None:
    await two.here.purge("user", "ann")
    new = PurgeView(two.objects, two.clock)
    await new.read()
    assert new.hides(KEY, OLD)


async def test_it_is_due_before_it_is_unusable(two: Isolates) -> None:
    assert (two.here.is_usable, two.here.is_due) == (True, False)
    two.clock.time = NOW + RENEW_SECONDS - 0.25
    assert (two.here.is_usable, two.here.is_due) == (True, False)
    two.clock.time = NOW + RENEW_SECONDS
    assert (two.here.is_usable, two.here.is_due) == (True, True)
    await two.here.read()
    assert (two.here.is_usable, two.here.is_due) == (True, False)


async def test_while_a_request_reads_it_is_not_due_for_another(two: Isolates) -> None:
    two.clock.time = NOW + RENEW_SECONDS
    two.here.begin_reading()
    assert (two.here.is_usable, two.here.is_due) == (True, False)
    two.clock.time = NOW + RENEW_SECONDS + RETRY_SECONDS - 0.25
    assert not two.here.is_due
    two.clock.time = NOW + RENEW_SECONDS + RETRY_SECONDS  # it has not come back
    assert two.here.is_due
    two.here.begin_reading()
    two.clock.time -= RETRY_SECONDS / 2
    assert two.here.is_due  # the clock has stepped back: when it was begun can't be told
    two.clock.time = NOW + HOLD_SECONDS
    two.here.begin_reading()
    assert not two.here.is_usable


async def test_a_ledger_that_is_down_is_borne_for_hold_seconds(two: Isolates) -> None:
    two.purges.down = True
    two.clock.time = NOW + HOLD_SECONDS - 0.25
    with pytest.raises(RuntimeError):
        await two.here.read()
    assert two.here.is_usable
    two.clock.time = NOW + HOLD_SECONDS
    assert not two.here.is_usable
    with pytest.raises(RuntimeError):
        await two.here.read()
    assert not two.here.is_usable
    two.purges.down = False
    await two.here.read()
    assert two.here.is_usable


@pytest.mark.parametrize("text", ["", "null", "[{}]", '[{"scope":"x","value":"","at":1}]'])
async def test_a_ledger_that_answers_nonsense_is_no_reading(two: Isolates, text: str) -> None:
    async def nonsense(*_: object) -> tuple[Purge, ...]:
        return READ_PURGES.answer.decode(text)

    two.purges.wrap(READ_PURGES, nonsense)
    two.clock.time = NOW + HOLD_SECONDS
    with pytest.raises(msgspec.MsgspecError):
        await two.here.read()
    assert not two.here.is_usable


async def test_a_clock_that_steps_back_ends_the_readings_worth(two: Isolates) -> None:
    two.clock.time = NOW - 0.25
    assert (two.here.is_usable, two.here.is_due) == (False, True)
    await two.here.read()
    assert (two.here.is_usable, two.here.is_due) == (True, False)


@in_no_time
async def test_a_reading_counts_from_when_it_began() -> None:
    clock = LoopClock(NOW)
    objects = MemoryObjects(clock)
    objects.purges.slow = HOLD_SECONDS - 1
    view = PurgeView(objects, clock)
    await view.read()
    assert (view.is_usable, view.is_due) == (True, True)
    await asyncio.sleep(1)
    assert not view.is_usable


@pytest.mark.parametrize(
    ("born", "hidden"), [(NOW - 1, True), (NOW, True), (NOW + 0.25, False), (NOW + 100, False)]
)
async def test_only_what_was_born_before_is_hidden(
    two: Isolates, born: float, hidden: bool
) -> None:
    await two.here.purge("all", "")
    await two.there.read()
    entry = make_purgeable(born=born, stored=NOW + 200)  # a long answer that began before
    assert two.here.hides(KEY, entry) == two.there.hides(KEY, entry) == hidden


PURGES: list[tuple[Scope, str]] = [
    ("all", ""),
    ("key", KEY),
    ("model", "groq/openai/gpt"),
    ("user", "ann"),
]
OTHERS = [
    (KEY, make_purgeable(user="ben"), {"all", "key", "model"}),
    (KEY, make_purgeable(user=None), {"all", "key", "model"}),
    (KEY, make_purgeable(user="Ann"), {"all", "key", "model"}),
    (KEY, make_purgeable(provider="openrouter"), {"all", "key", "user"}),
    (KEY, make_purgeable(model="gpt"), {"all", "key", "user"}),
    ("cd" * 32, make_purgeable(), {"all", "model", "user"}),
    ("cd" * 32, make_purgeable(model="ann", user="groq/openai/gpt"), {"all"}),
    ("ann", make_purgeable(user=KEY), {"all", "model"}),
    (KEY, make_purgeable(), {"all", "key", "model", "user"}),
]


@pytest.mark.parametrize(("scope", "value"), PURGES)
async def test_each_scope_hides_what_it_names_and_nothing_else(
    two: Isolates, scope: Scope, value: str
) -> None:
    await two.here.purge(scope, value)
    await two.there.read()
    for key, entry, hidden_by in OTHERS:
        assert two.here.hides(key, entry) == two.there.hides(key, entry) == (scope in hidden_by)


async def test_the_purge_of_a_user_without_entries_leaves_all(two: Isolates) -> None:
    await two.here.purge("user", "nobody")
    assert not two.here.hides(KEY, OLD)


async def test_a_purge_that_the_ledger_does_not_take_holds_here(two: Isolates) -> None:
    two.purges.down = True
    with pytest.raises(RuntimeError):
        await two.here.purge("all", "")
    assert two.here.hides(KEY, OLD)
    two.purges.down = False
    await two.here.read()
    assert two.here.hides(KEY, OLD)


async def test_a_later_purge_is_never_undone_by_an_earlier_one(two: Isolates) -> None:
    await two.here.purge("all", "")
    two.clock.time += 5
    await two.here.purge("all", "")
    two.objects.ledger.reverse()
    await two.here.read()
    assert two.here.hides(KEY, make_purgeable(born=NOW + 5))
    two.clock.time = NOW - 100
    await two.here.purge("all", "")
    assert two.here.hides(KEY, make_purgeable(born=NOW + 5))


@in_no_time
async def test_a_purge_during_a_reading_stays() -> None:
    clock = LoopClock(NOW)
    objects = MemoryObjects(clock)
    view = PurgeView(objects, clock)

    async def late(*_: object) -> tuple[Purge, ...]:
        await asyncio.sleep(1)
        return ()

    objects.purges.wrap(READ_PURGES, late)
    reading = asyncio.ensure_future(view.read())
    await asyncio.sleep(0.5)
    await view.purge("all", "")
    await reading
    assert view.hides(KEY, OLD)


async def test_the_ledger_keeps_what_was_purged(two: Isolates) -> None:
    purge = await two.here.purge("user", 'a"é')
    assert two.objects.ledger == [purge] == [Purge("user", 'a"é', NOW)]


class Everywhere(RuleBasedStateMachine):
    """Whatever isolates read, purge and miss: what was purged HOLD_SECONDS ago, and taken by
    the ledger, is hidden in every one of them that is usable; and nothing else ever is."""

    @initialize()
    def begin(self) -> None:
        self.clock = ManualClock(NOW)
        objects = MemoryObjects(self.clock)
        self.purges = objects.purges
        self.views = [PurgeView(objects, self.clock) for _ in range(3)]
        self.purged: list[tuple[int, Scope, str, float]] = []

    @rule(seconds=st.sampled_from([0.0, 1.0, 14.0, 15.0, 16.0, 30.0, 1000.0]))
    def turn(self, seconds: float) -> None:
        self.clock.time += seconds

    @rule(down=st.booleans())
    def ledger_state(self, down: bool) -> None:
        self.purges.down = down

    @rule(number=st.integers(0, 2))
    def renew(self, number: int) -> None:
        try:
            asyncio.run(self.views[number].read())
        except RuntimeError:
            assert self.purges.down

    @rule(number=st.integers(0, 2), purge=st.sampled_from(PURGES))
    def purge(self, number: int, purge: tuple[Scope, str]) -> None:
        try:
            asyncio.run(self.views[number].purge(*purge))
        except RuntimeError:
            self.purged.append((number, *purge, self.clock.time))
        else:
            self.purged.append((-1, *purge, self.clock.time))
            assert self.views[number].hides(KEY, make_purgeable(born=self.clock.time))

    @invariant()
    def holds_everywhere(self) -> None:
        known_since = self.clock.time - HOLD_SECONDS
        for number, view in enumerate(self.views):
            for key, entry, hidden_by in OTHERS:
                due = [
                    at
                    for by, scope, _, at in self.purged
                    if scope in hidden_by
                    and (by == number or (by < 0 and at <= known_since and view.is_usable))
                ]
                if due:
                    entry = msgspec.structs.replace(entry, born=max(due))
                    assert view.hides(key, entry)
                never = [at for _, scope, _, at in self.purged if scope in hidden_by]
                entry = msgspec.structs.replace(entry, born=max(never, default=0) + 0.5)
                assert not view.hides(key, entry)


TestEverywhere = Everywhere.TestCase
TestEverywhere.settings = settings(max_examples=40, stateful_step_count=20, deadline=None)
