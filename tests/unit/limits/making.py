"""Pools under pressure, and what is reported to them."""

from hypothesis import strategies as st

from proxy.core.errors import Fault, FaultDetails
from proxy.limits.capacity import CUT_MS
from proxy.limits.pool_messages import DemandReport, PoolView, Signal
from proxy.limits.rate_limit_pool import RateLimitPool
from proxy.limits.token_bucket import Rate, TokenBucket

NOW = 1_700_000_000_000
HOUR = 3_600_000
USUAL = Rate(burst=50, per_hour=1000)
LIMITED = Signal(limited=True)


def demand(user: str, taken: int, refused: int = 0, rate: Rate = USUAL) -> DemandReport:
    return DemandReport(user=user, taken=taken, refused=refused, rate=rate)


def pressed(*taken: int, floor: int = 60) -> RateLimitPool:
    """Users 0, 1, ... who took so much at once, and then a 429 that is not the first."""
    pool = RateLimitPool(floor)
    pool.signal(LIMITED, NOW - CUT_MS)
    for user, tokens in enumerate(taken):
        pool.report(demand(str(user), tokens), NOW)
    pool.signal(LIMITED, NOW)
    return pool


def storm(pool: RateLimitPool, cuts: int = 8) -> int:
    """So many cuts; when the last one was."""
    for step in range(1, cuts + 1):
        pool.signal(LIMITED, NOW + step * CUT_MS)
    return NOW + cuts * CUT_MS


def capacity(pool: RateLimitPool, now: int = NOW) -> int | None:
    return pool.show(now).capacity


def rates(view: PoolView) -> dict[str, Rate | None]:
    return {share.user: share.rate for share in view.users}


rate_values = st.builds(Rate, burst=st.integers(1, 1000), per_hour=st.integers(0, 100_000))

demands = st.lists(
    st.builds(
        DemandReport,
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

Event = tuple[int, tuple[DemandReport | Signal, ...]]
"""Milliseconds until it happens, and what is reported then."""

event_lists = st.lists(
    st.tuples(st.integers(-5000, 20_000), demands.map(tuple) | signals.map(lambda s: (s,))),
    max_size=12,
)


def play(pool: RateLimitPool, events: list[Event]) -> int:
    """Reports all of it; the moment at which that ends."""
    now = NOW
    for passed, items in events:
        now += passed
        for item in items:
            if isinstance(item, Signal):
                assert pool.signal(item, now) in range(NOW + 3 * HOUR)
            else:
                pool.report(item, now)
    return now


def openai(remaining: str, limit: str, reset: str) -> dict[str, str]:
    return {
        "x-ratelimit-remaining-requests": remaining,
        "x-ratelimit-limit-requests": limit,
        "x-ratelimit-reset-requests": reset,
    }


LIMIT_FAULT = Fault("rate_limited", "Slow down", details=FaultDetails(status=429))


def take(bucket: TokenBucket, n: int, now: int) -> bool:
    """Takes all of `n` for good, or none where they are not there."""
    is_lent = bucket.lend(n, now)
    if is_lent:
        bucket.settle(n, 0, now)
    return is_lent
