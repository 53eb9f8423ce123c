"""What a hit of the memory cache costs, and what recording it adds.

    python -m bench.hit [--rounds 24] [--requests 1000] [--connections 20]

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
from tests.e2e.deployments import KEYS, PATHS
from tests.upstream import Upstream
from tools.layout import PYTHON_MODULES, ROOT

BODY = json.dumps({"prompt": "What is the capital of France?", "model": "gpt-4o-mini"}).encode()
NOTHING = {"x-analytics": "off", "cf-aig-collect-log": "false"}
LINE = {"x-analytics": "off"}
ALL = {"x-analytics": "on"}
KINDS = (NOTHING, LINE, ALL)
WARM_UP = 1000
"""Requests of each kind before the first round."""
HTTP_EVERY = 3
"""Every third round is also sent over HTTP."""
AFTERWARDS = 1.2
"""Seconds that are measured after the answers: the Worker records them then."""


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
    """One Worker under HTTP requests, and its measurements round by round."""

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


def _repeat(worker: Bare, headers: dict[str, str], count: int) -> float:
    """Microseconds of CPU of a request that the Worker itself repeats `count` times."""
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


class Added:
    """What each step adds to a hit, in microseconds of CPU, round by round."""

    def __init__(self, worker: Bare) -> None:
        self._worker = worker
        self.steps: dict[str, list[float]] = {
            "a line in the log": [],
            "ANALYTICS=on": [],
            "both": [],
        }

    def warm_up(self) -> None:
        """Fills the cache of each kind, and repeats its hit."""
        for kind in KINDS:
            self._worker.post("/v1/generate", BODY, kind)
            time.sleep(0.5)
            _repeat(self._worker, kind, WARM_UP)

    def measure(self, count: int) -> None:
        """One round, in random order."""
        order = random.sample(range(len(KINDS)), len(KINDS))
        cpu = {at: _repeat(self._worker, KINDS[at], count) for at in order}
        for step, (more, less) in zip(self.steps, ((1, 0), (2, 1), (2, 0)), strict=True):
            self.steps[step].append(cpu[more] - cpu[less])


def _start(stack: ExitStack) -> tuple[Bare, Bare]:
    """The bare Worker and the proxy, which the stack stops."""
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
    bare = Bare(folder, "bare_worker.py", {}, directory / "bare.log")
    worker = Bare(upload, "hit_worker.py", vars, directory / "proxy.log")
    return stack.enter_context(bare), stack.enter_context(worker)


def _measure(rows: Sequence[Row], added: Added, args: argparse.Namespace) -> None:
    """All rounds, after the warm-up."""
    added.warm_up()
    for row in rows:
        row.measure(WARM_UP, args.connections)
        row.cpu, row.rate, row.taken = [], [], []
    for number in range(args.rounds):
        if number % HTTP_EVERY == 0:
            for row in random.sample(rows, len(rows)):
                row.measure(args.requests, args.connections)
        added.measure(args.requests)
        print(f"\rround {number + 1} of {args.rounds}", end="", file=sys.stderr, flush=True)
    print(file=sys.stderr)


def main() -> None:
    """Starts the Workers, measures them in turn, prints."""
    options = argparse.ArgumentParser(prog="python -m bench.hit")
    options.add_argument("--rounds", type=int, default=24)
    options.add_argument("--requests", type=int, default=1000)
    options.add_argument("--connections", type=int, default=20)
    args = options.parse_args()
    with ExitStack() as stack:
        bare, worker = _start(stack)
        rows = (
            Row("bare worker", bare, {}),
            Row("nothing recorded", worker, NOTHING),
            Row("a line in the log", worker, LINE),
            Row("recorded and counted", worker, ALL),
        )
        added = Added(worker)
        _measure(rows, added, args)
        _print(rows, added.steps)


if __name__ == "__main__":
    main()
