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
from tests.e2e.sse import events
from tests.upstream import Upstream

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
