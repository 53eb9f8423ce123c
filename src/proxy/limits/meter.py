"""The limits as one request meets them."""

from collections.abc import Callable, Mapping

from proxy.core.chat import Usage
from proxy.core.errors import Fault
from proxy.core.permit import Offer, Refusal, Reservation, Standing
from proxy.core.ports import Defer
from proxy.core.principal import Principal
from proxy.limits.estimate import Estimate
from proxy.limits.lease_client import LeaseKey
from proxy.limits.limiter import BucketLimit, Limiter
from proxy.limits.reservations import Reservations
from proxy.limits.token_bucket import Rate


class Meter:
    """core.permit.Permit of one request of one caller. defer: has work done after the answer."""

    def __init__(self, limiter: Limiter, principal: Principal, defer: Defer) -> None:
        self.principal = principal
        self.grant = principal.grant
        self.user = principal.user
        self.defer = defer
        self.estimate: Estimate
        """What the request will use; it is set before providers are."""
        self._limiter = limiter
        self._reservations = Reservations(limiter, principal, defer)
        self._standings: dict[str, Callable[[], Standing | None]] = {}

    @property
    def standings(self) -> tuple[Standing, ...]:
        """How the caller stands with the limits that this request has met."""
        standings = (find_standing() for find_standing in self._standings.values())
        return tuple(standing for standing in standings if standing)

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
        reserved, standing = await self._reservations.reserve(self.estimate, offer)
        if standing:
            self._standings[standing.limit] = lambda: standing
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
        if not self._reservations.has_budget:
            return None
        return self._reservations.output_limit(self.estimate, offer)

    def close(self) -> None:
        """Reports what was settled, after the answer. No attempt may follow."""
        self._reservations.close()

    async def _take_token(self, bucket: BucketLimit) -> Refusal | None:
        limiter = self._limiter  # a closure over `self` would keep the request until a collection
        self._standings[bucket.limit] = lambda: limiter.find_standing(bucket)
        return await limiter.take_token(bucket, self.defer)
