"""Batches, and what is read of them."""

import asyncio
from typing import Any

from proxy.core.web import Response
from tests.unit.callers import send
from tests.unit.doubles import FakeReply
from tests.unit.routing.making import whole
from tests.unit.serving.making import GPT, House

ROOMY = {"RATE_LIMIT_BURST": "1000"}


async def batch(house: House, *items: Any) -> Any:
    received = await house.fetch("POST", "/v1/batch", {"requests": items})
    return received.status, received.json


async def begin_stream(house: House, *items: Any) -> Response:
    """The response of a streamed batch, with its stream not yet read."""
    body = {"requests": items, "stream": True}
    return await send(house.app, house.request("POST", "/v1/batch", body))


def item(prompt: str, **fields: Any) -> dict[str, Any]:
    return {"model": GPT, "fallback": False, "prompt": prompt} | fields


def is_batch(fields: dict[str, Any]) -> bool:
    return bool(fields["http.route"] == "/v1/batch")


class Slowly:
    """A provider that takes a second for each answer, and counts how many are under way."""

    def __init__(self) -> None:
        self.now = self.most = 0

    def answer(self, _: object) -> FakeReply:
        provider = self

        class Reply(FakeReply):
            async def read(self) -> bytes:
                provider.now += 1
                provider.most = max(provider.most, provider.now)
                await asyncio.sleep(1)
                provider.now -= 1
                return await super().read()

        return Reply(*whole("Hi!").pieces)
