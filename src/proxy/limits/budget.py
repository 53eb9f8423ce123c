"""What one key may use: tokens a minute, and money by day and month of UTC.

A request reserves what it is estimated to use and settles what it used. Money is whole
nano-dollars, moments and durations are whole milliseconds.

Promises:
- Money is granted only while what is spent, reserved and asked for stays within the day's and the
  month's budget. So what is spent exceeds a budget by no more than requests cost beyond what stood
  reserved for them.
- A reservation that nobody settles lapses after its lifetime: its money is free again. What it
  used counts whenever it is told, once.
- In any window those who reserve in it use no more tokens than a minute's allowance, what the
  window adds to it, and what they use beyond what they reserved.

What is used counts on the day and in the month in which it is settled; while it is reserved it
counts in each that comes. A clock that steps back by STEP or less stands still until it has caught
up; when it steps back further, all moments follow, and what is spent stays spent.
"""

from datetime import date
from typing import Annotated, Literal

import msgspec
from msgspec import Meta, Struct

from proxy.core.rpc import NOTHING, Method, as_text
from proxy.limits.token_bucket import STEP

Limit = Literal["tokens_per_minute", "budget_day", "budget_month"]
Amount = Annotated[int, Meta(ge=0)]

MINUTE = 60_000
DAY = 86_400_000
DEBT = 60
"""Minutes in which a debt of tokens is paid at the most: what is beyond is forgiven, since a
provider's nonsense must not shut a key up for good."""
RESERVATIONS = 2000
"""Reservations that are known by id at the most; later ones of a minute stand as one, whose money
is free when it lapses."""
SETTLED = 500
"""Ids that are remembered as settled, so that a settlement that comes twice counts once,"""
SETTLED_MS = 900_000
"""and for how long."""
_EPOCH = date(1970, 1, 1).toordinal()


class Terms(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What a key may use. None: no limit. They come with every request, since they may change."""

    tokens_per_minute: Amount | None = None
    day: Amount | None = None
    month: Amount | None = None


class Reserve(Struct, frozen=True, kw_only=True):
    """What an attempt is estimated to use. `id` is its own; an attempt that has cost nothing may
    leave it to the next one of the same request."""

    id: str
    tokens: Amount
    nano_usd: Amount
    terms: Terms
    lifetime: Amount
    """How long the reservation stands if nobody settles it."""


class Settlement(Struct, frozen=True, array_like=True):
    """What a request has used in the place of what it reserved under `id`."""

    id: str
    tokens: int
    nano_usd: int


class Verdict(Struct, frozen=True, kw_only=True):
    """The answer to a Reserve."""

    limit: Limit | None
    """The limit that stands against it, of several the one that does so longest. None: granted,
    and what follows tells of the tokens a minute (zeros where they are not limited)."""
    wait: int | None
    """Until it is granted if nobody else asks. None: never, under these terms."""
    left: int
    """Tokens or nano-dollars that are neither used nor reserved."""
    quota: int
    resets_at: int
    """When all of the quota is there again: of a budget the end of its day or month."""


class View(Struct, frozen=True, kw_only=True):
    """An account as an operator sees it."""

    spent_day: int
    spent_month: int
    reserved: int
    """Nano-dollars that are reserved."""
    reservations: int
    tokens_per_minute: int | None
    """None: no request was limited by tokens yet."""
    tokens_left: int | None
    """Below 0 while more was used than was there."""
    day_ends: int
    month_ends: int


RESERVE = Method("KEY_ACCOUNT", "reserve", as_text(Reserve), as_text(Verdict))
SETTLE = Method("KEY_ACCOUNT", "settle", as_text(tuple[Settlement, ...]), NOTHING)
SHOW_ACCOUNT = Method("KEY_ACCOUNT", "show", NOTHING, as_text(View))
RESET_ACCOUNT = Method("KEY_ACCOUNT", "reset", NOTHING, NOTHING)


class _Tokens(Struct, array_like=True):
    """An allowance of tokens a minute, full at first.

    A token is MINUTE units, so that a millisecond adds exactly `quota` units.
    """

    quota: Amount
    missing: Amount = 0
    """Units away from being full; more than the quota is debt."""

    @property
    def left(self) -> int:
        return self.quota - -(-self.missing // MINUTE)

    def refill(self, passed: int) -> None:
        self.missing = max(0, self.missing - passed * self.quota)

    def set_quota(self, quota: int) -> None:
        """A smaller quota cuts the level, a larger one adds nothing."""
        missing = max(0, self.missing + (quota - self.quota) * MINUTE)
        self.quota = quota
        self._miss(missing)

    def wait(self, tokens: int) -> int | None:
        """Until so many are there, or all where there are never so many; None: never."""
        if not self.quota:
            return None if tokens else 0
        excess = self.missing - max(0, self.quota - tokens) * MINUTE
        return max(0, -(-excess // self.quota))

    def take(self, tokens: int) -> int:
        """Takes so many, or all where there are never so many; tells how many."""
        taken = min(tokens, self.quota)
        self.missing += taken * MINUTE
        return taken

    def settle(self, reserved: "_Reserved", tokens: int) -> None:
        """`tokens` were used where others were reserved."""
        beyond = (tokens - reserved.tokens) * MINUTE
        self._miss(self.missing + max(beyond, -reserved.room))

    def _miss(self, missing: int) -> None:
        self.missing = min(missing, (1 + DEBT) * self.quota * MINUTE)


class _Reserved(Struct, array_like=True):
    tokens: Amount = 0
    nano_usd: Amount = 0
    lapse: int = 0
    room: Amount = 0
    """Units of tokens that it may bring back: those whose place nothing else has filled."""


class _Books(Struct, array_like=True):
    """All that an account remembers."""

    at: int
    """The moment until which it is reckoned."""
    day: Amount = 0
    day_ends: int = 0
    month: Amount = 0
    month_ends: int = 0
    tokens: _Tokens | None = None
    reserved: dict[str, _Reserved] = {}
    """By id, the oldest first."""
    settled: dict[str, int] = {}
    """By id until when it is remembered, the oldest first."""


_BOOKS = msgspec.json.Decoder(_Books)


class Account:
    """One key's account.

    state: what `state()` gave; it has to be stored after every call that changes something.
    Raises ValueError where it is none. `now` is the object's clock in milliseconds since 1970.
    """

    def __init__(self, now: int, state: bytes | None = None) -> None:
        # JSON, since msgpack has no whole numbers beyond 64 bits.
        self._books = _Books(now) if state is None else _BOOKS.decode(state)

    def reserve(self, ask: Reserve, now: int) -> Verdict:
        """Reserves all that is asked for, or nothing.

        The same id again replaces its reservation, which is gone also where this is refused. Of an
        id that is settled nothing is reserved: the two have overtaken each other. A request of
        more tokens than a minute's is granted when all of them are there, and takes them all.
        """
        books = self._advance(now)
        self._close(ask.id, 0)
        refusals = self._refusals(ask, now)
        if refusals:
            return max(refusals, key=lambda it: (it.wait is None, it.wait))
        if ask.id not in books.settled:
            self._open(ask)
        if ask.terms.tokens_per_minute is None:
            return Verdict(limit=None, wait=0, left=0, quota=0, resets_at=books.at)
        return self._told(self._allowed(ask.terms.tokens_per_minute), 0)

    def settle(self, id: str, tokens: int, nano_usd: int, now: int) -> None:
        """Replaces a request's reservation by what it used. A second time it counts
        nothing, as long as its id is remembered."""
        books = self._advance(now)
        if id in books.settled:
            return
        self._close(id, max(0, tokens))
        books.day += max(0, nano_usd)
        books.month += max(0, nano_usd)
        books.settled[id] = books.at + SETTLED_MS
        if len(books.settled) > SETTLED:
            del books.settled[next(iter(books.settled))]

    def reset(self, now: int) -> None:
        """Forgets what was used and reserved: an operator's word, over the promises."""
        books = self._advance(now)
        self._books = _Books(books.at, settled=books.settled)
        self._advance(now)

    def show(self, now: int) -> View:
        """For an operator."""
        books = self._advance(now)
        return View(
            spent_day=books.day,
            spent_month=books.month,
            reserved=self._reserved,
            reservations=len(books.reserved),
            tokens_per_minute=books.tokens.quota if books.tokens else None,
            tokens_left=books.tokens.left if books.tokens else None,
            day_ends=books.day_ends,
            month_ends=books.month_ends,
        )

    def state(self) -> bytes:
        """What to store."""
        return msgspec.json.encode(self._books)

    def idle(self, now: int) -> bool:
        """Whether it may be forgotten: a new one would do the same."""
        return self.next_idle(now) == now

    def next_idle(self, now: int) -> int:
        """The earliest moment at which it will be idle if nobody asks."""
        books = self._advance(now)
        moments = [now, *(held.lapse for held in books.reserved.values()), *books.settled.values()]
        if books.month:
            moments.append(books.month_ends)
        if books.tokens and books.tokens.missing:
            moments.append(books.at + (books.tokens.wait(books.tokens.quota) or 0))
        return max(moments)

    @property
    def _reserved(self) -> int:
        return sum(held.nano_usd for held in self._books.reserved.values())

    def _refusals(self, ask: Reserve, now: int) -> list[Verdict]:
        """What stands against a request."""
        books, terms = self._books, ask.terms
        refusals = []
        if terms.tokens_per_minute is not None:
            allowed = self._allowed(terms.tokens_per_minute)
            wait = allowed.wait(ask.tokens)
            if wait != 0:
                refusals.append(self._told(allowed, wait and books.at + wait - now))
        budgets: tuple[tuple[Limit, int | None, int, int], ...] = (
            ("budget_day", terms.day, books.day, books.day_ends),
            ("budget_month", terms.month, books.month, books.month_ends),
        )
        for limit, quota, spent, ends in budgets:
            if quota is None or spent + self._reserved + ask.nano_usd <= quota:
                continue
            fits = self._fits(quota, ask.nano_usd, spent, ends)
            refusals.append(
                Verdict(
                    limit=limit,
                    wait=None if fits is None else fits - now,
                    left=max(0, quota - spent - self._reserved),
                    quota=quota,
                    resets_at=ends,
                )
            )
        return refusals

    def _fits(self, quota: int, asked: int, spent: int, ends: int) -> int | None:
        """When what is asked for fits into a budget, by lapses and by its end; None: never."""
        over = spent + self._reserved + asked - quota
        relief = [(held.lapse, held.nano_usd) for held in self._books.reserved.values()]
        for moment, nano_usd in sorted([*relief, (ends, spent)]):
            over -= nano_usd
            if over <= 0:
                return moment
        return None

    def _told(self, tokens: _Tokens, wait: int | None) -> Verdict:
        """A verdict in terms of the tokens a minute."""
        return Verdict(
            limit=None if wait == 0 else "tokens_per_minute",
            wait=wait,
            left=max(0, tokens.left),
            quota=tokens.quota,
            resets_at=self._books.at + (tokens.wait(tokens.quota) or 0),
        )

    def _allowed(self, quota: int) -> _Tokens:
        """The tokens a minute, where they are limited to `quota` from now on."""
        tokens = self._books.tokens
        if tokens is None:
            tokens = self._books.tokens = _Tokens(quota)
        elif tokens.quota != quota:
            tokens.set_quota(quota)
        return tokens

    def _open(self, ask: Reserve) -> None:
        books = self._books
        lapse = books.at + ask.lifetime
        known = len(books.reserved) < RESERVATIONS
        name = ask.id if known else f"minute {lapse // MINUTE}"
        held = books.reserved.setdefault(name, _Reserved())
        if ask.terms.tokens_per_minute is not None:
            tokens = self._allowed(ask.terms.tokens_per_minute).take(ask.tokens)
            held.tokens += tokens
            held.room += tokens * MINUTE
        held.nano_usd += ask.nano_usd
        held.lapse = max(held.lapse, lapse)

    def _close(self, id: str, tokens: int) -> None:
        """Ends a reservation, if there is one, of a request that has used `tokens`."""
        held = self._books.reserved.pop(id, None) or _Reserved()
        if self._books.tokens:
            self._books.tokens.settle(held, tokens)

    def _fill(self, tokens: _Tokens, passed: int) -> None:
        """Refills the tokens. Where that takes the place of reserved ones, the oldest first can't
        bring them back any more: they would be there twice."""
        tokens.refill(passed)
        crowd = sum(held.room for held in self._books.reserved.values()) - tokens.missing
        for held in self._books.reserved.values():
            if crowd <= 0:
                return
            gone = min(crowd, held.room)
            held.room -= gone
            crowd -= gone

    def _advance(self, now: int) -> _Books:
        """Lets the time pass."""
        books = self._books
        passed = now - books.at
        if passed < -STEP:
            self._shift(passed)
        books.at = max(now, books.at)
        if books.tokens:
            self._fill(books.tokens, max(0, passed))
        for id in [id for id, held in books.reserved.items() if held.lapse <= books.at]:
            del books.reserved[id]
        while books.settled and next(iter(books.settled.values())) <= books.at:
            del books.settled[next(iter(books.settled))]
        self._turn_pages()
        return books

    def _shift(self, step: int) -> None:
        """The clock has gone back for good: so do all moments. What is spent stays where it is."""
        books = self._books
        books.at += step
        books.settled = {id: until + step for id, until in books.settled.items()}
        for held in books.reserved.values():
            held.lapse += step

    def _turn_pages(self) -> None:
        """A new day, a new month: nothing is spent yet."""
        books = self._books
        if books.at >= books.day_ends:
            books.day = 0
        if books.at >= books.month_ends:
            books.month = 0
        day = books.at // DAY
        today = date.fromordinal(_EPOCH + day)
        next_month = date(today.year + today.month // 12, today.month % 12 + 1, 1)
        books.day_ends = (day + 1) * DAY
        books.month_ends = (next_month.toordinal() - _EPOCH) * DAY
