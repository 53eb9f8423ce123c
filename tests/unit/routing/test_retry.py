"""Retries: what is tried again, when, and never more than the budget."""

from itertools import repeat
from typing import Any, get_args

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from proxy.core.errors import Fault, FaultDetails, FaultKind
from proxy.routing.retry import (
    CAP,
    Backoff,
    RetryBudget,
    RetryPolicy,
    may_retry,
    retry_delay,
)

fractions = st.floats(0, 1, exclude_max=True)
wishes = st.builds(
    RetryPolicy,
    st.integers(1, 5),
    st.integers(0, 5_000),
    st.sampled_from(["constant", "linear", "exponential", "full_jitter"]),
)


def busy(retry_after: float | None = None) -> Fault:
    return Fault(
        "rate_limited", "slow down", details=FaultDetails(status=429, retry_after=retry_after)
    )


@pytest.mark.parametrize("kind", get_args(FaultKind))
def test_what_is_retried(kind: FaultKind) -> None:
    expected = kind in ("rate_limited", "unavailable", "network")
    assert may_retry(Fault(kind, "x")) == expected
    assert (
        retry_delay(Fault(kind, "x"), 1, 60.0, RetryPolicy(), lambda: 0.0) is not None
    ) == expected


def test_a_408_is_retried_and_silence_is_not() -> None:
    assert may_retry(Fault("timeout", "x", details=FaultDetails(status=408)))
    assert not may_retry(Fault("timeout", "x"))
    assert not may_retry(Fault("timeout", "x", details=FaultDetails(status=504)))


def test_a_quota_that_is_used_up_is_not_retried() -> None:
    assert not may_retry(
        Fault("rate_limited", "x", details=FaultDetails(status=429, code="insufficient_quota"))
    )
    assert not may_retry(
        Fault("rate_limited", "x", details=FaultDetails(status=429, quota="exhausted"))
    )


@given(wishes, st.integers(1, 5), st.none() | st.floats(0, 30), st.floats(-1, 60), fractions)
def test_a_delay_is_within_its_bounds(
    wanted: RetryPolicy, tries: int, retry_after: float | None, left: float, fraction: float
) -> None:
    wait = retry_delay(busy(retry_after), tries, left, wanted, lambda: fraction)
    named = retry_after or 0.0
    growth = {"constant": 1, "linear": tries}.get(wanted.backoff, 2 ** (tries - 1))
    longest = min(wanted.delay_ms / 1000 * growth, CAP)
    if wait is None:
        assert tries >= wanted.attempts or named + longest >= left
        return
    assert tries < wanted.attempts
    assert named <= wait < left
    assert wait <= named + longest
    if wanted.backoff != "full_jitter":
        assert wait == named + longest


def test_full_jitter_goes_from_nothing_to_twice_as_much_each_time() -> None:
    wanted = RetryPolicy(attempts=20)
    for fraction in (0.0, 0.25, 1.0):
        waits = [
            retry_delay(busy(), tries, 60.0, wanted, repeat(fraction).__next__)
            for tries in range(1, 9)
        ]
        whole = [0.25, 0.5, 1.0, 2.0, 4.0, 8.0, 8.0, 8.0]
        assert waits == [fraction * seconds for seconds in whole]


@pytest.mark.parametrize(
    ("backoff", "waits"),
    [
        ("constant", [1.0, 1.0, 1.0, 1.0, None]),
        ("linear", [1.0, 2.0, 3.0, 4.0, None]),
        ("exponential", [1.0, 2.0, 4.0, 8.0, None]),
    ],
)
def test_the_callers_backoffs_are_exact(backoff: Backoff, waits: list[float | None]) -> None:
    wanted = RetryPolicy(5, 1_000, backoff)
    assert [retry_delay(busy(), tries, 60.0, wanted, lambda: 0.3) for tries in range(1, 6)] == waits


@pytest.mark.parametrize(
    ("retry_after", "left", "wait"),
    [
        (2.0, 10.0, 2.125),
        (2.0, 2.125, None),
        (2.0, 2.126, 2.125),
        (60.0, 30.0, None),
        (0.0, 1.0, 0.125),
        (-5.0, 1.0, 0.125),
        (float("inf"), 1e9, None),
    ],
)
def test_retry_after_is_kept_to_where_it_fits(
    retry_after: float, left: float, wait: float | None
) -> None:
    assert retry_delay(busy(retry_after), 1, left, RetryPolicy(), lambda: 0.5) == wait


def test_one_attempt_is_no_retry() -> None:
    assert retry_delay(busy(), 1, 60.0, RetryPolicy(attempts=1), lambda: 0.0) is None


def test_a_request_replaces_what_it_names() -> None:
    default = RetryPolicy(2, 100, "full_jitter")
    assert default.overridden(None, None, None) is default
    assert default.overridden(5, None, None) == RetryPolicy(5, 100, "full_jitter")
    assert default.overridden(None, 0, None) == RetryPolicy(2, 0, "full_jitter")
    assert default.overridden(None, None, "linear") == RetryPolicy(2, 100, "linear")


@given(st.lists(st.tuples(st.sampled_from("ab"), st.integers(0, 60), st.integers(0, 60))))
@example([("a", 1, 9), ("a", 1_000, 5_000)])
def test_retries_are_a_fifth_of_the_first_attempts_and_two(
    runs: list[tuple[str, int, int]],
) -> None:
    budget, firsts, taken = RetryBudget(), {"a": 0, "b": 0}, {"a": 0, "b": 0}
    for provider, requests, retries in runs:
        for _ in range(requests):
            budget.deposit(provider)
        firsts[provider] += requests
        got = sum(budget.withdraw(provider) for _ in range(retries))
        assert got <= 10
        taken[provider] += got
        for name in "ab":
            assert taken[name] <= 0.2 * firsts[name] + 2


def test_an_outage_gets_a_fifth_more_load_exactly() -> None:
    budget, taken = RetryBudget(), 0
    for _ in range(10_000):
        budget.deposit("p")
        taken += budget.withdraw("p")
    assert taken == 2_002


def test_what_a_quiet_day_has_saved_is_ten() -> None:
    budget = RetryBudget()
    for _ in range(100_000):
        budget.deposit("p")
    assert sum(budget.withdraw("p") for _ in range(100)) == 10


def test_providers_do_not_share() -> None:
    budget = RetryBudget()
    budget.deposit("a")
    assert not budget.withdraw("b")
    assert budget.withdraw("a")


def test_a_flood_of_names_takes_no_memory_and_gets_no_retries() -> None:
    budget: Any = RetryBudget()
    for i in range(budget.PROVIDERS + 5):
        budget.deposit(str(i))
    assert len(budget._tenths) == budget.PROVIDERS
    assert budget.withdraw("0")
    assert not budget.withdraw(str(budget.PROVIDERS))
