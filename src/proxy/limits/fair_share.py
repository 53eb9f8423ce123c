"""Max-min fairness: users whose demand is within a level keep their configured rate, the others get
the level."""

import math
from collections.abc import Collection
from typing import Annotated

from msgspec import Meta, Struct

from proxy.limits.token_bucket import Rate

DEMAND_MS = 600_000
"""The time constant of a user's demand: a burst alone does not make a user heavy."""
HOUR_MS = 3_600_000

Weight = Annotated[float, Meta(ge=0, le=1e15)]


class User(Struct, array_like=True):
    """A user's demand at a moment (ms), and its configured rate."""

    wanted: Weight
    at: int
    rate: Rate

    def remembered(self, now: int) -> float:
        """Requests, as far as they aren't forgotten."""
        return self.wanted * math.exp(-max(0, now - self.at) / DEMAND_MS)

    def demand(self, now: int) -> float:
        """Requests an hour."""
        return self.remembered(now) * HOUR_MS / DEMAND_MS

    def usable_demand(self, now: int) -> float:
        """The same, as far as the configured rate allows."""
        return min(self.demand(now), self.rate.per_hour)

    def share(self, level: int | None, now: int) -> Rate | None:
        """The user's rate at a level; None: the configured one."""
        if level is None or self.usable_demand(now) <= level:
            return None
        return Rate(max(1, self.rate.burst * level // self.rate.per_hour), level)


def find_fair_level(capacity: int, demands: Collection[float]) -> int | None:
    """Where to cut demands off so that together they are at most the capacity, max-min fairly.
    None: nowhere, all can be met."""
    left, count = float(capacity), len(demands)
    for met, demand in enumerate(sorted(demands)):
        if demand * (count - met) > left:
            return int(left / (count - met))
        left -= demand
    return None
