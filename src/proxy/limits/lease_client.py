"""The lease client: the tokens that an isolate was granted, spent without a call to their object.

Promise: nothing is spent from a lease after its term, counted from the moment at which the isolate
sent its request, nor after the lease was given back; see limits.lease_server for what follows.
"""

from collections import OrderedDict
from collections.abc import Iterable
from heapq import heappop, heappush
from typing import NamedTuple

from msgspec import Struct

from proxy.limits.lease_messages import MARGIN, TERM, LeaseGrant, LeaseRequest, Returns
from proxy.limits.token_bucket import Rate

BUCKETS = 10_000
"""Buckets that an isolate knows at most; beyond, the least recently used is forgotten and its
leases lapse."""
FORGET = 60_000
"""Milliseconds after which a bucket that nobody used is forgotten. More than any lease lives."""
AHEAD = 1_000
"""Milliseconds before its end at which a lease is given back."""
REMEMBERED = TERM + MARGIN
"""Milliseconds for which a lease is known that was given back: no answer makes it last longer."""
PATIENCE = 2_000
"""Milliseconds for which a request for more than is needed keeps the next ones from wanting more
as well."""
FEW = 16
"""Tokens that are leased at once where so many were spent within the last TERM. A bucket that is
worth fewer is not busy."""
TURNS = 4
"""Leases of a busy bucket that would serve a TERM: what is left in the end is little of what is
spent."""


class LeaseKey(NamedTuple):
    """What a lease is for: a bucket and, where it is a provider's, a model. What is leased for one
    model is not spent on another."""

    bucket: str
    model: str = ""


class Level(Struct, frozen=True):
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


class _Holding:
    """What an isolate holds of one bucket. Moments are those of the client's steady clock."""

    def __init__(self, now: int) -> None:
        self.leases: dict[int, _Lease] = {}
        """Those with tokens left, in the order of their ends."""
        self.spent: dict[int, _Lease] = {}
        """Those without, which are still to be given back."""
        self.ended: OrderedDict[int, int] = OrderedDict()
        """Leases that were given back, in this order, and until when a doubled answer must not
        revive them."""
        self.used_at = now
        self.wanted_at: int | None = None
        """When more than the need was requested, where no answer has come yet."""
        self.answer: LeaseGrant | None = None
        self.answered_at = 0
        """By the isolate's own clock."""
        self._term_began = now
        self._spent = self._spent_before = 0
        """Tokens in this TERM and in the one before."""

    def left(self, now: int) -> int:
        """Tokens that may be spent."""
        left = 0
        for lease in self.leases.values():
            if now < lease.until:
                left += lease.left
        return left

    def spend(self, n: int, now: int) -> bool:
        """Spends `n` from the leases that end first, where they are there."""
        if self.left(now) < n:
            return False
        self._turn_term(now)
        self._spent += n
        for id, lease in tuple(self.leases.items()):
            if now < lease.until:
                spent = min(n, lease.left)
                lease.left -= spent
                n -= spent
                if not lease.left:
                    self.spent[id] = self.leases.pop(id)
        return True

    def add(self, id: int, lease: _Lease) -> None:
        """Takes in a lease."""
        self.leases[id] = lease
        self.leases = dict(sorted(self.leases.items(), key=lambda item: item[1].until))

    def knows(self, lease: int) -> bool:
        """Whether it came before."""
        return lease in self.leases or lease in self.spent or lease in self.ended

    def demand(self, now: int) -> int:
        """Tokens that are worth a lease: of those that were spent within the last TERM (this one's,
        and those of the one before as far as it reaches back to) FEW, or a part that is more."""
        self._turn_term(now)
        spent = self._spent + self._spent_before * (self._term_began + TERM - now) // TERM
        return max(min(spent, FEW), spent // TURNS)

    def end(self, leases: Iterable[int], now: int) -> Returns:
        """Ends leases: what of them is to be given back, if it may still arrive in time."""
        while self.ended and next(iter(self.ended.values())) <= now:
            self.ended.popitem(last=False)
        returns = []
        for id in leases:
            lease = self.leases.pop(id, None) or self.spent.pop(id)
            self.ended[id] = now + REMEMBERED
            if now < lease.until + MARGIN:
                returns.append((id, lease.left))
        return tuple(returns)

    def is_waiting(self, now: int) -> bool:
        """Whether a request for more than was needed is likely to be answered yet."""
        return self.wanted_at is not None and now - self.wanted_at < PATIENCE

    def _turn_term(self, now: int) -> None:
        passed = now - self._term_began
        if 0 <= passed < TERM:
            return
        self._spent_before = self._spent if 0 <= passed < 2 * TERM else 0
        self._spent = 0
        self._term_began = now if self._spent_before == 0 else self._term_began + TERM


class _Ending(NamedTuple):
    """When a lease is to be given back."""

    at: int
    key: LeaseKey
    lease: int


class LeaseClient:
    """All leases of one isolate. max_size: tokens that it requests at once at the most, unless one
    request of a caller needs more; with 1 it sends a request for each. Moments are whole
    milliseconds of the isolate's clock; where this steps back, leases end the sooner.

    What a call costs grows neither with the buckets nor with the leases that were given back.
    """

    def __init__(self, isolate: str, max_size: int) -> None:
        self._isolate = isolate
        self._max_size = max_size
        self._holdings: OrderedDict[LeaseKey, _Holding] = OrderedDict()
        self._endings: list[_Ending] = []
        """A heap: the leases in the order of their ends, and some that were given back before."""
        self._now = self._stepped_back = 0

    def spend(self, key: LeaseKey, n: int, now: int) -> bool:
        """Spends `n` tokens from what it holds; False, and none is spent, if they aren't there."""
        now = self._follow_clock(now)
        return self._find_holding(key, now).spend(n, now)

    def build_request(self, key: LeaseKey, rate: Rate, n: int, now: int) -> LeaseRequest:
        """What to send to the object, at once, when `n` could not be spent. All that is held of
        the bucket goes back with it, so it has to be sent or is lost."""
        now = self._follow_clock(now)
        holding = self._find_holding(key, now)
        want = n
        if not holding.is_waiting(now):
            want = max(n, min(holding.demand(now), self._max_size))
        if want > n:
            holding.wanted_at = now
        returns = holding.end(sorted((*holding.leases, *holding.spent)), now)
        return LeaseRequest(self._isolate, want, rate, n, returns, key.model)

    def build_request_ahead(self, key: LeaseKey, rate: Rate, now: int) -> LeaseRequest | None:
        """What to send to the object beside the callers' requests, at once, because little is left
        of a bucket in which there is plenty; None: nothing. What is left is held on to. So no
        request waits for a busy bucket, and of many at once not each calls for a token."""
        now = self._follow_clock(now)
        holding = self._find_holding(key, now)
        want = min(holding.demand(now), self._max_size)
        if want < FEW or holding.is_waiting(now) or 2 * holding.left(now) > want:
            return None
        if holding.answer is None or holding.answer.level < 2 * want:
            return None
        holding.wanted_at = now
        returns = holding.end(sorted(holding.spent), now)
        return LeaseRequest(self._isolate, want, rate, 1, returns, key.model)

    def accept(self, key: LeaseKey, grant: LeaseGrant, sent_at: int, now: int) -> None:
        """Takes in the answer to the request of `sent_at`. One that is late or doubled adds nothing
        that could be spent."""
        steady = self._follow_clock(now)
        holding = self._find_holding(key, steady)
        holding.answer, holding.answered_at = grant, now
        holding.wanted_at = None
        if grant.tokens and not holding.knows(grant.lease):
            until = steady - max(0, now - sent_at) + grant.term
            holding.add(grant.lease, _Lease(grant.tokens, until))
            self._forget_endings(steady)
            heappush(self._endings, _Ending(until - AHEAD, key, grant.lease))

    def read_level(self, key: LeaseKey, now: int) -> Level | None:
        """The bucket's level, as far as is known. None: no answer has come yet."""
        steady = self._follow_clock(now)
        holding = self._find_holding(key, steady)
        answer = holding.answer
        if answer is None:
            return None
        reset = answer.reset
        if reset is not None:
            reset = max(0, reset - (now - holding.answered_at))
        return Level(holding.left(steady) + answer.level, reset, answer.rate)

    def collect_returns(self, now: int) -> list[tuple[str, Returns]]:
        """What to give back, by bucket: leases that are about to end with tokens unused. To be
        called every second while there are leases. It has to be sent or is lost."""
        now = self._follow_clock(now)
        while self._holdings and now - next(iter(self._holdings.values())).used_at > FORGET:
            self._holdings.popitem(last=False)
        returns = []
        while self._endings and self._endings[0].at <= now:
            ending = heappop(self._endings)
            if unused := self._find_holder(ending):
                returns.append((ending.key.bucket, unused.end((ending.lease,), now)))
        return [(bucket, unused) for bucket, unused in returns if unused]

    def _find_holder(self, ending: _Ending) -> _Holding | None:
        """The holding that has the lease, with tokens left."""
        holding = self._holdings.get(ending.key)
        return holding if holding and ending.lease in holding.leases else None

    def _forget_endings(self, now: int) -> None:
        """Nothing of what was used up, or ended too long ago, is to be given back."""
        endings, too_late = self._endings, now - AHEAD - MARGIN
        while endings and (endings[0].at <= too_late or not self._find_holder(endings[0])):
            heappop(endings)

    def _find_holding(self, key: LeaseKey, now: int) -> _Holding:
        holding = self._holdings.get(key)
        if holding is None:
            holding = self._holdings[key] = _Holding(now)
            if len(self._holdings) > BUCKETS:
                self._holdings.popitem(last=False)
        holding.used_at = now
        self._holdings.move_to_end(key)
        return holding

    def _follow_clock(self, now: int) -> int:
        """The moment by a clock that never steps back: a lease must not live the longer for the
        isolate's clock, which may."""
        if now < self._now:
            self._stepped_back += self._now - now
        self._now = now
        return now + self._stepped_back
