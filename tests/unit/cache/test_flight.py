"""A flight: one leader at a time, its outcome for all followers, and no follower waits for a dead
leader."""

import asyncio
import contextlib
import sys

import pytest

from proxy.cache.flight import KEEP_SECONDS, LEASE_SECONDS, Joined
from tests.unit.cache.making import SOON, Play, ready, seconds_passed
from tests.unit.doubles import in_no_time


@pytest.fixture
def play() -> Play:
    return Play()


class TestOutcome:
    @in_no_time
    async def test_the_first_leads_and_the_others_follow_when_it_publishes(
        self, play: Play
    ) -> None:
        ticket = await play.leads()
        others = [play.join() for _ in range(50)]
        await asyncio.sleep(2)
        assert not any(other.done() for other in others)
        play.publish(ticket, b"an outcome")
        for joined, when in await asyncio.gather(*others):
            assert joined == Joined("follower", outcome=b"an outcome")
            assert when == 2

    @in_no_time
    async def test_of_many_at_once_one_leads(self, play: Play) -> None:
        everybody = [play.join() for _ in range(50)]
        await ready()
        leaders = [task.result()[0] for task in everybody if task.done()]
        assert [leader.role for leader in leaders] == ["leader"]
        play.publish(leaders[0].ticket, b"")
        parts = [joined.role for joined, _ in await asyncio.gather(*everybody)]
        assert sorted(parts) == [*["follower"] * 49, "leader"]  # an empty outcome is one

    @in_no_time
    async def test_a_late_request_gets_it_for_a_while_and_then_a_new_flight_begins(
        self, play: Play
    ) -> None:
        ticket = await play.leads()
        play.publish(ticket, b"an outcome")
        await asyncio.sleep(KEEP_SECONDS - 0.01)
        assert (await play.join(0))[0] == Joined("follower", outcome=b"an outcome")
        await asyncio.sleep(0.01 + SOON)
        new = await play.leads()
        assert new != ticket
        late = play.join()
        await asyncio.sleep(1)
        assert not late.done()  # the outcome before is not taken for this flight's
        play.publish(new, b"anew")
        assert (await late)[0].outcome == b"anew"

    @in_no_time
    async def test_it_is_not_held_after_that_though_nobody_asks_again(self, play: Play) -> None:
        outcome = bytes(1000)
        held = sys.getrefcount(outcome)
        play.publish(await play.leads(), outcome)
        assert sys.getrefcount(outcome) > held
        await asyncio.sleep(KEEP_SECONDS + SOON)
        assert sys.getrefcount(outcome) == held

    @in_no_time
    async def test_the_time_of_one_outcome_does_not_end_that_of_the_next(self, play: Play) -> None:
        play.publish(await play.leads(), None)
        play.publish(await play.leads(), b"an outcome")
        await asyncio.sleep(KEEP_SECONDS - SOON)
        assert (await play.join(0))[0].outcome == b"an outcome"

    @in_no_time
    async def test_the_first_outcome_counts(self, play: Play) -> None:
        ticket = await play.leads()
        play.publish(ticket, b"an outcome")
        play.publish(ticket, b"again")
        play.publish(ticket, None)
        assert (await play.join(0))[0] == Joined("follower", outcome=b"an outcome")

    @in_no_time
    async def test_a_leader_without_an_outcome_hands_over_at_once(self, play: Play) -> None:
        ticket = await play.leads()
        others = [play.join() for _ in range(5)]
        await asyncio.sleep(1)
        for left in range(5, 0, -1):
            play.publish(ticket, None)
            await ready()
            new = [task for task in others if task.done()]
            assert [task.result()[0].role for task in new] == ["leader"]
            ticket = new[0].result()[0].ticket
            others.remove(new[0])
            assert len(others) == left - 1
        play.publish(ticket, None)
        assert await play.leads() > ticket


class TestDeath:
    @in_no_time
    async def test_a_dead_leader_is_replaced_by_a_follower(self, play: Play) -> None:
        dead = await play.leads()
        others = [play.join() for _ in range(20)]
        await asyncio.sleep(LEASE_SECONDS - SOON)
        assert not any(task.done() for task in others)
        await asyncio.sleep(2 * SOON)
        [new] = [task.result()[0] for task in others if task.done()]
        assert new.role == "leader"
        assert new.ticket != dead
        await asyncio.sleep(1)
        play.publish(new.ticket, b"an outcome")
        results = [joined.role for joined, _ in await asyncio.gather(*others)]
        assert sorted(results) == [*["follower"] * 19, "leader"]

    @in_no_time
    async def test_one_after_another(self, play: Play) -> None:
        tasks = [play.join() for _ in range(5)]
        leaders = sorted(when for _, when in await asyncio.gather(*tasks))
        assert leaders == pytest.approx(
            [0, LEASE_SECONDS, 2 * LEASE_SECONDS, 3 * LEASE_SECONDS, 4 * LEASE_SECONDS], abs=SOON
        )
        tickets = [task.result()[0].ticket for task in tasks]
        assert len(set(tickets)) == 5

    @in_no_time
    async def test_signs_of_life_keep_the_lead(self, play: Play) -> None:
        ticket = await play.leads()
        other = play.join(600)
        for _ in range(20):
            await asyncio.sleep(LEASE_SECONDS - SOON)
            assert play.flight.renew(ticket)
        assert not other.done()
        _, when = await other
        assert when == pytest.approx(20 * (LEASE_SECONDS - SOON) + LEASE_SECONDS, abs=SOON)

    @in_no_time
    async def test_a_replaced_leader_has_no_say(self, play: Play) -> None:
        old = await play.leads()
        await asyncio.sleep(LEASE_SECONDS + SOON)
        new = await play.leads()
        assert not play.flight.renew(old)
        other = play.join()
        await ready()
        play.publish(old, b"too late")
        play.publish(old, None)
        await asyncio.sleep(1)
        assert not other.done()
        assert play.flight.renew(new)
        play.publish(new, b"an outcome")
        assert (await other)[0].outcome == b"an outcome"
        assert not play.flight.renew(old)

    @in_no_time
    async def test_a_ticket_that_nobody_gave_has_no_say(self, play: Play) -> None:
        play.publish(7, b"x")
        assert not play.flight.renew(7)
        ticket = await play.leads()
        play.publish(ticket + 1, b"x")
        assert (await play.join(0))[0].role == "alone"

    @in_no_time
    async def test_a_follower_that_gives_up_takes_nothing_with_it(self, play: Play) -> None:
        ticket = await play.leads()
        gone, stays = play.join(), play.join()
        await ready()
        gone.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await gone
        play.publish(ticket, b"an outcome")
        assert (await stays)[0].outcome == b"an outcome"

    @pytest.mark.parametrize("outcome", [None, b"an outcome"])
    @in_no_time
    async def test_a_sign_of_life_after_the_outcome_is_none(
        self, play: Play, outcome: bytes | None
    ) -> None:
        """It was on its way when the leader encode_answer: calls of an object may overtake."""
        ticket = await play.leads()
        play.publish(ticket, outcome)
        await asyncio.sleep(KEEP_SECONDS - SOON)
        play.flight.renew(ticket)
        await asyncio.sleep(2 * SOON)
        await play.leads()


class TestPatience:
    @pytest.mark.parametrize("patience", [-5.0, 0.0])
    @in_no_time
    async def test_a_request_without_any_goes_alone_or_leads(
        self, play: Play, patience: float
    ) -> None:
        joined, _ = await play.join(patience)
        assert joined.role == "leader"
        assert (await play.join(patience))[0].role == "alone"
        play.publish(joined.ticket, b"an outcome")
        assert (await play.join(patience))[0].role == "follower"
        assert seconds_passed() < SOON

    @in_no_time
    async def test_nobody_waits_longer_than_it_said(self, play: Play) -> None:
        ticket = await play.leads()
        patient = [play.join(seconds) for seconds in (0.5, 1, 10, 2.5)]
        for _ in range(11):
            await asyncio.sleep(1)
            play.flight.renew(ticket)
        results = [task.result() for task in patient]
        assert [joined.role for joined, _ in results] == ["alone"] * 4
        assert [when for _, when in results] == pytest.approx([0.5, 1, 10, 2.5], abs=SOON)


class TestClockSteps:
    """The clock is the wall's: it may step while a request waits."""

    @pytest.mark.parametrize("step", [1.0, LEASE_SECONDS, 10.0, 1e9])
    @in_no_time
    async def test_forward_may_cost_the_lead_but_no_time(self, play: Play, step: float) -> None:
        ticket = await play.leads()
        other = play.join(10)
        await asyncio.sleep(1)
        play.clock.time += step
        new, when = await other
        assert new.role in ("leader", "alone")
        assert when <= LEASE_SECONDS + SOON
        play.publish(ticket, b"an outcome")
        play.publish(new.ticket, b"an outcome")
        assert (await play.join(0))[0].outcome == b"an outcome"

    @in_no_time
    async def test_back_nobody_waits_longer_than_it_said(self, play: Play) -> None:
        await play.leads()
        other = play.join(2)
        await asyncio.sleep(1)
        play.clock.time -= 3600
        _, when = await other
        assert when <= 2 + LEASE_SECONDS

    @in_no_time
    async def test_back_a_dead_leader_is_still_replaced(self, play: Play) -> None:
        await play.leads()
        play.clock.time -= 3600
        _, when = await play.join(60)
        assert when <= LEASE_SECONDS + SOON

    @in_no_time
    async def test_back_an_outcome_is_not_kept_for_longer(self, play: Play) -> None:
        play.publish(await play.leads(), b"an outcome")
        play.clock.time -= 3600
        await asyncio.sleep(KEEP_SECONDS + LEASE_SECONDS + SOON)
        await play.leads()
