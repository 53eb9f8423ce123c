"""An isolate with two kinds of callers."""

import asyncio
import json
from typing import Any

from proxy.analytics.store.shard import Shard
from proxy.api.app import App
from proxy.api.start import start
from proxy.core.ports import Ports
from proxy.core.web import Response
from tests.unit.callers import ENV, JSON, request, send
from tests.unit.doubles import Answerer, FakeReply, LoopClock, ports
from tests.unit.memory_objects import MemoryObjects, Namespace
from tests.unit.routing.making import whole

ADMIN = "the-admin-token"
CALLER = "a-callers-key"


class Deployment:
    """An isolate with two kinds of callers."""

    def __init__(self, reply: FakeReply | Answerer | None = None, **env: str) -> None:
        answer = reply if callable(reply) else lambda _: reply or whole("Hi!")
        self.ports: Ports = ports(answer, clock=LoopClock())
        keys = {"ADMIN_TOKEN": ADMIN, "PROXY_API_KEY": CALLER}
        app = start(ENV | keys | env, self.ports)
        assert isinstance(app, App)
        self.app = app

    @property
    def statistics(self) -> Namespace[Shard]:
        assert isinstance(self.ports.objects, MemoryObjects)
        return self.ports.objects.statistics

    async def get(self, path: str, key: str = ADMIN) -> Response:
        return await send(self.app, request("GET", path, authorization=f"Bearer {key}"))

    async def read(self, path: str, key: str = ADMIN) -> Any:
        response = await self.get(path, key)
        assert response.status == 200, response.body
        assert response.headers["cache-control"] == "no-store"
        return json.loads(response.body)

    async def chat(self, text: str = "Hello", key: str = CALLER, **fields: Any) -> Response:
        body = {"prompt": text, "model": "openai/gpt-4o-mini", **fields}
        sent = request("POST", "/v1/generate", body, authorization=f"Bearer {key}", **JSON)
        response = await send(self.app, sent)
        await asyncio.sleep(0.01)  # what is put off is done: the answer is kept
        return response
