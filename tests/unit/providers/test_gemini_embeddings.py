"""Gemini's embeddings and the probe."""

import pytest
from msgspec import structs

from proxy.core.chat import Routing
from proxy.core.embedding import EmbeddingRequest
from proxy.core.errors import Fault, InvalidRequest
from proxy.providers import gemini
from tests.unit.providers import replay

TO = replay.target("gemini", "gemini-3-flash-preview")
ASK = EmbeddingRequest(input=("red", "green"), routing=Routing())


def test_the_call_for_embeddings() -> None:
    outgoing = gemini.build_embedding_request(TO, structs.replace(ASK, dimensions=4))
    model = "models/gemini-3-flash-preview"
    assert outgoing.url == f"https://upstream.test/v1/{model}:batchEmbedContents"
    assert outgoing.headers["x-goog-api-key"] == replay.KEY
    assert replay.decode_body(outgoing) == {
        "requests": [
            {
                "model": model,
                "content": {"parts": [{"text": text}]},
                "outputDimensionality": 4,
            }
            for text in ("red", "green")
        ]
    }


def test_tokens_are_no_texts() -> None:
    with pytest.raises(InvalidRequest) as raised:
        gemini.build_embedding_request(TO, structs.replace(ASK, input=((1, 2),)))
    assert raised.value.param == "input"


@pytest.mark.parametrize(
    ("case", "texts", "expected"),
    [("embeddings-batch", ("a", "b"), "tokens=2+0"), ("embeddings", ("a",), "tokens=1+0")],
)
def test_vectors(case: str, texts: tuple[str, ...], expected: str) -> None:
    request = structs.replace(ASK, input=texts)
    found = gemini.read_embeddings(TO, request, replay.load("gemini", case).body)
    assert found.vectors[0] == (0.0125, -0.25, 0.5, 0.0625)
    assert (len(found.vectors), found.model) == (len(texts), "gemini-3-flash-preview")
    assert replay.describe_usage(found.usage) == expected


def test_vectors_as_base64() -> None:
    request = EmbeddingRequest(input=("a",), routing=Routing(), base64=True)
    found = gemini.read_embeddings(TO, request, b'{"embedding":{"values":[0.5,-0.25,1]}}')
    assert (found.vectors, found.usage) == (("AAAAPwAAgL4AAIA/",), None)


@pytest.mark.parametrize(
    ("body", "kind"),
    [
        (b"Not now.", "garbage"),
        (b'{"embeddings":[]}', "garbage"),
        (replay.load("gemini", "error-503").body, "unavailable"),
    ],
)
def test_vectors_that_are_none(body: bytes, kind: str) -> None:
    with pytest.raises(Fault) as raised:
        gemini.read_embeddings(TO, ASK, body)
    assert raised.value.kind == kind


def test_the_probe() -> None:
    outgoing = gemini.build_probe(TO)
    assert (outgoing.method, outgoing.body) == ("GET", None)
    assert outgoing.url == "https://upstream.test/v1/models?pageSize=1"
    assert outgoing.headers["x-goog-api-key"] == replay.KEY
