"""Providers that report a usage, or none, to a key with a budget."""

import json
from typing import Any

from proxy.core.money import NANO
from proxy.core.ports import Outgoing
from proxy.core.principal import Budget
from proxy.providers.catalog import Catalog
from tests.unit.doubles import FakeReply
from tests.unit.routing.making import whole
from tests.unit.serving.limited import Limited

DAY = {"budget": Budget(day=NANO)}
EMBEDDINGS = "/v1/embeddings"
LONGEST = Catalog.load().resolve("openai", "gpt-4o").max_output
UNPRICED = "openai/gpt-of-tomorrow"


def piece_of(answer: FakeReply) -> bytes:
    """The body of a whole answer."""
    [piece] = answer.pieces
    assert isinstance(piece, bytes)
    return piece


def reply(text: str = "Hi!", **usage: Any) -> FakeReply:
    """A whole answer with this usage, or none."""
    body = json.loads(piece_of(whole(text)))
    del body["usage"]
    return FakeReply(json.dumps(body | ({"usage": usage} if usage else {})).encode())


def vectors(**usage: Any) -> FakeReply:
    """An answer of embeddings with this usage, or none."""
    body = {"data": [{"index": 0, "embedding": [0.5]}]}
    return FakeReply(json.dumps(body | ({"usage": usage} if usage else {})).encode())


def decode(outgoing: Outgoing) -> dict[str, Any]:
    """The body of a request to a provider."""
    assert isinstance(outgoing.body, bytes)
    body: dict[str, Any] = json.loads(outgoing.body)
    return body


def sent(limited: Limited, number: int = -1) -> dict[str, Any]:
    """The body that a provider got."""
    return decode(limited.upstream.sent[number])


def honest(outgoing: Outgoing) -> FakeReply:
    """A provider that writes for a second, as much as it may, and counts each byte of a text as a
    token, beside seven of its own."""
    body = decode(outgoing)
    limit = body.get("max_completion_tokens") or body.get("max_tokens")
    content = "".join(message["content"] for message in body["messages"])
    answer = reply(
        prompt_tokens=len(content.encode()) + 7,
        completion_tokens=limit or 16_384,
    )
    return FakeReply(1.0, *answer.pieces)
