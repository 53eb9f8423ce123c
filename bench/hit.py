"""What a hit of the memory cache costs, and what of it the figures cost.

    python -m bench.hit [--rounds 10] [--requests 2000] [--connections 20]

README.md says how to read what is printed.
"""

import argparse
import asyncio
import json
import random
import shutil
import sys
import time
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from statistics import median, quantiles
from tempfile import TemporaryDirectory

from bench.bare import Bare, proxy
from tests.e2e.conftest import KEYS, PATHS
from tests.upstream import Upstream
from tools.layout import PYTHON_MODULES, ROOT

BODY = json.dumps({"prompt": "What is the capital of France?", "model": "gpt-4o-mini"}).encode()
NOTHING = {"x-analytics": "off", "cf-aig-collect-log": "false"}
LINE = {"x-analytics": "off"}
ALL = {"x-analytics": "on"}
WARM_UP = 1000
"""Requests of each kind before the first round."""
HTTP_EVERY = 3
"""Rounds of which one is also sent over HTTP."""
AFTERWARDS = 1.2
"""Seconds: what is told after the answers belongs to them."""


async def _connection(port: int, request: bytes, count: int, taken: list[float]) -> None:
    """Sends `count` requests one after another over one connection."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    for _ in range(count):
        began = time.perf_counter()
        writer.write(request)
        head = await reader.readuntil(b"\r\n\r\n")
        lowered = head.lower()
        if not head.startswith(b"HTTP/1.1 200"):
            raise SystemExit(f"Not a hit: {head!r}")
        if b"content-length: " in lowered:
            await reader.readexactly(int(lowered.split(b"content-length: ")[1].split(b"\r\n")[0]))
        else:
            await reader.readuntil(b"0\r\n\r\n")
        taken.append(1000 * (time.perf_counter() - began))
    writer.close()


async def _load(worker: Bare, headers: dict[str, str], count: int, connections: int) -> list[float]:
    """Milliseconds of each of `count` requests, sent as fast as they are answered."""
    head = {"host": "bench", "content-type": "application/json", **headers}
    lines = "".join(f"{name}: {value}\r\n" for name, value in head.items())
    start = f"POST /v1/generate HTTP/1.1\r\n{lines}content-length: {len(BODY)}\r\n\r\n"
    taken: list[float] = []
    each = count // connections
    request = start.encode() + BODY
    await asyncio.gather(
        *(_connection(worker.port, request, each, taken) for _ in range(connections))
    )
    return taken


class Row:
    """One Worker asked over HTTP, and what was measured of it round by round."""

    def __init__(self, name: str, worker: Bare, headers: dict[str, str]) -> None:
        self.name = name
        self.worker = worker
        self.headers = headers
        self.cpu: list[float] = []
        self.rate: list[float] = []
        self.taken: list[float] = []

    def measure(self, count: int, connections: int) -> None:
        """One round."""
        cpu, began = self.worker.cpu(), time.perf_counter()
        taken = asyncio.run(_load(self.worker, self.headers, count, connections))
        ended = time.perf_counter()
        time.sleep(AFTERWARDS)
        self.cpu.append(1e6 * (self.worker.cpu() - cpu) / len(taken))
        self.rate.append(len(taken) / (ended - began))
        self.taken += taken


def _repeated(worker: Bare, headers: dict[str, str], count: int) -> float:
    """Microseconds of CPU of a request that the Worker itself repeats."""
    cpu = worker.cpu()
    status, answer = worker.post("/v1/generate", BODY, {**headers, "x-times": f"{count}"})
    if status != 200 or b'"cacheStatus":"hit"' not in answer:
        raise SystemExit(f"No hit: {status} {answer!r}")
    time.sleep(AFTERWARDS)
    return 1e6 * (worker.cpu() - cpu) / count


def _print(rows: Sequence[Row], added: Mapping[str, list[float]]) -> None:
    print(f"{'over HTTP':24} us CPU a request   of bare   requests/s   ms p50    p95    p99")
    bare, whole, *_ = (median(row.cpu) for row in rows)
    for row in rows:
        cpu, cuts = median(row.cpu), quantiles(row.taken, n=100)
        print(
            f"{row.name:24} {cpu:16.0f} {cpu / bare:9.2f} {median(row.rate):12.0f}"
            f" {cuts[49]:8.1f} {cuts[94]:6.1f} {cuts[98]:6.1f}"
        )
    print(f"\n{'added':24} us CPU a request   of {rows[1].name!r} (half of the rounds)")
    for name, more in added.items():
        low, middle, high = (us / whole for us in quantiles(more, n=4))
        print(f"{name:24} {median(more):16.0f} {middle:11.1%} ({low:.1%} to {high:.1%})")


def main() -> None:
    """Starts the Workers, measures them in turn, prints."""
    asks = argparse.ArgumentParser(prog="python -m bench.hit")
    asks.add_argument("--rounds", type=int, default=24)
    asks.add_argument("--requests", type=int, default=1000)
    asks.add_argument("--connections", type=int, default=20)
    args = asks.parse_args()
    with ExitStack() as stack:
        directory = Path(stack.enter_context(TemporaryDirectory()))
        upstream = stack.enter_context(Upstream())
        folder = directory / "bare"
        folder.mkdir()
        shutil.copy(ROOT / "bench" / "bare_worker.py", folder)
        shutil.copytree(PYTHON_MODULES, folder / "python_modules")
        upload = proxy(directory)
        shutil.copy(ROOT / "bench" / "hit_worker.py", upload)
        vars = {
            "ENVIRONMENT": "development",
            "OPENAI_API_KEY": KEYS["OPENAI_API_KEY"],
            "OPENAI_BASE_URL": upstream.url + PATHS["OPENAI"],
        }
        bare = stack.enter_context(Bare(folder, "bare_worker.py", {}, directory / "bare.log"))
        worker = stack.enter_context(Bare(upload, "hit_worker.py", vars, directory / "proxy.log"))
        rows = (
            Row("bare worker", bare, {}),
            Row("nothing recorded", worker, NOTHING),
            Row("a line in the log", worker, LINE),
            Row("recorded and counted", worker, ALL),
        )
        kinds = (NOTHING, LINE, ALL)
        for kind in kinds:
            worker.post("/v1/generate", BODY, kind)
            time.sleep(0.5)
            _repeated(worker, kind, WARM_UP)
        for row in rows:
            row.measure(WARM_UP, args.connections)
            row.cpu, row.rate, row.taken = [], [], []
        line, analytics, both = [], [], []
        for number in range(args.rounds):
            if number % HTTP_EVERY == 0:
                for row in random.sample(rows, len(rows)):
                    row.measure(args.requests, args.connections)
            order = random.sample(range(len(kinds)), len(kinds))
            cpu = {at: _repeated(worker, kinds[at], args.requests) for at in order}
            line.append(cpu[1] - cpu[0])
            analytics.append(cpu[2] - cpu[1])
            both.append(cpu[2] - cpu[0])
            print(f"\rround {number + 1} of {args.rounds}", end="", file=sys.stderr, flush=True)
        print(file=sys.stderr)
        _print(rows, {"a line in the log": line, "ANALYTICS=on": analytics, "both": both})


if __name__ == "__main__":
    main()
