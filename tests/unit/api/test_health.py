"""Health, of the proxy and of its providers."""

import asyncio
import json

from proxy.api.app import App
from proxy.api.start import start
from proxy.host.maintenance import maintain
from tests.unit.api.making import make_app, request_lines, unused
from tests.unit.callers import ENV, request, send, send_at_once
from tests.unit.doubles import Logbook, LoopClock, in_no_time, ports
from tests.unit.memory_objects import MemoryObjects
from tests.unit.routing.making import error


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
