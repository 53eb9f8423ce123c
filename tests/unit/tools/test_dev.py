"""What `make dev` says before it starts anything."""

import shlex
import socket
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest

from tools import dev


@pytest.fixture(autouse=True)
def no_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("HOST", "PORT", "UPSTREAM"):
        monkeypatch.delenv(name, raising=False)


def test_the_defaults() -> None:
    assert dev.read_settings() == dev.Settings("127.0.0.1", 8787, "local")


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("UPSTREAM", "cloud", "UPSTREAM=cloud is unknown: choose local or none"),
        ("PORT", "http", "PORT=http is no port"),
        ("PORT", "0", "PORT=0 is no port"),
        ("PORT", "65536", "PORT=65536 is no port"),
        ("PORT", "-1", "PORT=-1 is no port"),
    ],
)
def test_a_setting_that_makes_no_sense(
    monkeypatch: pytest.MonkeyPatch, name: str, value: str, message: str
) -> None:
    monkeypatch.setenv(name, value)
    with pytest.raises(dev.Failure, match=message):
        dev.read_settings()


def test_a_port_in_use_is_named_with_what_to_do() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        with pytest.raises(dev.Failure, match=f"port {port}: .* in use.*make dev PORT={port + 1}"):
            dev.check_port("127.0.0.1", port)


def test_the_command_to_paste_is_whole() -> None:
    text = dev.invitation("http://127.0.0.1:8787", "local", False)
    command = next(line for line in text.splitlines() if "curl" in line)
    words = shlex.split(command)
    assert words[2] == "http://127.0.0.1:8787/v1/generate"
    assert words[-1] == dev.DEMO_BODY


@pytest.mark.parametrize("hint", [True, False])
def test_it_says_where_the_pages_are_and_what_agents_need(hint: bool) -> None:
    text = dev.invitation("http://127.0.0.1:8787", "local", hint)
    for page in ("dashboard", "setup", "docs"):
        assert f"http://127.0.0.1:8787/{page}" in text
    assert ("can't call tools" in text) is hint
    assert (".env" in text) is hint


@pytest.mark.parametrize("hint", [True, False])
def test_without_the_model_it_says_what_gives_answers(hint: bool) -> None:
    text = dev.invitation("http://127.0.0.1:8787", "none", hint)
    assert "curl -s http://127.0.0.1:8787/health" in text
    assert (".env" in text) is hint


@pytest.mark.parametrize(
    ("body", "said"),
    [
        (
            b'{"error":{"message":"The settings are wrong: CACHE_TTL is not a number."}}',
            "CACHE_TTL",
        ),
        (b"<html>no JSON</html>", "no JSON"),
    ],
)
def test_settings_that_make_no_sense_stop_the_start(body: bytes, said: str) -> None:
    class Refusing(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(500)
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None: ...

    with HTTPServer(("127.0.0.1", 0), Refusing) as server:
        thread = threading.Thread(target=server.handle_request)
        thread.start()
        with pytest.raises(dev.Failure, match=f"{said}.*\\n.*.env"):
            dev.check_settings(f"http://127.0.0.1:{server.server_port}")
        thread.join()
