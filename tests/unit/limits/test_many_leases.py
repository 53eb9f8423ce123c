"""What a call of a bucket costs, and what it says, while many leases are out."""

from collections.abc import Callable

import pytest

from proxy.limits.lease_messages import MARGIN, SHORT_TERM, LeaseRequest
from proxy.limits.lease_server import LeaseServer
from proxy.limits.token_bucket import Rate
from tests.unit.limits.making import NOW
from tests.unit.work import count_steps

RATE = Rate(burst=20_000, per_hour=36_000)


def take(
    bucket: LeaseServer, isolate: str, now: int, need: int = 1, rate: Rate = RATE
) -> int | None:
    return bucket.take(LeaseRequest(isolate, need, rate, need), now).wait


def make_bucket(leases: int, rate: Rate = RATE) -> LeaseServer:
    bucket = LeaseServer(NOW)
    for number in range(leases):
        assert take(bucket, f"i{number}", NOW, rate=rate) == 0
    return bucket


CALLS: dict[str, Callable[[LeaseServer], object]] = {
    "a lease is granted": lambda bucket: take(bucket, "new", NOW),
    "a lease is returned": lambda bucket: bucket.give_back(((1, 0),), NOW),
    "it is shown": lambda bucket: bucket.show(NOW),
    "its idle moment is found": lambda bucket: bucket.find_idle_at(NOW),
}


@pytest.mark.parametrize("name", CALLS)
def test_a_call_takes_as_long_while_many_leases_are_out(name: str) -> None:
    few, many = (make_bucket(count) for count in (10, 5_000))
    bound = 1.1 * count_steps(lambda: CALLS[name](few))
    assert count_steps(lambda: CALLS[name](many)) <= bound


def test_a_refusal_takes_as_long_where_many_leases_keep_all_room() -> None:
    def count(leases: int) -> int:
        rate = Rate(burst=leases, per_hour=36_000)
        bucket = make_bucket(leases, rate)
        assert take(bucket, "new", NOW, rate=rate)
        return count_steps(lambda: take(bucket, "new", NOW, rate=rate))

    assert count(5_000) <= 1.1 * count(10)


def test_all_leases_lapse_at_their_moments() -> None:
    bucket = make_bucket(1_000)
    for number in range(1_000):
        take(bucket, f"i{number}", NOW + number)
    assert bucket.show(NOW + 1_000).leases == 2_000
    lapse = NOW + SHORT_TERM + MARGIN
    stored = bucket.encode_state()
    assert [bucket.show(lapse + ms).leases for ms in (-1, 0, 499, 999)] == [2_000, 999, 500, 0]
    assert bucket.show(lapse + 999).held == 0
    again = LeaseServer(NOW, stored)
    assert [again.show(lapse + ms).held for ms in (-1, 998, 999)] == [2_000, 2_000, 0]


def test_what_is_stored_does_not_grow_with_the_leases() -> None:
    assert len(make_bucket(5_000).encode_state()) <= len(make_bucket(100).encode_state())


def test_many_leases_that_were_stored_lapse_and_are_not_returned() -> None:
    bucket = make_bucket(1_000)
    lease = bucket.take(LeaseRequest("a", 8, RATE, 1), NOW).lease
    again = LeaseServer(NOW, bucket.encode_state())
    again.give_back(((lease, 8), (lease - 1, 1)), NOW)
    assert again.show(NOW).held == bucket.show(NOW).held
    level = again.show(NOW).level
    assert again.show(NOW + SHORT_TERM + MARGIN - 1).level == level
    assert again.show(NOW + SHORT_TERM + MARGIN).held < bucket.show(NOW).held


def test_when_it_will_be_full_is_right_to_a_second() -> None:
    bucket = make_bucket(100)
    for number in range(100):
        take(bucket, f"i{number}", NOW + 10 * number)
    for number in range(100):
        take(bucket, f"j{number}", NOW + 1_000 + 20 * number, 50)
    now = NOW + 3_000
    held = 200 + 100 * 50
    last = NOW + 1_000 + 20 * 99 + SHORT_TERM + MARGIN
    reset = bucket.show(now).reset
    assert reset is not None
    # What the first leases hold refills when they lapse, in their order.
    first = NOW + SHORT_TERM + MARGIN
    exact = max(first - now + 100 * held, last - now + 100 * 50)
    assert exact <= reset <= exact + 1_000
