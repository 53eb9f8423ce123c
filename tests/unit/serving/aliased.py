"""A house whose operator makes aliases, and providers that answer in every dialect."""

import json
from typing import Any

from proxy.core.ports import Outgoing
from proxy.core.principal import ModelGrant
from tests.unit.doubles import Answerer, FakeReply, ManualClock
from tests.unit.providers.making_responses import response, says
from tests.unit.routing.making import whole
from tests.unit.serving.limited import ADMIN, KEYED, Limited
from tests.unit.serving.making import NATIVE, OPENAI, Received

MESSAGES, RESPONSES, EMBEDDINGS = "/v1/messages", "/v1/responses", "/v1/embeddings"
PATHS = (NATIVE, OPENAI, MESSAGES, RESPONSES)
GPT, LLAMA, CLAUDE = "openai/gpt-4o", "groq/openai/gpt-oss-120b", "anthropic/claude-sonnet-5"
KEYS = {
    "GROQ_API_KEY": "key-of-groq",
    "ANTHROPIC_API_KEY": "key-of-anthropic",
    "FALLBACK_CHAIN": "openai,groq,anthropic",
}
Body = dict[str, Any]


def speak(outgoing: Outgoing) -> FakeReply:
    """An answer in the dialect of the call."""
    if outgoing.url.endswith("/responses"):
        return FakeReply(json.dumps(response(says("Hi!"))).encode())
    if outgoing.url.endswith("/messages"):
        usage = {"input_tokens": 1, "output_tokens": 1}
        content = [{"type": "text", "text": "Hi!"}]
        head = {"id": "msg_1", "type": "message", "role": "assistant", "model": "m"}
        body = {**head, "content": content, "stop_reason": "end_turn", "usage": usage}
        return FakeReply(json.dumps(body).encode())
    if outgoing.url.endswith("/embeddings"):
        data = [{"index": 0, "embedding": [0.5]}]
        return FakeReply(json.dumps({"data": data, "usage": {"prompt_tokens": 1}}).encode())
    return whole("Hi!")


def asking(path: str, text: str = "Hello", **fields: Any) -> Body:
    """A request's body with one message."""
    said = [{"role": "user", "content": text}]
    bodies: dict[str, Body] = {
        NATIVE: {"prompt": text},
        OPENAI: {"messages": said},
        MESSAGES: {"messages": said, "max_tokens": 50},
        RESPONSES: {"input": text, "store": False},
        EMBEDDINGS: {"input": text},
    }
    return bodies[path] | fields


class Aliased(Limited):
    """A house with aliases; its callers have the key `key_1` of `ann`."""

    def __init__(
        self,
        answer: Answerer = speak,
        clock: ManualClock | None = None,
        models: tuple[str, ...] = (),
        **env: str,
    ) -> None:
        key = {"grant": ModelGrant(models=models)}
        super().__init__(answer, clock, key=key, env=KEYS | {"CACHE_TTL": "0"} | env)

    async def make(self, name: str = "support", *targets: Body | str, **fields: Any) -> Any:
        """Makes an alias, of GPT if no targets are named."""
        listed = [{"model": t} if isinstance(t, str) else t for t in targets or (GPT,)]
        body = {"targets": listed} | fields
        made = await self.fetch("PUT", f"/admin/aliases/{name}", body, **ADMIN)
        assert made.status in (200, 201), made.body
        return made.json

    async def ask(
        self, path: str = NATIVE, model: str = "support", /, key: str = "", **fields: Any
    ) -> Received:
        """The answer to a request of the key's caller."""
        body = asking(path, **fields) | {"model": model}
        bearer = f"Bearer {key}" if key else KEYED["authorization"]
        received = await self.fetch("POST", path, body, authorization=bearer)
        await self.settle()
        return received

    @property
    def last(self) -> Body:
        """The body that a provider got last."""
        return self.sent_bodies[-1]

    @property
    def served(self) -> list[str]:
        """The hosts that were called, by their providers."""
        return [host.split(".")[-2] for host in self.sent]
