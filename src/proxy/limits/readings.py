"""How often a user may have figures read: each reading calls all shards, or an object that all
requests need. It is counted in each isolate by itself: a call to count them would cost as much."""

from collections import OrderedDict

from proxy.core.errors import Cause, RateLimitExceeded
from proxy.core.ports import Clock
from proxy.core.principal import Principal
from proxy.limits.token_bucket import UNIT, Rate, TokenBucket

RATE = Rate(burst=60, per_hour=3600)
USERS = 1000
"""Users that are remembered; the one that was longest silent is forgotten first."""


class Readings:
    """Those of one isolate."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._buckets: OrderedDict[str, TokenBucket] = OrderedDict()

    def admit(self, caller: Principal) -> None:
        """Counts a reading, but for operators'. Raises RateLimitExceeded."""
        if caller.sees_all:
            return
        now = round(self._clock.now() * 1000)
        bucket = self._buckets.setdefault(caller.user, TokenBucket(RATE, now))
        self._buckets.move_to_end(caller.user)
        if len(self._buckets) > USERS:
            self._buckets.popitem(last=False)
        if wait := bucket.find_wait(1, now):
            raise RateLimitExceeded(
                f"Rate limit exceeded: figures are read {RATE.burst} times at once and"
                f" {RATE.per_hour} times an hour by a user.",
                retry_after=wait / 1000,
                cause=Cause(limit="figures"),
            )
        bucket.set_units(bucket.units - UNIT)
