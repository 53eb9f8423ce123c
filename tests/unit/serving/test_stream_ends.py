"""Whose fault it is that a stream ends before its time."""

from proxy.core.errors import Fault
from tests.unit.callers import read_stream
from tests.unit.routing.making import DONE, HELLO, STOP
from tests.unit.serving.making import GPT, House, by_host, stream_of


class TestBlame:
    async def test_a_callers_deadline_in_a_running_stream_is_nobodys_fault(self) -> None:
        house = House(by_host(openai=lambda _: stream_of(HELLO, 10.0, STOP, DONE)))
        for _ in range(6):
            answer = await house.post(stream=True, timeout=20, fallback=False)
            met = answer.events[-1]["error"]
            assert (met["type"], met["code"], met["source"]) == ("provider_timeout", 504, "proxy")
            assert "The request's own time was up" in met["message"]
        assert await phases(house) == {"openai": "closed", GPT: "closed"}

    async def test_a_stream_that_falls_silent_is_the_providers(self) -> None:
        silent = Fault("timeout", "silent")
        house = House(by_host(openai=lambda _: stream_of(HELLO, silent)))
        for _ in range(5):
            answer = await house.post(stream=True, timeout=60_000, fallback=False)
            assert answer.events[-1]["error"]["source"] == "provider"
        assert await phases(house) == {"openai": "open", GPT: "open"}

    async def test_a_caller_who_leaves_is_no_failure(self) -> None:
        house = House(by_host(openai=lambda _: stream_of(HELLO, HELLO, STOP, DONE)))
        for _ in range(6):
            await read_stream(await house.begin(stream=True), gone_after=1)
            await house.settle()
        assert set((await phases(house)).values()) == {"closed"}


async def phases(house: House) -> dict[str, str]:
    """How the breakers stand, as the operator sees them."""
    breakers = (await house.fetch("GET", "/admin/breakers")).json["breakers"]
    return {name: view["phase"] for name, view in breakers.items()}
