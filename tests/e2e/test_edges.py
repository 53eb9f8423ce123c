"""Whatever is sent, a well-formed answer comes back, in the caller's form."""

import socket
import time
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest

NATIVE, OPENAI = "/v1/generate", "/v1/chat/completions"


@pytest.mark.parametrize("method", ["GET", "PUT", "PATCH", "DELETE", "HEAD", "PROPFIND", "QUERY"])
@pytest.mark.parametrize("path", [NATIVE, OPENAI, "/v1/embeddings"])
def test_a_wrong_method_is_told_the_right_one(proxy: httpx.Client, method: str, path: str) -> None:
    answer = proxy.request(method, path)
    assert answer.status_code == 405
    assert answer.headers["allow"] == "POST, OPTIONS"
    if method != "HEAD":
        error = answer.json()["error"]
        assert "POST" in error["message"]


@pytest.mark.parametrize(
    "path",
    [
        "/v2",
        "/v1",
        "/v1/generate/more",
        "/v1/assist",
        "/v1/%00",
        "/%00",
        "/%ff%fe",
        f"/{8000 * 'a'}",
    ],
)
def test_an_unknown_path_is_not_found(proxy: httpx.Client, path: str) -> None:
    origin = {"origin": "https://app.example"}
    for method in ("GET", "POST"):
        answer = proxy.request(method, path, headers=origin)
        assert answer.status_code == 404
        error = answer.json()["error"]
        assert (error["type"], error["code"]) == ("invalid_request_error", "unknown_url")
        assert answer.headers["access-control-allow-origin"] == origin["origin"]
        asked = origin | {"access-control-request-method": method}
        assert proxy.options(path, headers=asked).status_code == 204


def test_below_the_proxys_own_paths_an_unknown_one_is_told_in_its_form(proxy: httpx.Client) -> None:
    answer = proxy.post("/admin/more", json={})
    assert (answer.status_code, answer.json()["error"]["type"]) == (404, "not_found")


@pytest.mark.parametrize(
    ("path", "name"),
    [
        ("/v1/files", "OpenAI's Files API"),
        ("/v1/audio/voices", "This part of OpenAI's Audio API"),
        ("/v1beta/models/gemini-2.5-flash:generateContent", "Gemini's own API"),
        ("/v1/models/gemini-2.5-flash:streamGenerateContent", "Gemini's own API"),
    ],
)
def test_an_endpoint_that_the_proxy_lacks_is_named(
    proxy: httpx.Client, path: str, name: str
) -> None:
    answer = proxy.post(path, json={})
    assert answer.status_code == 404
    assert answer.json()["error"]["message"].startswith(f"{name} is not offered here")


def test_the_root_leads_to_the_dashboard(proxy: httpx.Client, keyed: httpx.Client) -> None:
    for client in (proxy, keyed):
        answer = client.get("/")
        assert (answer.status_code, answer.headers["location"]) == (302, "/dashboard")
        assert client.head("/").status_code == 200  # coding agents look whether anybody is there
    page = proxy.get("/", follow_redirects=True)
    assert page.headers["content-type"].startswith("text/html")


@pytest.mark.parametrize("path", ["/v1", "/v1/generate/more", "/v1/assistants", "/v1/%00"])
def test_an_unknown_path_of_openais_is_told_in_its_form(proxy: httpx.Client, path: str) -> None:
    for method in ("GET", "POST"):
        answer = proxy.request(method, path)
        assert answer.status_code == 404
        error = answer.json()["error"]
        assert (error["type"], error["code"]) == ("invalid_request_error", "unknown_url")


@pytest.mark.parametrize("path", [NATIVE, OPENAI])
@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"null",
        b"[]",
        b'"text"',
        b"{",
        b'{"prompt":',
        b"\xff\xfe\x00",
        b"\x00" * 100,
        b"[" * 100_000,
        b'{"a":' * 50_000,
        b'{"prompt": "\\ud800"}',
        b'{"messages": "hi", "prompt": 5}',
    ],
    ids=range(12),
)
def test_garbage_is_a_400(proxy: httpx.Client, path: str, body: bytes) -> None:
    answer = proxy.post(path, content=body, headers={"content-type": "application/json"})
    assert answer.status_code == 400, answer.text
    error = answer.json()["error"]
    assert error["message"]
    assert error["type"] == ("invalid_request" if path == NATIVE else "invalid_request_error")
    assert "Traceback" not in answer.text


def test_other_content_types_are_refused(proxy: httpx.Client) -> None:
    for kind in ("text/plain", "application/x-www-form-urlencoded", "multipart/form-data"):
        answer = proxy.post(NATIVE, content=b"{}", headers={"content-type": kind})
        assert answer.status_code == 415
        assert answer.json()["error"]["type"] == "unsupported_media_type"
    answer = proxy.post(NATIVE, content=b"{}", headers={"content-type": "application/vnd.x+json"})
    assert answer.status_code == 400


@pytest.mark.parametrize("chunked", [False, True])
@pytest.mark.parametrize("path", [NATIVE, OPENAI])
def test_a_body_over_the_limit_is_refused(proxy: httpx.Client, path: str, chunked: bool) -> None:
    whole = b"x" * (21 * 1024 * 1024)
    content: Any = (whole[i : i + 65536] for i in range(0, len(whole), 65536)) if chunked else whole
    answer = proxy.post(path, content=content, headers={"content-type": "application/json"})
    assert answer.status_code == 413
    assert "20971520 bytes" in answer.json()["error"]["message"]


def test_a_body_over_the_limit_is_refused_before_it_has_come(open_url: str) -> None:
    place = urlsplit(open_url)
    with socket.create_connection((place.hostname, place.port), timeout=10) as connection:
        began = time.monotonic()
        connection.sendall(
            b"POST /v1/generate HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\n"
            b"content-length: 99000000\r\n\r\n{"
        )
        assert connection.recv(100).startswith(b"HTTP/1.1 413 ")
        assert time.monotonic() - began < 5


@pytest.mark.parametrize("method", ["POST", "PUT"])
def test_a_large_body_to_nowhere_still_gets_its_answer(proxy: httpx.Client, method: str) -> None:
    answer = proxy.request(method, "/nowhere", content=b"x" * 5_000_000)
    assert answer.status_code == 404


def test_a_large_request_within_the_limit_is_served(proxy: httpx.Client, script: Any) -> None:
    prompt = script("x" * 5_000_000, openai={"text": "long"})
    body = {"prompt": prompt, "model": "openai/of-a-context-that-nobody-knows"}
    answer = proxy.post(NATIVE, json=body)
    assert answer.json()["data"] == "long", answer.text[:300]


def test_request_ids_are_kept_if_well_formed(proxy: httpx.Client) -> None:
    given = "trace-1.2:3_4"
    assert proxy.get("/health", headers={"x-request-id": given}).headers["x-request-id"] == given
    for bad in ("a b", "<script>", "x" * 200):
        answer = proxy.get("/health", headers={"x-request-id": bad})
        assert answer.headers["x-request-id"].startswith("req_")


def test_server_timing_and_health(proxy: httpx.Client) -> None:
    answer = proxy.get("/health")
    assert answer.json() == {"status": "ok", "version": "0.1.0", "environment": "development"}
    assert "total;dur=" in answer.headers["server-timing"]
    assert proxy.head("/health").status_code == 200
    assert proxy.get("/health/").status_code == 200


def test_browsers_of_allowed_origins_only(proxy: httpx.Client) -> None:
    asked = {
        "origin": "https://app.example",
        "access-control-request-method": "POST",
        "access-control-request-headers": "authorization, content-type",
    }
    answer = proxy.options(NATIVE, headers=asked)
    assert answer.status_code == 204
    assert answer.headers["access-control-allow-origin"] == "https://app.example"
    assert answer.headers["access-control-allow-headers"] == "authorization, content-type"
    assert answer.headers["allow"] == "POST, OPTIONS"
    stranger = proxy.options(NATIVE, headers=asked | {"origin": "https://evil.example"})
    assert "access-control-allow-origin" not in stranger.headers
    seen = proxy.get("/health", headers={"origin": "https://app.example"})
    assert seen.headers["access-control-allow-origin"] == "https://app.example"
    assert "x-request-id" in seen.headers["access-control-expose-headers"]
