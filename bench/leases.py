"""What leases cost and save: calls of the object, and who is refused that should not be.

    python -m bench.leases [--isolates N] [--per-hour N] [--burst N] [--seed N]

Each row is the load (the part of what the rate adds that is asked for) and the largest lease that
an isolate asks for; the world is that of tests/unit/limits/simulation.py without faults, a message
taking 50 ms on average. The same arrivals are shown, in their order, to one perfect bucket.

- calls: of the object, for 1,000 requests, to give back too.
- refused: of the requests that the perfect bucket admits, those that were not.
- admitted: requests that were, as a share of those that the perfect bucket admits. Near the limit
  others are admitted than by a perfect bucket, as messages overtake each other; not fewer.
"""

import argparse

from proxy.limits.token_bucket import Rate, TokenBucket
from tests.unit.limits.simulation import START, Outcome, Setup, World, excess

SIZES = (1, 2, 4, 8, 16, 32, 64)
LOADS = (0.1, 0.5, 0.9, 1.0, 1.5)
REQUESTS = 8_000
"""Of a row: its virtual time is as long as they take to come, 10 minutes at least."""


def _setup(args: argparse.Namespace, load: float, size: int) -> Setup:
    return Setup(
        rate=Rate(args.burst, args.per_hour),
        seed=args.seed,
        isolates=args.isolates,
        millis=max(600_000, int(REQUESTS / (args.per_hour * load) * 3_600_000)),
        max_size=size,
        load=load,
        delay=50,
    )


def _rightful(setup: Setup, outcome: Outcome) -> list[int]:
    """The requests that a bucket without leases, crossings and delays admits."""
    bucket = TokenBucket(setup.rate, START)
    came = enumerate(outcome.arrivals)
    return [request for request, (when, _) in came if bucket.take(1, START + when)]


def main() -> int:
    """Prints the table; exit status 1 where a window had more than its bound."""
    asks = argparse.ArgumentParser(prog="python -m bench.leases")
    options = {"isolates": 20, "per-hour": 72_000, "burst": 600, "seed": 1}
    for name, default in options.items():
        asks.add_argument(f"--{name}", type=int, default=default)
    args = asks.parse_args()
    print(", ".join(f"{name} {value:,}" for name, value in vars(args).items()), end="\n\n")
    titles = ("load", "size", "requests", "calls/1000", "refused", "admitted")
    print("".join(title.rjust(12) for title in titles))
    broken = False
    for load in LOADS:
        for size in SIZES:
            setup = _setup(args, load, size)
            outcome = World(setup).run()
            rightful = _rightful(setup, outcome)
            refused = sum(request not in outcome.admitted for request in rightful)
            requests = len(outcome.arrivals)
            row = f"{load:12.0%}{size:12}{requests:12,}{1000 * outcome.calls / requests:12,.0f}"
            row += f"{refused / len(rightful):12.2%}{len(outcome.spent) / len(rightful):12.2%}"
            print(row, flush=True)
            broken = broken or excess(outcome.spent, setup.rate) > 0
    print("\nA window had more than its bound!" if broken else "\nThe bound held in every window.")
    return int(broken)


if __name__ == "__main__":
    raise SystemExit(main())
