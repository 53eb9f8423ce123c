"""The proxy beside bare Workers that do the least that is possible, and beside its peers.

    python -m bench [--peers] [--only hit,miss] [--rounds 3] [--seconds 1] [--json FILE] [--docs]

README.md says how to read what is printed.
"""

import argparse
import asyncio
import json
import shutil
import sys
import time
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from tempfile import TemporaryDirectory

from bench import processes, report
from bench.bare import Bare, proxy
from bench.load import Sample, Timing, measure
from bench.rows import KEY, KINDS, PATH, Row, Server, Servers, rows
from bench.table import Seen, Table, goal_lines, lines
from tools import runtime
from tools.layout import PYTHON_MODULES, ROOT

_WARM_UP_CONNECTIONS = 10
_WARM_UP = Timing(lead=1.0, counted=0.2)
_SETTINGS = {
    "ENVIRONMENT": "development",  # elsewhere a provider must be reached by https
    "PROXY_API_KEY": KEY,
    "OPENAI_API_KEY": "a-provider-key",
    "RATE_LIMIT_BURST": "1000000",
    "RATE_LIMIT_PER_HOUR": "10000000",
}
_HIT_MARK = b"proxy-memory; hit"


def _start(stack: ExitStack) -> Servers:
    """Starts all that is measured; the stack ends it."""
    folder = Path(stack.enter_context(TemporaryDirectory()))
    upstream = _start_upstream(stack, folder)
    url = f"http://{runtime.LOOPBACK}:{upstream.port}/v1"
    floor_modules = folder / "floor"
    floor_modules.mkdir()
    shutil.copy(ROOT / "bench" / "floor_worker.py", floor_modules)
    shutil.copytree(PYTHON_MODULES, floor_modules / "python_modules")
    floor = stack.enter_context(
        Bare(
            floor_modules,
            "floor_worker.py",
            {"UPSTREAM": url.removesuffix("/v1") + PATH},
            folder / "floor.log",
        )
    )
    modules = proxy(folder)
    quiet_modules = folder / "quiet"
    shutil.copytree(modules, quiet_modules)
    settings = {**_SETTINGS, "OPENAI_BASE_URL": url}
    off = {"ANALYTICS": "off"}
    whole = stack.enter_context(Bare(modules, "entry.py", settings, folder / "proxy.log"))
    quiet = stack.enter_context(
        Bare(quiet_modules, "entry.py", settings | off, folder / "quiet.log")
    )
    key = {"authorization": f"Bearer {KEY}"}
    return Servers(
        upstream,
        Server("floor", floor.port, floor.cpu, {}),
        Server("proxy", whole.port, whole.cpu, key, _HIT_MARK),
        Server("quiet", quiet.port, quiet.cpu, key, _HIT_MARK),
        (),
        (),
    )


def _start_upstream(stack: ExitStack, folder: Path) -> Server:
    port = runtime.free_port()
    url = f"http://{runtime.LOOPBACK}:{port}"
    command = (sys.executable, "-m", "bench.upstream", str(port))
    server = runtime.Server("the upstream", url, folder / "upstream.log", command, cwd=ROOT)
    stack.callback(server.stop)
    server.wait_until_ready("/", accept=range(200, 201), deadline=time.monotonic() + 10)
    process = processes.listener(port)
    return Server("upstream", port, lambda: processes.cpu_seconds(process), {})


async def _run(cells: Sequence[Sequence[Row]], rounds: int) -> list[Seen]:
    """All rounds; within a cell the servers take turns."""
    for cell in cells:
        for row in cell:
            if row.connections == _WARM_UP_CONNECTIONS:
                await _measure(row._replace(timing=_WARM_UP))
    seen: list[Seen] = []
    for number in range(rounds):
        for cell in cells:
            turn = number % len(cell)
            samples = {row.name: await _measure(row) for row in (*cell[turn:], *cell[:turn])}
            for row in cell:
                key = row.kind, row.connections, row.name
                seen.append(Seen(number, *key, row.floor, row.share, samples[row.name]))
            where = f"round {number + 1} of {rounds}, {cell[0].kind}, {cell[0].connections}"
            print(where, file=sys.stderr)
    return seen


async def _measure(row: Row) -> Sample:
    return await measure(row.load, row.connections, row.timing, row.cpu)


def _read_options() -> argparse.Namespace:
    options = argparse.ArgumentParser(prog="python -m bench")
    options.add_argument("--only", default=",".join(KINDS), metavar=",".join(KINDS))
    options.add_argument("--rounds", type=int, default=3)
    options.add_argument("--seconds", type=float, default=1.0)
    options.add_argument("--json", type=Path)
    options.add_argument("--docs", action="store_true", help="write docs/performance.md")
    return options.parse_args()


def main() -> int:
    """Starts the servers, measures them in turn, prints."""
    args = _read_options()
    with ExitStack() as stack:
        servers = _start(stack)
        kinds = args.only.split(",")
        cells = [cell for kind in kinds for cell in rows(servers, kind, args.seconds)]
        seen = asyncio.run(_run(cells, args.rounds))
    if args.json:
        args.json.write_text(
            json.dumps([one._asdict() | {"sample": one.sample._asdict()} for one in seen]), "utf-8"
        )
    table = Table(seen)
    print("\n".join((*goal_lines(table), "", *lines(table))))
    if args.docs:
        report.write(table, sys.argv[1:], {})
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
