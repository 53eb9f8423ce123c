"""What one request reserves of one account: of its key's, a team's, a tag's, or a target's of an
alias."""

from msgspec import Struct

from proxy.core.choices import Allotment
from proxy.core.permit import Refusal, Standing
from proxy.core.ports import Defer
from proxy.core.principal import Principal
from proxy.limits.account_messages import AccountLimits, ReservationRequest, Settlement
from proxy.limits.limiter import Limiter
from proxy.limits.refusals import THE_KEY
from proxy.limits.shared_budgets import SharedBudget

RESERVED_MS = 900_000
"""How long a reservation stands that nobody settles: longer than most answers take."""


class Payer(Struct, frozen=True):
    """An account, and what it allows."""

    account: str
    """The name of its object."""
    label: str
    """What it is called to callers."""
    limits: AccountLimits

    @property
    def has_budget(self) -> bool:
        """Whether it limits what is spent."""
        return self.limits.has_budget


def find_key_payer(principal: Principal) -> Payer | None:
    """A key's account; None: nothing of it is limited."""
    budget, rate = principal.budget, principal.limits.tokens_per_minute
    if not principal.key_id or (budget.day, budget.month, rate) == (None, None, None):
        return None
    limits = AccountLimits(tokens_per_minute=rate, day=budget.day, month=budget.month)
    return Payer(principal.key_id, THE_KEY, limits)


def find_alias_payer(allotment: Allotment) -> Payer | None:
    """The account of an alias's target; None: what it costs is not limited."""
    limits = AccountLimits(day=allotment.day, month=allotment.month)
    payer = Payer(allotment.name, allotment.label, limits)
    return payer if payer.has_budget else None


def make_group_payer(budget: SharedBudget) -> Payer:
    """The account of a team or a tag."""
    kind, _, name = budget.name.partition(":")
    limits = AccountLimits(day=budget.day, month=budget.month)
    return Payer(budget.name, f"the {kind} {name}", limits)


class Tab:
    """The reservations of a request at one account.

    One that has cost nothing is left to the next attempt, so that the two never stand beside each
    other; what is settled is reported in one call when the request is done.
    """

    def __init__(self, limiter: Limiter, payer: Payer) -> None:
        self.payer = payer
        self._limiter = limiter
        self._spare_tickets: list[str] = []
        """Those of attempts that have cost nothing."""
        self._settlements: list[Settlement] = []

    def take_ticket(self) -> str:
        """The id of the next reservation."""
        return self._spare_tickets.pop() if self._spare_tickets else self._limiter.make_ticket()

    async def reserve(
        self, ticket: str, tokens: int, nano_usd: int
    ) -> tuple[Refusal | None, Standing | None]:
        """Reserves under a ticket; no refusal: it is reserved."""
        request = ReservationRequest(
            id=ticket,
            tokens=tokens,
            nano_usd=nano_usd,
            limits=self.payer.limits,
            lifetime=RESERVED_MS,
        )
        return await self._limiter.reserve(self.payer.account, request, self.payer.label)

    def end(self, ticket: str, used: tuple[int, int] | None) -> None:
        """Settles a reservation by the tokens and nano-dollars that were used, or leaves it to the
        next attempt."""
        if used:
            self._settlements.append(Settlement(ticket, *used))
        else:
            self._spare_tickets.append(ticket)

    def close(self, defer: Defer) -> None:
        """Reports what was settled, after the answer."""
        settlements = self._settlements + [Settlement(t, 0, 0) for t in self._spare_tickets]
        self._settlements, self._spare_tickets = [], []
        if settlements:
            defer(self._limiter.settle(self.payer.account, tuple(settlements)))
