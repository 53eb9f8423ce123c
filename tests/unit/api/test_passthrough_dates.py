"""What is passed on costs what it does at its day and its hour, in an isolate that lives on."""

import json

import pytest

from proxy.api.app import App
from proxy.api.start import start
from proxy.core.ports import Ports
from tests.unit.api.making import request_lines
from tests.unit.callers import ENV, JSON, read_stream, request, send
from tests.unit.doubles import FakeReply, ManualClock, ports

USED = {"prompt_tokens": 1_000_000, "completion_tokens": 0, "total_tokens": 1_000_000}
COUNTED = {"promptTokenCount": 1_000_000, "candidatesTokenCount": 0, "totalTokenCount": 1_000_000}
OPENAI = json.dumps({"choices": [], "usage": USED}).encode()
GEMINI = json.dumps({"candidates": [], "usageMetadata": COUNTED}).encode()
EVE = 1_796_083_199.0  # 2026-11-30 23:59:59, a Monday: the next day gemini-4-argon costs the double
PEAK = EVE + 1 + 2 * 3600  # 02:00, when DeepSeek's day begins
DEEPSEEK, ARGON = (
    "/p/deepseek/chat/completions",
    "/genai/v1beta/models/gemini-4-argon:generateContent",
)


class Isolate:
    """An isolate at a moment that is turned by hand."""

    def __init__(self, body: bytes, at: float, **env: str) -> None:
        self.clock = ManualClock(at)
        self.ports: Ports = ports(lambda _: FakeReply(body), clock=self.clock)
        keys = {"GEMINI_API_KEY": "key-of-gemini", "DEEPSEEK_API_KEY": "key-of-deepseek"}
        app = start(ENV | keys | env | {"ANALYTICS": "off"}, self.ports)
        assert isinstance(app, App)
        self.app = app

    async def cost(self, path: str) -> object:
        """US dollars of a million tokens."""
        body = json.dumps({"model": "deepseek-flash"}).encode()
        sent = request("POST", path, body, **JSON | {"content_length": str(len(body))})
        response = await send(self.app, sent)
        assert response.status == 200, response.body
        await read_stream(response)
        return request_lines(self.ports)[-1]["proxy.cost.usd"]


async def test_a_price_changes_with_the_day() -> None:
    isolate = Isolate(GEMINI, EVE)
    assert await isolate.cost(ARGON) == 2
    isolate.clock.time += 1
    assert await isolate.cost(ARGON) == 4


@pytest.mark.parametrize(("at", "dollars"), [(EVE + 1, 0.15), (PEAK, 0.3)])
async def test_a_price_changes_with_the_hour(at: float, dollars: float) -> None:
    assert await Isolate(OPENAI, at).cost(DEEPSEEK) == dollars


async def test_the_hour_is_that_of_the_day_that_is_set() -> None:
    isolate = Isolate(OPENAI, PEAK, CATALOG_DATE="2026-12-01")  # at its noon
    assert await isolate.cost(DEEPSEEK) == 0.15
