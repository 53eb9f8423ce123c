"""Health, of the proxy and of its providers."""

import asyncio
import json

from proxy.api.app import App
from proxy.api.start import start
from proxy.core.ports import Outgoing
from proxy.host.maintenance import maintain
from tests.unit.api.making import generate, make_app, request_lines, unused
from tests.unit.callers import ENV, request, send, send_at_once
from tests.unit.doubles import FakeReply, Logbook, LoopClock, in_no_time, ports
from tests.unit.memory_objects import MemoryObjects
from tests.unit.routing.making import error, whole


def test_health_is_answered_without_waiting() -> None:
    app, outside = make_app()
    response = send_at_once(app, request("GET", "/health", x_request_id="abc"))
    assert json.loads(response.body)["status"] == "ok"
    assert response.headers["x-request-id"] == "abc"
    assert response.headers["server-timing"] == "upstream;dur=0, total;dur=0"
    assert request_lines(outside)[0]["http.response.status_code"] == 200


async def test_provider_health_survives_its_board() -> None:
    app, outside = make_app()
    assert isinstance(outside.objects, MemoryObjects)
    outside.objects.board.down = True
    response = await send(app, request("GET", "/health/providers"))
    assert response.status == 200
    assert all(entry["lastCheck"] is None for entry in json.loads(response.body)["providers"])


async def test_the_cron_check_logs_the_providers_that_are_ill() -> None:
    app, outside = make_app(lambda _: error(503), GROQ_API_KEY="key-of-groq")
    await maintain(app.services)
    assert isinstance(outside.log, Logbook)
    ill = [fields["provider"] for _, event, fields in outside.log.lines if "unhealthy" in event]
    assert ill == ["groq", "openai"]


async def test_the_state_of_each_of_several_keys_is_shown_by_its_number() -> None:
    keys = ("key-of-openai", "key-of-openai-2")

    def answer(request: Outgoing) -> FakeReply:
        dead = request.headers["authorization"] == f"Bearer {keys[0]}"
        return error(401, "Incorrect API key provided.") if dead else whole("hi")

    app, outside = make_app(answer, OPENAI_API_KEY=",".join(keys))
    for number in range(8):
        assert (await generate(app, prompt=f"{number}", fallback=False)).status == 200
    response = await send(app, request("GET", "/health/providers"))
    report = {entry["name"]: entry for entry in json.loads(response.body)["providers"]}
    first, second = report["openai"]["keys"]
    assert (first["number"], first["state"]) == (1, "refused")
    assert first["until"] > report["openai"]["breaker"]["calls"]
    assert second == {"number": 2, "state": "usable", "until": None, "models": {}}
    assert report["groq"]["keys"] == []
    lines = [line.get("proxy.attempts") for line in request_lines(outside)]
    assert lines.count("openai#1:unauthorized, openai#2:ok") == 1
    assert lines.count("openai#2:ok") == 7
    assert not any(key in f"{response.body!r} {lines}" for key in keys)
    await maintain(app.services)
    response = await send(app, request("GET", "/health/providers"))
    checks = {e["name"]: e["lastCheck"] for e in json.loads(response.body)["providers"]}
    assert (checks["openai"]["key"], checks["openai"]["healthy"]) == (2, True)


@in_no_time
async def test_health_is_answered_though_the_board_hangs() -> None:
    outside = ports(unused, clock=LoopClock())

    assert isinstance(outside.objects, MemoryObjects)
    outside.objects.board.silent = True
    app = start(ENV, outside)
    assert isinstance(app, App)
    loop = asyncio.get_running_loop()
    for _ in range(10):
        assert (await send(app, request("GET", "/health/providers"))).status == 200
    assert loop.time() < 3
