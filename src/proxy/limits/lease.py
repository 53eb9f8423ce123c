"""Leases, the object's side: a bucket that many isolates share without asking for each token.

An isolate takes a few tokens at once and spends them without a crossing. One object
has the bucket (LeasedBucket); each isolate keeps what it was granted (limits.lessee).

Promise: what all isolates spend in any window is at most the bucket's burst and what its rate adds
in that window, whatever crashes, restarts, or is lost, late, doubled or out of order. For a token
leaves the bucket when it is granted, and until its lease has ended it keeps its room there: the
level and what may still be spent elsewhere never exceed the burst together. A lease ends in the
object when the isolate says what it left unused, once, or when it lapses: MARGIN after the isolate
has stopped to spend from it, because the isolate counts the term from before it asked.

What it takes for granted: the object stores its state before a grant leaves it, and between a
grant and its lapse two clocks run or step apart by less than MARGIN. What it costs: tokens that
are on their way or forgotten do not refill, so a bucket whose burst comes in within SHORT_TERM and
MARGIN is not used to the full by many isolates.
"""

import math
from functools import reduce
from typing import NamedTuple

import msgspec
from msgspec import Struct

from proxy.limits.lease_messages import (
    LATELY,
    MARGIN,
    SHORT_TERM,
    TERM,
    Ask,
    Count,
    Demand,
    Grant,
    Limit,
    Returns,
    Squeeze,
    View,
)
from proxy.limits.scopes import PROVIDER, scopes_of
from proxy.limits.token_bucket import STEP, UNIT, Fill, Rate, TokenBucket

SCOPES = 100
"""How many scopes are told apart between two reports; what is asked for in others counts for the
whole provider alone."""


class _Lent(Struct, frozen=True, array_like=True):
    tokens: Count
    lapse: int
    model: str = ""


class _Stored(Struct, frozen=True, array_like=True):
    rate: Rate | None
    fill: Fill | None
    closed_until: int


class _State(Struct, frozen=True):
    next_lease: Count
    rate: Rate | None
    fill: Fill | None
    leases: dict[int, _Lent]
    squeezed: Rate | None
    closed_until: int
    scopes: dict[str, _Stored] = {}


_STATE = msgspec.msgpack.Decoder(_State)


class _Scope(NamedTuple):
    """How the bucket's user is limited in one scope."""

    name: str
    bucket: TokenBucket | None
    """None: no rate but that of the wider scopes."""
    closed_until: int


class _Refusal(NamedTuple):
    """Which limit refuses, and for how many milliseconds. None: for ever."""

    wait: int | None
    limit: Limit
    scope: str


_NONE = _Refusal(0, "configured", PROVIDER)


class LeasedBucket:
    """The object's side: one bucket, full when it is first asked.

    state: what `state()` gave; it has to be stored after every call that changes something.
    Raises ValueError where it is none. Moments are whole milliseconds of the object's clock.
    """

    def __init__(self, now: int, state: bytes | None = None) -> None:
        # Ids go on from the clock: a return of a bucket that was forgotten must not find its like.
        stored = (
            _read(state) if state is not None else _State((now << 10) | 1, None, None, {}, None, 0)
        )
        self._next_lease = stored.next_lease
        self._rate = stored.rate
        self._leases = stored.leases
        self._squeezed = stored.squeezed
        self._closed_until = stored.closed_until
        self._bucket: TokenBucket | None = None
        if stored.rate and stored.fill:
            rate = stored.rate.lowest(stored.squeezed)
            self._bucket = TokenBucket(rate, now, stored.fill, self._held(PROVIDER))
        self._scopes = {name: self._restored(name, s, now) for name, s in stored.scopes.items()}
        self._seen: dict[str, int] = {}
        self._demands: dict[str, Demand] = {}

    def ask(self, ask: Ask, now: int) -> Grant:
        """Grants `need` tokens up to `want`, or none. Takes the returns in first."""
        bucket = self._rated(ask.rate, now)
        self.give_back(ask.returns, now)
        self._seen.pop(ask.isolate, None)
        self._seen[ask.isolate] = bucket.at
        scopes = self._met(ask.model)
        buckets = [scope.bucket for scope in scopes if scope.bucket]
        level = min(each.peek(now) for each in buckets)
        tokens = self._portion(ask, level, max(scope.closed_until for scope in scopes), now)
        lease, term, refusal = 0, 0, _NONE
        if tokens:
            lease = self._next_lease
            term = SHORT_TERM if tokens <= ask.need else TERM
            for each in buckets:
                each.lend(tokens, now)
            self._leases[lease] = _Lent(tokens, bucket.at + term + MARGIN, ask.model)
            self._next_lease += 1
        else:
            refusal = self._refusal(scopes, ask.need, now)
        self._count(ask.model, tokens, 0 if tokens else ask.need)
        rate = reduce(Rate.lowest, (each.rate for each in buckets), ask.rate)
        return Grant(
            lease,
            tokens,
            term,
            refusal.wait,
            level - tokens,
            self._until(bucket, bucket.rate.burst, PROVIDER, now),
            rate=None if rate == ask.rate else rate,
            limit=refusal.limit,
            scope=refusal.scope,
        )

    def give_back(self, returns: Returns, now: int) -> None:
        """Ends leases. Those that it does not know have lapsed or were returned: ignored."""
        self._advance(now)
        for lease, unused in returns:
            if lent := self._leases.pop(lease, None):
                self._settle(lent, min(max(0, unused), lent.tokens), now)

    def squeeze(
        self, rate: Rate | None, closed_until: int, now: int, scope: str = PROVIDER
    ) -> None:
        """Holds the rate in a scope down to `rate` (None: no more) and grants nothing there before
        `closed_until` (0: open). Leases that are out may still be spent."""
        main = self._advance(now)
        if scope != PROVIDER:
            bucket = self._scopes[scope].bucket if scope in self._scopes else None
            if rate is None:
                bucket = None
            elif bucket:
                bucket.set_rate(rate, now)
            else:
                bucket = TokenBucket(rate, now, main.fill() if main else None, self._held(scope))
            self._scopes[scope] = _Scope(scope, bucket, closed_until)
            if bucket is None and closed_until <= now:
                del self._scopes[scope]
            return
        self._squeezed = rate
        self._closed_until = closed_until
        if self._rate:
            self._rated(self._rate, now)

    def reset(self, now: int) -> None:
        """Makes it full: an operator's word, over the promise. Leases are forgotten, so what they
        hold may be spent beside."""
        bucket = self._advance(now)
        self._leases = {}
        if bucket:
            self._bucket = TokenBucket(bucket.rate, bucket.at)
        for name, scope in self._scopes.items():
            if scope.bucket:
                self._scopes[name] = scope._replace(bucket=TokenBucket(scope.bucket.rate, now))

    def state(self) -> bytes:
        """What to store."""
        return msgspec.msgpack.encode(
            _State(
                self._next_lease,
                self._rate,
                self._bucket.fill() if self._bucket else None,
                self._leases,
                self._squeezed,
                self._closed_until,
                {
                    scope.name: _Stored(
                        scope.bucket.rate if scope.bucket else None,
                        scope.bucket.fill() if scope.bucket else None,
                        scope.closed_until,
                    )
                    for scope in self._scopes.values()
                },
            )
        )

    def idle(self, now: int) -> bool:
        """Whether it may be forgotten: a new one would grant the same."""
        return self.next_idle(now) == now

    def next_idle(self, now: int) -> int | None:
        """The earliest moment at which it will be idle if nobody asks. None: not as it stands,
        since it is squeezed or does not refill."""
        bucket = self._advance(now)
        scopes = self._scopes.values()
        if self._squeezed or any(scope.bucket for scope in scopes):
            return None
        full = self._until(bucket, bucket.rate.burst, PROVIDER, now) if bucket else 0
        closed = max((scope.closed_until for scope in scopes), default=0)
        return None if full is None else max(now + full, self._closed_until, closed)

    def scopes(self) -> tuple[str, ...]:
        """Those in which it was asked or is squeezed."""
        return tuple(dict.fromkeys((PROVIDER, *self._demands, *self._scopes)))

    def demand(self, scope: str = PROVIDER) -> Demand:
        """What was asked of it in a scope since this was last called; a restart forgets it."""
        return self._demands.pop(scope, Demand(0, 0))

    def show(self, now: int) -> View:
        """For an operator."""
        bucket = self._advance(now)
        return View(
            rate=bucket.rate if bucket else None,
            squeezed=self._squeezed,
            closed_until=self._closed_until,
            level=bucket.peek(now) if bucket else 0,
            held=bucket.held if bucket else 0,
            leases=len(self._leases),
            isolates=len(self._seen),
            reset=self._until(bucket, bucket.rate.burst, PROVIDER, now) if bucket else 0,
            scopes={
                scope.name: Squeeze(scope.bucket.rate if scope.bucket else None, scope.closed_until)
                for scope in self._scopes.values()
            },
        )

    def _restored(self, name: str, stored: _Stored, now: int) -> _Scope:
        bucket = None
        if stored.rate:
            bucket = TokenBucket(stored.rate, now, stored.fill, self._held(name))
        return _Scope(name, bucket, stored.closed_until)

    def _rated(self, asked: Rate, now: int) -> TokenBucket:
        """The bucket at the rate that is in effect when `asked` is what is allowed."""
        rate = asked.lowest(self._squeezed)
        bucket = self._advance(now)
        self._rate = asked
        if bucket is None:
            self._bucket = bucket = TokenBucket(rate, now)
        elif bucket.rate != rate:
            bucket.set_rate(rate, now)
        return bucket

    def _met(self, model: str) -> list[_Scope]:
        """The scopes that limit requests for a model."""
        narrower = (self._scopes.get(name) for name in scopes_of(model)[1:])
        whole = _Scope(PROVIDER, self._bucket, self._closed_until)
        return [whole, *(scope for scope in narrower if scope)]

    def _held(self, scope: str) -> int:
        """Tokens in leases of a scope."""
        leases = self._leases.values()
        return sum(lent.tokens for lent in leases if scope in scopes_of(lent.model))

    def _settle(self, lent: _Lent, unused: int, at: int) -> None:
        for scope in self._met(lent.model):
            if scope.bucket:
                scope.bucket.settle(lent.tokens, unused, at)

    def _count(self, model: str, taken: int, refused: int) -> None:
        for scope in scopes_of(model):
            if scope in self._demands or len(self._demands) < SCOPES:
                known = self._demands.get(scope, Demand(0, 0))
                self._demands[scope] = Demand(known.taken + taken, known.refused + refused)

    def _portion(self, ask: Ask, level: int, closed_until: int, now: int) -> int:
        """The fewer tokens the nearer the limit, so that none lie idle while others are refused."""
        if level < ask.need or now < closed_until:
            return 0
        share = level // (2 * len(self._seen))
        return max(ask.need, min(ask.want, share))

    def _advance(self, now: int) -> TokenBucket | None:
        """Lets the time pass; a lease lapses at its own moment: what refills before has less room.

        When the clock steps back so far that the bucket follows it, all moments follow too.
        """
        bucket = self._bucket
        if bucket is None:
            return None
        step = bucket.at - now
        if step > STEP:
            self._step_back(step)
        lapsed = [lease for lease, lent in self._leases.items() if lent.lapse <= now]
        for lease in sorted(lapsed, key=lambda lease: self._leases[lease].lapse):
            lent = self._leases.pop(lease)
            self._settle(lent, 0, lent.lapse)
        bucket.refill(now)
        self._seen = {who: at for who, at in self._seen.items() if at > bucket.at - LATELY}
        return bucket

    def _step_back(self, step: int) -> None:
        self._closed_until -= step
        self._scopes = {
            name: scope._replace(closed_until=scope.closed_until - step)
            for name, scope in self._scopes.items()
        }
        self._seen = {}
        self._leases = {
            lease: _Lent(lent.tokens, lent.lapse - step, lent.model)
            for lease, lent in self._leases.items()
        }

    def _refusal(self, scopes: list[_Scope], n: int, now: int) -> _Refusal:
        """Which of the scopes' limits refuses `n` tokens for longest."""
        refusals = []
        for name, bucket, closed_until in scopes:
            refusals.append(_Refusal(max(0, closed_until - now), "closed", name))
            if bucket:
                configured = name == PROVIDER and bucket.rate == self._rate
                limit: Limit = "configured" if configured else "share"
                refusals.append(_Refusal(self._until(bucket, n, name, now), limit, name))
        return max(refusals, key=lambda each: math.inf if each.wait is None else each.wait)

    def _until(self, bucket: TokenBucket, n: int, scope: str, now: int) -> int | None:
        """Milliseconds until `n` tokens are there. While a lease keeps the room that the last of
        them need, these can only begin to come when it has lapsed."""
        until = bucket.wait(n, now)
        if not until:
            return until
        held = bucket.held
        for lent in sorted(self._leases.values(), key=lambda lent: lent.lapse):
            short = min(n, n + held - bucket.rate.burst)
            if short <= 0:
                break
            if scope in scopes_of(lent.model):
                until = max(until, lent.lapse - now - (-short * UNIT // bucket.rate.per_hour))
                held -= lent.tokens
        return until


def _read(state: bytes) -> _State:
    stored = _STATE.decode(state)  # msgspec's errors are ValueErrors
    if (stored.rate is None) != (stored.fill is None):
        raise ValueError("half the state of a bucket")
    return stored
