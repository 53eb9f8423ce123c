"""What one key may use: tokens a minute, and money by day and month of UTC.

A request reserves what it is estimated to use and settles what it used. Money is whole
nano-dollars, moments and durations are whole milliseconds.

Promises:
- Money is granted only while what is spent, reserved and requested stays within the day's and the
  month's budget. So what is spent exceeds a budget by no more than requests cost beyond what stood
  reserved for them.
- A reservation that nobody settles lapses after its lifetime: its money is free again. What it
  used counts whenever it is reported, once.
- In any window the requests that reserve in it use no more tokens than a minute's allowance, what
  the window adds to it, and what they use beyond what they reserved.

What is used counts on the day and in the month in which it is settled; while it is reserved it
counts in each that comes. A clock that steps back by STEP or less stands still until it has caught
up; when it steps back further, all moments follow, and what is spent stays spent.
"""

from collections.abc import Iterator
from datetime import date

import msgspec
from msgspec import Struct, structs

from proxy.limits.account_messages import (
    AccountLimit,
    AccountLimits,
    AccountView,
    ReservationAnswer,
    ReservationRequest,
)
from proxy.limits.token_allowance import MINUTE, Amount, Reserved, TokenAllowance
from proxy.limits.token_bucket import STEP

DAY = 86_400_000
RESERVATIONS = 2000
"""Reservations that are known by id at the most; later ones of a minute stand as one, whose money
is free when it lapses."""
SETTLED = 500
"""Ids that are remembered as settled, so that a settlement that comes twice counts once,"""
SETTLED_MS = 900_000
"""and for how long."""
_EPOCH = date(1970, 1, 1).toordinal()


class _Books(Struct, array_like=True):
    """All that an account remembers."""

    at: int
    """The moment until which it is reckoned."""
    day: Amount = 0
    day_ends: int = 0
    month: Amount = 0
    month_ends: int = 0
    tokens: TokenAllowance | None = None
    reserved: dict[str, Reserved] = {}
    """By id, the oldest first."""
    settled: dict[str, int] = {}
    """By id until when it is remembered, the oldest first."""


_BOOKS = msgspec.json.Decoder(_Books)


class Account:
    """One key's account.

    state: what `encode_state()` gave; it has to be stored after every call that changes something.
    Raises ValueError where it is none. `now` is the object's clock in milliseconds since 1970.
    """

    def __init__(self, now: int, state: bytes | None = None) -> None:
        # JSON, since msgpack has no whole numbers beyond 64 bits.
        self._books = _Books(now) if state is None else _BOOKS.decode(state)

    def reserve(self, request: ReservationRequest, now: int) -> ReservationAnswer:
        """Reserves all that is requested, or nothing.

        The same id again replaces its reservation, which is gone also where this is refused. Of an
        id that is settled nothing is reserved: the two have overtaken each other. A request of
        more tokens than a minute's is granted when all of them are there, and takes them all.
        """
        books = self._advance(now)
        self._close(request.id, 0)
        tokens = self._limit_tokens(request.limits.tokens_per_minute)
        refusals = list(self._find_refusals(request, tokens, now))
        if refusals:
            answer = max(refusals, key=lambda answer: (answer.wait is None, answer.wait))
        else:
            answer = ReservationAnswer(limit=None, wait=0, left=0, quota=0, resets_at=books.at)
            if request.id not in books.settled:
                self._open(request, tokens)
            if tokens:
                answer = self._describe_tokens(tokens, 0)
        return structs.replace(answer, money_left=self._find_money(request.limits))

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

    def show(self, now: int) -> AccountView:
        """For an operator."""
        books = self._advance(now)
        return AccountView(
            spent_day=books.day,
            spent_month=books.month,
            reserved=self._reserved,
            reservations=len(books.reserved),
            tokens_per_minute=books.tokens.quota if books.tokens else None,
            tokens_left=books.tokens.left if books.tokens else None,
            day_ends=books.day_ends,
            month_ends=books.month_ends,
        )

    def encode_state(self) -> bytes:
        """What to store."""
        return msgspec.json.encode(self._books)

    def is_idle(self, now: int) -> bool:
        """Whether it may be forgotten: a new one would do the same."""
        return self.find_idle_at(now) == now

    def find_idle_at(self, now: int) -> int:
        """The earliest moment at which it will be idle if no request comes."""
        books = self._advance(now)
        moments = [now, *(each.lapse for each in books.reserved.values()), *books.settled.values()]
        if books.month:
            moments.append(books.month_ends)
        if books.tokens and books.tokens.missing:
            moments.append(books.at + books.tokens.full_in)
        return max(moments)

    @property
    def _reserved(self) -> int:
        return sum(each.nano_usd for each in self._books.reserved.values())

    def _find_money(self, limits: AccountLimits) -> int | None:
        """What is left of the budget that has the least; None: there is none."""
        budgets = (limits.day, self._books.day), (limits.month, self._books.month)
        left = [quota - spent - self._reserved for quota, spent in budgets if quota is not None]
        return max(0, min(left)) if left else None

    def _find_refusals(
        self, request: ReservationRequest, tokens: TokenAllowance | None, now: int
    ) -> Iterator[ReservationAnswer]:
        """What stands against a request."""
        books, limits = self._books, request.limits
        wait = tokens.find_wait(request.tokens) if tokens else 0
        if tokens and wait != 0:
            yield self._describe_tokens(tokens, wait and books.at + wait - now)
        budgets: tuple[tuple[AccountLimit, int | None, int, int], ...] = (
            ("budget_day", limits.day, books.day, books.day_ends),
            ("budget_month", limits.month, books.month, books.month_ends),
        )
        for limit, quota, spent, ends in budgets:
            left = 0 if quota is None else quota - spent - self._reserved
            if quota is None or request.nano_usd <= left:
                continue
            fits_at = self._find_room(request.nano_usd - left, spent, ends)
            yield ReservationAnswer(
                limit=limit,
                wait=None if fits_at is None else fits_at - now,
                left=max(0, left),
                quota=quota,
                resets_at=ends,
            )

    def _find_room(self, missing: int, spent: int, ends: int) -> int | None:
        """When a budget has `missing` more, by lapses and by its end; None: never."""
        relief = [(each.lapse, each.nano_usd) for each in self._books.reserved.values()]
        for moment, nano_usd in sorted([*relief, (ends, spent)]):
            missing -= nano_usd
            if missing <= 0:
                return moment
        return None

    def _describe_tokens(self, tokens: TokenAllowance, wait: int | None) -> ReservationAnswer:
        """An answer in terms of the tokens a minute."""
        return ReservationAnswer(
            limit=None if wait == 0 else "tokens_per_minute",
            wait=wait,
            left=max(0, tokens.left),
            quota=tokens.quota,
            resets_at=self._books.at + tokens.full_in,
        )

    def _limit_tokens(self, quota: int | None) -> TokenAllowance | None:
        """The tokens a minute, limited to `quota` from now on; None: they are not limited."""
        if quota is None:
            return None
        tokens = self._books.tokens
        if tokens is None:
            tokens = self._books.tokens = TokenAllowance(quota)
        elif tokens.quota != quota:
            tokens.set_quota(quota)
        return tokens

    def _open(self, request: ReservationRequest, tokens: TokenAllowance | None) -> None:
        books = self._books
        lapse = books.at + request.lifetime
        is_known = len(books.reserved) < RESERVATIONS
        name = request.id if is_known else f"minute {lapse // MINUTE}"
        reserved = books.reserved.setdefault(name, Reserved())
        if tokens:
            tokens.reserve(request.tokens, reserved)
        reserved.nano_usd += request.nano_usd
        reserved.lapse = max(reserved.lapse, lapse)

    def _close(self, id: str, tokens: int) -> None:
        """Ends a reservation, if there is one, of a request that has used `tokens`."""
        reserved = self._books.reserved.pop(id, None) or Reserved()
        if self._books.tokens:
            self._books.tokens.settle(reserved, tokens)

    def _advance(self, now: int) -> _Books:
        """Lets the time pass."""
        books = self._books
        passed = now - books.at
        if passed < -STEP:
            self._shift(passed)
        books.at = max(now, books.at)
        if books.tokens:
            books.tokens.refill(max(0, passed), books.reserved.values())
        for id in [id for id, each in books.reserved.items() if each.lapse <= books.at]:
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
        for reserved in books.reserved.values():
            reserved.lapse += step

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
