"""One request on its way through its candidates: retried, hedged, passed on.

One deadline covers all attempts. What each attempt met is kept, and told whatever the end.
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Generic, TypeVar

from msgspec import Struct

from proxy.core.chat import Attempt
from proxy.core.errors import Fault, FaultKind, ProxyError
from proxy.core.permit import Permit, Refusal, Reservation
from proxy.core.ports import Clock, Outgoing, Random
from proxy.providers.adapter import Target
from proxy.routing.failure import as_proxy_error, limited, passed_over, refused, told
from proxy.routing.retry import Retrying, delay
from proxy.routing.watch import Call, Watch

T = TypeVar("T")

PROVIDER_WIDE: frozenset[FaultKind] = frozenset({"unauthorized", "timeout", "network"})
"""Faults after which no other model of the same provider is tried for this request."""
WORTH_WAITING = 2.0
"""Seconds that a retry may wait while another candidate could be asked at once."""


class Won(Struct, Generic[T], frozen=True):
    """An attempt's result and the attempt itself, which is to be ended by who takes it."""

    result: T
    target: Target
    dropped: tuple[str, ...]
    call: Call
    reservation: Reservation


class Terms(Struct, frozen=True):
    """What holds for all attempts of a request."""

    deadline: float
    """Seconds since 1970."""
    retrying: Retrying
    hedge_after: float
    """Seconds after which the next candidate is asked too; 0: never."""


class Run(Generic[T]):
    """The attempts of one request. attempt: makes one, given the seconds to its first byte, and
    raises Fault; discard: what to do with a result that came too late; prepare: what a candidate
    needs before it is tried, given the seconds left. What fails there is the caller's: it raises
    ProxyError, and no provider answers for it."""

    def __init__(
        self,
        targets: Sequence[Target],
        terms: Terms,
        permit: Permit,
        watch: Watch,
        clock: Clock,
        random: Random,
        attempt: Callable[[Target, float], Awaitable[tuple[T, Outgoing]]],
        discard: Callable[[T], None],
        prepare: Callable[[Target, float], Awaitable[None]] | None = None,
    ) -> None:
        self.attempts: list[Attempt] = []
        self._terms = terms
        self._permit = permit
        self._watch = watch
        self._clock = clock
        self._random = random
        self._attempt = attempt
        self._discard = discard
        self._prepare = prepare
        self._refusals: list[Refusal] = []
        self._tried = False
        self._fault = Fault("timeout", "No time was left for an attempt.")
        self._waiting = list(targets)
        self._least_bad: Target | None = None
        if all(map(watch.openness, targets)):  # better the least bad than a blank refusal
            self._least_bad = min(targets, key=watch.openness)

    async def won(self) -> Won[T]:
        """The first result. Raises ProxyError where there is none."""
        while self._waiting and self._left() > 0:
            if won := await self._next():
                return won
            if self._tried and not self._fault.falls_over:
                break
        if self._refusals and not self._tried:
            raise refused(self._refusals, tuple(self.attempts))
        raise as_proxy_error(self._fault, tuple(self.attempts))

    async def _next(self) -> Won[T] | None:
        """The next candidate, and the one after it where the first takes long."""
        target = self._waiting.pop(0)
        if not (self._terms.hedge_after and self._waiting):
            return await self._at(target)
        racing = {asyncio.ensure_future(self._at(target))}
        try:
            done, _ = await asyncio.wait(racing, timeout=self._terms.hedge_after)
            if not done and self._waiting:
                racing.add(asyncio.ensure_future(self._at(self._waiting.pop(0))))
            return await self._first_of(racing)
        finally:
            await self._call_off(racing)

    async def _first_of(self, racing: set[asyncio.Task[Won[T] | None]]) -> Won[T] | None:
        """The first result; who is taken leaves `racing`. Raises ProxyError where there is none
        and the request could not be prepared for one of them."""
        refusal: ProxyError | None = None
        while racing:
            done, _ = await asyncio.wait(racing, return_when=asyncio.FIRST_COMPLETED)
            for task in done:
                racing.discard(task)
                try:
                    if won := task.result():
                        return won
                except ProxyError as error:
                    refusal = error
        if refusal:
            raise refusal
        return None

    async def _call_off(self, racing: set[asyncio.Task[Won[T] | None]]) -> None:
        """Ends what has lost: its connection is closed, what it may cost is counted."""
        for task in racing:
            task.cancel()
        for result in await asyncio.gather(*racing, return_exceptions=True):
            if isinstance(result, Won):
                result.call.end("gone")
                self._discard(result.result)
                result.reservation.lose()

    async def _at(self, target: Target) -> Won[T] | None:
        """One candidate, again where that may help."""
        tries = 0
        while (left := self._left()) > 0:
            if self._is_closed_to(target):
                return None
            await self._prepare_for(target, left)
            charged = await self._permit.charge(target.offer)
            if isinstance(charged, Refusal):
                self._refusals.append(charged)
                self.attempts.append(limited(target, charged))
                return None
            if self._is_closed_to(target):
                charged.release()
                return None
            if tries == 0:
                self._watch.budget.deposit(target.spec.name)
            if (left := self._left()) <= 0:
                charged.release()
                return None
            tried = await self._try(target, left, charged)
            if isinstance(tried, Won):
                return tried
            tries += 1
            pause = self._pause(target, tried, tries)
            if pause is None:
                break
            await asyncio.sleep(pause)
        return None

    async def _prepare_for(self, target: Target, left: float) -> None:
        """Has the request prepared for a candidate. Raises ProxyError."""
        if self._prepare is None:
            return
        try:
            await self._prepare(target, left)
        except ProxyError as error:
            error.attempts = tuple(self.attempts)
            raise

    def _is_closed_to(self, target: Target) -> bool:
        """Whether the breaker stands before it. Nothing is awaited between this and the try."""
        if target is self._least_bad or not self._watch.openness(target):
            return False
        self.attempts.append(passed_over(target))
        return True

    async def _try(self, target: Target, left: float, reservation: Reservation) -> Won[T] | Fault:
        start = self._clock.now()
        call = self._watch.begin(target)
        self._tried = True
        try:
            async with asyncio.timeout(self._spendable(target, left)):
                result, outgoing = await self._attempt(target, left / (1 + len(self._waiting)))
        except TimeoutError:
            fault = Fault("timeout", "The answer did not come in time.")
        except Fault as error:
            fault = error
        except asyncio.CancelledError:  # another was faster, or the caller is gone
            call.end("gone")
            reservation.lose()
            raise
        except BaseException:
            call.end("gone")
            reservation.release()
            raise
        else:
            call.first()
            self.attempts.append(told(target, None, start, self._clock.now()))
            return Won(result, target, outgoing.dropped, call, reservation)
        call.end(fault.kind)
        if fault.kind == "timeout" and fault.status is None:  # it may be at work all the same
            reservation.lose()
        else:
            reservation.release()
        self._fault = fault
        self.attempts.append(told(target, fault, start, self._clock.now()))
        if fault.kind in PROVIDER_WIDE:
            self._waiting = [t for t in self._waiting if t.spec.name != target.spec.name]
        return fault

    def _spendable(self, target: Target, left: float) -> float:
        """Seconds that an attempt may take whole: a fair share of what is left is kept for those
        who could still be asked after it, so that one of them always gets its turn."""
        others = sum(
            other.spec.name != target.spec.name and not self._watch.openness(other)
            for other in self._waiting
        )
        return left - left / (1 + others) if others else left

    def _pause(self, target: Target, fault: Fault, tries: int) -> float | None:
        """Seconds until the same provider is tried again; None: it is not."""
        left = self._left() / (1 + len(self._waiting))
        if self._waiting:
            left = min(left, WORTH_WAITING)
        pause = delay(fault, tries, left, self._terms.retrying, self._random.fraction)
        if pause is None or not self._watch.budget.withdraw(target.spec.name):
            return None
        return pause

    def _left(self) -> float:
        return self._terms.deadline - self._clock.now()
