"""What the attempts of one request reserve of its key's account, each for itself."""

from collections.abc import Coroutine
from typing import Any, Protocol

from proxy.core.chat import Cost, Usage
from proxy.core.permit import Offer, Refusal, Standing
from proxy.core.ports import Defer
from proxy.core.principal import Principal
from proxy.limits.budget import Reserve, Settlement, Terms

RESERVED_MS = 900_000
"""How long a reservation stands that nobody settles: longer than most answers take."""
UNREACHABLE = "limiter"
"""The name of the limit that is met where an object does not answer."""
UNPRICED = "budget_unpriced"
"""The name of the limit that a model without a known price meets."""


class Estimate(Protocol):
    """What a request will use: limits.estimate."""

    def expected(self, max_output: int | None) -> Usage:
        """What is expected, by the longest answer of the model in tokens."""

    def most(self, context: int | None, output_limit: int) -> Usage:
        """What is used at most, by the model's context and the limit of the answer in tokens."""

    def output_limit(self, max_output: int | None, context: int | None, default: int) -> int:
        """The most tokens that the answer may have."""


class Accounts(Protocol):
    """The accounts as an isolate reaches them: limits.limiter."""

    def ticket(self) -> str:
        """An id for a reservation."""

    async def reserve(self, key_id: str, ask: Reserve) -> tuple[Refusal | None, Standing | None]:
        """Reserves, or tells why not; and how the key's tokens a minute stand."""

    def settle(self, key_id: str, settlements: tuple[Settlement, ...]) -> Coroutine[Any, Any, None]:
        """Reports what was used in the place of what was reserved."""


class Reservations:
    """The reservations of one request.

    An attempt that has cost nothing leaves its reservation to the next one, so that the two never
    stand beside each other; what is settled is reported in one call when the request is done.
    """

    def __init__(
        self, accounts: Accounts, principal: Principal, default_max_tokens: int, defer: Defer
    ) -> None:
        limits, budget = principal.limits, principal.budget
        self._terms = Terms(
            tokens_per_minute=limits.tokens_per_minute, day=budget.day, month=budget.month
        )
        self._key_id = principal.key_id or ""
        self._accounts = accounts
        self._default_max_tokens = default_max_tokens
        self._defer = defer
        self._spare: list[str] = []
        """Tickets of attempts that have cost nothing."""
        self._open: set[Reserved] = set()
        self._settlements: list[Settlement] = []
        self.has_budget = bool(self._key_id) and (budget.day, budget.month) != (None, None)

    def output_limit(self, estimate: Estimate, offer: Offer) -> int:
        """The most tokens that an answer to a key with a budget may have."""
        return estimate.output_limit(offer.max_output, offer.context, self._default_max_tokens)

    async def reserve(
        self, estimate: Estimate, offer: Offer
    ) -> tuple["Reserved | Refusal", Standing | None]:
        """Reserves for an attempt what it may use. With it how the key's tokens stand."""
        if not self._key_id or self._terms == Terms():
            return Reserved(self, offer, Usage()), None
        expected = estimate.expected(offer.max_output)
        reserved = Reserved(self, offer, Usage(input=expected.input))
        nano_usd = 0
        if self.has_budget:
            if offer.most is None:
                return _unpriced(offer), None
            nano_usd = offer.most(estimate.most(offer.context, self.output_limit(estimate, offer)))
        reserved.ticket = self._spare.pop() if self._spare else self._accounts.ticket()
        self._open.add(reserved)
        ask = Reserve(
            id=reserved.ticket,
            tokens=expected.total,
            nano_usd=nano_usd,
            terms=self._terms,
            lifetime=RESERVED_MS,
        )
        try:
            refusal, standing = await self._accounts.reserve(self._key_id, ask)
        except BaseException:  # whether it was reserved is not known
            reserved.release()
            raise
        if refusal and refusal.limit == UNREACHABLE:  # the object may have reserved all the same
            reserved.release()
        elif refusal:
            self._open.discard(reserved)
        if refusal:
            return refusal, standing
        return reserved, standing

    def close(self) -> None:
        """Reports what was settled, after the answer. What still stands open is lost."""
        for reserved in tuple(self._open):
            reserved.lose()
        self._settlements += [Settlement(ticket, 0, 0) for ticket in self._spare]
        self._spare.clear()
        if self._settlements:
            self._defer(self._accounts.settle(self._key_id, tuple(self._settlements)))
            self._settlements = []

    def settle(self, reserved: "Reserved", tokens: int, nano_usd: int) -> None:
        """Settles one that is open."""
        if reserved in self._open:
            self._open.remove(reserved)
            self._settlements.append(Settlement(reserved.ticket, tokens, nano_usd))

    def free(self, reserved: "Reserved") -> None:
        """Leaves one that is open to the next attempt."""
        if reserved in self._open:
            self._open.remove(reserved)
            self._spare.append(reserved.ticket)


class Reserved:
    """core.permit.Reservation. Without a ticket nothing was reserved, and nothing is settled."""

    def __init__(self, among: Reservations, offer: Offer, lost: Usage) -> None:
        """lost: what is used if the attempt is given up."""
        self.ticket = ""
        self._among = among
        self._most = offer.most
        self._lost = lost

    def settle(self, usage: Usage, cost: Cost) -> None:
        """See core.permit.Reservation."""
        nano_usd = cost.nano_usd
        if nano_usd is None:
            nano_usd = self._most(usage) if self._most else 0
        self._among.settle(self, usage.total, nano_usd)

    def lose(self) -> None:
        """See core.permit.Reservation."""
        self.settle(self._lost, Cost(None))

    def release(self) -> None:
        """See core.permit.Reservation."""
        self._among.free(self)


def _unpriced(offer: Offer) -> Refusal:
    return Refusal(
        limit=UNPRICED,
        message=f"The key has a budget, and no price is known of {offer.provider}/{offer.model}."
        " Ask a model with a price, give this one its price in the catalogue, or let it count at"
        " its provider's highest price with BUDGET_UNPRICED=tier_max.",
    )
