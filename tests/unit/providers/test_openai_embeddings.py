"""Embeddings and the probe in OpenAI's dialect."""

import json
from typing import Any

import pytest
from msgspec import structs

from proxy.core.chat import Routing
from proxy.core.embedding import EmbeddingRequest
from proxy.core.errors import Fault
from proxy.providers import openai
from tests.unit.providers import replay
from tests.unit.providers.making_openai import TO

ASK = EmbeddingRequest(input=("red", "green"), routing=Routing())


def test_the_call_for_embeddings() -> None:
    request = structs.replace(ASK, dimensions=4, base64=True, user="ann")
    outgoing = openai.build_embedding_request(TO, request)
    assert outgoing.url == "https://upstream.test/v1/embeddings"
    assert outgoing.headers["authorization"] == f"Bearer {replay.KEY}"
    assert replay.decode_body(outgoing) == {
        "model": "model-1",
        "input": ["red", "green"],
        "encoding_format": "base64",
        "dimensions": 4,
        "user": "ann",
    }


@pytest.mark.parametrize(
    ("inputs", "listed", "sent"),
    [
        (("red",), False, "red"),
        (("red",), True, ["red"]),
        (((1, 2),), False, [1, 2]),
        (((1, 2),), True, [[1, 2]]),
        (("red", "green"), True, ["red", "green"]),
    ],
)
def test_inputs_to_embed_keep_their_form(inputs: Any, listed: bool, sent: Any) -> None:
    request = structs.replace(ASK, input=inputs, listed=listed)
    assert replay.decode_body(openai.build_embedding_request(TO, request))["input"] == sent


def test_what_a_model_is_to_be_sent_goes_with_embeddings_too() -> None:
    to = structs.replace(TO, model=structs.replace(TO.model, send={"provider": {"zdr": True}}))
    body = replay.decode_body(openai.build_embedding_request(to, ASK))
    assert body["provider"] == {"zdr": True}


def test_embeddings_may_be_served_elsewhere_and_with_fewer_fields() -> None:
    spec = structs.replace(TO.spec, drop=("encoding_format",), unknown_fields=False)
    to = structs.replace(TO, spec=spec, embeddings_url="http://127.0.0.1:9/v1/")
    request = structs.replace(ASK, input=((1, 2), (3,)), base64=True)
    outgoing = openai.build_embedding_request(to, request)
    assert outgoing.url == "http://127.0.0.1:9/v1/embeddings"
    assert outgoing.body == b'{"model":"model-1","input":[[1,2],[3]]}'
    assert outgoing.dropped == ("encoding_format",)


RED, GREEN = (0.5, -0.25), (1.0, 0.0)


@pytest.mark.parametrize("indexes", [(0, 1), (1, 0), (None, None)])
def test_vectors_in_the_order_of_the_inputs(indexes: tuple[Any, Any]) -> None:
    data = [{"index": index, "embedding": RED if index == 0 else GREEN} for index in indexes]
    usage = {"prompt_tokens": 2, "total_tokens": 2}
    found = openai.read_embeddings(TO, ASK, json.dumps({"data": data, "usage": usage}).encode())
    assert found.vectors == ((RED, GREEN) if None not in indexes else (GREEN, GREEN))
    assert replay.describe_usage(found.usage) == "tokens=2+0"


@pytest.mark.parametrize(
    ("provider", "case", "count", "expected"),
    [
        ("openai", "embeddings", 2, "tokens=2+0"),
        ("openai", "embeddings-base64", 1, "tokens=1+0"),
        ("openrouter", "embeddings", 1, "tokens=1+0 cost=20"),
        ("huggingface", "embeddings", 2, "tokens=6+0"),
        ("local", "embeddings", 2, "tokens=6+0"),
    ],
)
def test_vectors_as_providers_send_them(
    provider: str, case: str, count: int, expected: str
) -> None:
    request = structs.replace(ASK, input=("x",) * count)
    found = openai.read_embeddings(
        replay.target(provider), request, replay.load(provider, case).body
    )
    assert len(found.vectors) == count
    assert all(isinstance(number, float) for vector in found.vectors for number in vector)
    assert replay.describe_usage(found.usage) == expected


@pytest.mark.parametrize(
    ("answer", "kind"),
    [
        (b"Not now.", "garbage"),
        (b'{"data":[]}', "garbage"),
        (b'{"error":{"code":429,"message":"slow"}}', "rate_limited"),
    ],
)
def test_vectors_that_are_none(answer: bytes, kind: str) -> None:
    with pytest.raises(Fault) as raised:
        openai.read_embeddings(TO, ASK, answer)
    assert raised.value.kind == kind


def test_the_probe_asks_for_something_that_needs_the_key() -> None:
    outgoing = openai.build_probe(replay.target("openrouter"))
    assert (outgoing.method, outgoing.url) == ("GET", "https://upstream.test/v1/key")
    assert outgoing.headers["authorization"] == f"Bearer {replay.KEY}"
    assert outgoing.body is None
    assert openai.build_probe(TO).url == "https://upstream.test/v1/models"
