"""Sends cases to the Worker in workerd before the scripted upstream, and judges the answers."""

import http.client
import json
import re
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path
from random import Random
from tempfile import TemporaryDirectory
from typing import Any

from bench.bare import Bare, proxy
from tests.e2e.deployments import ADMIN_TOKEN, CALLER_KEY, DAY, KEYS, PATHS, ROOMY
from tests.fuzz import answers
from tests.fuzz.bodies import PROMPT
from tests.fuzz.cases import (
    ANNS_REQUEST,
    ANNS_RESPONSE,
    METHODS,
    PROVIDERS,
    Case,
    make_case,
    make_dice,
)
from tests.fuzz.judge import Answer, find_faults
from tests.fuzz.mutate import BOMBS
from tests.fuzz.pipeline import ANNS_TEXTS, PASSED_ON, PASSED_PREFIXES, SECRETS, VIEWER, authorize
from tests.fuzz.run_pipeline import Finding, Share
from tests.upstream import Upstream

SECONDS = 30.0
"""Within which each is answered: no deadline of a case is longer than 20 s."""
CALLERS = 8
"""At once."""
GROWTH = 16 * 2**20
"""Bytes by which the heap may grow after the first tenth; it never shrinks, and a rare large body
may come late."""
SETTINGS = {
    "ENVIRONMENT": "development",
    "ADMIN_TOKEN": ADMIN_TOKEN,
    "PROXY_API_KEY": CALLER_KEY,
    "METRICS_TOKEN": VIEWER,
    "IDLE_TIMEOUT_MS": "1500",
    "FIRST_BYTE_TIMEOUT_MS": "3000",
    "REQUEST_TIMEOUT_MS": "20000",
    "FALLBACK_CHAIN": "openai,groq,gemini,anthropic",
}
FAULTS: tuple[dict[str, Any], ...] = (
    *({"break_after": 1}, {"stall_after": 1}, {"refuse": True}, {"garbage": True}, {"split": 7}),
    *({"delay_ms": 500}, {"half_json": True}, {"empty": True}, {"html": True}, {"delay_ms": 5000}),
    *({"break_mid_utf8": True}, {"end_after": 1}, {"error_event_after": 1}, {"big_event": 2**21}),
)


class Target:
    """The running Worker, and the keys of its callers."""

    def __init__(self, port: int) -> None:
        self.port = port
        self.keys = {
            "admin": ADMIN_TOKEN,
            "default": CALLER_KEY,
            "wrong": SECRETS["wrong"],
            "viewer": VIEWER,
        }
        for name in ("ann", "mallory"):
            limits = {"perHour": 10_000_000, "burst": 1_000_000}
            made = self._ask("POST", "/admin/keys", {"user": name, "limits": limits}, "admin")
            self.keys[name] = made["key"]
        said = ANNS_TEXTS[0].decode()
        told = f"{said} upstream:{json.dumps({'*': {'text': ANNS_TEXTS[1].decode()}})}"
        kept = {"model": "openai/gpt-4o", "input": told, "store": True, "fallback": False}
        self.anns_response = self._ask("POST", "/v1/responses", kept, "ann")["id"]
        rows = self._ask("GET", "/analytics/requests", None, "ann")["requests"]
        self.anns_request = rows[0]["requestId"]
        for bomb in BOMBS:  # the largest that comes, so that the heap is what it will ever be
            self._ask("POST", "/v1/generate", bomb, "mallory", {"content-encoding": "gzip"})
        self.secrets = [
            *(key.encode() for key in (*self.keys.values(), *KEYS.values())),
            *ANNS_TEXTS,
        ]

    def _ask(
        self, method: str, path: str, body: Any, caller: str, head: Mapping[str, str] = {}
    ) -> Any:
        headers = {"authorization": f"Bearer {self.keys[caller]}", **head}
        headers["content-type"] = "application/json"
        with closing(http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)) as connection:
            data = body if isinstance(body, bytes) else json.dumps(body)
            connection.request(method, path, data, headers)
            return json.loads(connection.getresponse().read() or b"null")

    def reset_breakers(self) -> None:
        self._ask("DELETE", "/admin/breakers", None, "admin")

    def read_heap(self) -> int:
        headers = {"authorization": f"Bearer {ADMIN_TOKEN}"}
        with closing(http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)) as connection:
            connection.request("GET", "/metrics", headers=headers)
            text = connection.getresponse().read().decode()
        told = re.search(r"^proxy_isolate_heap_bytes (\S+)$", text, re.MULTILINE)
        return int(float(told[1])) if told else 0

    def send(self, case: Case, body: bytes) -> Answer:
        """What the caller of a case gets. Raises OSError where it gets nothing in time."""
        path = case.path.replace(ANNS_RESPONSE, self.anns_response)
        path = path.replace(ANNS_REQUEST, self.anns_request)
        body = body.replace(ANNS_RESPONSE.encode(), self.anns_response.encode())
        given = {**case.headers, **authorize(case, self.keys)}
        with closing(
            http.client.HTTPConnection("127.0.0.1", self.port, timeout=SECONDS)
        ) as connection:
            connection.putrequest(case.method, path, skip_accept_encoding=True)
            for name, value in {**given, "content-length": str(len(body))}.items():
                if name != "expect":
                    connection.putheader(name, value.encode("latin-1"))
            connection.endheaders(body)
            reply = connection.getresponse()
            headers = {name.lower(): value for name, value in reply.getheaders()}
            told = b""
            try:
                for piece in iter(reply.read1, b""):
                    told += piece
                    if case.gone_after == 0:
                        break
            except (http.client.IncompleteRead, ConnectionError):
                pass  # a stream that broke off
        passed = case.name in PASSED_ON or case.path.startswith(PASSED_PREFIXES)
        return Answer(reply.status, headers, told, passed and "x-proxy-provider" in headers)


def direct(dice: Random, body: bytes) -> bytes:
    """The body with a word to the upstream in its prompt: what it is to answer."""
    named = [name for name in PROVIDERS if f'"{name}/'.encode() in body]
    reply = answers.choose(dice, named[0] if named else "openai", streams=b'"stream": true' in body)
    if dice.random() < 0.1:
        reply = answers.echo(reply, KEYS["OPENAI_API_KEY"])
    texts = [event.decode(errors="replace") for event in reply.events]
    told: dict[str, Any] = {"status": reply.status, "headers": reply.headers}
    told |= {"frames": texts} if reply.stream else {"body": "".join(texts)}
    if dice.random() < 0.2:
        told |= dice.choice(FAULTS)
    if dice.random() < 0.2:
        told = {"text": "Well."}
    text = f"{PROMPT} upstream:{json.dumps({'*': told})}"
    return body.replace(PROMPT.encode(), json.dumps(text)[1:-1].encode(), 1)


def run_worker(seed: int, numbers: range, show: Callable[[int], None]) -> tuple[Share, str | None]:
    """Sends the cases; what was found, and what has grown."""
    with Upstream() as upstream, TemporaryDirectory() as folder:
        urls = {f"{name}_BASE_URL": upstream.url + path for name, path in PATHS.items()}
        log = Path(folder) / "worker.log"
        vars = urls | KEYS | ROOMY | DAY | SETTINGS
        with Bare(proxy(Path(folder)), "entry.py", vars, log) as worker:
            share = Share([], Counter(), [])
            target = Target(worker.port)
            tenth = max(1, len(numbers) // 10)
            with ThreadPoolExecutor(CALLERS) as pool:
                for start in range(0, len(numbers), tenth):
                    part = numbers[start : start + tenth]
                    for status, finding in pool.map(lambda n: _try(target, seed, n), part):
                        share.statuses[status] += 1
                        share.findings += [finding] if finding else []
                    share.findings += _find_leaks_upstream(upstream, target.keys)
                    upstream.reset()
                    share.memory.append((0, target.read_heap()))
                    show(min(start + tenth, len(numbers)))
            share.findings += _find_log_faults(log, target.secrets)
        grown = share.memory[-1][1] - share.memory[0][1]
        return share, f"the heap grew by {grown:,} bytes" if grown > GROWTH else None


def _try(target: Target, seed: int, number: int) -> tuple[int, Finding | None]:
    case = make_case(seed, number)
    if case.method not in METHODS[:7]:  # workerd's own matter
        case.method = "POST"
    body = direct(make_dice(seed, number, "answers"), case.body)
    if number % 5 == 0:
        target.reset_breakers()
    status, answer = 0, None
    try:
        answer = target.send(case, body)
        status, secrets = answer.status, target.secrets
        faults = find_faults(case, answer, secrets)
    except (OSError, http.client.HTTPException) as error:
        faults = [f"is not answered: {error!r}"]
    if not faults:
        return status, None
    told = answer and (answer.status, answer.headers, answer.body[:500])
    shown = f"{case.describe()}\n  sent: {body[:3000]!r}\n  answer: {told}"
    return status, Finding(number, faults, shown)


def _find_leaks_upstream(upstream: Upstream, keys: Mapping[str, str]) -> Iterator[Finding]:
    """No caller's key goes to a provider."""
    for entry in upstream.log():
        sent = repr((entry["path"], entry["headers"], entry["raw"]))
        for name, key in keys.items():
            if key in sent:
                yield Finding(0, [f"{name}'s key goes to {entry['provider']}"], sent[:1000])


def _find_log_faults(log: Path, secrets: list[bytes]) -> Iterator[Finding]:
    for line in log.read_bytes().splitlines():
        faults = [f"the log shows {secret[:12]!r}" for secret in secrets if secret in line]
        if b'"event":"bug"' in line.replace(b" ", b"") or b"Traceback" in line:
            faults.append("a bug is logged")
        if faults:
            yield Finding(0, faults, line[:1500].decode(errors="replace"))
