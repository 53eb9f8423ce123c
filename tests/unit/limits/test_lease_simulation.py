"""The promise of the leases: in no window do all isolates spend more than burst and rate allow,
whatever happens to them, the object and their messages. And what is allowed can be had."""

from collections.abc import Callable
from functools import partial

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec import structs

from proxy.limits.lease_client import LeaseClient
from proxy.limits.lease_messages import MARGIN, TERM, LeaseRequest, Returns
from proxy.limits.lease_server import LeaseServer
from proxy.limits.token_bucket import UNIT, Rate
from tests.unit.limits.making import HOUR
from tests.unit.limits.simulation import KEY, START, Setup, World, by_isolate, excess

SETUPS = st.builds(
    Setup,
    rate=st.builds(
        Rate, burst=st.sampled_from((5, 40, 150)), per_hour=st.sampled_from((900, 2400))
    ),
    seed=st.integers(0, 2**32),
    millis=st.just(2 * HOUR),
    max_size=st.sampled_from((1, 4, 32)),
    spells=st.just((0.0, 0.0, 0.3, 1.0, 4.0, 12.0)),
    spell=st.sampled_from((10_000, 120_000)),
    background=st.booleans(),
    skew=st.sampled_from((0, HOUR)),
    late=st.just(0.05),
    lost=st.just(0.05),
    doubled=st.just(0.05),
    crash=st.just(0.05),
    restart=st.just(0.2),
)


@settings(max_examples=4, deadline=None)
@given(SETUPS)
def test_the_bound_holds_whatever_fails(setup: Setup) -> None:
    outcome = World(setup).run()
    assert excess(outcome.spent, setup.rate) <= 0
    assert len(outcome.spent) > 0.2 * min(setup.rate.per_hour * 2, len(outcome.arrivals))


class Chaos:
    """A few isolates, a small bucket, and a network in which any message may come at any time or
    again; driven by Hypothesis, which looks for the worst order."""

    def __init__(self, rate: Rate, max_size: int) -> None:
        self.rate = rate
        self.max_size = max_size
        self.now = 0
        self.bucket = LeaseServer(START)
        self.isolates = [LeaseClient(str(number), max_size) for number in range(3)]
        self.messages: list[Callable[[], None]] = []
        self.spent: list[int] = []

    def step(self, kind: str, number: int, amount: int) -> None:
        clock = START + self.now
        client = self.isolates[number % 3]
        if kind == "pass":
            self.now += amount
        elif kind == "request":
            self.request(client, clock, 1 + amount % 3)
        elif kind == "storm":
            self.storm(client, clock)
        elif kind == "deliver" and self.messages:
            self.messages.pop(number % len(self.messages))()
        elif kind == "double" and self.messages:
            self.messages[number % len(self.messages)]()
        elif kind == "return":
            for _, returns in client.collect_returns(clock):
                self.messages.append(partial(self.give_back, returns))
        elif kind == "restart":
            self.bucket = LeaseServer(clock, self.bucket.encode_state())
        elif kind == "crash":
            self.isolates[number % 3] = LeaseClient(str(number), self.max_size)

    def give_back(self, returns: Returns) -> None:
        self.bucket.give_back(returns, START + self.now)

    def spends(self, client: LeaseClient, n: int) -> bool:
        spent = client.spend(KEY, n, START + self.now)
        self.spent += [self.now] * n * spent
        return spent

    def storm(self, client: LeaseClient, clock: int) -> None:
        """Spends all that can be had at this moment, by messages that take no time."""
        for each in (*self.isolates, client):
            while self.spends(each, 1):
                pass
        while True:
            request = client.build_request(KEY, self.rate, 1, clock)
            client.accept(KEY, self.bucket.take(request, clock), clock, clock)
            if not self.spends(client, 1):
                return

    def request(self, client: LeaseClient, sent: int, n: int) -> None:
        if not self.spends(client, n):
            self.call(client, sent, n, client.build_request(KEY, self.rate, n, sent))
        elif ahead := client.build_request_ahead(KEY, self.rate, sent):
            self.call(client, sent, 0, ahead)

    def call(self, client: LeaseClient, sent: int, n: int, request: LeaseRequest) -> None:
        """Sends a request, with whose answer `n` tokens are spent."""

        def arrived() -> None:
            grant = self.bucket.take(request, START + self.now)

            def answered() -> None:
                client.accept(KEY, grant, sent, START + self.now)
                self.spends(client, n)

            self.messages.append(answered)

        self.messages.append(arrived)


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
    burst=st.one_of(st.integers(3, 20), st.just(200)),
    per_hour=st.sampled_from((0, 3600, 36_000)),
    max_size=st.sampled_from((1, 8, 64)),
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


BUSY = Setup(
    rate=Rate(10_000, 720_000), load=0.5, millis=60_000, isolates=2, max_size=256, delay=20
)


def test_a_busy_bucket_keeps_few_requests_waiting() -> None:
    outcome = World(BUSY).run()
    assert len(outcome.spent) == len(outcome.arrivals) > 5_000
    assert outcome.waits < outcome.calls < 0.03 * len(outcome.arrivals)
    assert outcome.waits < 0.006 * len(outcome.arrivals)


def test_many_requests_at_once_do_not_each_call_for_a_token() -> None:
    """50 callers of one isolate, each of whom sends its next request once it is answered."""
    client, bucket = LeaseClient("a", 256), LeaseServer(START)
    rate = Rate(100_000, 0)
    calls: list[LeaseRequest] = []

    for tick in range(100):
        now = START + 100 * tick
        waiting = []
        for _ in range(50):
            if not client.spend(KEY, 1, now):
                waiting.append(client.build_request(KEY, rate, 1, now))
            elif ahead := client.build_request_ahead(KEY, rate, now):
                waiting.append(ahead)
        for asked in waiting:
            client.accept(KEY, bucket.take(asked, now + 20), now, now + 20)
        for _ in waiting:
            client.spend(KEY, 1, now + 20)
        calls += waiting
    assert len(calls) < 300
    assert calls[-1].want == 256
