"""The messages between isolates and a key's account; see limits.account. Money is whole
nano-dollars, durations are milliseconds, moments milliseconds since 1970."""

from typing import Literal

from msgspec import Struct

from proxy.core.rpc import NOTHING, Method, as_text
from proxy.limits.token_allowance import Amount

AccountLimit = Literal["tokens_per_minute", "budget_day", "budget_month"]


class AccountLimits(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What a key may use. None: no limit. They come with every request, since they may change."""

    tokens_per_minute: Amount | None = None
    day: Amount | None = None
    month: Amount | None = None

    @property
    def has_budget(self) -> bool:
        """Whether they limit what is spent."""
        return self.day is not None or self.month is not None


class ReservationRequest(Struct, frozen=True, kw_only=True):
    """What an attempt is estimated to use. `id` is its own; an attempt that has cost nothing may
    leave it to the next one of the same request."""

    id: str
    tokens: Amount
    nano_usd: Amount
    limits: AccountLimits
    lifetime: Amount
    """How long the reservation stands if nobody settles it."""


class Settlement(Struct, frozen=True, array_like=True):
    """What a request has used in the place of what it reserved under `id`."""

    id: str
    tokens: int
    nano_usd: int


class ReservationAnswer(Struct, frozen=True, kw_only=True):
    """The answer to a ReservationRequest."""

    limit: AccountLimit | None
    """The limit that stands against it, of several the one that does so longest. None: granted,
    and what follows is of the tokens a minute (zeros where they are not limited)."""
    wait: int | None
    """Milliseconds until it is granted if no other request comes. None: never, by these limits."""
    left: int
    """Tokens or nano-dollars that are neither used nor reserved."""
    quota: int
    resets_at: int
    """The moment at which the quota is whole again: of a budget the end of its day or month."""
    money_left: int | None = None
    """Nano-dollars that are neither spent nor reserved of the budget that has the fewest, with
    what this has granted. None: there is no budget."""


class AccountView(Struct, frozen=True, kw_only=True):
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


RESERVE = Method("KEY_ACCOUNT", "reserve", as_text(ReservationRequest), as_text(ReservationAnswer))
SETTLE = Method("KEY_ACCOUNT", "settle", as_text(tuple[Settlement, ...]), NOTHING)
SHOW_ACCOUNT = Method("KEY_ACCOUNT", "show", NOTHING, as_text(AccountView))
RESET_ACCOUNT = Method("KEY_ACCOUNT", "reset", NOTHING, NOTHING)
