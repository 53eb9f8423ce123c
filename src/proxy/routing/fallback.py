"""The fallback run: one request on its way through its candidates, retried, hedged, passed on.

One deadline covers all attempts. Each attempt is recorded, whatever the end.
"""

import asyncio
from collections.abc import Callable, Coroutine, Sequence
from functools import partial
from typing import Generic, TypeAlias, TypeVar

from msgspec import Struct, structs

from proxy.core.chat import CANCELLED, Attempt, Cost, Usage
from proxy.core.choices import Reason
from proxy.core.errors import GIVEN_UP, Fault, FaultKind, ProxyError, drop_frames
from proxy.core.patience import within
from proxy.core.permit import Permit, Refusal, Reservation
from proxy.core.ports import Clock, Outgoing, Random
from proxy.providers.target import Target
from proxy.routing.deadline import Allowance, Deadline, out_of_time
from proxy.routing.failure import as_limit_error, as_proxy_error, record_attempt, record_unsent
from proxy.routing.hedge import race
from proxy.routing.operations import Operation
from proxy.routing.retry import RetryPolicy, retry_delay
from proxy.routing.strategy import Order
from proxy.routing.stream import Stream
from proxy.routing.watch import Watch, WatchedAttempt, attributed

T = TypeVar("T")

PROVIDER_WIDE: frozenset[FaultKind] = frozenset({"timeout", "network"})
"""Faults after which no other model of the same provider is tried for this request, as after a
refusal of the proxy's own key."""
MAY_COST: frozenset[FaultKind] = frozenset({"timeout", "garbage", "unavailable"})
"""Faults for which the provider may bill the request, unless its status says that it failed."""
WORTH_WAITING = 2.0
"""Seconds that a retry may wait while another candidate could be tried at once."""


class Success(Struct, frozen=True):
    """The attempt that gave a result, and those before it."""

    target: Target
    dropped: tuple[str, ...]
    watched: WatchedAttempt
    """Has to be ended when the answer has."""
    reservation: Reservation
    """Has to be settled by what the answer used."""
    priced_at: float | None = None
    """The moment whose prices hold."""
    attempts: tuple[Attempt, ...] = ()
    explain: Callable[[], list[Order]] = list
    """How the candidates were ordered, group by group, for an operator."""
    reason: Reason | None = None

    def cost(self, usage: Usage, *, estimated: bool) -> Cost:
        """What the answer cost, by the model that gave it. estimated: whether the provider has
        not reported what it used."""
        cost = self.target.model.prices.compute_cost(usage, self.priced_at)
        return Cost(cost.nano_usd, "estimated") if estimated and cost.origin else cost


class Conditions(Struct, frozen=True):
    """What holds for all attempts of a request."""

    clock: Clock
    random: Random
    began: float
    """When the request came, in seconds since 1970."""
    deadline: Deadline
    retry_policy: RetryPolicy
    hedge_after: float
    """Seconds after which the next candidate races the one under way; 0: never."""
    priced_at: float | None = None
    """The moment whose prices hold, in seconds since 1970; None: base prices do."""


Result: TypeAlias = tuple[T, Success]


class FallbackRun(Generic[T]):
    """The attempts of one request."""

    def __init__(
        self,
        operation: Operation[T],
        targets: Sequence[Target],
        permit: Permit,
        watch: Watch,
        conditions: Conditions,
    ) -> None:
        self.attempts: list[Attempt] = []
        self._operation = operation
        self._permit = permit
        self._watch = watch
        self._conditions = conditions
        self._now = conditions.clock.now
        self._refusals: list[Refusal] = []
        self._fault: Fault | None = None
        """That of the last candidate that failed."""
        self._sent = False
        """Whether any attempt has gone out."""
        self._waiting = list(targets)
        self._barred: list[Target] = []
        """Those that their breakers kept out."""
        self._least_bad: Target | None = None

    async def run(self) -> Result[T]:
        """The first result. Raises ProxyError where there is none."""
        while self._waiting and self._left > 0:
            if result := await self._try_next():
                return result
            if self._fault and not self._fault.falls_over:
                break
            if not self._waiting and not self._sent:
                self._admit_least_bad()
        attempts = tuple(self.attempts)
        if self._fault:
            raise as_proxy_error(self._fault, attempts)
        if self._refusals:
            raise as_limit_error(self._refusals, attempts)
        raise as_proxy_error(out_of_time("The request's own time was up at once."), attempts)

    @property
    def _left(self) -> float:
        return self._conditions.deadline.at - self._now()

    def _admit_least_bad(self) -> None:
        """Has the least bad of those that their breakers kept out tried, where that is all there
        is: better than a blank refusal."""
        if self._barred:
            self._least_bad = min(self._barred, key=self._watch.openness)
            self._barred.remove(self._least_bad)
            self.attempts.remove(record_unsent(self._least_bad, "breaker_open"))
            self._waiting.append(self._least_bad)

    def _try_next(self) -> Coroutine[object, None, Result[T] | None]:
        """Tries the next candidate, and the one after it where the first takes long."""
        first, after = self._try_candidate(), self._conditions.hedge_after
        if not after or len(self._waiting) < 2:
            return first
        return race(first, self._try_candidate, after, self._abandon)

    def _abandon(self, result: Result[T]) -> None:
        """Ends an attempt whose result came too late: what it may cost is counted."""
        value, success = result
        success.watched.end(GIVEN_UP)
        success.reservation.lose()
        if isinstance(value, Stream):
            value.abort()

    async def _try_candidate(self) -> Result[T] | None:
        """Tries the first of those that wait, again where that may help."""
        if not self._waiting:
            return None
        target = self._take_next()
        if self._is_barred(target) or (outgoing := await self._prepare(target)) is None:
            return None
        tries = 0
        while self._left > 0 and not (tries and self._is_barred(target)):
            reservation = await self._reserve(target)
            if reservation is None:
                break
            if not tries:
                self._watch.budget.deposit(target.spec.name)
            result = await self._attempt(target, outgoing, reservation)
            if not isinstance(result, Fault):
                return result
            tries += 1
            pause = self._pause(target, result, tries)
            if pause is None:
                break
            await asyncio.sleep(pause)
        return None

    def _take_next(self) -> Target:
        """The next candidate, in the dialect that suits the request."""
        candidate = self._waiting.pop(0)
        target = self._operation.aim(candidate)
        if candidate is self._least_bad:
            self._least_bad = target
        return target

    def _is_barred(self, target: Target) -> bool:
        """Whether the breaker keeps it out. Nothing is awaited between this and the attempt."""
        if target is self._least_bad or not self._watch.openness(target):
            return False
        self._barred.append(target)
        self.attempts.append(record_unsent(target, "breaker_open"))
        return True

    async def _prepare(self, target: Target) -> Outgoing | None:
        """The call, None where it can't be made: no word about the provider, and no charge. Raises
        ProxyError where no candidate's can."""
        start = self._now()
        try:
            return await self._operation.prepare(target, partial(self._allow, target, start))
        except Fault as fault:
            self._record_failure(target, fault, start)
            return None
        except ProxyError as error:
            error.attempts = tuple(self.attempts)
            raise

    async def _reserve(self, target: Target) -> Reservation | None:
        """What an attempt may use; None where the limits, the breaker or the time forbid it."""
        reservation = await self._permit.charge(target.offer)
        if isinstance(reservation, Refusal):
            self._refusals.append(reservation)
            self.attempts.append(record_unsent(target, "limited", reservation.message))
            return None
        if self._is_barred(target) or self._left <= 0:
            reservation.release()
            return None
        return reservation

    async def _attempt(
        self, target: Target, outgoing: Outgoing, reservation: Reservation
    ) -> Result[T] | Fault:
        """Sends the call, with another key as long as its key alone is at fault. A change of key is
        no retry: it waits for nothing and charges nothing anew."""
        converse, tried = self._operation.converse, set[int]()
        chosen: Target | None = self._watch.keys.assign(target, converse)
        while True:
            if chosen and chosen.key_number:
                headers = outgoing.headers | chosen.key_headers
                outgoing = structs.replace(outgoing, headers=headers)
            sent, start = chosen or target, self._now()
            first_byte = self._conditions.deadline.allow_first_byte(start, len(self._waiting))
            whole, watched = self._allow(sent, start), WatchedAttempt(self._watch, sent)
            self._sent = True
            try:
                with within(whole.seconds, shortest=first_byte.seconds):
                    value = await self._operation.attempt(sent, outgoing, first_byte)
            except TimeoutError:
                fault = whole.run_out()
            except Fault as error:
                fault = error
            except BaseException as error:  # another was faster, the caller is gone, or a bug
                self._give_up(error, sent, watched, reservation, start)
                raise
            else:
                if self._operation.needs.streaming:
                    watched.note_first_content()
                self._record(sent, None, start)
                priced_at = self._conditions.priced_at
                return value, Success(sent, outgoing.dropped, watched, reservation, priced_at)
            self._fail(sent, fault, watched, reservation, start)
            if chosen and fault.blame == "key" and self._left > 0:
                tried.add(chosen.key_number)
                chosen = self._watch.keys.assign(target, converse, tried)
                if chosen:
                    continue
            reservation.release()  # unless it is lost already
            return fault

    def _fail(
        self,
        target: Target,
        fault: Fault,
        watched: WatchedAttempt,
        reservation: Reservation,
        start: float,
    ) -> None:
        """Ends an attempt that failed. The reservation stands on where it has cost nothing."""
        fault.blame = attributed(target, fault.outcome).blame or fault.blame
        watched.end(fault.outcome, key_refused=fault.refuses_key)
        if fault.status is None and fault.kind in MAY_COST:
            reservation.lose()
        self._record_failure(target, fault, start)

    def _record_failure(self, target: Target, fault: Fault, start: float) -> None:
        """Records a failed candidate, and drops those that need not be tried after it."""
        self._fault = drop_frames(fault)
        self._record(target, fault, start)
        refused_key = fault.kind == "unauthorized" and fault.blame == "provider"
        if refused_key or fault.kind in PROVIDER_WIDE:
            self._waiting = [t for t in self._waiting if t.spec.name != target.spec.name]

    def _record(self, target: Target, fault: Fault | None, start: float) -> None:
        """Records a candidate that ends now."""
        began = self._conditions.began
        self.attempts.append(record_attempt(target, fault, began, start, self._now()))

    def _give_up(
        self,
        error: BaseException,
        target: Target,
        watched: WatchedAttempt,
        reservation: Reservation,
        start: float,
    ) -> None:
        """Ends an attempt that is broken off. One that was cancelled is recorded before that which
        was faster: the last one is the one that answers."""
        watched.end(GIVEN_UP)
        reservation.lose()
        if isinstance(error, asyncio.CancelledError):
            attempt = record_attempt(target, None, self._conditions.began, start, self._now())
            cancelled = structs.replace(attempt, outcome=CANCELLED, blame="proxy")
            self.attempts.insert(max(0, len(self.attempts) - 1), cancelled)

    def _allow(self, target: Target, now: float) -> Allowance:
        """What an attempt may take as a whole."""
        waiting = self._waiting
        others = self._watch.count_closed(waiting, target.spec.name) if waiting else 0
        return self._conditions.deadline.allow_whole(now, others)

    def _pause(self, target: Target, fault: Fault, tries: int) -> float | None:
        """Seconds until the same provider is tried again; None: it is not."""
        left = self._left / (1 + len(self._waiting))
        if self._waiting:
            left = min(left, WORTH_WAITING)
        random = self._conditions.random.fraction
        pause = retry_delay(fault, tries, left, self._conditions.retry_policy, random)
        if pause is None or not self._watch.budget.withdraw(target.spec.name):
            return None
        return pause
