"""A collector of OpenTelemetry's traces and metrics, as far as it keeps what it is sent."""

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


class Collector:
    """What has arrived: spans, metrics, and the headers of the requests that brought them."""

    def __init__(self) -> None:
        self.url = ""
        self.spans: list[dict[str, Any]] = []
        self.metrics: list[dict[str, Any]] = []
        self.headers: list[dict[str, str]] = []

    def trace(self, trace_id: str) -> list[dict[str, Any]]:
        """The spans of one trace."""
        return [span for span in list(self.spans) if span["traceId"] == trace_id]

    def points(self, metric: str, **attributes: str) -> list[dict[str, Any]]:
        """The data points of a metric that have these attributes, dots as `__`."""
        wanted = {name.replace("__", "."): value for name, value in attributes.items()}
        found = []
        for told in list(self.metrics):
            if told["name"] == metric:
                for point in (told.get("histogram") or told["sum"])["dataPoints"]:
                    has = {a["key"]: a["value"].get("stringValue") for a in point["attributes"]}
                    if wanted.items() <= has.items():
                        found.append(point)
        return found


@contextmanager
def collecting() -> Iterator[Collector]:
    """A collector on a free port of the loopback."""
    collector = Collector()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["content-length"])))
            collector.headers.append({name.lower(): v for name, v in self.headers.items()})
            spans, metrics = ("/v1/traces", "Spans"), ("/v1/metrics", "Metrics")
            for path, kind in (spans, metrics):
                for resource in body[f"resource{kind}"] if self.path == path else ():
                    for scope in resource[f"scope{kind}"]:
                        getattr(collector, kind.lower()).extend(scope[kind.lower()])
            self.send_response(200 if self.path in (spans[0], metrics[0]) else 404)
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
