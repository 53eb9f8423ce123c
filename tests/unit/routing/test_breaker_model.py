"""The breakers against a plain model of them: one alone, two isolates, and any clock."""

from hypothesis import example, given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from proxy.core.errors import OK, Outcome
from proxy.routing.breaker import LONGEST_OPEN_MS, PROBE_MS, Reason, Ticket, Transition, Verdict
from proxy.routing.breakers import Breakers
from tests.unit.routing.making_breakers import (
    HOUR,
    NETWORK,
    NOW,
    TIMEOUT,
    UNAUTHORIZED,
    a_breaker,
    admits,
    report_call,
    transitions,
    verdicts,
    waits,
)


class Machine(RuleBasedStateMachine):
    """One breaker beside a model that keeps a list of all calls, and a clock that runs on."""

    def __init__(self) -> None:
        super().__init__()
        self.now = NOW
        self.fraction = 0.0
        self.breaker = a_breaker(random=lambda: self.fraction)
        self.under_way: list[tuple[Ticket, int]] = []
        self.change = 0  # the model's own count of changes
        self.until: int | None = None  # None: closed
        self.probe_at: int | None = None
        self.probe: Ticket | None = None
        self.level = 0
        self.since = 0
        self.reason: Reason | None = None
        self.seen: list[tuple[int, Verdict]] = []

    def become(self, until: int | None, level: int, reason: Reason | None) -> None:
        self.until, self.level, self.reason = until, level, reason
        self.since, self.change, self.seen = self.now, self.change + 1, []
        self.probe = self.probe_at = None

    def opens(self, reason: Reason) -> None:
        recovered = self.until is None and self.now - self.since >= LONGEST_OPEN_MS
        level = 1 if recovered else self.level + 1
        last = self.breaker.last
        assert last
        base = min(10_000 * 2 ** (level - 1), 250_000)
        length = last.open_until - self.now
        assert length == int(base * (1 + 0.2 * self.fraction))
        assert base <= length <= LONGEST_OPEN_MS
        assert (last.level, last.reason) == (level, reason)
        self.become(last.open_until, level, reason)

    def recent(self) -> list[Verdict]:
        first = self.now // 10_000 - 5
        return [verdict for at, verdict in self.seen if at // 10_000 >= first]

    @property
    def lapsed(self) -> bool:
        return self.probe_at is None or self.now - self.probe_at >= PROBE_MS

    @property
    def due(self) -> bool:
        return self.until is not None and self.now >= self.until and self.lapsed

    @rule(fraction=st.floats(0, 1, exclude_max=True))
    def luck(self, fraction: float) -> None:
        self.fraction = fraction

    @rule(ms=waits)
    def wait(self, ms: int) -> None:
        self.now += ms

    @precondition(lambda self: self.until is not None and self.until > self.now)
    @rule(early=st.integers(0, 1))
    def wait_for_its_time(self, early: int) -> None:
        assert self.until is not None
        self.now = self.until - early

    @rule()
    def begin(self) -> None:
        due = self.due
        ticket = self.breaker.begin(self.now)
        assert ticket.probe == due
        if due:
            self.change += 1
            self.probe_at, self.probe = self.now, ticket
        self.under_way.append((ticket, self.change))

    @precondition(lambda self: self.under_way)
    @rule(which=st.integers(0), verdict=verdicts)
    def report(self, which: int, verdict: Verdict) -> None:
        ticket, change = self.under_way.pop(-1 - which % len(self.under_way))
        changed = self.breaker.report(ticket, verdict, self.now)
        before = self.change
        if change == self.change:
            self.judge(ticket, verdict)
        assert changed == (self.change != before)

    @rule(verdict=verdicts, times=st.integers(1, 6))
    def calls(self, verdict: Verdict, times: int) -> None:
        for _ in range(times):
            self.begin()
            self.report(0, verdict)

    def judge(self, ticket: Ticket, verdict: Verdict) -> None:
        if self.until is not None:
            if verdict == "ok":
                self.become(None, self.level, None)
            elif ticket is self.probe and verdict == "neutral":
                self.probe = self.probe_at = None
                self.until = self.now
            elif ticket is self.probe:
                self.opens(verdict)  # type: ignore[arg-type]
        elif verdict == "misconfigured" or verdict == "not_found":
            self.opens(verdict)
        elif verdict != "neutral":
            self.seen.append((self.now, verdict))
            recent = self.recent()
            failed, slow = recent.count("failed"), recent.count("slow")
            if verdict != "ok" and len(recent) >= 5 and 2 * (failed + slow) >= len(recent):
                self.opens("slow" if slow > failed else "failed")

    @rule(data=st.data())
    def adopt(self, data: st.DataObject) -> None:
        transition = data.draw(transitions(self.now))
        last = self.breaker.last
        newer = last is None or transition.order > last.order
        assert self.breaker.adopt(transition, self.now) == newer
        if newer:
            assert self.breaker.last == transition
            until = min(transition.open_until, self.now + LONGEST_OPEN_MS)
            self.become(
                until if transition.open_until else None, transition.level, transition.reason
            )
        assert not self.breaker.adopt(transition, self.now)

    @rule()
    def reset(self) -> None:
        self.breaker.reset(self.now)
        self.become(None, 0, None)

    @invariant()
    def it_stands_as_the_model_does(self) -> None:
        view = self.breaker.view(self.now)
        phase = "closed"
        if self.until is not None:
            half = self.probe is not None or self.now >= self.until
            phase = "half_open" if half else "open"
        assert view.phase == phase
        assert view.reason == self.reason
        assert self.breaker.closed == (phase == "closed")
        assert admits(self.breaker, self.now) == (phase == "closed" or self.due)
        assert view.open_until == (self.until if phase == "open" else None)
        recent = self.recent()
        counts = len(recent), recent.count("failed"), recent.count("slow")
        assert (view.calls, view.failures, view.slow) == counts

    @invariant()
    def it_is_never_stuck(self) -> None:
        longest = max(LONGEST_OPEN_MS, PROBE_MS)
        assert admits(self.breaker, self.now + longest)


TestMachine = Machine.TestCase
TestMachine.settings = settings(max_examples=60, stateful_step_count=40, deadline=None)


class Isolates(RuleBasedStateMachine):
    """Two isolates whose clocks differ and step, and what they have in common: of each name the
    transition with the greatest order."""

    def __init__(self) -> None:
        super().__init__()
        self.clocks = [NOW, NOW]
        self.isolates = [Breakers(lambda: 0.5), Breakers(lambda: 0.5)]
        self.shared: dict[str, Transition] = {}

    @initialize(skew=st.integers(-2_000, 2_000))
    def differ(self, skew: int) -> None:
        self.clocks[1] += skew

    @rule(ms=waits)
    def wait(self, ms: int) -> None:
        self.clocks = [clock + ms for clock in self.clocks]

    @rule(which=st.integers(0, 1), ms=st.integers(-HOUR, HOUR))
    def step(self, which: int, ms: int) -> None:
        self.clocks[which] += ms

    @rule(
        which=st.integers(0, 1),
        outcomes=st.lists(st.sampled_from([OK, TIMEOUT, UNAUTHORIZED, NETWORK]), max_size=6),
    )
    def calls(self, which: int, outcomes: list[Outcome]) -> None:
        isolate, now = self.isolates[which], self.clocks[which]
        for outcome in outcomes:
            isolate.report(isolate.begin("p", "m", now), outcome, now)

    @rule(which=st.integers(0, 1))
    def reset(self, which: int) -> None:
        self.isolates[which].reset(self.clocks[which])

    @rule(which=st.integers(0, 1))
    def share(self, which: int) -> None:
        for name, transition in self.isolates[which].take_changes().items():
            if name not in self.shared or transition.order > self.shared[name].order:
                self.shared[name] = transition
        self.isolates[which].adopt(self.shared, self.clocks[which])
        assert self.isolates[which].take_changes() == {}

    @rule()
    def all_agree_after_both_have_shared_and_read(self) -> None:
        for which in (0, 1, 0):
            self.share(which)
        views = [isolate.views(self.clocks[i]) for i, isolate in enumerate(self.isolates)]
        for name, transition in self.shared.items():
            if transition.open_until:
                assert all(view[name].phase != "closed" for view in views)
                assert all(view[name].reason == transition.reason for view in views)
            else:
                assert all(name not in view or view[name].phase == "closed" for view in views)
        self.nobody_is_stuck()

    @invariant()
    def nobody_is_stuck(self) -> None:
        for isolate, now in zip(self.isolates, self.clocks, strict=True):
            assert isolate.openness("p", "m", now) <= 2 * LONGEST_OPEN_MS


TestIsolates = Isolates.TestCase
TestIsolates.settings = settings(max_examples=50, stateful_step_count=30, deadline=None)


@given(
    st.lists(st.tuples(st.integers(-HOUR, HOUR), verdicts, st.booleans()), max_size=30),
    st.integers(-HOUR, 0),
)
def test_whatever_the_clock_does_the_longest_open_time_is_enough(
    steps: list[tuple[int, Verdict, bool]], back: int
) -> None:
    breaker, now = a_breaker(), NOW
    for step, verdict, silent in steps:
        now += step
        ticket = breaker.begin(now)
        if not silent:
            breaker.report(ticket, verdict, now)
    now += back
    admits(breaker, now)
    # A step back that isn't seen, since it ends after the last change, costs as much again.
    assert admits(breaker, now + 2 * LONGEST_OPEN_MS)


@settings(deadline=None)
@given(st.lists(transitions(NOW), min_size=4, max_size=4), st.permutations([*range(4)]))
def test_in_whatever_order_transitions_come_the_same_holds(
    sent: list[Transition], order: list[int]
) -> None:
    one, other = a_breaker(), a_breaker()
    for i in order:
        one.adopt(sent[i], NOW)
    for transition in sent:
        other.adopt(transition, NOW)
    assert one.last == other.last
    assert one.openness(NOW) == other.openness(NOW)


@given(st.lists(st.tuples(st.integers(0, 20_000), st.booleans()), max_size=80))
@example(
    [
        *((0, ok) for ok in (True, True, False, True)),
        *((299, True), (4, False), (1080, True), (3040, True), (5478, False)),
        *((6209, False), (7846, True), (15_944, False), (20_000, False)),
    ]
)
def test_it_opens_on_half_of_at_least_five_in_the_window_and_no_sooner(
    calls: list[tuple[int, bool]],
) -> None:
    """Against the window itself, not its parts: it holds between 50 and 60 s."""
    breaker, now, seen = a_breaker(), NOW, list[tuple[int, bool]]()
    for gap, ok in calls:
        now += gap
        seen.append((now, ok))
        tripped = report_call(breaker, "ok" if ok else "failed", now)
        ages = [now - at for at, _ in seen]
        windows = {50_000, 60_000, *(age + 1 for age in ages if 50_000 <= age < 60_000)}
        share = [
            (len(w), sum(not good for _, good in w))
            for least in windows
            if (w := [s for s in seen if now - s[0] < least])
        ]
        reached = [calls >= 5 and 2 * bad >= calls for calls, bad in share]
        if tripped:
            assert any(reached)
            assert not ok
            return
        assert ok or not all(reached)
