"""The cache of answers after a purge, and where the purges are not known."""

import asyncio

import pytest

from proxy.cache.purge import HOLD_SECONDS, RENEW_SECONDS, Scope
from tests.unit.cache.isolate import DIRECTIVES, Isolate, make_lasting
from tests.unit.cache.making import KEY, NOW
from tests.unit.doubles import LoopClock, in_no_time

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
        await isolate.keep(make_lasting())
        isolate.put(isolate.r2, make_lasting())
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
        await isolate.keep(make_lasting())
        assert await there.found() == ("Paris.", "kv", True)
        assert await there.found() == ("Paris.", "memory", True)
        await isolate.cache.purge(scope, value)
        isolate.clock.time = NOW + RENEW_SECONDS
        assert await there.hit()  # but it has read the ledger, beside the answer
        assert await there.hit() is None

    async def test_elsewhere_after_long_silence_it_is_gone_at_once(self, isolate: Isolate) -> None:
        there = Isolate(isolate)
        await isolate.keep(make_lasting())
        assert await there.hit()
        await isolate.cache.purge("all", "")
        isolate.clock.time = NOW + HOLD_SECONDS
        assert await there.hit() is None

    async def test_other_entries_stay(self, isolate: Isolate) -> None:
        await isolate.keep(make_lasting())
        others: list[tuple[Scope, str]] = [("key", "cd"), ("model", "groq/n"), ("user", "ben")]
        for scope, value in others:
            await isolate.cache.purge(scope, value)
        assert await isolate.found() == ("Paris.", "memory", True)

    async def test_an_answer_to_a_later_request_is_shown(self, isolate: Isolate) -> None:
        isolate.clock.time = NOW + 5
        await isolate.cache.purge("all", "")
        await isolate.keep(make_lasting("before", born=NOW + 5, stored=NOW + 9))
        assert await isolate.hit() is None
        await isolate.keep(make_lasting("after", born=NOW + 5.25, stored=NOW + 9))
        assert await isolate.found() == ("after", "memory", True)

    async def test_a_key_is_deleted_where_it_lies(self, isolate: Isolate) -> None:
        await isolate.keep(make_lasting())
        isolate.put(isolate.r2, make_lasting())
        await isolate.cache.purge("key", KEY)
        assert isolate.kv.held == isolate.r2.held == {}
        assert isolate.memory.entries == 0

    async def test_it_holds_here_though_the_ledger_is_down(self, isolate: Isolate) -> None:
        await isolate.keep(make_lasting())
        assert await isolate.hit()
        isolate.purges.down = True
        with pytest.raises(RuntimeError):
            await isolate.cache.purge("all", "")
        assert await isolate.hit() is None

    async def test_it_holds_though_the_tiers_are_down(self, isolate: Isolate) -> None:
        await isolate.keep(make_lasting())
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

    @pytest.mark.parametrize(("scope", "value"), SCOPES)
    async def test_what_was_purged_is_not_admitted_from_a_flight(
        self, isolate: Isolate, scope: Scope, value: str
    ) -> None:
        await isolate.cache.purge(scope, value)
        assert not isolate.cache.admits(KEY, make_lasting(), DIRECTIVES)
        assert isolate.cache.admits(KEY, make_lasting(born=NOW + 1), DIRECTIVES)


class TestUnreachable:
    """The purges are not known."""

    async def test_nothing_is_shown_and_it_is_logged(self, isolate: Isolate) -> None:
        await isolate.keep(make_lasting())
        isolate.purges.down = True
        assert await isolate.found() is None
        [(level, event, fields)] = isolate.log.lines
        assert (level, event) == ("error", "purges unreachable")
        assert "unreachable" in str(fields["error"])
        isolate.purges.down = False
        assert await isolate.found() == ("Paris.", "memory", True)

    async def test_what_is_known_is_gone_by_for_hold_seconds(self, isolate: Isolate) -> None:
        await isolate.keep(make_lasting())
        assert await isolate.hit()
        isolate.purges.down = True
        isolate.clock.time = NOW + HOLD_SECONDS - 0.25
        assert await isolate.found() == ("Paris.", "memory", True)
        isolate.clock.time = NOW + HOLD_SECONDS
        assert await isolate.found() is None
        assert [line[1] for line in isolate.log.lines] == ["purges unreachable"] * 2

    async def test_a_clock_that_steps_back_has_them_read_again(self, isolate: Isolate) -> None:
        await isolate.keep(make_lasting())
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
        await isolate.keep(make_lasting())
        await isolate.hit()
        await asyncio.sleep(RENEW_SECONDS)
        isolate.purges.calls.clear()
        renewals: list[asyncio.Future[object]] = []
        for _ in range(50):
            await isolate.cache.find(
                KEY, DIRECTIVES, lambda work: renewals.append(asyncio.ensure_future(work))
            )
        await asyncio.gather(*renewals)
        assert len(isolate.purges.calls) <= 2
