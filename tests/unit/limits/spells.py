"""Hours at a provider with quiet spells between bursts of demand, in virtual time.

Moments are whole milliseconds. Deterministic for a seed. Some users burst at once, each through
several isolates; the provider says 429 only where the test says so or to more than it
bears. The buckets and the pool are the real ones, as in `day`.
"""

from random import Random

from msgspec import Struct

from proxy.limits.pool_messages import Signal
from proxy.limits.rate_limit_pool import RateLimitPool
from proxy.limits.token_bucket import Rate, TokenBucket
from tests.unit.limits.day import FLOOR, User
from tests.unit.limits.making import take


class Spells(Struct, frozen=True, kw_only=True):
    """What users ask for. Durations are milliseconds."""

    users: int = 3
    rate: Rate = Rate(burst=1000, per_hour=100_000)
    """The configured one of each."""
    quiet: tuple[int, int] = (60_000, 1_800_000)
    """Between two bursts."""
    burst: tuple[int, int] = (20, 400)
    """Requests of a user in a burst."""
    lasts: tuple[int, int] = (1000, 120_000)
    count: int = 20


class Provider(Struct):
    """It says 429 to requests whose number, counted within each burst, is among `lone`, to as many
    isolates at once as `storm`; and beyond what it `bears`."""

    lone: tuple[int, ...] = ()
    storm: int = 1
    bears: Rate | None = None


class Burst(Struct, frozen=True):
    """What became of a burst."""

    sent: int
    got: int
    limited: int
    """How often the provider said 429."""
    ended: int


def run(spells: Spells, provider: Provider, seed: int = 1) -> list[Burst]:
    """What became of each burst."""
    chance, pool, now = Random(seed), RateLimitPool(FLOOR), 0
    bucket = TokenBucket(provider.bears, 0) if provider.bears else None
    users = [User(f"{number}", spells.rate) for number in range(spells.users)]
    bursts = list[Burst]()
    for _ in range(spells.count):
        now += chance.randint(*spells.quiet)
        coming = sorted(
            (now + chance.randrange(lasts), user)
            for user in range(spells.users)
            for lasts in [chance.randint(*spells.lasts)]
            for _ in range(chance.randint(*spells.burst))
        )
        got = limited = sent = 0
        for now, number in coming:
            user = users[number]
            admitted = user.admit(now)
            user.report(pool, now)
            sent += admitted
            if not admitted:
                continue
            if sent in provider.lone or (bucket and not take(bucket, 1, now)):
                limited += 1
                for _ in range(provider.storm):
                    pool.signal(Signal(limited=True), now)
            else:
                got += 1
        bursts.append(Burst(len(coming), got, limited, now))
    return bursts
