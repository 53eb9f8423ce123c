"""No address outside the provider's, whatever a caller writes: by raw sockets, since clients make
such paths harmless before they send them."""

import json
import socket
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlsplit

import pytest

from bench.bare import Bare, proxy
from tests.e2e.deployments import CALLER_KEY, KEYS, PATHS, ROOMY
from tests.upstream import Upstream

HOSTILE = [
    "/openai/v1/../../admin",
    "/openai/v1/%2e%2e/%2e%2e/groq/openai/v1/models",
    "/openai/v1/.%2e/.%2E/x",
    "/openai/v1/%252e%252e/%252e%252e/x",
    "/openai/v1/..;/x",
    "/openai/v1/..%2f..%2fgroq",
    "/openai/v1/..%5c..%5cgroq",
    "/openai/v1/..\\..\\groq",
    "/openai/v1/%c0%ae%c0%ae/x",
    "/openai//127.0.0.1:9/x",
    "/openai/v1//127.0.0.1:9/x",
    "/openai/\\\\127.0.0.1:9/x",
    "/openai/v1/x%00",
    "/openai/v1/x%0d%0aHost:%20evil",
    "/openai/v1/a%23b",
    "/openai/v1/a%3fb",
    "/p/openai/../gemini/v1beta/models",
    "/p/openai/%2e%2e/models",
    "/p/groq//127.0.0.1:9/x",
    "/genai/v1beta/../upload/x",
    "/genai/upload/v1beta/../../v1/x",
    "/genai/v1beta/models/..%2f..%2fx:generateContent",
    "/anthropic/v1/%2e%2e/x",
]
ODD = [
    "/openai/@127.0.0.1:9/x",
    "/openai/v1/https://127.0.0.1:9/x".replace("//1", "/1"),
    "/openai/:80/x",
    "/p/openai/user:pass@127.0.0.1:9",
    "/openai/v1/models?next=http://127.0.0.1:9/",
    "/openai/...",
    "/genai/internal/x",
]
"""What is strange and leads nowhere else."""


@pytest.fixture(scope="module")
def bare_url(upstream: Upstream, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """workerd itself: `wrangler dev` has a proxy before it that clears paths up."""
    directory = tmp_path_factory.mktemp("bare")
    urls = {f"{who}_BASE_URL": upstream.url + path for who, path in PATHS.items()}
    keys = {"ENVIRONMENT": "development", "PROXY_API_KEY": CALLER_KEY}
    settings = urls | KEYS | ROOMY | keys
    with Bare(proxy(directory), "entry.py", settings, directory / "worker.log") as worker:
        yield f"http://127.0.0.1:{worker.port}"


def ask(url: str, target: str, tag: str) -> int:
    parts = urlsplit(url)
    with socket.create_connection((parts.hostname, parts.port or 80), timeout=20) as connection:
        head = (
            f"GET {target} HTTP/1.1\r\nhost: proxy.example\r\nx-test-tag: {tag}\r\n"
            f"authorization: Bearer {CALLER_KEY}\r\nconnection: close\r\n\r\n"
        )
        connection.sendall(head.encode("latin-1"))
        answer = b""
        while piece := connection.recv(65536):
            answer += piece
    return int(answer.split(b" ", 2)[1])


@pytest.mark.parametrize("target", HOSTILE)
def test_a_hostile_path_goes_nowhere(bare_url: str, upstream: Upstream, target: str) -> None:
    assert ask(bare_url, target, "hostile") in (400, 404)
    assert upstream.log("hostile") == []


@pytest.mark.parametrize("target", ODD)
def test_an_odd_path_stays_below_its_base(bare_url: str, upstream: Upstream, target: str) -> None:
    name = f"odd {ODD.index(target)}"
    assert ask(bare_url, target, name) < 500
    base = "/gemini/v1beta/" if target.startswith("/genai") else "/openai/v1/"
    sent: list[Any] = upstream.log(name)
    assert [entry["path"].startswith(base) for entry in sent] == [True]
    assert CALLER_KEY not in json.dumps(sent)
