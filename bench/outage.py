"""What callers notice while one of three providers fails at random.

    python -m bench.outage                  60 s, half of what goes to the first one fails

README.md says how to read what is printed.
"""

import argparse
import asyncio
import json
from collections import Counter
from pathlib import Path
from random import Random
from tempfile import TemporaryDirectory
from time import monotonic

import httpx

from tests.e2e import conftest
from tests.upstream import Upstream

OPTIONS = {"seconds": 60.0, "share": 0.5, "connections": 20, "seed": 1}
FAULTS: tuple[dict[str, object], ...] = (
    {"status": 500},
    {"status": 503},
    {"status": 429},
    {"refuse": True},
    {"half_json": True},
    {"html": True},
)
SETTINGS = {"FALLBACK_CHAIN": "openai,groq,deepseek", "RETRY_ATTEMPTS": "2"}


async def _load(url: str, args: argparse.Namespace) -> tuple[Counter[str], Counter[str]]:
    """Statuses, and the outcomes of the attempts of answers."""
    chance, ends = Random(args.seed), monotonic() + args.seconds
    statuses: Counter[str] = Counter()
    outcomes: Counter[str] = Counter()

    async def connection(client: httpx.AsyncClient, number: int) -> None:
        while monotonic() < ends:
            number += args.connections
            fault = chance.choice(FAULTS) if chance.random() < args.share else {}
            prompt = f"{number} upstream:{json.dumps({'openai': fault})}"
            body = {"prompt": prompt, "cache": {"mode": "off"}}
            answer = await client.post("/v1/generate", json=body)
            statuses[str(answer.status_code)] += 1
            for attempt in answer.json()["metadata"].get("attempts", ()):
                outcomes[f"{attempt['provider']} {attempt['outcome']}"] += 1

    async with httpx.AsyncClient(base_url=url, timeout=60) as client:
        await asyncio.gather(*(connection(client, number) for number in range(args.connections)))
    return statuses, outcomes


def main() -> None:
    """Prints the figures. Exit status 1 where fewer than 99.9 % succeed."""
    asks = argparse.ArgumentParser(prog="python -m bench.outage")
    for name, default in OPTIONS.items():
        asks.add_argument(f"--{name}", type=type(default), default=default)
    args = asks.parse_args()
    print(", ".join(f"{name} {getattr(args, name):,}" for name in OPTIONS), end="\n\n")
    conftest.DEPLOYMENTS["outage"] = ("development", SETTINGS)
    with Upstream() as upstream, TemporaryDirectory() as directory:
        deployments = conftest.Deployments(upstream, Path(directory))
        try:
            url = deployments.get("outage").url
            statuses, outcomes = asyncio.run(_load(url, args))
        finally:
            deployments.stop()
    for title, counts in (("status", statuses), ("attempts", outcomes)):
        print(title)
        for name, count in counts.most_common():
            print(f"  {name:24} {count:8,}")
    share = statuses["200"] / statuses.total()
    print(f"\n{statuses.total():,} requests, {share:.3%} succeeded")
    raise SystemExit(share < 0.999)


if __name__ == "__main__":
    main()
