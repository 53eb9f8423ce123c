"""Targets of every form that HTTP has, in workerd itself: `wrangler dev` does not take all."""

import socket
from collections.abc import Iterator

import pytest

from bench.bare import Bare, proxy
from tools.runtime import LOOPBACK


@pytest.fixture(scope="module")
def port(tmp_path_factory: pytest.TempPathFactory) -> Iterator[int]:
    folder = tmp_path_factory.mktemp("targets")
    with Bare(proxy(folder), "entry.py", {"ENVIRONMENT": "development"}, folder / "log") as worker:
        yield worker.port


@pytest.mark.parametrize(
    ("line", "status"),
    [
        ("OPTIONS * HTTP/1.1", 204),
        ("OPTIONS / HTTP/1.1", 204),
        ("GET http://elsewhere.test HTTP/1.1", 302),
        ("GET http://elsewhere.test/health?a HTTP/1.1", 200),
        ("GET //health HTTP/1.1", 404),
    ],
)
def test_every_target_is_answered(port: int, line: str, status: int) -> None:
    with socket.create_connection((LOOPBACK, port), timeout=10) as connection:
        connection.sendall(f"{line}\r\nhost: x\r\nconnection: close\r\n\r\n".encode())
        assert connection.recv(100).startswith(f"HTTP/1.1 {status} ".encode())
