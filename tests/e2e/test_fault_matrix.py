"""Every way in which a provider can fail, whole and streamed, alone and with a healthy one behind.

A cell is one request. All cells run side by side before the first of them is judged, those of
one provider one after another with its breakers closed in between, so that no cell is decided by
what another has met. What counts is what the caller sees, not how often a provider is called.
"""

import socket
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from socketserver import BaseRequestHandler, ThreadingTCPServer
from typing import Any

import httpx
import pytest

from tests.e2e.deployments import DEPLOYMENTS, KEYS, Deployments
from tests.e2e.faults import CELLS, SECOND, Broken, Cell, Refusal, Second
from tests.e2e.forms import error_of, is_whole, text, told_by
from tests.upstream import Upstream

NATIVE = {"messages": "anthropic", "responses": "openai"}
"""The provider whose own errors a caller of the dialect gets."""
ANTHROPICS = {
    400: "invalid_request_error",
    404: "not_found_error",
    413: "request_too_large",
    429: "rate_limit_error",
    504: "timeout_error",
    529: "overloaded_error",
}
"""Its names of errors, by the status; another is an `api_error`."""
SLACK = 2.0
"""Seconds over its deadline that an answer may take on a busy machine."""


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
            assert answer.headers["content-type"] == "application/json", answer.text
            assert answer.status_code == _status(cell, status), answer.text
            _check_error(cell, answer.json(), _status(cell, status), kind)
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


def _status(cell: Cell, status: int) -> int:
    """An error's status in the dialect: Responses has 400 for a model that the proxy's own words
    name unknown, Messages 529 for a provider that has too much to do."""
    if cell.dialect == "messages" and status == 502 and cell.fault.status in (503, 529):
        return 529
    is_own = cell.provider != NATIVE.get(cell.dialect)
    return 400 if status == 404 and cell.dialect == "responses" and is_own else status


def _check_answer(cell: Cell, answer: httpx.Response) -> None:
    """A complete answer, by whom it should be."""
    who = SECOND if isinstance(cell.end, Second) else cell.provider
    assert answer.headers["x-proxy-provider"] == who
    told = told_by(answer)
    assert text(told[:-1] if cell.stream else told) == cell.text
    assert is_whole(cell.dialect, told), told[-1]
    if cell.dialect != "native":
        return
    assert all(name == "delta" for name, _ in told[:-1])
    done = told[-1][1]
    assert (done["success"], done["provider"]) == (True, who)
    *failed, last = done["metadata"]["attempts"]
    assert (last["provider"], last["outcome"]) == (who, "ok")
    assert bool(failed) == isinstance(cell.end, Second)
    _check_attempts(cell, failed)


def _check_broken(cell: Cell, answer: httpx.Response, code: int, kind: str) -> None:
    """A beginning, and an error in the place of the end."""
    told = told_by(answer)
    error = error_of(cell.dialect, told)
    if cell.dialect == "responses":
        assert error["code"] == "server_error"
        assert cell.provider in error["message"]
    else:
        _check_error(cell, told[-1][1], code, kind)
    said = text(told[:-1])
    assert said
    assert cell.text.startswith(said)


def _check_error(cell: Cell, body: Any, status: int, kind: str) -> None:
    """A well-formed error of the dialect that says what has happened."""
    error = body["error"]
    assert error["message"]
    if cell.fault.name == "400":
        assert "not to my taste" in error["message"]
    if cell.provider == NATIVE.get(cell.dialect) and isinstance(cell.end, Refusal) and status < 500:
        _check_native(cell, body, status)
        return
    described = error["details"] if cell.dialect == "messages" else error
    # Nobody but the caller has set a deadline here that is shorter than the deployment's.
    own = "The request's own time was up" in error["message"]
    assert described["source"] == ("proxy" if own else "provider")
    assert not own or cell.fault.outcome == "timeout"
    match cell.dialect:
        case "native":
            assert body["success"] is False
            assert (error["type"], error["code"]) == (kind, status)
            assert error.get("retryAfter") == cell.fault.retry_after
            assert body["metadata"]["requestId"].startswith("req_")
            time.strptime(body["metadata"]["timestamp"], "%Y-%m-%dT%H:%M:%SZ")
            described = body["metadata"]
        case "messages":
            assert body["type"] == "error"
            assert body["request_id"].startswith("req_")
            assert error["type"] == ANTHROPICS.get(status, "api_error")
        case _:
            assert error["error_type"] == kind
            assert error["type"] in ("invalid_request_error", "rate_limit_error", "server_error")
            assert error.keys() >= {"param", "code", "request_id"}
    attempts = described["attempts"]
    if isinstance(cell.end, Broken):
        assert attempts.pop()["outcome"] == "ok"  # its beginning
        assert not attempts
        assert cell.provider in error["message"]
    else:
        _check_attempts(cell, attempts)
        assert attempts


def _check_native(cell: Cell, body: Any, status: int) -> None:
    """The provider's own error, to the letter."""
    if cell.dialect == "messages":
        kind = ANTHROPICS[status]
        message = body["error"]["message"]
        assert body == {
            "type": "error",
            "error": {"type": kind, "message": message},
            "request_id": "req_011upstream",
        }
    else:
        assert body["error"].keys() == {"message", "type", "param", "code"}


def _check_attempts(cell: Cell, attempts: list[Any]) -> None:
    """Those that failed: at whom, and how."""
    for attempt in attempts:
        assert attempt["provider"] == cell.provider, attempts
        assert attempt["outcome"] == cell.fault.outcome, attempts
        assert attempt.get("status") == cell.fault.status, attempts
        assert attempt["message"]
        assert attempt["ms"] >= 0
