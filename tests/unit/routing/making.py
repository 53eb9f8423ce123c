"""A small catalogue whose every price and ability is known, providers' replies, and isolates that
route to them."""

import json
from collections.abc import Callable
from typing import Any, Protocol, TypeAlias

import msgspec
from msgspec import structs

from proxy.core.chat import Call, ChatRequest, Routing
from proxy.core.errors import OK, Fault
from proxy.core.messages import Message
from proxy.core.ports import Body, Outgoing, Ports
from proxy.core.settings import RoutingSettings, read_settings
from proxy.providers.catalog import Catalog
from proxy.routing.manager import Manager
from proxy.routing.selection import Selection
from proxy.routing.watch import Watch
from tests.unit.doubles import (
    Answerer,
    FakeReply,
    FakeUpstream,
    LoopClock,
    Unlimited,
    ports,
)

CATALOG = {
    "providers": {
        "gemini": {
            "endpoints": {"gemini": {}},
            "base_url": "https://gemini.test/v1beta",
            "fetches_images": False,
            "tiers": {"auto": "flash", "vision": "flash", "smart": "pro"},
            "embedding_model": "embed-g",
        },
        "groq": {
            "endpoints": {"chat": {}},
            "base_url": "https://groq.test/v1",
            "tiers": {"auto": "llama", "fast": "llama", "smart": "oss", "vision": "scout"},
        },
        "openai": {
            "endpoints": {"chat": {}},
            "base_url": "https://openai.test/v1",
            "tiers": {"auto": "gpt", "smart": "gpt-big", "vision": "gpt"},
            "embedding_model": "embed-o",
        },
        "openrouter": {
            "endpoints": {"chat": {}},
            "base_url": "https://openrouter.test/v1",
            "tiers": {"auto": "vendor/gpt"},
            "embedding_model": "embed-o",
            "vendors": True,
            "embedding_inputs": 3,
        },
        "local": {"endpoints": {"chat": {}}, "keyless": True, "tiers": {"auto": "small"}},
        "workers-ai": {
            "endpoints": {"workers-ai": {}},
            "keyless": True,
            "tiers": {"auto": "@cf/m"},
        },
    },
    "models": [
        {"provider": "gemini", "id": "flash", "can": ["vision", "tools", "json"]},
        {"provider": "gemini", "id": "pro", "can": ["vision", "tools", "json"]},
        {"provider": "gemini", "id": "embed-g", "mode": "embedding"},
        {"provider": "groq", "id": "llama", "can": ["tools"]},
        {"provider": "groq", "id": "oss", "can": ["tools", "json"]},
        {"provider": "groq", "id": "scout", "can": ["vision", "tools"]},
        {"provider": "groq", "id": "openai/shared", "can": ["tools"]},
        {"provider": "openai", "id": "gpt", "can": ["vision", "tools", "json"]},
        {"provider": "openai", "id": "gpt-big", "can": ["vision", "tools", "json"]},
        {"provider": "openai", "id": "embed-o", "mode": "embedding"},
        {"provider": "openrouter", "id": "vendor/gpt"},
        {"provider": "openrouter", "id": "openai/shared"},
        {"provider": "openrouter", "id": "gemini/flash-old"},
        {"provider": "openrouter", "id": "embed-o", "mode": "embedding"},
        {"provider": "local", "id": "small", "can": []},
        {"provider": "workers-ai", "id": "@cf/m", "can": ["tools"]},
    ],
    "aliases": {"gpt-old": "openai/gpt", "flash-old": "gemini/flash"},
}

ENV = {
    "RETRY_ATTEMPTS": "1",
    "FALLBACK_CHAIN": "gemini,groq,openai",
    "GEMINI_API_KEY": "key-of-gemini",
    "GROQ_API_KEY": "key-of-groq",
    "OPENAI_API_KEY": "key-of-openai",
    "OPENROUTER_API_KEY": "key-of-openrouter",
}

EVENTS = {"content-type": "text/event-stream"}


def whole(text: str, model: str = "m") -> FakeReply:
    message = {"role": "assistant", "content": text}
    body = {
        "id": "1",
        "model": model,
        "choices": [{"index": 0, "message": message, "finish_reason": "stop"}],
        "usage": {"prompt_tokens": 1, "completion_tokens": 2, "total_tokens": 3},
    }
    return FakeReply(json.dumps(body).encode())


def error(status: int, message: str = "refused", **headers: str) -> FakeReply:
    body = {"error": {"message": message, "type": "x", "code": None}}
    return FakeReply(json.dumps(body).encode(), status=status, headers=headers)


def event(delta: dict[str, Any], finish: str | None = None) -> bytes:
    choice = {"index": 0, "delta": delta, "finish_reason": finish}
    return b"data: " + json.dumps({"id": "1", "model": "m", "choices": [choice]}).encode() + b"\n\n"


ROLE = event({"role": "assistant", "content": ""})
HELLO = event({"content": "Hello"})
STOP = event({}, "stop")
DONE = b"data: [DONE]\n\n"
DEEP = b"[" * 5000 + b"]" * 5000


def call(stream: bool = False, **routing: Any) -> Call:
    routing = {"model": "openai/gpt", "fallback": ("groq",)} | routing
    chat = ChatRequest(messages=(Message("user", "hi"),), stream=stream)
    return Call(chat=chat, routing=Routing(**routing))


class Build(Protocol):
    """Makes a manager with other settings where these are given."""

    def __call__(self, answer: Answerer, **env: str) -> Manager: ...


def manager_of(settings: RoutingSettings, selection: Selection, outside: Ports) -> Manager:
    watch = Watch(settings, outside.objects, outside.clock, outside.random, outside.log)
    return Manager(settings, selection, watch, outside)


class Isolate:
    """A manager with its watch. Several may stand on the same ports."""

    def __init__(self, catalog: Catalog, outside: Ports, **env: str) -> None:
        settings = read_settings(ENV | {"RETRY_ATTEMPTS": "2"} | env, catalog.providers).routing
        self.selection = Selection(catalog, settings, frozenset())
        self.watch = Watch(settings, outside.objects, outside.clock, outside.random, outside.log)
        self.manager = Manager(settings, self.selection, self.watch, outside)
        self.permit = Unlimited()

    async def complete(self, **routing: Any) -> list[str]:
        """The attempts of a request: provider and outcome of each."""
        _, success = await self.manager.complete(call(**routing), self.permit)
        return [f"{a.provider} {a.outcome}" for a in success.attempts]


def joined(body: Body) -> bytes:
    return body if isinstance(body, bytes) else b"".join(map(bytes, body))


def body_of(request: Outgoing) -> bytes:
    """The body of a request, whole."""
    return joined(request.body or b"")


def outside(answer: Answerer) -> Ports:
    return ports(answer, clock=LoopClock())


def sent(ports: Ports) -> list[str]:
    assert isinstance(ports.upstream, FakeUpstream)
    return [out.url.split("/")[2].removesuffix(".test") for out in ports.upstream.sent]


Given: TypeAlias = FakeReply | Fault | float
"""What a provider answers: a reply, a fault to raise, or seconds of silence."""


def by_host(**answers: Given | Answerer) -> Answerer:
    def answer(request: Outgoing) -> Given:
        given = answers[request.url.split("/")[2].removesuffix(".test")]
        return given(request) if callable(given) else given

    return answer


def after_failures(
    times: int, then: FakeReply, fault: FakeReply
) -> Callable[[Outgoing], FakeReply]:
    left = iter([fault] * times)
    return lambda _: next(left, then)


IGNORED = ("gemini", "openrouter")


def slow(seconds: float, reply: FakeReply) -> FakeReply:
    return FakeReply(seconds, *reply.pieces)


def stream(seconds: float) -> Callable[[Outgoing], FakeReply]:
    return lambda _: FakeReply(seconds, ROLE, HELLO, STOP, DONE, headers=EVENTS)


async def streamed(isolate: Isolate, **routing: Any) -> str:
    """The provider of a stream that was read to its end."""
    stream, success = await isolate.manager.stream(call(stream=True, **routing), isolate.permit)
    async for _ in stream.chunks():
        pass
    success.watched.end(OK)
    return success.target.spec.name


def made_catalog() -> Catalog:
    return Catalog(msgspec.json.encode(CATALOG))


def priced(**prices: float) -> Catalog:
    """The catalogue with each provider's models at one price."""
    catalog = made_catalog()
    for key, model in list(catalog.models.items()):
        price = prices.get(model.provider)
        catalog.models[key] = structs.replace(model, input=price, output=price)
    return catalog
