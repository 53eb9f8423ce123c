"""A small server in the place of the Worker: the page's files, their headers, canned answers.

    with StandIn() as server: ... server.url ...
    python -m tests.browser.standin 8788          # to look at the page

It serves what the Worker's assets are, by `_headers` and without an ending, as the platform does.
"""

import json
import re
import sys
import threading
import time
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self
from urllib.parse import parse_qsl, urlsplit

from tests.browser import canned, canned_log
from tools.assets import assemble
from tools.layout import ASSETS

Json = dict[str, Any]
PAGES = ("/dashboard", "/setup", "/docs")
TYPES = {".html": "text/html", ".css": "text/css", ".js": "text/javascript"}
TYPES |= {".svg": "image/svg+xml", ".txt": "text/plain", ".json": "application/json"}
TEXT = "Paris is the capital of France. It has been since 987, with some pauses."
HOSTILE = (
    "<img src=x onerror=hacked=1>",
    "</script><script>hacked=1</script>",
    "\"><svg onload=hacked=1> & 'quoted'",
)
"""What a name would be that is to become markup."""
ADMIN, USER, VIEWER = "the-admin-token", "a-users-key", "the-metrics-token"
ROLES = {
    ADMIN: ("admin", "admin_token"),
    USER: ("user", "key"),
    VIEWER: ("viewer", "metrics_token"),
}


def empty(query: Json, now: float) -> Json:
    """GET /analytics/overview without any traffic."""
    told = canned.overview(query, now)
    told |= {part: [] for part in ("byProvider", "byModel", "byUser", "byStatus")}
    told["total"] = canned.figures(0)
    told["series"] = [{"at": s["at"], **canned.figures(0)} for s in told["series"]]
    return told


class StandIn:
    """Serves on a free port of this machine. `open_`: no key is needed. `via`: how who sends none
    is let in. `answers` are put in the
    place of canned ones, by path: a body, or a function of the query. `seen` is what was asked."""

    def __init__(
        self,
        *,
        open_: bool = False,
        via: str = "open",
        answers: dict[str, Any] | None = None,
        port: int = 0,
    ):
        self.open = open_
        self.via = via
        self.answers = answers or {}
        self.down = False
        self.seen: list[str] = []
        self.asked: list[Json] = []
        """The bodies of what was sent to models."""
        self.changes: list[tuple[str, str, Any]] = []
        """What operators changed: method, path with its query, and body."""
        self.conditions: list[str] = []
        """The entity tags that their changes depend on."""
        handler = type("Handler", (_Handler,), {"standin": self})
        self._server = ThreadingHTTPServer(("127.0.0.1", port), handler)
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.server_port}"

    def __enter__(self) -> Self:
        assemble()
        threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()

    def answer(self, path: str, query: Json, key: str | None) -> tuple[int, Json]:
        """Status and body of a GET."""
        now = time.time()
        if path == "/health":
            return 200, {"status": "ok"} | canned.VERSION
        known = ROLES | ({None: ("admin", self.via)} if self.open else {})
        if key not in known:
            return refusal(401, "authentication_failed", "Send a key: `Authorization: Bearer KEY`.")
        role, via = known[key]
        if path.startswith("/admin/") and role == "user":
            return refusal(403, "permission_denied", "This path is the operators'.")
        if path in self.answers:
            told = self.answers[path]
            told = told(query) if callable(told) else told
            return told if isinstance(told, tuple) else (200, told)
        makers: dict[str, Callable[[], Json]] = {
            "/me": lambda: canned.me(role, via),
            "/analytics": lambda: canned.analytics(query, now),
            "/analytics/overview": lambda: canned.overview(query, now, sees_all=role != "user"),
            "/analytics/insights": lambda: canned.insights(query),
            "/analytics/requests": lambda: canned_log.requests(query, now),
            "/analytics/sessions": lambda: canned_log.spent("session", now),
            "/analytics/tags": lambda: canned_log.spent("tag", now),
            "/health/providers": lambda: canned.health(now),
            "/admin/limits": lambda: canned.limits(query["provider"]),
            "/admin/breakers": lambda: {"breakers": {}},
            "/v1/models": canned.models,
        }
        if found := re.fullmatch(r"/analytics/requests/req_([0-9a-f]{24})(/body)?", path):
            number, path = int(found[1], 16), f"one{found[2] or ''}"
            makers = {"one": lambda: canned_log.detail(number), "one/body": canned_log.kept_body}
        if path not in makers:
            return refusal(404, "not_found", f"There is nothing at {path}.")
        return 200, makers[path]()


def refusal(status: int, kind: str, message: str) -> tuple[int, Json]:
    """An error in native form."""
    error = {"type": kind, "message": message, "code": status, "source": "proxy"}
    return status, {"success": False, "error": error, "metadata": {"requestId": "req_refused"}}


class _Handler(BaseHTTPRequestHandler):
    standin: StandIn
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        target = urlsplit(self.path)
        self.standin.seen.append(self.path)
        name = target.path.lstrip("/")
        file = ASSETS / (f"{name}.html" if target.path in PAGES else name)
        if name.startswith(("dashboard", "setup", "docs", "openapi")) and file.is_file():
            kind = TYPES[file.suffix]
            self._send(200, file.read_bytes(), {"content-type": kind, **asset_headers(target.path)})
            return
        if self.standin.down:
            self.close_connection = True
            return
        key = self.headers.get("authorization", "").removeprefix("Bearer ") or None
        query = dict(parse_qsl(target.query))
        status, body = self.standin.answer(target.path, query, key)
        if query.get("format") == "csv":
            self._send(status, b"at,requestId\n", {"content-type": "text/csv"})
            return
        self._answer(status, body)

    def do_POST(self) -> None:
        if self.path != "/v1/generate":
            self._change()
            return
        body = json.loads(self.rfile.read(int(self.headers["content-length"])))
        self.standin.seen.append(self.path)
        self.standin.asked.append(body)
        answer = self.standin.answers.get("/v1/generate", generate)(body)
        if isinstance(answer, tuple):
            self._answer(*answer)
            return
        self.send_response(200)
        self.send_header("content-type", "text/event-stream")
        self.send_header("connection", "close")
        self.end_headers()
        self.close_connection = True
        for event, data in answer:
            self.wfile.write(f"event: {event}\ndata: {json.dumps(data)}\n\n".encode())
            self.wfile.flush()
            time.sleep(0.02)

    def _change(self) -> None:
        """Notes what an operator changes; `answers` has an answer by method and path."""
        text = self.rfile.read(int(self.headers.get("content-length") or 0))
        body = json.loads(text) if text else None
        self.standin.seen.append(self.path)
        self.standin.changes.append((self.command, self.path, body))
        if tag := self.headers["if-match"]:
            self.standin.conditions.append(tag)
        given = self.standin.answers.get(f"{self.command} {urlsplit(self.path).path}", (204, None))
        given = given(body) if callable(given) else given
        self._answer(*(given if isinstance(given, tuple) else (200, given)))

    def do_PUT(self) -> None:
        self._change()

    def do_PATCH(self) -> None:
        self._change()

    def do_DELETE(self) -> None:
        self._change()

    def _answer(self, status: int, body: Json | None) -> None:
        text = b"" if body is None else json.dumps(body).encode()
        self._send(status, text, {"content-type": "application/json"})

    def _send(self, status: int, body: bytes, headers: dict[str, str]) -> None:
        self.send_response(status)
        for name, value in {**headers, "content-length": str(len(body))}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Says nothing."""


def asset_headers(path: str) -> dict[str, str]:
    """What `_headers` gives a path, as the platform reads it."""
    found: dict[str, str] = {}
    applies = False
    for line in (ASSETS / "_headers").read_text("utf-8").splitlines():
        if line and not line.startswith(" "):
            applies = path.startswith(line.rstrip("*")) if line.endswith("*") else path == line
        elif applies and line:
            name, _, value = line.partition(":")
            found[name.strip().lower()] = value.strip()
    return found


def generate(body: Json) -> list[tuple[str, Json]]:
    """POST /v1/generate, streamed."""
    tried = {"provider": "openai", "model": "gpt-5-mini", "outcome": "unavailable", "ms": 85}
    tried |= {"start": 3, "status": 503, "message": "The server is overloaded or not ready yet."}
    won = {"provider": "groq", "model": "openai/gpt-oss-20b", "outcome": "ok", "ms": 112}
    won |= {"start": 120}
    metadata = {"responseTime": 402, "cacheStatus": "miss", "cacheTier": None, "cost": 2.1e-5}
    metadata |= {"costOrigin": "computed", "requestId": "req_7686a22dbcff6a79e91fc6b4"}
    metadata |= {"finishReason": "stop", "attempts": [tried, won]}
    usage = {"inputTokens": 25, "outputTokens": 17, "totalTokens": 42}
    done = {"success": True, "provider": "groq", "model": "openai/gpt-oss-20b"}
    events = [("delta", {"text": f"{word} "}) for word in TEXT.split()]
    return [*events, ("done", {**done, "usage": usage, "metadata": metadata})]


if __name__ == "__main__":
    with StandIn(open_=True, port=int(sys.argv[1])) as server:
        print(server.url, flush=True)
        threading.Event().wait()
