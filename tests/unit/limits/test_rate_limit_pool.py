"""A provider's pool: its scopes, its state, and that nothing reported breaks it."""

import math

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from msgspec import json, msgpack

from proxy.limits.capacity import CUT_MS, IDLE_MS, LONGEST_CLOSED, REPORT_MS
from proxy.limits.fair_share import DEMAND_MS
from proxy.limits.pool_messages import Allocation, DemandReport, Signal
from proxy.limits.rate_limit_pool import SCOPES, USERS, RateLimitPool
from tests.unit.limits.making import (
    HOUR,
    LIMITED,
    NOW,
    USUAL,
    Event,
    demand,
    event_lists,
    play,
    pressed,
)


@settings(max_examples=40, deadline=None)
@given(events=event_lists)
@example(events=[(0, (Signal(limited=True, retry_after=math.inf, reset=math.nan),))])
@example(events=[(0, (Signal(remaining=0, limit=10, reset=5e-324),))])
@example(events=[(0, (Signal(remaining=10**30, limit=10**32, reset=1e-9),))])
@example(events=[(0, (demand("a", 10**40, -(10**40)),))])
def test_nothing_reported_breaks_it_and_a_restart_changes_nothing(
    events: list[Event],
) -> None:
    pool = RateLimitPool(60)
    now = play(pool, events)
    again = RateLimitPool(60, pool.encode_state())
    later = now + 12_345
    assert again.show(later) == pool.show(later)
    assert again.signal(LIMITED, later) == pool.signal(LIMITED, later) <= later + LONGEST_CLOSED
    assert again.show(later) == pool.show(later)
    json.encode(pool.show(later))
    assert pool.is_idle(later + 2 * LONGEST_CLOSED)


@settings(deadline=None)
@given(st.binary(max_size=60))
@example(b"\x81\xa1\xff\x01")
def test_a_corrupt_state_is_a_value_error_at_most(state: bytes) -> None:
    try:
        pool = RateLimitPool(60, state)
    except ValueError:
        return
    pool.show(NOW)


def stored(**fields: object) -> bytes:
    """The state of a pool whose only scope has these fields."""
    return msgpack.encode({"": {"floor": 60, **fields}})


@pytest.mark.parametrize(
    "state",
    [
        b"",
        b"?",
        msgpack.encode([]),
        pressed(10).encode_state()[:-1],
        msgpack.encode({"": 1}),
        stored(admitted=math.nan),
        stored(admitted=-1.0),
        stored(admitted=math.inf),
        stored(capacity=-1),
        stored(users={"a": 1}),
        stored(users={"a": [1.0, 1, {"burst": 0, "per_hour": 1}]}),
    ],
)
def test_what_is_no_state_is_refused(state: bytes) -> None:
    with pytest.raises(ValueError):
        RateLimitPool(60, state)


def test_idle_users_are_forgotten_and_no_more_than_so_many_kept() -> None:
    pool = RateLimitPool(60)
    pool.report(demand("a", 1), NOW)
    assert not pool.is_idle(NOW + IDLE_MS - 1)
    assert pool.is_idle(NOW + IDLE_MS)
    for user in range(USERS + 100):
        pool.report(demand(str(user), 2 + user % 3), NOW + IDLE_MS)
        if user % 100 == 0:
            pool.report(demand("heavy", 10), NOW + IDLE_MS)
    view = pool.show(NOW + IDLE_MS)
    assert USERS * 9 // 10 <= len(view.users) <= USERS
    assert view.users[0].user == "heavy"
    kept = {share.user for share in view.users}
    assert all(str(user) in kept for user in range(USERS) if user % 3 == 2)


@pytest.mark.parametrize("silly", [-1, -(10**30), 10**30])
def test_silly_counts_are_bounded(silly: int) -> None:
    pool = RateLimitPool(60)
    pool.report(demand("a", silly, silly), NOW)
    assert 0 <= pool.show(NOW).users[0].demand <= 2_000_000 * HOUR // DEMAND_MS
    assert RateLimitPool(60, pool.encode_state()).show(NOW) == pool.show(NOW)


def test_scopes_are_apart() -> None:
    pool = RateLimitPool(60)
    for scope in ("", "one", "other"):
        pool.report(DemandReport(user="a", scope=scope, taken=300, refused=0, rate=USUAL), NOW)
    pool.signal(Signal(scope="one", limited=True, retry_after=3000), NOW)
    pool.signal(Signal(scope="one", limited=True), NOW + CUT_MS)
    view = pool.show(NOW + CUT_MS)
    assert (view.capacity, view.closed_until) == (None, NOW + 3_000_000)
    [model] = view.scopes
    assert (model.scope, model.closed_until) == ("one", NOW + 3_000_000)
    assert model.capacity and [share.user for share in model.users] == ["a"]
    report = DemandReport(user="a", scope="other", taken=1, refused=0, rate=USUAL)
    assert pool.report(report, NOW + CUT_MS) == Allocation(
        rate=None, closed_until=0, next_report=REPORT_MS
    )
    again = RateLimitPool(60, pool.encode_state())
    assert again.show(NOW + CUT_MS) == view
    again.reset(NOW + CUT_MS)
    assert again.is_idle(NOW + CUT_MS)
    assert again.show(NOW + CUT_MS).scopes == ()


def test_no_more_scopes_and_users_are_kept_than_there_is_room_for() -> None:
    pool = RateLimitPool(60)
    for number in range(SCOPES + 20):
        taken = 5 if number == 7 else 1
        pool.report(DemandReport(user="a", taken=taken, refused=0, rate=USUAL), NOW)
        each = DemandReport(user="a", scope=f"{number}", taken=taken, refused=0, rate=USUAL)
        pool.report(each, NOW)
    pool.signal(Signal(scope="7", limited=True, retry_after=9), NOW)
    kept = msgpack.decode(pool.encode_state())
    assert SCOPES * 9 // 10 <= len(kept) <= SCOPES
    assert {"", "7"} <= kept.keys()
    for user in range(USERS):
        pool.report(DemandReport(user=f"{user}", scope="7", taken=1, refused=0, rate=USUAL), NOW)
    kept = msgpack.decode(pool.encode_state())
    assert sum(len(scope["users"]) for scope in kept.values()) <= USERS


def test_reset_forgets_all() -> None:
    pool = pressed(1000)
    pool.signal(Signal(limited=True, retry_after=10), NOW)
    pool.reset(NOW)
    assert pool.is_idle(NOW)
