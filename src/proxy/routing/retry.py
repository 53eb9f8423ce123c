"""Retries at the same provider: after which faults, how soon, and how many over all.

Promises: never earlier than the provider said, never later than there is time, and over all
requests at most 20 % more load than without, so that an outage is not multiplied.
"""

from collections.abc import Callable
from typing import Literal

from msgspec import Struct

from proxy.core.errors import Fault, FaultKind

RETRIED: frozenset[FaultKind] = frozenset({"rate_limited", "unavailable", "network"})
"""Faults that may be gone a moment later. `timeout` is not among them: a silent provider would
cost as long again; a 408, which is of that kind, comes quickly and is retried."""
CAP = 8.0
"""Seconds that the backoff grows to at most."""

Backoff = Literal["constant", "linear", "exponential", "full_jitter"]


class RetryPolicy(Struct, frozen=True):
    """How often and how soon the same provider is tried again: the deployment's or the caller's."""

    attempts: int = 3
    """The first one included, from 1 to 5."""
    delay_ms: int = 250
    """Before the second attempt, from 0 to 5,000."""
    backoff: Backoff = "full_jitter"
    """How the delay grows: not at all, by itself, or to twice as much each time. `full_jitter`
    draws it from 0 to what it would be by `exponential`."""

    def overridden(
        self, attempts: int | None, delay_ms: int | None, backoff: Backoff | None
    ) -> "RetryPolicy":
        """The same with what a request wants otherwise; None: it says nothing."""
        if attempts is None and delay_ms is None and backoff is None:
            return self
        return RetryPolicy(
            self.attempts if attempts is None else attempts,
            self.delay_ms if delay_ms is None else delay_ms,
            backoff or self.backoff,
        )


def may_retry(fault: Fault) -> bool:
    """Whether the same provider may be tried again after `fault`. A quota that is used up comes as
    a 429 but not back."""
    if fault.is_exhausted:
        return False
    return fault.kind in RETRIED or fault.status == 408


def retry_delay(
    fault: Fault, tries: int, left: float, policy: RetryPolicy, random: Callable[[], float]
) -> float | None:
    """Seconds to wait before the next attempt at the provider that gave `fault`; None: to the next
    provider, at once.

    tries: how many this provider has had, at least 1. left: seconds until the next must begin.
    random: gives numbers in [0, 1). The backoff counts from when the provider said to come back,
    where it did, so that not all come back at that very moment.
    """
    if tries >= policy.attempts or not may_retry(fault):
        return None
    wait = max(0.0, fault.retry_after or 0.0) + _backoff(tries, policy, random)
    return wait if wait < left else None


def _backoff(tries: int, policy: RetryPolicy, random: Callable[[], float]) -> float:
    growth = {"constant": 1, "linear": tries}.get(policy.backoff, 1 << (tries - 1))
    longest = min(policy.delay_ms / 1000 * growth, CAP)
    return longest * random() if policy.backoff == "full_jitter" else longest


class RetryBudget:
    """How many retries each provider may have: one for five first attempts, two to start with, and
    at most ten saved up, so that an outage can't spend what a quiet day has saved.

    Counts in tenths of a retry. Beyond PROVIDERS, a provider has none.
    """

    RETRY = 10
    DEPOSIT = 2
    START = 20
    MOST = 100
    PROVIDERS = 1_000

    def __init__(self) -> None:
        self._tenths: dict[str, int] = {}

    def deposit(self, provider: str) -> None:
        """A request goes to the provider for the first time."""
        if provider in self._tenths or len(self._tenths) < self.PROVIDERS:
            saved = self._tenths.get(provider, self.START)
            self._tenths[provider] = min(saved + self.DEPOSIT, self.MOST)

    def withdraw(self, provider: str) -> bool:
        """Takes a retry, if there is one. To be called last, when all else speaks for a retry."""
        saved = self._tenths.get(provider, 0)
        if saved < self.RETRY:
            return False
        self._tenths[provider] = saved - self.RETRY
        return True
