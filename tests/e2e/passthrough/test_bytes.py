"""What goes by unread: bodies of any size, answers as they came, and their ends."""

import socket
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import httpx
import pytest

from tests.e2e.deployments import ADMIN_TOKEN, CALLER_KEY, Deployments
from tests.e2e.test_memory import heap
from tests.upstream import Upstream
from tests.upstream.openai_media import LARGE

MB = 1024 * 1024
CHAT: dict[str, Any] = {
    "model": "gpt-5.4-mini",
    "messages": [{"role": "user", "content": "Say hello."}],
}


@pytest.fixture
def isolate(deployments: Deployments) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=deployments.get("memory").url, timeout=120) as client:
        yield client


def test_large_bodies_and_answers_take_no_memory(isolate: httpx.Client) -> None:
    isolate.get("/openai/v1/files/file-abc")
    before = heap(isolate)
    for method in ("POST", "PUT", "PATCH"):
        sent = isolate.request(method, "/openai/v1/files/echo", content=bytes(LARGE))
        assert sent.json() == {"bytes": LARGE}
    parts = (bytes(MB) for _ in range(50))
    assert isolate.post("/openai/v1/files/echo", content=parts).json() == {"bytes": LARGE}
    answer = isolate.get("/openai/v1/files/large")
    assert answer.headers["content-length"] == str(LARGE)
    assert len(answer.content) == LARGE
    assert heap(isolate) - before <= 4 * MB


def test_a_body_over_the_limit_is_refused(caller: httpx.Client) -> None:
    answer = caller.post("/openai/v1/files/echo", content=bytes(21 * MB))
    assert answer.status_code == 413


def test_an_answer_keeps_status_and_headers(
    caller: httpx.Client, arrived: Callable[[], Any]
) -> None:
    answer = caller.post("/openai/v1/chat/completions", json=CHAT)
    assert answer.headers["openai-version"] == "2020-10-01"
    assert answer.headers["x-proxy-provider-request-id"] == "req_0123456789abcdef"
    assert answer.headers["content-security-policy"] == "sandbox"
    missing = caller.get("/openai/v1/nothing")
    assert missing.status_code == 404
    assert missing.json()["error"]["code"] == "unknown_url"
    assert missing.json()["error"]["message"] == "Invalid URL (GET /openai/v1/nothing)"
    head = caller.head("/openai/v1/files/file-abc/content")
    assert (head.status_code, head.content) == (200, b"")
    assert [entry["method"] for entry in arrived()] == ["POST", "GET", "HEAD"]


def test_a_redirect_is_not_followed(caller: httpx.Client) -> None:
    answer = caller.get("/openai/v1/files/redirect", follow_redirects=False)
    assert (answer.status_code, answer.headers["location"]) == (302, "http://127.0.0.1:9/stolen")
    assert "set-cookie" not in answer.headers


@pytest.mark.parametrize("header", ["authorization", "x-api-key", "api-key", "x-goog-api-key"])
@pytest.mark.parametrize(
    "root",
    [
        ("/openai/v1/models", "authorization", "Bearer test-openai-key"),
        ("/anthropic/v1/models", "x-api-key", "test-anthropic-key"),
        ("/genai/v1beta/models", "x-goog-api-key", "test-gemini-key"),
    ],
)
def test_a_key_is_taken_from_where_it_is_and_stays_here(
    keyed: httpx.Client, arrived: Any, tag: Any, header: str, root: tuple[str, str, str]
) -> None:
    path, name, value = root
    key = f"Bearer {CALLER_KEY}" if header == "authorization" else CALLER_KEY
    noise = {"cookie": "a=b", "x-forwarded-for": "::1", "cf-aig-metadata": "{}", "x-own": "1"}
    answer = keyed.get(f"{path}?page=2", headers=tag | noise | {header: key})
    assert answer.status_code == 200, answer.text
    sent = arrived()[-1]["headers"]
    assert sent[name] == value
    keys = {"authorization", "x-api-key", "api-key", "x-goog-api-key"}
    assert keys & sent.keys() == {name}
    assert not noise.keys() & sent.keys() - {"x-own"}
    assert sent["x-own"] == "1"
    assert arrived()[-1]["path"].endswith("?page=2")


def test_a_key_in_the_query(keyed: httpx.Client, tag: Any, arrived: Any) -> None:
    path = "/genai/v1beta/models"
    query = f"pageSize=2&ke%79={CALLER_KEY}"
    assert keyed.get(f"{path}?{query}", headers=tag).status_code == 200
    assert arrived()[-1]["path"].endswith("?pageSize=2")
    assert keyed.get(f"{path}?key={CALLER_KEY}", headers=tag).status_code == 200
    assert keyed.get(f"{path}?key=wrong", headers=tag).status_code == 401
    assert keyed.get(f"/openai/v1/models?key={CALLER_KEY}", headers=tag).status_code == 401


def find_row(keyed: httpx.Client, request_id: str) -> Any:
    headers = {"authorization": f"Bearer {ADMIN_TOKEN}"}
    for _ in range(40):
        rows = keyed.get("/analytics/requests?limit=100", headers=headers).json()["requests"]
        if found := [row for row in rows if row["requestId"] == request_id]:
            return found[0]
        time.sleep(0.1)
    raise AssertionError(rows[:2])


@pytest.mark.parametrize("stream", [False, True])
def test_usage_and_cost_are_read_in_passing(
    caller: httpx.Client, keyed: httpx.Client, stream: bool
) -> None:
    options = {"stream": True, "stream_options": {"include_usage": True}} if stream else {}
    answer = caller.post("/openai/v1/chat/completions", json=CHAT | options)
    row = find_row(keyed, answer.headers["x-request-id"])
    assert (row["endpoint"], row["provider"], row["model"]) == ("/openai", "openai", CHAT["model"])
    assert row["usage"]["inputTokens"] == 2
    assert row["cost"] > 0
    unknown = caller.get("/openai/v1/files/file-abc")
    row = find_row(keyed, unknown.headers["x-request-id"])
    assert (row["usage"], row["cost"]) == (None, None)


def test_a_stream_that_breaks_is_no_clean_end(caller: httpx.Client, upstream: Upstream) -> None:
    text = 'Say it. upstream:{"openai": {"break_after": 3}}'
    body = CHAT | {"messages": [{"role": "user", "content": text}], "stream": True}
    with (
        pytest.raises(httpx.RemoteProtocolError),
        caller.stream("POST", "/openai/v1/chat/completions", json=body) as stream,
    ):
        for _ in stream.iter_raw():
            pass


def test_a_caller_who_leaves_ends_the_providers_answer(
    caller: httpx.Client, arrived: Callable[[], Any]
) -> None:
    text = 'Say it. upstream:{"openai": {"text": "one two three four five", "event_delay_ms": 400}}'
    body = CHAT | {"messages": [{"role": "user", "content": text}], "stream": True}
    with caller.stream("POST", "/openai/v1/chat/completions", json=body) as stream:
        next(stream.iter_raw())
    deadline = time.monotonic() + 5
    while arrived()[-1]["ended"] == "open" and time.monotonic() < deadline:
        time.sleep(0.05)
    assert arrived()[-1]["ended"] == "client_gone"


def test_a_caller_who_leaves_while_it_sends(
    keyed_url: str, caller: httpx.Client, keyed: httpx.Client
) -> None:
    host, port = keyed_url.removeprefix("http://").split(":")
    with socket.create_connection((host, int(port))) as connection:
        head = (
            "POST /openai/v1/chat/completions HTTP/1.1\r\nhost: x\r\ncontent-type: application/json"
            f"\r\nauthorization: Bearer {CALLER_KEY}\r\ncontent-length: 9000000\r\n\r\n"
        )
        connection.sendall(head.encode() + bytes(100_000))
    time.sleep(1)
    assert caller.post("/openai/v1/chat/completions", json=CHAT).status_code == 200
    headers = {"authorization": f"Bearer {ADMIN_TOKEN}"}
    breakers = keyed.get("/admin/breakers", headers=headers).json()
    assert {view["phase"] for view in breakers["breakers"].values()} == {"closed"}


def test_many_at_once(caller: httpx.Client) -> None:
    statuses: list[int] = []

    def ask() -> None:
        statuses.append(caller.post("/openai/v1/chat/completions", json=CHAT).status_code)

    threads = [threading.Thread(target=ask) for _ in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert statuses == [200] * 20
