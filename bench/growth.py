"""Whether a request costs the more the more the proxy keeps.

    python -m bench.growth [--rounds 3]

README.md says how to read what is printed.
"""

import argparse
from collections.abc import Iterable
from statistics import median

from bench import growth_pure, growth_real
from bench.growth_rows import Row

FLAT = 1.5
"""Up to this many times its cost at the smallest size, a request counts as one that does not grow:
the same Worker, measured twice, differs by less."""


def _print(rows: Iterable[Row]) -> None:
    print(f"{'kept':16} {'request':34} {'measured in':12}", "cost by size, of the smallest")
    for row in rows:
        costs = [median(costs) for costs in row.costs]
        sizes = zip(row.sizes, costs, strict=True)
        shown = "  ".join(f"{size:,}: {cost / costs[0]:.2f}" for size, cost in sizes)
        verdict = "flat" if costs[-1] <= FLAT * costs[0] else "grows"
        ms = "" if row.is_pure else f"  ({1000 * costs[-1]:.1f} ms)"
        print(f"{row.kept:16} {row.request:34} {row.where:12} {shown}  {verdict}{ms}")


def main() -> None:
    """Measures in turn, prints."""
    options = argparse.ArgumentParser(prog="python -m bench.growth")
    options.add_argument("--rounds", type=int, default=3)
    rounds = options.parse_args().rounds
    _print([*growth_real.measure(rounds), *growth_pure.measure(rounds)])
    print(f"\nflat: at most {FLAT} times the cost at the smallest size.")


if __name__ == "__main__":
    main()
