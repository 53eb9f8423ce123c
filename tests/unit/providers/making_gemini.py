"""Requests for Gemini."""

from typing import Any

from proxy.core.chat import ChatRequest
from proxy.core.messages import Message
from proxy.providers import gemini
from proxy.providers.specs import Endpoint, Model, ProviderSpec
from proxy.providers.target import Target
from tests.unit.providers import replay

HELLO = Message(role="user", content="Hello")


def target(id_: str = "gemini-3-flash", model: dict[str, Any] | None = None, **spec: Any) -> Target:
    return Target(
        spec=ProviderSpec(
            name="gemini", endpoints={"gemini": Endpoint(key_header="x-goog-api-key")}, **spec
        ),
        model=Model(provider="gemini", id=id_, **(model or {})),
        base_url="https://gemini.test/v1beta",
        wire="gemini",
        key="secret",
    )


def sent(*messages: Message, to: Target | None = None, **fields: Any) -> Any:
    chat = ChatRequest(messages=messages or (HELLO,), **fields)
    return replay.decode_body(gemini.build_request(to or target(), chat))
