"""The breakers: the state machine against a plain model of it, two isolates, and any clock."""

from collections.abc import Callable
from typing import Any, get_args

import msgspec
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from proxy.core.chat import Blame
from proxy.core.errors import BLAMED, CALLER_GONE, GIVEN_UP, OK, Fault, FaultKind, Outcome
from proxy.routing.breaker import (
    LONGEST,
    MODELS,
    Breaker,
    Breakers,
    Policy,
    Reason,
    Ticket,
    Transition,
    Verdict,
)

UNAUTHORIZED = Outcome("unauthorized", "provider")
NETWORK = Outcome("network", "provider")
TIMEOUT = Outcome("timeout", "provider")
NOW = 1_700_000_000_000
MINUTE = 60_000
HOUR = 60 * MINUTE
POLICY = Policy(slow_ms=20_000)

verdicts: st.SearchStrategy[Verdict] = st.sampled_from(
    ["ok", "ok", "slow", "failed", "failed", "failed", "neutral", "misconfigured", "not_found"]
)
waits = st.one_of(st.integers(0, 3_000), st.integers(0, 30_000), st.integers(0, 2 * HOUR))


def transitions(around: int) -> st.SearchStrategy[Transition]:
    at = st.integers(around - 30_000, around + 5_000)
    opening = st.builds(
        lambda at, length, level, reason: Transition(at, at + length, level, reason),
        at,
        st.integers(1, 300_000),
        st.integers(1, 8),
        st.sampled_from(get_args(Reason)),
    )
    return opening | st.builds(Transition, at, level=st.integers(0, 8))


def a_breaker(policy: Policy = POLICY, random: Callable[[], float] = lambda: 0.0) -> Breaker:
    return Breaker(policy, random)


def call(breaker: Breaker, verdict: Verdict, now: int) -> bool:
    return breaker.report(breaker.begin(now), verdict, now)


def opened(reason: Verdict = "misconfigured", now: int = NOW) -> Breaker:
    breaker = a_breaker()
    assert call(breaker, reason, now)
    return breaker


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
        recovered = self.until is None and self.now - self.since >= POLICY.longest_open_ms
        level = 1 if recovered else self.level + 1
        last = self.breaker.latest()
        assert last
        base = min(10_000 * 2 ** (level - 1), 250_000)
        length = last.open_until - self.now
        assert length == int(base * (1 + 0.2 * self.fraction))
        assert base <= length <= POLICY.longest_open_ms
        assert (last.level, last.reason) == (level, reason)
        self.become(last.open_until, level, reason)

    def recent(self) -> list[Verdict]:
        first = self.now // 10_000 - 5
        return [verdict for at, verdict in self.seen if at // 10_000 >= first]

    @property
    def lapsed(self) -> bool:
        return self.probe_at is None or self.now - self.probe_at >= POLICY.probe_ms

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
        told = data.draw(transitions(self.now))
        last = self.breaker.latest()
        newer = last is None or told.order > last.order
        assert self.breaker.adopt(told, self.now) == newer
        if newer:
            assert self.breaker.latest() == told
            until = min(told.open_until, self.now + POLICY.longest_open_ms)
            self.become(until if told.open_until else None, told.level, told.reason)
        assert not self.breaker.adopt(told, self.now)

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
        assert self.breaker.admits(self.now) == (phase == "closed" or self.due)
        assert view.open_until == (self.until if phase == "open" else None)
        recent = self.recent()
        counts = len(recent), recent.count("failed"), recent.count("slow")
        assert (view.calls, view.failures, view.slow) == counts

    @invariant()
    def it_is_never_stuck(self) -> None:
        longest = max(POLICY.longest_open_ms, POLICY.probe_ms)
        assert self.breaker.admits(self.now + longest)


TestMachine = Machine.TestCase
TestMachine.settings = settings(max_examples=60, stateful_step_count=40, deadline=None)


class Isolates(RuleBasedStateMachine):
    """Two isolates whose clocks differ and step, and what they have in common: of each name the
    transition with the greatest order."""

    def __init__(self) -> None:
        super().__init__()
        self.clocks = [NOW, NOW]
        self.isolates = [Breakers(POLICY, lambda: 0.5), Breakers(POLICY, lambda: 0.5)]
        self.shared: dict[str, Transition] = {}

    @initialize(skew=st.integers(-2_000, 2_000))
    def differ(self, skew: int) -> None:
        self.clocks[1] += skew

    @rule(ms=waits)
    def wait(self, ms: int) -> None:
        self.clocks = [clock + ms for clock in self.clocks]

    @rule(who=st.integers(0, 1), ms=st.integers(-HOUR, HOUR))
    def step(self, who: int, ms: int) -> None:
        self.clocks[who] += ms

    @rule(
        who=st.integers(0, 1),
        outcomes=st.lists(st.sampled_from([OK, TIMEOUT, UNAUTHORIZED, NETWORK]), max_size=6),
    )
    def calls(self, who: int, outcomes: list[Outcome]) -> None:
        isolate, now = self.isolates[who], self.clocks[who]
        for outcome in outcomes:
            isolate.report(isolate.begin("p", "m", now), outcome, now)

    @rule(who=st.integers(0, 1))
    def reset(self, who: int) -> None:
        self.isolates[who].reset(self.clocks[who])

    @rule(who=st.integers(0, 1))
    def share(self, who: int) -> None:
        for name, told in self.isolates[who].changes().items():
            if name not in self.shared or told.order > self.shared[name].order:
                self.shared[name] = told
        self.isolates[who].adopt(self.shared, self.clocks[who])
        assert self.isolates[who].changes() == {}

    @rule()
    def all_agree_after_both_have_shared_and_read(self) -> None:
        for who in (0, 1, 0):
            self.share(who)
        views = [isolate.views(self.clocks[i]) for i, isolate in enumerate(self.isolates)]
        for name, told in self.shared.items():
            if told.open_until:
                assert all(view[name].phase != "closed" for view in views)
                assert all(view[name].reason == told.reason for view in views)
            else:
                assert all(name not in view or view[name].phase == "closed" for view in views)
        self.nobody_is_stuck()

    @invariant()
    def nobody_is_stuck(self) -> None:
        for isolate, now in zip(self.isolates, self.clocks, strict=True):
            assert isolate.openness("p", "m", now) <= 2 * POLICY.longest_open_ms


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
    breaker.admits(now)
    # A step back that isn't seen, since it ends after the last change, costs as much again.
    assert breaker.admits(now + 2 * POLICY.longest_open_ms)


@settings(deadline=None)
@given(st.lists(transitions(NOW), min_size=4, max_size=4), st.permutations([*range(4)]))
def test_in_whatever_order_transitions_come_the_same_holds(
    told: list[Transition], order: list[int]
) -> None:
    one, other = a_breaker(), a_breaker()
    for i in order:
        one.adopt(told[i], NOW)
    for transition in told:
        other.adopt(transition, NOW)
    assert one.latest() == other.latest()
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
        tripped = call(breaker, "ok" if ok else "failed", now)
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


def test_four_failures_are_too_few_and_the_fifth_opens_it() -> None:
    breaker = a_breaker()
    assert [call(breaker, "failed", NOW) for _ in range(5)] == [False] * 4 + [True]
    assert not breaker.admits(NOW + 9_999)
    assert breaker.admits(NOW + 10_000)


def test_failures_of_an_hour_are_not_added_up() -> None:
    breaker = a_breaker()
    assert not any(call(breaker, "failed", NOW + 20_000 * i) for i in range(180))


def test_slow_calls_count() -> None:
    breaker = a_breaker()
    assert [call(breaker, "slow", NOW) for _ in range(5)][-1]
    assert breaker.view(NOW).reason == "slow"


def test_where_slow_and_failed_calls_are_as_many_it_has_failed() -> None:
    breaker = a_breaker()
    given: list[Verdict] = ["ok", "failed", "failed", "slow", "slow"]
    assert [call(breaker, verdict, NOW) for verdict in given][-1]
    assert breaker.view(NOW).reason == "failed"


@pytest.mark.parametrize(("after", "opens"), [(59_999, True), (60_000, False), (-1, True)])
def test_the_window_is_a_minute_also_where_the_clock_steps_back_by_little(
    after: int, opens: bool
) -> None:
    breaker = a_breaker()
    for _ in range(4):
        call(breaker, "failed", NOW)
    assert call(breaker, "failed", NOW + after) == opens


def test_what_is_no_longer_counted_takes_no_memory() -> None:
    breaker: Any = a_breaker()
    for minute in range(100):
        call(breaker, "ok", NOW + minute * MINUTE)
    assert len(breaker._window._buckets) <= 6


def test_neutral_calls_are_not_counted() -> None:
    breaker = a_breaker()
    for _ in range(100):
        call(breaker, "neutral", NOW)
    assert breaker.view(NOW).calls == 0


def test_a_success_that_makes_up_the_minimum_does_not_open_it() -> None:
    breaker = a_breaker()
    assert not any(call(breaker, v, NOW) for v in ("failed",) * 4 + ("ok",))


def test_the_open_time_doubles_up_to_five_minutes() -> None:
    lengths = []
    for fraction in (0.0, 0.999999):
        breaker, now = a_breaker(random=lambda f=fraction: f), NOW  # type: ignore[misc]
        for _ in range(40):
            call(breaker, "misconfigured", now)
            last = breaker.latest()
            assert last
            lengths.append(last.open_until - now)
            now = last.open_until
    assert lengths[:7] == [10_000, 20_000, 40_000, 80_000, 160_000, 250_000, 250_000]
    assert lengths[40:42] == [11_999, 23_999]
    assert 299_990 <= max(lengths) <= 300_000


@pytest.mark.parametrize(("pause", "level"), [(299_999, 3), (300_000, 1)])
def test_after_a_while_closed_the_open_time_begins_anew(pause: int, level: int) -> None:
    breaker, now = opened(), NOW + 10_000
    assert call(breaker, "failed", now)
    now += 20_000
    assert call(breaker, "ok", now)
    call(breaker, "misconfigured", now + pause)
    last = breaker.latest()
    assert last
    assert last.level == level


def test_a_probe_that_fails_late_has_failed_all_the_same() -> None:
    breaker = opened()
    probe = breaker.begin(NOW + 10_000)
    assert breaker.report(probe, "failed", NOW + HOUR)
    last = breaker.latest()
    assert last
    assert last.open_until == NOW + HOUR + 20_000


def test_one_probe_goes_and_when_it_is_lost_another() -> None:
    breaker, now = opened(), NOW + 10_000
    lost = breaker.begin(now)
    assert lost.probe
    assert not breaker.admits(now + POLICY.probe_ms - 1)
    assert not breaker.begin(now + POLICY.probe_ms - 1).probe
    assert breaker.begin(now + POLICY.probe_ms).probe
    assert not breaker.report(lost, "failed", now + POLICY.probe_ms)
    assert breaker.view(now + POLICY.probe_ms).phase == "half_open"


def test_a_probe_that_says_nothing_lets_the_next_one_go() -> None:
    breaker, now = opened(), NOW + 10_000
    assert not call(breaker, "neutral", now)
    assert breaker.admits(now)
    assert breaker.view(now).phase == "half_open"


def test_who_failed_before_it_opened_does_not_open_it_again() -> None:
    breaker = a_breaker()
    early = [breaker.begin(NOW) for _ in range(20)]
    opening = [breaker.report(ticket, "misconfigured", NOW) for ticket in early]
    assert opening == [True] + [False] * 19
    assert breaker.view(NOW).opened == 1
    call(breaker, "ok", NOW + 10_000)
    assert not breaker.report(early[0], "misconfigured", NOW + 10_000)


def test_a_call_in_spite_of_it_closes_it_by_its_success_only() -> None:
    breaker = opened()
    assert not call(breaker, "failed", NOW + 1)
    assert breaker.openness(NOW + 1) == 300_000 + 9_999
    assert call(breaker, "ok", NOW + 2)
    assert breaker.admits(NOW + 2)


def test_a_clock_that_is_set_back_does_not_prolong_the_open_time() -> None:
    breaker = opened()
    assert not breaker.admits(NOW - HOUR)
    assert not breaker.admits(NOW - HOUR + 9_999)
    assert breaker.admits(NOW - HOUR + 10_000)


def test_a_probe_of_the_future_lapses() -> None:
    breaker = opened()
    breaker.begin(NOW + HOUR)
    assert not breaker.admits(NOW)
    assert breaker.admits(NOW + POLICY.probe_ms)


def test_own_transitions_hold_against_one_of_the_future() -> None:
    breaker = a_breaker()
    told = Transition(NOW + HOUR, NOW + HOUR + 10_000, 1, "failed")
    assert breaker.adopt(told, NOW)
    assert call(breaker, "ok", NOW + 300_000)
    last = breaker.latest()
    assert last
    assert last.order > told.order
    assert not breaker.adopt(told, NOW + 300_000)
    assert breaker.admits(NOW + 300_000)


def test_a_level_beyond_all_reason_does_no_harm() -> None:
    breaker = a_breaker()
    breaker.adopt(Transition(NOW, NOW + 1, 10**12, "failed"), NOW)
    assert call(breaker, "failed", NOW + 1)
    assert breaker.view(NOW + 1).open_until == NOW + 1 + 250_000


def test_a_transition_goes_over_json() -> None:
    last = opened().latest()
    assert last
    assert msgspec.json.decode(msgspec.json.encode(last), type=Transition) == last


def some_breakers() -> Breakers:
    return Breakers(POLICY, lambda: 0.0)


def run(
    breakers: Breakers, outcome: Outcome, model: str = "m", provider: str = "p", times: int = 5
) -> None:
    for _ in range(times):
        breakers.report(breakers.begin(provider, model, NOW), outcome, NOW)


def reasons(breakers: Breakers) -> dict[str, Reason | None]:
    views = breakers.views(NOW)
    return {name: view.reason for name, view in views.items() if view.phase != "closed"}


PROVIDERS: dict[FaultKind, tuple[int, dict[str, Reason]]] = {
    "unauthorized": (1, {"p": "misconfigured"}),
    "not_found": (1, {"p": "not_found"}),
    "unavailable": (5, {"p": "failed"}),
    "garbage": (5, {"p": "failed"}),
    "network": (5, {"p": "failed"}),
    "timeout": (5, {"p": "failed", "p/m": "failed"}),
}
"""After how many faults of the provider's own what opens, and why."""
MODELS_OWN = {
    kind: (times, {"p/m": next(iter(opened.values()))})
    for kind, (times, opened) in PROVIDERS.items()
}


def expected(outcome: Outcome) -> tuple[int, dict[str, Reason]]:
    if outcome.kind == "ok" or outcome.kind == "gone":
        return 20, {}
    by_blame = {"provider": PROVIDERS, "model": MODELS_OWN}
    return by_blame.get(outcome.blame or "", {}).get(outcome.kind, (20, {}))


OUTCOMES = [
    *(Outcome(kind, blame) for kind in get_args(FaultKind) for blame in get_args(Blame)),
    OK,
    CALLER_GONE,
    GIVEN_UP,
]


@pytest.mark.parametrize("outcome", OUTCOMES, ids=lambda one: f"{one.kind}-{one.blame}")
def test_what_each_outcome_opens_and_after_how_many(outcome: Outcome) -> None:
    times, opened = expected(outcome)
    breakers = some_breakers()
    run(breakers, outcome, times=times - 1)
    assert reasons(breakers) == {}
    run(breakers, outcome, times=1)
    assert reasons(breakers) == opened
    assert breakers.admits("p", "m", NOW) == (not opened)
    assert breakers.admits("p", "other", NOW) == ("p" not in opened)
    assert breakers.admits("other", "m", NOW)


def test_every_kind_of_fault_has_somebody_to_blame() -> None:
    blamed = {kind: Fault(kind, "told").outcome.blame for kind in get_args(FaultKind)}
    assert blamed == BLAMED
    assert Fault("timeout", "told", blame="caller").outcome == Outcome("timeout", "caller")


NEUTRAL = [one for one in OUTCOMES if one != OK and expected(one)[1] == {}]


@pytest.mark.parametrize("outcome", NEUTRAL, ids=lambda one: f"{one.kind}-{one.blame}")
def test_what_says_nothing_is_not_counted_and_closes_nothing(outcome: Outcome) -> None:
    breakers, now = some_breakers(), NOW + 10_000
    run(breakers, outcome)
    assert {view.calls for view in breakers.views(NOW).values()} == {0}
    run(breakers, TIMEOUT)
    breakers.report(breakers.begin("p", "m", now), outcome, now)
    assert {view.phase for view in breakers.views(now).values()} == {"half_open"}
    assert breakers.admits("p", "m", now)


@pytest.mark.parametrize(("ms", "slow"), [(None, False), (19_999, False), (20_000, True)])
def test_slow_successes_open_the_model(ms: int | None, slow: bool) -> None:
    breakers = some_breakers()
    for _ in range(5):
        breakers.report(breakers.begin("p", "m", NOW), OK, NOW, ms=ms)
    assert reasons(breakers) == ({"p/m": "slow"} if slow else {})
    unlimited = Breakers(Policy(), lambda: 0.0)
    for _ in range(5):
        unlimited.report(unlimited.begin("p", "m", NOW), OK, NOW, ms=ms)
    assert reasons(unlimited) == {}


def test_a_provider_that_is_due_lets_one_call_go_whatever_the_model() -> None:
    breakers, now = some_breakers(), NOW + 10_000
    run(breakers, Fault("network", "told").outcome)
    assert breakers.admits("p", "a", now)
    probe = breakers.begin("p", "a", now)
    assert not breakers.admits("p", "b", now)
    breakers.report(probe, OK, now)
    assert breakers.admits("p", "b", now)


def test_the_least_bad_is_the_one_that_waits_least_and_is_not_misconfigured() -> None:
    breakers = some_breakers()
    run(breakers, UNAUTHORIZED, provider="key", times=1)
    run(breakers, Fault("network", "told").outcome, provider="net")
    run(breakers, Fault("network", "told").outcome, provider="probed")
    breakers.begin("probed", "m", NOW + 10_000)
    breakers.report(breakers.begin("net", "m", NOW + 10_000), NETWORK, NOW + 10_000)
    breakers.report(breakers.begin("key", "m", NOW + 10_000), UNAUTHORIZED, NOW + 10_000)
    order = sorted(
        ["key", "net", "probed", "well"], key=lambda p: breakers.openness(p, "m", NOW + 10_001)
    )
    assert order == ["well", "probed", "net", "key"]


def test_a_flood_of_names_leaves_what_is_open_and_what_is_in_use() -> None:
    breakers = some_breakers()
    run(breakers, Fault("unavailable", "told").outcome, "broken")
    run(breakers, Fault("unavailable", "told").outcome, "in use", times=1)
    for i in range(3 * MODELS):
        if i % 500 == 0:
            run(breakers, OK, "in use", times=1)
        run(breakers, OK, f"name {i}", times=1)
    assert reasons(breakers) == {"p/broken": "failed"}
    assert breakers.views(NOW)["p/in use"].failures == 1
    assert len(breakers.views(NOW)) == MODELS + 1


def test_where_all_are_open_the_oldest_gives_way() -> None:
    breakers = some_breakers()
    for i in range(MODELS + 5):
        run(breakers, Fault("not_found", "told").outcome, f"m{i}", times=1)
    views = breakers.views(NOW)
    assert len(views) == MODELS + 1
    assert "p/m4" not in views
    assert "p/m5" in views
    assert len(breakers.changes()) == MODELS


def test_a_flood_that_is_adopted_is_bounded_too() -> None:
    breakers = some_breakers()
    flood = {f"p/{i}": Transition(NOW, NOW + 10_000, 1, "failed") for i in range(MODELS + 9)}
    breakers.adopt(flood, NOW)
    assert len(breakers.views(NOW)) == MODELS


def test_a_name_that_is_too_long_is_not_kept() -> None:
    breakers = some_breakers()
    run(breakers, Fault("not_found", "told").outcome, "x" * (LONGEST - 2))
    run(breakers, Fault("not_found", "told").outcome, "y" * (LONGEST - 1))
    assert list(reasons(breakers)) == ["p/" + "x" * (LONGEST - 2)]
    assert breakers.admits("p", "y" * (LONGEST - 1), NOW)


def test_changes_are_told_once_and_adopted_elsewhere_without_an_echo() -> None:
    here, there = some_breakers(), some_breakers()
    run(here, TIMEOUT)
    told = here.changes()
    assert set(told) == {"p", "p/m"}
    assert here.changes() == {}
    there.adopt(told, NOW)
    assert there.changes() == {}
    assert not there.admits("p", "m", NOW + 9_999)
    probe = there.begin("p", "m", NOW + 10_000)
    there.report(probe, OK, NOW + 10_000)
    here.adopt(there.changes(), NOW + 10_000)
    assert here.admits("p", "m", NOW + 10_000)
    assert here.changes() == {}


def test_an_own_change_that_is_overtaken_is_not_told() -> None:
    breakers = some_breakers()
    run(breakers, Fault("network", "told").outcome)
    breakers.adopt({"p": Transition(NOW + 1)}, NOW + 1)
    assert breakers.changes() == {}


def test_that_an_unknown_one_closed_is_no_news() -> None:
    breakers = some_breakers()
    breakers.adopt({"p": Transition(NOW), "p/m": Transition(NOW)}, NOW)
    assert breakers.views(NOW) == {}


@pytest.mark.parametrize(("provider", "left"), [("p", {"q", "pp"}), (None, set())])
def test_reset_closes_and_tells_the_others(provider: str | None, left: set[str]) -> None:
    here, there = some_breakers(), some_breakers()
    for name in ("p", "q", "pp"):
        run(here, UNAUTHORIZED, provider=name, times=1)
    run(here, Fault("unavailable", "told").outcome, "m/2", provider="p")
    there.adopt(here.changes(), NOW)
    there.reset(NOW, provider)
    assert set(reasons(there)) == left
    here.adopt(there.changes(), NOW)
    assert set(reasons(here)) == left
    assert here.views(NOW)["p"].calls == 0


def test_a_view_is_shown_in_the_proxys_own_spelling() -> None:
    breakers = some_breakers()
    run(breakers, Fault("network", "told").outcome)
    assert msgspec.to_builtins(breakers.views(NOW + 1)["p"]) == {
        "phase": "open",
        "reason": "failed",
        "calls": 0,
        "failures": 0,
        "slow": 0,
        "openUntil": NOW + 10_000,
        "opened": 1,
    }
