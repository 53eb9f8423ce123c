"""Many isolates that share one leased bucket over a bad network, in virtual time.

All times are whole milliseconds; the true time begins at 0. Deterministic for a Setup.
"""

import heapq
import itertools
from collections import Counter
from collections.abc import Callable
from functools import partial
from random import Random

import msgspec
from msgspec import Struct

from proxy.limits.lease_client import LeaseClient, LeaseKey
from proxy.limits.lease_messages import LeaseGrant, LeaseRequest, Returns
from proxy.limits.lease_server import LeaseServer
from proxy.limits.token_bucket import UNIT, Rate
from tests.unit.limits.making import HOUR

START = 1_700_000_000_000
"""What the object's clock says at the true time 0."""
KEY = LeaseKey("openai:somebody")


class Setup(Struct, frozen=True, kw_only=True):
    """A world. Probabilities are of each message, or of each minute."""

    rate: Rate
    seed: int = 1
    isolates: int = 50
    millis: int = HOUR
    max_size: int = 16
    load: float = 1.0
    """Requests, as a multiple of what the rate adds."""
    spells: tuple[float, ...] = (1.0,)
    """Factors of the load, one of which holds for about `spell` milliseconds."""
    spell: int = 60_000
    background: bool = True
    """Whether isolates give back what they don't use."""
    delay: int = 100
    """The mean of a message's way."""
    late: float = 0.0
    """Messages that take up to 20 s."""
    lost: float = 0.0
    doubled: float = 0.0
    crash: float = 0.0
    """An isolate that forgets all, a minute."""
    restart: float = 0.0
    """The object, which then reads what it stored."""
    skew: int = 0
    """Milliseconds by which an isolate's clock may be off."""


class Isolate:
    """One isolate in one life."""

    def __init__(self, number: int, life: int, setup: Setup, skew: int) -> None:
        self.number = number
        self.skew = skew
        self.client = LeaseClient(f"{number}.{life}", setup.max_size)
        self.ticking = False


class Outcome(Struct):
    """What happened."""

    arrivals: list[tuple[int, int]]
    """When a request came, and to which isolate."""
    admitted: set[int]
    """Which of the arrivals were."""
    spent: list[int]
    """When each token was, in true time."""
    calls: int
    """Of the object, those whose message was lost too."""
    waits: int = 0
    """Those of the calls for which an arrival waited."""


class World:
    """Runs a Setup."""

    def __init__(self, setup: Setup) -> None:
        self.setup = setup
        self.chance = Random(setup.seed)
        self.now = 0
        self._order = itertools.count()
        self._events: list[tuple[int, int, Callable[[], None]]] = []
        self._lives = itertools.count()
        self._isolates = [self._isolate(number) for number in range(setup.isolates)]
        self._object = LeaseServer(START)
        self._stored = self._object.encode_state()
        self.outcome = Outcome(arrivals(setup), set(), [], 0)

    def run(self) -> Outcome:
        """Lets it all happen."""
        for request, (when, number) in enumerate(self.outcome.arrivals):
            self._at(when, partial(self._request, request, number))
        for minute in range(0, self.setup.millis, 60_000):
            self._at(minute, self._disasters)
        while self._events:
            self.now, _, event = heapq.heappop(self._events)
            event()
        return self.outcome

    def _at(self, when: int, event: Callable[[], None]) -> None:
        heapq.heappush(self._events, (when, next(self._order), event))

    def _isolate(self, number: int) -> Isolate:
        skew = self.chance.randint(-self.setup.skew, self.setup.skew)
        return Isolate(number, next(self._lives), self.setup, skew)

    def _disasters(self) -> None:
        for number in range(self.setup.isolates):
            if self.chance.random() < self.setup.crash:
                self._isolates[number] = self._isolate(number)
        if self.chance.random() < self.setup.restart:
            self._object = LeaseServer(START + self.now, self._stored)

    def _request(self, request: int, number: int) -> None:
        isolate = self._isolates[number]
        now = START + self.now + isolate.skew
        rate = self.setup.rate
        if self._spend(isolate, request):
            if ahead := isolate.client.build_request_ahead(KEY, rate, now):
                self._call(isolate, ahead, None)
            return
        self._call(isolate, isolate.client.build_request(KEY, rate, 1, now), request)

    def _call(self, isolate: Isolate, asked: LeaseRequest, request: int | None) -> None:
        """Has an isolate call the object for an arrival that waits, or for none."""
        number, now = isolate.number, START + self.now + isolate.skew
        request_json = msgspec.json.encode(asked)
        self.outcome.calls += 1
        self.outcome.waits += request is not None

        def answered(answer: bytes) -> None:
            if self._isolates[number] is not isolate:
                return
            grant = msgspec.json.decode(answer, type=LeaseGrant)
            isolate.client.accept(KEY, grant, now, START + self.now + isolate.skew)
            if request is not None:
                self._spend(isolate, request)
            if grant.tokens > 1:
                self._tick(isolate)

        first = True

        def arrived() -> None:
            nonlocal first
            grant = self._object.take(
                msgspec.json.decode(request_json, type=LeaseRequest), START + self.now
            )
            self._stored = self._object.encode_state()
            answer = msgspec.json.encode(grant)
            if first:  # a doubled request has one answer only, but that may be doubled too
                self._send(partial(answered, answer))
            first = False

        self._send(arrived)

    def _spend(self, isolate: Isolate, request: int) -> bool:
        spent = isolate.client.spend(KEY, 1, START + self.now + isolate.skew)
        if spent:
            self.outcome.admitted.add(request)
            self.outcome.spent.append(self.now)
        return spent

    def _tick(self, isolate: Isolate) -> None:
        """Starts the background task: a look every second for as long as a lease may live."""
        if isolate.ticking or not self.setup.background:
            return
        isolate.ticking = True
        rounds = iter(range(12))

        def look() -> None:
            now = START + self.now + isolate.skew
            for _, returns in isolate.client.collect_returns(now):
                self.outcome.calls += 1
                self._send(partial(self._returned, returns))
            isolate.ticking = next(rounds, None) is not None
            if isolate.ticking:
                self._at(self.now + 1000, look)

        self._at(self.now + 1000, look)

    def _returned(self, returns: Returns) -> None:
        self._object.give_back(returns, START + self.now)
        self._stored = self._object.encode_state()

    def _send(self, arrive: Callable[[], None]) -> None:
        chance, setup = self.chance, self.setup
        for _ in range(1 + (chance.random() < setup.doubled)):
            if chance.random() < setup.lost:
                continue
            way = chance.expovariate(1 / setup.delay) if setup.delay else 0
            if chance.random() < setup.late:
                way = chance.uniform(0, 20_000)
            self._at(self.now + round(way), arrive)


def arrivals(setup: Setup) -> list[tuple[int, int]]:
    """When requests come and to which isolate, in order."""
    chance = Random(f"arrivals {setup.seed}")
    mean = UNIT / (setup.rate.per_hour * setup.load)
    came: list[tuple[int, int]] = []
    begin = 0.0
    while begin < setup.millis:
        end = min(begin + chance.expovariate(1 / setup.spell), setup.millis)
        factor = chance.choice(setup.spells)
        now = begin
        while factor and (now := now + chance.expovariate(factor / mean)) < end:
            came.append((int(now), chance.randrange(setup.isolates)))
        begin = end
    return came


def excess(spent: list[int], rate: Rate) -> int:
    """Units by which the worst window of all exceeds the burst and what the rate adds; at most 0
    where the promise is kept.

    A window begins with one spending and ends with another, both within it. What is spent from
    the i-th to the j-th, less what the rate adds meanwhile, is a difference of two potentials.
    """
    lowest: float = float("inf")
    worst = -rate.burst * UNIT
    for place, when in enumerate(sorted(spent)):
        before = place * UNIT - rate.per_hour * when
        lowest = min(lowest, before)
        worst = max(worst, int(before + UNIT - lowest) - rate.burst * UNIT)
    return worst


def by_isolate(outcome: Outcome) -> Counter[int]:
    """Admitted requests of each isolate."""
    return Counter(outcome.arrivals[request][1] for request in outcome.admitted)
