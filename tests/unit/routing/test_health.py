"""Health checks: what is seen, and that nothing is missed."""

import pytest

from proxy.core.errors import Fault
from proxy.core.ports import Outgoing
from proxy.routing import health
from proxy.routing.board_reader import BoardReader
from proxy.routing.selection import Selection
from tests.unit.doubles import FakeReply, FakeUpstream, Logbook, ManualClock
from tests.unit.memory_objects import MemoryObjects


async def test_each_provider_is_checked(
    selection: Selection, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(health, "PROBE_SECONDS", 0.05)
    clock = ManualClock(1000.0)
    objects = MemoryObjects(clock)

    def answer(request: Outgoing) -> FakeReply | Fault | float:
        clock.time += 0.25
        if "gemini" in request.url:
            return FakeReply(b'{"models": []}')
        if "groq" in request.url:
            return FakeReply(b'{"error": {"message": "Invalid API Key"}}', status=401)
        if "openai" in request.url:
            return 10.0
        return Fault("network", "The provider can't be reached.")

    targets = [
        selection.deployment.make_probe_target(name) for name in selection.deployment.configured
    ]
    reader = BoardReader(objects, clock, Logbook())
    assert await reader.read_checks() == {}
    seen = await health.check_all(targets, FakeUpstream(answer), clock)
    await health.record_checks(seen, objects)
    checks = await reader.read_checks() or {}
    assert list(checks) == ["gemini", "groq", "openai", "openrouter"]
    assert checks["gemini"].healthy
    assert checks["gemini"].status == 200
    assert checks["groq"].reason == "Invalid API Key"
    assert checks["groq"].status == 401
    assert checks["openai"].reason == "no answer within 0 s"
    assert checks["openrouter"].reason == "The provider can't be reached."
    assert checks["gemini"].latency_ms >= 250
