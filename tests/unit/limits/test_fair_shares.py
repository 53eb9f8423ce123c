"""How a provider's capacity is shared among its users."""

from random import Random

from hypothesis import given, settings
from hypothesis import strategies as st

from proxy.limits.capacity import CUT_MS, LEVEL_MS, PRESSED_REPORT_MS
from proxy.limits.fair_share import DEMAND_MS, find_fair_level
from proxy.limits.pool_messages import DemandReport, Signal
from proxy.limits.rate_limit_pool import RateLimitPool
from proxy.limits.token_bucket import Rate
from tests.unit.limits.making import (
    HOUR,
    LIMITED,
    NOW,
    Event,
    demand,
    demands,
    event_lists,
    play,
    pressed,
    rates,
    storm,
)


@settings(max_examples=50, deadline=None)
@given(events=event_lists, floor=st.integers(0, 500))
def test_the_shares_keep_to_the_capacity_and_above_the_floor(
    events: list[Event], floor: int
) -> None:
    pool = RateLimitPool(floor)
    now = play(pool, events)
    pool.signal(LIMITED, now + CUT_MS)
    now += CUT_MS
    configured = {
        d.user: d.rate for _, items in events for d in items if isinstance(d, DemandReport)
    }
    view = pool.show(now)
    if view.capacity is None:
        assert all(share.rate is None for share in view.users)
        return
    wanted, floors = 0.0, 0.0
    trimmed = [share.rate for share in view.users if share.rate]
    for share in view.users:
        rate = configured[share.user]
        ask = min(share.demand, rate.per_hour)
        wanted += min(ask, share.rate.per_hour) if share.rate else ask
        floors += min(ask, floor)
        if share.rate:
            assert min(floor, rate.per_hour) <= share.rate.per_hour < rate.per_hour
            assert 1 <= share.rate.burst <= max(1, rate.burst)
            assert share.rate.burst == max(1, rate.burst * share.rate.per_hour // rate.per_hour)
        elif trimmed:  # it asks for no more than the level
            assert ask <= trimmed[0].per_hour + 1
    assert len({rate.per_hour for rate in trimmed}) <= 1
    assert wanted <= max(view.capacity, floors) + len(view.users)  # demands are shown rounded


@settings(deadline=None)
@given(st.integers(0, 10**6), st.lists(st.floats(0, 10**6), max_size=50))
def test_the_level_is_the_fair_one(capacity: int, wanted: list[float]) -> None:
    level = find_fair_level(capacity, wanted)
    if level is None:
        assert sum(wanted) <= capacity + 1e-3
        return
    assert sum(min(level, each) for each in wanted) <= capacity + 1e-3
    assert sum(min(level + 1, each) for each in wanted) >= capacity - 1e-3 or level + 1 > max(
        wanted
    )
    assert max(wanted) > level


@settings(max_examples=40, deadline=None)
@given(demands, st.randoms(use_true_random=False))
def test_the_order_of_reports_does_not_matter(reports: list[DemandReport], chance: Random) -> None:
    reports = list({each.user: each for each in reports}.values())
    shuffled = chance.sample(reports, len(reports))
    views = []
    for order in (reports, shuffled):
        pool = RateLimitPool(60)
        for each in order:
            pool.report(each, NOW)
        pool.signal(LIMITED, NOW)
        views.append(pool.show(NOW))
    assert views[0] == views[1]


def test_the_squeeze_reaches_the_next_report() -> None:
    pool = pressed(1000, 1000, 1000, 1)
    now = storm(pool)
    allocation = pool.report(demand("0", 0), now)
    view = pool.show(now)
    assert allocation.next_report == PRESSED_REPORT_MS
    assert allocation.rate == rates(view)["0"] is not None
    assert pool.report(demand("3", 0), now).rate is None


def test_heavy_users_are_trimmed_to_the_level_and_their_burst_in_proportion() -> None:
    pool = RateLimitPool(60)
    for user, wanted in (("heavy", 300), ("heavier", 3000), ("quiet", 5)):
        pool.report(demand(user, wanted // 10, wanted), NOW)
    # It comes back at 1029 an hour; the less is left, the further below that it is to be kept.
    pool.signal(Signal(remaining=3, limit=100, reset=3600 / 343), NOW)
    view = pool.show(NOW)
    bearable = 1029 * 65 // 100
    level = (bearable - 5 * HOUR // DEMAND_MS) // 2
    assert view.capacity == bearable
    assert rates(view) == {
        "quiet": None,
        "heavy": Rate(50 * level // 1000, level),
        "heavier": Rate(50 * level // 1000, level),
    }


def test_what_is_asked_for_within_the_floors_is_kept() -> None:
    pool = pressed(1000, 1000, 1, floor=100)
    view = pool.show(storm(pool, 20))
    assert view.capacity == 206  # 100, 100 and 6 that the quiet one asks for
    assert rates(view) == {"0": Rate(5, 100), "1": Rate(5, 100), "2": None}


def test_reports_that_come_twice_do_not_break_it() -> None:
    pool = RateLimitPool(60)
    for user, tokens in (("a", 1000), ("b", 1000), ("quiet", 3)):
        for _ in range(2):
            pool.report(demand(user, tokens), NOW)
    pool.signal(LIMITED, NOW)
    view = pool.show(storm(pool))
    assert rates(view)["quiet"] is None
    assert sum(rate.per_hour for rate in rates(view).values() if rate) <= (view.capacity or 0)


def test_a_level_serves_for_a_second_at_most() -> None:
    pool = pressed(1000, 1000)
    now = storm(pool)
    before = pool.report(demand("0", 0), now).rate
    for user in range(20):
        pool.report(demand(f"new {user}", 1000), now)
    assert pool.report(demand("0", 0), now + LEVEL_MS - 1).rate == before
    after = pool.report(demand("0", 0), now + LEVEL_MS).rate
    assert before and after and after.per_hour < before.per_hour


def test_a_cut_reaches_reports_within_the_same_second() -> None:
    pool = pressed(1000, 1000)
    now = storm(pool, 7)
    pool.report(demand("0", 0), now)
    before = pool.report(demand("0", 0), now + CUT_MS - 1).rate
    pool.signal(LIMITED, now + CUT_MS)
    after = pool.report(demand("0", 0), now + CUT_MS).rate
    assert after and (before is None or after.per_hour < before.per_hour)


def test_many_users_report_less_often() -> None:
    pool = pressed(*[10] * 3000)
    assert pool.report(demand("0", 1), NOW).next_report == 3000
