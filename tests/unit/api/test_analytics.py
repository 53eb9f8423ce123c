"""Figures, the request log, insights and metrics, through the app on CPython."""

import asyncio
import json
from typing import Any

import pytest
from prometheus_client.parser import text_string_to_metric_families

from proxy.analytics.store.shard import Shard
from proxy.api.app import App
from proxy.api.start import start
from proxy.core.errors import Fault
from proxy.core.ports import Ports
from proxy.core.web import Response
from proxy.host.maintenance import maintain
from tests.unit.api.test_app import ENV, JSON, ask, error, request, streamed, whole
from tests.unit.doubles import FakeReply, Logbook, LoopClock, in_no_time, ports
from tests.unit.memory_objects import MemoryObjects, Namespace
from tests.unit.routing.making import EVENTS, HELLO

ADMIN = "the-admin-token"
CALLER = "a-callers-key"


class Deployment:
    """An isolate with two kinds of callers."""

    def __init__(self, reply: FakeReply | None = None, **env: str) -> None:
        reply = reply or whole("Hi!")
        self.ports: Ports = ports(lambda _: reply, clock=LoopClock())
        keys = {"ADMIN_TOKEN": ADMIN, "PROXY_API_KEY": CALLER}
        app = start(ENV | keys | env, self.ports)
        assert isinstance(app, App)
        self.app = app

    @property
    def statistics(self) -> Namespace[Shard]:
        assert isinstance(self.ports.objects, MemoryObjects)
        return self.ports.objects.statistics

    async def get(self, path: str, key: str = ADMIN) -> Response:
        return await ask(self.app, request("GET", path, authorization=f"Bearer {key}"))

    async def told(self, path: str, key: str = ADMIN) -> Any:
        response = await self.get(path, key)
        assert response.status == 200, response.body
        assert response.headers["cache-control"] == "no-store"
        return json.loads(response.body)

    async def chat(self, text: str = "Hello", key: str = CALLER, **fields: Any) -> Response:
        body = {"prompt": text, "model": "openai/gpt-4o-mini", **fields}
        asked = request("POST", "/v1/generate", body, authorization=f"Bearer {key}", **JSON)
        response = await ask(self.app, asked)
        await asyncio.sleep(0.01)  # what is put off is done: the answer is kept
        return response


@in_no_time
async def test_figures_of_this_very_moment_from_all_shards() -> None:
    deployment = Deployment(ANALYTICS_SHARDS="3")
    await deployment.chat()
    await deployment.chat()
    await deployment.chat(key="wrong")
    told = await deployment.told("/analytics?group_by=status")
    assert [(g["key"]["status"], g["requests"]) for g in told["groups"]] == [(200, 2), (401, 1)]
    assert told["total"]["cacheHits"] == 1
    assert told["total"]["costSaved"] == told["total"]["cost"] > 0
    await asyncio.sleep(1)


@pytest.mark.parametrize(
    ("broken", "failed"),
    [
        (Fault("network", "The connection broke."), 1),
        (Fault("timeout", "Out of time.", source="proxy", blame="caller"), 0),
    ],
)
@in_no_time
async def test_a_stream_that_its_provider_breaks_off_is_its_failure(
    broken: Fault, failed: int
) -> None:
    deployment = Deployment(FakeReply(HELLO, broken, headers=EVENTS))
    await streamed(await deployment.chat(stream=True))
    [group] = (await deployment.told("/analytics?group_by=provider"))["groups"]
    assert group["key"] == {"provider": "openai"}
    assert (group["errors"], group["attempts"], group["failedAttempts"]) == (1, 1, failed)
    await asyncio.sleep(1)


@in_no_time
async def test_a_key_sees_what_its_user_did() -> None:
    deployment = Deployment()
    await deployment.chat()
    await deployment.chat(key=ADMIN)
    assert (await deployment.told("/analytics"))["total"]["requests"] == 2
    assert (await deployment.told("/analytics", CALLER))["total"]["requests"] == 1
    mine = (await deployment.told("/analytics/requests", CALLER))["requests"]
    assert len({row["user"] for row in mine}) == 1
    assert (await deployment.told("/analytics/insights", CALLER))["sample"]["requests"] == 1
    assert (await deployment.get("/metrics", CALLER)).status == 403
    await asyncio.sleep(1)


@in_no_time
async def test_metrics() -> None:
    deployment = Deployment()
    await deployment.chat()
    response = await deployment.get("/metrics")
    samples = {
        (sample.name, sample.labels.get("endpoint"), sample.labels.get("status")): sample.value
        for family in text_string_to_metric_families(response.body.decode())
        for sample in family.samples
    }
    assert samples["proxy_requests_total", "/v1/generate", "200"] == 1
    assert samples["proxy_cache_entries", None, None] == 1
    await asyncio.sleep(1)


@in_no_time
async def test_only_what_is_asked_of_models_is_traffic() -> None:
    deployment = Deployment()
    for path in ("/health", "/v1/models", "/admin/keys", "/nothing"):
        await deployment.get(path)
    preflight = request("OPTIONS", "/v1/generate")
    assert (await ask(deployment.app, preflight)).status == 204
    assert (await deployment.told("/analytics"))["total"]["requests"] == 1
    by_path = await deployment.told("/analytics?group_by=endpoint")
    counted = {group["key"]["endpoint"]: group["requests"] for group in by_path["groups"]}
    assert counted == {"/v1/models": 1, "/admin/keys": 1, "/analytics": 1}
    await asyncio.sleep(1)


@pytest.mark.parametrize(
    "path", ["/analytics", "/analytics/requests", "/analytics/insights", "/metrics"]
)
def test_shards_out_of_reach_are_told_as_such(path: str) -> None:
    @in_no_time
    async def play() -> None:
        deployment = Deployment()
        deployment.statistics.down = True
        assert (await deployment.chat()).status == 200
        response = await deployment.get(path)
        assert response.status == 500
        assert b"out of reach" in response.body
        await asyncio.sleep(10)

    play()


@in_no_time
async def test_insights_do_without_the_breakers_history() -> None:
    deployment = Deployment()
    assert isinstance(deployment.ports.objects, MemoryObjects)
    deployment.ports.objects.board.down = True
    assert (await deployment.told("/analytics/insights"))["insights"] == []
    await asyncio.sleep(1)


@in_no_time
async def test_where_nothing_is_counted_it_says_so() -> None:
    deployment = Deployment(ANALYTICS="off")
    await deployment.chat()
    response = await deployment.get("/analytics")
    assert response.status == 404
    assert b"ANALYTICS is off" in response.body
    await maintain(deployment.app.services)


@in_no_time
async def test_the_cron_trigger_prunes_every_shard() -> None:
    deployment = Deployment(ANALYTICS_SHARDS="2")
    await maintain(deployment.app.services)
    assert deployment.statistics.calls == [("prune", "shard-0"), ("prune", "shard-1")]
    deployment.statistics.down = True
    with pytest.raises(Exception, match="out of reach"):
        await maintain(deployment.app.services)


@in_no_time
async def test_labels_of_the_header_and_of_the_body_are_kept() -> None:
    deployment = Deployment()
    body = {"prompt": "Hello", "model": "openai/gpt-4o-mini", "metadata": {"team": "red"}}
    headers = JSON | {"cf_aig_metadata": '{"team": "blue", "paid": true, "n": 3}'}
    asked = request("POST", "/v1/generate", body, authorization=f"Bearer {CALLER}", **headers)
    assert (await ask(deployment.app, asked)).status == 200
    [row] = (await deployment.told("/analytics/requests"))["requests"]
    assert row["metadata"] == {"team": "red", "paid": "true", "n": "3"}
    await asyncio.sleep(1)


@pytest.mark.parametrize("labels", ["{", "[]", '{"a": {}}', f'{{"a": "{"x" * 513}"}}'])
def test_labels_that_are_none_are_refused(labels: str) -> None:
    @in_no_time
    async def play() -> None:
        deployment = Deployment(ANALYTICS="off")
        headers = JSON | {"cf_aig_metadata": labels}
        asked = request(
            "POST", "/v1/generate", {"prompt": "Hi"}, authorization=f"Bearer {CALLER}", **headers
        )
        response = await ask(deployment.app, asked)
        assert response.status == 400
        assert json.loads(response.body)["error"]["param"] == "cf-aig-metadata"

    play()


@pytest.mark.parametrize("length", ["²", "9" * 400, "-1", "1e3", ""])
def test_a_length_that_is_none_costs_nobody_an_answer(length: str) -> None:
    @in_no_time
    async def play() -> None:
        deployment = Deployment()
        asked = request("GET", "/v1/models", authorization=f"Bearer {ADMIN}", content_length=length)
        assert (await ask(deployment.app, asked)).status == 200
        assert (await deployment.told("/analytics"))["total"]["bytesIn"] == 0
        await asyncio.sleep(1)

    play()


@in_no_time
async def test_an_event_that_cannot_be_recorded_costs_a_line(
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
        told = str(deployment.ports.log.lines)
        assert ("A secret question." in told) == (switch == "on")
        assert len(told) < 55_000

    play()


@in_no_time
async def test_a_prompt_that_shall_not_be_logged_is_not() -> None:
    deployment = Deployment(ANALYTICS="off", LOG_PROMPTS="on")
    headers = JSON | {"cf_aig_collect_log": "false", "authorization": f"Bearer {CALLER}"}
    await ask(deployment.app, request("POST", "/v1/generate", {"prompt": "Secret."}, **headers))
    assert isinstance(deployment.ports.log, Logbook)
    assert deployment.ports.log.lines == []


@pytest.mark.parametrize("switch", ["on", "off"])
@pytest.mark.parametrize("path", ["/v1/generate", "/v1/batch", "/v1/embeddings"])
def test_what_a_provider_quotes_of_the_prompt_is_the_callers_alone(path: str, switch: str) -> None:
    @in_no_time
    async def play() -> None:
        deployment = Deployment(error(400, "No answer to: A secret question."), LOG_PROMPTS=switch)
        ask_one = {"prompt": "A secret question.", "model": "openai/gpt-4o-mini"}
        bodies = {
            "/v1/generate": ask_one,
            "/v1/batch": {"requests": [ask_one]},
            "/v1/embeddings": {
                "input": "A secret question.",
                "model": "openai/text-embedding-3-small",
            },
        }
        headers = JSON | {"authorization": f"Bearer {CALLER}"}
        response = await ask(deployment.app, request("POST", path, bodies[path], **headers))
        assert response.body.count(b"A secret question.") >= 2  # in the error, and its attempt
        assert isinstance(deployment.ports.log, Logbook)
        lines = [line for line in deployment.ports.log.lines if line[1] != "prompt"]
        assert "secret" not in str(lines)
        rows = (await deployment.told("/analytics/requests"))["requests"]
        [attempt] = next(row["attempts"] for row in rows if row["attempts"])
        assert (attempt["outcome"], attempt["status"]) == ("bad_request", 400)
        assert ("A secret question." in str(rows)) == (switch == "on")
        await asyncio.sleep(1)

    play()


@in_no_time
async def test_a_word_that_a_provider_has_for_its_error_is_kept() -> None:
    for code, kept in (("context_length_exceeded", True), ("what you asked: secret", False)):
        body = json.dumps({"error": {"message": "secret", "code": code}}).encode()
        deployment = Deployment(FakeReply(body, status=400))
        told = json.loads((await deployment.chat()).body)
        assert told["metadata"]["attempts"][0]["code"] == code
        [row] = (await deployment.told("/analytics/requests"))["requests"]
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
            response = await ask(deployment.app, request("POST", path, body, **headers))
            assert response.status == 400
            assert b"Wrong: authorization: Bearer ***; ***?" in response.body
        told = str((await deployment.get("/analytics/requests")).body)
        assert isinstance(deployment.ports.log, Logbook)
        for text in (told, str(deployment.ports.log.lines)):
            assert secret not in text.lower()
        await asyncio.sleep(1)

    play()


@in_no_time
async def test_labels_are_kept_as_far_as_there_is_room() -> None:
    deployment = Deployment()
    body = {"prompt": "Hi", "metadata": {f"l{n}": "x" * 500 for n in range(16)}}
    headers = JSON | {"authorization": f"Bearer {CALLER}"}
    assert (await ask(deployment.app, request("POST", "/v1/generate", body, **headers))).status
    [row] = (await deployment.told("/analytics/requests"))["requests"]
    assert list(row["metadata"]) == ["l0", "l1", "l2"]
    await asyncio.sleep(1)


@in_no_time
async def test_where_there_is_too_much_metrics_are_coarser_and_insights_say_so(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    deployment = Deployment()
    await deployment.chat("one")
    await deployment.chat("two", key="wrong")
    monkeypatch.setattr("proxy.analytics.store.rollup.MOST", 1)
    response = await deployment.get("/analytics/insights")
    assert response.status == 400
    assert json.loads(response.body)["error"]["param"] == "window"
    monkeypatch.setattr("proxy.analytics.store.rollup.MOST", 4)
    for model in ("a", "b", "c", "d", "e"):
        body = {"prompt": "Hi", "model": f"openai/{model}"}
        headers = JSON | {"authorization": f"Bearer {CALLER}"}
        await ask(deployment.app, request("POST", "/v1/generate", body, **headers))
    text = (await deployment.get("/metrics")).body.decode()
    assert 'model="(other)"' in text
    assert 'model="a"' not in text
    await asyncio.sleep(1)


@pytest.mark.parametrize(("environment", "profiled"), [("development", True), ("staging", False)])
def test_a_profile_is_for_development(environment: str, profiled: bool) -> None:
    @in_no_time
    async def play() -> None:
        deployment = Deployment(ANALYTICS="off", PROFILE="1", ENVIRONMENT=environment)
        await deployment.chat()
        assert isinstance(deployment.ports.log, Logbook)
        stages = [fields for _, name, fields in deployment.ports.log.lines if name == "profile"]
        assert bool(stages) == profiled
        if profiled:
            assert stages[0].keys() >= {"auth", "read", "parse", "limit", "cache", "answer"}

    play()


@in_no_time
async def test_shards_that_hang_cost_one_question_its_time() -> None:
    deployment = Deployment()
    await deployment.chat()
    deployment.statistics.silent = True
    loop = asyncio.get_running_loop()
    began = loop.time()
    for _ in range(10):
        response = await deployment.get("/analytics")
        assert json.loads(response.body)["error"]["code"] in (500, 503)
    assert loop.time() - began == pytest.approx(10, abs=0.5)
