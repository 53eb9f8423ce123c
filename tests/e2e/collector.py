"""A collector of OpenTelemetry's traces, as far as it keeps what it is sent."""

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


class Collector:
    """What has arrived: spans, and the headers of the requests that brought them."""

    def __init__(self) -> None:
        self.url = ""
        self.spans: list[dict[str, Any]] = []
        self.headers: list[dict[str, str]] = []

    def trace(self, trace_id: str) -> list[dict[str, Any]]:
        """The spans of one trace."""
        return [span for span in list(self.spans) if span["traceId"] == trace_id]


@contextmanager
def collecting() -> Iterator[Collector]:
    """A collector on a free port of the loopback."""
    collector = Collector()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["content-length"])))
            collector.headers.append({name.lower(): v for name, v in self.headers.items()})
            for resource in body["resourceSpans"]:
                for scope in resource["scopeSpans"]:
                    collector.spans += scope["spans"]
            self.send_response(200)
            self.send_header("content-length", "2")
            self.end_headers()
            self.wfile.write(b"{}")

        def log_message(self, format: str, *args: Any) -> None:
            return

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    collector.url = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield collector
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
