"""What the attempts of one request reserve of its key's account, each for itself."""

from proxy.core.chat import Cost, Usage
from proxy.core.permit import Offer, Refusal, Standing
from proxy.core.ports import Defer
from proxy.core.principal import Principal
from proxy.limits.account_messages import AccountLimits, ReservationRequest, Settlement
from proxy.limits.estimate import Estimate
from proxy.limits.limiter import Limiter
from proxy.limits.refusals import UNREACHABLE, refuse_unpriced

RESERVED_MS = 900_000
"""How long a reservation stands that nobody settles: longer than most answers take."""


class Reservations:
    """The reservations of one request.

    An attempt that has cost nothing leaves its reservation to the next one, so that the two never
    stand beside each other; what is settled is reported in one call when the request is done.
    """

    def __init__(self, limiter: Limiter, principal: Principal, defer: Defer) -> None:
        limits, budget = principal.limits, principal.budget
        self._limits = AccountLimits(
            tokens_per_minute=limits.tokens_per_minute, day=budget.day, month=budget.month
        )
        self._key_id = principal.key_id or ""
        self._limiter = limiter
        self._defer = defer
        self._spare: list[str] = []
        """Tickets of attempts that have cost nothing."""
        self._open: set[AttemptReservation] = set()
        self._settlements: list[Settlement] = []
        self.has_budget = bool(self._key_id) and (budget.day, budget.month) != (None, None)

    def output_limit(self, estimate: Estimate, offer: Offer) -> int:
        """The most tokens that an answer to a key with a budget may have."""
        default = self._limiter.settings.default_max_tokens
        return estimate.output_limit(offer.max_output, offer.context, default)

    async def reserve(
        self, estimate: Estimate, offer: Offer
    ) -> tuple["AttemptReservation | Refusal", Standing | None]:
        """Reserves for an attempt what it may use. With it how the key's tokens stand."""
        if not self._key_id or self._limits == AccountLimits():
            return AttemptReservation(self, offer, Usage()), None
        expected = estimate.expected(offer.max_output)
        nano_usd = 0
        if self.has_budget:
            if offer.most is None:
                return refuse_unpriced(offer), None
            nano_usd = offer.most(estimate.most(offer.context, self.output_limit(estimate, offer)))
        reserved = AttemptReservation(self, offer, Usage(input=expected.input))
        reserved.ticket = self._spare.pop() if self._spare else self._limiter.create_ticket()
        self._open.add(reserved)
        request = ReservationRequest(
            id=reserved.ticket,
            tokens=expected.total,
            nano_usd=nano_usd,
            limits=self._limits,
            lifetime=RESERVED_MS,
        )
        try:
            refusal, standing = await self._limiter.reserve(self._key_id, request)
        except BaseException:  # whether it was reserved is not known
            reserved.release()
            raise
        if refusal and refusal.limit == UNREACHABLE:  # the object may have reserved all the same
            reserved.release()
        elif refusal:
            self._open.discard(reserved)
        return refusal or reserved, standing

    def close(self) -> None:
        """Reports what was settled, after the answer. What still stands open is lost."""
        for reserved in tuple(self._open):
            reserved.lose()
        self._settlements += [Settlement(ticket, 0, 0) for ticket in self._spare]
        self._spare.clear()
        if self._settlements:
            self._defer(self._limiter.settle(self._key_id, tuple(self._settlements)))
            self._settlements = []

    def end(self, reserved: "AttemptReservation", used: Settlement | None) -> None:
        """Settles a reservation that is open, or leaves it to the next attempt."""
        if reserved not in self._open:
            return
        self._open.remove(reserved)
        if used:
            self._settlements.append(used)
        else:
            self._spare.append(reserved.ticket)


class AttemptReservation:
    """core.permit.Reservation. Without a ticket nothing was reserved, and nothing is settled."""

    def __init__(self, reservations: Reservations, offer: Offer, lost: Usage) -> None:
        """lost: what is used if the attempt is given up."""
        self.ticket = ""
        self._reservations = reservations
        self._most = offer.most
        self._lost = lost

    def settle(self, usage: Usage, cost: Cost) -> None:
        """See core.permit.Reservation."""
        nano_usd = cost.nano_usd
        if nano_usd is None:
            nano_usd = self._most(usage) if self._most else 0
        self._reservations.end(self, Settlement(self.ticket, usage.total, nano_usd))

    def lose(self) -> None:
        """See core.permit.Reservation."""
        self.settle(self._lost, Cost(None))

    def release(self) -> None:
        """See core.permit.Reservation."""
        self._reservations.end(self, None)
