"""How a provider's capacity is learnt: what a 429 and a header cost, and how it comes back."""

import math

import pytest

from proxy.limits.capacity import (
    CUT_MS,
    IDLE_MS,
    LATELY_MS,
    LONE_MS,
    LONGEST_CLOSED,
    REPORT_MS,
    RESTORE_MS,
)
from proxy.limits.pool_messages import Allocation, Signal
from proxy.limits.rate_limit_pool import RateLimitPool
from proxy.limits.token_bucket import Rate
from tests.unit.limits.making import HOUR, LIMITED, NOW, capacity, demand, pressed


def test_without_pressure_nobody_is_squeezed_and_reports_are_rare() -> None:
    allocation = RateLimitPool(60).report(demand("a", 10_000), NOW)
    assert allocation == Allocation(rate=None, closed_until=0, next_report=REPORT_MS)


def test_a_429_halves_at_once_what_was_admitted_lately() -> None:
    pool = RateLimitPool(60)
    assert pool.signal(LIMITED, NOW - CUT_MS) == 0
    for user in "abc":
        pool.report(demand(user, 50, refused=500), NOW)
    admitted = 150 * HOUR // LATELY_MS
    assert pool.signal(LIMITED, NOW) == 0
    assert capacity(pool) == admitted // 2
    pool.signal(LIMITED, NOW + CUT_MS)  # what was admitted has faded less than the cut
    assert capacity(pool) == admitted // 4


def test_a_storm_of_429s_counts_once() -> None:
    pool = pressed(300, 300)
    once = capacity(pool)
    for ms in range(0, CUT_MS, 10):
        pool.signal(LIMITED, NOW + ms)
    assert capacity(pool, NOW + CUT_MS - 1) == once
    pool.signal(LIMITED, NOW + CUT_MS)
    assert (capacity(pool, NOW + CUT_MS) or 0) < (once or 0)


def test_restoring_takes_as_long_as_documented() -> None:
    pool = pressed(1000, 1000)
    before = 2000 * HOUR // LATELY_MS
    for step in range(21):
        begins = NOW + step * RESTORE_MS
        assert capacity(pool, begins) == before // 2 + step * before // 20
        assert capacity(pool, begins + RESTORE_MS - 1) == before // 2 + step * before // 20
    assert capacity(pool, NOW + 210_000) is None
    assert pool.report(demand("0", 5000), NOW + 210_000).rate is None


def test_restoring_from_nothing_takes_310_s_and_a_429_begins_it_anew() -> None:
    pool = pressed(1000, floor=0)
    now = NOW
    while capacity(pool, now):
        now += CUT_MS
        pool.signal(LIMITED, now)
    assert capacity(pool, now + RESTORE_MS - 1) == 0
    pool.signal(LIMITED, now + RESTORE_MS - 1)
    now += RESTORE_MS - 1
    assert capacity(pool, now + RESTORE_MS - 1) == 0
    assert capacity(pool, now + 309_999) is not None
    assert capacity(pool, now + 310_000) is None


def test_it_restores_the_same_however_often_it_is_looked_at() -> None:
    seldom, often = pressed(floor=33), pressed(floor=33)
    seen = [capacity(often, NOW + step * RESTORE_MS) for step in range(16)]
    assert capacity(seldom, NOW + 15 * RESTORE_MS) == seen[-1] == 30  # 15 twentieths of 40


@pytest.mark.parametrize(
    ("seconds", "closed"),
    [(30, 30_000), (0.25, 250), (1e9, LONGEST_CLOSED), (math.inf, LONGEST_CLOSED)],
)
def test_retry_after_closes(seconds: float, closed: int) -> None:
    pool = RateLimitPool(60)
    assert pool.signal(Signal(limited=True, retry_after=seconds), NOW) == NOW + closed
    assert pool.report(demand("a", 1), NOW + closed - 1).closed_until == NOW + closed
    assert pool.report(demand("a", 1), NOW + closed).closed_until == 0


@pytest.mark.parametrize("seconds", [-1, math.nan, -math.inf, None])
def test_a_senseless_retry_after_does_not(seconds: float | None) -> None:
    assert RateLimitPool(60).signal(Signal(limited=True, retry_after=seconds), NOW) == 0


def test_a_shorter_wait_does_not_open_it_sooner() -> None:
    pool = RateLimitPool(60)
    pool.signal(Signal(limited=True, retry_after=60), NOW)
    assert pool.signal(Signal(limited=True, retry_after=1), NOW) == NOW + 60_000


def test_being_closed_is_no_proof_of_health_nor_of_idleness() -> None:
    pool = pressed(1000, 1000)
    cut = capacity(pool)
    pool.signal(Signal(limited=True, retry_after=300), NOW)
    assert capacity(pool, NOW + 300_000 + RESTORE_MS - 1) == cut
    pool = pressed(1000, 1000)
    pool.signal(Signal(limited=True, retry_after=300), NOW)
    pool.signal(LIMITED, NOW + 300_000)
    assert capacity(pool, NOW + 300_000) == (cut or 0) // 2


def test_headers_close_and_bound() -> None:
    pool = RateLimitPool(60)
    pool.report(demand("a", 100), NOW)
    assert pool.signal(Signal(remaining=9, limit=100, reset=30), NOW) == 0
    assert capacity(pool) == 9 * 120 * 95 // 100
    pool.signal(Signal(remaining=9, limit=100, reset=3), NOW)
    assert capacity(pool) == 9 * 120 * 95 // 100
    assert pool.signal(Signal(remaining=0, limit=100, reset=30), NOW) == NOW + 30_000
    for signal in (
        Signal(remaining=10, limit=100, reset=3000),
        Signal(remaining=1, limit=-100, reset=3000),
        Signal(remaining=-1, limit=100, reset=3000),
        Signal(remaining=1, limit=100, reset=-3000),
        Signal(remaining=1, limit=100),
    ):
        other = RateLimitPool(60)
        other.report(demand("a", 100), NOW)
        assert other.signal(signal, NOW) == 0
        assert capacity(other) is None


def test_a_bound_far_above_what_is_admitted_is_no_pressure() -> None:
    pool = RateLimitPool(60)
    pool.report(demand("a", 1), NOW)
    pool.signal(Signal(remaining=400, limit=5000, reset=4), NOW)
    assert capacity(pool) is None


def test_the_clock_may_step_back() -> None:
    pool = pressed(1000)
    pool.signal(Signal(limited=True, retry_after=10), NOW)
    cut = capacity(pool, NOW - HOUR)
    assert pool.show(NOW - HOUR).closed_until <= NOW - HOUR + LONGEST_CLOSED
    pool.signal(LIMITED, NOW - HOUR + CUT_MS)
    assert (capacity(pool, NOW - HOUR + CUT_MS) or 0) < (cut or 0)
    assert pool.show(NOW - HOUR + IDLE_MS).users == ()
    pool = pressed(1000)
    assert capacity(pool, NOW - HOUR) is not None
    assert capacity(pool, NOW - HOUR + 310_000) is None


def test_a_lone_429_changes_nothing_and_one_that_is_not_does_at_once() -> None:
    pool = RateLimitPool(60)
    for minute in range(10):
        now = NOW + minute * LONE_MS
        pool.report(demand("a", 30), now)
        for ms in range(0, CUT_MS, 500):  # many isolates met it
            pool.signal(LIMITED, now + ms)
        assert capacity(pool, now + CUT_MS - 1) is None
    pool.signal(LIMITED, now + CUT_MS)
    assert capacity(pool, now + CUT_MS) is not None


def test_a_cut_begins_with_what_users_are_configured_for() -> None:
    pool = RateLimitPool(60)
    for user in "abc":
        pool.report(demand(user, 1, rate=Rate(1000, 100_000)), NOW)
    pool.signal(LIMITED, NOW)
    pool.signal(LIMITED, NOW + CUT_MS)
    assert capacity(pool, NOW + CUT_MS) == 150_000
    pool.signal(LIMITED, NOW + 2 * CUT_MS)
    assert capacity(pool, NOW + 2 * CUT_MS) == 75_000


@pytest.mark.parametrize("reset", [1, 30])
def test_what_a_window_leaves_binds_until_it_is_renewed(reset: int) -> None:
    pool = RateLimitPool(60)
    pool.report(demand("a", 100), NOW)
    pool.signal(Signal(remaining=0, limit=100, reset=reset, window=True), NOW)
    assert pool.show(NOW).closed_until == NOW + reset * 1000
    assert capacity(pool, NOW + reset * 1000 - 1) is not None
    assert capacity(pool, NOW + reset * 1000) is None


@pytest.mark.parametrize("retry_after", [1, None])
def test_one_429_with_nothing_left_is_soon_over(retry_after: float | None) -> None:
    pool = RateLimitPool(60)
    rate = Rate(burst=1000, per_hour=100_000)
    pool.report(demand("a", 1, rate=rate), NOW)
    pool.signal(
        Signal(limited=True, retry_after=retry_after, remaining=0, limit=500, reset=0.1), NOW
    )
    assert pool.report(demand("a", 0, rate=rate), NOW + 1000).closed_until == 0
    assert pool.report(demand("a", 30, rate=rate), NOW + 1000).rate is None


def test_a_bucket_with_nothing_left_is_held_until_a_tenth_is_back() -> None:
    pool = RateLimitPool(60)
    pool.report(demand("a", 100), NOW)
    pool.signal(Signal(remaining=0, limit=100, reset=2), NOW)  # one in 2 s
    assert pool.report(demand("a", 0), NOW + 19_999).rate == Rate(3, 60)
    assert (capacity(pool, NOW + 20_000) or 0) >= 900
