"""Which Durable Object saturates first as traffic grows, and what a request costs, on paper.

    python -m bench.scaling

No time is measured: the isolates' real machines run on a clock that jumps (scaling_slice.py), their
calls are counted by object, and set against what an object is assumed to carry. The same seed
prints the same tables. docs/scaling.md says how to read them; scaling_load.py and scaling_cost.py
have the assumptions.
"""

import argparse
from collections import Counter
from collections.abc import Iterable, Sequence
from random import Random

from msgspec import Struct

from bench.scaling_cost import PATHS, PRICES, count_kept_units, count_units, price
from bench.scaling_load import (
    COUNTED,
    KEY_SKEW,
    PROMPT_SKEW,
    PROMPTS,
    PROVIDERS,
    UNIQUE,
    Load,
    Tally,
    count_pool_reports,
    shares_of_zipf,
)
from bench.scaling_slice import play
from proxy.access.keys import LOOKUP
from proxy.analytics.store.shard import ADD, shard_name
from proxy.cache.purge import READ_PURGES
from proxy.limits.account_messages import RESERVE, SETTLE
from proxy.limits.lease_messages import GIVE_BACK, TAKE
from proxy.routing.board import EXCHANGE

RATES = (1_000, 10_000, 100_000)
OBJECT_CALLS = 1_000
"""Calls a second that an object carries: Cloudflare's soft limit. Assumed to hold in Python too."""
SHARD_RECORDS = 500
"""Assumed: records a second that a shard counts ("some hundreds": docs/configuration.md)."""
SHARDS = (1, 8, 32)
"""ANALYTICS_SHARDS: the default, and up to the most."""
KEPT = "key-1, each request continues a kept response"
KEPT_CALLS = 2
"""Calls of a key's responses by such a request: what it continues is read, its own is kept."""
COST_RATE = 10_000
"""Requests a second at which the cost is counted."""


class ObjectLoad(Struct, frozen=True):
    """The busiest object of a namespace. load: calls or records a second; capacity: what of them
    it is assumed to carry."""

    namespace: str
    name: str
    load: float
    capacity: float = OBJECT_CALLS

    @property
    def share(self) -> float:
        """The share of its capacity that is used; over 1: it is saturated."""
        return self.load / self.capacity


def list_loads(tally: Tally) -> list[ObjectLoad]:
    """The busiest object of each namespace at a load."""
    load, misses = tally.load, tally.paths["miss"] / tally.requests
    hottest = load.rate * (1 - UNIQUE) * shares_of_zipf(PROMPTS, PROMPT_SKEW)[0]
    rows = [
        ObjectLoad("ACCESS_KEYS", *tally.busiest(LOOKUP)),
        ObjectLoad("KEY_ACCOUNT", *tally.busiest(RESERVE, SETTLE)),
        ObjectLoad("PROVIDER_POOL", PROVIDERS[0], count_pool_reports(load, misses)),
        ObjectLoad("RATE_BUCKET", *tally.busiest(TAKE, GIVE_BACK)),
        ObjectLoad("PROVIDER_STATE", *tally.busiest(EXCHANGE)),
        ObjectLoad("CACHE_PURGES", *tally.busiest(READ_PURGES)),
        ObjectLoad("CACHE_FLIGHT", "prompt 1 in flight, `CACHE_COALESCE=on`", hottest),
        ObjectLoad("STATISTICS", "1 shard, calls", tally.busiest(ADD)[1]),
    ]
    first_key = load.rate * shares_of_zipf(load.keys, KEY_SKEW)[0]
    rows.append(ObjectLoad("RESPONSES", KEPT, first_key * KEPT_CALLS))
    records = tally.records * load.scale / COUNTED
    for shards in SHARDS:
        share = find_busiest_shard(load, shards)
        name = f"{shards} shard{'s' * (shards > 1)}, records"
        rows.append(ObjectLoad("STATISTICS", name, records * share, SHARD_RECORDS))
    return rows


def find_busiest_shard(load: Load, shards: int) -> float:
    """The share of the isolates that the busiest shard has; see ShardReporter."""
    chance = Random(load.seed)
    tokens = (chance.randbytes(8).hex() for _ in range(load.isolates))
    isolates = Counter(shard_name(int(token, 16) % shards) for token in tokens)
    return max(isolates.values()) / load.isolates


def main(argv: Sequence[str] | None = None) -> None:
    """Prints the tables."""
    parser = argparse.ArgumentParser(description="Load and cost, by simulation.")
    parser.add_argument("--keys-per-rate", type=float, default=1.0, help="keys for each request/s")
    parser.add_argument("--isolate-rate", type=int, default=100, help="requests/s of an isolate")
    parser.add_argument("--lease", type=int, default=256, help="RATE_LIMIT_LEASE")
    parser.add_argument("--seed", type=int, default=1)
    options = vars(parser.parse_args(argv))
    tallies = {rate: play(Load(rate=rate, **options)) for rate in RATES}
    _print_traffic(tallies.values())
    _print_loads([list_loads(tally) for tally in tallies.values()])
    _print_costs(tallies[COST_RATE])


def _print_traffic(tallies: Iterable[Tally]) -> None:
    print("| requests/s | isolates | played | keys | memory hits | KV hits | misses |")
    print("| --- " * 7 + "|")
    for tally in tallies:
        load, paths = tally.load, tally.paths
        shares = (f"{paths[path] / tally.requests:.0%}" for path in ("memory", "kv", "miss"))
        figures = (f"{n:,}" for n in (load.rate, load.isolates, load.played, load.keys))
        print("|", " | ".join((*figures, *shares)), "|")


def _print_loads(columns: list[list[ObjectLoad]]) -> None:
    """A row for each object, by its share at the highest rate; then what comes first at each."""
    print("\n| namespace | its busiest object |", *(f"{rate:,}/s | share |" for rate in RATES))
    print("| --- " * (2 + 2 * len(columns)) + "|")
    rows = sorted(zip(*columns, strict=True), key=lambda row: -row[-1].share)
    for row in rows:
        figures = (f"{each.load:,.1f} | {each.share:.1%}" for each in row)
        print(f"| `{row[-1].namespace}` |", row[-1].name, "|", " | ".join(figures), "|")
    print()
    for rate, column in zip(RATES, columns, strict=True):
        full = sorted((each for each in column if each.share >= 1), key=lambda each: -each.share)
        names = (f"{each.namespace} ({each.name}) {each.share:.0%}" for each in full)
        print(f"Saturated at {rate:,}/s:", ", ".join(names) or "nothing")


def _print_costs(tally: Tally) -> None:
    """Dollars for a million requests of each path, by item, and how many of it one takes."""
    units = count_units(tally)
    print(f"\nAt {tally.load.rate:,} requests/s, US dollars for a million requests:\n")
    print("| item | price of a million |", *(f"{path} |" for path in PATHS))
    print("| --- " * (2 + len(PATHS)) + "|")
    prices = {path: price(units[path]) for path in PATHS}
    for item, dollars in PRICES.items():
        cells = (
            f"{prices[path][item]:.2f} ({units[path][item]:.3g})" if units[path][item] else ""
            for path in PATHS
        )
        print(f"| {item} | {dollars:.2f} |", " | ".join(cells), "|")
    sums = (f"**{sum(prices[path].values()):.2f}**" for path in PATHS)
    print("| **sum** | |", " | ".join(sums), "|")
    _print_kept()


def _print_kept() -> None:
    """What a response costs that is kept."""
    units = count_kept_units()
    items = (
        f"{item} {dollars:.2f} ({units[item]:.3g})"
        for item, dollars in price(units).items()
        if dollars
    )
    print(
        f"\nA million kept responses, beside their requests: {sum(price(units).values()):.2f}:",
        ", ".join(items),
    )


if __name__ == "__main__":
    main()
