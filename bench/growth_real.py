"""The rows of bench.growth that are measured in workerd: four Workers, each of which keeps ten
times as much as the one before."""

import json
import shutil
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass
from http.client import HTTPConnection
from pathlib import Path
from tempfile import TemporaryDirectory

import msgspec
from msgspec import structs

from bench.bare import Bare, proxy
from bench.growth_rows import Row
from proxy.access.authenticator import format_secret, hash_secret
from proxy.access.keys import LISTED, Key, NewKey
from proxy.analytics.record.request_record import RequestRecord
from tests.e2e.deployments import ADMIN_TOKEN, KEYS, PATHS, ROOMY
from tests.unit.analytics.traffic import NOW, Traffic
from tests.upstream import Upstream
from tools.layout import ROOT

ENTRIES = (100, 1_000, 10_000, 100_000)
ISSUED = (10, 1_000, 10_000, 100_000)
LOGGED = (100, 1_000, 10_000, 100_000)
AFTERWARDS = 1.0
"""Seconds that are measured after answers of a model: the Worker records them then."""
SECRET = format_secret("development", "ab" * 32)
ADMIN = {"authorization": f"Bearer {ADMIN_TOKEN}"}
UNLOGGED = {"cf-aig-collect-log": "false"}
KEYED = {"authorization": f"Bearer {SECRET}", "x-forget": "1"} | UNLOGGED
WRONG = {"authorization": "Bearer wrong", "x-forget": "1", "cf-connecting-ip": "192.0.2.1"}
HIT = json.dumps({"prompt": "What is kept?", "model": "gpt-4o-mini"}).encode()
MISS = json.dumps({"prompt": "What is new? NUMBER", "model": "gpt-4o-mini"}).encode()


@dataclass
class Probe:
    """A request and how often it is sent in a round."""

    row: Row
    path: str
    headers: dict[str, str]
    body: bytes | None = None
    times: int = 20


def _list_probes() -> list[Probe]:
    entries, keys, log = "cached entries", "issued keys", "requests counted"
    generate, insights = "/v1/generate", "/analytics/insights?window=1d"
    hits = ADMIN | UNLOGGED
    return [
        Probe(Row(entries, "hit of the memory", ENTRIES), generate, hits, HIT, 100),
        Probe(Row(entries, "miss", ENTRIES), generate, hits, MISS),
        Probe(Row(keys, "hit whose key is looked up", ISSUED), generate, KEYED, HIT),
        Probe(Row(keys, "wrong key of a blocked address", ISSUED), generate, WRONG, HIT),
        Probe(Row(keys, "page of 10 keys", ISSUED), "/admin/keys?limit=10", ADMIN, times=10),
        Probe(Row(log, "flush of 50 records", LOGGED), "/fill/log", ADMIN, b"", 4),
        Probe(Row(log, "page of 50", LOGGED), "/analytics/requests", ADMIN, times=10),
        Probe(Row(log, "figures of a day", LOGGED), "/analytics?window=1d", ADMIN, times=10),
        Probe(Row(log, "insights, all invocations", LOGGED), insights, ADMIN, times=3),
        Probe(Row(log, "insights, the Worker's own", LOGGED), insights, ADMIN | {"x-kept": "1"}),
    ]


class Filled:
    """A Worker that keeps so much."""

    def __init__(self, worker: Bare, place: int) -> None:
        self._worker = worker
        self._place = place
        self._flushes = 0
        self._traffic = _make_traffic(LOGGED[place])

    def fill(self) -> None:
        """Fills it."""
        key = NewKey(Key(id="key_1", user="ann", created_at=0), hash_secret(SECRET))
        issued = msgspec.json.encode((ISSUED[self._place], key))
        self._post("/fill/keys", issued)
        self._post("/fill/cache", b"%d" % ENTRIES[self._place])
        traffic = self._traffic
        for begin in range(0, len(traffic), 1000):
            self._flush(traffic[begin : begin + 1000])
        for number in range(31):
            self.send("/v1/generate", {**WRONG, "authorization": f"Bearer w{number}"}, HIT, 1)
        self.send("/v1/generate", WRONG, HIT, ISSUED[self._place] // LISTED + 1)

    def measure(self, probe: Probe) -> None:
        """Sends the requests of one round."""
        if probe.path == "/fill/log":
            now = round(time.time() * 1000)
            for _ in range(probe.times):
                self._flush([structs.replace(record, at=now) for record in _make_traffic(50)])
        else:
            self.send(probe.path, probe.headers, probe.body, probe.times)

    def cpu(self) -> float:
        """Seconds of CPU that it has used."""
        return self._worker.cpu()

    def send(self, path: str, headers: dict[str, str], body: bytes | None, times: int) -> None:
        """Has the Worker repeat a request to itself."""
        connection = HTTPConnection("127.0.0.1", self._worker.port, timeout=60)
        sent = {"content-type": "application/json", "x-times": f"{times}", **headers}
        connection.request("POST" if body is not None else "GET", path, body, sent)
        answer = connection.getresponse()
        text = answer.read()
        connection.close()
        if answer.status != 200 and "cf-connecting-ip" not in headers:
            raise SystemExit(f"{path} failed with {answer.status}: {text[:500]!r}")

    def _flush(self, records: Sequence[RequestRecord]) -> None:
        self._flushes += 1
        self._post("/fill/log", msgspec.json.encode((self._flushes, records)))

    def _post(self, path: str, body: bytes) -> None:
        status, answer = self._worker.post(path, body)
        if status != 200:
            raise SystemExit(f"{path} failed with {status}: {answer[:500]!r}")


def _make_traffic(count: int) -> list[RequestRecord]:
    """So many requests of the last day; beyond 10,000 they come again."""
    made = Traffic(1, requests=min(count, 10_000), returns=0.2).records
    step = round(time.time() * 1000) - 10_000 - NOW
    records = [structs.replace(record, at=record.at + step) for record in made]
    return [record for record in records for _ in range(count // len(records))]


def _start(stack: ExitStack) -> Iterator[Filled]:
    """The Workers, which the stack stops."""
    directory = Path(stack.enter_context(TemporaryDirectory()))
    upstream = stack.enter_context(Upstream())
    vars = {
        "ENVIRONMENT": "development",
        "OPENAI_API_KEY": KEYS["OPENAI_API_KEY"],
        "OPENAI_BASE_URL": upstream.url + PATHS["OPENAI"],
        "FALLBACK_CHAIN": "openai",
        "ADMIN_TOKEN": ADMIN_TOKEN,
        "CACHE_MEMORY_ENTRIES": "1000000",
        "CACHE_MEMORY_BYTES": str(64 * 1024 * 1024),
        **ROOMY,
    }
    for place in range(len(ENTRIES)):
        folder = directory / f"{place}"
        folder.mkdir()
        upload = proxy(folder)
        shutil.copy(ROOT / "bench" / "growth_worker.py", upload)
        worker = Bare(upload, "growth_worker.py", vars, folder / "log")
        yield Filled(stack.enter_context(worker), place)


def measure(rounds: int) -> list[Row]:
    """The rows, measured in turn."""
    with ExitStack() as stack:
        workers = [*_start(stack)]
        with ThreadPoolExecutor(2) as pool:
            [*pool.map(Filled.fill, workers)]
        probes = _list_probes()
        for number in range(rounds + 1):
            for probe in probes:
                before = [worker.cpu() for worker in workers]
                for worker in workers:
                    worker.measure(probe)
                time.sleep(AFTERWARDS if probe.body else 0.1)
                for worker, cpu, costs in zip(workers, before, probe.row.costs, strict=True):
                    if number:  # the first round warms up
                        costs.append((worker.cpu() - cpu) / probe.times)
    return [probe.row for probe in probes]
