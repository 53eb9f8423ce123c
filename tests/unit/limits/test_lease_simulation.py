"""The promise of the leases: in no window do all isolates spend more than burst and rate allow,
whatever happens to them, the object and their messages. And what is allowed can be had."""

from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec import structs

from proxy.limits.lease import MARGIN, TERM, LeasedBucket
from proxy.limits.lessee import Lessee
from proxy.limits.token_bucket import UNIT, Rate
from tests.unit.limits.simulation import (
    HOUR,
    NAME,
    START,
    Setup,
    World,
    by_isolate,
    excess,
)

FAULTS = {"late": 0.05, "lost": 0.05, "doubled": 0.05, "crash": 0.05, "restart": 0.2}
SPELLS = (0.0, 0.0, 0.3, 1.0, 4.0, 12.0)


@settings(max_examples=4, deadline=None)
@given(
    seed=st.integers(0, 2**32),
    burst=st.sampled_from((5, 40, 150)),
    per_hour=st.sampled_from((900, 2400)),
    max_size=st.sampled_from((1, 4, 32)),
    spell=st.sampled_from((10_000, 120_000)),
    background=st.booleans(),
    skew=st.sampled_from((0, HOUR)),
)
def test_the_bound_holds_whatever_fails(
    seed: int,
    burst: int,
    per_hour: int,
    max_size: int,
    spell: int,
    background: bool,
    skew: int,
) -> None:
    setup = Setup(
        rate=Rate(burst, per_hour),
        seed=seed,
        millis=2 * HOUR,
        max_size=max_size,
        spells=SPELLS,
        spell=spell,
        background=background,
        skew=skew,
        **FAULTS,
    )
    outcome = World(setup).run()
    assert excess(outcome.spent, setup.rate) <= 0
    assert len(outcome.spent) > 0.2 * min(per_hour * 2, len(outcome.arrivals))


class Chaos:
    """A few isolates, a small bucket, and a network in which any message may come at any time or
    again; driven by Hypothesis, which looks for the worst order."""

    def __init__(self, rate: Rate, max_size: int) -> None:
        self.rate = rate
        self.max_size = max_size
        self.now = 0
        self.bucket = LeasedBucket(START)
        self.isolates = [Lessee(str(number), max_size) for number in range(3)]
        self.messages: list[Callable[[], None]] = []
        self.spent: list[int] = []

    def step(self, kind: str, number: int, amount: int) -> None:
        clock = START + self.now
        lessee = self.isolates[number % 3]
        if kind == "pass":
            self.now += amount
        elif kind == "request":
            self.request(lessee, clock, 1 + amount % 3)
        elif kind == "storm":
            self.storm(lessee, clock)
        elif kind == "deliver" and self.messages:
            self.messages.pop(number % len(self.messages))()
        elif kind == "double" and self.messages:
            self.messages[number % len(self.messages)]()
        elif kind == "return":
            for _, returns in lessee.idle_returns(clock):
                self.messages.append(
                    lambda returns=returns: self.bucket.give_back(returns, START + self.now)
                )
        elif kind == "restart":
            self.bucket = LeasedBucket(clock, self.bucket.state())
        elif kind == "crash":
            self.isolates[number % 3] = Lessee(str(number), self.max_size)

    def spends(self, lessee: Lessee, n: int) -> bool:
        spent = lessee.spend(NAME, n, START + self.now)
        self.spent += [self.now] * n * spent
        return spent

    def storm(self, lessee: Lessee, clock: int) -> None:
        """Spends all that can be had at this moment, by messages that take no time."""
        for each in (*self.isolates, lessee):
            while self.spends(each, 1):
                pass
        while True:
            ask = lessee.ask_for(NAME, self.rate, 1, clock)
            lessee.granted(NAME, self.bucket.ask(ask, clock), clock, clock)
            if not self.spends(lessee, 1):
                return

    def request(self, lessee: Lessee, sent: int, n: int) -> None:
        if self.spends(lessee, n):
            return
        ask = lessee.ask_for(NAME, self.rate, n, sent)

        def asked() -> None:
            grant = self.bucket.ask(ask, START + self.now)

            def answered() -> None:
                lessee.granted(NAME, grant, sent, START + self.now)
                self.spends(lessee, n)

            self.messages.append(answered)

        self.messages.append(asked)


STEP = st.tuples(
    st.sampled_from(
        ("request",) * 6
        + ("deliver",) * 10
        + ("pass",) * 4
        + ("storm", "storm", "storm", "double", "double", "return", "restart", "crash")
    ),
    st.integers(0, 9),
    st.one_of(st.integers(0, 1500), st.sampled_from((TERM - 1, TERM, TERM + MARGIN, 20_000))),
)


@settings(max_examples=80, deadline=None)
@given(
    burst=st.integers(3, 20),
    per_hour=st.sampled_from((0, 3600, 36_000)),
    max_size=st.sampled_from((1, 8)),
    steps=st.lists(STEP, min_size=40, max_size=120),
)
def test_no_order_of_messages_breaks_the_bound(
    burst: int, per_hour: int, max_size: int, steps: list[tuple[str, int, int]]
) -> None:
    chaos = Chaos(Rate(burst, per_hour), max_size)
    for kind, number, amount in steps:
        chaos.step(kind, number, amount)
    assert excess(chaos.spent, chaos.rate) <= 0


STEADY = Setup(rate=Rate(100, 18_000), load=2.0, millis=HOUR // 3, isolates=50)


@pytest.mark.parametrize(
    ("size", "delay", "part"), [(1, 0, 0.995), (1, 100, 0.99), (32, 100, 0.95)]
)
def test_what_is_allowed_can_be_had_by_all_alike(size: int, delay: int, part: float) -> None:
    setup = structs.replace(STEADY, max_size=size, delay=delay)
    outcome = World(setup).run()
    allowed = setup.rate.burst + setup.rate.per_hour * setup.millis / UNIT
    assert part * allowed <= len(outcome.spent) <= allowed
    got = by_isolate(outcome)
    mean = len(outcome.spent) / setup.isolates
    assert len(got) == setup.isolates
    assert 0.7 * mean < min(got.values()) < max(got.values()) < 1.3 * mean


def test_bad_luck_costs_some_of_what_is_allowed_but_not_much() -> None:
    setup = structs.replace(STEADY, lost=0.02, doubled=0.02, late=0.02, crash=0.02, restart=0.2)
    outcome = World(setup).run()
    allowed = setup.rate.burst + setup.rate.per_hour * setup.millis / UNIT
    assert 0.9 * allowed <= len(outcome.spent) <= allowed


def test_below_the_limit_leases_save_calls_and_refuse_nobody() -> None:
    setup = structs.replace(STEADY, load=0.8, isolates=10, rate=Rate(400, 36_000))
    outcome = World(setup).run()
    assert len(outcome.spent) == len(outcome.arrivals)
    assert outcome.calls < 0.4 * len(outcome.arrivals)
