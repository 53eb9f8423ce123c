"""What a provider can't do to callers by its answer, nor a caller to a provider by its headers."""

import json
import socket
from collections.abc import Callable
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest

from tests.e2e.deployments import CALLER_KEY, KEYS

KEY = KEYS["OPENAI_API_KEY"]
CHATS = "/openai/v1/chat/completions"


def asking(**behaviour: Any) -> dict[str, Any]:
    text = f"upstream:{json.dumps({'openai': behaviour})}"
    return {"model": "gpt-4o-mini", "messages": [{"role": "user", "content": text}]}


@pytest.mark.parametrize("split", [None, 5])
def test_a_refusal_that_quotes_the_key_shows_none(caller: httpx.Client, split: int | None) -> None:
    body = {"error": {"message": f"Bearer {KEY} is no key, {KEY} is none."}, "more": "é" * 1000}
    answer = caller.post(CHATS, json=asking(status=403, body=body, split=split))
    assert answer.status_code == 403
    assert answer.json() == json.loads(json.dumps(body).replace(KEY, "*" * len(KEY)))


def test_an_answer_is_no_page_of_the_proxy_s(caller: httpx.Client) -> None:
    hostile = {
        "set-cookie": "a=b",
        "content-security-policy": "script-src *",
        "x-content-type-options": "",
        "service-worker-allowed": "/",
        "access-control-allow-origin": "*",
        "refresh": "0;url=//a.example",
        "location": f"//a.example/?key={KEY}",
        "x-echo": f"Bearer {KEY}",
    }
    page = "<script src=/dashboard></script>"
    for status in (200, 302, 404):
        sent = asking(status=status, body=page, headers=hostile, content_type="text/html")
        answer = caller.post(CHATS, json=sent, follow_redirects=False)
        assert answer.status_code == status
        assert answer.headers["content-security-policy"] == "sandbox"
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert KEY not in repr(answer.headers)
        gone = {"set-cookie", "service-worker-allowed", "access-control-allow-origin", "refresh"}
        assert not gone & {name.lower() for name in answer.headers}


@pytest.mark.parametrize(
    ("head", "statuses"),
    [
        (b"x-odd: caf\xc3\xa9\r\ncontent-length: 2\r\n", {400}),
        (b"x-odd: \xff\xfe\r\ncontent-length: 2\r\n", {400}),
        (b"content-length: 2\r\ncontent-length: 3\r\n", {400}),
        (b"content-length: +2\r\n", {400}),
        (b"x-odd: " + b"x" * 5000 + b"\r\ncontent-length: 2\r\n", {400, 431}),
    ],
)
def test_heads_that_two_servers_may_read_differently(
    keyed_url: str,
    tag: dict[str, str],
    arrived: Callable[[], list[Any]],
    head: bytes,
    statuses: set[int],
) -> None:
    parts = urlsplit(keyed_url)
    with socket.create_connection((parts.hostname, parts.port or 80), timeout=20) as connection:
        lines = "POST /openai/v1/files HTTP/1.1\r\nhost: proxy.example\r\nconnection: close\r\n"
        lines += f"authorization: Bearer {CALLER_KEY}\r\nx-test-tag: {tag['x-test-tag']}\r\n"
        connection.sendall(lines.encode() + head + b"\r\n{}")
        answer = connection.recv(65536)
    assert not answer or int(answer.split(b" ", 2)[1]) in statuses
    assert arrived() == []
