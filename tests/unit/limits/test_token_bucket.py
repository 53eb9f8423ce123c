"""The token bucket: the bound in every window of the clock's time, and not a unit of drift."""

from copy import copy
from fractions import Fraction

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from proxy.limits.token_bucket import STEP, UNIT, Rate, TokenBucket
from tests.unit.limits.making import HOUR, NOW, take
from tests.unit.limits.simulation import excess

YEAR = 365 * 24 * HOUR

rates = st.builds(Rate, burst=st.integers(1, 20), per_hour=st.integers(0, 20_000))
gaps = st.one_of(st.integers(0, 500), st.integers(0, HOUR))


def emptied(rate: Rate) -> TokenBucket:
    bucket = TokenBucket(rate, NOW)
    assert take(bucket, rate.burst, NOW)
    return bucket


def windows_hold(taken: list[tuple[int, int]], rate: Rate) -> bool:
    """Every pair of admissions, looked at one by one."""
    return all(
        sum(n for when, n in taken if begin <= when <= end) * UNIT
        <= rate.burst * UNIT + rate.per_hour * (end - begin)
        for begin, _ in taken
        for end, _ in taken
        if begin <= end
    )


@given(rates, st.lists(st.tuples(gaps, st.integers(0, 6)), max_size=60))
def test_no_window_has_more_than_the_burst_and_the_rate(
    rate: Rate, asks: list[tuple[int, int]]
) -> None:
    bucket, now, taken = TokenBucket(rate, NOW), NOW, []
    for gap, n in asks:
        now += gap
        if take(bucket, n, now):
            taken.append((now, n))
    assert windows_hold(taken, rate)
    ones = [when for when, n in taken for _ in range(n)]
    assert excess(ones, rate) <= 0  # what the simulation relies on says the same


@given(rates, st.lists(st.tuples(st.integers(-STEP // 8, STEP // 8), st.integers(0, 6))))
def test_a_clock_that_steps_back_and_forth_gives_no_moment_twice(
    rate: Rate, asks: list[tuple[int, int]]
) -> None:
    bucket, now, total = TokenBucket(rate, NOW), NOW, 0
    moments = [NOW]
    for gap, n in asks:
        now = max(now + gap, max(moments) - STEP)
        moments.append(now)
        total += n if take(bucket, n, now) else 0
    window = max(moments) - NOW
    assert total * UNIT <= rate.burst * UNIT + rate.per_hour * window


def test_it_admits_all_that_it_may() -> None:
    bucket = TokenBucket(Rate(5, 3600), NOW)
    admitted = sum(take(bucket, 1, NOW + 100 * i) for i in range(36_001))
    assert admitted == 5 + 3600


@given(st.integers(1, 10**6), st.lists(st.integers(1, YEAR // 50), min_size=1, max_size=50))
def test_a_year_of_refills_drifts_by_nothing(per_hour: int, gaps: list[int]) -> None:
    bucket = emptied(Rate(10**11, per_hour))
    now = NOW
    for gap in gaps:
        now += gap
        bucket.refill(now)
    assert Fraction(bucket.units, UNIT) == Fraction((now - NOW) * per_hour, HOUR)


def test_refills_of_a_millisecond_add_up_exactly() -> None:
    bucket = emptied(Rate(1000, 7))
    assert [take(bucket, 1, NOW + ms) for ms in range(1, 514_287)].index(True) == 514_286 - 1
    bucket = emptied(Rate(1000, 7))
    for ms in range(0, HOUR + 1, 9):
        bucket.refill(NOW + ms)
    assert bucket.peek(NOW + HOUR) == 7


@given(rates, st.integers(0, 20), gaps, st.integers(0, 22))
def test_to_wait_that_long_admits_and_a_millisecond_less_does_not(
    rate: Rate, taken: int, gap: int, n: int
) -> None:
    bucket = TokenBucket(rate, NOW)
    take(bucket, min(taken, rate.burst), NOW)
    now = NOW + gap
    wait = bucket.find_wait(n, now)
    if wait is None:
        assert n > rate.burst or (not rate.per_hour and not take(bucket, n, now + YEAR))
        return
    assert wait == 0 or not take(copy(bucket), n, now + wait - 1)
    assert take(bucket, n, now + wait)


@given(rates, st.lists(st.tuples(gaps, st.integers(0, 22))))
def test_what_is_seen_can_be_taken_and_no_more(rate: Rate, asks: list[tuple[int, int]]) -> None:
    bucket, now = TokenBucket(rate, NOW), NOW
    for gap, n in asks:
        now += gap
        there = bucket.peek(now)
        assert take(bucket, n, now) == (n <= there)


def test_the_wait_counts_that_the_clock_has_to_catch_up() -> None:
    bucket = emptied(Rate(1, 3600))
    assert bucket.find_wait(1, NOW - 500) == 1500
    assert not take(bucket, 1, NOW + 999)
    assert take(bucket, 1, NOW + 1000)


def test_a_small_step_back_is_waited_for_and_a_large_one_is_not() -> None:
    bucket = emptied(Rate(10, 3600))
    assert bucket.peek(NOW - STEP) == bucket.peek(NOW) == 0
    assert bucket.peek(NOW + 1000) == 1
    assert bucket.peek(NOW - STEP) == 1  # further than STEP: taken at its word
    assert bucket.peek(NOW - STEP + 1000) == 2


def test_a_jump_ahead_fills_it_up_at_most() -> None:
    bucket = emptied(Rate(3, 3600))
    assert bucket.peek(NOW + 100 * YEAR) == 3


def test_unused_tokens_return_up_to_the_burst() -> None:
    bucket = TokenBucket(Rate(3, 0), NOW)
    bucket.lend(2, NOW)
    bucket.settle(2, 1, NOW)
    assert bucket.peek(NOW) == 2
    bucket.settle(0, 9, NOW)
    assert bucket.peek(NOW) == 3


def test_a_new_rate_begins_now() -> None:
    bucket = emptied(Rate(10, 3600))
    bucket.set_rate(Rate(10, 7200), NOW + 2000)
    assert bucket.peek(NOW + 3000) == 2 + 2


def test_a_smaller_burst_cuts_the_level_and_a_larger_one_adds_nothing() -> None:
    bucket = TokenBucket(Rate(10, 0), NOW)
    bucket.set_rate(Rate(4, 0), NOW)
    assert bucket.peek(NOW) == 4
    bucket.set_rate(Rate(10, 0), NOW)
    assert bucket.peek(NOW) == 4


def test_what_is_lent_keeps_its_room() -> None:
    bucket = TokenBucket(Rate(3, 3600), NOW)
    assert bucket.lend(2, NOW)
    assert not bucket.lend(2, NOW)
    assert bucket.peek(NOW + HOUR) == 1
    bucket.settle(0, 1, NOW + HOUR)
    assert bucket.peek(NOW + HOUR) == 1
    bucket.settle(2, 1, NOW + HOUR)
    assert bucket.peek(NOW + HOUR) == 2
    assert bucket.peek(NOW + HOUR + 1000) == 3


@given(rates, st.integers(0, 5), gaps)
def test_it_goes_on_from_what_was_stored(rate: Rate, lent: int, gap: int) -> None:
    bucket = TokenBucket(rate, NOW)
    bucket.lend(min(lent, rate.burst), NOW)
    again = msgspec.msgpack.decode(msgspec.msgpack.encode(bucket), type=TokenBucket)
    assert again.peek(NOW + gap) == bucket.peek(NOW + gap)
    assert again == bucket


def test_it_is_filled_no_further_than_there_is_room() -> None:
    bucket = TokenBucket(Rate(3, 0), NOW, held=1)
    for units, level in ((9 * UNIT, 2), (UNIT, 1), (-UNIT, 0)):
        bucket.set_units(units)
        assert bucket.peek(NOW) == level


def test_less_than_nothing_is_in_no_bucket() -> None:
    assert TokenBucket(Rate(2, 0), NOW, missing=9 * UNIT).peek(NOW) == 0


def test_the_stricter_of_two_rates() -> None:
    assert Rate(5, 10).lowest(Rate(3, 20)) == Rate(3, 10)
    assert Rate(5, 10).lowest(None) == Rate(5, 10)
