"""What an isolate knows of the providers' health.

No request waits for the board but the first of an isolate, for at most START_SECONDS.
"""

import asyncio
from collections.abc import Sequence

from proxy.core.errors import OK, Outcome
from proxy.core.ports import Clock, Defer, Log, Objects, Random
from proxy.core.settings import RoutingSettings
from proxy.providers.target import Target
from proxy.routing.board import BOARD, EXCHANGE, BoardNews
from proxy.routing.breaker import BreakerView, judge
from proxy.routing.breakers import Admission, Breakers, name_key
from proxy.routing.key_pools import KeyPools
from proxy.routing.measures import AttemptSample, Measure, Measures
from proxy.routing.retry import RetryBudget

START_SECONDS = 0.25
SYNC_SECONDS = 3.0
"""How often an isolate in use exchanges news with the board."""
BOARD_SECONDS = 2.0
"""What an exchange may take."""


def attributed(target: Target, outcome: Outcome) -> Outcome:
    """An attempt's end with its true cause: the silence of a model that the catalogue doesn't list,
    or of vendors that the caller chose, says nothing of the provider."""
    if outcome == OK:
        return outcome
    if target.vendors_chosen and (outcome.blame == "model" or outcome.kind == "timeout"):
        return Outcome(outcome.kind, "caller")
    if outcome.kind == "timeout" and outcome.blame == "provider" and not target.listed:
        return Outcome(outcome.kind, "model")
    return outcome


class WatchedAttempt:
    """An attempt under way; it has to be ended, whatever becomes of it."""

    def __init__(self, watch: "Watch", target: Target) -> None:
        self._watch = watch
        self._target = target
        self._began = watch.now
        self._first_ms: int | None = None
        breakers, name, model = watch.breakers, target.spec.name, target.model.id
        key = name_key(name, target.key_number)
        self._admission: Admission | None = breakers.begin(name, model, self._began, key)

    def note_first_content(self) -> None:
        """A stream's first content has come."""
        self._first_ms = self._elapsed_ms(self._watch.now)

    def end(self, outcome: Outcome, *, key_refused: bool = False) -> None:
        """Reports to breakers and measures how it ended; only the first time counts. key_refused:
        see Fault.refuses_key."""
        admission, self._admission = self._admission, None
        if admission is None:
            return
        now = self._watch.now
        outcome = attributed(self._target, outcome)
        self._watch.breakers.report(
            admission, outcome, now, ms=self._first_ms, key_refused=key_refused
        )
        if outcome != OK and judge(outcome) == ("neutral", "neutral"):
            return  # it says nothing of health
        sample = AttemptSample(
            provider=admission.provider,
            model=admission.model,
            ok=outcome == OK,
            first_ms=self._first_ms,
            total_ms=self._elapsed_ms(now),
        )
        self._watch.measures.add(sample, now)

    def _elapsed_ms(self, now: int) -> int:
        return max(0, now - self._began)  # the platform's clock may step


class Watch:
    """The isolate's side: measures, breakers, keys and the retry budget."""

    def __init__(
        self, settings: RoutingSettings, objects: Objects, clock: Clock, random: Random, log: Log
    ) -> None:
        self.breakers = Breakers(random.fraction, settings.breaker_slow_ms or None)
        self.keys = KeyPools(settings, self.breakers, lambda: self.now, random.fraction)
        self.budget = RetryBudget()
        self.measures = Measures(random.token(8))
        self._objects = objects
        self._clock = clock
        self._log = log
        self._synced: float | None = None

    @property
    def now(self) -> int:
        """Whole milliseconds since 1970."""
        return round(self._clock.now() * 1000)

    def openness(self, target: Target) -> int:
        """0 where an attempt may go, otherwise greater the less there is to hope for."""
        if not self.breakers.open:
            return 0
        name = target.spec.name
        refused = self.breakers.openness(name, target.model.id, self.now)
        return max(refused, self.keys.openness(name))

    def count_closed(self, targets: Sequence[Target], but: str) -> int:
        """To how many an attempt may go, those of one provider left out."""
        others = [target for target in targets if target.spec.name != but]
        if not self.breakers.open:
            return len(others)
        return [self.openness(target) for target in others].count(0)

    def measure(self, target: Target) -> Measure:
        """The measure of a model."""
        return self.measures.of(target.spec.name, target.model.id, self.now)

    async def start(self, defer: Defer) -> None:
        """Syncs with the board where that is due: an isolate's first request waits for it, others
        have it done after their answer."""
        if self._synced is None:
            self._synced = self._clock.now()
            await self.sync(START_SECONDS)
        elif not 0 <= self._clock.now() - self._synced < SYNC_SECONDS:
            self._synced = self._clock.now()
            defer(self.sync())

    async def sync(self, seconds: float = BOARD_SECONDS) -> None:
        """Exchanges news with the board; what is lost on the way is sent again or found out."""
        news = BoardNews(self.breakers.take_changes(), self.measures.take_batch())
        try:
            async with asyncio.timeout(seconds):
                view = await self._objects.call(EXCHANGE, BOARD, news)
        except Exception as error:  # the figures are down, not the proxy
            self._log("error", "board unreachable", error=repr(error)[:500])
            return
        self.measures.adopt(view.measures)
        self.breakers.adopt(view.transitions, self.now)

    def views(self) -> dict[str, BreakerView]:
        """The states of all breakers, by `provider` and `provider/model`."""
        return self.breakers.views(self.now)

    async def reset(self, provider: str | None, model: str | None = None) -> bool:
        """Closes the breakers of a provider, or all, here and for all isolates, and wakes its keys
        here; with a model that model's alone. Returns whether there was one."""
        await self.sync()
        which = provider if model is None else f"{provider}/{model}"
        found = self.breakers.reset(self.now, which)
        if model is None:
            self.keys.clear(provider)
        await self.sync()
        return found
