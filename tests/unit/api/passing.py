"""An isolate that passes requests on, to providers that answer as a test wants it."""

import asyncio
import json
from typing import Any

from proxy.api.app import App
from proxy.api.start import start
from proxy.core.ports import Outgoing
from proxy.core.web import Response
from tests.unit.api.deployment import ADMIN, CALLER
from tests.unit.callers import ENV, JSON, read_stream, request, send
from tests.unit.doubles import Answerer, FakeReply, FakeUpstream, LoopClock, ports

CHAT = {"model": "gpt-4o-mini", "messages": []}
USED = {"prompt_tokens": 1000, "completion_tokens": 500, "total_tokens": 1500}
ANSWER = json.dumps({"choices": [], "usage": USED, "model": "gpt-4o-mini"}).encode()
KEYS = {
    "GEMINI_API_KEY": "key-of-gemini",
    "ANTHROPIC_API_KEY": "key-of-anthropic",
    "DEEPSEEK_API_KEY": "key-of-deepseek",
}


def answering(body: bytes = ANSWER, status: int = 200, **headers: str) -> Answerer:
    named = {"content-type": "application/json"} | headers
    return lambda _: FakeReply(body, status=status, headers=named)


class Isolate:
    """An isolate that passes on."""

    def __init__(self, answer: Answerer | None = None, **env: str) -> None:
        self.ports = ports(answer or answering(), clock=LoopClock())
        own = {"ADMIN_TOKEN": ADMIN, "PROXY_API_KEY": CALLER}
        app = start(ENV | own | KEYS | env, self.ports)
        assert isinstance(app, App)
        self.app = app
        self.read = b""

    @property
    def sent(self) -> list[Outgoing]:
        assert isinstance(self.ports.upstream, FakeUpstream)
        return self.ports.upstream.sent

    async def call(
        self, path: str, body: Any = CHAT, method: str = "POST", key: str = CALLER, **headers: str
    ) -> Response:
        """Sends a request, and reads its answer to the end."""
        content = body if isinstance(body, bytes) else json.dumps(body).encode()
        named = JSON | {"authorization": f"Bearer {key}", "content-length": str(len(content))}
        response = await send(self.app, request(method, path, content, **(named | headers)))
        self.read = response.body
        if response.stream:
            self.read = await read_stream(response)
        await asyncio.sleep(0.01)
        return response

    async def issue(self, **fields: Any) -> str:
        body = json.dumps({"user": "ann"} | fields).encode()
        made = await self.call("/admin/keys", body, key=ADMIN)
        assert made.status == 201, made.body
        issued: str = json.loads(made.body)["key"]
        return issued


def content(outgoing: Outgoing) -> bytes:
    """The body that a provider is sent."""
    body = outgoing.body or b""
    return b"".join(body) if isinstance(body, tuple) else body


def error(response: Response) -> Any:
    return json.loads(response.body)["error"]
