"""`make dev` as a stranger runs it: the printed line works, and nothing is left behind."""

import json
import os
import re
import signal
import socket
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import httpx
import pytest

from tests.e2e.sse import events
from tools import runtime
from tools.layout import ROOT


def make_dev(port: int, *options: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        ["make", "dev", f"PORT={port}", *options],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )


@contextmanager
def running(port: int, *options: str) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """A started `make dev` and the curl line that it printed."""
    process = make_dev(port, *options)
    assert process.stdout
    try:
        seen = ""
        for line in process.stdout:
            seen += line
            if line.strip().startswith("curl "):
                break
        else:
            pytest.fail(f"make dev ended without a curl line:\n{seen}")
        yield process, line.strip()
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGTERM)
            process.communicate(timeout=30)


def left_behind(session: int, port: int) -> list[str]:
    """Processes of the session, or that name the port."""
    table = subprocess.run(
        ["ps", "-eo", "sid=,pid=,stat=,args="], capture_output=True, text=True, check=True
    ).stdout
    pattern = re.compile(rf"--port[= ]{port}\b")
    return [
        row
        for row in table.splitlines()
        if " Z" not in row and (row.split()[0] == str(session) or pattern.search(row))
    ]


def test_a_stranger_gets_a_real_answer() -> None:
    port = runtime.free_port()
    with running(port) as (process, curl):
        shell = subprocess.run(
            ["sh", "-c", curl], capture_output=True, text=True, timeout=60, check=True
        )
        answer = json.loads(shell.stdout)
        assert answer["success"] is True
        assert answer["provider"] == "local"
        assert answer["data"].strip()
        assert answer["usage"]["outputTokens"] > 0
        assert answer["metadata"]["cost"] == 0
        with httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=60) as client:
            _real_model_speaks_every_form(client)
        os.killpg(process.pid, signal.SIGINT)
        process.communicate(timeout=30)
    assert left_behind(process.pid, port) == []
    with pytest.raises(httpx.ConnectError):
        httpx.get(f"http://127.0.0.1:{port}/health")


def _real_model_speaks_every_form(client: httpx.Client) -> None:
    body: dict[str, Any] = {"prompt": "List two fruits.", "maxTokens": 12, "stream": True}
    told = list(events(client.post("/v1/generate", json=body)))
    assert told[-1][0] == "done"
    assert "".join(data.get("text", "") for _, data in told[:-1])
    assert told[-1][1]["usage"]["outputTokens"] <= 12
    chat = {"model": "auto", "max_tokens": 8, "messages": [{"role": "user", "content": "Hi!"}]}
    answer = client.post("/v1/chat/completions", json=chat).json()
    assert answer["choices"][0]["finish_reason"] in ("stop", "length")
    vectors = client.post("/v1/embeddings", json={"model": "auto", "input": ["a cat", "a dog"]})
    assert [len(item["embedding"]) for item in vectors.json()["data"]] == [384, 384]


def test_without_a_model_and_ended_by_sigterm_to_make() -> None:
    port = runtime.free_port()
    with running(port, "UPSTREAM=none") as (process, curl):
        assert "/health" in curl
        shell = subprocess.run(
            ["sh", "-c", curl], capture_output=True, text=True, timeout=60, check=True
        )
        assert json.loads(shell.stdout)["status"] == "ok"
        with httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=60) as client:
            listed = client.get("/health/providers").json()["providers"]
            states = {entry["name"]: entry["reason"] for entry in listed}
            assert "can't answer here" in states["workers-ai"]
            answer = client.post("/v1/generate", json={"prompt": "Hello"})
            assert answer.status_code == 503
            assert "run remotely" not in answer.text
        os.kill(process.pid, signal.SIGTERM)
        process.communicate(timeout=30)
    assert left_behind(process.pid, port) == []


def test_a_port_in_use_is_said() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        process = make_dev(port, "UPSTREAM=none")
        output, _ = process.communicate(timeout=60)
    assert process.returncode != 0
    assert f"port {port}: Address already in use" in output
    assert "Traceback" not in output


def test_a_wrong_option_is_said() -> None:
    process = make_dev(runtime.free_port(), "UPSTREAM=remote")
    output, _ = process.communicate(timeout=60)
    assert process.returncode != 0
    assert "local" in output
    assert "none" in output
