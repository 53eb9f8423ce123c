"""Two neighbours at one proxy: Mallory, whose requests could take from others, and Ann."""

import json
from collections.abc import Callable
from typing import Any

from msgspec import structs

from proxy.access.authenticator import format_secret, hash_secret
from proxy.access.keys import Key
from proxy.core.errors import Fault
from proxy.core.ports import Outgoing
from proxy.core.principal import Limits
from proxy.core.web import Request
from tests.unit.callers import request
from tests.unit.doubles import FakeReply, LoopClock
from tests.unit.routing.making import whole
from tests.unit.serving.making import NATIVE, OPENAI, House, Received

PROVIDERS = {
    "GROQ_API_KEY": "key-of-groq",
    "GEMINI_API_KEY": "key-of-gemini",
    "FALLBACK_CHAIN": "openai,groq,gemini",
    "ADMIN_TOKEN": "admin",
    "RETRY_ATTEMPTS": "2",
    "RETRY_DELAY_MS": "0",
}
SECRETS = {
    name: format_secret("development", pair * 32)
    for name, pair in (("ann", "ab"), ("mallory", "cd"))
}
MARK = "mallory says"
REPEATS = 12
"""More than the calls by which a breaker judges (routing.breaker.Policy.minimum)."""
Answer = Callable[[Outgoing], FakeReply | Fault | float]


def refusal(status: int, *, headers: dict[str, str] | None = None, **fields: Any) -> Answer:
    body = json.dumps({"error": {"message": "no", "type": "x", "code": None} | fields}).encode()
    return lambda _: FakeReply(body, status=status, headers=headers)


def gemini_ends(reason: str) -> Answer:
    body = json.dumps({"candidates": [{"finishReason": reason, "index": 0}]}).encode()
    return lambda _: FakeReply(body)


def is_mallorys(outgoing: Outgoing) -> bool:
    return MARK.encode() in (outgoing.body or b"")


def gemini_says(text: str) -> FakeReply:
    candidate = {"content": {"parts": [{"text": text}], "role": "model"}, "finishReason": "STOP"}
    usage = {"promptTokenCount": 1, "candidatesTokenCount": 1, "totalTokenCount": 2}
    return FakeReply(json.dumps({"candidates": [candidate], "usageMetadata": usage}).encode())


class Street(House):
    """Two neighbours at one proxy; `hostile` is what providers make of Mallory's requests."""

    def __init__(self, hostile: Answer = lambda _: whole("Hi!"), **env: str) -> None:
        super().__init__(self.answer, LoopClock(), **PROVIDERS | env)
        self.hostile = hostile
        for name, secret in SECRETS.items():
            limits = Limits(per_hour=100_000, burst=1_000)
            key = Key(id=f"key_{name}", user=name, created_at=0, limits=limits)
            self.objects.keys.book.issue(key, hash_secret(secret))

    def answer(self, outgoing: Outgoing) -> FakeReply | Fault | float:
        if is_mallorys(outgoing) or "image" in outgoing.url:
            return self.hostile(outgoing)
        return gemini_says("for ann") if "google" in outgoing.url else whole("for ann")

    def chat_request(self, body: dict[str, Any], path: str, headers: dict[str, str]) -> Request:
        if path in (NATIVE, OPENAI):
            return super().chat_request(body, path, headers)
        return structs.replace(request("POST", path, body, **headers), defer=self.defer)

    async def call(
        self, name: str, path: str = NATIVE, /, headers: Any = None, **body: Any
    ) -> Received:
        given = {"authorization": f"Bearer {SECRETS[name]}", "cf-connecting-ip": "192.0.2.7"}
        return await self.post(path, headers=given | (headers or {}), **body)

    async def mallory(self, path: str = NATIVE, /, headers: Any = None, **body: Any) -> Received:
        plain = {"prompt": f"{MARK} hello", "fallback": False, "cache": {"mode": "off"}}
        if path == OPENAI:
            plain = {"messages": [{"role": "user", "content": f"{MARK} hello"}], "fallback": False}
        body = {name: value for name, value in (plain | body).items() if value is not None}
        return await self.call("mallory", path, headers, **body)

    async def ann_is_served(self, model: str = "openai/gpt-4o") -> None:
        """At once, by the provider that she named, here and in a new isolate."""
        for app in (self.app, self.isolate()):
            self.app = app
            fields = {"prompt": "a plain question", "model": model, "cache": {"mode": "off"}}
            answer = await self.call("ann", **fields)
            assert answer.status == 200, answer.body
            assert answer.json["provider"] == model.partition("/")[0]
            assert answer.json["data"] == "for ann"
