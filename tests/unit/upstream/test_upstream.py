"""The scripted upstream does on the wire what its directives say, and notes what it was sent."""

import http.client
import json
import socket
import struct
import time

import pytest

from tests.upstream import Upstream
from tests.upstream.client import OPENAI_FAMILY, Client, Response, directive
from tests.upstream.request import Json

USER = {"role": "user", "content": "hi"}


def test_a_directive_is_cut_out_and_the_nearest_wins(client: Client) -> None:
    text = 'one upstream:{"openai": {"text": "a"}, "*": {"text": "b", "tag": "t"}} two'
    assert client.chat(text).json["choices"][0]["message"]["content"] == "a"
    assert client.chat(text, "groq").json["choices"][0]["message"]["content"] == "b"
    assert client.up.log("t")[0]["body"]["messages"] == [{"role": "user", "content": "one two"}]
    assert client.chat('upstream:{"openai": {"colour": 1}}').status == 400


def test_fixture_is_served_byte_for_byte(client: Client) -> None:
    answer = client.scripted({"fixture": "stream-tools"}, stream=True)
    assert answer.bytes.startswith(b'data: {"id":"chatcmpl-fx')
    assert answer.bytes.endswith(b"data: [DONE]\n\n")
    page = client.scripted({"fixture": "error-502-html"})
    assert (page.status, page.headers["content-type"]) == (502, "text/html")
    assert client.scripted({"fixture": "no-such"}).status == 400


def test_times(client: Client) -> None:
    failing = {"status": 503, "times": 2, "tag": "t"}
    assert [client.scripted(failing).status for _ in range(3)] == [503, 503, 200]
    assert [entry["status"] for entry in client.up.log("t")] == [503, 503, 200]
    assert client.scripted(failing | {"tag": "other"}).status == 503


def test_plan_stands_for_requests_without_a_text(client: Client) -> None:
    client.up.plan({"groq": {"status": 500}})
    assert client.send("GET", "/groq/openai/v1/models").status == 500
    assert client.send("GET", "/openai/v1/models").status == 200
    client.up.reset()
    assert client.send("GET", "/groq/openai/v1/models").status == 200


def test_content_directives(client: Client) -> None:
    assert client.scripted({"empty": True}).bytes == b""
    assert client.scripted({"html": True, "status": 502}).headers["content-type"] == "text/html"
    half = client.scripted({"half_json": True})
    assert not half.cut
    with pytest.raises(ValueError, match="line 1"):
        json.loads(half.bytes)
    assert client.scripted({"content_type": "text/plain"}).headers["content-type"] == "text/plain"
    assert "usage" not in client.scripted({"no_usage": True}).json
    assert client.scripted({"finish": "length"}).json["choices"][0]["finish_reason"] == "length"
    assert client.scripted({"body": {"a": 1}, "status": 402}).json == {"a": 1}
    frames = client.scripted({"frames": ["event: ping\n\n", "data: [DONE]\n\n"]}, stream=True)
    assert frames.bytes == b"event: ping\n\ndata: [DONE]\n\n"
    big = client.scripted({"big_event": 200_000}, stream=True)
    assert max(len(str(event)) for event in big.events) > 200_000


def test_stream_that_ends_early_but_clean(client: Client) -> None:
    answer = client.scripted({"end_after": 2, "tag": "t"}, stream=True)
    assert (len(answer.events), answer.cut) == (2, False)
    assert client.up.log("t")[0]["ended"] == "complete"


def test_stream_that_breaks(client: Client) -> None:
    answer = client.scripted({"break_after": 2, "tag": "t"}, stream=True)
    assert (len(answer.events), answer.cut) == (2, True)
    assert client.up.log("t")[0]["ended"] == "broken"


def test_break_in_the_middle_of_a_character(client: Client) -> None:
    answer = client.scripted({"break_mid_utf8": True}, stream=True)
    assert answer.cut and answer.bytes.endswith("é".encode()[:1])


def test_error_event_in_a_stream(client: Client) -> None:
    for provider in OPENAI_FAMILY:
        text = "hi " + directive({"error_event_after": 2})
        answer = client.chat(text, provider, stream=True)
        assert any(isinstance(e, dict) and "error" in e for e in answer.events)
        assert b"[DONE]" not in answer.bytes or provider == "openrouter"
    text = "hi " + directive({"error_event_after": 1})
    answer = client.gemini(text, "streamGenerateContent?alt=sse")
    assert answer.events[-1]["error"]["status"] == "UNAVAILABLE"


@pytest.mark.parametrize("behaviour", [{"refuse": True}, {"garbage": True}])
def test_no_http_answer_at_all(client: Client, behaviour: Json) -> None:
    with pytest.raises((ConnectionError, http.client.HTTPException)):
        client.scripted(behaviour)


def test_delays(client: Client) -> None:
    for behaviour in ({"delay_ms": 60}, {"body_delay_ms": 60}, {"event_delay_ms": 20}):
        started = time.monotonic()
        client.scripted(behaviour, stream=True)
        assert time.monotonic() - started > 0.05


def test_split_into_bytes(client: Client) -> None:
    whole = client.scripted({"split": 7, "drip_ms": 0.1, "tag": "t"})
    assert whole.json["choices"][0]["message"]["content"] == "echo: hello"
    entry = client.up.log("t")[0]
    assert entry["events"] == -(-entry["bytes"] // 7)


def test_stall_until_the_client_leaves(client: Client) -> None:
    body = json.dumps({"model": "m", "stream": True, "messages": [
        {"role": "user", "content": directive({"stall_after": 1, "tag": "t"})}
    ]})  # fmt: skip
    head = "POST /local/v1/chat/completions HTTP/1.1\r\ncontent-type: application/json\r\n"
    with socket.create_connection(("127.0.0.1", client.up.port), timeout=5) as sock:
        sock.sendall(f"{head}content-length: {len(body)}\r\n\r\n{body}".encode())
        received = b""
        while b"\n\n" not in received:
            received += sock.recv(4096)
        assert client.up.log("t")[0]["ended"] == "open"
        sock.settimeout(0.1)
        with pytest.raises(TimeoutError):
            sock.recv(1)
    entry = wait_for_end(client.up, "t")
    assert (entry["ended"], entry["events"]) == ("client_gone", 1)
    assert 100 <= entry["ms"] < 2000


def test_client_that_resets_in_a_slow_stream(client: Client) -> None:
    text = directive({"event_delay_ms": 500, "tag": "t"}) + "a b c d"
    body = json.dumps(
        {"model": "m", "stream": True, "messages": [{"role": "user", "content": text}]}
    )
    head = "POST /local/v1/chat/completions HTTP/1.1\r\ncontent-type: application/json\r\n"
    sock = socket.create_connection(("127.0.0.1", client.up.port))
    sock.sendall(f"{head}content-length: {len(body)}\r\n\r\n{body}".encode())
    sock.recv(100)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    sock.close()
    assert wait_for_end(client.up, "t")["ended"] == "client_gone"


def wait_for_end(up: Upstream, tag: str) -> Json:
    for _ in range(200):
        entry = up.log(tag)[0]
        if entry["ended"] != "open":
            return entry
        time.sleep(0.005)
    raise AssertionError("the request did not end")


def test_connection_is_kept_alive_and_chunked_requests_are_read(up: Upstream) -> None:
    link = http.client.HTTPConnection("127.0.0.1", up.port, timeout=5)
    body = json.dumps({"model": "m", "messages": [USER]}).encode()
    sockets = set()
    for _ in range(2):
        pieces = iter([body[:10], body[10:]])
        headers = {"content-type": "application/json"}
        link.request("POST", "/local/v1/chat/completions", pieces, headers, encode_chunked=True)
        assert Response(link.getresponse()).status == 200
        sockets.add(link.sock)
    assert len(sockets) == 1
    link.close()


def test_log_over_http(client: Client) -> None:
    client.send("GET", "/local/v1/models", headers={"x-test-tag": "over-http"})
    entry = client.send("GET", "/_log?tag=over-http").json[0]
    assert (entry["provider"], entry["method"], entry["ended"]) == ("local", "GET", "complete")
    client.send("POST", "/_reset")
    assert client.send("GET", "/_log").json == []
