"""What is recorded of a request, and what is not, through the app on CPython."""

import asyncio
import json
from typing import Any

import pytest

from proxy.core.ports import Outgoing
from proxy.core.web import Response
from tests.unit.api.deployment import ADMIN, CALLER, Deployment
from tests.unit.callers import JSON, request, send
from tests.unit.doubles import FakeReply, Logbook, in_no_time
from tests.unit.routing.making import DONE, EVENTS, HELLO, ROLE, STOP, error, whole


@in_no_time
async def test_labels_of_the_header_and_of_the_body_are_kept() -> None:
    deployment = Deployment()
    body = {"prompt": "Hello", "model": "openai/gpt-4o-mini", "metadata": {"team": "red"}}
    headers = JSON | {"cf_aig_metadata": '{"team": "blue", "paid": true, "n": 3}'}
    sent = request("POST", "/v1/generate", body, authorization=f"Bearer {CALLER}", **headers)
    assert (await send(deployment.app, sent)).status == 200
    [row] = (await deployment.read("/analytics/requests"))["requests"]
    assert row["metadata"] == {"team": "red", "paid": "true", "n": "3"}
    await asyncio.sleep(1)


OPENAI = "/v1/chat/completions"
NAMED: list[tuple[str, dict[str, Any], dict[str, str]]] = [
    ("/v1/generate", {"prompt": "Hi", "sessionId": "s-1"}, {}),
    ("/v1/generate", {"prompt": "Hi"}, {"x_session_id": "s-1"}),
    (OPENAI, {"messages": [{"role": "user", "content": "Hi"}], "session_id": "s-1"}, {}),
    (OPENAI, {"messages": [{"role": "user", "content": "Hi"}], "prompt_cache_key": "s-1"}, {}),
    ("/v1/embeddings", {"input": "Hi"}, {"x_session_id": "s-1"}),
]


@pytest.mark.parametrize(("path", "body", "names"), NAMED)
def test_a_request_is_recorded_under_its_conversation(
    path: str, body: dict[str, Any], names: dict[str, str]
) -> None:
    @in_no_time
    async def play() -> None:
        vectors = b'{"data": [{"index": 0, "embedding": [0.5]}]}'
        reply = FakeReply(vectors) if path == "/v1/embeddings" else whole("Hi!")
        deployment = Deployment(reply)
        headers = JSON | {"authorization": f"Bearer {CALLER}"}
        for _ in range(3):  # the cache's answers too, of the same bytes as well
            sent = request("POST", path, body, **headers | names)
            assert (await send(deployment.app, sent)).status == 200
            await asyncio.sleep(0.01)
        await send(deployment.app, request("POST", path, body, **headers, x_session_id="s-2"))
        rows = (await deployment.read("/analytics/requests?session=s-1"))["requests"]
        assert [row["session"] for row in rows] == ["s-1"] * 3
        served = ["bypass"] * 3 if path == "/v1/embeddings" else ["hit", "hit", "miss"]
        assert [row["cache"] for row in rows] == served
        await asyncio.sleep(1)

    play()


@pytest.mark.parametrize("labels", ["{", "[]", '{"a": {}}', f'{{"a": "{"x" * 513}"}}'])
def test_labels_that_are_none_are_refused(labels: str) -> None:
    @in_no_time
    async def play() -> None:
        deployment = Deployment(ANALYTICS="off")
        headers = JSON | {"cf_aig_metadata": labels}
        sent = request(
            "POST", "/v1/generate", {"prompt": "Hi"}, authorization=f"Bearer {CALLER}", **headers
        )
        response = await send(deployment.app, sent)
        assert response.status == 400
        assert json.loads(response.body)["error"]["param"] == "cf-aig-metadata"

    play()


@pytest.mark.parametrize("length", ["²", "9" * 400, "-1", "1e3", ""])
def test_a_length_that_is_none_costs_nobody_an_answer(length: str) -> None:
    @in_no_time
    async def play() -> None:
        deployment = Deployment()
        sent = request("GET", "/v1/models", authorization=f"Bearer {ADMIN}", content_length=length)
        assert (await send(deployment.app, sent)).status == 200
        assert (await deployment.read("/analytics"))["total"]["bytesIn"] == 0
        await asyncio.sleep(1)

    play()


@in_no_time
async def test_a_record_that_cannot_be_recorded_costs_a_line(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    deployment = Deployment()

    def broken(*_: object, **__: object) -> None:
        raise RuntimeError("a bug")

    monkeypatch.setattr("proxy.analytics.record.recorder.Recorder.record", broken)
    assert (await deployment.chat()).status == 200
    assert isinstance(deployment.ports.log, Logbook)
    assert [event for _, event, _ in deployment.ports.log.lines] == ["event lost"]


@pytest.mark.parametrize("switch", ["on", "off"])
def test_prompts_are_logged_where_that_is_wanted_only(switch: str) -> None:
    @in_no_time
    async def play() -> None:
        deployment = Deployment(ANALYTICS="off", LOG_PROMPTS=switch)
        await deployment.chat("A secret question." + "x" * 100_000)
        assert isinstance(deployment.ports.log, Logbook)
        shown = str(deployment.ports.log.lines)
        assert ("A secret question." in shown) == (switch == "on")
        assert len(shown) < 55_000

    play()


@in_no_time
async def test_a_prompt_that_shall_not_be_logged_is_not() -> None:
    deployment = Deployment(ANALYTICS="off", LOG_PROMPTS="on")
    headers = JSON | {"cf_aig_collect_log": "false", "authorization": f"Bearer {CALLER}"}
    await send(deployment.app, request("POST", "/v1/generate", {"prompt": "Secret."}, **headers))
    assert isinstance(deployment.ports.log, Logbook)
    assert deployment.ports.log.lines == []


@pytest.mark.parametrize("switch", ["on", "off"])
@pytest.mark.parametrize("path", ["/v1/generate", "/v1/batch", "/v1/embeddings"])
def test_what_a_provider_quotes_of_the_prompt_is_the_callers_alone(path: str, switch: str) -> None:
    @in_no_time
    async def play() -> None:
        deployment = Deployment(error(400, "No answer to: A secret question."), LOG_PROMPTS=switch)
        chat = {"prompt": "A secret question.", "model": "openai/gpt-4o-mini"}
        bodies = {
            "/v1/generate": chat,
            "/v1/batch": {"requests": [chat]},
            "/v1/embeddings": {
                "input": "A secret question.",
                "model": "openai/text-embedding-3-small",
            },
        }
        headers = JSON | {"authorization": f"Bearer {CALLER}"}
        response = await send(deployment.app, request("POST", path, bodies[path], **headers))
        assert response.body.count(b"A secret question.") >= 2  # in the error, and its attempt
        assert isinstance(deployment.ports.log, Logbook)
        lines = [line for line in deployment.ports.log.lines if line[1] != "prompt"]
        assert "secret" not in str(lines)
        rows = (await deployment.read("/analytics/requests"))["requests"]
        [attempt] = next(row["attempts"] for row in rows if row["attempts"])
        assert (attempt["outcome"], attempt["status"]) == ("bad_request", 400)
        assert 0 <= attempt["start"] <= attempt["start"] + attempt["ms"] <= 10_000
        assert ("A secret question." in str(rows)) == (switch == "on")
        await asyncio.sleep(1)

    play()


@in_no_time
async def test_a_word_that_a_provider_has_for_its_error_is_kept() -> None:
    for code, kept in (("context_length_exceeded", True), ("what you asked: secret", False)):
        body = json.dumps({"error": {"message": "secret", "code": code}}).encode()
        deployment = Deployment(FakeReply(body, status=400))
        shown = json.loads((await deployment.chat()).body)
        assert shown["metadata"]["attempts"][0]["code"] == code
        [row] = (await deployment.read("/analytics/requests"))["requests"]
        assert row["attempts"][0].get("code") == (code if kept else None)
        await asyncio.sleep(1)


@pytest.mark.parametrize("secret", [CALLER, ADMIN, "key-of-openai", "key-of-groq"])
@pytest.mark.parametrize("path", ["/v1/chat/completions", "/v1/generate"])
def test_no_key_is_shown_anybody(path: str, secret: str) -> None:
    @in_no_time
    async def play() -> None:
        reply = error(400, f"Wrong: authorization: Bearer {secret}; {secret.upper()}?")
        deployment = Deployment(reply, LOG_PROMPTS="on", GROQ_API_KEY="key-of-groq")
        for stream in (False, True):
            body = {
                "messages": [{"role": "user", "content": "Hello"}],
                "model": "openai/gpt-4o-mini",
                "stream": stream,
            }
            headers = JSON | {"authorization": f"Bearer {CALLER}"}
            response = await send(deployment.app, request("POST", path, body, **headers))
            assert response.status == 400
            assert b"Wrong: authorization: Bearer ***; ***?" in response.body
        shown = str((await deployment.get("/analytics/requests")).body)
        assert isinstance(deployment.ports.log, Logbook)
        for text in (shown, str(deployment.ports.log.lines)):
            assert secret not in text.lower()
        await asyncio.sleep(1)

    play()


@in_no_time
async def test_labels_are_kept_as_far_as_there_is_room() -> None:
    deployment = Deployment()
    body = {"prompt": "Hi", "metadata": {f"l{n}": "x" * 500 for n in range(16)}}
    headers = JSON | {"authorization": f"Bearer {CALLER}"}
    assert (await send(deployment.app, request("POST", "/v1/generate", body, **headers))).status
    [row] = (await deployment.read("/analytics/requests"))["requests"]
    assert list(row["metadata"]) == ["l0", "l1", "l2"]
    await asyncio.sleep(1)


@pytest.mark.parametrize("endpoint", ["", "https://collector.example"])
def test_traces_are_exported_where_there_is_a_collector(endpoint: str) -> None:
    @in_no_time
    async def play() -> None:
        deployment = Deployment(OTEL_EXPORTER_OTLP_ENDPOINT=endpoint)
        assert (deployment.app.services.exporter is not None) == bool(endpoint)

    play()


@in_no_time
async def test_metrics_are_exported_where_they_are_wanted() -> None:
    endpoint = "https://collector.example"
    sent: list[str] = []

    def answer(outgoing: Outgoing) -> FakeReply:
        if outgoing.url.startswith(endpoint):
            sent.append(outgoing.url.removeprefix(endpoint))
            return FakeReply(b"{}")
        return whole("Hi!")

    for metrics, paths in (("none", {"/v1/traces"}), ("otlp", {"/v1/traces", "/v1/metrics"})):
        deployment = Deployment(
            answer, OTEL_EXPORTER_OTLP_ENDPOINT=endpoint, OTEL_METRICS_EXPORTER=metrics
        )
        await deployment.chat()
        await asyncio.sleep(3)
        assert set(sent) == paths
        sent.clear()


@in_no_time
async def test_a_stream_that_is_given_up_adds_nothing_to_its_closed_request() -> None:
    reply = FakeReply(ROLE, HELLO, STOP, DONE, headers=EVENTS)
    deployment = Deployment(reply)
    body = {"model": "openai/gpt-4o-mini", "prompt": "Hi", "stream": True}
    sent = request("POST", "/v1/generate", body, authorization=f"Bearer {CALLER}", **JSON)

    def build(response: Response) -> Response:
        if response.stream:
            raise TypeError("no such header")
        return response

    assert (await send(deployment.app, sent, build)).status == 500
    await asyncio.sleep(2)
    [row] = (await deployment.read("/analytics/requests"))["requests"]
    assert (row["status"], row["ended"]) == (500, None)
