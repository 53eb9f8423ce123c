"""How often a request crosses between Python and JavaScript, and what it waits for.

    python -m bench.crossings [--runs 4] [--sites PATH]

README.md says how to read what is printed.
"""

import argparse
import json
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, contextmanager
from http.client import HTTPConnection
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import NamedTuple

from bench.crossings_server import Counted
from tests.e2e.deployments import ADMIN_TOKEN, CALLER_KEY, KEYS, PATHS
from tests.upstream import Upstream

PHASES = ("answer", "after", "flush")
"""Until the response is built; after it; what all requests of 0.9 s share."""
WARM_UP = 2
"""Requests of a path that are not counted."""
POLL_SECONDS = 0.05
LONGEST_SECONDS = 30

Counts = Mapping[tuple[str, str], int]
"""How often, by phase and kind."""


Run = dict[tuple[str, str, str], int]
"""What one request did: how often, by phase, kind and place."""
KINDS = (
    *("entries", "calls of JavaScript", "awaits of promises", "tasks", "callbacks scheduled"),
    *("timers", "proxies", "conversions", "clock reads", "log lines", "fetches"),
    *("Durable Object calls", "KV operations", "R2 operations", "data points"),
)


class Sent(NamedTuple):
    """A request of a path."""

    method: str
    path: str
    body: object = None
    key: str = CALLER_KEY
    status: int = 200


class Session:
    """Sends requests to a Worker that counts, and reads what it has counted."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._issued = ""

    def send(self, sent: Sent) -> bytes:
        """Sends a request and gives its body. Raises RuntimeError for another status."""
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

    def count(self, sent: Sent) -> Run:
        """How often a request did what, until all its work was over: by phase, kind and place."""
        self._wait()
        self.send(Sent("GET", "/_reset"))
        self.send(sent)
        return {(phase, kind, site): n for phase, kind, site, n in self._wait()}

    def _wait(self) -> list[tuple[str, str, str, int]]:
        """Waits until no coroutine of the isolate is open, and gives what was counted."""
        until = time.monotonic() + LONGEST_SECONDS
        while time.monotonic() < until:
            report = json.loads(self.send(Sent("GET", "/_report")))
            if report["open"] == 0:
                return [tuple(row) for row in report["counts"]]
            time.sleep(POLL_SECONDS)
        raise RuntimeError(f"Work of the isolate did not end: {report}")


def chat(text: str, **fields: object) -> dict[str, object]:
    """A request of OpenAI's form."""
    messages = [{"role": "user", "content": text}]
    return {"model": "openai/gpt-4o-mini", "messages": messages, **fields}


def paths(session: Session) -> dict[str, Callable[[], Sent]]:
    """What makes the next request of each path, by its name."""
    issued = session.issue_key()
    numbers = iter(range(10**9))
    words = " ".join(f"w{number}" for number in range(STREAM_EVENTS - 4))

    def completions(key: str = CALLER_KEY, **fields: object) -> Sent:
        text = f"{words} {next(numbers)}"
        return Sent("POST", "/v1/chat/completions", chat(text, **fields), key)

    def stream_native() -> Sent:
        body = {"prompt": f"{words} {next(numbers)}", "model": "gpt-4o-mini", "stream": True}
        return Sent("POST", "/v1/generate", body)

    def embed() -> Sent:
        body = {"model": "openai/text-embedding-3-small", "input": [f"{next(numbers)}"]}
        return Sent("POST", "/v1/embeddings", body)

    return {
        "hit": lambda: Sent("POST", "/v1/chat/completions", chat("Hello")),
        "miss": completions,
        "stream": lambda: completions(stream=True, stream_options={"include_usage": True}),
        "stream without usage": lambda: completions(stream=True),
        "stream of /v1/generate": stream_native,
        "miss, key with a budget": lambda: completions(issued),
        "embeddings": embed,
        "refused (401)": lambda: Sent("POST", "/v1/chat/completions", chat("Hello"), "", 401),
        "GET /health": lambda: Sent("GET", "/health", None, ""),
    }


STREAM_EVENTS = 22


def least(runs: list[Run]) -> Counts:
    """What each run did at least: what is due now and then falls out."""
    sums = []
    for run in runs:
        total: Counter[tuple[str, str]] = Counter()
        for (phase, kind, _), count in run.items():
            total[phase, kind] += count
        sums.append(total)
    return {cell: min(total[cell] for total in sums) for cell in set().union(*sums)}


@contextmanager
def counted() -> Iterator[Session]:
    """A Worker that counts, in front of the scripted upstream."""
    with Upstream() as upstream, TemporaryDirectory() as folder:
        urls = {f"{name}_BASE_URL": upstream.url + path for name, path in PATHS.items()}
        keys = {"PROXY_API_KEY": CALLER_KEY, "ADMIN_TOKEN": ADMIN_TOKEN, **KEYS}
        vars = {"ENVIRONMENT": "development", **urls, **keys, "RATE_LIMIT_LEASE": "1"}
        worker = Counted(Path(folder), vars)
        try:
            yield Session(worker.port)
        finally:
            worker.stop()


def measure(session: Session, make: Callable[[], Sent], runs: int) -> list[Run]:
    """What each of several requests did, in a warm isolate."""
    for _ in range(WARM_UP):
        session.send(make())
    return [session.count(make()) for _ in range(runs)]


def main() -> None:
    """Counts each path, prints the table."""
    options = argparse.ArgumentParser(prog="python -m bench.crossings")
    options.add_argument("--runs", type=int, default=4)
    options.add_argument("--sites", metavar="PATH", help="print where a path crosses")
    args = options.parse_args()
    with counted() as session:
        made = paths(session)
        if args.sites:
            show_sites(measure(session, made[args.sites], args.runs))
            return
        counts = {name: least(measure(session, made[name], args.runs)) for name in made}
    print(table(counts))


def show_sites(runs: list[Run]) -> None:
    """Prints where a path crosses, in the run that crossed least."""
    run = min(runs, key=lambda run: sum(run.values()))
    for (phase, kind, site), count in sorted(run.items()):
        print(f"{phase:6} {kind:20} {count:4} {site}")


def table(counts: Mapping[str, Counts]) -> str:
    """A Markdown table: a row for each kind, a column for each path and one for the flush."""
    lines = [("", *counts, "flush"), ("---",) * (len(counts) + 2)]
    flush = counts["hit"]
    for kind in KINDS:
        cells = [
            f"{path.get(('answer', kind), 0)} + {path.get(('after', kind), 0)}"
            for path in counts.values()
        ]
        lines.append((kind, *cells, str(flush.get(("flush", kind), 0))))
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


if __name__ == "__main__":
    main()
