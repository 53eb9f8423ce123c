"""The limits as the requests of one isolate meet them.

An isolate spends from leases of its own and calls an object only when they are used up. When
an object can't be reached in time, LIMITER_ON_ERROR decides; it is logged either way. One that
hangs costs one request its time-out and is then left alone for some seconds (core.circuit).
"""

import asyncio
import hashlib
from collections.abc import Callable, Coroutine, Mapping
from datetime import UTC, datetime
from typing import Any, TypeVar

from proxy.core.chat import Usage
from proxy.core.circuit import Circuit
from proxy.core.errors import Fault
from proxy.core.permit import Offer, Refusal, Reservation, Standing
from proxy.core.ports import Defer, Ports
from proxy.core.principal import Limits, Principal
from proxy.core.rpc import Method
from proxy.core.settings import LimitSettings
from proxy.limits.adaptive import SIGNAL
from proxy.limits.budget import RESERVE, SETTLE, Reserve, Settlement, Terms, Verdict
from proxy.limits.lease_messages import GIVE_BACK, TAKE
from proxy.limits.lessee import Lessee
from proxy.limits.quiet import Quiet, signal_from
from proxy.limits.reservations import UNREACHABLE, Estimate, Reservations
from proxy.limits.token_bucket import Rate
from proxy.limits.wording import again, refused

TIDY_MS = 12_000
"""How long after a lease was granted what is left of it is looked after."""
LONGEST_USER = 512
"""Bytes of a user's name that stand in the name of its buckets; the platform lets an object know
its name up to 1,024 bytes."""
DOLLAR = 1_000_000_000

A = TypeVar("A")
R = TypeVar("R")
_PERIODS = {"budget_day": "day", "budget_month": "month"}


class Limiter:
    """What all requests of an isolate share: leases, and which providers want quiet."""

    def __init__(self, settings: LimitSettings, ports: Ports) -> None:
        self._settings = settings
        self._ports = ports
        self._lessee = Lessee(ports.random.token(8), settings.lease)
        self._buckets = Circuit(ports.clock)
        self._accounts = Circuit(ports.clock)
        self._tidying = -TIDY_MS
        self.quiet = Quiet(ports.clock)

    def meter(self, principal: Principal, defer: Defer) -> "Meter":
        """The limits for one request. defer: has work done after the answer."""
        return Meter(self, principal, self._settings.default_max_tokens, defer)

    def ticket(self) -> str:
        """A reservation's id: of the proxy's making, since a caller's request id may come again."""
        return self._ports.random.token(8)

    @property
    def now(self) -> int:
        """Whole milliseconds since 1970."""
        return round(self._ports.clock.now() * 1000)

    def rate(self, principal: Principal, provider: str) -> Rate:
        """The key's limits, else the provider's, else the deployment's."""
        limits, there = principal.limits, self._settings.providers[provider]
        defaults = self._settings
        return Rate(
            burst=limits.burst or there.burst or defaults.burst,
            per_hour=_first(limits.per_hour, there.per_hour, defaults.per_hour),
        )

    async def take(
        self, name: str, limit: str, rate: Rate, defer: Defer, model: str = ""
    ) -> Refusal | None:
        """One token of a bucket; None: it may go. limit: what callers know the bucket as; model:
        what it is for, of a provider's bucket."""
        if self._lessee.spend(name, 1, self.now, model):
            return None
        sent = self.now
        ask = self._lessee.ask_for(name, rate, 1, sent, model)
        work = self._ports.objects.call(TAKE, name, ask)
        grant = await self._reach(self._buckets, name.partition(":")[2], work)
        if grant is None:
            return self._unreachable()
        self._lessee.granted(name, grant, sent, self.now, model)
        if grant.tokens > 1 and sent - self._tidying >= TIDY_MS // 2:
            self._tidying = sent
            defer(self._tidy())
        if self._lessee.spend(name, 1, self.now, model):
            return None
        wait = None if grant.wait is None else grant.wait / 1000
        return Refusal(limit=limit, message=refused(limit, rate, grant, wait), retry_after=wait)

    def standing(self, name: str, limit: str, rate: Rate, model: str = "") -> Standing | None:
        """How a bucket stands, as far as this isolate knows."""
        known = self._lessee.standing(name, self.now, model)
        if known is None or known.reset is None:
            return None
        rate = known.rate or rate
        return Standing(
            limit=limit,
            quota=rate.burst,
            window=rate.burst * 3600 / rate.per_hour if rate.per_hour else 0,
            remaining=known.remaining,
            reset=known.reset / 1000,
        )

    async def reserve(self, key_id: str, ask: Reserve) -> tuple[Refusal | None, Standing | None]:
        """Tokens and money of a key; no refusal: they are reserved. With it how the key's tokens
        stand."""
        work = self._ports.objects.call(RESERVE, key_id, ask)
        verdict = await self._reach(self._accounts, key_id, work)
        if verdict is None:
            return self._unreachable(), None
        return _refusal(verdict, ask), _tokens(verdict, ask.terms)

    async def settle(self, key_id: str, settlements: tuple[Settlement, ...]) -> None:
        """Reports what was used in the place of what was reserved."""
        await self._send(SETTLE, key_id, settlements)

    def observe(
        self,
        provider: str,
        model: str,
        headers: Mapping[str, str],
        fault: Fault | None,
        defer: Defer,
    ) -> None:
        """Obeys what a provider says of its own limits, and has all isolates told."""
        if not self._settings.adaptive:
            return
        signal = signal_from(model, headers, fault, self.now)
        if signal and self.quiet.note(provider, signal):
            defer(self._send(SIGNAL, provider, signal))

    async def _tidy(self) -> None:
        """Gives back, for as long as a lease lives, what nobody needs."""
        for _ in range(TIDY_MS // 1000):
            await asyncio.sleep(1)
            for name, returns in self._lessee.idle_returns(self.now):
                await self._send(GIVE_BACK, name, returns)

    async def _reach(self, circuit: Circuit, name: str, work: Coroutine[Any, Any, R]) -> R | None:
        """An object's answer that a request waits for, None where it gave none."""
        try:
            return await circuit.call(name, work, self._settings.timeout_ms / 1000)
        except Exception as error:
            self._ports.log("error", "limiter unreachable", error=repr(error)[:500])
            return None

    async def _send(self, method: Method[A, None], name: str, argument: A) -> None:
        """Reports to an object beside the requests; what does not arrive in time is lost."""
        try:
            async with asyncio.timeout(self._settings.timeout_ms / 1000):
                await self._ports.objects.call(method, name, argument)
        except Exception as error:
            self._ports.log("error", "limiter unreachable", error=repr(error)[:500])

    def _unreachable(self) -> Refusal | None:
        if self._settings.on_error == "open":
            return None
        return Refusal(
            limit=UNREACHABLE, message="The limits can't be checked now. Try again.", retry_after=1
        )


class Meter:
    """core.permit.Permit: the limits for one request of one caller."""

    def __init__(
        self, limiter: Limiter, principal: Principal, default_max_tokens: int, defer: Defer
    ) -> None:
        self.principal = principal
        self._limiter = limiter
        self._reservations = Reservations(limiter, principal, default_max_tokens, defer)
        self._standings: dict[str, Callable[[], Standing | None]] = {}
        self.grant = principal.grant
        self.user = principal.user
        self.defer = defer
        self.estimate: Estimate
        """What the request will use; it is set before providers are."""

    @property
    def standings(self) -> tuple[Standing, ...]:
        """How the caller stands with the limits that this request has met."""
        told = (standing() for standing in self._standings.values())
        return tuple(standing for standing in told if standing)

    async def admit(self) -> Refusal | None:
        """Charges the key's plain request limit, which the cache's answers count against too."""
        per_minute = self.principal.limits.requests_per_minute
        if per_minute is None:
            return None
        rate = Rate(burst=per_minute, per_hour=per_minute * 60)
        return await self._take(f"key:{self.principal.key_id}", "requests_per_minute", rate)

    async def charge(self, offer: Offer) -> Refusal | Reservation:
        """See core.permit.Permit."""
        limiter, provider = self._limiter, offer.provider
        if refusal := limiter.quiet.closed(provider, offer.model):
            return refusal
        reserved, standing = await self._reservations.reserve(self.estimate, offer)
        if standing:
            self._standings[standing.limit] = lambda: standing
        if isinstance(reserved, Refusal):
            return reserved
        rate = limiter.rate(self.principal, provider)
        principal = self.principal
        name = bucket_name(provider, principal.user, principal.key_id, principal.limits)
        try:
            refusal = await self._take(name, f"provider:{provider}", rate, offer.model)
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

    async def _take(self, name: str, limit: str, rate: Rate, model: str = "") -> Refusal | None:
        limiter = self._limiter  # a closure over `self` would keep the request until a collection
        self._standings[limit] = lambda: limiter.standing(name, limit, rate, model)
        return await limiter.take(name, limit, rate, self.defer, model)


def bucket_name(
    provider: str, user: str, key_id: str | None = None, limits: Limits | None = None
) -> str:
    """The name of the object that limits a user at a provider. A key with limits of its own has an
    object of its own; no user has a line break in its name. A long name of a user is cut and told
    apart by its SHA-256; no user's own name begins with a space."""
    data = user.encode(errors="surrogatepass")
    if len(data) > LONGEST_USER:
        user = f" {user[:40]} {hashlib.sha256(data).hexdigest()}"
    own = key_id and limits and (limits.per_hour, limits.burst) != (None, None)
    return f"{provider}:{user}\n{key_id}" if own else f"{provider}:{user}"


def _first(*values: int | None) -> int:
    return next(value for value in values if value is not None)


def _refusal(verdict: Verdict, ask: Reserve) -> Refusal | None:
    """What the account's verdict is to the caller; None: granted."""
    if verdict.limit is None:
        return None
    wait = None if verdict.wait is None else verdict.wait / 1000
    if period := _PERIODS.get(verdict.limit):
        left, quota = verdict.left / DOLLAR, verdict.quota / DOLLAR
        return Refusal(
            limit=verdict.limit,
            message=f"The key's budget of ${quota:g} a {period} does not allow this: ${left:.6f}"
            f" are left, and the answer may cost ${ask.nano_usd / DOLLAR:.6f}. A lower limit of its"
            f" tokens reserves less. The budget is renewed at {_moment(verdict.resets_at)}.",
            retry_after=wait,
        )
    return Refusal(
        limit=verdict.limit,
        message=f"Rate limit exceeded: the key's {verdict.quota} tokens a minute, of which"
        f" {max(0, verdict.left)} are left. {again(wait)}",
        retry_after=wait,
    )


def _tokens(verdict: Verdict, terms: Terms) -> Standing | None:
    """How the key's tokens a minute stand, where the verdict tells."""
    quota = terms.tokens_per_minute
    if quota is None or verdict.limit not in (None, "tokens_per_minute"):
        return None
    left = max(0, verdict.left)
    return Standing(
        limit="tokens_per_minute",
        quota=quota,
        window=60,
        remaining=left,
        reset=60 * (1 - left / quota),
    )


def _moment(ms: int) -> str:
    """RFC 3339, to the second."""
    return f"{datetime.fromtimestamp(ms // 1000, UTC).replace(tzinfo=None).isoformat()}Z"
