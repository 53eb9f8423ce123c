"""The limits as one request meets them."""

from collections.abc import Callable, Coroutine, Mapping, Sequence

from proxy.core.chat import Cost, Usage
from proxy.core.errors import Fault
from proxy.core.permit import Offer, Refusal, Reservation, Standing
from proxy.core.ports import Defer, Stay
from proxy.core.principal import Principal
from proxy.limits.estimate import Estimate
from proxy.limits.lease_client import LeaseKey
from proxy.limits.limiter import BucketLimit, Limiter
from proxy.limits.refusals import PER_MINUTE, UNREACHABLE, refuse_unpriced
from proxy.limits.shared_budgets import name_groups
from proxy.limits.tab import Payer, Tab, find_alias_payer, find_key_payer, make_group_payer
from proxy.limits.token_bucket import Rate


class Meter:
    """core.permit.Permit of one request of one caller.

    Each attempt reserves for itself, of the accounts of the key, its team and the tags that have
    budgets, and of that of its alias's target.
    """

    def __init__(
        self,
        limiter: Limiter,
        principal: Principal,
        defer: Defer,
        stay: Stay,
        tags: tuple[str, ...] = (),
    ) -> None:
        """tags: those of the key and of the request."""
        self.principal = principal
        self.grant = principal.grant
        self.user = principal.user
        self.defer = defer
        self._stay = stay
        self._let_go: Callable[[], object] | None = None
        self.estimate: Estimate
        """What the request will use; it is set before providers are."""
        self._limiter = limiter
        key_payer = find_key_payer(principal)
        self._groups = name_groups(principal.team, tags) if principal.team or tags else ()
        self._payers = [key_payer] if key_payer else []
        """Those of all attempts."""
        self._tabs: dict[str, Tab] = {}
        """By account."""
        self._standings: dict[str, BucketLimit | Standing] = {}
        """By the names of the limits that this request has met."""
        self._open: set[AttemptReservation] = set()

    @property
    def standings(self) -> tuple[Standing, ...]:
        """How the caller stands with the limits that this request has met."""
        standings = [
            self._limiter.find_standing(met) if isinstance(met, BucketLimit) else met
            for met in self._standings.values()
        ]
        return tuple(filter(None, standings))

    @property
    def has_budget(self) -> bool:
        """Whether anything that pays for all attempts limits what is spent."""
        return any(payer.has_budget for payer in self._payers)

    async def admit(self) -> Refusal | None:
        """Charges the key's plain request limit, which the cache's answers count against too, and
        looks up the budgets that the request shares with others."""
        per_minute = self.principal.limits.requests_per_minute
        if per_minute is not None and (refusal := await self._charge_request(per_minute)):
            return refusal
        if not self._groups:
            return None
        found = await self._limiter.find_budgets(self._groups)
        if isinstance(found, Refusal):
            return found
        self._payers += map(make_group_payer, found)
        return None

    async def _charge_request(self, per_minute: int) -> Refusal | None:
        key = LeaseKey(f"key:{self.principal.key_id}")
        rate = Rate(burst=per_minute, per_hour=per_minute * 60)
        return await self._take_token(BucketLimit(key, PER_MINUTE, rate))

    async def charge(self, offer: Offer) -> Refusal | Reservation:
        """See core.permit.Permit."""
        if refusal := self._limiter.cooldowns.find_refusal(offer.provider, offer.model):
            return refusal
        self._let_go = self._let_go or self._stay()
        if not (payers := self._find_payers(offer)):
            return await self._take_tokens(offer) or NOTHING_RESERVED
        reserved = await self._reserve(offer, payers)
        if isinstance(reserved, Refusal):
            return reserved
        try:
            refusal = await self._take_tokens(offer)
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
        if not (self._payers or offer.allotment):
            return None  # as most are
        budgets = [payer for payer in self._find_payers(offer) if payer.has_budget]
        if not budgets:
            return None
        default = self._limiter.settings.default_max_tokens
        return self.estimate.output_limit(offer.max_output, offer.context, default)

    def close(self) -> None:
        """Reports what was settled, after the answer. What still stands open is lost. No attempt
        may follow."""
        for reserved in tuple(self._open):
            reserved.lose()
        for tab in self._tabs.values():
            tab.close(self.defer)

    def let_go(self) -> None:
        """Has the request end with its answer and what is deferred. No attempt may follow."""
        if self._let_go:
            self._let_go()

    def end(self, reserved: "AttemptReservation", used: tuple[int, int] | None) -> None:
        """Settles a reservation that is open by the tokens and nano-dollars that were used, or
        leaves it to the next attempt."""
        if reserved not in self._open:
            return
        self._open.remove(reserved)
        for tab, ticket in reserved.tickets:
            tab.end(ticket, used)

    def _take_tokens(self, offer: Offer) -> Coroutine[object, None, Refusal | None]:
        """Charges the caller's bucket at the provider, then that of the alias's target: who is over
        a limit of its own takes nothing from the others."""
        own = self._limiter.find_bucket(self.principal, offer.provider, offer.model)
        if offer.allotment is None or offer.allotment.per_hour is None:
            return self._take_token(own)
        shared = self._limiter.find_alias_bucket(offer.allotment, offer.allotment.per_hour)
        return self._take_both(own, shared)

    async def _take_both(self, own: BucketLimit, shared: BucketLimit) -> Refusal | None:
        return await self._take_token(own) or await self._limiter.take_token(shared, self.defer)

    def _take_token(self, bucket: BucketLimit) -> Coroutine[object, None, Refusal | None]:
        self._standings[bucket.limit] = bucket
        return self._limiter.take_token(bucket, self.defer)

    def _find_payers(self, offer: Offer) -> list[Payer]:
        """The accounts that an attempt is charged to."""
        alias_payer = find_alias_payer(offer.allotment) if offer.allotment else None
        return [*self._payers, alias_payer] if alias_payer else self._payers

    async def _reserve(
        self, offer: Offer, payers: Sequence[Payer]
    ) -> "AttemptReservation | Refusal":
        """Reserves for an attempt what it may use. payers: whose accounts it is charged to."""
        expected, nano_usd = self.estimate.expected(offer.max_output), 0
        output_limit = self.output_limit(offer)
        if output_limit is not None:
            if offer.most is None:
                label = next(payer.label for payer in payers if payer.has_budget)
                return refuse_unpriced(offer, label)
            nano_usd = offer.most(self.estimate.most(offer.context, output_limit))
        reserved = AttemptReservation(self, offer, Usage(input=expected.input))
        self._open.add(reserved)
        for payer in payers:
            if refusal := await self._reserve_at(payer, reserved, expected.total, nano_usd):
                return refusal
        return reserved

    async def _reserve_at(
        self, payer: Payer, reserved: "AttemptReservation", tokens: int, nano_usd: int
    ) -> Refusal | None:
        """Reserves of one account for an attempt. Where it refuses, nothing stays reserved."""
        tab = self._tabs.get(payer.account) or Tab(self._limiter, payer)
        self._tabs[payer.account] = tab
        ticket = tab.take_ticket()
        reserved.tickets.append((tab, ticket))
        try:
            refusal, standing = await tab.reserve(ticket, tokens, nano_usd)
        except BaseException:  # whether it was reserved is not known
            reserved.release()
            raise
        if standing:
            self._standings[standing.limit] = standing
        if refusal:
            if refusal.limit != UNREACHABLE:  # else the object may have reserved all the same
                reserved.tickets.pop()
            reserved.release()
        return refusal


class NoReservation:
    """core.permit.Reservation where nothing is reserved."""

    def settle(self, usage: Usage, cost: Cost) -> None:
        """Nothing is to be settled."""

    def lose(self) -> None:
        """Nothing is lost."""

    def release(self) -> None:
        """Nothing is free again."""


NOTHING_RESERVED = NoReservation()


class AttemptReservation:
    """core.permit.Reservation at accounts. lost: what is used if the attempt is given up."""

    def __init__(self, meter: Meter, offer: Offer, lost: Usage) -> None:
        self.tickets: list[tuple[Tab, str]] = []
        self._meter = meter
        self._most = offer.most
        self._lost = lost

    def settle(self, usage: Usage, cost: Cost) -> None:
        """See core.permit.Reservation."""
        nano_usd = cost.nano_usd
        if nano_usd is None:
            nano_usd = self._most(usage) if self._most else 0
        self._meter.end(self, (usage.total, nano_usd))

    def lose(self) -> None:
        """See core.permit.Reservation."""
        self.settle(self._lost, Cost(None))

    def release(self) -> None:
        """See core.permit.Reservation."""
        self._meter.end(self, None)
