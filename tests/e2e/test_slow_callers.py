"""A caller who takes an answer slowly slows its provider down, instead of filling the isolate."""

import json
import socket
import time
from collections.abc import Iterator
from contextlib import ExitStack, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any

import pytest

from bench.bare import Bare, proxy
from tests.e2e.stream_modes import body_of

EVENT = json.dumps(
    {
        "id": "1",
        "object": "chat.completion.chunk",
        "model": "gpt-4o",
        "choices": [{"index": 0, "delta": {"content": "x" * 100_000}, "finish_reason": None}],
    }
)
FRAME = f"data: {EVENT}\n\n".encode()
CALLERS = 6
"""At once: so many that what comes of a stream gathers."""
MEGABYTES = 60
MOST = 25
"""Megabytes of each that the provider may get rid of: what sockets hold, and some more."""


class Fast(BaseHTTPRequestHandler):
    """A provider that streams as fast as it is read."""

    sent = 0

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["content-length"]))
        self.send_response(200)
        self.send_header("content-type", "text/event-stream")
        self.end_headers()
        with suppress(OSError):
            for _ in range(MEGABYTES * 10):
                self.wfile.write(FRAME)
                Fast.sent += len(FRAME)

    def log_message(self, format: str, *args: Any) -> None:
        """Nothing is logged."""


@pytest.fixture(scope="module")
def port(tmp_path_factory: pytest.TempPathFactory) -> Iterator[int]:
    provider = ThreadingHTTPServer(("127.0.0.1", 0), Fast)
    Thread(target=provider.serve_forever, daemon=True).start()
    folder = tmp_path_factory.mktemp("slow")
    url = f"http://127.0.0.1:{provider.server_address[1]}/v1"
    settings = {
        "ENVIRONMENT": "development",
        "OPENAI_API_KEY": "a-provider-key",
        "OPENAI_BASE_URL": url,
    }
    with Bare(proxy(folder), "entry.py", settings, folder / "worker.log") as worker:
        yield worker.port
    provider.shutdown()
    provider.server_close()


@pytest.mark.parametrize("mode", ["piped", "without usage", "translated"])
def test_slow_callers_slow_the_provider_down(port: int, mode: str) -> None:
    Fast.sent = 0
    path, fields = body_of(mode, mode)
    body = json.dumps(fields).encode()
    head = f"POST {path} HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\n"
    with ExitStack() as stack:
        opened = (socket.create_connection(("127.0.0.1", port)) for _ in range(CALLERS))
        callers = [stack.enter_context(caller) for caller in opened]
        for caller in callers:
            caller.sendall(f"{head}content-length: {len(body)}\r\n\r\n".encode() + body)
        for _ in range(8):
            assert all(caller.recv(65_536) for caller in callers)
            time.sleep(0.25)
    assert 0 < Fast.sent < CALLERS * MOST * 1_000_000
