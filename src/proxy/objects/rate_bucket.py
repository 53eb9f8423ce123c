"""The Durable Object of one token bucket."""

import asyncio
from functools import partial
from typing import Any

from proxy.core.circuit import REST_SECONDS
from proxy.limits.lease_messages import (
    GIVE_BACK,
    RESET_BUCKET,
    SHOW_BUCKET,
    TAKE,
    BucketView,
    LeaseGrant,
    LeaseRequest,
    Returns,
)
from proxy.limits.lease_server import LeaseServer
from proxy.limits.pool_messages import REPORT
from proxy.objects.rpc import RpcObjects, serves
from proxy.objects.stateful import Stateful, read_limits
from proxy.platform.clock import now_ms
from proxy.platform.log import log

REPORT_MS = 1_000
"""How often a bucket reports at most, until its pool names another time."""
UNPOOLED = ("key", "alias")
"""What the names of buckets begin with that are at no provider."""


class RateBucket(Stateful):
    """The token bucket of one `provider:user`, of one key (limits.limiter.name_bucket) or of a
    target of an alias. See limits.lease_server."""

    def __init__(self, ctx: Any, env: Any) -> None:
        super().__init__(ctx, env)
        self._bucket = self._revived(partial(LeaseServer, now_ms()))
        self._provider, _, user = ctx.id.name.partition(":")
        self._user = user.replace("\n", " ")  # for eyes: a key with limits of its own follows
        self._timeout = read_limits(env).timeout_ms / 1000
        self._pools = RpcObjects({REPORT.binding: env._env.PROVIDER_POOL})
        self._next_report = 0
        self._reporting: asyncio.Task[None] | None = None

    @serves(TAKE)
    def take(self, request: LeaseRequest) -> LeaseGrant:
        """Grants a lease, and reports to the provider's pool beside it."""
        now = now_ms()
        grant = self._bucket.take(request, now)
        self._save(self._bucket.encode_state())
        if self._provider not in UNPOOLED and now >= self._next_report:
            self._next_report = now + REPORT_MS
            self._reporting = asyncio.ensure_future(self._report())
        return grant

    @serves(GIVE_BACK)
    def give_back(self, returns: Returns) -> None:
        """Takes back what was not spent."""
        self._bucket.give_back(returns, now_ms())
        self._save(self._bucket.encode_state())

    @serves(SHOW_BUCKET)
    def show(self, _: None) -> BucketView:
        """How the bucket stands."""
        return self._bucket.show(now_ms())

    @serves(RESET_BUCKET)
    def reset(self, _: None) -> None:
        """Fills it."""
        self._bucket.reset(now_ms())
        self._save(self._bucket.encode_state())

    async def on_alarm(self, info: Any = None) -> None:
        """Drops the state of a bucket that is full. A squeeze ends where nobody calls."""
        now = now_ms()
        if self._next_report < now - self._forget_after_ms:
            self._bucket.release(now)
        await self._forget_or_wait(self._bucket.is_idle(now))

    def _idle_at(self, now: int) -> int | None:
        return self._bucket.find_idle_at(now)

    async def _report(self) -> None:
        """Reports the demand to the provider's pool, and takes the shares that it gives."""
        reports = self._bucket.take_reports(self._user)
        try:
            async with asyncio.timeout(self._timeout):
                allocations = await self._pools.call(REPORT, self._provider, reports)
        except Exception as error:  # the shares stay as they are until the next report
            self._next_report = now_ms() + round(REST_SECONDS * 1000)
            log("error", "pool unreachable", error=repr(error)[:500])
            return
        now = now_ms()
        self._next_report = now + min(each.next_report for each in allocations)
        for report, each in zip(reports, allocations, strict=True):
            self._bucket.squeeze(each.rate, each.closed_until, now, report.scope)
        self._save(self._bucket.encode_state())
