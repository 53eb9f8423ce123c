"""What the cache saves on a stream of requests in which few prompts are asked often (Zipf's law).

    python -m bench.trace                   the real pipeline on stand-ins for KV and R2
    python -m bench.trace --workerd [N]     beside it the real Worker, both for N (2,000) requests

README.md says how to read what is printed. Exit status 1: the hit rate is not over 80 %, or,
with --workerd, the Worker's differs from that on the stand-ins.
"""

import argparse
import asyncio
import json
import re
from collections import Counter
from collections.abc import Coroutine, Mapping
from concurrent.futures import ThreadPoolExecutor
from itertools import accumulate
from pathlib import Path
from random import Random
from tempfile import TemporaryDirectory
from typing import Any

import httpx
from msgspec import structs

from proxy.api.app import App
from proxy.cache.tiers import PRUNE_SECONDS
from proxy.core.ports import Outgoing
from proxy.core.web import Request, Response
from proxy.host.maintenance import maintain
from tests.e2e import conftest
from tests.unit.doubles import FakeReply, FakeUpstream, ManualClock, ports
from tests.upstream import Upstream
from tests.upstream.behaviour import extract

OPTIONS = {"requests": 20_000, "prompts": 2_000, "s": 1.1, "isolates": 4, "hours": 6.0}
OPTIONS |= {"ttl": 3600, "seed": 1}
GOAL = 0.8
TOLERANCE = 0.01  # by which the hit rates of the Worker and the stand-ins may differ
ENV = {
    "ENVIRONMENT": "development",
    "ANALYTICS": "off",  # what is told a second later would hold each request up for it
    "OPENAI_API_KEY": "test-openai-key",
    # The limits are not what is measured: one user sends it all, and nothing waits.
    "RATE_LIMIT_BURST": "1000000",
    "RATE_LIMIT_LEASE": "1",
}
PATH = "/v1/generate"
JSON = {"content-type": "application/json"}
WORDS = ["".join(Random(n).choices("etaoinshrdlu", k=2 + n % 9)) for n in range(1000)]


class _Store:
    """KV (which `expires`) or R2 as edge/ uses them, counting what is billed: a read of nothing
    too, and for pruning one listing and one deletion of all that is over."""

    def __init__(self, clock: ManualClock, expires: bool) -> None:
        self.clock = clock
        self.expires = expires
        self.spent: Counter[str] = Counter()
        self.held: dict[str, tuple[bytes, float]] = {}

    async def get(self, key: str) -> bytes | None:
        self.spent["reads"] += 1
        data, until = self.held.get(key, (None, 0.0))
        return None if self.expires and until <= self.clock.time else data

    async def put(self, key: str, data: bytes, lifetime: int) -> None:
        if lifetime < 60:
            raise ValueError(f"400 Invalid expiration_ttl of {lifetime}")
        self.spent.update(writes=1, bytes=len(data))
        self.held[key] = data, self.clock.time + lifetime

    async def delete(self, key: str) -> None:
        self.spent["deletes"] += 1
        self.held.pop(key, None)

    async def prune(self, prefix: str) -> int:
        now = self.clock.time
        over = [k for k, (_, until) in self.held.items() if k.startswith(prefix) and until <= now]
        self.spent.update(lists=1, deletes=bool(over))
        for key in over:
            del self.held[key]
        return len(over)


def _trace(args: argparse.Namespace) -> list[bytes]:
    """The requests' bodies. A longer trace begins with the shorter one."""
    weights = list(accumulate(rank**-args.s for rank in range(1, args.prompts + 1)))
    drawn = Random(args.seed).choices(range(args.prompts), cum_weights=weights, k=args.requests)
    bodies = {number: _body(Random(f"{args.seed} {number}"), number) for number in set(drawn)}
    return [bodies[number] for number in drawn]


def _body(chance: Random, number: int) -> bytes:
    """A native request that tells the upstream what to say: about 200 to 8,000 characters, 1,000 in
    the middle, of words that deflate to a half as prose does."""
    length = min(8000.0, max(200.0, chance.lognormvariate(6.9, 0.7)))
    said = [WORDS[int(1000 * chance.random() ** 2)] for _ in range(int(length / 7))]
    told = json.dumps({"openai": {"text": " ".join(said)}})
    return json.dumps({"prompt": f"Question {number}? upstream:{told}"}).encode()


def _provider(asked: Outgoing) -> FakeReply:
    """Says what it is told to, as the scripted upstream does; lists no models."""
    if asked.body is None:
        return FakeReply(b'{"data": []}')
    text = extract(json.loads(asked.body))[1]["openai"]["text"]
    choice = {"index": 0, "message": {"content": text}, "finish_reason": "stop"}
    usage = {"prompt_tokens": 9, "completion_tokens": 99, "total_tokens": 108}
    return FakeReply(json.dumps({"id": "1", "choices": [choice], "usage": usage}).encode())


def _who(status: int, headers: Mapping[str, str], body: bytes) -> str:
    """Who answered. Raises SystemExit where nobody did."""
    if status != 200:
        raise SystemExit(f"A request failed with {status}: {body.decode()[:500]}")
    hit = re.match(r"proxy-(\w+); hit", headers["cache-status"])
    return hit[1] if hit else "upstream"


async def _on_stand_ins(bodies: list[bytes], args: argparse.Namespace) -> Counter[str]:
    """How many requests each tier and `upstream` answered; under `calls` how many upstream got.
    Each comes at a random moment to a random isolate. Prints what the stand-ins have counted."""
    outside = ports(_provider)
    clock, upstream = outside.clock, outside.upstream
    assert isinstance(clock, ManualClock) and isinstance(upstream, FakeUpstream)
    kv, r2 = _Store(clock, expires=True), _Store(clock, expires=False)
    outside = structs.replace(outside, kv=kv, r2=r2)
    apps = [App(ENV | args.settings, outside) for _ in range(args.isolates)]
    chance = Random(f"{args.seed} moments")
    moments = sorted(clock.time + chance.uniform(0, 3600 * args.hours) for _ in bodies)
    cron, tally = clock.time, Counter[str]()
    for body, moment in zip(bodies, moments, strict=True):
        while cron <= moment:
            clock.time = cron
            await maintain(chance.choice(apps).services)
            cron += PRUNE_SECONDS
        clock.time = moment
        tally[await _ask(chance.choice(apps), body)] += 1
    print("per 1,000 requests     reads    writes   deletes     lists")
    for name, store in (("kv", kv), ("r2", r2)):
        spent = (store.spent[what] for what in ("reads", "writes", "deletes", "lists"))
        print(f"{name:18}", *(f"{1000 * count / len(bodies):9.1f}" for count in spent))
    print("evictions from memory:", sum(app._parts.cache.memory.evictions for app in apps))
    print("bytes of an entry:    ", kv.spent["bytes"] // max(1, kv.spent["writes"]), end="\n\n")
    return tally + Counter(calls=sum(sent.method == "POST" for sent in upstream.sent))


async def _ask(app: App, body: bytes) -> str:
    later: list[Coroutine[Any, Any, object]] = []
    asked = Request("POST", PATH, {}, JSON, lambda _: asyncio.sleep(0, body), later.append)
    reaction = app.handle(asked, lambda response: response)
    response = reaction if isinstance(reaction, Response) else await reaction
    for work in later:
        await work
    return _who(response.status, response.headers, response.body)


def _on_workerd(bodies: list[bytes], settings: dict[str, str]) -> Counter[str]:
    """The same of the real Worker, started for it on free ports, asked as fast as it goes."""
    conftest.DEPLOYMENTS["trace"] = ("development", {"FALLBACK_CHAIN": "openai"} | settings)
    with Upstream() as upstream, TemporaryDirectory() as directory:
        deployments = conftest.Deployments(upstream, Path(directory))
        try:
            url = deployments.get("trace").url + PATH
            with httpx.Client(timeout=60) as client, ThreadPoolExecutor(8) as pool:
                told = pool.map(lambda body: client.post(url, content=body, headers=JSON), bodies)
                tally = Counter(_who(each.status_code, each.headers, each.content) for each in told)
            return tally + Counter(calls=len(upstream.log()))
        finally:
            deployments.stop()


def main() -> int:
    """Prints the figures; gives the exit status."""
    asks = argparse.ArgumentParser(prog="python -m bench.trace")
    for name, default in OPTIONS.items():
        asks.add_argument(f"--{name}", type=type(default), default=default)
    asks.add_argument("--set", action="append", default=[], metavar="NAME=VALUE")
    asks.add_argument("--workerd", type=int, nargs="?", const=2000, metavar="N")
    args = asks.parse_args()
    args.settings = {"CACHE_TTL": str(args.ttl), **dict(pair.split("=", 1) for pair in args.set)}
    if args.workerd:
        args.requests, args.isolates, args.hours = args.workerd, 1, 0.0
    print(", ".join(f"{name} {getattr(args, name):,}" for name in OPTIONS), *args.set)
    print("KV and R2 are stand-ins here: hits and operations are meant, not times.\n")
    bodies = _trace(args)
    tallies = {"stand-ins": asyncio.run(_on_stand_ins(bodies, args))}
    if args.workerd:
        tallies["real Worker"] = _on_workerd(bodies, args.settings)
    print("answered by", *(f"{title:>18}" for title in tallies))
    for who in ("memory", "kv", "r2", "upstream"):
        counts = [tally[who] for tally in tallies.values()]
        print(f"{who:11}", *(f"{n:10,} {n / len(bodies):7.2%}" for n in counts))
    saved = (len(bodies) - tally["calls"] for tally in tallies.values())
    print("calls saved", *(f"{n:10,}{'':8}" for n in saved))
    rates = [1 - tally["upstream"] / len(bodies) for tally in tallies.values()]
    agree, over = abs(rates[-1] - rates[0]) <= TOLERANCE, rates[-1] > GOAL
    beside = f"; the stand-ins {'agree' if agree else 'differ'}: {rates[0]:.2%}"
    said = f"Hit rate {rates[-1]:.2%}, {'over' if over else 'NOT over'} {GOAL:.0%}"
    print(f"\n{said}{beside if args.workerd else ''}.")
    return 0 if (agree if args.workerd else over) else 1


if __name__ == "__main__":
    raise SystemExit(main())
