"""Callers who send too much, or nothing of what they promise, lock nobody else out; and bytes that
two servers could read otherwise are one request or none."""

import gzip
import json
import re
import socket
import time
import zlib
from collections.abc import Iterator
from contextlib import ExitStack, closing, suppress

import pytest

from bench.bare import Bare, proxy
from tests.e2e.deployments import ADMIN_TOKEN, DAY, KEYS, PATHS, ROOMY
from tests.upstream import Upstream

CHAT = "/v1/chat/completions"
MB = 1024 * 1024


@pytest.fixture(scope="module")
def worker(upstream: Upstream, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bare]:
    """workerd itself: nothing stands between a raw socket and the Worker."""
    folder = tmp_path_factory.mktemp("floods")
    urls = {f"{name}_BASE_URL": upstream.url + path for name, path in PATHS.items()}
    settings = urls | KEYS | ROOMY | DAY | {"ENVIRONMENT": "development"}
    with Bare(proxy(folder), "entry.py", settings, folder / "worker.log") as running:
        yield running


def open_socket(worker: Bare, stack: ExitStack) -> socket.socket:
    made = socket.create_connection(("127.0.0.1", worker.port), timeout=30)
    return stack.enter_context(closing(made))


def head(*lines: str, path: str = CHAT, method: str = "POST") -> bytes:
    all_lines = (f"{method} {path} HTTP/1.1", "host: x", "content-type: application/json", *lines)
    return "\r\n".join((*all_lines, "", "")).encode("latin-1")


def ask(worker: Bare, size: int = 100) -> tuple[int, bytes]:
    """An honest caller's request, of so many bytes."""
    told = '{"*": {"text": "Well."}}'
    said = [{"role": "user", "content": "x" * size + f" upstream:{told}"}]
    body = {"model": "openai/of-no-known-context", "messages": said, "fallback": False}
    return worker.post(CHAT, json.dumps(body).encode())


def read_all(connection: socket.socket) -> bytes:
    told = b""
    with suppress(OSError):
        while piece := connection.recv(65_536):
            told += piece
    return told


def read_heap(worker: Bare) -> int:
    with ExitStack() as stack:
        connection = open_socket(worker, stack)
        connection.sendall(head("connection: close", path="/metrics", method="GET"))
        told = re.search(rb"^proxy_isolate_heap_bytes (\S+)", read_all(connection), re.MULTILINE)
    assert told
    return int(float(told[1]))


@pytest.mark.parametrize(("callers", "size"), [(80, MB), (4, 19 * MB)], ids=["many", "large"])
def test_bodies_that_do_not_come_hold_no_room(worker: Bare, callers: int, size: int) -> None:
    with ExitStack() as stack:
        for _ in range(callers):
            open_socket(worker, stack).sendall(head(f"content-length: {size}") + b"{")
        time.sleep(0.5)
        for honest in (100, 2 * MB):
            status, told = ask(worker, honest)
            assert status == 200, told[:300]


@pytest.mark.parametrize(
    "framing", ["content-length: 40000", "content-length: 900000", "transfer-encoding: chunked"]
)
def test_a_body_that_does_not_come_is_given_up(worker: Bare, framing: str) -> None:
    with ExitStack() as stack:
        connection = open_socket(worker, stack)
        began = time.monotonic()
        connection.sendall(head(framing) + (b"1\r\n{\r\n" if "chunked" in framing else b"{"))
        told = connection.recv(65_536)
        assert told.startswith(b"HTTP/1.1 400 "), told
        assert b'"code":"body_timeout"' in told
        assert 8 < time.monotonic() - began < 20


def test_a_large_body_that_comes_slowly_is_taken(worker: Bare) -> None:
    body = json.dumps(
        {"model": "openai/gpt-4o", "messages": [{"role": "user", "content": "x" * 600_000}]}
    ).encode()
    with ExitStack() as stack:
        connection = open_socket(worker, stack)
        connection.sendall(head(f"content-length: {len(body)}", "connection: close"))
        for at in range(0, len(body), 150_000):
            connection.sendall(body[at : at + 150_000])
            time.sleep(0.5)
        assert read_all(connection).startswith(b"HTTP/1.1 200 ")


def test_heads_that_do_not_end_lock_nobody_out(worker: Bare) -> None:
    with ExitStack() as stack:
        for number in range(200):
            open_socket(worker, stack).sendall(head(f"x-number: {number}")[:-2])
        began = time.monotonic()
        assert ask(worker)[0] == 200
        assert time.monotonic() - began < 5


@pytest.mark.parametrize("name", ["x-a", "authorization", "cf-aig-metadata", "traceparent"])
@pytest.mark.parametrize(("count", "size"), [(2_000, 20), (1, 60_000), (1, 2_000_000)])
def test_a_flood_of_headers(worker: Bare, name: str, count: int, size: int) -> None:
    ask(worker)
    before = read_heap(worker)
    for _ in range(5):
        with ExitStack() as stack:
            connection = open_socket(worker, stack)
            lines = [f"{name}{n or ''}: {'v' * size}" for n in range(count)]
            with suppress(OSError):  # a connection that is closed on it
                connection.sendall(head(*lines, "content-length: 2", "connection: close") + b"{}")
            told = read_all(connection)
            assert not told.startswith(b"HTTP/1.1 5"), told[:500]
    assert ask(worker)[0] == 200
    assert read_heap(worker) - before <= 8 * MB


SMUGGLED = head(path=f"/health?smuggled={ADMIN_TOKEN}", method="GET")
TWICE = {
    "a length and chunks": ["content-length: 5", "transfer-encoding: chunked"],
    "two lengths": ["content-length: 5", f"content-length: {5 + len(SMUGGLED)}"],
    "a list of lengths": [f"content-length: 5, {5 + len(SMUGGLED)}"],
    "a signed length": ["content-length: +5"],
    "a length with a space before its colon": ["content-length : 5"],
    "another coding of the transfer": ["transfer-encoding: xchunked", "content-length: 5"],
    "chunks by a folded line": ["transfer-encoding:\r\n chunked", "content-length: 5"],
    "chunks twice": ["transfer-encoding: chunked, chunked"],
    "chunks behind a tab": ["transfer-encoding:\tchunked", "content-length: 5"],
}


@pytest.mark.parametrize("framing", TWICE.values(), ids=list(TWICE))
def test_what_could_be_two_requests_is_one_that_is_refused(
    worker: Bare, framing: list[str]
) -> None:
    """The second would be somebody else's next one behind a server that shares connections."""
    with ExitStack() as stack:
        connection = open_socket(worker, stack)
        connection.settimeout(12)
        connection.sendall(head(*framing) + b"0\r\n\r\n" + SMUGGLED)
        told = read_all(connection)
    assert re.findall(rb"^HTTP/1\.1 (\d+) ", told, re.MULTILINE) == [b"400"], told[:500]


def _deflate_raw(data: bytes) -> bytes:
    packer = zlib.compressobj(9, wbits=-15)
    return packer.compress(data) + packer.flush()


BOMB = bytes(100 * MB)
BOMBS = {
    "gzip": ("gzip", gzip.compress(BOMB, 9)),
    "members of gzip": ("gzip", gzip.compress(bytes(MB), 9) * 100),
    "deflate": ("deflate", zlib.compress(BOMB, 9)),
    "bare deflate": ("deflate", _deflate_raw(BOMB)),
    "gzip within gzip": ("gzip, gzip", gzip.compress(gzip.compress(BOMB, 9), 9)),
}
EVERYWHERE = (CHAT, "/v1/generate", "/v1/messages", "/v1/responses", "/v1/embeddings", "/v1/batch")
OPERATORS = ("/admin/keys", "/admin/aliases", "/v1/moderations", "/v1/messages/count_tokens")


@pytest.mark.parametrize("path", EVERYWHERE + OPERATORS)
@pytest.mark.parametrize("bomb", BOMBS)
def test_no_body_is_unpacked_beyond_its_limit(worker: Bare, bomb: str, path: str) -> None:
    coding, body = BOMBS[bomb]
    worker.post(CHAT, gzip.compress(bytes(19 * MB), 1), {"content-encoding": "gzip"})
    before = read_heap(worker)
    status, told = worker.post(path, body, {"content-encoding": coding})
    assert status in ((400, 415) if "," in coding else (400, 413)), told[:300]
    assert read_heap(worker) - before <= MB
