"""Data points as workerd's own binding of Analytics Engine takes them: it forwards each one."""

import json
import threading
import time
from collections import Counter
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from bench.bare import Bare, proxy
from proxy.analytics.record.data_point import COLUMNS
from tests.e2e.deployments import KEYS, PATHS
from tests.upstream import Upstream


class Dataset:
    """The points that have arrived, by what docs/analytics-engine.md calls their columns."""

    def __init__(self) -> None:
        self.points: list[dict[str, str | float]] = []
        points = self.points

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                told = json.loads(self.rfile.read(int(self.headers["content-length"])))
                points.append({name: _value(told[column]) for name, column in COLUMNS.items()})
                self.send_response(200)
                self.send_header("content-length", "0")
                self.end_headers()

            def log_message(self, format: str, *args: object) -> None:
                return

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.address = f"127.0.0.1:{self.server.server_port}"

    def wait_for(self, count: int) -> None:
        end = time.monotonic() + 5
        while len(self.points) < count and time.monotonic() < end:
            time.sleep(0.05)
        time.sleep(0.3)  # for one too many
        assert len(self.points) == count


def _value(told: list[int] | float) -> str | float:
    """A column's value: texts are told as the list of their bytes."""
    return bytes(told).decode() if isinstance(told, list) else told


@pytest.fixture
def dataset() -> Iterator[Dataset]:
    dataset = Dataset()
    thread = threading.Thread(target=dataset.server.serve_forever, daemon=True)
    thread.start()
    yield dataset
    dataset.server.shutdown()
    dataset.server.server_close()
    thread.join()


def test_each_request_is_one_data_point(dataset: Dataset, tmp_path: Path) -> None:
    log = tmp_path / "worker.log"
    with Upstream() as upstream:
        vars = {
            "ENVIRONMENT": "development",
            "OPENAI_API_KEY": KEYS["OPENAI_API_KEY"],
            "OPENAI_BASE_URL": upstream.url + PATHS["OPENAI"],
        }
        with Bare(proxy(tmp_path), "entry.py", vars, log, points=dataset.address) as worker:
            for number in range(30):
                body = json.dumps({"prompt": f"point {number}", "model": "gpt-5.4-mini"}).encode()
                assert worker.post("/v1/generate", body)[0] == 200
            dataset.wait_for(30)
            for point in dataset.points:
                assert (point["endpoint"], point["status"]) == ("/v1/generate", 200)
                assert (point["provider"], point["model"]) == ("openai", "gpt-5.4-mini")
                assert point["sampled_by"] == point["user_name"] == "anonymous"
                assert (point["attempts"], point["cache"]) == ("openai/gpt-5.4-mini:ok", "miss")
            assert len({point["request_id"] for point in dataset.points}) == 30

            items = [{"prompt": f"item {number}"} for number in range(24)]
            body = json.dumps({"requests": items}).encode()
            assert worker.post("/v1/batch", body)[0] == 200
            dataset.wait_for(30 + 25)
            told = Counter(point["endpoint"] for point in dataset.points)
            assert told == {"/v1/generate": 30, "/v1/batch/item": 24, "/v1/batch": 1}
    assert "refused" not in log.read_text()
