"""Leases, the isolate's side: the tokens that it was granted, spent without asking anybody.

Promise: nothing is spent from a lease after its term, counted from the moment at which the isolate
asked, nor after the lease was given back; see limits.lease for what follows from that.
"""

from collections import OrderedDict

from msgspec import Struct

from proxy.limits.lease_messages import MARGIN, TERM, Ask, Grant, Returns
from proxy.limits.token_bucket import Rate

NAMES = 10_000
"""Buckets that an isolate knows at most; beyond, the least recently used is forgotten and its
leases lapse."""
FORGET = 60_000
"""Milliseconds after which a bucket that nobody used is forgotten. More than any lease lives."""
AHEAD = 1_000
"""Milliseconds before its end at which a lease is given back."""
PATIENCE = 2_000
"""Milliseconds for which an answer is waited for before more than a request's need is asked for
again."""


class Known(Struct, frozen=True):
    """What an isolate knows of a bucket, for headers; it may lag behind."""

    remaining: int
    """Tokens: its own and those that were left in the bucket."""
    reset: int | None
    """Milliseconds until it is full. None: never."""
    rate: Rate | None = None
    """The share that is in effect; None: the configured rate is."""


class _Lease(Struct):
    left: int
    until: int


class _Pool:
    """What an isolate holds of one bucket. Demand is what was spent within the last TERM, taken
    from this TERM and the one before."""

    def __init__(self, now: int) -> None:
        self.leases: dict[int, _Lease] = {}
        self.ended: dict[int, int] = {}
        """Leases that were given back, and until when a doubled answer would revive them."""
        self.used = now
        self.asked: int | None = None
        """When more than the need was asked for that has not been answered."""
        self.told: Grant | None = None
        self.told_at = now
        self._began = now
        self._spent = self._spent_before = 0

    def left(self, now: int) -> int:
        """Tokens that may be spent."""
        return sum(lease.left for lease in self.leases.values() if now < lease.until)

    def spend(self, n: int, now: int) -> None:
        """Spends `n`, which must be there, from the leases that end first."""
        self._turn(now)
        self._spent += n
        for lease in sorted(self.leases.values(), key=lambda lease: lease.until):
            if now < lease.until:
                spent = min(n, lease.left)
                lease.left -= spent
                n -= spent

    def demand(self, now: int) -> int:
        """Tokens a TERM."""
        self._turn(now)
        return self._spent + self._spent_before * (self._began + TERM - now) // TERM

    def ending(self, now: int) -> list[int]:
        """Leases that won't be used up."""
        leases = self.leases.items()
        return [lease for lease, held in leases if held.left and now >= held.until - AHEAD]

    def end(self, leases: list[int], now: int) -> Returns:
        """Ends leases: what of them there is to give back, if it may still arrive in time."""
        if not leases:
            return ()
        self.ended = {lease: until for lease, until in self.ended.items() if now < until}
        returns = []
        for lease in leases:
            held = self.leases.pop(lease)
            self.ended[lease] = held.until
            if now < held.until + MARGIN:
                returns.append((lease, held.left))
        return tuple(returns)

    def _turn(self, now: int) -> None:
        passed = now - self._began
        if 0 <= passed < TERM:
            return
        self._spent_before = self._spent if 0 <= passed < 2 * TERM else 0
        self._spent = 0
        self._began = now if self._spent_before == 0 else self._began + TERM


class Lessee:
    """All buckets of one isolate. `max_size`: tokens that it asks for at once at the most, unless
    one request needs more; with 1 it asks for each request. What is leased for one model is not
    spent on another. Moments are whole milliseconds of the isolate's clock; where this steps back,
    leases end the sooner.
    """

    def __init__(self, isolate: str, max_size: int) -> None:
        self._isolate = isolate
        self._max_size = max_size
        self._pools: OrderedDict[tuple[str, str], _Pool] = OrderedDict()
        self._last = 0

    def spend(self, name: str, n: int, now: int, model: str = "") -> bool:
        """Spends `n` tokens from what it holds; False, and none is spent, if they aren't there."""
        pool = self._pool(name, model, now)
        if pool.left(now) < n:
            return False
        pool.spend(n, now)
        return True

    def ask_for(self, name: str, rate: Rate, n: int, now: int, model: str = "") -> Ask:
        """What to ask the object for, at once, when `n` could not be spent. All that is held of
        the bucket goes back with it, so it has to be sent or is lost."""
        pool = self._pool(name, model, now)
        want = n
        if pool.asked is None or not 0 <= now - pool.asked < PATIENCE:
            want = max(n, min(pool.demand(now), self._max_size))
        if want > n:
            pool.asked = now
        return Ask(self._isolate, want, rate, n, pool.end(list(pool.leases), now), model)

    def granted(self, name: str, grant: Grant, sent_at: int, now: int, model: str = "") -> None:
        """Takes in the answer to what was asked at `sent_at`. One that is late or doubled adds
        nothing that could be spent."""
        pool = self._pool(name, model, now)
        pool.told, pool.told_at = grant, now
        pool.asked = None
        if grant.tokens and grant.lease not in pool.leases and grant.lease not in pool.ended:
            until = min(sent_at, now) + grant.term
            pool.leases[grant.lease] = _Lease(grant.tokens, until)

    def standing(self, name: str, now: int, model: str = "") -> Known | None:
        """How the bucket stands, as far as is known. None: the object has not told yet."""
        pool = self._pool(name, model, now)
        if pool.told is None:
            return None
        reset = pool.told.reset
        if reset is not None:
            reset = max(0, reset - (now - pool.told_at))
        return Known(pool.left(now) + pool.told.level, reset, pool.told.rate)

    def idle_returns(self, now: int) -> list[tuple[str, Returns]]:
        """What to give back, by bucket: leases that are about to end with tokens unused. To be
        called every second while there are leases. It has to be sent or is lost."""
        self._see(now)
        while self._pools and now - next(iter(self._pools.values())).used > FORGET:
            self._pools.popitem(last=False)
        pools = self._pools.items()
        returns = ((name, pool.end(pool.ending(now), now)) for (name, _), pool in pools)
        return [(name, unused) for name, unused in returns if unused]

    def _pool(self, name: str, model: str, now: int) -> _Pool:
        self._see(now)
        key = name, model
        pool = self._pools.get(key)
        if pool is None:
            pool = self._pools[key] = _Pool(now)
            if len(self._pools) > NAMES:
                self._pools.popitem(last=False)
        pool.used = now
        self._pools.move_to_end(key)
        return pool

    def _see(self, now: int) -> None:
        """A lease must not live the longer for a clock that steps back."""
        back = self._last - now
        if back > 0:
            for pool in self._pools.values():
                pool.used -= back
                for lease in pool.leases.values():
                    lease.until -= back
        self._last = now
