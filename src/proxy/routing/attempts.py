"""One request on its way through its candidates: retried, hedged, passed on.

One deadline covers all attempts. What each attempt met is kept, and told whatever the end.
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Generic, TypeVar

from msgspec import Struct

from proxy.core.chat import Attempt
from proxy.core.errors import GIVEN_UP, Fault, FaultKind, ProxyError, drop_frames
from proxy.core.permit import Permit, Refusal, Reservation
from proxy.core.ports import Clock, Outgoing, Random
from proxy.providers.target import Target
from proxy.routing.allowance import Allowance, out_of_time
from proxy.routing.failure import as_proxy_error, limited, passed_over, refused, told
from proxy.routing.retry import Retrying, delay
from proxy.routing.watch import Call, Watch, attributed

T = TypeVar("T")

PROVIDER_WIDE: frozenset[FaultKind] = frozenset({"timeout", "network"})
"""Faults after which no other model of the same provider is tried for this request, as after a
refusal of the proxy's own key."""
MAY_COST: frozenset[FaultKind] = frozenset({"timeout", "garbage", "unavailable"})
"""Faults for which the provider may bill the request, unless its status says that it failed."""
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
    """What holds for all attempts of a request. Moments in seconds since 1970."""

    deadline: float
    own_deadline: float
    """The deadline that the deployment gives a request which names none."""
    least: float
    """Seconds; an attempt that had less says nothing of its provider."""
    providers: int
    """How many the deployment has: by itself it lets no more candidates share the time."""
    retrying: Retrying
    hedge_after: float
    """Seconds after which the next candidate is asked too; 0: never."""
    streamed: bool
    """Whether a result is a stream's first content."""


class Run(Generic[T]):
    """The attempts of one request.

    prepare: makes a candidate's call within so many seconds; it raises Fault where this candidate
    can't be called so, and ProxyError where none can, for which no provider answers. attempt:
    makes the attempt, given what it may take to its first byte, and raises Fault. discard:
    what to do with a result that came too late.
    """

    def __init__(
        self,
        targets: Sequence[Target],
        terms: Terms,
        permit: Permit,
        watch: Watch,
        clock: Clock,
        random: Random,
        prepare: Callable[[Target, float], Awaitable[Outgoing]],
        attempt: Callable[[Target, Outgoing, Allowance], Awaitable[T]],
        discard: Callable[[T], None],
    ) -> None:
        self.attempts: list[Attempt] = []
        self._terms = terms
        self._permit = permit
        self._watch = watch
        self._clock = clock
        self._random = random
        self._prepare = prepare
        self._attempt = attempt
        self._discard = discard
        self._refusals: list[Refusal] = []
        self._fault: Fault | None = None
        """That of the last candidate that failed."""
        self._sent = False
        """Whether any attempt has gone out."""
        self._waiting = list(targets)
        self._passed: list[Target] = []
        """Those that their breakers kept out."""
        self._least_bad: Target | None = None

    async def won(self) -> Won[T]:
        """The first result. Raises ProxyError where there is none."""
        while self._waiting and self._left() > 0:
            if won := await self._next():
                return won
            if self._fault and not self._fault.falls_over:
                break
            if not self._waiting and not self._sent:
                self._admit_least_bad()
        attempts = tuple(self.attempts)
        if self._fault:
            raise as_proxy_error(self._fault, attempts)
        if self._refusals:
            raise refused(self._refusals, attempts)
        raise as_proxy_error(out_of_time("The request's own time was up at once."), attempts)

    def _admit_least_bad(self) -> None:
        """Has the least bad of those tried that their breakers kept out, where that is all there
        is: better than a blank refusal."""
        if self._passed:
            self._least_bad = min(self._passed, key=self._watch.openness)
            self._passed.remove(self._least_bad)
            self.attempts.remove(passed_over(self._least_bad))
            self._waiting.append(self._least_bad)

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
                    refusal = drop_frames(error)
        if refusal:
            raise refusal
        return None

    async def _call_off(self, racing: set[asyncio.Task[Won[T] | None]]) -> None:
        """Ends what has lost: its connection is closed, what it may cost is counted."""
        for task in racing:
            task.cancel()
        for result in await asyncio.gather(*racing, return_exceptions=True):
            if isinstance(result, Won):
                result.call.end(GIVEN_UP)
                self._discard(result.result)
                result.reservation.lose()

    async def _at(self, target: Target) -> Won[T] | None:
        """One candidate, again where that may help."""
        if self._is_closed_to(target) or (outgoing := await self._prepared(target)) is None:
            return None
        tries = 0
        while self._left() > 0:
            if tries and self._is_closed_to(target):
                return None
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
            if self._left() <= 0:
                charged.release()
                return None
            tried = await self._try(target, outgoing, charged)
            if isinstance(tried, Won):
                return tried
            tries += 1
            pause = self._pause(target, tried, tries)
            if pause is None:
                break
            await asyncio.sleep(pause)
        return None

    def _is_closed_to(self, target: Target) -> bool:
        """Whether the breaker stands before it. Nothing is awaited between this and the try."""
        if target is self._least_bad or not self._watch.openness(target):
            return False
        self._passed.append(target)
        self.attempts.append(passed_over(target))
        return True

    async def _prepared(self, target: Target) -> Outgoing | None:
        """The call, None where it can't be made: no word about the provider, and no charge. Raises
        ProxyError where no candidate's can."""
        start = self._clock.now()
        try:
            return await self._prepare(target, self._allowances(target, start)[1].seconds)
        except Fault as fault:
            self._fail(target, fault, start)
            return None
        except ProxyError as error:
            error.attempts = tuple(self.attempts)
            raise

    async def _try(
        self, target: Target, outgoing: Outgoing, reservation: Reservation
    ) -> Won[T] | Fault:
        start = self._clock.now()
        first_byte, whole = self._allowances(target, start)
        call = self._watch.begin(target)
        self._sent = True
        try:
            async with asyncio.timeout(whole.seconds):
                result = await self._attempt(target, outgoing, first_byte)
        except TimeoutError:
            fault = whole.run_out()
        except Fault as error:
            fault = error
        except BaseException:  # another was faster, the caller is gone, or the proxy has a bug
            call.end(GIVEN_UP)
            reservation.lose()
            raise
        else:
            if self._terms.streamed:
                call.first()
            self.attempts.append(told(target, None, start, self._clock.now()))
            return Won(result, target, outgoing.dropped, call, reservation)
        fault.blame = attributed(target, fault.outcome).blame or fault.blame
        call.end(fault.outcome)
        if fault.status is None and fault.kind in MAY_COST:
            reservation.lose()
        else:
            reservation.release()
        self._fail(target, fault, start)
        return fault

    def _fail(self, target: Target, fault: Fault, start: float) -> None:
        """Takes note of a candidate that failed, and of who need not be asked after it."""
        self._fault = drop_frames(fault)
        self.attempts.append(told(target, fault, start, self._clock.now()))
        refused_key = fault.kind == "unauthorized" and fault.blame == "provider"
        if refused_key or fault.kind in PROVIDER_WIDE:
            self._waiting = [t for t in self._waiting if t.spec.name != target.spec.name]

    def _allowances(self, target: Target, now: float) -> tuple[Allowance, Allowance]:
        """What an attempt may take to its first byte, and whole: a fair share of what is left is
        kept for those who could still be asked after it, so that one of them always gets its
        turn."""
        terms = self._terms
        left, own = terms.deadline - now, terms.own_deadline - now
        waiting = len(self._waiting)
        usual = min(waiting, terms.providers - 1)
        first_byte = Allowance(left / (1 + waiting), max(own / (1 + usual), terms.least))
        others = sum(
            other.spec.name != target.spec.name and not self._watch.openness(other)
            for other in self._waiting
        )
        part = others / (1 + others) if others else 1.0
        return first_byte, Allowance(left * part, max(own * part, terms.least))

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
