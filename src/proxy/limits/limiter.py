"""The limits as the requests of one isolate meet them.

An isolate spends from leases of its own and calls an object only when they are used up. When
an object can't be reached in time, LIMITER_ON_ERROR decides, of budgets within what was last known
of them (limits.last_known); it is logged either way. One that hangs costs one request its time-out
and is then left alone for some seconds (core.circuit).
"""

import asyncio
import hashlib
from collections.abc import Coroutine, Mapping
from functools import lru_cache
from typing import TypeVar

from msgspec import Struct

from proxy.core.choices import Allotment
from proxy.core.circuit import Circuit
from proxy.core.errors import Fault
from proxy.core.permit import Refusal, Standing
from proxy.core.ports import Defer, Ports
from proxy.core.principal import Limits, Principal
from proxy.core.rpc import Method
from proxy.core.settings import LimitSettings
from proxy.limits.account import DAY
from proxy.limits.account_messages import (
    RESERVE,
    SETTLE,
    ReservationAnswer,
    ReservationRequest,
    Settlement,
)
from proxy.limits.budget_view import BudgetView
from proxy.limits.cooldowns import Cooldowns
from proxy.limits.last_known import LastKnownBudgets
from proxy.limits.lease_client import LeaseClient, LeaseKey
from proxy.limits.lease_messages import GIVE_BACK, TAKE, LeaseGrant, LeaseRequest
from proxy.limits.pool_messages import SIGNAL
from proxy.limits.refusals import THE_KEY, refuse_reservation, refuse_tokens, refuse_unreachable
from proxy.limits.shared_budgets import SharedBudget
from proxy.limits.signals import read_signal
from proxy.limits.token_bucket import Rate

A = TypeVar("A")
R = TypeVar("R")

TIDY_MS = 12_000
"""How long after a lease was granted what is left of it is looked after."""
SETTLE_PAUSES = (1.0, 4.0)
"""Seconds before a settlement is sent again: an object that starts anew takes so long."""
BUCKETS_KNOWN = 500
"""Buckets of which an isolate remembers what they are."""
LONGEST_USER = 512
"""Bytes of a user's name that stand in the name of its buckets; the platform lets an object know
its name up to 1,024 bytes."""


class BucketLimit(Struct, frozen=True):
    """A token bucket as a request meets it."""

    key: LeaseKey
    limit: str
    """Its name to callers; see core.permit.Standing."""
    rate: Rate
    """The configured one."""
    label: str = ""
    """What it is called to callers, where that is no user's or key's."""


class Limiter:
    """What all requests of an isolate share: leases, and which providers are left alone."""

    def __init__(self, settings: LimitSettings, ports: Ports) -> None:
        self.settings = settings
        self.cooldowns = Cooldowns(ports.clock)
        self.budgets = BudgetView(ports.objects, ports.clock, ports.log)
        self._clock, self._random, self._log = ports.clock, ports.random, ports.log
        self._objects = ports.objects
        self._leases = LeaseClient(ports.random.token(8), settings.lease)
        self._bucket_circuit = Circuit(ports.clock)
        self._account_circuit = Circuit(ports.clock)
        self._last_known = LastKnownBudgets()
        self._tidied_at = -TIDY_MS
        self.rates = {
            provider: Rate(
                burst=own.burst or settings.burst,
                per_hour=settings.per_hour if own.per_hour is None else own.per_hour,
            )
            for provider, own in settings.providers.items()
        }
        self._buckets = lru_cache(BUCKETS_KNOWN)(self._make_bucket)
        """The configured rate of each user at each provider."""

    def make_ticket(self) -> str:
        """A reservation's id: of the proxy's making, since a caller's request id may come again."""
        return self._random.token(8)

    def find_bucket(self, principal: Principal, provider: str, model: str) -> BucketLimit:
        """A caller's bucket at a provider, at the key's rate, else the provider's, else the
        deployment's."""
        return self._buckets(provider, model, principal.user, principal.key_id, principal.limits)

    def _make_bucket(
        self, provider: str, model: str, user: str, key_id: str | None, limits: Limits
    ) -> BucketLimit:
        rate = self.rates[provider]
        if limits.burst or limits.per_hour is not None:
            per_hour = rate.per_hour if limits.per_hour is None else limits.per_hour
            rate = Rate(burst=limits.burst or rate.burst, per_hour=per_hour)
        name = name_bucket(provider, user, key_id, limits)
        return BucketLimit(LeaseKey(name, model), f"provider:{provider}", rate)

    def find_alias_bucket(self, allotment: Allotment, per_hour: int) -> BucketLimit:
        """The bucket that all callers of an alias share at one of its targets."""
        rate = Rate(burst=allotment.burst, per_hour=per_hour)
        return BucketLimit(LeaseKey(allotment.name), allotment.name, rate, allotment.label)

    async def take_token(self, bucket: BucketLimit, defer: Defer) -> Refusal | None:
        """Spends one token of a bucket; None: it is spent."""
        leases, key, now = self._leases, bucket.key, self._now
        if leases.spend(key, 1, now):
            if ahead := leases.build_request_ahead(key, bucket.rate, now):
                defer(self._lease(key, ahead, now, defer))
            return None
        request = leases.build_request(key, bucket.rate, 1, now)
        grant = await self._lease(key, request, now, defer)
        if grant is None:
            return self._refuse_unreachable()
        if leases.spend(key, 1, self._now):
            return None
        return refuse_tokens(bucket.limit, bucket.rate, grant, bucket.label)

    async def _lease(
        self, key: LeaseKey, request: LeaseRequest, sent_at: int, defer: Defer
    ) -> LeaseGrant | None:
        """Takes in what a bucket's object grants; None: it gave no answer."""
        work = self._objects.call(TAKE, key.bucket, request)
        grant = await self._reach(self._bucket_circuit, key.bucket.partition(":")[2], work)
        if grant is None:
            return None
        self._leases.accept(key, grant, sent_at, self._now)
        if grant.tokens > 1 and sent_at - self._tidied_at >= TIDY_MS // 2:
            self._tidied_at = sent_at
            defer(self._tidy())
        return grant

    def find_standing(self, bucket: BucketLimit) -> Standing | None:
        """How a bucket stands, as far as this isolate knows."""
        level = self._leases.read_level(bucket.key, self._now)
        if level is None or level.reset is None:
            return None
        rate = level.rate or bucket.rate
        return Standing(
            limit=bucket.limit,
            quota=rate.burst,
            window=rate.burst * 3600 / rate.per_hour if rate.per_hour else 0,
            remaining=level.remaining,
            reset=level.reset / 1000,
        )

    async def reserve(
        self, account: str, request: ReservationRequest, label: str = THE_KEY
    ) -> tuple[Refusal | None, Standing | None]:
        """Tokens and money of an account; no refusal: they are reserved, or LIMITER_ON_ERROR is
        open and the budget was not spent when the account last answered. With it how its tokens
        stand. label: what it is called to callers."""
        work = self._objects.call(RESERVE, account, request)
        answer = await self._reach(self._account_circuit, account, work)
        if answer is None:
            is_open = self.settings.on_error == "open"
            if request.limits.has_budget and is_open:
                is_open = self._last_known.spend(account, request.nano_usd, self._now // DAY)
            return None if is_open else refuse_unreachable(), None
        if answer.money_left is not None:
            self._last_known.learn(account, answer.money_left)
        standing = _token_standing(answer, request.limits.tokens_per_minute)
        return refuse_reservation(answer, request, label), standing

    async def find_budgets(self, names: tuple[str, ...]) -> list[SharedBudget] | Refusal:
        """The shared budgets of these names. Where they can't be known, LIMITER_ON_ERROR decides
        between none of them and a refusal."""
        found = await self.budgets.find(names)
        return (self._refuse_unreachable() or []) if found is None else found

    async def settle(self, account: str, settlements: tuple[Settlement, ...]) -> None:
        """Reports what was used in the place of what was reserved. It is sent again where that
        fails, and counts once: a reservation that nobody settles lapses, and the money is free."""
        for pause in SETTLE_PAUSES:
            if await self._report(SETTLE, account, settlements):
                return
            await asyncio.sleep(pause)
        await self._report(SETTLE, account, settlements)

    def observe(
        self,
        provider: str,
        model: str,
        headers: Mapping[str, str],
        fault: Fault | None,
        defer: Defer,
    ) -> None:
        """Obeys what a provider says of its own limits, and reports it to the provider's pool."""
        if not self.settings.adaptive:
            return
        signal = read_signal(model, headers, fault, self._now)
        if signal and self.cooldowns.record(provider, signal):
            defer(self._report(SIGNAL, provider, signal))

    @property
    def _now(self) -> int:
        """Whole milliseconds since 1970."""
        return round(self._clock.now() * 1000)

    async def _tidy(self) -> None:
        """Gives back, for as long as a lease lives, what nobody needs."""
        for _ in range(TIDY_MS // 1000):
            await asyncio.sleep(1)
            for name, returns in self._leases.collect_returns(self._now):
                await self._report(GIVE_BACK, name, returns)

    async def _reach(
        self, circuit: Circuit, name: str, work: Coroutine[object, None, R]
    ) -> R | None:
        """An object's answer that a request waits for, None where it gave none."""
        try:
            return await circuit.call(name, work, self.settings.timeout_ms / 1000)
        except Exception as error:
            self._log_unreachable(error)
            return None

    async def _report(self, method: Method[A, None], name: str, argument: A) -> bool:
        """Reports to an object beside the requests. False: it did not confirm it in time."""
        try:
            async with asyncio.timeout(self.settings.timeout_ms / 1000):
                await self._objects.call(method, name, argument)
        except Exception as error:
            self._log_unreachable(error)
            return False
        return True

    def _log_unreachable(self, error: Exception) -> None:
        self._log("error", "limiter unreachable", error=repr(error)[:500])

    def _refuse_unreachable(self) -> Refusal | None:
        return None if self.settings.on_error == "open" else refuse_unreachable()


def name_bucket(
    provider: str, user: str, key_id: str | None = None, limits: Limits | None = None
) -> str:
    """The name of the object that limits a user at a provider. A key with limits of its own has an
    object of its own; no user has a line break in its name. A long name of a user is cut and
    followed by its SHA-256; no user's own name begins with a space."""
    data = user.encode(errors="surrogatepass")
    if len(data) > LONGEST_USER:
        user = f" {user[:40]} {hashlib.sha256(data).hexdigest()}"
    own = key_id and limits and (limits.per_hour, limits.burst) != (None, None)
    return f"{provider}:{user}\n{key_id}" if own else f"{provider}:{user}"


def _token_standing(answer: ReservationAnswer, quota: int | None) -> Standing | None:
    """How the key's tokens a minute stand, where the answer says it."""
    if quota is None or answer.limit not in (None, "tokens_per_minute"):
        return None
    left = max(0, answer.left)
    return Standing(
        limit="tokens_per_minute",
        quota=quota,
        window=60,
        remaining=left,
        reset=60 * (1 - left / quota),
    )
