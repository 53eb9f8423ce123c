"""Identical requests at once, whose provider is held back."""

import asyncio
from collections.abc import Coroutine
from typing import Any

from msgspec import structs

from proxy.core.ports import Outgoing
from tests.unit.doubles import Answerer, FakeReply, FakeUpstream
from tests.unit.serving.making import House, Received, by_host

ON = {"CACHE_COALESCE": "on"}


class GatedUpstream(FakeUpstream):
    """Answers once its gate is open."""

    def __init__(self, answer: Answerer, gate: asyncio.Event) -> None:
        super().__init__(answer)
        self.gate = gate

    async def send(self, request: Outgoing, *, idle: float) -> FakeReply:
        reply = await super().send(request, idle=idle)
        await self.gate.wait()
        return reply


class Gate:
    """Holds the provider's reply back until it is opened."""

    def __init__(self, reply: FakeReply) -> None:
        self.open = asyncio.Event()
        self.reply = reply

    def house(self, **env: str) -> House:
        house = House(by_host(), **(ON | env))
        house.upstream = GatedUpstream(by_host(openai=self.reply), self.open)
        house.ports = structs.replace(house.ports, upstream=house.upstream)
        house.leave()
        return house

    async def let(self, house: House, *chats: Coroutine[Any, Any, Received]) -> list[Received]:
        """Lets the provider answer once all the chats are waiting."""
        tasks = [asyncio.ensure_future(chat) for chat in chats]
        for _ in range(20):
            await asyncio.sleep(0)
        self.open.set()
        answers = await asyncio.gather(*tasks)
        await house.settle()
        return list(answers)
