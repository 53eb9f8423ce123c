"""The cache of answers: what is found where and what may be shown."""

import asyncio

import pytest
from msgspec import structs

from proxy.cache.answers import Hit
from proxy.cache.entry import CacheEntry, encode
from proxy.cache.purge import READ_PURGES, RENEW_SECONDS
from proxy.core.chat import Answer
from tests.unit.cache.isolate import DIRECTIVES, Isolate, make_lasting
from tests.unit.cache.making import KEY, LARGE, NOW
from tests.unit.doubles import LoopClock, in_no_time


class TestMemory:
    async def test_a_hit_waits_for_nothing(self, isolate: Isolate) -> None:
        entry = make_lasting()
        await isolate.keep(entry)
        await isolate.hit()  # the purges are known now
        isolate.kv.fault = isolate.r2.fault = AssertionError("read for nothing")
        finding = isolate.cache.find(KEY, DIRECTIVES, isolate.deferred.append)
        with pytest.raises(StopIteration) as caught:
            finding.send(None)
        assert caught.value.value == Hit(entry, "memory", is_fresh=True, data=encode(entry))
        assert isolate.deferred == []
        assert isolate.log.lines == []

    async def test_it_waits_for_nothing_where_the_purges_are_due_either(
        self, isolate: Isolate
    ) -> None:
        isolate.clock.time -= RENEW_SECONDS
        await isolate.hit()
        isolate.clock.time = NOW
        await isolate.keep(make_lasting())
        assert len(isolate.purges.called(READ_PURGES)) == 1
        with pytest.raises(StopIteration) as caught:
            isolate.cache.find(KEY, DIRECTIVES, isolate.deferred.append).send(None)
        assert caught.value.value.tier == "memory"
        assert len(isolate.purges.called(READ_PURGES)) == 1
        [renewal] = isolate.deferred
        await renewal
        assert len(isolate.purges.called(READ_PURGES)) == 2

    async def test_what_has_never_been_put_is_a_miss(self, isolate: Isolate) -> None:
        assert await isolate.found() is None
        assert isolate.log.lines == []

    async def test_fresh_then_stale_then_gone(self, isolate: Isolate) -> None:
        await isolate.keep(make_lasting())
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
        isolate.put(store, make_lasting(stored=NOW - 50))
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
        isolate.put(isolate.kv, make_lasting())
        isolate.r2.fault = AssertionError("not to be read")
        assert await isolate.found() == ("Paris.", "kv", True)
        assert isolate.log.lines == []

    async def test_a_stale_entry_is_found_for_outages(self, isolate: Isolate) -> None:
        isolate.put(isolate.kv, make_lasting(stored=NOW - 61))
        assert await isolate.found() == ("Paris.", "kv", False)
        isolate.kv.held.clear()
        assert await isolate.found() == ("Paris.", "memory", False)

    async def test_a_fresh_one_below_comes_before_a_stale_one_in_memory(
        self, isolate: Isolate
    ) -> None:
        await isolate.keep(make_lasting("old"))
        isolate.clock.time = NOW + 70
        isolate.put(isolate.kv, make_lasting("new", stored=NOW + 65))
        assert await isolate.found() == ("new", "kv", True)
        assert await isolate.found() == ("new", "memory", True)

    async def test_what_is_over_is_not_shown_though_a_tier_still_has_it(
        self, isolate: Isolate
    ) -> None:
        for age, shown in ((159.75, True), (160, False), (10**6, False)):
            isolate.put(isolate.kv, make_lasting(stored=NOW - age))
            assert bool(await Isolate(isolate).found()) == shown
        assert await isolate.found() is None
        assert isolate.memory.entries == 0

    @pytest.mark.parametrize(
        ("fault", "logged"),
        [("raises", "cache tier failed"), ("garbage", "cache entry unreadable")],
    )
    async def test_tiers_that_fail_cost_a_miss(
        self, isolate: Isolate, fault: str, logged: str
    ) -> None:
        if fault == "raises":
            isolate.kv.fault = isolate.r2.fault = RuntimeError("down")
        else:
            isolate.kv.held[KEY] = (b"APC\x01garbage", 1)
        assert await isolate.found() is None
        assert {line[1] for line in isolate.log.lines} == {logged}

    async def test_tiers_that_fail_leave_a_stale_entry_in_memory(self, isolate: Isolate) -> None:
        await isolate.keep(make_lasting())
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
        await isolate.keep(make_lasting("new"))
        isolate.put(isolate.kv, make_lasting("old", stored=NOW - 100))
        isolate.clock.time = NOW + 20
        assert await isolate.found(max_age=10) == ("new", "memory", False)
        assert await isolate.found() == ("new", "memory", True)

    @pytest.mark.parametrize("max_age", [None, 10])
    async def test_what_is_too_old_in_kv_is_not_looked_for_in_r2(
        self, isolate: Isolate, max_age: int | None
    ) -> None:
        isolate.put(isolate.kv, make_lasting("old", stored=NOW - (11 if max_age else 61)))
        isolate.r2.fault = AssertionError("not to be read")
        assert await isolate.found(max_age=max_age) == ("old", "kv", False)
        assert isolate.log.lines == []

    async def test_what_is_over_below_leaves_a_stale_entry_in_memory(
        self, isolate: Isolate
    ) -> None:
        await isolate.keep(make_lasting())
        isolate.clock.time = NOW + 60
        isolate.put(isolate.kv, make_lasting("old", stored=NOW - 100))
        assert await isolate.found() == ("Paris.", "memory", False)

    async def test_an_older_one_that_outlives_the_newer_answers_and_is_not_remembered(
        self, isolate: Isolate
    ) -> None:
        await isolate.keep(make_lasting("new", ttl=5))
        isolate.clock.time = NOW + 10
        isolate.put(isolate.kv, make_lasting("old", stored=NOW - 1))
        assert await isolate.found() == ("old", "kv", True)
        assert await isolate.found() == ("old", "kv", True)

    @pytest.mark.parametrize("tier", ["kv", "r2"])
    async def test_of_two_stale_ones_the_newer_is_for_outages(
        self, isolate: Isolate, tier: str
    ) -> None:
        await isolate.keep(make_lasting("old"))
        isolate.clock.time = NOW + 90
        isolate.put(getattr(isolate, tier), make_lasting("new", stored=NOW + 10))
        assert await isolate.found() == ("new", tier, False)
        isolate.put(getattr(isolate, tier), make_lasting("old", stored=NOW))
        assert await isolate.found() == ("new", "memory", False)


class TestMaxAge:
    @pytest.mark.parametrize(
        ("max_age", "fresh"), [(None, True), (10, True), (9, False), (0, False)]
    )
    @pytest.mark.parametrize("tier", ["memory", "kv", "r2"])
    async def test_what_is_older_is_for_outages_only(
        self, isolate: Isolate, tier: str, max_age: int | None, fresh: bool
    ) -> None:
        entry = make_lasting(stored=NOW - 10.75)
        if tier == "memory":
            isolate.cache.remember(KEY, entry, encode(entry))
        else:
            isolate.put(getattr(isolate, tier), entry)
        assert await isolate.found(max_age=max_age) == ("Paris.", tier, fresh)

    async def test_a_younger_one_below_is_found(self, isolate: Isolate) -> None:
        await isolate.keep(make_lasting("old"))
        isolate.clock.time = NOW + 30
        isolate.put(isolate.kv, make_lasting("new", stored=NOW + 25))
        assert await isolate.found(max_age=10) == ("new", "kv", True)

    async def test_it_never_makes_a_stale_one_fresh(self, isolate: Isolate) -> None:
        isolate.put(isolate.kv, make_lasting(stored=NOW - 70))
        assert await isolate.found(max_age=1000) == ("Paris.", "kv", False)


class TestKeep:
    async def test_it_is_in_memory_and_in_the_tier_that_it_belongs_to(
        self, isolate: Isolate
    ) -> None:
        entry = make_lasting(ttl=3000, grace=600)
        await isolate.keep(entry)
        assert isolate.memory.get(KEY) == encode(entry)
        assert isolate.kv.held == {KEY: (encode(entry), 3600)}
        assert isolate.r2.held == {}

    async def test_memory_has_it_before_the_tiers_are_waited_for(self, isolate: Isolate) -> None:
        isolate.kv.silent = True
        keeping = asyncio.ensure_future(isolate.keep(make_lasting()))
        await asyncio.sleep(0)
        assert await isolate.found() == ("Paris.", "memory", True)
        keeping.cancel()

    async def test_what_is_too_large_for_memory_is_below(self, isolate: Isolate) -> None:
        entry = make_lasting(LARGE)
        await isolate.keep(entry)
        assert isolate.memory.entries == 0
        hit = await isolate.hit()
        assert hit
        assert (hit.entry, hit.tier) == (entry, "r2")

    @pytest.mark.parametrize("answer", [Answer(text="x", extra={"n": 2**70})])
    async def test_what_cannot_be_written_is_left_out_and_logged(
        self, isolate: Isolate, answer: Answer
    ) -> None:
        await isolate.keep(make_lasting(answer=answer))
        assert (isolate.memory.entries, isolate.kv.held, isolate.r2.held) == (0, {}, {})
        assert [line[:2] for line in isolate.log.lines] == [("warning", "answer not cached")]

    async def test_a_tier_that_fails_costs_nothing_else(self, isolate: Isolate) -> None:
        isolate.kv.fault = RuntimeError("full")
        await isolate.keep(make_lasting(ttl=3600))
        assert await isolate.found() == ("Paris.", "memory", True)
        assert [line[1] for line in isolate.log.lines] == ["cache tier failed"]


class TestAdmits:
    """Entries that come by a flight."""

    @pytest.mark.parametrize(
        ("entry", "max_age", "admitted"),
        [
            (make_lasting(), None, True),
            (make_lasting(stored=NOW - 60), None, False),
            (make_lasting(stored=NOW - 2), 2, True),
            (make_lasting(stored=NOW - 2), 1, False),
        ],
    )
    async def test_the_fresh(
        self, isolate: Isolate, entry: CacheEntry, max_age: int | None, admitted: bool
    ) -> None:
        directives = structs.replace(DIRECTIVES, max_age=max_age)
        assert isolate.cache.admits(KEY, entry, directives) == admitted
