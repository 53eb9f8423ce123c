"""The circuit breaker of one provider or one model.

    closed -- too many failures, or one that says all --> open -- its time is over --> half-open
    half-open: one call goes out, the probe; it closes the breaker or opens it for longer

No breaker is open for longer than LONGEST_OPEN_MS at a time. A probe that never reports lapses. A
call that began before the last change of phase changes nothing. A clock that is set back prolongs
an open time by no more than another one. Moments and durations are whole milliseconds.
"""

from collections.abc import Callable, Iterator
from typing import Annotated, Literal

from msgspec import Meta, Struct

from proxy.core.errors import FaultKind, Outcome

WINDOW_MS = 60_000
BUCKETS = 6
"""Parts of the window, which forgets a part at a time: it holds the last 5 to 6."""
LEAST_CALLS = 5
"""Calls in the window below which nothing is concluded."""
BAD_SHARE = 0.5
"""The share of bad calls from which on a breaker opens."""
FIRST_OPEN_MS = 10_000
"""The first open time; each next one is twice as long, until it was closed for LONGEST_OPEN_MS."""
LONGEST_OPEN_MS = 300_000
"""The jitter included."""
JITTER = 0.2
"""By what part an open time is drawn out at most."""
PROBE_MS = 60_000
"""After how long a probe lapses that hasn't reported."""
MOST_LEVEL = 30
"""More is not counted: the open time has long ceased to grow."""

Phase = Literal["closed", "open", "half_open"]
Reason = Literal["failed", "slow", "misconfigured", "not_found"]
Verdict = Reason | Literal["ok", "neutral"]
"""What a call says of health: `neutral` says nothing, a LASTING one opens the breaker at once."""
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
    """The verdicts on the provider and on the model; what the caller or the proxy caused is neutral
    for both. slow: whether the first content took too long."""
    if outcome.kind == "ok":
        return "ok", "slow" if slow else "ok"
    if outcome.kind == "gone" or outcome.blame not in ("provider", "model"):
        return "neutral", "neutral"
    verdict = VERDICTS.get(outcome.kind, "neutral")
    if outcome.blame == "model":
        return "neutral", verdict
    # Which of the two hangs can't be seen from one call.
    return verdict, verdict if outcome.kind == "timeout" else "neutral"


class Ticket(Struct, frozen=True):
    """What a call brings back with its report: the count of changes at which it began, and whether
    it is the probe."""

    era: int
    probe: bool


class Transition(Struct, frozen=True):
    """A breaker that opened or closed. Of two transitions the one with the greater `order` holds.

    at: the moment, or 1 after the previous transition where the clock isn't past that.
    """

    at: int
    open_until: int = 0
    """0: it closed."""
    level: Annotated[int, Meta(ge=0)] = 0
    """How many times it has opened in a row; decides the next open time."""
    reason: Reason | None = None

    @property
    def order(self) -> tuple[int, int, int, str]:
        """All fields: isolates agree also on transitions of the same moment."""
        return self.at, self.open_until, self.level, self.reason or ""


class BreakerView(Struct, frozen=True, kw_only=True, rename="camel"):
    """The state of a breaker. Counts are those of the window."""

    phase: Phase
    reason: Reason | None
    """Why it is not closed."""
    calls: int
    failures: int
    slow: int
    open_until: int | None
    """While it is open."""
    opened: int
    """How many times it has opened, as far as this isolate knows."""


class _Window:
    """Counts of the last while: calls, failures, slow ones."""

    WIDTH = WINDOW_MS // BUCKETS

    def __init__(self) -> None:
        self._buckets: dict[int, list[int]] = {}

    def add(self, verdict: Verdict, now: int) -> None:
        bucket = self._buckets.get(now // self.WIDTH)
        if bucket is None:
            bucket = [0, 0, 0]
            self._buckets = {**dict(self._near(now)), now // self.WIDTH: bucket}
        bucket[0] += 1
        if verdict == "failed":
            bucket[1] += 1
        elif verdict == "slow":
            bucket[2] += 1

    def sums(self, now: int) -> tuple[int, int, int]:
        near = [bucket for _, bucket in self._near(now)]
        return sum(b[0] for b in near), sum(b[1] for b in near), sum(b[2] for b in near)

    def clear(self) -> None:
        self._buckets = {}

    def _near(self, now: int) -> Iterator[tuple[int, list[int]]]:
        """The buckets in the window, on both sides: a clock set back by little loses nothing."""
        this = now // self.WIDTH
        return (item for item in self._buckets.items() if abs(item[0] - this) < BUCKETS)


class Breaker:
    """A breaker, closed at first. random: gives numbers in [0, 1)."""

    def __init__(self, random: Callable[[], float]) -> None:
        self._random = random
        self._window = _Window()
        self._era = 0
        self._open = False
        """Half-open counts as open: it is an open one whose time is over."""
        self._probing = False
        self._since = 0
        """The last change: it opened, closed, let a probe go or had it back."""
        self._until = 0
        """While open: until when no call may go, be it for its time or for a probe."""
        self._level = 0
        self._reason: Reason | None = None
        self._opened = 0
        self.last: Transition | None = None
        """The last transition, its own or adopted; None: it has always been closed."""

    @property
    def closed(self) -> bool:
        """Whether it is neither open nor half-open."""
        return not self._open

    def openness(self, now: int) -> int:
        """0 if a call may go, 1 while a probe is out, otherwise greater the longer it is open yet;
        LASTING reasons come last."""
        if not self._open:
            return 0
        self._settle(now)
        if now >= self._until:
            return 0
        if self._probing:
            return 1
        least = LONGEST_OPEN_MS if self._reason in LASTING else 0
        return least + self._until - now

    def begin(self, now: int) -> Ticket:
        """Lets a call go, as the probe if one is due. A call that goes though the breaker is open,
        for want of anything better, closes it by its success and changes nothing by its failure."""
        if now < self._since:
            self._settle(now)
        probe = self._open and now >= self._until
        if probe:
            self._era += 1
            self._probing = True
            self._since, self._until = now, now + PROBE_MS
        return Ticket(self._era, probe)

    def report(self, ticket: Ticket, verdict: Verdict, now: int) -> bool:
        """Takes a call's verdict, once. Whether that opened or closed the breaker."""
        if ticket.era != self._era:
            return False
        if now < self._since:
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

    def adopt(self, transition: Transition, now: int) -> bool:
        """Follows another isolate's transition if it is newer than the last. Whether it was."""
        if self.last and transition.order <= self.last.order:
            return False
        self._become(transition, now)
        return True

    def view(self, now: int) -> BreakerView:
        """The state at a moment."""
        self._settle(now)
        calls, failures, slow = self._window.sums(now)
        phase: Phase = "closed"
        if self._open:
            phase = "half_open" if self._probing or now >= self._until else "open"
        return BreakerView(
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
        """Counts a call while closed. Whether it opened the breaker."""
        if verdict == "neutral":
            return False
        if verdict == "misconfigured" or verdict == "not_found":
            self._trip(verdict, now)
            return True
        self._window.add(verdict, now)
        if verdict == "ok":
            return False
        calls, failures, slow = self._window.sums(now)
        if calls < LEAST_CALLS or failures + slow < BAD_SHARE * calls:
            return False
        self._trip("slow" if slow > failures else "failed", now)
        return True

    def _trip(self, reason: Reason, now: int) -> None:
        recovered = not self._open and now - self._since >= LONGEST_OPEN_MS
        level = 1 if recovered else self._level + 1
        length = min(FIRST_OPEN_MS << (level - 1), LONGEST_OPEN_MS / (1 + JITTER))
        length *= 1 + JITTER * self._random()
        self._become(Transition(self._next(now), now + max(1, int(length)), level, reason), now)

    def _close(self, level: int, now: int) -> None:
        self._become(Transition(self._next(now), level=level), now)

    def _next(self, now: int) -> int:
        """The moment of a transition that holds against the latest, whatever the clock says."""
        return max(now, self.last.at + 1) if self.last else now

    def _become(self, transition: Transition, now: int) -> None:
        self.last = transition
        self._era += 1
        self._window.clear()
        self._open = transition.open_until > 0
        self._opened += self._open
        self._probing = False
        self._since = now
        self._until = min(transition.open_until, now + LONGEST_OPEN_MS)
        self._level = min(transition.level, MOST_LEVEL)
        self._reason = transition.reason
