"""Requests for providers of OpenAI's dialect."""

import json
from typing import Any

import msgspec
from msgspec import Raw

from proxy.core.chat import ChatRequest
from proxy.core.messages import Message, ResponseFormat, Tool
from proxy.providers import openai
from proxy.providers.specs import Endpoint, Model, ProviderSpec
from proxy.providers.target import Target
from tests.unit.providers import replay


def target(model: dict[str, Any] | None = None, **spec: Any) -> Target:
    return Target(
        spec=ProviderSpec(name="acme", endpoints={"chat": Endpoint()}, **spec),
        model=Model(provider="acme", id="model-1", **(model or {})),
        base_url="https://acme.test/v1/",
        wire="chat",
        key="secret",
    )


def sent(to: Target, chat: ChatRequest) -> Any:
    return replay.decode_body(openai.build_request(to, chat))


def as_called(body: bytes) -> ChatRequest:
    """The request that a caller of OpenAI's dialect makes, as far as these tests need it."""
    outgoing = json.loads(body)
    raws = msgspec.json.decode(body, type=dict[str, Raw])
    messages = msgspec.convert(outgoing["messages"], tuple[Message, ...])
    return ChatRequest(
        messages=messages,
        raw_messages=tuple(msgspec.json.decode(raws["messages"], type=list[Raw])),
        stream=outgoing.get("stream", False),
        tools=tuple(Tool() for _ in outgoing.get("tools", ())),
        response_format=msgspec.convert(outgoing.get("response_format"), ResponseFormat | None),
        body=body,
    )


BODY = b'{ "model":"model-1", "messages":[ {"role":"user", "content":"H\\u00e9"} ],"n":1 }'
