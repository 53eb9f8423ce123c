"""The proxy beside bare Workers that do the least that is possible, and beside its peers.

    python -m bench [--peers] [--only hit,miss] [--rounds 2] [--seconds 0.5] [--json FILE] [--docs]

README.md says how to read what is printed.
"""

import argparse
import asyncio
import json
import signal
import sys
from collections.abc import Sequence
from contextlib import ExitStack
from itertools import chain
from pathlib import Path

from bench import report, servers
from bench.answers import WrongAnswer
from bench.load import Sample, Timing, measure
from bench.rows import KINDS, Row, rows
from bench.table import Seen, Table, goal_lines, lines
from tools.runtime import StartError

_WARM_UP_CONNECTIONS = 10
_WARM_UP = Timing(lead=1.6, counted=0.2)


async def _run(cells: Sequence[Sequence[Row]], rounds: int) -> list[Seen]:
    """All rounds; within a cell the servers take turns."""
    warm: set[str] = set()
    for row in chain.from_iterable(cells):
        # Who waits for a slow provider does the same as under the load before.
        if row.connections == _WARM_UP_CONNECTIONS and row.name not in warm:
            warm.add(row.name)
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
    options.add_argument("--peers", action="store_true", help="measure other gateways too")
    options.add_argument("--only", default=",".join(KINDS), metavar=",".join(KINDS))
    options.add_argument("--rounds", type=int, default=2)
    options.add_argument("--seconds", type=float, default=0.5)
    options.add_argument("--json", type=Path, help="keep every measurement")
    options.add_argument("--docs", action="store_true", help="write docs/performance.md")
    return options.parse_args()


def _measure_all(args: argparse.Namespace) -> tuple[list[Seen], dict[str, str]]:
    """What was seen, and the peers' versions by name."""
    with ExitStack() as stack:
        started, versions = servers.start(stack, args.peers)
        kinds = args.only.split(",")
        cells = [cell for kind in kinds for cell in rows(started, kind, args.seconds)]
        return asyncio.run(_run(cells, args.rounds)), versions


def main() -> int:
    """Starts the servers, measures them in turn, prints; gives the exit status."""
    args = _read_options()
    signal.signal(signal.SIGINT, signal.default_int_handler)  # a background job ignores it
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    try:
        seen, versions = _measure_all(args)
    except (WrongAnswer, TimeoutError, StartError) as error:
        print(error, file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130
    arguments = sys.argv[1:]
    if args.json:
        arguments = [each for each in arguments if each not in ("--json", str(args.json))]
        kept = [one._asdict() | {"sample": one.sample._asdict()} for one in seen]
        args.json.write_text(json.dumps(kept), "utf-8")
    table = Table(seen)
    print("\n".join((*goal_lines(table), "", *lines(table))))
    if args.docs:
        report.write(table, arguments, versions)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
