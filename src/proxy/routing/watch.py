"""What an isolate knows of the providers' health, and how isolates tell one another.

Nothing here is waited for by a request, but by the first of an isolate, which reads the shared
picture for at most START_SECONDS.
"""

import asyncio

import msgspec
from msgspec import Raw, Struct, structs

from proxy.core.chat import Usage
from proxy.core.errors import OK, Outcome
from proxy.core.ports import Clock, Defer, Log, Objects, Random
from proxy.core.rpc import NOTHING, Method, as_text
from proxy.core.settings import RoutingSettings
from proxy.providers.target import Target
from proxy.routing.breaker import Breakers, Pass, Policy, Transition, View, judge
from proxy.routing.measures import Measure, Measures, Picture, Sample
from proxy.routing.retry import RetryBudget

START_SECONDS = 0.25
SYNC_SECONDS = 3.0
"""How often an isolate in use tells what it has seen and reads what others have."""
BOARD_SECONDS = 2.0
"""What the object may take."""
REMEMBERED_MS = 3_600_000
"""For how long the board tells of a transition."""
HISTORY = 500
"""Openings that the board keeps at most."""
HISTORY_MS = 35 * 86_400_000
"""For how long it keeps one: as long as the request figures of an hour are kept."""


class Told(Struct, frozen=True):
    """What an isolate tells the board, and the board in return: samples (of routing.measures),
    and which breakers opened or closed."""

    transitions: dict[str, Transition]
    measures: Raw = Raw(b"null")

    @property
    def batch(self) -> bytes | None:
        """The samples, if there are any."""
        told = bytes(self.measures)
        return None if told == b"null" else told


class Opening(Transition, frozen=True, kw_only=True):
    """A breaker that opened, as the history keeps it."""

    name: str
    """`provider` or `provider/model`."""


BOARD = "board"
"""The name of the only object."""
EXCHANGE = Method("PROVIDER_STATE", "exchange", as_text(Told), as_text(Told))
READ_OPENINGS = Method("PROVIDER_STATE", "read_openings", NOTHING, as_text(tuple[Opening, ...]))


class _Stored(Told, frozen=True):
    """What the board stores."""

    openings: tuple[Opening, ...] = ()


class Board:
    """The object's side. state: what `state()` gave. Raises ValueError where it is none."""

    def __init__(self, state: bytes | None = None) -> None:
        stored = _STORED.decode(state) if state else _Stored({})
        self._picture = Picture(stored.batch)
        self._transitions = stored.transitions
        self._openings = list(stored.openings)

    def exchange(self, news: Told, now: int) -> Told:
        """Takes in what an isolate has seen, and answers what all have."""
        for name, transition in news.transitions.items():
            known = self._transitions.get(name)
            if known is None or transition.order > known.order:
                self._transitions[name] = transition
                self._remember(name, transition, known)
        self._transitions = {
            name: transition
            for name, transition in self._transitions.items()
            if now - transition.at < REMEMBERED_MS
        }
        self._openings = [one for one in self._openings if now - one.at < HISTORY_MS]
        shown = self._picture.report(news.batch, now)
        return Told(self._transitions, Raw(shown))

    def openings(self) -> tuple[Opening, ...]:
        """The breakers that opened, as of the last exchange: in the order in which it learned of
        them."""
        return tuple(self._openings)

    def state(self) -> bytes:
        """What to store."""
        picture = Raw(self._picture.state())
        return msgspec.json.encode(_Stored(self._transitions, picture, tuple(self._openings)))

    def _remember(self, name: str, transition: Transition, known: Transition | None) -> None:
        """Keeps an opening, once. Isolates that find the same outage each open their own breaker:
        what opens while it is known to be open is no opening more, but a longer one."""
        if not transition.open_until:
            return
        opening = Opening(**structs.asdict(transition), name=name)
        last = next((one for one in reversed(self._openings) if one.name == name), None)
        closed_between = known is not None and not known.open_until
        if last and opening.at < last.open_until and not closed_between:
            self._openings.remove(last)
            until = max(last.open_until, opening.open_until)
            opening = structs.replace(opening, at=last.at, open_until=until)
        self._openings = [*self._openings, opening][-HISTORY:]


class Call:
    """An attempt under way; it has to be ended, whatever becomes of it."""

    def __init__(self, watch: "Watch", target: Target, ticket: Pass) -> None:
        self._watch = watch
        self._target = target
        self._ticket: Pass | None = ticket
        self._began = watch.now
        self._first: int | None = None

    def first(self) -> None:
        """A stream's first content has come."""
        self._first = max(0, self._watch.now - self._began)

    def end(self, outcome: Outcome, usage: Usage | None = None) -> None:
        """How it ended; only the first time counts."""
        ticket, self._ticket = self._ticket, None
        if ticket:
            ms = max(0, self._watch.now - self._began)  # the platform's clock may step
            self._watch.ended(self._target, ticket, outcome, self._first, ms, usage)


def attributed(target: Target, outcome: Outcome) -> Outcome:
    """An attempt's end with who caused it, where the caller chose a model that the catalogue does
    not list, or the vendors behind one: that these are silent says nothing of the provider."""
    if target.vendors_chosen and (outcome.blame == "model" or outcome.kind == "timeout"):
        return Outcome(outcome.kind, "caller")
    if outcome.kind == "timeout" and outcome.blame == "provider" and not target.listed:
        return Outcome(outcome.kind, "model")
    return outcome


class Watch:
    """The isolate's side: measures, breakers and the retry budget."""

    def __init__(
        self,
        settings: RoutingSettings,
        objects: Objects,
        clock: Clock,
        random: Random,
        log: Log,
    ) -> None:
        policy = Policy(slow_ms=settings.breaker_slow_ms or None)
        self.breakers = Breakers(policy, random.fraction)
        self.budget = RetryBudget()
        self._measures = Measures(random.token(8))
        self._objects = objects
        self._clock = clock
        self._log = log
        self._synced: float | None = None

    @property
    def now(self) -> int:
        """Whole milliseconds since 1970."""
        return round(self._clock.now() * 1000)

    def begin(self, target: Target) -> Call:
        """An attempt goes out."""
        ticket = self.breakers.begin(target.spec.name, target.model.id, self.now)
        return Call(self, target, ticket)

    def openness(self, target: Target) -> int:
        """0 where a call may go, otherwise greater the less there is to hope for."""
        return self.breakers.openness(target.spec.name, target.model.id, self.now)

    def measure(self, target: Target) -> Measure:
        """How a model does of late."""
        return self._measures.of(target.spec.name, target.model.id, self.now)

    def ended(
        self,
        target: Target,
        ticket: Pass,
        outcome: Outcome,
        first: int | None,
        ms: int,
        usage: Usage | None,
    ) -> None:
        """Takes note of an attempt's end. first: until a stream's first content, None for any
        other attempt. Durations in milliseconds."""
        outcome = attributed(target, outcome)
        self.breakers.report(ticket, outcome, self.now, ms=first)
        if judge(outcome) == ("neutral", "neutral"):
            return  # no word about health
        sample = Sample(
            provider=target.spec.name,
            model=target.model.id,
            ok=outcome == OK,
            first_ms=first,
            total_ms=ms,
            tokens=usage.output if usage else None,
        )
        self._measures.add(sample, self.now)

    async def start(self, defer: Defer) -> None:
        """Before a request: has what is due exchanged, and waits for it once an isolate."""
        if self._synced is None:
            self._synced = self._clock.now()
            await self.sync(START_SECONDS)
        elif not 0 <= self._clock.now() - self._synced < SYNC_SECONDS:
            self._synced = self._clock.now()
            defer(self.sync())

    async def sync(self, seconds: float = BOARD_SECONDS) -> None:
        """Exchanges news with the board; what is lost on the way is told again or found out."""
        delta = self._measures.take_delta()
        news = Told(self.breakers.changes(), Raw(delta or b"null"))
        try:
            async with asyncio.timeout(seconds):
                told = await self._objects.call(EXCHANGE, BOARD, news)
            if told.batch:
                self._measures.adopt(told.batch)
        except Exception as error:  # the figures are down, not the proxy
            self._log("error", "board unreachable", error=repr(error)[:500])
            return
        self.breakers.adopt(told.transitions, self.now)

    def views(self) -> dict[str, View]:
        """How all breakers stand, by `provider` and `provider/model`."""
        return self.breakers.views(self.now)

    async def reset(self, provider: str | None) -> None:
        """Closes the breakers of a provider, or all, here and for all isolates."""
        await self.sync()
        self.breakers.reset(self.now, provider)
        await self.sync()


_STORED = msgspec.json.Decoder(_Stored)
