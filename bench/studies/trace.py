"""What the cache saves on a trace in which few prompts repeat often (Zipf's law).

    python -m bench.studies.trace                the real pipeline on stand-ins for KV and R2
    python -m bench.studies.trace --workerd [N]  beside it the real Worker, both for N (2,000)
                                                 requests

README.md says how to read what is printed. Exit status 1: the hit rate is 80 % or less; with
--workerd: the Worker's hit rate differs from the stand-ins'.
"""

import argparse
import asyncio
import json
import re
from collections import Counter
from collections.abc import Awaitable, Mapping
from concurrent.futures import ThreadPoolExecutor
from itertools import accumulate
from pathlib import Path
from random import Random
from tempfile import TemporaryDirectory

import httpx
from msgspec import structs

from proxy.api.app import App
from proxy.api.services import Services
from proxy.cache.tiers import PRUNE_SECONDS
from proxy.core.ports import Outgoing
from proxy.core.web import Request, Response
from proxy.host.maintenance import maintain
from tests.e2e import deployments
from tests.unit.doubles import FakeReply, FakeUpstream, ManualClock, ports
from tests.upstream import Upstream
from tests.upstream.behaviour import extract

OPTIONS = {"requests": 20_000, "prompts": 2_000, "s": 1.1, "isolates": 4, "hours": 6.0}
OPTIONS |= {"ttl": 3600, "seed": 1}
GOAL = 0.8
TOLERANCE = 0.01  # of difference between the hit rates of the Worker and the stand-ins
ENV = {
    "ENVIRONMENT": "development",
    "ANALYTICS": "off",  # a request would wait a second to record it
    "OPENAI_API_KEY": "test-openai-key",
    # One user sends all requests, and no limit holds them up.
    "RATE_LIMIT_BURST": "1000000",
    "RATE_LIMIT_LEASE": "1",
}
PATH = "/v1/generate"
JSON = {"content-type": "application/json"}
WORDS = ["".join(Random(n).choices("etaoinshrdlu", k=2 + n % 9)) for n in range(1000)]


class _Store:
    """A stand-in for KV (`expires`) or R2 that counts what Cloudflare bills: a read of nothing
    too, and for pruning one listing and one deletion of everything that is over."""

    def __init__(self, clock: ManualClock, expires: bool) -> None:
        self.clock = clock
        self.expires = expires
        self.spent: Counter[str] = Counter()
        self.held: dict[str, tuple[bytes, float]] = {}

    async def get(self, key: str) -> bytes | None:
        self.spent["reads"] += 1
        data, until = self.held.get(key, (None, 0.0))
        return None if self.expires and until <= self.clock.time else data

    async def put(self, key: str, data: bytes, lifetime: int, failed: object = None) -> None:
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


def _draw_trace(args: argparse.Namespace) -> list[bytes]:
    """The requests' bodies. A longer trace begins with the shorter one."""
    weights = list(accumulate(rank**-args.s for rank in range(1, args.prompts + 1)))
    drawn = Random(args.seed).choices(range(args.prompts), cum_weights=weights, k=args.requests)
    bodies = {n: _write_body(Random(f"{args.seed} {n}"), n) for n in set(drawn)}
    return [bodies[number] for number in drawn]


def _write_body(chance: Random, number: int) -> bytes:
    """A native request with a directive for the upstream's answer: about 200 to 8,000 characters,
    1,000 at the median, of words that deflate to a half as prose does."""
    length = min(8000.0, max(200.0, chance.lognormvariate(6.9, 0.7)))
    words = [WORDS[int(1000 * chance.random() ** 2)] for _ in range(int(length / 7))]
    directive = json.dumps({"openai": {"text": " ".join(words)}})
    return json.dumps({"prompt": f"Question {number}? upstream:{directive}"}).encode()


def _provider(sent: Outgoing) -> FakeReply:
    """Answers by the directive, as the scripted upstream does; lists no models."""
    if sent.body is None:
        return FakeReply(b'{"data": []}')
    body = sent.body if isinstance(sent.body, bytes) else b"".join(map(bytes, sent.body))
    text = extract(json.loads(body))[1]["openai"]["text"]
    choice = {"index": 0, "message": {"content": text}, "finish_reason": "stop"}
    usage = {"prompt_tokens": 9, "completion_tokens": 99, "total_tokens": 108}
    return FakeReply(json.dumps({"id": "1", "choices": [choice], "usage": usage}).encode())


def _read_source(status: int, headers: Mapping[str, str], body: bytes) -> str:
    """The tier that answered, or `upstream`. Raises SystemExit where the request failed."""
    if status != 200:
        raise SystemExit(f"A request failed with {status}: {body.decode()[:500]}")
    hit = re.match(r"proxy-(\w+); hit", headers["cache-status"])
    return hit[1] if hit else "upstream"


async def _run_on_stand_ins(bodies: list[bytes], args: argparse.Namespace) -> Counter[str]:
    """How many requests each tier and `upstream` answered; `calls`: how many upstream received.
    Each request comes at a random moment to a random isolate. Prints the stand-ins' counts."""
    outside = ports(_provider)
    clock, upstream = outside.clock, outside.upstream
    assert isinstance(clock, ManualClock) and isinstance(upstream, FakeUpstream)
    kv, r2 = _Store(clock, expires=True), _Store(clock, expires=False)
    outside = structs.replace(outside, kv=kv, r2=r2)
    apps = [App(Services(ENV | args.settings, outside)) for _ in range(args.isolates)]
    chance = Random(f"{args.seed} moments")
    moments = sorted(clock.time + chance.uniform(0, 3600 * args.hours) for _ in bodies)
    cron, tally = clock.time, Counter[str]()
    for body, moment in zip(bodies, moments, strict=True):
        while cron <= moment:
            clock.time = cron
            await maintain(chance.choice(apps).services)
            cron += PRUNE_SECONDS
        clock.time = moment
        tally[await _send(chance.choice(apps), body)] += 1
    _print_operations(kv, r2, len(bodies))
    print("bytes of an entry:    ", kv.spent["bytes"] // max(1, kv.spent["writes"]), end="\n\n")
    return tally + Counter(calls=sum(sent.method == "POST" for sent in upstream.sent))


def _print_operations(kv: _Store, r2: _Store, requests: int) -> None:
    print("per 1,000 requests     reads    writes   deletes     lists")
    for name, store in (("kv", kv), ("r2", r2)):
        counts = (store.spent[operation] for operation in ("reads", "writes", "deletes", "lists"))
        print(f"{name:18}", *(f"{1000 * count / requests:9.1f}" for count in counts))


async def _send(app: App, body: bytes) -> str:
    later: list[Awaitable[object]] = []
    request = Request("POST", PATH, {}, JSON, lambda _: asyncio.sleep(0, body), later.append)
    reaction = app.handle(request, lambda response: response)
    response = reaction if isinstance(reaction, Response) else await reaction
    for work in later:
        await work
    return _read_source(response.status, response.headers, response.body)


def _run_on_workerd(bodies: list[bytes], settings: dict[str, str]) -> Counter[str]:
    """The same counts of a real Worker on free ports, sent as fast as it answers."""
    deployments.DEPLOYMENTS["trace"] = ("development", {"FALLBACK_CHAIN": "openai"} | settings)
    with Upstream() as upstream, TemporaryDirectory() as directory:
        started = deployments.Deployments(upstream, Path(directory))
        try:
            url = started.get("trace").url + PATH
            with httpx.Client(timeout=60) as client, ThreadPoolExecutor(8) as pool:
                answers = pool.map(lambda b: client.post(url, content=b, headers=JSON), bodies)
                tally = Counter(_read_source(a.status_code, a.headers, a.content) for a in answers)
            return tally + Counter(calls=len(upstream.log()))
        finally:
            started.stop()


def _read_options() -> argparse.Namespace:
    options = argparse.ArgumentParser(prog="python -m bench.studies.trace")
    for name, default in OPTIONS.items():
        options.add_argument(f"--{name}", type=type(default), default=default)
    options.add_argument("--set", action="append", default=[], metavar="NAME=VALUE")
    options.add_argument("--workerd", type=int, nargs="?", const=2000, metavar="N")
    args = options.parse_args()
    args.settings = {"CACHE_TTL": str(args.ttl), **dict(pair.split("=", 1) for pair in args.set)}
    if args.workerd:
        args.requests, args.isolates, args.hours = args.workerd, 1, 0.0
    return args


def _print_sources(tallies: Mapping[str, Counter[str]], requests: int) -> None:
    print("answered by", *(f"{title:>18}" for title in tallies))
    for source in ("memory", "kv", "r2", "upstream"):
        counts = [tally[source] for tally in tallies.values()]
        print(f"{source:11}", *(f"{n:10,} {n / requests:7.2%}" for n in counts))
    saved = (requests - tally["calls"] for tally in tallies.values())
    print("calls saved", *(f"{n:10,}{'':8}" for n in saved))


def main() -> int:
    """Prints the figures; gives the exit status."""
    args = _read_options()
    print(", ".join(f"{name} {getattr(args, name):,}" for name in OPTIONS), *args.set)
    print("KV and R2 are stand-ins here: hits and operations mean something, times don't.\n")
    bodies = _draw_trace(args)
    tallies = {"stand-ins": asyncio.run(_run_on_stand_ins(bodies, args))}
    if args.workerd:
        tallies["real Worker"] = _run_on_workerd(bodies, args.settings)
    _print_sources(tallies, len(bodies))
    rates = [1 - tally["upstream"] / len(bodies) for tally in tallies.values()]
    agree, over = abs(rates[-1] - rates[0]) <= TOLERANCE, rates[-1] > GOAL
    beside = f"; the stand-ins {'agree' if agree else 'differ'}: {rates[0]:.2%}"
    rate = f"Hit rate {rates[-1]:.2%}, {'over' if over else 'NOT over'} {GOAL:.0%}"
    print(f"\n{rate}{beside if args.workerd else ''}.")
    return 0 if (agree if args.workerd else over) else 1


if __name__ == "__main__":
    raise SystemExit(main())
