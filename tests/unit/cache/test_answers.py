"""The cache of answers: what is found where, what may be shown, and that nothing breaks it."""

import asyncio
from collections.abc import Coroutine
from typing import Any

import pytest
from msgspec import structs

from proxy.cache.answers import AnswerCache, Hit
from proxy.cache.directives import Directives
from proxy.cache.entry import CacheEntry, encode
from proxy.cache.lru import MemoryCache
from proxy.cache.purge import HOLD, READ_PURGES, RENEW, PurgeView, Scope
from proxy.cache.tiers import LowerTiers
from proxy.core.chat import Answer
from tests.unit.doubles import (
    Logbook,
    LoopClock,
    ManualClock,
    MemoryStore,
    in_no_time,
)
from tests.unit.memory_objects import MemoryObjects

NOW = 1_700_000_000.0
KEY = "ab" * 32
WANTED = Directives(read=True, store=True, ttl=60)


def an_entry(text: str = "Paris.", **fields: Any) -> CacheEntry:
    usual: dict[str, Any] = {"born": NOW - 1, "stored": NOW, "ttl": 60, "grace": 100}
    answer = fields.pop("answer", Answer(text=text))
    return CacheEntry(answer=answer, provider="groq", model="m", user="ann", **(usual | fields))


class Isolate:
    """The cache of one isolate with all that is around it at hand. Others may share its tiers
    and its ledger."""

    def __init__(self, of: "Isolate | None" = None, clock: ManualClock | None = None) -> None:
        self.clock = of.clock if of else clock or ManualClock(NOW)
        self.kv, self.r2 = (of.kv, of.r2) if of else (MemoryStore(), MemoryStore())
        self.objects = of.objects if of else MemoryObjects(self.clock)
        self.purges = self.objects.purges
        self.log = Logbook()
        self.memory = MemoryCache(self.clock)
        lower = LowerTiers({"kv": self.kv, "r2": self.r2}, 0.05, self.clock, self.log)
        view = PurgeView(self.objects, self.clock)
        self.cache = AnswerCache(self.memory, lower, view, self.clock, self.log)
        self.deferred: list[Coroutine[Any, Any, object]] = []

    async def hit(self, **wanted: Any) -> Hit | None:
        """What is found; what was put off is done then."""
        wanted_ = structs.replace(WANTED, **wanted)
        hit = await self.cache.find(KEY, wanted_, self.deferred.append)
        while self.deferred:
            await self.deferred.pop()
        return hit

    async def found(self, **wanted: Any) -> tuple[str | None, str, bool] | None:
        hit = await self.hit(**wanted)
        return (hit.entry.answer.text, hit.tier, hit.fresh) if hit else None

    def put(self, store: MemoryStore, entry: CacheEntry) -> None:
        """Puts an entry where it lies, as another isolate would have."""
        store.held[KEY] = (encode(entry), 10**9)


@pytest.fixture
def isolate() -> Isolate:
    return Isolate()


class TestMemory:
    async def test_a_hit_waits_for_nothing(self, isolate: Isolate) -> None:
        entry = an_entry()
        await isolate.cache.keep(KEY, entry)
        await isolate.hit()  # the purges are known now
        isolate.kv.fault = isolate.r2.fault = AssertionError("asked for nothing")
        finding = isolate.cache.find(KEY, WANTED, isolate.deferred.append)
        with pytest.raises(StopIteration) as caught:
            finding.send(None)
        assert caught.value.value == Hit(entry, "memory", fresh=True)
        assert isolate.deferred == []
        assert isolate.log.lines == []

    async def test_it_waits_for_nothing_where_the_purges_are_due_either(
        self, isolate: Isolate
    ) -> None:
        isolate.clock.time -= RENEW
        await isolate.hit()
        isolate.clock.time = NOW
        await isolate.cache.keep(KEY, an_entry())
        assert len(isolate.purges.called(READ_PURGES)) == 1
        with pytest.raises(StopIteration) as caught:
            isolate.cache.find(KEY, WANTED, isolate.deferred.append).send(None)
        assert caught.value.value.tier == "memory"
        assert len(isolate.purges.called(READ_PURGES)) == 1
        [renewal] = isolate.deferred
        await renewal
        assert len(isolate.purges.called(READ_PURGES)) == 2

    async def test_what_has_never_been_put_is_a_miss(self, isolate: Isolate) -> None:
        assert await isolate.found() is None
        assert isolate.log.lines == []

    async def test_fresh_then_stale_then_gone(self, isolate: Isolate) -> None:
        await isolate.cache.keep(KEY, an_entry())
        isolate.kv.held.clear()
        isolate.clock.time = NOW + 59.75
        assert await isolate.found() == ("Paris.", "memory", True)
        isolate.clock.time = NOW + 60
        assert await isolate.found() == ("Paris.", "memory", False)
        isolate.clock.time = NOW + 159.75
        assert await isolate.found() == ("Paris.", "memory", False)
        isolate.clock.time = NOW + 160
        assert await isolate.found() is None


class TestBelow:
    @pytest.mark.parametrize("tier", ["kv", "r2"])
    async def test_a_hit_fills_memory_with_the_life_that_is_left(
        self, isolate: Isolate, tier: str
    ) -> None:
        store = getattr(isolate, tier)
        isolate.put(store, an_entry(stored=NOW - 50))
        assert await isolate.found() == ("Paris.", tier, True)
        isolate.kv.held.clear()
        isolate.r2.held.clear()
        isolate.clock.time = NOW + 9.75
        assert await isolate.found() == ("Paris.", "memory", True)
        isolate.clock.time = NOW + 10
        assert await isolate.found() == ("Paris.", "memory", False)
        isolate.clock.time = NOW + 109.75
        assert await isolate.found() == ("Paris.", "memory", False)
        isolate.clock.time = NOW + 110
        assert await isolate.found() is None
        assert isolate.memory.entries == 0

    async def test_what_is_fresh_in_kv_is_not_looked_for_in_r2(self, isolate: Isolate) -> None:
        isolate.put(isolate.kv, an_entry())
        isolate.r2.fault = AssertionError("not to be asked")
        assert await isolate.found() == ("Paris.", "kv", True)
        assert isolate.log.lines == []

    async def test_a_hit_in_r2_fills_kv_with_the_life_that_is_left(self, isolate: Isolate) -> None:
        entry = an_entry(stored=NOW - 50.5)
        isolate.put(isolate.r2, entry)
        assert await isolate.found() == ("Paris.", "r2", True)
        assert isolate.kv.held == {KEY: (encode(entry), 109)}

    async def test_a_hit_in_r2_that_is_over_soon_does_not(self, isolate: Isolate) -> None:
        isolate.put(isolate.r2, an_entry(stored=NOW - 50, grace=49))
        assert await isolate.found() == ("Paris.", "r2", True)
        assert isolate.kv.held == {}

    async def test_a_stale_entry_is_found_for_outages(self, isolate: Isolate) -> None:
        isolate.put(isolate.kv, an_entry(stored=NOW - 61))
        assert await isolate.found() == ("Paris.", "kv", False)
        isolate.kv.held.clear()
        assert await isolate.found() == ("Paris.", "memory", False)

    async def test_a_fresh_one_below_comes_before_a_stale_one_in_memory(
        self, isolate: Isolate
    ) -> None:
        await isolate.cache.keep(KEY, an_entry("old"))
        isolate.clock.time = NOW + 70
        isolate.put(isolate.kv, an_entry("new", stored=NOW + 65))
        assert await isolate.found() == ("new", "kv", True)
        assert await isolate.found() == ("new", "memory", True)

    async def test_what_is_over_is_not_shown_though_a_tier_still_has_it(
        self, isolate: Isolate
    ) -> None:
        for age, shown in ((159.75, True), (160, False), (10**6, False)):
            isolate.put(isolate.kv, an_entry(stored=NOW - age))
            assert bool(await Isolate(isolate).found()) == shown
        assert await isolate.found() is None
        assert isolate.memory.entries == 0

    @pytest.mark.parametrize("fault", ["raises", "garbage"])
    async def test_tiers_that_fail_cost_a_miss(self, isolate: Isolate, fault: str) -> None:
        if fault == "raises":
            isolate.kv.fault = isolate.r2.fault = RuntimeError("down")
        else:
            isolate.kv.held[KEY] = isolate.r2.held[KEY] = (b"APC\x01garbage", 1)
        assert await isolate.found() is None
        assert len(isolate.log.lines) == 2

    async def test_tiers_that_fail_leave_a_stale_entry_in_memory(self, isolate: Isolate) -> None:
        await isolate.cache.keep(KEY, an_entry())
        isolate.clock.time = NOW + 60
        isolate.kv.fault = isolate.r2.fault = RuntimeError("down")
        assert await isolate.found() == ("Paris.", "memory", False)

    @in_no_time
    async def test_tiers_that_hang_cost_a_little_time(self) -> None:
        isolate = Isolate(clock=LoopClock(NOW))
        isolate.kv.silent = isolate.r2.silent = True
        assert await isolate.found() is None
        assert asyncio.get_running_loop().time() == pytest.approx(0.1)

    async def test_an_older_one_below_does_not_take_the_place_of_the_newer(
        self, isolate: Isolate
    ) -> None:
        """KV's copies at the edge lag behind by up to a minute."""
        await isolate.cache.keep(KEY, an_entry("new"))
        isolate.put(isolate.kv, an_entry("old", stored=NOW - 100))
        isolate.clock.time = NOW + 20
        assert await isolate.found(max_age=10) == ("new", "memory", False)
        assert await isolate.found() == ("new", "memory", True)

    @pytest.mark.parametrize("kv", [an_entry("old", stored=NOW - 70), an_entry(stored=NOW - 1000)])
    async def test_a_fresh_one_in_r2_comes_before_a_stale_one_in_kv(
        self, isolate: Isolate, kv: CacheEntry
    ) -> None:
        isolate.put(isolate.kv, kv)
        isolate.put(isolate.r2, an_entry("new"))
        assert await isolate.found() == ("new", "r2", True)

    async def test_an_older_one_that_outlives_the_newer_answers_and_is_not_remembered(
        self, isolate: Isolate
    ) -> None:
        await isolate.cache.keep(KEY, an_entry("new", ttl=5))
        isolate.clock.time = NOW + 10
        isolate.put(isolate.kv, an_entry("old", stored=NOW - 1))
        assert await isolate.found() == ("old", "kv", True)
        assert await isolate.found() == ("old", "kv", True)

    async def test_of_two_stale_ones_the_newer_is_for_outages(self, isolate: Isolate) -> None:
        isolate.put(isolate.kv, an_entry("old", stored=NOW - 70))
        isolate.put(isolate.r2, an_entry("new", stored=NOW - 65))
        assert await isolate.found() == ("new", "r2", False)
        isolate.put(isolate.kv, an_entry("new", stored=NOW - 65))
        isolate.put(isolate.r2, an_entry("old", stored=NOW - 70))
        assert await Isolate(isolate).found() == ("new", "kv", False)


class TestMaxAge:
    @pytest.mark.parametrize(
        ("max_age", "fresh"), [(None, True), (10, True), (9, False), (0, False)]
    )
    @pytest.mark.parametrize("tier", ["memory", "kv", "r2"])
    async def test_what_is_older_is_for_outages_only(
        self, isolate: Isolate, tier: str, max_age: int | None, fresh: bool
    ) -> None:
        entry = an_entry(stored=NOW - 10.75)
        if tier == "memory":
            isolate.cache.remember(KEY, entry, encode(entry))
        else:
            isolate.put(getattr(isolate, tier), entry)
        assert await isolate.found(max_age=max_age) == ("Paris.", tier, fresh)

    async def test_a_younger_one_below_is_found(self, isolate: Isolate) -> None:
        await isolate.cache.keep(KEY, an_entry("old"))
        isolate.clock.time = NOW + 30
        isolate.put(isolate.kv, an_entry("new", stored=NOW + 25))
        assert await isolate.found(max_age=10) == ("new", "kv", True)

    async def test_it_never_makes_a_stale_one_fresh(self, isolate: Isolate) -> None:
        isolate.put(isolate.kv, an_entry(stored=NOW - 70))
        assert await isolate.found(max_age=1000) == ("Paris.", "kv", False)


SCOPES: list[tuple[Scope, str]] = [
    ("all", ""),
    ("key", KEY),
    ("model", "groq/m"),
    ("user", "ann"),
]


class TestPurge:
    @pytest.mark.parametrize(("scope", "value"), SCOPES)
    async def test_nothing_of_it_is_shown_here_at_once(
        self, isolate: Isolate, scope: Scope, value: str
    ) -> None:
        await isolate.cache.keep(KEY, an_entry())
        isolate.put(isolate.r2, an_entry())
        assert await isolate.hit()
        await isolate.cache.purge(scope, value)
        assert await isolate.hit() is None
        isolate.clock.time = NOW + 61
        assert await isolate.hit() is None  # nor stale

    @pytest.mark.parametrize(("scope", "value"), SCOPES)
    async def test_elsewhere_it_is_gone_within_hold_seconds(
        self, isolate: Isolate, scope: Scope, value: str
    ) -> None:
        there = Isolate(isolate)
        await isolate.cache.keep(KEY, an_entry())
        assert await there.found() == ("Paris.", "kv", True)
        assert await there.found() == ("Paris.", "memory", True)
        await isolate.cache.purge(scope, value)
        isolate.clock.time = NOW + RENEW
        assert await there.hit()  # but it has read the ledger, beside the answer
        assert await there.hit() is None

    async def test_elsewhere_after_long_silence_it_is_gone_at_once(self, isolate: Isolate) -> None:
        there = Isolate(isolate)
        await isolate.cache.keep(KEY, an_entry())
        assert await there.hit()
        await isolate.cache.purge("all", "")
        isolate.clock.time = NOW + HOLD
        assert await there.hit() is None

    async def test_other_entries_stay(self, isolate: Isolate) -> None:
        await isolate.cache.keep(KEY, an_entry())
        for scope, value in (("key", "cd"), ("model", "groq/n"), ("user", "ben")):
            await isolate.cache.purge(scope, value)  # type: ignore[arg-type]
        assert await isolate.found() == ("Paris.", "memory", True)

    async def test_an_answer_that_was_asked_for_later_is_shown(self, isolate: Isolate) -> None:
        isolate.clock.time = NOW + 5
        await isolate.cache.purge("all", "")
        await isolate.cache.keep(KEY, an_entry("before", born=NOW + 5, stored=NOW + 9))
        assert await isolate.hit() is None
        await isolate.cache.keep(KEY, an_entry("after", born=NOW + 5.25, stored=NOW + 9))
        assert await isolate.found() == ("after", "memory", True)

    async def test_a_key_is_deleted_where_it_lies(self, isolate: Isolate) -> None:
        await isolate.cache.keep(KEY, an_entry())
        isolate.put(isolate.r2, an_entry())
        await isolate.cache.purge("key", KEY)
        assert isolate.kv.held == isolate.r2.held == {}
        assert isolate.memory.entries == 0

    async def test_it_holds_here_though_the_ledger_is_down(self, isolate: Isolate) -> None:
        await isolate.cache.keep(KEY, an_entry())
        assert await isolate.hit()
        isolate.purges.down = True
        with pytest.raises(RuntimeError):
            await isolate.cache.purge("all", "")
        assert await isolate.hit() is None

    async def test_it_holds_though_the_tiers_are_down(self, isolate: Isolate) -> None:
        await isolate.cache.keep(KEY, an_entry())
        isolate.kv.fault = isolate.r2.fault = RuntimeError("down")
        await isolate.cache.purge("key", KEY)
        assert len(isolate.objects.ledger) == 1
        isolate.kv.fault = isolate.r2.fault = None
        assert await isolate.hit() is None

    @in_no_time
    async def test_it_holds_at_once_though_the_tiers_are_slow(self) -> None:
        isolate = Isolate(clock=LoopClock(NOW))
        isolate.kv.silent = True
        purging = asyncio.ensure_future(isolate.cache.purge("key", KEY))
        await asyncio.sleep(1)
        purging.cancel()
        assert len(isolate.objects.ledger) == 1


class TestUnreachable:
    """The purges are not known."""

    async def test_nothing_is_shown_and_it_is_logged(self, isolate: Isolate) -> None:
        await isolate.cache.keep(KEY, an_entry())
        isolate.purges.down = True
        assert await isolate.found() is None
        [(level, event, fields)] = isolate.log.lines
        assert (level, event) == ("error", "purges unreachable")
        assert "unreachable" in str(fields["error"])
        isolate.purges.down = False
        assert await isolate.found() == ("Paris.", "memory", True)

    async def test_what_is_known_is_gone_by_for_hold_seconds(self, isolate: Isolate) -> None:
        await isolate.cache.keep(KEY, an_entry())
        assert await isolate.hit()
        isolate.purges.down = True
        isolate.clock.time = NOW + HOLD - 0.25
        assert await isolate.found() == ("Paris.", "memory", True)
        isolate.clock.time = NOW + HOLD
        assert await isolate.found() is None
        assert [line[1] for line in isolate.log.lines] == ["purges unreachable"] * 2

    async def test_a_clock_that_steps_back_has_them_read_again(self, isolate: Isolate) -> None:
        await isolate.cache.keep(KEY, an_entry())
        assert await isolate.hit()
        isolate.clock.time = NOW - 1000
        isolate.purges.down = True
        assert await isolate.hit() is None
        isolate.purges.down = False
        assert await isolate.found() == ("Paris.", "memory", True)

    @in_no_time
    async def test_a_ledger_that_hangs_is_not_waited_for(self) -> None:
        isolate = Isolate(clock=LoopClock(NOW))
        isolate.purges.silent = True
        assert await isolate.found() is None
        assert asyncio.get_running_loop().time() < 5

    @in_no_time
    async def test_many_requests_at_once_do_not_read_it_once_each(self) -> None:
        isolate = Isolate(clock=LoopClock(NOW))
        await isolate.cache.keep(KEY, an_entry())
        await isolate.hit()
        await asyncio.sleep(RENEW)
        isolate.purges.calls.clear()
        wanted = WANTED
        renewals: list[asyncio.Future[object]] = []
        for _ in range(50):
            await isolate.cache.find(
                KEY, wanted, lambda work: renewals.append(asyncio.ensure_future(work))
            )
        await asyncio.gather(*renewals)
        assert len(isolate.purges.calls) <= 2


class TestKeep:
    async def test_it_is_in_every_tier_that_it_belongs_to(self, isolate: Isolate) -> None:
        entry = an_entry(ttl=3000, grace=600)
        await isolate.cache.keep(KEY, entry)
        assert isolate.memory.get(KEY) == (encode(entry), True)
        assert isolate.kv.held == isolate.r2.held == {KEY: (encode(entry), 3600)}

    async def test_memory_has_it_before_the_tiers_are_waited_for(self, isolate: Isolate) -> None:
        isolate.kv.silent = True
        keeping = asyncio.ensure_future(isolate.cache.keep(KEY, an_entry()))
        await asyncio.sleep(0)
        assert await isolate.found() == ("Paris.", "memory", True)
        keeping.cancel()

    async def test_what_is_too_large_for_memory_is_below(self, isolate: Isolate) -> None:
        text = "".join(chr(0x4E00 + number * 7919 % 20000) for number in range(400_000))
        entry = an_entry(text)
        assert len(encode(entry)) > isolate.memory.largest
        await isolate.cache.keep(KEY, entry)
        assert isolate.memory.entries == 0
        hit = await isolate.hit()
        assert hit
        assert hit.entry == entry

    @pytest.mark.parametrize("answer", [Answer(text="x", extra={"n": 2**70})])
    async def test_what_cannot_be_written_is_left_out_and_logged(
        self, isolate: Isolate, answer: Answer
    ) -> None:
        await isolate.cache.keep(KEY, an_entry(answer=answer))
        assert (isolate.memory.entries, isolate.kv.held, isolate.r2.held) == (0, {}, {})
        assert [line[:2] for line in isolate.log.lines] == [("warning", "answer not cached")]

    async def test_a_tier_that_fails_costs_nothing_else(self, isolate: Isolate) -> None:
        isolate.kv.fault = RuntimeError("full")
        await isolate.cache.keep(KEY, an_entry(ttl=3600))
        assert await isolate.found() == ("Paris.", "memory", True)
        assert KEY in isolate.r2.held
        assert [line[1] for line in isolate.log.lines] == ["cache tier failed"]


class TestAdmits:
    """Entries that come by a flight."""

    @pytest.mark.parametrize(
        ("entry", "max_age", "admitted"),
        [
            (an_entry(), None, True),
            (an_entry(stored=NOW - 60), None, False),
            (an_entry(stored=NOW - 2), 2, True),
            (an_entry(stored=NOW - 2), 1, False),
        ],
    )
    async def test_the_fresh(
        self, isolate: Isolate, entry: CacheEntry, max_age: int | None, admitted: bool
    ) -> None:
        wanted = structs.replace(WANTED, max_age=max_age)
        assert isolate.cache.admits(KEY, entry, wanted) == admitted

    @pytest.mark.parametrize(("scope", "value"), SCOPES)
    async def test_not_what_was_purged(self, isolate: Isolate, scope: Scope, value: str) -> None:
        await isolate.cache.purge(scope, value)
        assert not isolate.cache.admits(KEY, an_entry(), WANTED)
        assert isolate.cache.admits(KEY, an_entry(born=NOW + 1), WANTED)
