"""What one scope of a provider bears, shared among its users: one model, or all of them.

It learns from what the provider says (429s and headers) and from what the users' buckets report,
and gives each bucket its share.

Pressure is a capacity in requests an hour:

- A lone 429, without another within LONE_MS before it, changes nothing, however many isolates met
  it at once. Any other halves the capacity, no more often than every CUT_MS. The first halving
  begins with what the users are configured for together, or with what was admitted lately if that
  is more; where a large part of it was refused, no halving begins with more than that.
- Every RESTORE_MS without a 429 bring back a twentieth of the rate before the last cut, and beyond
  1.5 times that rate the pressure is over: about 210 s after one cut, 310 s at the most.
- A header by which less than a tenth of a limit is left shows how fast the limit comes back. The
  capacity is that or, the less is left, down to half of it; with nothing left nobody gets more than
  the floor until a tenth is back. Of a limit that comes back all at once, what is left has to do
  until then and no longer.

Promises: the capacity is shared max-min fairly (limits.fair_share). Nobody falls below the floor.
The users' demand within their shares is at most the capacity, or their demand within their floors.
"""

import math
from typing import Annotated

from msgspec import Meta, Struct

from proxy.limits.fair_share import HOUR_MS, User, Weight, find_fair_level
from proxy.limits.pool_messages import Allocation, DemandReport, Signal, UserShare

REPORT_MS, PRESSED_REPORT_MS = 5_000, 1_000
"""How soon a bucket in use is to report again, without and under pressure; then later where more
than a thousand users would make too many reports a second."""
LATELY_MS = 30_000
"""The time constant by which what was admitted is forgotten, not counting while it is closed."""
CUT_MS, RESTORE_MS = 5_000, 10_000
LONE_MS = 60_000
"""For how long a 429 makes the next one no lone one."""
FEW, MANY = 10, 4
"""How many requests, admitted lately, show what load the provider had, and one of how many
refused shows that the load was too much."""
LONGEST_CLOSED = 3_600_000
"""How long a provider can keep itself closed."""
LONGEST_HELD = 60.0
"""Seconds for which a limit with nothing left holds all users to the floor at the most."""
LEVEL_MS = 1_000
"""How old the level may be that reports are answered by, unless the capacity has changed."""
IDLE_MS = 600_000
"""After which a user without a report is forgotten."""

MOST = 1_000_000
"""Of anything that is counted in one report or header, and of a floor."""


class ScopeCapacity(Struct):
    """What one quota bears. Moments are whole milliseconds; where the clock steps back, nothing
    is forgotten or restored until it goes on. As it stands it may be stored; a state that is
    seconds old does little harm, since users report again.
    """

    floor: int
    """Requests an hour that each user keeps, if no less is configured for it."""
    users: dict[str, User] = {}
    at: int = 0
    admitted: Weight = 0.0  # tokens taken, each forgotten by LATELY_MS
    limited: Weight = 0.0  # 429s, likewise
    capacity: Annotated[int, Meta(ge=0)] | None = None
    before: Annotated[int, Meta(ge=0)] = 0  # the rate before the last cut, a multiple of 20
    restored_at: int = 0  # from when on the next RESTORE_MS count
    cut_at: int = -LONE_MS  # when a 429 last counted
    closed_until: int = 0
    held: Annotated[int, Meta(ge=0)] | None = None  # the most for a while, by the headers
    held_until: int = 0
    level: int | None = None  # the rate above which nobody may go, as of a moment ago
    level_until: int | None = None

    def report(self, demand: DemandReport, now: int) -> Allocation:
        """Counts a user's demand; what its bucket may have now."""
        self._advance(now)
        user = self._count_user(demand, now)
        closed, calm = self._closed(now), self._effective() is None
        pressed = max(PRESSED_REPORT_MS, len(self.users))
        return Allocation(
            rate=user.share(self._find_level(now), now),
            closed_until=closed,
            next_report=REPORT_MS if calm and not closed else pressed,
        )

    def signal(self, signal: Signal, now: int) -> int:
        """Records what the provider said; until when (ms) it is closed, 0 if it is open.
        What makes no sense is ignored or bounded."""
        self._advance(now)
        reset, wait = _bounded(signal.reset), _bounded(signal.wait)
        if wait is not None:
            until = now + min(math.ceil(wait * 1000), LONGEST_CLOSED)
            self.closed_until = max(self.closed_until, until)
        if signal.limited:
            self._record_429(now)
        elif reset is not None and is_low(signal.remaining, signal.limit):
            self._record_header(signal, reset, now)
        self.restored_at = max(self.restored_at, self.closed_until)
        return self._closed(now)

    def read_standing(self, now: int) -> tuple[int | None, int]:
        """The capacity in requests an hour (None: no pressure), and the moment until which it is
        closed (0: it is open)."""
        self._advance(now)
        return self._effective(), self._closed(now)

    def list_shares(self, now: int) -> tuple[UserShare, ...]:
        """The users, the greatest demand first."""
        self._advance(now)
        self.level_until = None
        level = self._find_level(now)
        shares = [
            UserShare(user=name, demand=round(user.demand(now)), rate=user.share(level, now))
            for name, user in self.users.items()
        ]
        return tuple(sorted(shares, key=lambda share: (-share.demand, share.user)))

    def is_idle(self, now: int) -> bool:
        """Whether there is nothing to remember."""
        self._advance(now)
        self._forget(now)
        return not self.users and self.read_standing(now) == (None, 0)

    def demand(self, now: int) -> float:
        """The demand of all users, in requests an hour."""
        return sum(user.demand(now) for user in self.users.values())

    def _advance(self, now: int) -> None:
        """Lets the time pass."""
        if now < self.at:
            self.cut_at = min(self.cut_at, now)
            self.restored_at = min(self.restored_at, now)
            for user in self.users.values():
                user.at = min(user.at, now)
        open_since = max(self.at, self.closed_until)
        if now > open_since:
            kept = math.exp((open_since - now) / LATELY_MS)
            self.admitted *= kept
            self.limited *= kept
        self.at = now
        self.closed_until = min(self.closed_until, now + LONGEST_CLOSED)
        self.held_until = min(self.held_until, now + LONGEST_CLOSED)
        if now >= self.held_until and self.held is not None:
            self.held = self.level_until = None
        steps = (now - self.restored_at) // RESTORE_MS
        if self.capacity is not None and steps > 0:
            self.restored_at += steps * RESTORE_MS
            self._set_capacity(self.capacity + steps * self.before // 20)

    def _count_user(self, demand: DemandReport, now: int) -> User:
        taken, refused = (min(max(0, n), MOST) for n in (demand.taken, demand.refused))
        users = self.users
        self.admitted = min(self.admitted + taken, 1e15)
        before = users.get(demand.user)
        wanted = min((before.remembered(now) if before else 0) + taken + refused, 1e15)
        user = users[demand.user] = User(wanted, now, demand.rate)
        return user

    def _record_429(self, now: int) -> None:
        """A 429 came. What has been admitted says what the provider bears only where it refused
        much of it: after quiet that is next to nothing."""
        since, self.restored_at = now - self.cut_at, now
        self.limited = min(self.limited + 1, 1e15)
        if since < CUT_MS:
            return
        self.cut_at = now
        lately, rate = self._admitted_per_hour(), self.capacity
        if rate is None:
            if since >= LONE_MS:
                return
            rate = max(lately, sum(user.rate.per_hour for user in self.users.values()))
        if self.admitted >= FEW and self.limited * MANY >= self.admitted:
            rate = min(rate, lately)
        self._cut(rate // 2, max(rate, lately), now)

    def _record_header(self, signal: Signal, reset: float, now: int) -> None:
        """Less than a tenth of a limit is left."""
        left, limit = min(signal.remaining or 0, MOST), signal.limit or 1
        rate = math.floor(max(left, 1) * 3600 / reset)
        if signal.window:
            self._hold(rate, reset, now)
            return
        before = self._admitted_per_hour() if self.capacity is None else self.before
        self._cut(math.floor(rate * (0.5 + 5 * left / limit)), before, now)
        if not left:
            self._hold(0, min(reset * limit / 10, LONGEST_HELD), now)

    def _hold(self, rate: int, seconds: float, now: int) -> None:
        """Nothing above a rate for some seconds."""
        self.held = rate if self.held is None else min(self.held, rate)
        self.held_until = max(self.held_until, now + math.ceil(seconds * 1000))
        self.level_until = None

    def _cut(self, bearable: int, before: int, now: int) -> None:
        """Puts the capacity down to what is bearable, if that is less, but not below the demand
        within the floors. before: the rate that will be restored."""
        floors = math.ceil(self._sum_floors(now))
        bearable = max(bearable, floors)
        if self.capacity is None:
            self.restored_at = now
        if self.capacity is None or bearable < self.capacity:
            self.before = -(-max(before, floors, self.floor, 1) // 20) * 20
            self._set_capacity(bearable)

    def _set_capacity(self, capacity: int) -> None:
        self.capacity = capacity if capacity <= self.before * 3 // 2 else None
        self.level_until = None

    def _effective(self) -> int | None:
        """Requests an hour. None: no pressure."""
        known = [n for n in (self.capacity, self.held) if n is not None]
        return min(known, default=None)

    def _sum_floors(self, now: int) -> float:
        """The demand within the floors, in requests an hour."""
        return sum(min(user.usable_demand(now), self.floor) for user in self.users.values())

    def _find_level(self, now: int) -> int | None:
        """The rate above which nobody may go; None: all may."""
        if self.level_until is None or not 0 < self.level_until - now <= LEVEL_MS:
            self._forget(now)
            self.level_until = now + LEVEL_MS
            self.level = None
            if (capacity := self._effective()) is not None:
                wanted = [user.usable_demand(now) for user in self.users.values()]
                level = find_fair_level(capacity, wanted)
                self.level = None if level is None else max(level, self.floor)
        return self.level

    def _forget(self, now: int) -> None:
        """Forgets idle users."""
        users = self.users
        for name in [name for name, user in users.items() if now - user.at >= IDLE_MS]:
            del users[name]

    def _admitted_per_hour(self) -> int:
        """Requests an hour."""
        return round(self.admitted * HOUR_MS / LATELY_MS)

    def _closed(self, now: int) -> int:
        return self.closed_until if self.closed_until > now else 0


def is_low(remaining: int | None, limit: int | None) -> bool:
    """Whether less than a tenth is left. Limits that aren't above 0 are no limits."""
    return remaining is not None and limit is not None and 0 <= remaining * 10 < limit


def _bounded(seconds: float | None) -> float | None:
    """At least a millisecond, at most 116 days; None where there is none or it is negative."""
    return None if seconds is None or not seconds >= 0 else min(max(seconds, 0.001), 1e7)
