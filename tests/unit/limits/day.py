"""A day of mixed users at a provider that is short by day, in virtual time.

Moments are whole milliseconds; the day begins at 0. Deterministic for a seed. The buckets and the
pool are the real ones; calls take no time, and there are no leases between them.
"""

from collections.abc import Iterator
from heapq import heapify, heappop, heappush
from random import Random

from msgspec import Struct

from proxy.limits.pool_messages import DemandReport, Signal
from proxy.limits.rate_limit_pool import RateLimitPool
from proxy.limits.signals import read_signal
from proxy.limits.token_bucket import Rate, TokenBucket
from tests.unit.limits.making import HOUR, LIMIT_FAULT, take

FLOOR = 60
SHORT = range(9, 17)
"""The hours in which the provider is short."""
PLENTY, LITTLE = Rate(300, 18_000), Rate(100, 6000)
"""What the provider bears in other hours, and in those."""
RETRIES = 2
"""How often a client asks again, as the usual libraries do."""
PATIENCE = 60_000
"""The longest that a client waits before that."""


class Group(Struct, frozen=True, kw_only=True):
    """Users that are alike. Each comes by Poisson's law, a few requests at a time."""

    name: str
    users: int
    rate: Rate
    """The configured one."""
    times: float
    """How often one comes in an hour."""
    requests: tuple[int, int]
    """Least and most that it then asks."""
    spread: int
    """Milliseconds over which they come."""
    awake: range
    """Hours in which it comes at all."""


USUAL, BATCH = Rate(burst=50, per_hour=1000), Rate(burst=50, per_hour=5000)
HEAVY, INTERACTIVE, QUIET = GROUPS = (
    Group(
        name="heavy",
        users=3,
        rate=BATCH,
        times=4000,
        requests=(1, 1),
        spread=1,
        awake=range(24),
    ),
    Group(
        name="interactive",
        users=20,
        rate=USUAL,
        times=10,
        requests=(2, 6),
        spread=60_000,
        awake=range(7, 19),
    ),
    Group(
        name="quiet",
        users=200,
        rate=USUAL,
        times=0.2,
        requests=(4, 12),
        spread=20_000,
        awake=range(7, 19),
    ),
)


class Tally(Struct):
    """What became of a group's requests; the rest were still refused by their own buckets at the
    last try."""

    sent: int = 0
    got: int = 0
    at_once: int = 0
    """Of these, without a retry."""
    limited: int = 0
    """How often the provider said 429, at any try."""
    lost: int = 0
    """Requests whose last try ended in that."""


class User:
    """A user with a bucket of its own."""

    def __init__(self, name: str, rate: Rate) -> None:
        self.name = name
        self.rate = rate
        self.bucket = TokenBucket(rate, 0)
        self.closed_until = self.next_report = self.taken = self.refused = 0

    def admit(self, now: int) -> bool:
        admitted = now >= self.closed_until and take(self.bucket, 1, now)
        self.taken += admitted
        self.refused += not admitted
        return admitted

    def find_wait(self, now: int) -> int:
        """Milliseconds until it may try again."""
        return max(self.closed_until - now, self.bucket.find_wait(1, now) or 0)

    def report(self, pool: RateLimitPool, now: int) -> None:
        """As objects.limits.RateBucket does: after a request, when it is due."""
        if now < self.next_report:
            return
        allocation = pool.report(
            DemandReport(user=self.name, taken=self.taken, refused=self.refused, rate=self.rate),
            now,
        )
        self.taken = self.refused = 0
        self.next_report = now + allocation.next_report
        self.closed_until = allocation.closed_until
        self.bucket.set_rate(self.rate.lowest(allocation.rate), now)


class _Provider:
    """A token bucket, as OpenAI has one. A `telling` one sends headers with every answer."""

    def __init__(self, telling: bool) -> None:
        self.telling = telling
        self.bucket = TokenBucket(PLENTY, 0)

    def answer(self, now: int) -> tuple[int, Signal | None]:
        """Status, and what the headers say."""
        rate = LITTLE if now // HOUR in SHORT else PLENTY
        self.bucket.set_rate(rate, now)
        status = 200 if take(self.bucket, 1, now) else 429
        headers = {
            "x-ratelimit-limit-requests": str(rate.burst),
            "x-ratelimit-remaining-requests": str(self.bucket.peek(now)),
            "x-ratelimit-reset-requests": f"{self.bucket.find_wait(rate.burst, now)}ms",
        }
        fault = LIMIT_FAULT if status == 429 else None
        return status, read_signal("", headers if self.telling else {}, fault, now)


Request = tuple[int, str, int, int]
"""When it comes, the group and the number of its user, and which retry it is."""


def requests(hours: range, seed: int) -> list[Request]:
    """All first tries."""
    return [
        request
        for group in GROUPS
        for number in range(group.users)
        for request in _of(group, number, hours, Random(f"{seed} {group.name} {number}"))
    ]


def _of(group: Group, number: int, hours: range, chance: Random) -> Iterator[Request]:
    now = hours.start * HOUR
    while (now := now + int(chance.expovariate(group.times / HOUR)) + 1) < hours.stop * HOUR:
        for _ in range(chance.randint(*group.requests)):
            moment = now + chance.randrange(group.spread)
            if now // HOUR in group.awake:
                yield moment, group.name, number, 0


def run(
    hours: range = range(24), *, adaptive: bool, telling: bool = False, seed: int = 1
) -> dict[str, Tally]:
    """What became of each group's requests."""
    provider, pool = _Provider(telling), RateLimitPool(FLOOR)
    users = {(g.name, n): User(f"{g.name} {n}", g.rate) for g in GROUPS for n in range(g.users)}
    tallies = {group.name: Tally() for group in GROUPS}
    heapify(coming := requests(hours, seed))
    while coming:
        now, group, number, retry = heappop(coming)
        tally = tallies[group]
        tally.sent += not retry
        user = users[group, number]
        admitted = user.admit(now)
        if adaptive:
            user.report(pool, now)
        status, signal = provider.answer(now) if admitted else (0, None)
        if signal:
            pool.signal(signal, now)
        tally.limited += status == 429
        if status == 200:
            tally.got += 1
            tally.at_once += not retry
        elif retry < RETRIES:
            wait = max(1000 << retry, 0 if admitted else user.find_wait(now))
            heappush(coming, (now + min(wait, PATIENCE), group, number, retry + 1))
        else:
            tally.lost += admitted
    return tallies
