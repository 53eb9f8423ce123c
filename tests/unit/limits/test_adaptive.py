"""limits.adaptive: a provider's capacity, how it is learnt and how it is shared."""

import math

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from msgspec import json, msgpack

from proxy.limits.adaptive import SCOPES, USERS, ProviderPool, View, signal_of
from proxy.limits.capacity import (
    CUT_MS,
    DEMAND_MS,
    IDLE_MS,
    LATELY_MS,
    LEVEL_MS,
    LONE_MS,
    LONGEST_CLOSED,
    PRESSED_REPORT_MS,
    REPORT_MS,
    RESTORE_MS,
    Allocation,
    Demand,
    Signal,
    fair_level,
)
from proxy.limits.token_bucket import Rate
from tests.unit.limits import day, spells

NOW = 1_700_000_000_000
HOUR = 3_600_000
USUAL = Rate(burst=50, per_hour=1000)
LIMITED = Signal(limited=True)


def demand(user: str, taken: int, refused: int = 0, rate: Rate = USUAL) -> Demand:
    return Demand(user=user, taken=taken, refused=refused, rate=rate)


def pressed(*taken: int, floor: int = 60) -> ProviderPool:
    """Users 0, 1, ... who took so much at once, and then a 429 that is not the first."""
    pool = ProviderPool(floor)
    pool.signal(LIMITED, NOW - CUT_MS)
    for user, tokens in enumerate(taken):
        pool.report(demand(str(user), tokens), NOW)
    pool.signal(LIMITED, NOW)
    return pool


def storm(pool: ProviderPool, cuts: int = 8) -> int:
    """So many cuts; when the last one was."""
    for step in range(1, cuts + 1):
        pool.signal(LIMITED, NOW + step * CUT_MS)
    return NOW + cuts * CUT_MS


def capacity(pool: ProviderPool, now: int = NOW) -> int | None:
    return pool.show(now).capacity


def rates(view: View) -> dict[str, Rate | None]:
    return {share.user: share.rate for share in view.users}


rate_values = st.builds(Rate, burst=st.integers(1, 1000), per_hour=st.integers(0, 100_000))
demands = st.lists(
    st.builds(
        Demand,
        user=st.sampled_from("abcdefgh"),
        taken=st.integers(0, 3000),
        refused=st.integers(0, 3000),
        rate=rate_values,
    ),
    max_size=30,
)
odd_seconds = st.none() | st.floats()
odd_counts = st.none() | st.integers()
signals = st.builds(
    Signal,
    limited=st.booleans(),
    retry_after=odd_seconds,
    remaining=odd_counts | st.integers(0, 10),
    limit=odd_counts | st.integers(0, 200),
    reset=odd_seconds | st.floats(0, 1000),
)
events = st.lists(
    st.tuples(st.integers(-5000, 20_000), demands.map(tuple) | signals.map(lambda s: (s,))),
    max_size=12,
)


def play(pool: ProviderPool, told: list[tuple[int, tuple[Demand | Signal, ...]]]) -> int:
    """Tells all of it; the moment at which that ends."""
    now = NOW
    for passed, items in told:
        now += passed
        for item in items:
            if isinstance(item, Signal):
                assert pool.signal(item, now) in range(NOW + 3 * HOUR)
            else:
                pool.report(item, now)
    return now


@settings(max_examples=50, deadline=None)
@given(told=events, floor=st.integers(0, 500))
def test_the_shares_keep_to_the_capacity_and_above_the_floor(
    told: list[tuple[int, tuple[Demand | Signal, ...]]], floor: int
) -> None:
    pool = ProviderPool(floor)
    now = play(pool, told)
    pool.signal(LIMITED, now + CUT_MS)
    now += CUT_MS
    configured = {d.user: d.rate for _, items in told for d in items if isinstance(d, Demand)}
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
    level = fair_level(capacity, wanted)
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
def test_the_order_of_reports_does_not_matter(told: list[Demand], chance) -> None:
    told = list({each.user: each for each in told}.values())
    shuffled = chance.sample(told, len(told))
    views = []
    for order in (told, shuffled):
        pool = ProviderPool(60)
        for each in order:
            pool.report(each, NOW)
        pool.signal(LIMITED, NOW)
        views.append(pool.show(NOW))
    assert views[0] == views[1]


@settings(max_examples=40, deadline=None)
@given(told=events)
@example(told=[(0, (Signal(limited=True, retry_after=math.inf, reset=math.nan),))])
@example(told=[(0, (Signal(remaining=0, limit=10, reset=5e-324),))])
@example(told=[(0, (Signal(remaining=10**30, limit=10**32, reset=1e-9),))])
@example(told=[(0, (demand("a", 10**40, -(10**40)),))])
def test_nothing_told_breaks_it_and_a_restart_changes_nothing(
    told: list[tuple[int, tuple[Demand | Signal, ...]]],
) -> None:
    pool = ProviderPool(60)
    now = play(pool, told)
    again = ProviderPool(60, pool.state())
    later = now + 12_345
    assert again.show(later) == pool.show(later)
    assert again.signal(LIMITED, later) == pool.signal(LIMITED, later) <= later + LONGEST_CLOSED
    assert again.show(later) == pool.show(later)
    json.encode(pool.show(later))
    assert pool.idle(later + 2 * LONGEST_CLOSED)


@settings(deadline=None)
@given(st.binary(max_size=60))
@example(b"\x81\xa1\xff\x01")
def test_a_corrupt_state_is_a_value_error_at_most(state: bytes) -> None:
    try:
        pool = ProviderPool(60, state)
    except ValueError:
        return
    pool.show(NOW)


@pytest.mark.parametrize(
    "state",
    [
        b"",
        b"?",
        msgpack.encode([]),
        ProviderPool(60).state()[:-1],
        msgpack.encode({"scopes": {"": 1}}),
        msgpack.encode({"scopes": {"": {"admitted": math.nan}}}),
        msgpack.encode({"scopes": {"": {"admitted": -1.0}}}),
        msgpack.encode({"scopes": {"": {"admitted": math.inf}}}),
        msgpack.encode({"scopes": {"": {"capacity": -1}}}),
        msgpack.encode({"scopes": {"": {"users": {"a": 1}}}}),
        msgpack.encode({"scopes": {"": {"users": {"a": [1.0, 1, {"burst": 0, "per_hour": 1}]}}}}),
    ],
)
def test_what_is_no_state_is_refused(state: bytes) -> None:
    with pytest.raises(ValueError):
        ProviderPool(60, state)


def test_without_pressure_nobody_is_squeezed_and_reports_are_rare() -> None:
    allocation = ProviderPool(60).report(demand("a", 10_000), NOW)
    assert allocation == Allocation(rate=None, closed_until=0, next_report=REPORT_MS)


def test_a_429_halves_at_once_what_was_admitted_lately() -> None:
    pool = ProviderPool(60)
    assert pool.signal(LIMITED, NOW - CUT_MS) == 0
    for user in "abc":
        pool.report(demand(user, 50, refused=500), NOW)
    admitted = 150 * HOUR // LATELY_MS
    assert pool.signal(LIMITED, NOW) == 0
    assert capacity(pool) == admitted // 2
    pool.signal(LIMITED, NOW + CUT_MS)  # what was admitted has faded less than the cut
    assert capacity(pool) == admitted // 4


def test_the_squeeze_reaches_the_next_report() -> None:
    pool = pressed(1000, 1000, 1000, 1)
    now = storm(pool)
    told = pool.report(demand("0", 0), now)
    view = pool.show(now)
    assert told.next_report == PRESSED_REPORT_MS
    assert told.rate == rates(view)["0"] is not None
    assert pool.report(demand("3", 0), now).rate is None


def test_heavy_users_are_trimmed_to_the_level_and_their_burst_in_proportion() -> None:
    pool = ProviderPool(60)
    for user, asked in (("heavy", 300), ("heavier", 3000), ("quiet", 5)):
        pool.report(demand(user, asked // 10, asked), NOW)
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
    pool = ProviderPool(60)
    assert pool.signal(Signal(limited=True, retry_after=seconds), NOW) == NOW + closed
    assert pool.report(demand("a", 1), NOW + closed - 1).closed_until == NOW + closed
    assert pool.report(demand("a", 1), NOW + closed).closed_until == 0


@pytest.mark.parametrize("seconds", [-1, math.nan, -math.inf, None])
def test_a_senseless_retry_after_does_not(seconds: float | None) -> None:
    assert ProviderPool(60).signal(Signal(limited=True, retry_after=seconds), NOW) == 0


def test_a_shorter_wait_does_not_open_it_sooner() -> None:
    pool = ProviderPool(60)
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
    pool = ProviderPool(60)
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
        other = ProviderPool(60)
        other.report(demand("a", 100), NOW)
        assert other.signal(signal, NOW) == 0
        assert capacity(other) is None


def test_a_bound_far_above_what_is_admitted_is_no_pressure() -> None:
    pool = ProviderPool(60)
    pool.report(demand("a", 1), NOW)
    pool.signal(Signal(remaining=400, limit=5000, reset=4), NOW)
    assert capacity(pool) is None


def test_what_is_asked_for_within_the_floors_is_kept() -> None:
    pool = pressed(1000, 1000, 1, floor=100)
    view = pool.show(storm(pool, 20))
    assert view.capacity == 206  # 100, 100 and 6 that the quiet one asks for
    assert rates(view) == {"0": Rate(5, 100), "1": Rate(5, 100), "2": None}


def test_reports_that_come_twice_do_not_break_it() -> None:
    pool = ProviderPool(60)
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


def test_idle_users_are_forgotten_and_no_more_than_so_many_kept() -> None:
    pool = ProviderPool(60)
    pool.report(demand("a", 1), NOW)
    assert not pool.idle(NOW + IDLE_MS - 1)
    assert pool.idle(NOW + IDLE_MS)
    for user in range(USERS + 100):
        pool.report(demand(str(user), 2 + user % 3), NOW + IDLE_MS)
        if user % 100 == 0:
            pool.report(demand("heavy", 10), NOW + IDLE_MS)
    view = pool.show(NOW + IDLE_MS)
    assert USERS * 9 // 10 <= len(view.users) <= USERS
    assert view.users[0].user == "heavy"
    kept = {share.user for share in view.users}
    assert all(str(user) in kept for user in range(USERS) if user % 3 == 2)


def test_a_cut_reaches_reports_within_the_same_second() -> None:
    pool = pressed(1000, 1000)
    now = storm(pool, 7)
    pool.report(demand("0", 0), now)
    before = pool.report(demand("0", 0), now + CUT_MS - 1).rate
    pool.signal(LIMITED, now + CUT_MS)
    after = pool.report(demand("0", 0), now + CUT_MS).rate
    assert after and (before is None or after.per_hour < before.per_hour)


@pytest.mark.parametrize("silly", [-1, -(10**30), 10**30])
def test_silly_counts_are_bounded(silly: int) -> None:
    pool = ProviderPool(60)
    pool.report(demand("a", silly, silly), NOW)
    assert 0 <= pool.show(NOW).users[0].demand <= 2_000_000 * HOUR // DEMAND_MS
    assert ProviderPool(60, pool.state()).show(NOW) == pool.show(NOW)


def test_many_users_report_less_often() -> None:
    pool = pressed(*[10] * 3000)
    assert pool.report(demand("0", 1), NOW).next_report == 3000


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
    pool = ProviderPool(60)
    for minute in range(10):
        now = NOW + minute * LONE_MS
        pool.report(demand("a", 30), now)
        for ms in range(0, CUT_MS, 500):  # many isolates met it
            pool.signal(LIMITED, now + ms)
        assert capacity(pool, now + CUT_MS - 1) is None
    pool.signal(LIMITED, now + CUT_MS)
    assert capacity(pool, now + CUT_MS) is not None


def test_a_cut_begins_with_what_users_are_configured_for() -> None:
    pool = ProviderPool(60)
    for user in "abc":
        pool.report(demand(user, 1, rate=Rate(1000, 100_000)), NOW)
    pool.signal(LIMITED, NOW)
    pool.signal(LIMITED, NOW + CUT_MS)
    assert capacity(pool, NOW + CUT_MS) == 150_000
    pool.signal(LIMITED, NOW + 2 * CUT_MS)
    assert capacity(pool, NOW + 2 * CUT_MS) == 75_000


@pytest.mark.parametrize("reset", [1, 30])
def test_what_a_window_leaves_binds_until_it_is_renewed(reset: int) -> None:
    pool = ProviderPool(60)
    pool.report(demand("a", 100), NOW)
    pool.signal(Signal(remaining=0, limit=100, reset=reset, window=True), NOW)
    assert pool.show(NOW).closed_until == NOW + reset * 1000
    assert capacity(pool, NOW + reset * 1000 - 1) is not None
    assert capacity(pool, NOW + reset * 1000) is None


@pytest.mark.parametrize("retry_after", [1, None])
def test_one_429_with_nothing_left_is_soon_over(retry_after: float | None) -> None:
    pool = ProviderPool(60)
    rate = Rate(burst=1000, per_hour=100_000)
    pool.report(demand("a", 1, rate=rate), NOW)
    pool.signal(
        Signal(limited=True, retry_after=retry_after, remaining=0, limit=500, reset=0.1), NOW
    )
    assert pool.report(demand("a", 0, rate=rate), NOW + 1000).closed_until == 0
    assert pool.report(demand("a", 30, rate=rate), NOW + 1000).rate is None


def test_a_bucket_with_nothing_left_is_held_until_a_tenth_is_back() -> None:
    pool = ProviderPool(60)
    pool.report(demand("a", 100), NOW)
    pool.signal(Signal(remaining=0, limit=100, reset=2), NOW)  # one in 2 s
    assert pool.report(demand("a", 0), NOW + 19_999).rate == Rate(3, 60)
    assert capacity(pool, NOW + 20_000) >= 900  # type: ignore[operator]


def test_scopes_are_apart() -> None:
    pool = ProviderPool(60)
    for scope in ("", "one", "other"):
        pool.report(Demand(user="a", scope=scope, taken=300, refused=0, rate=USUAL), NOW)
    pool.signal(Signal(scope="one", limited=True, retry_after=3000), NOW)
    pool.signal(Signal(scope="one", limited=True), NOW + CUT_MS)
    view = pool.show(NOW + CUT_MS)
    assert (view.capacity, view.closed_until) == (None, NOW + 3_000_000)
    [one] = view.scopes
    assert (one.scope, one.closed_until) == ("one", NOW + 3_000_000)
    assert one.capacity and [share.user for share in one.users] == ["a"]
    asked = Demand(user="a", scope="other", taken=1, refused=0, rate=USUAL)
    assert pool.report(asked, NOW + CUT_MS) == Allocation(
        rate=None, closed_until=0, next_report=REPORT_MS
    )
    again = ProviderPool(60, pool.state())
    assert again.show(NOW + CUT_MS) == view
    again.reset(NOW + CUT_MS)
    assert again.idle(NOW + CUT_MS)
    assert again.show(NOW + CUT_MS).scopes == ()


def test_no_more_scopes_and_users_are_kept_than_there_is_room_for() -> None:
    pool = ProviderPool(60)
    for number in range(SCOPES + 20):
        taken = 5 if number == 7 else 1
        pool.report(Demand(user="a", taken=taken, refused=0, rate=USUAL), NOW)
        each = Demand(user="a", scope=f"{number}", taken=taken, refused=0, rate=USUAL)
        pool.report(each, NOW)
    pool.signal(Signal(scope="7", limited=True, retry_after=9), NOW)
    kept = msgpack.decode(pool.state())["scopes"]
    assert SCOPES * 9 // 10 <= len(kept) <= SCOPES
    assert {"", "7"} <= kept.keys()
    for user in range(USERS):
        pool.report(Demand(user=f"{user}", scope="7", taken=1, refused=0, rate=USUAL), NOW)
    kept = msgpack.decode(pool.state())["scopes"]
    assert sum(len(scope["users"]) for scope in kept.values()) <= USERS


def test_reset_forgets_all() -> None:
    pool = pressed(1000)
    pool.signal(Signal(limited=True, retry_after=10), NOW)
    pool.reset(NOW)
    assert pool.idle(NOW)


def openai(remaining: str, limit: str, reset: str) -> dict[str, str]:
    return {
        "x-ratelimit-remaining-requests": remaining,
        "x-ratelimit-limit-requests": limit,
        "x-ratelimit-reset-requests": reset,
    }


def windowed(remaining: str, limit: str, reset: str) -> dict[str, str]:
    return {
        "x-ratelimit-remaining": remaining,
        "x-ratelimit-limit": limit,
        "x-ratelimit-reset": reset,
    }


ANTHROPIC = {
    "anthropic-ratelimit-requests-remaining": "10",
    "anthropic-ratelimit-requests-limit": "1000",
    "anthropic-ratelimit-requests-reset": "2023-11-14T22:14:19Z",  # 59 s after NOW
}
CEREBRAS = {
    "x-ratelimit-remaining-requests-day": "100",
    "x-ratelimit-limit-requests-day": "216000",
    "x-ratelimit-reset-requests-day": "23468.998601913452",
}


@pytest.mark.parametrize(
    ("headers", "remaining", "limit", "reset", "window"),
    [
        # comes back bit by bit: 49 of the 451 that are missing come back in so long
        (openai("49", "500", "54.12s"), 49, 500, 5.88, False),
        (openai("0", "5000", "1m0s"), 0, 5000, 0.012, False),
        (openai("0", "1", "21m36.001s"), 0, 1, 1296.001, False),
        (openai("0", "10", "120ms"), 0, 10, 0.012, False),
        (openai("1", "101", "1h1m40s"), 1, 101, 37.0, False),
        (ANTHROPIC, 10, 1000, 59 * 10 / 990, False),
        # all of it comes back then
        (openai("0", "10", "30"), 0, 10, 30, True),
        (windowed("0", "20", str(NOW + 45_000)), 0, 20, 45, True),
        (windowed("0", "20", str(NOW // 1000 + 45)), 0, 20, 45, True),
        (windowed("0", "20", "1600000000000"), 0, 20, 0, True),
        (CEREBRAS, 100, 216_000, 23468.998601913452, True),
    ],
)
def test_headers_that_tell(
    headers: dict[str, str], remaining: int, limit: int, reset: float, window: bool
) -> None:
    signal = signal_of(200, headers, NOW)
    assert signal == Signal(
        remaining=remaining,
        limit=limit,
        reset=pytest.approx(reset),  # type: ignore[arg-type]
        window=window,
    )
    limited = signal_of(429, headers | {"retry-after": "7"}, NOW)
    assert limited and limited.limited and limited.retry_after == 7
    assert limited.remaining == remaining


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"retry-after": "30"},  # Together sends it with 200s
        openai("4999", "5000", "12ms"),
        openai("500", "5000", "54s"),
        openai("-1", "-1", "0"),
        openai("0", "0", "0s"),
        openai("0", "10", ""),
        openai("0", "10", "soon"),
        openai("0", "10", "Tomorrow"),
        openai("", "10", "1s"),
        openai("nan", "inf", "1s"),
        openai("1e3", "9999999999999999999", "1s"),
        {"x-ratelimit-remaining-requests": "0"},
        {"x-ratelimit-remaining-tokens": "0", "x-ratelimit-limit-tokens": "1000"},
    ],
)
def test_headers_that_tell_nothing(headers: dict[str, str]) -> None:
    assert signal_of(200, headers, NOW) is None


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({}, None),
        ({"retry-after": "30"}, 30),
        ({"retry-after": " 0.5 "}, 0.5),
        ({"retry-after": "6m0s"}, 360),
        ({"retry-after": "30", "retry-after-ms": "1500"}, 1.5),
        ({"retry-after": "Tue, 14 Nov 2023 22:14:20 GMT"}, 60),
        ({"retry-after": "Tue, 14 Nov 2023 22:13:00 GMT"}, 0),
        ({"retry-after": "Tue, 99 Nov 2023 22:13:00 GMT"}, None),
        ({"retry-after": "-3"}, None),
        ({"retry-after": "nan"}, None),
    ],
)
def test_a_429_tells_how_long_to_wait(headers: dict[str, str], seconds: float | None) -> None:
    assert signal_of(429, headers, NOW) == Signal(limited=True, retry_after=seconds)


values = st.text(max_size=12) | st.from_regex(r"[0-9hmsTZ:.+\-GMT, ]{0,30}", fullmatch=True)


@settings(deadline=None)
@given(st.sampled_from([200, 429, 500]), values, values, values, values)
def test_reading_never_fails(status: int, left: str, limit: str, reset: str, after: str) -> None:
    for headers in (openai(left, limit, reset), openai("1", "100", reset)):
        signal = signal_of(status, headers | {"retry-after": after}, NOW)
        assert status != 429 or (signal and signal.limited)
        if signal:
            pool = ProviderPool(60)
            told = json.decode(json.encode(signal), type=Signal)
            assert told == signal
            assert pool.signal(told, NOW) <= NOW + LONGEST_CLOSED


def limited(groups: dict[str, day.Tally]) -> float:
    """429s for each request that was asked."""
    tallies = groups.values()
    return sum(tally.limited for tally in tallies) / sum(tally.asked for tally in tallies)


def test_a_day_that_the_provider_is_short_on() -> None:
    without = day.run(range(9, 10), adaptive=False)
    assert without["quiet"].got < 0.7 * without["quiet"].asked
    for telling, hours in ((False, 2), (True, 1)):
        groups = day.run(range(9, 9 + hours), adaptive=True, telling=telling)
        heavy, interactive, quiet = groups["heavy"], groups["interactive"], groups["quiet"]
        assert quiet.got >= (0.99 if telling else 0.98) * quiet.asked
        assert interactive.got >= 0.99 * interactive.asked
        assert heavy.got < 0.5 * heavy.asked
        assert limited(groups) < limited(without) / (500 if telling else 50)
        assert sum(tally.got for tally in groups.values()) >= 0.97 * hours * day.LITTLE.per_hour


@pytest.mark.parametrize("lone", [(1,), (5,), (15,), (100,), (1, 2, 3)])
@pytest.mark.parametrize("rate", [Rate(1000, 100_000), USUAL])
@pytest.mark.parametrize("users", [1, 3, 20])
def test_lone_429s_cost_a_healthy_provider_nothing(
    lone: tuple[int, ...], rate: Rate, users: int
) -> None:
    asked = spells.Spells(users=users, rate=rate)
    healthy = spells.run(asked, spells.Provider())
    told = spells.run(asked, spells.Provider(lone=lone, storm=3))
    sent = sum(burst.got + burst.limited for burst in told)
    assert sent >= 0.99 * sum(burst.got for burst in healthy)


@pytest.mark.parametrize(("users", "least"), [(1, 0.9), (3, 0.95), (20, 0.99)])
def test_429s_now_and_then_cost_a_healthy_provider_little(users: int, least: float) -> None:
    asked = spells.Spells(users=users)
    healthy = spells.run(asked, spells.Provider())
    told = spells.run(asked, spells.Provider(lone=(1, 20, 40, 60, 80, 100), storm=3))
    assert sum(burst.got for burst in told) >= least * sum(burst.got for burst in healthy)


@pytest.mark.parametrize("bears", [Rate(100, 6000), Rate(20, 600), Rate(1, 60)])
def test_429s_that_go_on_get_the_pool_down_to_what_the_provider_bears(bears: Rate) -> None:
    asked = spells.Spells(quiet=(5000, 20_000), count=60)
    told = spells.run(asked, spells.Provider(bears=bears))
    late = told[10:]
    refused, got = (sum(getattr(burst, what) for burst in late) for what in ("limited", "got"))
    assert refused < 0.05 * sum(burst.asked for burst in late)
    hours = (late[-1].ended - told[9].ended) / HOUR
    assert got >= 0.6 * bears.per_hour * hours
