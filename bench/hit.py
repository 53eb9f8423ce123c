"""What a hit of the memory cache costs, and what of it the figures cost.

    python -m bench.hit [--rounds 10] [--requests 2000] [--connections 20]

README.md says how to read what is printed.
"""

import argparse
import asyncio
import json
import shutil
import time
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from statistics import median, quantiles
from tempfile import TemporaryDirectory

from bench.bare import Bare, proxy
from tests.e2e.conftest import KEYS, PATHS
from tests.upstream import Upstream
from tools.layout import PYTHON_MODULES, ROOT

BODY = json.dumps({"prompt": "What is the capital of France?", "model": "gpt-4o-mini"}).encode()
OFF = {"cf-aig-collect-log": "false"}
WARM_UP = 1000
"""Requests of each Worker before the first round."""


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
    """One Worker, and what was measured of it round by round."""

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
        time.sleep(1.2)  # what is told after the answers belongs to them
        self.cpu.append(1e6 * (self.worker.cpu() - cpu) / len(taken))
        self.rate.append(len(taken) / (time.perf_counter() - began - 1.2))
        self.taken += taken


def _print(rows: Sequence[Row]) -> None:
    print(f"{'':24} us CPU a request   of bare   requests/s   ms p50    p95    p99")
    for row in rows:
        share = median(mine / bare for mine, bare in zip(row.cpu, rows[0].cpu, strict=True))
        cuts = quantiles(row.taken, n=100)
        print(
            f"{row.name:24} {median(row.cpu):16.0f} {share:9.2f} {median(row.rate):12.0f}"
            f" {cuts[49]:8.1f} {cuts[94]:6.1f} {cuts[98]:6.1f}"
        )
    off = rows[1]
    for row in rows[2:]:
        ratios = [a / b for a, b in zip(row.cpu, off.cpu, strict=True)]
        low, middle, high = quantiles(ratios, n=4)
        print(
            f"{row.name} / {off.name}: {middle:.3f} of the CPU"
            f" (half of the rounds {low:.3f} to {high:.3f})"
        )


def main() -> None:
    """Starts the Workers, measures them in turn, prints."""
    asks = argparse.ArgumentParser(prog="python -m bench.hit")
    asks.add_argument("--rounds", type=int, default=10)
    asks.add_argument("--requests", type=int, default=2000)
    asks.add_argument("--connections", type=int, default=20)
    args = asks.parse_args()
    with ExitStack() as stack:
        directory = Path(stack.enter_context(TemporaryDirectory()))
        upstream = stack.enter_context(Upstream())
        bare = directory / "bare"
        bare.mkdir()
        shutil.copy(ROOT / "bench" / "bare_worker.py", bare / "bare_worker.py")
        shutil.copytree(PYTHON_MODULES, bare / "python_modules")
        vars = {
            "ENVIRONMENT": "development",
            "OPENAI_API_KEY": KEYS["OPENAI_API_KEY"],
            "OPENAI_BASE_URL": upstream.url + PATHS["OPENAI"],
        }
        upload = proxy(directory)

        def worker(folder: Path, main: str, *elsewhere: str, **more: str) -> Bare:
            log = directory / f"{folder.name}.log"
            return stack.enter_context(Bare(folder, main, vars | more, log, elsewhere))

        def copy(name: str) -> Path:
            return shutil.copytree(upload, directory / name)

        rows = (
            Row("bare worker", worker(bare, "bare_worker.py"), {}),
            Row("nothing recorded", worker(copy("off"), "entry.py", ANALYTICS="off"), OFF),
            Row("recorded, told nobody", worker(copy("told"), "entry.py", "Analytics"), {}),
            Row("recorded and counted", worker(copy("all"), "entry.py"), {}),
        )
        for row in rows:
            row.worker.post("/v1/generate", BODY)
            time.sleep(0.5)
            status, answer = row.worker.post("/v1/generate", BODY)
            if status != 200 or b'"cacheStatus":"miss"' in answer:
                raise SystemExit(f"{row.name}, no hit: {status} {answer!r}")
            row.measure(WARM_UP, args.connections)
            row.cpu, row.rate, row.taken = [], [], []
        for _ in range(args.rounds):
            for row in rows:
                row.measure(args.requests, args.connections)
        _print(rows)


if __name__ == "__main__":
    main()
