"""What the breakers' tests have in common."""

from collections.abc import Callable
from typing import get_args

from hypothesis import strategies as st

from proxy.core.errors import Outcome
from proxy.routing.breaker import Breaker, Reason, Transition, Verdict
from proxy.routing.breakers import Breakers

UNAUTHORIZED = Outcome("unauthorized", "provider")
NETWORK = Outcome("network", "provider")
TIMEOUT = Outcome("timeout", "provider")
NOW = 1_700_000_000_000
MINUTE = 60_000
HOUR = 60 * MINUTE

verdicts: st.SearchStrategy[Verdict] = st.sampled_from(
    ["ok", "ok", "slow", "failed", "failed", "failed", "neutral", "misconfigured", "not_found"]
)
waits = st.one_of(st.integers(0, 3_000), st.integers(0, 30_000), st.integers(0, 2 * HOUR))


def transitions(around: int) -> st.SearchStrategy[Transition]:
    at = st.integers(around - 30_000, around + 5_000)
    opening = st.builds(
        lambda at, length, level, reason: Transition(at, at + length, level, reason),
        at,
        st.integers(1, 300_000),
        st.integers(1, 8),
        st.sampled_from(get_args(Reason)),
    )
    return opening | st.builds(Transition, at, level=st.integers(0, 8))


def a_breaker(random: Callable[[], float] = lambda: 0.0) -> Breaker:
    return Breaker(random)


def report_call(breaker: Breaker, verdict: Verdict, now: int) -> bool:
    return breaker.report(breaker.begin(now), verdict, now)


def opened(reason: Verdict = "misconfigured", now: int = NOW) -> Breaker:
    breaker = a_breaker()
    assert report_call(breaker, reason, now)
    return breaker


def admits(breaker: Breaker, now: int) -> bool:
    return breaker.openness(now) == 0


def lets_go(breakers: Breakers, provider: str, model: str, now: int) -> bool:
    return breakers.openness(provider, model, now) == 0
