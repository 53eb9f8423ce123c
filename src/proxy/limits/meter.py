"""The limits as one request meets them."""

from collections.abc import Coroutine, Mapping

from proxy.core.chat import Cost, Usage
from proxy.core.errors import Fault
from proxy.core.permit import Offer, Refusal, Reservation, Standing
from proxy.core.ports import Defer
from proxy.core.principal import Principal
from proxy.limits.account_messages import AccountLimits, ReservationRequest, Settlement
from proxy.limits.estimate import Estimate
from proxy.limits.lease_client import LeaseKey
from proxy.limits.limiter import BucketLimit, Limiter
from proxy.limits.refusals import UNREACHABLE, refuse_unpriced
from proxy.limits.token_bucket import Rate

NOTHING_USED = Usage()
RESERVED_MS = 900_000
"""How long a reservation stands that nobody settles: longer than most answers take."""


class Meter:
    """core.permit.Permit of one request of one caller. defer: has work done after the answer.

    Each attempt reserves of the key's account for itself. One that has cost nothing leaves its
    reservation to the next, so that the two never stand beside each other; what is settled is
    reported in one call when the request is done.
    """

    def __init__(self, limiter: Limiter, principal: Principal, defer: Defer) -> None:
        self.principal = principal
        self.grant = principal.grant
        self.user = principal.user
        self.defer = defer
        self.estimate: Estimate
        """What the request will use; it is set before providers are."""
        self._limiter = limiter
        budget, has_key = principal.budget, bool(principal.key_id)
        self._has_budget = has_key and (budget.day is not None or budget.month is not None)
        has_rate = has_key and principal.limits.tokens_per_minute is not None
        self._is_accounted = self._has_budget or has_rate
        self._standings: dict[str, BucketLimit | Standing] = {}
        """By the names of the limits that this request has met."""
        self._open: set[AttemptReservation] = set()
        self._spare_tickets: list[str] = []
        """Those of attempts that have cost nothing."""
        self._settlements: list[Settlement] = []

    @property
    def standings(self) -> tuple[Standing, ...]:
        """How the caller stands with the limits that this request has met."""
        standings = [
            self._limiter.find_standing(met) if isinstance(met, BucketLimit) else met
            for met in self._standings.values()
        ]
        return tuple(filter(None, standings))

    async def admit(self) -> Refusal | None:
        """Charges the key's plain request limit, which the cache's answers count against too."""
        per_minute = self.principal.limits.requests_per_minute
        if per_minute is None:
            return None
        key = LeaseKey(f"key:{self.principal.key_id}")
        rate = Rate(burst=per_minute, per_hour=per_minute * 60)
        return await self._take_token(BucketLimit(key, "requests_per_minute", rate))

    async def charge(self, offer: Offer) -> Refusal | Reservation:
        """See core.permit.Permit."""
        if refusal := self._limiter.cooldowns.find_refusal(offer.provider, offer.model):
            return refusal
        reserved = await self._reserve(offer)
        if isinstance(reserved, Refusal):
            return reserved
        bucket = self._limiter.find_bucket(self.principal, offer.provider, offer.model)
        try:
            refusal = await self._take_token(bucket)
        except BaseException:
            reserved.release()
            raise
        if refusal:
            reserved.release()
        return refusal or reserved

    def observe(
        self, provider: str, model: str, headers: Mapping[str, str], fault: Fault | None = None
    ) -> None:
        """See core.permit.Permit."""
        self._limiter.observe(provider, model, headers, fault, self.defer)

    def expected(self, max_output: int | None) -> Usage:
        """See core.permit.Permit."""
        return self.estimate.expected(max_output)

    def output_limit(self, offer: Offer) -> int | None:
        """See core.permit.Permit."""
        if not self._has_budget:
            return None
        default = self._limiter.settings.default_max_tokens
        return self.estimate.output_limit(offer.max_output, offer.context, default)

    def close(self) -> None:
        """Reports what was settled, after the answer. What still stands open is lost. No attempt
        may follow."""
        for reserved in tuple(self._open):
            reserved.lose()
        self._settlements += [Settlement(ticket, 0, 0) for ticket in self._spare_tickets]
        self._spare_tickets = []
        if self._settlements:
            key_id = self.principal.key_id or ""
            self.defer(self._limiter.settle(key_id, tuple(self._settlements)))
            self._settlements = []

    def end(self, reserved: "AttemptReservation", used: Settlement | None) -> None:
        """Settles a reservation that is open, or leaves it to the next attempt."""
        if reserved not in self._open:
            return
        self._open.remove(reserved)
        if used:
            self._settlements.append(used)
        else:
            self._spare_tickets.append(reserved.ticket)

    def _take_token(self, bucket: BucketLimit) -> Coroutine[object, None, Refusal | None]:
        self._standings[bucket.limit] = bucket
        return self._limiter.take_token(bucket, self.defer)

    async def _reserve(self, offer: Offer) -> "AttemptReservation | Refusal":
        """Reserves for an attempt what it may use."""
        if not self._is_accounted:
            return AttemptReservation(self, "", offer, NOTHING_USED)
        key_id, budget = self.principal.key_id or "", self.principal.budget
        expected, nano_usd = self.estimate.expected(offer.max_output), 0
        output_limit = self.output_limit(offer)
        if output_limit is not None:
            if offer.most is None:
                return refuse_unpriced(offer)
            nano_usd = offer.most(self.estimate.most(offer.context, output_limit))
        ticket = self._spare_tickets.pop() if self._spare_tickets else self._limiter.make_ticket()
        reserved = AttemptReservation(self, ticket, offer, Usage(input=expected.input))
        self._open.add(reserved)
        request = ReservationRequest(
            id=ticket,
            tokens=expected.total,
            nano_usd=nano_usd,
            limits=AccountLimits(
                tokens_per_minute=self.principal.limits.tokens_per_minute,
                day=budget.day,
                month=budget.month,
            ),
            lifetime=RESERVED_MS,
        )
        try:
            refusal, standing = await self._limiter.reserve(key_id, request)
        except BaseException:  # whether it was reserved is not known
            reserved.release()
            raise
        if standing:
            self._standings[standing.limit] = standing
        if refusal and refusal.limit == UNREACHABLE:  # the object may have reserved all the same
            reserved.release()
        elif refusal:
            self._open.discard(reserved)
        return refusal or reserved


class AttemptReservation:
    """core.permit.Reservation. Without a ticket nothing was reserved, and nothing is settled.
    lost: what is used if the attempt is given up."""

    def __init__(self, meter: Meter, ticket: str, offer: Offer, lost: Usage) -> None:
        self.ticket = ticket
        self._meter = meter
        self._most = offer.most
        self._lost = lost

    def settle(self, usage: Usage, cost: Cost) -> None:
        """See core.permit.Reservation."""
        if not self.ticket:
            return
        nano_usd = cost.nano_usd
        if nano_usd is None:
            nano_usd = self._most(usage) if self._most else 0
        self._meter.end(self, Settlement(self.ticket, usage.total, nano_usd))

    def lose(self) -> None:
        """See core.permit.Reservation."""
        self.settle(self._lost, Cost(None))

    def release(self) -> None:
        """See core.permit.Reservation."""
        self._meter.end(self, None)
