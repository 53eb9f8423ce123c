"""Embeddings, as the manager gets them."""

import json

from proxy.core.chat import Routing, Usage
from proxy.core.embedding import EmbeddingRequest
from proxy.core.ports import Outgoing
from tests.unit.doubles import FakeReply, Unlimited
from tests.unit.routing.making import (
    Build,
    body_of,
    by_host,
    error,
)


async def test_embeddings(build: Build) -> None:
    data = [{"index": 0, "embedding": [0.5, 1.0]}]
    reply = FakeReply(json.dumps({"data": data, "usage": {"prompt_tokens": 2}}).encode())
    request = EmbeddingRequest(input=("hi",), routing=Routing(model="embed-o"))
    vectors, success = await build(by_host(openai=error(500), openrouter=reply)).embed(
        request, Unlimited()
    )
    assert vectors.vectors == ((0.5, 1.0),)
    assert [a.provider for a in success.attempts] == ["openai", "openrouter"]


async def test_more_texts_than_a_provider_embeds_at_once_are_sent_in_parts(build: Build) -> None:
    def embed(outgoing: Outgoing) -> FakeReply:
        texts = json.loads(body_of(outgoing))["input"]
        data = [{"index": n, "embedding": [float(text)]} for n, text in enumerate(texts)]
        return FakeReply(json.dumps({"data": data, "usage": {"prompt_tokens": 2}}).encode())

    sent: list[int] = []

    def answer(outgoing: Outgoing) -> FakeReply:
        sent.append(len(json.loads(body_of(outgoing))["input"]))
        return embed(outgoing)

    texts = tuple(map(str, range(7)))
    request = EmbeddingRequest(input=texts, routing=Routing(model="openrouter/embed-o"))
    vectors, success = await build(answer).embed(request, Unlimited())
    assert sent == [3, 3, 1]
    assert vectors.vectors == tuple((float(text),) for text in texts)
    assert vectors.usage == Usage(input=6)
    assert len(success.attempts) == 1
