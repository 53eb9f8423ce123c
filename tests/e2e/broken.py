"""A deployment as validate-deployment.sh saw it once, played back with one thing broken."""

import subprocess
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import NamedTuple

import httpx

from tools.layout import ROOT

SCRIPT = ROOT / "validate-deployment.sh"
_OWN = {"connection", "content-encoding", "content-length", "date", "server", "transfer-encoding"}
"""Headers that the server which plays back makes anew."""


class Answer(NamedTuple):
    """One answer, and what it answered: the number of the request, its method and path."""

    number: int
    method: str
    path: str
    status: int
    headers: dict[str, str]
    body: bytes


Source = Callable[[int, BaseHTTPRequestHandler, bytes], Answer]


def validate(*arguments: str, path: str | None = None) -> subprocess.CompletedProcess[str]:
    """What the script says. path: folders in which it looks for commands first."""
    environment = {"PATH": f"{path}:/usr/local/bin:/usr/bin:/bin"} if path else None
    return subprocess.run(
        ["sh", SCRIPT, *arguments],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
        env=environment,
    )


@contextmanager
def serve(source: Source) -> Iterator[str]:
    """The address of a server that answers the nth request with `source(n, …)`."""
    count = iter(range(1_000_000))

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def _answer(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"] or 0))
            answer = source(next(count), self, body)
            self.send_response(answer.status)
            for name, value in answer.headers.items():
                self.send_header(name, value)
            self.send_header("content-length", str(len(answer.body)))
            self.end_headers()
            self.wfile.write(b"" if self.command == "HEAD" else answer.body)

        def __getattr__(self, name: str) -> Callable[[], None]:
            if name.startswith("do_"):  # whatever the method is
                return self._answer
            raise AttributeError(name)

        def log_message(self, format: str, *args: object) -> None:
            return

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def record(url: str, *arguments: str) -> list[Answer]:
    """What a deployment in good order answers to the script."""
    answers: list[Answer] = []
    with httpx.Client(base_url=url, timeout=60) as client:

        def forward(number: int, request: BaseHTTPRequestHandler, body: bytes) -> Answer:
            headers = {k: v for k, v in request.headers.items() if k.lower() != "host"}
            got = client.request(request.command, request.path, headers=headers, content=body)
            kept = {k: v for k, v in got.headers.items() if k not in _OWN}
            answers.append(
                Answer(number, request.command, request.path, got.status_code, kept, got.content)
            )
            return answers[-1]

        with serve(forward) as address:
            result = validate(address, *arguments)
    assert result.returncode == 0, result.stdout + result.stderr
    return answers


def play(
    answers: Sequence[Answer], spoil: Callable[[Answer], Answer], place: Path, *arguments: str
) -> subprocess.CompletedProcess[str]:
    """What the script says of a deployment that answers so, but spoilt. It does not sleep."""
    (place / "sleep").write_text("#!/bin/sh\n")
    (place / "sleep").chmod(0o755)
    with serve(lambda number, *_: spoil(answers[min(number, len(answers) - 1)])) as address:
        return validate(address, *arguments, path=str(place))
