"""Every way in which a provider can fail, whole and streamed, alone and with a healthy one behind.

A cell is one request. All cells run side by side before the first of them is judged, those of
one provider one after another with its breakers closed in between, so that no cell is decided by
what another has met. What counts is what the caller sees, not how often a provider is asked.
"""

import json
import socket
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import product
from socketserver import BaseRequestHandler, ThreadingTCPServer
from typing import Any

import httpx
import pytest

from tests.e2e.deployments import DEPLOYMENTS, KEYS, Deployments
from tests.e2e.sse import events
from tests.upstream import Upstream

SECOND = "openai"
"""The healthy provider; nobody else's faults are its."""
SLACK = 2.0
"""Seconds over its deadline that an answer may take on a busy machine."""
DEADLINE_MS = 6000
"""For cells that have no reason to wait."""
SILENT_MS = 3000
"""For cells that wait in vain."""
TEN_MB = 10_000_000
TEXT = "one two three four five six seven eight"
SPOKEN = "Grüße, 世界 🌍!"


@dataclass(frozen=True)
class Whole:
    """The provider's answer, complete in spite of all."""


@dataclass(frozen=True)
class Second:
    """The answer of the healthy provider."""


@dataclass(frozen=True)
class Refusal:
    """An error in the place of an answer."""

    status: int
    kind: str


@dataclass(frozen=True)
class Broken:
    """An answer that begins and ends in an error."""

    code: int
    kind: str


Ending = Whole | Second | Refusal | Broken

ANSWER = (Whole(),) * 4


def passed_on(status: int, kind: str) -> tuple[Ending, ...]:
    """A failure before any content: alone it is this error, with a second one it is not seen."""
    return Refusal(status, kind), Refusal(status, kind), Second(), Second()


def begun(status: int, kind: str) -> tuple[Ending, ...]:
    """A failure in the midst of an answer, of which a stream's beginning has gone out."""
    return Refusal(status, kind), Broken(status, kind), Second(), Broken(status, kind)


FAILED = passed_on(502, "provider_error")
SILENT = passed_on(504, "provider_timeout")


@dataclass(frozen=True)
class Fault:
    """What goes wrong and how each of its four requests ends."""

    name: str
    does: dict[str, Any]
    """The upstream's directive."""
    ends: tuple[Ending, ...]
    """Alone, alone and streamed, with a second provider, with a second one and streamed."""
    outcome: str = "ok"
    """What the attempts say of it."""
    status: int | None = None
    """The provider's status that they tell."""
    streamed: dict[str, Any] | None = None
    """The directive of a stream, if it is another one."""
    at: tuple[str, ...] = ("groq", "gemini")
    """The providers that it befalls."""
    timeout: int = DEADLINE_MS
    text: str = TEXT
    retry_after: int | None = None
    openai: bool = False
    """Whether it is asked in OpenAI's dialect too."""
    heavy: bool = False
    """Whether it keeps the isolate so busy that its cells run alone."""


def refused(status: int, kind: str, outcome: str, ends: int = 502, **other: Any) -> Fault:
    name = other.pop("name", str(status))
    does = {"status": status} | other.pop("does", {})
    return Fault(name, does, passed_on(ends, kind), outcome, status, **other)


FAULTS = (
    Fault("connection refused", {}, FAILED, "network", at=("openrouter",), openai=True),
    Fault("name unknown", {}, FAILED, "network", at=("deepseek",), openai=True),
    Fault("no TLS", {}, FAILED, "network", at=("huggingface",), openai=True),
    Fault("not HTTP", {"garbage": True}, FAILED, "network", openai=True),
    Fault("reset", {"refuse": True}, FAILED, "network"),
    Fault(
        "400",
        {"status": 400, "message": "temperature is not to my taste"},
        (Refusal(400, "invalid_request"),) * 4,
        "bad_request",
        400,
        openai=True,
    ),
    refused(401, "provider_error", "unauthorized", openai=True, at=("groq",)),
    refused(403, "provider_error", "unauthorized", at=("gemini",)),
    refused(404, "not_found", "not_found", 404, openai=True, at=("gemini",)),
    refused(408, "provider_timeout", "timeout", 504, at=("groq",)),
    refused(413, "payload_too_large", "too_large", 413, openai=True, at=("gemini",)),
    refused(429, "rate_limit_exceeded", "rate_limited", 429, at=("groq", "local")),
    refused(
        429,
        "rate_limit_exceeded",
        "rate_limited",
        429,
        name="429 with a delay in its body",
        at=("gemini",),
        retry_after=2,
    ),
    refused(
        429,
        "rate_limit_exceeded",
        "rate_limited",
        429,
        name="429 with Retry-After",
        does={"headers": {"retry-after": "30"}},
        at=("groq",),
        retry_after=30,
        openai=True,
    ),
    refused(500, "provider_error", "unavailable", openai=True, at=("gemini",)),
    refused(502, "provider_error", "unavailable", at=("groq",)),
    refused(503, "provider_error", "unavailable", at=("gemini",)),
    refused(529, "provider_error", "unavailable", at=("groq",)),
    Fault("empty", {"empty": True}, FAILED, "garbage", openai=True),
    Fault("a page", {"html": True}, FAILED, "garbage", openai=True),
    Fault("half JSON", {"half_json": True}, begun(502, "provider_error"), "garbage", openai=True),
    Fault(
        "half JSON at once",
        {"body": '{"id": "chatcmpl-1", "choi'},
        FAILED,
        "garbage",
        streamed={"body": 'data: {"id": "chatcmpl-1", "choi'},
    ),
    Fault("wrong content type", {"content_type": "text/html"}, ANSWER, openai=True),
    Fault(
        "silence before the headers",
        {"delay_ms": 30_000},
        SILENT,
        "timeout",
        timeout=SILENT_MS,
        at=("groq",),
        openai=True,
    ),
    Fault(
        "silence before the content",
        {"body_delay_ms": 30_000},
        SILENT,
        "timeout",
        timeout=SILENT_MS,
        at=("local",),
    ),
    Fault(
        "silence in the midst",
        {"split": 100, "stall_after": 2},
        begun(504, "provider_timeout"),
        "timeout",
        streamed={"stall_after": 4},
        timeout=SILENT_MS,
        openai=True,
    ),
    Fault(
        "break in the midst",
        {"split": 100, "break_after": 2},
        begun(502, "provider_error"),
        "network",
        streamed={"break_after": 4},
        openai=True,
    ),
    Fault(
        "break within a character",
        {"break_mid_utf8": True},
        begun(502, "provider_error"),
        "network",
        openai=True,
    ),
    Fault("split at every byte", {"split": 1}, ANSWER, text=SPOKEN, openai=True),
    Fault(
        "slow drip",
        {"split": 11, "drip_ms": 8},
        ANSWER,
        text=SPOKEN,
        timeout=2 * DEADLINE_MS,
        at=("groq",),
        openai=True,
    ),
    Fault(
        "drip past the deadline",
        {"split": 8, "drip_ms": 150},
        (
            Refusal(504, "provider_timeout"),
            Broken(504, "provider_timeout"),
            Second(),
            Broken(504, "provider_timeout"),
        ),
        "timeout",
        streamed={"split": 80, "drip_ms": 200},
        timeout=2000,
        at=("gemini",),
    ),
    Fault(
        "an event of 10 MB",
        {"big_event": TEN_MB},
        ANSWER,
        timeout=20_000,
        at=("gemini",),
        openai=True,
        heavy=True,
    ),
)


@dataclass(frozen=True)
class Cell:
    """One request of the matrix."""

    fault: Fault
    provider: str
    dialect: str
    second: bool
    stream: bool

    @property
    def id(self) -> str:
        """Its name in pytest's list, and its tag in the upstream's log."""
        whom = "with a second" if self.second else "alone"
        how = "streamed" if self.stream else "whole"
        return f"{self.fault.name}-{self.provider}-{self.dialect}-{whom}-{how}"

    @property
    def end(self) -> Ending:
        return self.fault.ends[2 * self.second + self.stream]

    @property
    def text(self) -> str:
        """What is said if all goes well."""
        if "big_event" in self.fault.does and isinstance(self.end, Whole):
            return "x" * TEN_MB
        return f"echo: {self.fault.text}"

    @property
    def request(self) -> tuple[str, dict[str, Any]]:
        """The path and the body. The model's name is the cell's own, and no catalogue's."""
        fault = self.fault
        does = fault.streamed if self.stream and fault.streamed else fault.does
        directive = {"*": {"tag": self.id}, self.provider: does}
        prompt = f"{fault.text} upstream:{json.dumps(directive)}"
        common = {
            "model": f"{self.provider}/fault-{CELLS.index(self)}",
            "stream": self.stream,
            "fallback": [SECOND] if self.second else False,
            "timeout": fault.timeout,
        }
        if self.dialect == "native":
            return "/v1/generate", common | {"prompt": prompt}
        message = {"role": "user", "content": prompt}
        return "/v1/chat/completions", common | {"messages": [message]}


CELLS = [
    Cell(fault, provider, dialect, second, stream)
    for fault in FAULTS
    for dialect in (("native", "openai") if fault.openai else ("native",))
    for provider in (fault.at if dialect == "native" or not fault.does else ("local",))
    for second, stream in product((False, True), (False, True))
]


@dataclass(frozen=True)
class Result:
    """What the caller saw."""

    answer: httpx.Response
    seconds: float


Results = Callable[[Cell], Result]


class _Plain(BaseRequestHandler):
    """Whoever begins with TLS is answered in plain HTTP."""

    def handle(self) -> None:
        self.request.recv(65536)
        self.request.sendall(b"HTTP/1.1 400 Bad Request\r\ncontent-length: 0\r\n\r\n")


@pytest.fixture(scope="module")
def url(deployments: Deployments) -> Iterator[str]:
    """A deployment some of whose providers can't be reached at all."""
    with socket.socket() as deaf, ThreadingTCPServer(("127.0.0.1", 0), _Plain) as plain:
        deaf.bind(("127.0.0.1", 0))  # bound and not listening: nobody else can take the port
        threading.Thread(target=plain.serve_forever, daemon=True).start()
        addresses = {
            "OPENROUTER_BASE_URL": f"http://127.0.0.1:{deaf.getsockname()[1]}/api/v1",
            "DEEPSEEK_BASE_URL": "https://nowhere.invalid",
            "HUGGINGFACE_BASE_URL": f"https://127.0.0.1:{plain.server_address[1]}/v1",
        }
        settings = {"IDLE_TIMEOUT_MS": "1500", "RETRY_ATTEMPTS": "2", **addresses}
        DEPLOYMENTS["faults"] = ("development", settings)
        yield deployments.get("faults").url
        plain.shutdown()


@pytest.fixture(scope="module")
def results(url: str, request: pytest.FixtureRequest) -> Results:
    """Runs all cells that are asked for and gives each one's result."""
    chosen = [
        item.callspec.params["cell"]  # type: ignore[attr-defined]
        for item in request.session.items
        if getattr(item, "originalname", "") == test_each_cell.__name__
    ]
    lanes: dict[str, list[Cell]] = {}
    for cell in chosen:
        if not cell.fault.heavy:
            lanes.setdefault(cell.provider, []).append(cell)
    told: dict[str, Result | Exception] = {}

    def run(cells: list[Cell]) -> None:
        with httpx.Client(base_url=url) as client:
            for cell in cells:
                told[cell.id] = _asked(client, cell)

    with ThreadPoolExecutor(len(lanes) or 1) as pool:
        list(pool.map(run, lanes.values()))
    run([cell for cell in chosen if cell.fault.heavy])

    def result(cell: Cell) -> Result:
        found = told[cell.id]
        if isinstance(found, Exception):
            raise found
        return found

    return result


def _asked(client: httpx.Client, cell: Cell) -> Result | Exception:
    path, body = cell.request
    try:
        reset = client.delete(f"/admin/breakers?provider={cell.provider}", timeout=30)
        assert reset.status_code == 204, reset.text
        began = time.monotonic()
        answer = client.post(path, json=body, timeout=cell.fault.timeout / 1000 + 10)
        return Result(answer, time.monotonic() - began)
    except Exception as error:
        return error


@pytest.mark.parametrize("cell", CELLS, ids=[cell.id for cell in CELLS])
def test_each_cell(results: Results, upstream: Upstream, cell: Cell) -> None:
    result = results(cell)
    answer = result.answer
    assert result.seconds < cell.fault.timeout / 1000 + SLACK
    assert "Traceback" not in answer.text
    assert not any(key in answer.text for key in KEYS.values())
    match cell.end:
        case Refusal(status, kind):
            assert (answer.status_code, answer.headers["content-type"]) == (
                status,
                "application/json",
            ), answer.text
            _check_error(cell, answer.json(), status, kind)
            told = cell.fault.retry_after
            assert answer.headers.get("retry-after") == (None if told is None else str(told))
        case Broken(code, kind):
            assert answer.status_code == 200, answer.text
            _check_broken(cell, answer, code, kind)
        case _:
            assert answer.status_code == 200, answer.text
            _check_answer(cell, answer)
    assert all(entry["ended"] != "open" for entry in upstream.log(cell.id))


def test_nothing_goes_wrong_unseen(results: Results, deployments: Deployments) -> None:
    log = deployments.get("faults").log.read_text()
    assert "POST /v1/generate 200" in log
    for sign in ("Traceback", "Uncaught", "stream failed"):
        assert sign not in log


def _check_answer(cell: Cell, answer: httpx.Response) -> None:
    """A complete answer, by whom it should be."""
    who = SECOND if isinstance(cell.end, Second) else cell.provider
    assert answer.headers["x-proxy-provider"] == who
    if cell.dialect == "openai":
        told = [data for _, data in events(answer)] if cell.stream else [answer.json()]
        if cell.stream:
            assert told.pop() == "[DONE]"
        assert _said(cell, told) == cell.text
        assert [c["finish_reason"] for t in told for c in t["choices"]][-1] == "stop"
        return
    *deltas, (name, told) = events(answer) if cell.stream else [("done", answer.json())]
    assert name == "done", told
    said = "".join(data["text"] for _, data in deltas) if cell.stream else told["data"]
    assert said == cell.text
    assert (told["success"], told["provider"]) == (True, who)
    *failed, last = told["metadata"]["attempts"]
    assert (last["provider"], last["outcome"]) == (who, "ok")
    assert bool(failed) == isinstance(cell.end, Second)
    _check_attempts(cell, failed)


def _check_broken(cell: Cell, answer: httpx.Response, code: int, kind: str) -> None:
    """A beginning, and an error in the place of the end."""
    *begun, (name, last) = events(answer)
    assert begun
    if cell.dialect == "native":
        assert name == "error", last
        assert all(name == "delta" for name, _ in begun)
        _check_error(cell, last, code, kind)
        said = "".join(data["text"] for _, data in begun)
    else:
        assert last != "[DONE]"
        assert last["choices"][0]["finish_reason"] == "error"
        _check_error(cell, last, code, kind)
        said = _said(cell, [data for _, data in begun])
        assert not any(c.get("finish_reason") for _, d in begun for c in d["choices"])
    assert said
    assert cell.text.startswith(said)


def _said(cell: Cell, told: list[Any]) -> str:
    part = "delta" if cell.stream else "message"
    return "".join(c[part].get("content") or "" for t in told for c in t["choices"])


def _check_error(cell: Cell, body: Any, status: int, kind: str) -> None:
    """A well-formed error of the dialect that says what has happened."""
    error = body["error"]
    assert error["message"]
    # Nobody but the caller has set a deadline here that is shorter than the deployment's.
    own = "The request's own time was up" in error["message"]
    assert error["source"] == ("proxy" if own else "provider")
    assert not own or cell.fault.outcome == "timeout"
    if cell.dialect == "native":
        assert body["success"] is False
        assert (error["type"], error["code"]) == (kind, status)
        assert error.get("retryAfter") == cell.fault.retry_after
        assert body["metadata"]["requestId"].startswith("req_")
        time.strptime(body["metadata"]["timestamp"], "%Y-%m-%dT%H:%M:%SZ")
        attempts = body["metadata"]["attempts"]
    else:
        assert error["error_type"] == kind
        assert error["type"] in ("invalid_request_error", "rate_limit_error", "server_error")
        assert error.keys() >= {"param", "code", "request_id"}
        attempts = error["attempts"]
    if isinstance(cell.end, Broken):
        assert attempts.pop()["outcome"] == "ok"  # its beginning
        assert not attempts
        assert cell.provider in error["message"]
    else:
        _check_attempts(cell, attempts)
        assert attempts
    if cell.fault.name == "400":
        assert "not to my taste" in error["message"]


def _check_attempts(cell: Cell, attempts: list[Any]) -> None:
    """Those that failed: at whom, and how."""
    for attempt in attempts:
        assert attempt["provider"] == cell.provider, attempts
        assert attempt["outcome"] == cell.fault.outcome, attempts
        assert attempt.get("status") == cell.fault.status, attempts
        assert attempt["message"]
        assert attempt["ms"] >= 0
