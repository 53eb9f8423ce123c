"""A stand-in for Cloudflare's API, as far as `wrangler deploy` and `wrangler rollback` call it.

It keeps what is created in memory: Workers with their bindings, secrets, versions and cron
triggers, KV namespaces and R2 buckets. Its paths and forms are those that the pinned wrangler sends
and reads; see https://developers.cloudflare.com/api/resources/workers/.
"""

import json
import re
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from email.parser import BytesParser
from email.policy import HTTP
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import urlsplit

ACCOUNT = "a" * 32
TOKEN = "token-of-the-stand-in-for-cloudflare"
SUBDOMAIN = "example"


@dataclass
class Worker:
    """A deployed Worker, as far as its account knows it."""

    bindings: list[dict[str, Any]] = field(default_factory=list)
    secrets: dict[str, str] = field(default_factory=dict)
    modules: list[str] = field(default_factory=list)
    migration: str | None = None
    observability: dict[str, Any] = field(default_factory=dict)
    schedules: list[dict[str, str]] = field(default_factory=list)
    versions: list[str] = field(default_factory=list)
    """The newest last."""


class NotThere(Exception):
    """What is asked for does not exist."""


class Account:
    """An account, and what happened in it."""

    def __init__(self) -> None:
        self.url = ""
        self.workers: dict[str, Worker] = {}
        self.namespaces: dict[str, str] = {}
        """KV's namespaces: titles by id."""
        self.buckets: list[str] = []
        self.calls: list[str] = []
        """Each as `METHOD path`."""
        self.routes: tuple[tuple[str, Callable[..., Any]], ...] = (
            ("GET /user", lambda body: {"id": "u", "email": "ann@example.com"}),
            ("GET /user/tokens/verify", lambda body: {"id": "t", "status": "active"}),
            ("GET /accounts", lambda body: [{"id": ACCOUNT, "name": "account"}]),
            ("GET /memberships", lambda body: [{"account": {"id": ACCOUNT, "name": "account"}}]),
            ("GET /workers/subdomain", lambda body: {"subdomain": SUBDOMAIN}),
            ("GET /workers/services/([^/]+)", self._show_service),
            ("GET /workers/workers/([^/]+)", self._show_worker),
            ("GET /workers/scripts/([^/]+)/(?:settings|script-settings)", self._show_settings),
            ("PATCH /workers/scripts/([^/]+)/script-settings", self._patch_settings),
            ("GET /workers/scripts/([^/]+)/secrets", self._list_secrets),
            ("GET /workers/scripts/([^/]+)/schedules", self._show_schedules),
            ("PUT /workers/scripts/([^/]+)/schedules", self._put_schedules),
            ("GET /workers/scripts/([^/]+)/subdomain", self._show_subdomain),
            ("POST /workers/scripts/([^/]+)/subdomain", self._show_subdomain),
            ("GET /workers/scripts/([^/]+)/deployments", self._list_deployments),
            ("POST /workers/scripts/([^/]+)/deployments", self._deploy_version),
            ("GET /workers/scripts/([^/]+)/versions/([^/]+)", self._show_version),
            ("GET /workers/scripts/([^/]+)/versions", self._list_versions),
            ("POST /workers/scripts/([^/]+)/assets-upload-session", self._open_upload),
            ("POST /workers/scripts/([^/]+)/versions", self._put_worker),
            ("PUT /workers/scripts/([^/]+)", self._put_worker),
            ("GET /storage/kv/namespaces", self._list_namespaces),
            ("POST /storage/kv/namespaces", self._create_namespace),
            (
                "GET /r2/buckets",
                lambda body: {"buckets": [{"name": name} for name in self.buckets]},
            ),
            ("GET /r2/buckets/([^/]+)", self._show_bucket),
            ("POST /r2/buckets", self._create_bucket),
        )

    def answer(self, method: str, path: str, body: Any) -> Any:
        """The result of a call. Raises NotThere."""
        path = path.removeprefix(f"/accounts/{ACCOUNT}")
        self.calls.append(f"{method} {path}")
        for pattern, handle in self.routes:
            if found := re.fullmatch(pattern, f"{method} {path}"):
                return handle(*found.groups(), body)
        raise NotThere

    def _find(self, name: str) -> Worker:
        if name not in self.workers:
            raise NotThere
        return self.workers[name]

    def _show_service(self, name: str, body: Any) -> Any:
        worker = self._find(name)
        script = {
            "id": name,
            "tag": "t",
            "migration_tag": worker.migration,
            "last_deployed_from": "wrangler",
        }
        return {"id": name, "default_environment": {"environment": "production", "script": script}}

    def _show_settings(self, name: str, body: Any) -> Any:
        worker = self._find(name)
        return {"bindings": worker.bindings, "observability": worker.observability}

    def _patch_settings(self, name: str, body: Any) -> Any:
        if "observability" in body:
            self._find(name).observability = body["observability"]
        return body

    def _list_secrets(self, name: str, body: Any) -> Any:
        return [{"name": secret, "type": "secret_text"} for secret in self._find(name).secrets]

    def _show_schedules(self, name: str, body: Any) -> Any:
        return {"schedules": self._find(name).schedules}

    def _put_schedules(self, name: str, body: Any) -> Any:
        self._find(name).schedules = body
        return {"schedules": body}

    def _show_worker(self, name: str, body: Any) -> Any:
        self._find(name)
        return {"id": name, "name": name, "subdomain": {"enabled": True, "previews_enabled": False}}

    def _show_subdomain(self, name: str, body: Any) -> Any:
        self._find(name)
        return {"enabled": True, "previews_enabled": False}

    def _open_upload(self, name: str, body: Any) -> Any:
        return {"jwt": "assets", "buckets": []}  # nothing of it is missing

    def _put_worker(self, name: str, body: Any) -> Any:
        metadata, modules = body
        worker = self.workers.setdefault(name, Worker())
        bindings = metadata["bindings"]
        for binding in bindings:
            if binding["type"] == "secret_text":
                worker.secrets[binding["name"]] = binding["text"]
        worker.bindings = [b for b in bindings if b["type"] not in ("secret_text", "inherit")]
        worker.modules = modules
        if migrations := metadata.get("migrations"):
            worker.migration = migrations["new_tag"]
        worker.observability = metadata.get("observability") or {}
        worker.versions.append(f"00000000-0000-4000-8000-{len(worker.versions) + 1:012}")
        version = worker.versions[-1]
        return {**_show_version(version), "deployment_id": version, "startup_time_ms": 800}

    def _list_deployments(self, name: str, body: Any) -> Any:
        versions = self._find(name).versions
        return {"deployments": [_show_deployment(v, at) for at, v in enumerate(versions)]}

    def _deploy_version(self, name: str, body: Any) -> Any:
        (deployed,) = body["versions"]
        versions = self._find(name).versions
        if versions[-1] != deployed["version_id"]:
            versions.append(deployed["version_id"])
        return _show_deployment(deployed["version_id"], len(versions))

    def _list_versions(self, name: str, body: Any) -> Any:
        return {"items": [_show_version(version) for version in self._find(name).versions]}

    def _show_version(self, name: str, version: str, body: Any) -> Any:
        if version not in self._find(name).versions:
            raise NotThere
        return _show_version(version)

    def _list_namespaces(self, body: Any) -> Any:
        return [{"id": key, "title": title} for key, title in self.namespaces.items()]

    def _create_namespace(self, body: Any) -> Any:
        key = f"{len(self.namespaces) + 1:032x}"
        self.namespaces[key] = body["title"]
        return {"id": key, "title": body["title"]}

    def _show_bucket(self, name: str, body: Any) -> Any:
        if name not in self.buckets:
            raise NotThere
        return {"name": name}

    def _create_bucket(self, body: Any) -> Any:
        self.buckets.append(body["name"])
        return body


def _show_deployment(version: str, at: int) -> dict[str, Any]:
    return {
        "id": version,
        "source": "wrangler",
        "strategy": "percentage",
        "author_email": "ann@example.com",
        "created_on": f"2026-11-29T00:00:{at:02}Z",
        "annotations": {},
        "versions": [{"version_id": version, "percentage": 100}],
    }


def _show_version(version: str) -> dict[str, Any]:
    return {
        "id": version,
        "number": int(version[-12:]),
        "metadata": {
            "created_on": "2026-11-29T00:00:00Z",
            "author_email": "ann@example.com",
            "source": "wrangler",
        },
        "annotations": {},
        "resources": {"bindings": [], "script": {"etag": "e"}, "script_runtime": {}},
        "startup_time_ms": 800,
    }


def _read_upload(kind: str, body: bytes) -> tuple[dict[str, Any], list[str]]:
    """The metadata and the names of the modules of a Worker's upload (multipart/form-data)."""
    message = BytesParser(policy=HTTP).parsebytes(f"content-type: {kind}\r\n\r\n".encode() + body)
    parts = {
        part.get_param("name", header="content-disposition"): part for part in message.iter_parts()
    }
    metadata = parts.pop("metadata").get_payload(decode=True)
    assert isinstance(metadata, bytes)
    return json.loads(metadata), sorted(map(str, parts))


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    account: Account

    def _answer(self) -> None:
        body = self.rfile.read(int(self.headers["content-length"] or 0))
        kind = self.headers["content-type"] or ""
        upload = kind.startswith("multipart/")
        given: Any = _read_upload(kind, body) if upload else json.loads(body or b"null")
        path = urlsplit(self.path).path.removeprefix("/client/v4")
        if self.headers["authorization"] != f"Bearer {TOKEN}":
            self._send(403, 10000, "Authentication error")
            return
        try:
            self._send(200, result=self.account.answer(self.command, path, given))
        except NotThere:
            self._send(404, 10007, "This Worker does not exist on your account.")

    def _send(self, status: int, code: int = 0, message: str = "", result: Any = None) -> None:
        errors = [{"code": code, "message": message}] if code else []
        info = {"page": 1, "per_page": 100, "count": 0, "total_count": 0, "total_pages": 1}
        body = {"success": not code, "errors": errors, "messages": [], "result": result}
        data = json.dumps({**body, "result_info": info}).encode()
        self.send_response(status)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def __getattr__(self, name: str) -> Callable[[], None]:
        if name.startswith("do_"):  # whatever the method is
            return self._answer
        raise AttributeError(name)

    def log_message(self, format: str, *args: Any) -> None:
        return


@contextmanager
def open_account() -> Iterator[Account]:
    """An empty account, whose API listens on a free port of the loopback."""
    account = Account()
    handler = type("Handler", (_Handler,), {"account": account})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    account.url = f"http://127.0.0.1:{server.server_port}/client/v4"
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield account
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
