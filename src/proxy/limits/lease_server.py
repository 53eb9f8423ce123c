"""The lease server: a token bucket that many isolates share without a call for each token.

An isolate takes a few tokens at once and spends them without a crossing. One object has the bucket;
each isolate keeps what it was granted (limits.lease_client).

Promise: what all isolates spend in any window is at most the bucket's burst and what its rate adds
in that window, whatever crashes, restarts, or is lost, late, doubled or out of order. For a token
leaves the bucket when it is granted, and until its lease has ended it keeps its room there: the
level and what may still be spent elsewhere never exceed the burst together. A lease ends in the
object when the isolate says what it left unused, once, or when it lapses: MARGIN after the isolate
has stopped to spend from it, because the isolate counts the term from before it sent its request.

What it takes for granted: the object stores its state before a grant leaves it, and between a
grant and its lapse two clocks run or step apart by less than MARGIN. What it costs: tokens that
are on their way or forgotten do not refill, so a bucket whose burst comes in within SHORT_TERM and
MARGIN is not used to the full by many isolates.
"""

import math
from collections import OrderedDict
from collections.abc import Iterator
from functools import reduce
from typing import NamedTuple

import msgspec
from msgspec import Struct, structs

from proxy.core.scopes import PROVIDER, find_scopes
from proxy.limits.lapses import Lapses, Lent
from proxy.limits.lease_messages import (
    LATELY,
    MARGIN,
    SHORT_TERM,
    TERM,
    BucketView,
    Count,
    LeaseGrant,
    LeaseRequest,
    LimitKind,
    Returns,
    Squeeze,
)
from proxy.limits.pool_messages import DemandReport
from proxy.limits.token_bucket import STEP, UNIT, Rate, TokenBucket

SCOPES = 100
"""How many scopes are counted apart between two reports; the demand in others counts for the whole
provider alone."""


class _Scope(Struct, array_like=True):
    """How the bucket's user is limited in one scope."""

    bucket: TokenBucket | None = None
    """None: no rate but that of the wider scopes, or no request yet."""
    closed_until: int = 0


class _State(Struct):
    """All that a bucket remembers."""

    next_lease: Count
    scopes: dict[str, _Scope]
    """PROVIDER is always among them."""
    leases: dict[int, Lent] = {}
    rate: Rate | None = None
    """The configured one; None: no request has come yet."""
    squeezed: Rate | None = None


_STATE = msgspec.msgpack.Decoder(_State)


class _Refusal(NamedTuple):
    """Which limit refuses, and for how many milliseconds. None: for ever."""

    wait: int | None
    limit: LimitKind
    scope: str


class LeaseServer:
    """One bucket, full at first.

    state: what `encode_state()` gave; it has to be stored after every call that changes something.
    Raises ValueError where it is none. Moments are whole milliseconds of the object's clock.
    """

    def __init__(self, now: int, state: bytes | None = None) -> None:
        # Ids go on from the clock: a return of a bucket that was forgotten must not find its like.
        self._state = _State((now << 10) | 1, {PROVIDER: _Scope()})
        if state is not None:
            self._state = _STATE.decode(state)  # msgspec's errors are ValueErrors
            main = self._state.scopes.get(PROVIDER)
            if main is None or (main.bucket is None) != (self._state.rate is None):
                raise ValueError("half the state of a bucket")
        self._seen: OrderedDict[str, int] = OrderedDict()
        """When each isolate last sent a request, the longest ago first."""
        self._lapses = Lapses(self._state.leases)
        self._demands: dict[str, tuple[int, int]] = {}
        """Tokens that were granted, and that were needed and refused, by scope."""

    def take(self, request: LeaseRequest, now: int) -> LeaseGrant:
        """Grants `need` tokens up to `want`, or none. Takes the returns in first."""
        bucket = self._apply_rate(request.rate, now)
        self.give_back(request.returns, now)
        self._seen.pop(request.isolate, None)
        self._seen[request.isolate] = bucket.at
        scopes = dict(self._find_scopes(request.model))
        buckets = [scope.bucket for scope in scopes.values() if scope.bucket]
        level = min(each.peek(now) for each in buckets)
        is_closed = any(now < scope.closed_until for scope in scopes.values())
        tokens = 0 if is_closed else self._portion(request, level)
        lease, term = self._lend(request, tokens, buckets, now) if tokens else (0, 0)
        refusal = _Refusal(0, "configured", PROVIDER)
        if not tokens:
            refusals = self._find_refusals(scopes, request.need, now)
            refusal = max(refusals, key=lambda r: math.inf if r.wait is None else r.wait)
        self._count_demand(request.model, tokens, 0 if tokens else request.need)
        rate = reduce(Rate.lowest, (each.rate for each in buckets), request.rate)
        return LeaseGrant(
            lease,
            tokens,
            term,
            refusal.wait,
            level - tokens,
            self._full_in(now),
            rate=None if rate == request.rate else rate,
            limit=refusal.limit,
            scope=refusal.scope,
        )

    def give_back(self, returns: Returns, now: int) -> None:
        """Ends leases. Those that it does not know have lapsed or were returned: ignored."""
        self._advance(now)
        for lease, unused in returns:
            if lent := self._lapses.take(lease):
                self._settle(lent, min(max(0, unused), lent.tokens), now)

    def squeeze(
        self, rate: Rate | None, closed_until: int, now: int, scope: str = PROVIDER
    ) -> None:
        """Holds the rate in a scope down to `rate` (None: no more) and grants nothing there before
        `closed_until` (0: open). Leases that are out may still be spent."""
        main = self._advance(now)
        squeezed = self._state.scopes.setdefault(scope, _Scope())
        squeezed.closed_until = closed_until
        if scope == PROVIDER:
            self._state.squeezed = rate
            if self._state.rate:
                self._apply_rate(self._state.rate, now)
        elif rate is None:
            squeezed.bucket = None
            if closed_until <= now:
                del self._state.scopes[scope]
        elif squeezed.bucket:
            squeezed.bucket.set_rate(rate, now)
        else:
            leases = self._state.leases.values()
            lent = sum(lent.tokens for lent in leases if scope in find_scopes(lent.model))
            squeezed.bucket = bucket = TokenBucket(rate, main.at if main else now, held=lent)
            if main:
                bucket.set_units(main.units)

    def reset(self, now: int) -> None:
        """Makes it full: an operator's word, over the promise. Leases are forgotten, so what they
        hold may be spent beside."""
        self._advance(now)
        self._state.leases = {}
        self._lapses = Lapses(self._state.leases)
        for scope in self._state.scopes.values():
            if scope.bucket:
                scope.bucket = TokenBucket(scope.bucket.rate, scope.bucket.at)

    def encode_state(self) -> bytes:
        """What to store."""
        stored = structs.replace(self._state, leases=self._lapses.to_store())
        return msgspec.msgpack.encode(stored)

    def is_idle(self, now: int) -> bool:
        """Whether it may be forgotten: a new one would grant the same."""
        return self.find_idle_at(now) == now

    def find_idle_at(self, now: int) -> int | None:
        """The earliest moment at which it will be idle if no request comes. 0: when it is no longer
        squeezed. None: never, since it does not refill."""
        self._advance(now)
        if self._state.squeezed or any(scope.bucket for _, scope in self._model_scopes()):
            return 0
        full_in = self._full_in(now)
        closed_until = max(scope.closed_until for scope in self._state.scopes.values())
        return None if full_in is None else max(now + full_in, closed_until)

    def release(self, now: int) -> None:
        """Ends all squeezes."""
        for scope in tuple(self._state.scopes):
            self.squeeze(None, 0, now, scope)

    def take_reports(self, user: str) -> tuple[DemandReport, ...]:
        """The demand since this was last called, in PROVIDER and each scope in which there was
        demand or that is squeezed; a restart forgets it."""
        demands = dict.fromkeys((PROVIDER, *self._state.scopes), (0, 0)) | self._demands
        self._demands = {}
        return tuple(
            DemandReport(
                user=user, scope=scope, taken=taken, refused=refused, rate=self._state.rate
            )
            for scope, (taken, refused) in demands.items()
            if self._state.rate
        )

    def show(self, now: int) -> BucketView:
        """For an operator."""
        bucket = self._advance(now)
        return BucketView(
            rate=bucket.rate if bucket else None,
            squeezed=self._state.squeezed,
            closed_until=self._state.scopes[PROVIDER].closed_until,
            level=bucket.peek(now) if bucket else 0,
            held=bucket.held if bucket else 0,
            leases=len(self._state.leases),
            isolates=len(self._seen),
            reset=self._full_in(now),
            scopes={
                name: Squeeze(scope.bucket.rate if scope.bucket else None, scope.closed_until)
                for name, scope in self._model_scopes()
            },
        )

    def _model_scopes(self) -> list[tuple[str, _Scope]]:
        return [(name, scope) for name, scope in self._state.scopes.items() if name != PROVIDER]

    def _find_scopes(self, model: str) -> Iterator[tuple[str, _Scope]]:
        """The scopes that limit requests for a model, the widest first."""
        scopes = self._state.scopes
        return ((name, scopes[name]) for name in find_scopes(model) if name in scopes)

    def _apply_rate(self, configured: Rate, now: int) -> TokenBucket:
        """The bucket at the rate that is in effect when this is the configured one."""
        rate = configured.lowest(self._state.squeezed)
        bucket = self._advance(now)
        self._state.rate = configured
        if bucket is None:
            self._state.scopes[PROVIDER].bucket = bucket = TokenBucket(rate, now)
        elif bucket.rate != rate:
            bucket.set_rate(rate, now)
        return bucket

    def _settle(self, lent: Lent, unused: int, at: int) -> None:
        for _, scope in self._find_scopes(lent.model):
            if scope.bucket:
                scope.bucket.settle(lent.tokens, unused, at)

    def _count_demand(self, model: str, taken: int, refused: int) -> None:
        for scope in find_scopes(model):
            if scope in self._demands or len(self._demands) < SCOPES:
                before = self._demands.get(scope, (0, 0))
                self._demands[scope] = before[0] + taken, before[1] + refused

    def _portion(self, request: LeaseRequest, level: int) -> int:
        """The fewer tokens the nearer the limit, so that none lie idle while others are refused."""
        if level < request.need:
            return 0
        return max(request.need, min(request.want, level // (2 * len(self._seen))))

    def _lend(
        self, request: LeaseRequest, tokens: int, buckets: list[TokenBucket], now: int
    ) -> tuple[int, int]:
        """A new lease, and its term."""
        lease = self._state.next_lease
        self._state.next_lease += 1
        for bucket in buckets:
            bucket.lend(tokens, now)
        term = SHORT_TERM if tokens <= request.need else TERM
        lapse = buckets[0].at + term + MARGIN
        self._lapses.add(lease, Lent(tokens, lapse, request.model))
        return lease, term

    def _advance(self, now: int) -> TokenBucket | None:
        """Lets the time pass; a lease lapses at its own moment: what refills before has less room.

        When the clock steps back so far that the bucket follows it, all moments follow too.
        """
        bucket = self._state.scopes[PROVIDER].bucket
        if bucket is None:
            return None
        step = bucket.at - now
        if step > STEP:
            self._step_back(step)
        for lent in self._lapses.take_lapsed(now):
            self._settle(lent, 0, lent.lapse)
        bucket.refill(now)
        while self._seen and next(iter(self._seen.values())) <= bucket.at - LATELY:
            self._seen.popitem(last=False)
        return bucket

    def _step_back(self, step: int) -> None:
        self._seen.clear()
        for scope in self._state.scopes.values():
            scope.closed_until -= step
        for lent in self._state.leases.values():
            lent.lapse -= step
        self._lapses = Lapses(self._state.leases)

    def _find_refusals(self, scopes: dict[str, _Scope], n: int, now: int) -> Iterator[_Refusal]:
        """How long each of the scopes' limits refuses `n` tokens."""
        for name, scope in scopes.items():
            yield _Refusal(max(0, scope.closed_until - now), "closed", name)
            if scope.bucket:
                configured = name == PROVIDER and scope.bucket.rate == self._state.rate
                limit: LimitKind = "configured" if configured else "share"
                yield _Refusal(self._wait(scope.bucket, n, name, now), limit, name)

    def _full_in(self, now: int) -> int | None:
        """Milliseconds until it is full, where many leases are out up to a second more. None:
        never."""
        bucket = self._state.scopes[PROVIDER].bucket
        wait = bucket.find_wait(bucket.rate.burst, now) if bucket else 0
        if not wait or bucket is None:
            return wait
        held = bucket.held
        for second in self._lapses.by_second():
            wait = max(wait, _find_room(bucket, second.last, min(held, bucket.rate.burst)) - now)
            held -= second.tokens
        return wait

    def _wait(self, bucket: TokenBucket, n: int, scope: str, now: int) -> int | None:
        """Milliseconds until `n` tokens are there. While a lease keeps the room that the last of
        them need, these can only begin to come when it has lapsed."""
        wait = bucket.find_wait(n, now)
        if not wait:
            return wait
        held = bucket.held
        for lent in self._lapses.in_order():
            short = min(n, n + held - bucket.rate.burst)
            if short <= 0:
                break
            if scope in find_scopes(lent.model):
                wait = max(wait, _find_room(bucket, lent.lapse, short) - now)
                held -= lent.tokens
        return wait


def _find_room(bucket: TokenBucket, lapse: int, short: int) -> int:
    """When so many tokens have come for which there is no room before a lease lapses."""
    return lapse - (-short * UNIT // bucket.rate.per_hour)
