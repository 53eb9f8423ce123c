"""A provider's answer that unpacks to more than an isolate holds, in every coding."""

import gzip
import json
import zlib
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any

import pytest

from bench.bare import Bare, proxy
from tests.e2e.test_floods import BOMB, MB, read_heap
from tests.e2e.test_memory import BOMB as BROTLI

BODIES = {
    "gzip": gzip.compress(BOMB, 9),
    "deflate": zlib.compress(BOMB, 9),
    "br": BROTLI,
    "identity": b'{"x": "' + bytes(60 * MB),
}


class Bomber(BaseHTTPRequestHandler):
    """A provider that answers as it is told by the path of its base URL's last segment."""

    coding = "gzip"
    status = 200
    kind = "application/json"

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers.get("content-length") or 0))
        body = BODIES[Bomber.coding]
        self.send_response(Bomber.status)
        self.send_header("content-type", Bomber.kind)
        if Bomber.coding != "identity":
            self.send_header("content-encoding", Bomber.coding)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        try:
            self.wfile.write(body)
        except OSError:
            self.close_connection = True

    def log_message(self, format: str, *args: Any) -> None:
        """Nothing is logged."""


@pytest.fixture(scope="module")
def worker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bare]:
    provider = ThreadingHTTPServer(("127.0.0.1", 0), Bomber)
    Thread(target=provider.serve_forever, daemon=True).start()
    folder = tmp_path_factory.mktemp("bombs")
    settings = {
        "ENVIRONMENT": "development",
        "OPENAI_API_KEY": "a-provider-key",
        "OPENAI_BASE_URL": f"http://127.0.0.1:{provider.server_address[1]}/v1",
        "RATE_LIMIT_BURST": "100000",
        "RETRY_ATTEMPTS": "1",
    }
    with Bare(proxy(folder), "entry.py", settings, folder / "worker.log") as running:
        yield running
    provider.shutdown()
    provider.server_close()


PATHS: dict[str, dict[str, Any]] = {
    "/v1/generate": {"prompt": "hi"},
    "/v1/chat/completions": {"messages": [{"role": "user", "content": "hi"}]},
    "/v1/messages": {"messages": [{"role": "user", "content": "hi"}], "max_tokens": 5},
    "/v1/responses": {"input": "hi", "store": True},
    "/v1/embeddings": {"input": "hi"},
}


@pytest.mark.parametrize("coding", BODIES)
@pytest.mark.parametrize(
    ("status", "kind"),
    [(200, "application/json"), (200, "text/event-stream"), (500, "text/html")],
    ids=["whole", "streamed", "an error"],
)
def test_no_answer_is_unpacked_beyond_its_limit(
    worker: Bare, coding: str, status: int, kind: str
) -> None:
    Bomber.coding, Bomber.status, Bomber.kind = coding, status, kind
    before = read_heap(worker)
    for path, fields in PATHS.items():
        model = "openai/text-embedding-3-small" if path == "/v1/embeddings" else "openai/gpt-4o"
        streams = {"stream": True} if "event" in kind and path != "/v1/embeddings" else {}
        body = json.dumps({"model": model, "fallback": False, **fields, **streams}).encode()
        answered, told = worker.post(path, body)
        assert answered in (200, 502, 503, 529), told[:300]
        if answered == 200:
            assert b"error" in told, told[:300]
    assert read_heap(worker) - before <= 40 * MB
    assert worker.post("/v1/generate", b"{}")[0] == 400
