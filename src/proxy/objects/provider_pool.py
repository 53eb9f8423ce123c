"""The Durable Object of what one provider bears."""

from functools import partial
from typing import Any

from proxy.limits.pool_messages import (
    REPORT,
    RESET_POOL,
    SHOW_POOL,
    SIGNAL,
    Allocation,
    DemandReport,
    PoolView,
    Signal,
)
from proxy.limits.rate_limit_pool import RateLimitPool
from proxy.objects.rpc import serves
from proxy.objects.stateful import Stateful, read_limits
from proxy.platform.clock import now_ms

SAVE_MS = 10_000
"""How often the figures are written; what a provider said is written at once."""


class ProviderPool(Stateful):
    """The pool of the provider that the object is named after. See limits.rate_limit_pool."""

    def __init__(self, ctx: Any, env: Any) -> None:
        super().__init__(ctx, env)
        floor = read_limits(env).floor_per_hour
        self._pool = self._revived(partial(RateLimitPool, floor))
        self._saved = 0

    @serves(REPORT)
    def report(self, demands: tuple[DemandReport, ...]) -> tuple[Allocation, ...]:
        """Takes a bucket's demands, one for each scope; answers as many shares."""
        now = now_ms()
        allocations = tuple(self._pool.report(demand, now) for demand in demands)
        if abs(now - self._saved) >= SAVE_MS:  # an older state does little harm
            self._saved = now
            self._save(self._pool.encode_state())
        return allocations

    @serves(SIGNAL)
    def signal(self, signal: Signal) -> None:
        """Takes what the provider said of its own limits."""
        self._pool.signal(signal, now_ms())
        self._save(self._pool.encode_state())

    @serves(SHOW_POOL)
    def show(self, _: None) -> PoolView:
        """What the provider is thought to bear, and each user's share."""
        return self._pool.show(now_ms())

    @serves(RESET_POOL)
    def reset(self, _: None) -> None:
        """Forgets what it said."""
        self._pool.reset(now_ms())
        self._save(self._pool.encode_state())

    async def on_alarm(self, info: Any = None) -> None:
        """Drops the state of a provider that nobody calls."""
        await self._forget_or_wait(self._pool.is_idle(now_ms()))
