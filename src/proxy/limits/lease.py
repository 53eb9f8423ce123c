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

from typing import Annotated, NamedTuple

import msgspec
from msgspec import Meta, Struct

from proxy.limits.token_bucket import STEP, UNIT, Fill, Rate, TokenBucket

TERM = 10_000
"""Milliseconds for which an isolate may spend from a lease, since it asked."""
SHORT_TERM = 2_000
"""The same of a lease that has no more than the request that asked for it needs."""
MARGIN = 1_000
"""Milliseconds after the term until the object counts an unreturned lease as spent."""
LATELY = 10_000
"""Milliseconds for which an isolate that asked counts as one to share with."""

Count = Annotated[int, Meta(ge=1)]
Returns = tuple[tuple[int, int], ...]
"""Leases that an isolate has done with: each one's id and how many tokens it left unused."""


class Ask(Struct, frozen=True, omit_defaults=True):
    """An isolate's request for tokens: `need` or nothing, and `want` where there is plenty."""

    isolate: str
    want: Count
    rate: Rate
    need: Count = 1
    returns: Returns = ()


class Grant(Struct, frozen=True, omit_defaults=True):
    """The answer. Durations are milliseconds."""

    lease: int
    """Its id; 0 where nothing was granted."""
    tokens: int
    """At least what was needed, or 0."""
    term: int
    """For how long they may be spent, counted from when the isolate asked."""
    wait: int | None
    """Until `need` would be granted to a caller that is alone, if no lease is returned before it
    lapses. None: never, at the rate of now."""
    level: int
    """Whole tokens left in the bucket."""
    reset: int | None
    """Until the bucket is full, if nobody asks. None: never."""


class Demand(NamedTuple):
    """Tokens that were granted, and that were needed and refused."""

    taken: int
    refused: int


class View(Struct, frozen=True):
    """A bucket as an operator sees it. Moments and durations are milliseconds."""

    rate: Rate | None
    """The one in effect; None: nobody has asked yet."""
    squeezed: Rate | None
    closed_until: int
    level: int
    held: int
    """Tokens in leases that have not ended."""
    leases: int
    isolates: int
    """How many asked lately."""
    reset: int | None
    """Until it is full; None: never."""


class _Lent(Struct, frozen=True, array_like=True):
    tokens: Count
    lapse: int


class _State(Struct, frozen=True):
    next_lease: Count
    rate: Rate | None
    fill: Fill | None
    leases: dict[int, _Lent]
    squeezed: Rate | None
    closed_until: int


_STATE = msgspec.msgpack.Decoder(_State)


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
            held = sum(lent.tokens for lent in stored.leases.values())
            rate = stored.rate.lowest(stored.squeezed)
            self._bucket = TokenBucket(rate, now, stored.fill, held)
        self._seen: dict[str, int] = {}
        self._taken = self._refused = 0

    def ask(self, ask: Ask, now: int) -> Grant:
        """Grants `need` tokens up to `want`, or none. Takes the returns in first."""
        bucket = self._rated(ask.rate, now)
        self.give_back(ask.returns, now)
        self._seen.pop(ask.isolate, None)
        self._seen[ask.isolate] = bucket.at
        tokens = self._portion(ask, bucket, now)
        lease, term, wait = 0, 0, self._wait(bucket, ask.need, now)
        if tokens:
            lease, wait = self._next_lease, 0
            term = SHORT_TERM if tokens <= ask.need else TERM
            bucket.lend(tokens, now)
            self._leases[lease] = _Lent(tokens, bucket.at + term + MARGIN)
            self._next_lease += 1
            self._taken += tokens
        else:
            self._refused += ask.need
        reset = self._until(bucket, bucket.rate.burst, now)
        return Grant(lease, tokens, term, wait, bucket.peek(now), reset)

    def give_back(self, returns: Returns, now: int) -> None:
        """Ends leases. Those that it does not know have lapsed or were returned: ignored."""
        bucket = self._advance(now)
        for lease, unused in returns:
            lent = self._leases.pop(lease, None)
            if bucket and lent:
                bucket.settle(lent.tokens, min(max(0, unused), lent.tokens), now)

    def squeeze(self, rate: Rate | None, closed_until: int, now: int) -> None:
        """Holds the rate down to `rate` (None: no more) and grants nothing before `closed_until`
        (0: open). Leases that are out may still be spent."""
        self._advance(now)
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

    def state(self) -> bytes:
        """What to store."""
        fill = self._bucket.fill() if self._bucket else None
        return msgspec.msgpack.encode(
            _State(
                self._next_lease,
                self._rate,
                fill,
                self._leases,
                self._squeezed,
                self._closed_until,
            )
        )

    def idle(self, now: int) -> bool:
        """Whether it may be forgotten: a new one would grant the same."""
        return self.next_idle(now) == now

    def next_idle(self, now: int) -> int | None:
        """The earliest moment at which it will be idle if nobody asks. None: not as it stands,
        since it is squeezed or does not refill."""
        bucket = self._advance(now)
        if self._squeezed:
            return None
        full = self._until(bucket, bucket.rate.burst, now) if bucket else 0
        return None if full is None else max(now + full, self._closed_until)

    def demand(self) -> Demand:
        """What was asked of it since this was last called; a restart forgets it."""
        demand = Demand(self._taken, self._refused)
        self._taken = self._refused = 0
        return demand

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
            reset=self._until(bucket, bucket.rate.burst, now) if bucket else 0,
        )

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

    def _portion(self, ask: Ask, bucket: TokenBucket, now: int) -> int:
        """The fewer tokens the nearer the limit, so that none lie idle while others are refused."""
        level = bucket.peek(now)
        if level < ask.need or now < self._closed_until:
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
            self._closed_until -= step
            self._seen = {}
            self._leases = {
                lease: _Lent(lent.tokens, lent.lapse - step) for lease, lent in self._leases.items()
            }
        lapsed = [lease for lease, lent in self._leases.items() if lent.lapse <= now]
        for lease in sorted(lapsed, key=lambda lease: self._leases[lease].lapse):
            lent = self._leases.pop(lease)
            bucket.settle(lent.tokens, 0, lent.lapse)
        bucket.refill(now)
        self._seen = {who: at for who, at in self._seen.items() if at > bucket.at - LATELY}
        return bucket

    def _wait(self, bucket: TokenBucket, n: int, now: int) -> int | None:
        until = self._until(bucket, n, now)
        return None if until is None else max(until, self._closed_until - now)

    def _until(self, bucket: TokenBucket, n: int, now: int) -> int | None:
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
            until = max(until, lent.lapse - now - (-short * UNIT // bucket.rate.per_hour))
            held -= lent.tokens
        return until


def _read(state: bytes) -> _State:
    stored = _STATE.decode(state)  # msgspec's errors are ValueErrors
    if (stored.rate is None) != (stored.fill is None):
        raise ValueError("half the state of a bucket")
    return stored
