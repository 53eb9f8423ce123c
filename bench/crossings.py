"""How often a request crosses between Python and JavaScript, and what it waits for.

    python -m bench.crossings [--runs 5] [--update] [--sites PATH] [--stages PATH]

README.md says how to read what is printed.
"""

import argparse
import json
import re
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from http.client import HTTPConnection
from pathlib import Path
from statistics import median_low
from tempfile import TemporaryDirectory
from typing import Any, NamedTuple

from bench.crossings_server import Counted
from bench.crossings_stages import Spent, print_stages
from tests.e2e.deployments import ADMIN_TOKEN, CALLER_KEY, KEYS, PATHS
from tests.upstream import Upstream
from tools.layout import ROOT

GUARDED = ("hit", "miss", "stream")
"""The paths whose counts a test holds."""
GUARD = ROOT / "tests" / "e2e" / "test_crossings.py"
PHASES = ("answer", "after", "flush")
"""Until the response is built; after it; what requests of the same 0.9 s share."""
EVENTS = 22
"""Of a stream: its beginning, its words, its end and its usage."""
SETTINGS = {
    "ENVIRONMENT": "development",
    "PROXY_API_KEY": CALLER_KEY,
    "ADMIN_TOKEN": ADMIN_TOKEN,
    # Each attempt asks its bucket: when leases end would depend on the time.
    "RATE_LIMIT_LEASE": "1",
    "RATE_LIMIT_BURST": "1000000",
    "RATE_LIMIT_PER_HOUR": "10000000",
    # A machine that is busy changes nothing.
    "CACHE_TIMEOUT_MS": "10000",
    "LIMITER_TIMEOUT_MS": "10000",
}
_WARM_UP = 2
"""Requests of a path that are not counted."""
_POLL_SECONDS = 0.05
_LONGEST_SECONDS = 60

Run = Mapping[tuple[str, str, str], int]
"""What one request did: how often, by phase, kind and place."""
Counts = Mapping[tuple[str, str], int]
"""How often, by phase and kind."""


class Sent(NamedTuple):
    """A request, and the status that its answer must have."""

    method: str
    path: str
    body: object = None
    key: str = CALLER_KEY
    status: int = 200


class Session:
    """Sends requests to a Worker that counts, and reads what it has counted."""

    def __init__(self, port: int) -> None:
        self._port = port
        self.kinds: Sequence[str] = self._report()["kinds"]

    def send(self, sent: Sent) -> bytes:
        """Sends a request and gives the answer's body. Raises RuntimeError for another status."""
        headers = {"content-type": "application/json"}
        if sent.key:
            headers["authorization"] = f"Bearer {sent.key}"
        body = None if sent.body is None else json.dumps(sent.body)
        with closing(HTTPConnection("127.0.0.1", self._port, timeout=60)) as connection:
            connection.request(sent.method, sent.path, body, headers)
            answer = connection.getresponse()
            data = answer.read()
        if answer.status != sent.status:
            raise RuntimeError(f"{sent.method} {sent.path}: {answer.status} {data!r}")
        return data

    def issue_key(self) -> str:
        """A key with limits and a budget."""
        fields = {"user": "counted", "limits": {"tokensPerMinute": 10**9}, "budget": {"day": 1000}}
        sent = Sent("POST", "/admin/keys", fields, ADMIN_TOKEN, 201)
        key: str = json.loads(self.send(sent))["key"]
        return key

    def warm_up(self, make: Callable[[], Sent]) -> None:
        """Has the isolate do what only the first requests of a path need."""
        for _ in range(_WARM_UP):
            self.send(make())

    def count(self, sent: Sent) -> Run:
        """What a request does until all its work is over."""
        self._wait()
        self.send(Sent("GET", "/_reset"))
        self.send(sent)
        return {(phase, kind, site): n for phase, kind, site, n in self._wait()["counts"]}

    def profile(self, make: Callable[[], Sent], requests: int) -> list[Spent]:
        """Where the time of so many requests goes. Nothing can be counted afterwards."""
        self.send(Sent("GET", "/_profile"))
        for _ in range(requests):
            self.send(make())
        return [Spent(*row) for row in json.loads(self.send(Sent("GET", "/_spent")))]

    def _wait(self) -> Any:
        """What was counted until no coroutine of the isolate is open."""
        until = time.monotonic() + _LONGEST_SECONDS
        while (report := self._report())["open"]:
            if time.monotonic() > until:
                raise RuntimeError(f"The isolate's work does not end: {report}")
            time.sleep(_POLL_SECONDS)
        return report

    def _report(self) -> Any:
        return json.loads(self.send(Sent("GET", "/_report")))


def paths(session: Session) -> dict[str, Callable[[], Sent]]:
    """What makes the next request of each path, by the path's name."""
    issued = session.issue_key()
    numbers = iter(range(10**9))
    words = " ".join("word" for _ in range(EVENTS - 5))

    def complete(key: str = CALLER_KEY, **fields: object) -> Sent:
        return _chat(f"{words} {next(numbers)}", key, **fields)

    def generate() -> Sent:
        body = {"prompt": f"{words} {next(numbers)}", "model": "gpt-4o-mini", "stream": True}
        return Sent("POST", "/v1/generate", body)

    def embed() -> Sent:
        body = {"model": "openai/text-embedding-3-small", "input": [f"{next(numbers)}"]}
        return Sent("POST", "/v1/embeddings", body)

    return {
        "hit": lambda: _chat("Hello", CALLER_KEY),
        "miss": complete,
        "stream": lambda: complete(stream=True, stream_options={"include_usage": True}),
        "stream without usage": lambda: complete(stream=True),
        "stream of /v1/generate": generate,
        "miss of a key with a budget": lambda: complete(issued),
        "embeddings": embed,
        "refused (401)": lambda: _chat("Hello", "")._replace(status=401),
        "GET /health": lambda: Sent("GET", "/health", key=""),
    }


def _chat(text: str, key: str, **fields: object) -> Sent:
    messages = [{"role": "user", "content": text}]
    body = {"model": "openai/gpt-4o-mini", "messages": messages, **fields}
    return Sent("POST", "/v1/chat/completions", body, key)


@contextmanager
def counted() -> Iterator[Session]:
    """A Worker that counts, in front of the scripted upstream."""
    with Upstream() as upstream, TemporaryDirectory() as folder:
        urls = {f"{name}_BASE_URL": upstream.url + path for name, path in PATHS.items()}
        worker = Counted(Path(folder), {**urls, **KEYS, **SETTINGS})
        try:
            yield Session(worker.port)
        finally:
            worker.stop()


def least(runs: Sequence[Run]) -> Counts:
    """What each run did at least: what only the time makes due falls out."""
    return _summarize(runs, min)


def usual(runs: Sequence[Run]) -> Counts:
    """What the run in the middle did."""
    return _summarize(runs, median_low)


def _summarize(runs: Sequence[Run], choose: Callable[[list[int]], int]) -> Counts:
    sums: list[Counter[tuple[str, str]]] = []
    for run in runs:
        sums.append(Counter())
        for (phase, kind, _), count in run.items():
            sums[-1][phase, kind] += count
    return {cell: choose([total[cell] for total in sums]) for cell in set().union(*sums)}


def table(kinds: Sequence[str], counts: Mapping[str, Counts]) -> str:
    """Markdown: a row for each kind, a column for each path, a term for each phase."""
    rows = [("", *counts), ("---",) * (len(counts) + 1)]
    for kind in kinds:
        terms = ([str(path.get((phase, kind), 0)) for phase in PHASES] for path in counts.values())
        rows.append((kind, *map(" + ".join, terms)))
    return "".join(f"| {' | '.join(row)} |\n" for row in rows)


def read_table(text: str) -> dict[str, dict[str, list[int]]]:
    """The terms of each cell of a table, by path and kind."""
    head, _, *rows = [line.strip("|").split("|") for line in text.splitlines()]
    names = [name.strip() for name in head[1:]]
    read: dict[str, dict[str, list[int]]] = {name: {} for name in names}
    for kind, *cells in rows:
        for name, cell in zip(names, cells, strict=True):
            read[name][kind.strip()] = [int(term) for term in cell.split("+")]
    return read


def main() -> None:
    """Counts each path and prints the table, or looks at one path."""
    options = argparse.ArgumentParser(prog="python -m bench.crossings")
    options.add_argument("--runs", type=int, default=5)
    options.add_argument("--sites", metavar="PATH", help="print where a path crosses")
    options.add_argument("--stages", metavar="PATH", help="print where the time of a path goes")
    options.add_argument("--requests", type=int, default=500, help="of --stages")
    options.add_argument("--update", action="store_true", help="write the table of the test")
    args = options.parse_args()
    with counted() as session:
        made = paths(session)
        if args.stages:
            session.warm_up(made[args.stages])
            print_stages(args.requests, session.profile(made[args.stages], args.requests))
        elif args.sites:
            _print_sites(_count(session, made[args.sites], args.runs))
        else:
            counts = {name: usual(_count(session, made[name], args.runs)) for name in made}
            print(table(session.kinds, counts), end="")
            if args.update:
                _update(table(session.kinds, {name: counts[name] for name in GUARDED}))


def _count(session: Session, make: Callable[[], Sent], runs: int) -> list[Run]:
    session.warm_up(make)
    return [session.count(make()) for _ in range(runs)]


def _print_sites(runs: Sequence[Run]) -> None:
    run = min(runs, key=lambda run: sum(run.values()))
    for (phase, kind, site), count in sorted(run.items()):
        print(f"{phase:6} {kind:20} {count:4} {site}")


def _update(text: str) -> None:
    test = GUARD.read_text("utf-8")
    GUARD.write_text(re.sub(r'(?<=MOST = """\\\n)[^"]*', text, test), "utf-8")


if __name__ == "__main__":
    main()
