"""Circuit breakers: who has failed of late is left alone for a while, then tried with one call.

There is one for each provider (is it reachable, is its key good) and one for each of its models.

    closed -- too many failures, or one that says all --> open -- its time is over --> half-open
    half-open: one call goes out, the probe; it closes the breaker or opens it for longer

Promises: no breaker is open for longer than `longest_open_ms` at a time; a probe that is never
heard of again lapses; what began before the last change of phase judges nothing any more; taking
over another isolate's transition is no transition of one's own. A clock that is set back makes
nobody wait for more than one open time again. Moments and durations are whole milliseconds.
"""

from collections.abc import Callable, Iterator, Mapping
from typing import Annotated, Literal

from msgspec import Meta, Struct

from proxy.core.errors import FaultKind, Outcome

MODELS = 1_000
"""Names that are kept at most of each sort; callers may name models that don't exist."""
LONGEST = 200
"""Characters of a name `provider/model` that is kept."""
BUCKETS = 6
"""Parts of the window, which forgets one at a time: it holds the last 5 to 6 of them."""
MOST_LEVEL = 30
"""More is not counted: the open time has long ceased to grow."""

Phase = Literal["closed", "open", "half_open"]
Reason = Literal["failed", "slow", "misconfigured", "not_found"]
Verdict = Reason | Literal["ok", "neutral"]
"""What a call says of health; `neutral` says nothing, and those of LASTING open at once."""
LASTING: frozenset[Reason | None] = frozenset({"misconfigured", "not_found"})
"""What no time alone heals."""
VERDICTS: dict[FaultKind, Verdict] = {
    "unauthorized": "misconfigured",
    "not_found": "not_found",
    "network": "failed",
    "timeout": "failed",
    "unavailable": "failed",
    "garbage": "failed",
}
"""What a fault says of the provider or the model that caused it; any other says nothing."""


def judge(outcome: Outcome, *, slow: bool = False) -> tuple[Verdict, Verdict]:
    """What an attempt's end says of the provider and of the model. slow: whether its first content
    took too long. What the caller or the proxy caused says nothing of either."""
    if outcome.kind == "ok":
        return "ok", "slow" if slow else "ok"
    if outcome.kind == "gone" or outcome.blame not in ("provider", "model"):
        return "neutral", "neutral"
    verdict = VERDICTS.get(outcome.kind, "neutral")
    if outcome.blame == "model":
        return "neutral", verdict
    # Which of the two hangs can't be seen from one call.
    return verdict, verdict if outcome.kind == "timeout" else "neutral"


class Policy(Struct, frozen=True, kw_only=True):
    """When a breaker opens, and for how long. All at least 1, but for `ratio` and `jitter`, which
    are in [0, 1]."""

    window_ms: int = 60_000
    minimum: int = 5
    """Calls in the window below which nothing is concluded."""
    ratio: float = 0.5
    """The share of bad ones from which on it opens."""
    slow_ms: int | None = None
    """From how long on a good call's first content is a bad one; None: never."""
    first_open_ms: int = 10_000
    """The first open time; each that follows is twice the one before, until it has been closed
    for `longest_open_ms`."""
    longest_open_ms: int = 300_000
    """The jitter included."""
    jitter: float = 0.2
    """By what part an open time is drawn out at most."""
    probe_ms: int = 60_000
    """After how long a probe that hasn't reported no longer keeps the next one from going."""


class Ticket(Struct, frozen=True):
    """What a call has to show when it reports: since when (a count of changes) it is under way,
    and whether it is the probe."""

    era: int
    probe: bool


class Transition(Struct, frozen=True):
    """A breaker that opened or closed. Of two transitions the one with the greater `order` holds.

    at: the moment, or 1 after the transition before where the clock wasn't past that.
    """

    at: int
    open_until: int = 0
    """0: it closed."""
    level: Annotated[int, Meta(ge=0)] = 0
    """How many times it has opened in a row; decides the next open time."""
    reason: Reason | None = None

    @property
    def order(self) -> tuple[int, int, int, str]:
        """All of it, so that isolates agree also on transitions of the same moment."""
        return self.at, self.open_until, self.level, self.reason or ""


class View(Struct, frozen=True, kw_only=True, rename="camel"):
    """How a breaker stands. Counts are those of the window."""

    phase: Phase
    reason: Reason | None
    """Why it is not closed."""
    calls: int
    failures: int
    slow: int
    open_until: int | None
    """While it is open."""
    opened: int
    """How many times it has, as far as this isolate knows."""


class _Window:
    """Counts of the last while: calls, failures, slow ones."""

    def __init__(self, length: int) -> None:
        self._width = max(1, length // BUCKETS)
        self._buckets: dict[int, list[int]] = {}

    def add(self, verdict: Verdict, now: int) -> None:
        this = now // self._width
        if this not in self._buckets:
            self._buckets = dict(self._near(now))
        bucket = self._buckets.setdefault(this, [0, 0, 0])
        bucket[0] += 1
        bucket[1] += verdict == "failed"
        bucket[2] += verdict == "slow"

    def sums(self, now: int) -> tuple[int, int, int]:
        near = [bucket for _, bucket in self._near(now)]
        return sum(b[0] for b in near), sum(b[1] for b in near), sum(b[2] for b in near)

    def clear(self) -> None:
        self._buckets = {}

    def _near(self, now: int) -> Iterator[tuple[int, list[int]]]:
        """What lies within the window. On both sides: a clock set back by little loses nothing."""
        this = now // self._width
        return (item for item in self._buckets.items() if abs(item[0] - this) < BUCKETS)


class Breaker:
    """That of one provider or one model, closed at first. random: gives numbers in [0, 1)."""

    def __init__(self, policy: Policy, random: Callable[[], float]) -> None:
        self._policy = policy
        self._random = random
        self._window = _Window(policy.window_ms)
        self._era = 0
        self._open = False
        """Half-open counts as open: it is an open one whose time is over."""
        self._probing = False
        self._since = 0
        """The last change: opening, closing, a probe's begin or release."""
        self._until = 0
        """While open: until when no call is admitted, be it by its time or by a probe."""
        self._level = 0
        self._reason: Reason | None = None
        self._opened = 0
        self._last: Transition | None = None

    @property
    def closed(self) -> bool:
        """Whether it is neither open nor half-open."""
        return not self._open

    def admits(self, now: int) -> bool:
        """Whether a call may go: it is closed, or its time is over and no probe is out."""
        return self.openness(now) == 0

    def openness(self, now: int) -> int:
        """0 if it admits, 1 while a probe is out, otherwise greater the longer it is open yet; what
        is LASTING comes after all others."""
        self._settle(now)
        if not self._open or now >= self._until:
            return 0
        if self._probing:
            return 1
        least = self._policy.longest_open_ms if self._reason in LASTING else 0
        return least + self._until - now

    def begin(self, now: int) -> Ticket:
        """A call goes out, as the probe if one is due. One that goes though it isn't admitted, for
        want of anything better, closes the breaker by its success, and does no harm else."""
        self._settle(now)
        probe = self._open and now >= self._until
        if probe:
            self._era += 1
            self._probing = True
            self._since, self._until = now, now + self._policy.probe_ms
        return Ticket(self._era, probe)

    def report(self, ticket: Ticket, verdict: Verdict, now: int) -> bool:
        """A call has ended, to be reported once. Whether it opened or closed the breaker."""
        if ticket.era != self._era:
            return False
        self._settle(now)
        if not self._open:
            return self._count(verdict, now)
        if verdict == "ok":
            self._close(self._level, now)
            return True
        if not ticket.probe:
            return False
        if verdict == "neutral":
            self._since = self._until = now
            return False
        self._trip(verdict, now)
        return True

    def reset(self, now: int) -> None:
        """Closes it and forgets all that was."""
        self._close(0, now)

    def latest(self) -> Transition | None:
        """The last transition, of its own or adopted; None: it has always been closed."""
        return self._last

    def adopt(self, transition: Transition, now: int) -> bool:
        """Follows another isolate's transition if it is newer than the latest; whether it was."""
        if self._last and transition.order <= self._last.order:
            return False
        self._become(transition, now)
        return True

    def view(self, now: int) -> View:
        """How it stands."""
        self._settle(now)
        calls, failures, slow = self._window.sums(now)
        phase: Phase = "closed"
        if self._open:
            phase = "half_open" if self._probing or now >= self._until else "open"
        return View(
            phase=phase,
            reason=self._reason,
            calls=calls,
            failures=failures,
            slow=slow,
            open_until=self._until if phase == "open" else None,
            opened=self._opened,
        )

    def _settle(self, now: int) -> None:
        """A clock that was set back takes what was planned with it."""
        if now < self._since:
            self._until -= self._since - now
            self._since = now

    def _count(self, verdict: Verdict, now: int) -> bool:
        """Counts a call while closed; whether it was one too many."""
        if verdict == "neutral":
            return False
        if verdict == "misconfigured" or verdict == "not_found":
            self._trip(verdict, now)
            return True
        self._window.add(verdict, now)
        calls, failures, slow = self._window.sums(now)
        bad = failures + slow
        if verdict == "ok" or calls < self._policy.minimum or bad < self._policy.ratio * calls:
            return False
        self._trip("slow" if slow > failures else "failed", now)
        return True

    def _trip(self, reason: Reason, now: int) -> None:
        policy = self._policy
        recovered = not self._open and now - self._since >= policy.longest_open_ms
        level = 1 if recovered else self._level + 1
        longest = policy.longest_open_ms / (1 + policy.jitter)
        length = min(policy.first_open_ms << (level - 1), longest)
        length *= 1 + policy.jitter * self._random()
        self._become(Transition(self._next(now), now + max(1, int(length)), level, reason), now)

    def _close(self, level: int, now: int) -> None:
        self._become(Transition(self._next(now), level=level), now)

    def _next(self, now: int) -> int:
        """The moment of a transition that holds against the latest, whatever the clock says."""
        return max(now, self._last.at + 1) if self._last else now

    def _become(self, transition: Transition, now: int) -> None:
        self._last = transition
        self._era += 1
        self._window.clear()
        self._open = transition.open_until > 0
        self._opened += self._open
        self._probing = False
        self._since = now
        self._until = min(transition.open_until, now + self._policy.longest_open_ms)
        self._level = min(transition.level, MOST_LEVEL)
        self._reason = transition.reason


class Pass(Struct, frozen=True):
    """A call under way, to be reported."""

    provider: str
    model: str
    tickets: tuple[Ticket, Ticket]
    """Of the provider's breaker and of the model's."""


class Breakers:
    """All of an isolate, by `provider` and by `provider/model`; a provider's name has no slash.

    Of each sort at most MODELS are kept: beyond, the closed one is forgotten that has not been
    used for longest, or the open one where none is closed. random: gives numbers in [0, 1).
    """

    def __init__(self, policy: Policy, random: Callable[[], float]) -> None:
        self._policy = policy
        self._random = random
        self._providers: dict[str, Breaker] = {}
        """The least recently used first, as in `_models`."""
        self._models: dict[str, Breaker] = {}
        self._changed: dict[str, None] = {}
        """The names whose latest transition is this isolate's own and untold."""

    def admits(self, provider: str, model: str, now: int) -> bool:
        """Whether a call may go. Nothing may be awaited between this and `begin`, or two calls
        take themselves for admitted."""
        return self.openness(provider, model, now) == 0

    def openness(self, provider: str, model: str, now: int) -> int:
        """0 if a call may go, otherwise greater the less there is to hope for (Breaker.openness):
        where nobody admits, the least is tried."""
        both = self._providers.get(provider), self._models.get(f"{provider}/{model}")
        return max(breaker.openness(now) if breaker else 0 for breaker in both)

    def begin(self, provider: str, model: str, now: int) -> Pass:
        """A call goes out. It must be reported, whatever becomes of it."""
        ours, theirs = self._used(provider), self._used(f"{provider}/{model}")
        return Pass(provider, model, (ours.begin(now), theirs.begin(now)))

    def report(self, call: Pass, outcome: Outcome, now: int, *, ms: int | None = None) -> None:
        """A call has ended. ms: until a stream's first content, None for any other call."""
        slow_ms = self._policy.slow_ms
        slow = ms is not None and slow_ms is not None and ms >= slow_ms
        names = (call.provider, f"{call.provider}/{call.model}")
        for name, ticket, verdict in zip(
            names, call.tickets, judge(outcome, slow=slow), strict=True
        ):
            breaker = self._table(name).get(name)
            if breaker and breaker.report(ticket, verdict, now):
                self._changed[name] = None

    def changes(self) -> dict[str, Transition]:
        """This isolate's own transitions since the last call, by name. One that is lost on the way
        to the others costs them no more than finding out by themselves."""
        names, self._changed = self._changed, {}
        return {name: last for name in names if (last := self._table(name)[name].latest())}

    def adopt(self, transitions: Mapping[str, Transition], now: int) -> None:
        """Follows what other isolates have told, as far as it is newer. That something closed
        which is not known here is no news."""
        for name, transition in transitions.items():
            if name not in self._table(name) and not transition.open_until:
                continue
            if self._used(name).adopt(transition, now):
                self._changed.pop(name, None)

    def views(self, now: int) -> dict[str, View]:
        """How all stand, the providers first."""
        return {name: b.view(now) for name, b in (self._providers | self._models).items()}

    def reset(self, now: int, provider: str | None = None) -> None:
        """Closes those of a provider and its models, or all, and forgets what they have seen. The
        other isolates are told of those only that are known here: adopt what they know first."""
        for name, breaker in (self._providers | self._models).items():
            if provider is None or name.partition("/")[0] == provider:
                breaker.reset(now)
                self._changed[name] = None

    def _table(self, name: str) -> dict[str, Breaker]:
        return self._models if "/" in name else self._providers

    def _used(self, name: str) -> Breaker:
        """The breaker of that name, now the last used; it is not kept if the name is too long."""
        table = self._table(name)
        breaker = table.pop(name, None) or Breaker(self._policy, self._random)
        if len(name) > LONGEST:
            return breaker
        if len(table) >= MODELS:
            oldest = next((n for n, b in table.items() if b.closed), next(iter(table)))
            del table[oldest]
            self._changed.pop(oldest, None)
        table[name] = breaker
        return breaker
