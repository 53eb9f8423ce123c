"""An app with all that it stands on, scripted providers, and what a caller gets."""

import asyncio
import json
from collections.abc import Awaitable
from typing import Any

from msgspec import Struct, structs

from proxy.api.app import App
from proxy.api.batch import run_chunk
from proxy.api.start import start
from proxy.core.errors import Fault
from proxy.core.ports import Outgoing
from proxy.core.web import Request, Response
from tests.unit import callers
from tests.unit.callers import ENV, read_stream, send
from tests.unit.doubles import (
    Answerer,
    FakeReply,
    FakeUpstream,
    Logbook,
    ManualClock,
    MemoryBatches,
    ports,
)
from tests.unit.memory_objects import MemoryObjects
from tests.unit.memory_store import MemoryStore
from tests.unit.routing.making import EVENTS, event, whole

GROQ = {"GROQ_API_KEY": "key-of-groq", "FALLBACK_CHAIN": "openai,groq"}
NATIVE, OPENAI = "/v1/generate", "/v1/chat/completions"
GPT = "openai/gpt-4o"
FORMS = [(path, stream) for path in (NATIVE, OPENAI) for stream in (False, True)]
USAGE = {"prompt_tokens": 7, "completion_tokens": 9, "total_tokens": 16}
Outcome = FakeReply | Fault | float
"""Of a call of a provider: seconds are waited, and then the connection breaks."""


def by_host(**answers: Outcome | Answerer) -> Answerer:
    """Answers by the provider; one that is not named must not be called."""

    def answer(outgoing: Outgoing) -> Outcome:
        host = outgoing.url.split("/")[2]
        [given] = [answers[name] for name in answers if name in host.replace("google", "gemini")]
        return given(outgoing) if callable(given) else given

    return answer


def counting() -> Answerer:
    """Another answer each time: 1, 2, 3, …"""
    count = 0

    def answer(_: Outgoing) -> FakeReply:
        nonlocal count
        count += 1
        return whole(str(count))

    return answer


def in_turn(*outcomes: Outcome) -> Answerer:
    """One after the other, and from then on the last one."""
    left = list(outcomes)
    return lambda _: left.pop(0) if len(left) > 1 else left[0]


def stream_of(*pieces: bytes | Exception | float) -> FakeReply:
    return FakeReply(*pieces, headers=EVENTS)


def usage_event() -> bytes:
    chunk = {"id": "1", "model": "m", "choices": [], "usage": USAGE}
    return b"data: " + json.dumps(chunk).encode() + b"\n\n"


def call_event(**fields: Any) -> bytes:
    return event({"tool_calls": [{"index": 0, "type": "function", **fields}]})


def completion_of(message: dict[str, Any], finish_reason: str = "stop") -> FakeReply:
    """A whole answer with this message."""
    choice = {"index": 0, "message": message, "finish_reason": finish_reason}
    body = {"id": "1", "model": "m", "choices": [choice], "usage": USAGE}
    return FakeReply(json.dumps(body).encode())


def tool_call(name: str, arguments: str) -> FakeReply:
    """A whole answer that calls a tool."""
    function = {"name": name, "arguments": arguments}
    call = {"id": "c1", "type": "function", "function": function}
    return completion_of({"role": "assistant", "content": None, "tool_calls": [call]}, "tool_calls")


class Received(Struct):
    """What a caller got."""

    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def cache(self) -> str:
        return self.headers["cf-aig-cache-status"]

    @property
    def events(self) -> list[Any]:
        """The data of the stream's events."""
        lines = self.body.decode().split("\n")
        data = [line.removeprefix("data: ") for line in lines if line.startswith("data: ")]
        return [text if text == "[DONE]" else json.loads(text) for text in data]

    @property
    def text(self) -> str:
        """The answer's text, in whichever form it came."""
        if self.headers["content-type"] == "application/json":
            body = self.json
            if "choices" in body:
                return str(body["choices"][0]["message"]["content"])
            return str(body["data"])
        text = ""
        for data in self.events:
            if "choices" in data:
                choices = data["choices"]
                text += (choices[0]["delta"].get("content") or "") if choices else ""
            elif data != "[DONE]":
                text += data.get("text", "")
        return text


async def receive(response: Response) -> Received:
    """Reads a response to its end."""
    data = await read_stream(response) if response.stream else response.body
    return Received(response.status, response.headers, data)


class House:
    """An app with all that it stands on, and what it puts off until after the answer."""

    def __init__(self, answer: Answerer, clock: ManualClock | None = None, /, **env: str) -> None:
        self.clock = clock or ManualClock()
        self.ports = ports(answer, clock=self.clock)
        assert isinstance(self.ports.upstream, FakeUpstream)
        assert isinstance(self.ports.kv, MemoryStore)
        assert isinstance(self.ports.r2, MemoryStore)
        assert isinstance(self.ports.objects, MemoryObjects)
        assert isinstance(self.ports.log, Logbook)
        self.upstream, self.log = self.ports.upstream, self.ports.log
        self.kv, self.r2 = self.ports.kv, self.ports.r2
        self.objects = self.ports.objects
        self.purges, self.flights = self.objects.purges, self.objects.flights
        self.env = ENV | {"ANALYTICS": "off"} | env
        self.app = self.isolate()
        self.deferred: set[asyncio.Task[object]] = set()
        assert isinstance(self.ports.batches, MemoryBatches)
        self.batches = self.ports.batches
        self.batches.defer = self.defer
        self.batches.run_chunk = lambda *chunk: run_chunk(self.isolate().services, *chunk)

    def isolate(self) -> App:
        """A new isolate on the same ground: nothing is in its memory."""
        app = start(self.env, self.ports)
        assert isinstance(app, App)
        return app

    def leave(self) -> None:
        """The isolate is gone; its requests come to a new one."""
        self.app = self.isolate()

    def empty_below(self) -> None:
        self.kv.held.clear()
        self.r2.held.clear()

    @property
    def sent(self) -> list[str]:
        """The hosts that were called."""
        return [outgoing.url.split("/")[2] for outgoing in self.upstream.sent]

    @property
    def sent_bodies(self) -> list[dict[str, Any]]:
        """The bodies that providers got."""
        bodies = [outgoing.body for outgoing in self.upstream.sent]
        assert all(isinstance(body, bytes) for body in bodies)
        return [json.loads(body) for body in bodies if isinstance(body, bytes)]

    def events(self, level: str | None = None) -> list[str]:
        return [name for lvl, name, _ in self.log.lines if level in (None, lvl)]

    @property
    def lines(self) -> list[dict[str, Any]]:
        """The log's lines of requests."""
        return [fields for _, name, fields in self.log.lines if name == "request"]

    @property
    def line(self) -> dict[str, Any]:
        """The last request's line in the log."""
        return self.lines[-1]

    def request(self, method: str, path: str, body: Any = b"", /, **headers: str) -> Request:
        """A request whose deferred work `settle` waits for."""
        request = callers.request(method, path, body, **headers)
        return structs.replace(request, defer=self.defer)

    def chat_request(self, body: dict[str, Any], path: str, headers: dict[str, str]) -> Request:
        if "prompt" not in body and "messages" not in body:
            text = "Hello"
            if path == NATIVE:
                body = {"prompt": text, **body}
            else:
                body = {"messages": [{"role": "user", "content": text}], **body}
        return self.request("POST", path, {"model": GPT, **body}, **headers)

    def defer(self, work: Awaitable[object]) -> None:
        task = asyncio.ensure_future(work)
        self.deferred.add(task)
        task.add_done_callback(self.deferred.discard)

    async def settle(self) -> None:
        """Waits for the deferred work."""
        while self.deferred:
            await asyncio.gather(*self.deferred)

    async def begin(self, path: str = NATIVE, /, headers: Any = None, **body: Any) -> Response:
        """The response to a chat, with its stream not yet read and nothing waited for."""
        return await send(self.app, self.chat_request(body, path, headers or {}))

    async def receive(self, path: str = NATIVE, /, headers: Any = None, **body: Any) -> Received:
        """A chat's whole answer; deferred work is still under way."""
        return await receive(await self.begin(path, headers, **body))

    async def post(self, path: str = NATIVE, /, headers: Any = None, **body: Any) -> Received:
        """A chat's whole answer; deferred work is done."""
        received = await self.receive(path, headers, **body)
        await self.settle()
        return received

    async def fetch(self, method: str, path: str, body: Any = b"", /, **headers: str) -> Received:
        """What any path answers; deferred work is still under way."""
        return await receive(await send(self.app, self.request(method, path, body, **headers)))
